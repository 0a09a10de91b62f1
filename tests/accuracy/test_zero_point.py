"""The zero point of a detector against truth: level, map with a wrong flat, clouds that are told, stated errors."""

from dataclasses import dataclass

import numpy as np
import pytest
from bars import Bars
from pipeline_settings import settings_of

from skyloom.calibrate.photometry import PhotometricStars, fit_zero_point

SIDE = 2048
SHAPE = (SIDE, SIDE)
ZERO_POINT = 2.5
REFERENCE_ERROR = 0.005
COLOUR_SCATTER = 0.008
"""Relative scatter of stars that no error tells: what colour terms leave."""
ODD_FRACTION = 0.05
"""Variable stars and blends, off by some tenths of a magnitude."""
FLAT_ERROR = 0.03
CLOUD_MAG = 0.012
MAP_CELLS = 8


@dataclass(frozen=True)
class Sky:
    """What changes the stars' light over a detector, in positions from -1 to 1.

    Attributes
    ----------
    flat, cloud : callable or None
        Relative response that the flat leaves, and extinction [mag], of (u, v).
    """

    flat: object = None
    cloud: object = None

    def response(self, x, y):
        """Light that is left of 1, at pixels."""
        u, v = (2 * np.asarray(c) / (SIDE - 1) - 1 for c in (x, y))
        light = np.ones_like(u)
        if self.flat is not None:
            light = light * self.flat(u, v)
        return light if self.cloud is None else light * 10 ** (-0.4 * self.cloud(u, v))


def wrong_flat(rng):
    """A flat off by 3 per cent from side to side or from centre to edge, as scattered light makes it."""
    turn, radial = rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1)
    tilt = np.sqrt(1 - radial**2)

    def response(u, v):
        along = (u * np.cos(turn) + v * np.sin(turn)) / np.sqrt(2)
        return 1 + FLAT_ERROR / 2 * (tilt * along + radial * (u**2 + v**2 - 1))

    return response


def cloud(rng):
    """A bank of cloud with an edge across the field: extinction from 0 to `CLOUD_MAG`."""
    turn, where = rng.uniform(0, 2 * np.pi), rng.uniform(-0.3, 0.3)
    return lambda u, v: CLOUD_MAG / (1 + np.exp(-(u * np.cos(turn) + v * np.sin(turn) - where) / 0.3))


def make_stars(rng, n, sky):
    """Matched stars with photon noise, errors of the catalogue, colours, and some odd ones."""
    x, y = rng.uniform(0, SIDE - 1, (2, n))
    true = 10 ** rng.uniform(4.2, 6.2, n)
    light = true / ZERO_POINT * sky.response(x, y) * np.exp(rng.normal(0, COLOUR_SCATTER, n))
    error = np.hypot(60.0, np.sqrt(light))
    flux = light + rng.normal(0, error)
    odd = rng.random(n) < ODD_FRACTION
    flux = flux * np.where(odd, np.exp(rng.normal(0, 0.3, n)), 1.0)
    reference = true * (1 + rng.normal(0, REFERENCE_ERROR, n))
    return PhotometricStars(x, y, flux, error, reference, REFERENCE_ERROR * reference)


def residual_map(result, sky):
    """Fitted over true zero point, in cells of the detector [mag]."""
    places = (np.arange(4 * MAP_CELLS) + 0.5) * SIDE / (4 * MAP_CELLS) - 0.5
    x, y = np.meshgrid(places, places)
    ratio = result.photo_calib.evaluate(x, y) * sky.response(x, y) / ZERO_POINT
    return 2.5 * np.log10(ratio).reshape(MAP_CELLS, 4, MAP_CELLS, 4).mean(axis=(1, 3))


def fit(seed, n, sky_of=None):
    """Zero point of a detector and its sky."""
    rng = np.random.default_rng([seed, n])
    sky = Sky() if sky_of is None else sky_of(rng)
    return fit_zero_point(make_stars(rng, n, sky), SHAPE, settings_of("calibrate", "photometry")), sky


def check_level(seeds, bars):
    """Level and stated error of uniform detectors of 200 stars."""
    errors, pulls = [], []
    for seed in seeds:
        result, sky = fit(seed, 220)
        assert result.fit.n_star >= 200
        errors.append(float(np.mean(residual_map(result, sky))) / 1.0857)
        stated = result.photo_calib.error(SIDE / 2, SIDE / 2)[0] / ZERO_POINT
        pulls.append((float(result.photo_calib.evaluate(SIDE / 2, SIDE / 2)) / ZERO_POINT - 1) / stated)
    errors, pulls, n = np.array(errors), np.array(pulls), len(seeds)
    bars.check("zero point, 220 stars: rms of its relative error", np.sqrt(np.mean(errors**2)), high=0.0015)
    bars.check("mean of its relative error", abs(errors.mean()), high=4 * 0.0015 / np.sqrt(n))
    low, high = 1 - 4 / np.sqrt(2 * n), 1 + 4 / np.sqrt(2 * n)
    bars.check("width of its pulls", np.sqrt(np.mean(pulls**2)), low=low, high=high)


def check_map(seeds, bars):
    """Uniformity with a flat that is off by 3 per cent."""
    rms, varied, pulls = [], [], []
    for seed in seeds:
        result, sky = fit(seed, 1200, lambda rng: Sky(flat=wrong_flat(rng)))
        residual = residual_map(result, sky)
        rms.append(np.std(residual))
        varied.append(result.fit.remark != "")
        places = np.array([300.0, 1024.0, 1700.0])
        truth = ZERO_POINT / sky.response(places, places)
        pulls += list(
            (result.photo_calib.evaluate(places, places) - truth) / result.photo_calib.error(places, places)
        )
    bars.check(
        "3 % flat error: rms of the residual map [mmag]", 1e3 * np.sqrt(np.mean(np.square(rms))), high=2.5
    )
    bars.check("part of these detectors that is remarked", np.mean(varied), low=1.0)
    spread = 4 / np.sqrt(2 * len(pulls))
    bars.check(
        "width of the map's pulls", np.sqrt(np.mean(np.square(pulls))), low=1 - spread, high=1.15 + spread
    )


def check_clouds(seeds, bars):
    """Clouds of 12 mmag are told, clear skies are neither called cloudy nor given a map."""
    for n in (250, 1200):
        told = [fit(seed, n, lambda rng: Sky(cloud=cloud(rng)))[0].fit.remark != "" for seed in seeds]
        clear = [fit(seed, n) for seed in seeds]
        false = [result.fit.remark != "" for result, _ in clear]
        mapped = [np.ptp(residual_map(result, sky)) > 1e-9 for result, sky in clear]
        if n >= 1000:
            bars.check(f"clouds of 12 mmag told, {n} stars", np.mean(told), low=0.9)
        else:
            bars.note(f"clouds of 12 mmag told, {n} stars", np.mean(told))
        bars.check(f"clear skies called cloudy, {n} stars", np.mean(false), high=0.01)
        bars.check(f"clear skies given a map that is not there, {n} stars", np.mean(mapped), high=0.01)


def test_level_map_and_clouds_of_a_few_detectors():
    bars = Bars("zero points of a few detectors")
    check_level(range(20), bars)
    check_map(range(8), bars)
    check_clouds(range(100), bars)
    bars.judge()


@pytest.mark.bars
def test_level_map_and_clouds_reach_the_bars():
    bars = Bars("zero points of 200 detectors")
    seeds = range(1000, 1200)
    check_level(seeds, bars)
    check_map(seeds, bars)
    check_clouds(seeds, bars)
    bars.judge()
