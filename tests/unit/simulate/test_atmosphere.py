from dataclasses import replace

import numpy as np
import pytest

from skyloom.simulate.catalog import STAR, empty_objects
from skyloom.simulate.exposing import pixels_of, sky_electrons, source_rows, view_of, visible_sources
from skyloom.simulate.refraction import refraction_of


def with_air(simulation, **changes):
    atmosphere = simulation.settings["atmosphere"] | changes
    return replace(simulation, settings=simulation.settings | {"atmosphere": atmosphere})


def stars_around(visit, n=400, colour=0.6):
    """Stars spread over the small field."""
    rng = np.random.default_rng(1)
    stars = empty_objects(n, ("g", "r"))
    stars["kind"][:], stars["colour_gr"][:], stars["flux_r"][:] = STAR, colour, 1e4
    stars["ra"][:] = visit["ra"] + rng.uniform(-0.008, 0.008, n)
    stars["dec"][:] = visit["dec"] + rng.uniform(-0.008, 0.008, n)
    return stars


def places(simulation, visit, objects):
    view = view_of(visit, simulation.camera.detectors[0], simulation)
    x, y, _, _ = pixels_of(view, objects, visit["mjd"])
    return np.stack([x, y])


def test_turbulence_displaces_by_its_root_mean_square_which_falls_with_the_exposure_time(perfect, visit):
    stars = stars_around(visit)
    rms = {}
    for seconds in (30.0, 120.0):
        squares = []
        for number in range(60):
            moved = {**visit, "visit": number, "exposure_time": seconds}
            air = with_air(perfect, turbulence=20.0, turbulence_scale=0.5)
            shift = places(air, moved, stars) - places(perfect, moved, stars)
            squares.append(np.nanmean(shift**2))
        rms[seconds] = np.sqrt(np.mean(squares)) * 200.0  # mas in a pixel of 0.2 arcsec
    assert rms[30.0] == pytest.approx(20.0, rel=0.15)
    assert rms[120.0] == pytest.approx(10.0, rel=0.15)


def test_refraction_lifts_blue_stars_towards_the_zenith(perfect, visit):
    air = with_air(perfect, refraction=True)
    low = {**visit, "airmass": 1.7}
    blue, red = (stars_around(visit, colour=c) for c in (-0.2, 1.5))
    shift = np.nanmean(places(air, low, blue) - places(air, low, red), axis=1)
    refraction = refraction_of(low, air.settings["atmosphere"]["site"])
    mean, _ = refraction.moments(np.array([-0.2, 1.5]))
    assert np.hypot(*shift) * 0.2 == pytest.approx(mean[0] - mean[1], rel=1e-3)
    # On the small camera's detector 0, +y is at the position angle of the rotation, +x is West of it.
    east, north = refraction.toward_zenith
    turn = np.radians(low["rotation"])
    up, left = north * np.cos(turn) + east * np.sin(turn), east * np.cos(turn) - north * np.sin(turn)
    np.testing.assert_allclose(shift / np.hypot(*shift), [-left, up], atol=1e-3)


def test_refraction_within_the_filter_lengthens_the_point_spread_function(perfect, visit):
    low = {**visit, "airmass": 2.0, "band": "g"}
    stars = stars_around(visit)
    stars["flux_g"][:] = 1e4
    air = with_air(perfect, refraction=True)
    sharp = visible_sources(view_of(low, perfect.camera.detectors[0], perfect), stars)
    smeared = visible_sources(view_of(low, air.camera.detectors[0], air), stars)
    common = np.intersect1d(sharp["index"], smeared["index"])
    first, second = (s["fwhm"][np.isin(s["index"], common)] for s in (sharp, smeared))
    beta = 3.5
    to_sigma2 = 1 / (4 * (2 ** (1 / beta) - 1)) / (2 * (beta - 2))
    _, deviation = refraction_of(low, air.settings["atmosphere"]["site"]).moments(np.array([0.6]))
    # The geometric mean of the moments grows by the root of 1 + smear^2 / sigma^2, nearly: shears are small.
    expected = first * (1 + (deviation / 0.2) ** 2 / (first**2 * to_sigma2)) ** 0.25
    np.testing.assert_allclose(second, expected, rtol=0.02)
    assert (second > 1.01 * first).all()


def width_along_and_across(beta, fwhm, deviation):
    """Full widths at half maximum of a round Moffat profile convolved with a Gaussian along one axis, by numbers."""
    node, weight = np.polynomial.hermite_e.hermegauss(40)
    radius, r = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1), np.linspace(0, 2 * fwhm, 4001)[:, None]
    widths = []
    for square in ((r - deviation * node) ** 2, r**2 + (deviation * node) ** 2):
        profile = (1 + square / radius**2) ** -beta @ weight
        widths.append(2 * np.interp(-profile[0] / 2, -profile, r[:, 0]))
    return widths


@pytest.mark.parametrize("beta", [1.6, 2.0, 2.4])
def test_profiles_without_second_moments_are_lengthened_by_refraction_too(perfect, visit, beta):
    low = {**visit, "airmass": 2.0, "band": "g"}
    air = with_air(perfect, refraction=True)
    view = view_of(low, air.camera.detectors[0], air)
    round_widths = np.array([5.0]), np.zeros(1), np.zeros(1)
    colour, axes = np.array([0.6]), np.eye(2) / 0.2
    fwhm, e1, e2 = view.truth.air.smeared(round_widths, colour, axes, beta)
    _, deviation = view.truth.air.refraction.moments(colour)
    along, across = width_along_and_across(beta, 5.0, deviation[0] / 0.2)
    ratio = (1 + np.hypot(e1, e2)) / (1 - np.hypot(e1, e2))
    # The core is taken for a Gaussian, which lengthens it by five sixths.
    assert ratio[0] - 1 == pytest.approx(along / across - 1, rel=0.25)
    assert ratio[0] > 1.01
    assert fwhm[0] > 5.0


def test_patchy_clouds_take_light_that_the_truth_knows_of(perfect, visit):
    stars = stars_around(visit)
    cloudy = with_air(perfect, cloud_structure=0.2, cloud_scale=0.5)
    logs = []
    for number in range(60):
        view = view_of({**visit, "visit": number}, cloudy.camera.detectors[0], cloudy)
        visible = visible_sources(view, stars)
        rows = source_rows(view, visible, 0.0)
        ratio = rows["electrons_per_njy"] / view.truth.electrons_per_njy
        logs.append(np.mean((2.5 * np.log10(ratio)) ** 2))
    assert np.sqrt(np.mean(logs)) == pytest.approx(0.2, rel=0.15)


def test_moonlight_makes_no_fringes(perfect, visit):
    moonlit = with_air(perfect, moonlight=True)
    full = {**visit, "mjd": 61364.0}
    grid = np.meshgrid([-100.0, 100.0], [0.0])
    pattern = np.array([[0.1, -0.1]])
    amplitudes = {}
    for name, simulation in (("dark", perfect), ("moonlit", moonlit)):
        nights = [{**full, "mjd": full["mjd"] + hour / 24, "visit": hour} for hour in range(0, 24, 4)]
        views = [view_of(night, simulation.camera.detectors[0], simulation) for night in nights]
        amplitudes[name] = [
            sky_electrons(view, *grid, pattern) - sky_electrons(view, *grid) for view in views
        ]
    np.testing.assert_allclose(amplitudes["moonlit"], amplitudes["dark"], rtol=1e-9)
    assert np.all(np.sign(amplitudes["dark"]) == np.sign(pattern))


def test_moonlight_adds_to_the_sky_unevenly(perfect, visit):
    moonlit = with_air(perfect, moonlight=True)
    added = {}
    for hour in np.arange(0, 24, 2):
        now = {**visit, "mjd": 61364.0 + hour / 24, "visit": int(hour)}
        dark, bright = (
            sky_electrons(view_of(now, s.camera.detectors[0], s), *np.meshgrid([-100.0, 100.0], [0.0]))
            for s in (perfect, moonlit)
        )
        added[hour] = bright - dark
    assert min(a.min() for a in added.values()) == pytest.approx(0, abs=1e-6)
    brightest = max(added.values(), key=np.max)
    assert brightest.min() > 0
    assert brightest[0, 0] != brightest[0, 1]
