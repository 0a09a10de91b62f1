"""The sky against truth: nothing is measured where nothing is, and large galaxies keep their light."""

from dataclasses import replace

import numpy as np
import pytest
from background_scenes import Field, LargeGalaxy, draw_sky_scene
from bars import Bars
from drawn_detectors import SCALE
from pipeline_settings import run_passes, settings_of

from skyloom.calibrate.sky_objects import measure_sky_objects

SEEINGS = (0.6, 0.8, 1.0, 1.2)
FIELDS = {
    "sparse": Field(n_star=150, n_galaxy=200, brightest=100),
    "2,000 stars": Field(n_star=500, n_galaxy=750),
    "bright stars with aureoles": Field(n_star=500, n_galaxy=500, brightest=2e4, aureole=0.03),
    "steep bright sky": Field(n_star=500, n_galaxy=500, sky=3000.0, gradient=0.15, profile="moffat"),
    "5,000 stars": Field(n_star=1250, n_galaxy=750),
}
ELECTRONS_AT_ZERO = 31.9
"""Magnitude of a star of one electron in 30 s of an 8 m telescope."""
EXTENT = 10.0
"""Radius of a galaxy of 20 arcsec."""
HALF_LIGHT = {1: 4.0, 4: 2.5}
"""Half-light radius by Sersic index, at which 10 arcsec hold nine tenths of the light [arcsec]."""


def settings(**background):
    """Section ``calibrate`` with the schema's defaults but for some of ``calibrate.background``."""
    section = settings_of("calibrate")
    return section | {"background": section["background"] | background}


def sky_pulls(field, seeds, section):
    """PSF and aperture fluxes (9 and 12 pixels) of sky objects over their errors, of frames of all seeings."""
    pulls = {"psfFlux": [], "ap09Flux": [], "ap12Flux": []}
    for number, seed in enumerate(seeds):
        seen = replace(field, seeing=SEEINGS[number % len(SEEINGS)])
        found = run_passes(draw_sky_scene(seen, seed).pixels, section, seed)
        rng = np.random.default_rng(seed)
        _, columns = measure_sky_objects(found.pixels, found.sky, found.stars.fit.psf, section, rng)
        for name, values in pulls.items():
            values.append(columns[name] / columns[f"{name}Err"])
    return {name: np.concatenate(values) for name, values in pulls.items()}


def check_sky_objects(name, pulls, bars, most_errors=3.0):
    """Mean flux in standard errors, and chi squared, of sky objects."""
    for flux, values in pulls.items():
        values = values[np.isfinite(values)]
        mean = values.mean() / values.std() * np.sqrt(values.size)
        bars.check(
            f"{name}: mean {flux} of {values.size} [standard errors]",
            mean,
            low=-most_errors,
            high=most_errors,
        )
        # Undetected stars and galaxies, drawn down to half the flux of detection, add to a wide aperture what no error
        # of its pixels tells: of the light and the sky's error known, chi2 would be 1.1.
        chi2, title = np.mean(values**2), f"{name}: chi2/dof of {flux}"
        if flux == "psfFlux":
            bars.check(title, chi2, high=1.5)
        else:
            bars.note(title, chi2)


def galaxy_of(index, magnitude, field, rng):
    """A galaxy anywhere on the detector, its extent within the edges."""
    x, y = np.rint(rng.uniform(EXTENT / SCALE, field.side - EXTENT / SCALE, 2))
    flux = 10 ** (0.4 * (ELECTRONS_AT_ZERO - magnitude))
    return LargeGalaxy(index, flux, x, y, HALF_LIGHT[index], rng.uniform(0.4, 1.0))


def background_error(field, seed, section, galaxies=()):
    """Background minus true sky of a frame [electron]."""
    scene = draw_sky_scene(field, seed, galaxies)
    return run_passes(scene.pixels, section, seed).background.image() - scene.sky


def flux_bias(field, galaxy, seed, section, without):
    """Part of a galaxy's light within its extent that the background takes, by the same frame without it."""
    taken = background_error(field, seed, section, [galaxy]) - without
    y, x = np.ogrid[: field.side, : field.side]
    inside = np.hypot(x - galaxy.x, y - galaxy.y) < EXTENT / SCALE
    return -taken[inside].sum() / galaxy.flux


def check_galaxies(seeds, magnitudes, bars):
    """Mean bias of the total flux, and its worst case, of galaxies of 20 arcsec."""
    section = settings()
    field = replace(FIELDS["2,000 stars"], side=2048, n_star=2000, n_galaxy=2000)
    frames = [replace(field, seeing=SEEINGS[k % len(SEEINGS)]) for k in range(len(seeds))]
    without = [background_error(f, seed, section) for f, seed in zip(frames, seeds, strict=True)]
    for index in (1, 4):
        for magnitude in magnitudes:
            rng = np.random.default_rng([index, int(10 * magnitude)])
            biases = [
                flux_bias(f, galaxy_of(index, magnitude, f, rng), seed, section, error)
                for f, seed, error in zip(frames, seeds, without, strict=True)
            ]
            name = f"galaxy of 20 arcsec, n = {index}, {magnitude:g} mag"
            bars.check(f"{name}: flux bias [%]", 100 * np.mean(biases), low=-1.0, high=1.0)
            worst = max(biases, key=abs)
            bars.note(f"{name}: worst of {len(biases)} [%]", 100 * worst)


@pytest.mark.slow
def test_sky_objects_of_a_few_frames_show_nothing():
    bars = Bars("sky objects of four small frames")
    field = replace(FIELDS["bright stars with aureoles"], side=640, n_star=200, n_galaxy=200)

    check_sky_objects("four frames", sky_pulls(field, range(4), settings()), bars, most_errors=4.0)

    bars.judge()


@pytest.mark.slow
def test_a_large_galaxy_keeps_its_light_and_loses_it_to_a_sky_of_short_waves():
    field = Field(side=640, n_star=150, n_galaxy=150)
    galaxy = LargeGalaxy(4, 7e5, 330.0, 310.0, HALF_LIGHT[4])
    bias = {}
    for name, section in {"ours": settings(), "short": settings(bin_size=32, shortest_wave=128)}.items():
        bias[name] = flux_bias(field, galaxy, 3, section, background_error(field, 3, section))

    assert abs(bias["ours"]) < 0.01
    assert bias["short"] < -0.01


@pytest.mark.bars
@pytest.mark.parametrize("name", FIELDS)
def test_sky_objects_of_24_frames_reach_the_bars(name):
    bars = Bars(f"sky objects of 24 frames of 1024 x 1024, seeing 0.6 to 1.2: {name}")
    check_sky_objects(name, sky_pulls(FIELDS[name], range(2000, 2024), settings()), bars)
    bars.judge()


@pytest.mark.bars
@pytest.mark.timeout(7200)
def test_galaxies_of_20_arcsec_reach_the_bars():
    bars = Bars("galaxies of 20 arcsec anywhere on 8 frames of 2048 x 2048, seeing 0.6 to 1.2")
    check_galaxies(range(3000, 3008), (15.0, 16.0, 17.0, 18.0), bars)
    bars.judge()
