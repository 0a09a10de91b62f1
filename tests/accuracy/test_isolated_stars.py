"""Isolated stars at known signal to noise against what the photons allow (issue 5, bar 2).

The whole of `calibrate_image` runs on each detector: its own background, PSF, positions and zero point.
"""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from bars import Bars
from pipeline_settings import settings_of
from scipy.spatial import cKDTree
from star_fields import REFERENCE_FROM, ZERO_POINT, Sky, draw_field

from skyloom.calibrate.pipeline import calibrate_image
from skyloom.core.tables import column, without_sky_objects

SEEINGS = (0.6, 0.8, 1.0, 1.2)
PROFILES = ("kolmogorov", "moffat")
LEVELS = (10.0, 20.0, 50.0, 100.0, 200.0)
FAINT_LEVELS = (4.0, 5.0, 6.0, 7.0)
MATCH_PIXEL = 3.0
THRESHOLD = 5.0
CENTROID_BAR, FLUX_BAR, PULL_BAR = 1.10, 1.05, 0.05
BIAS_BAR, FAINT_BIAS_BAR = 0.002, 0.2
COMPLETENESS_BAR, PURITY_BAR = 0.02, 0.998
FAINT = Sky(levels=FAINT_LEVELS, bright=(20.0, 800.0), bright_share=0.5)
"""As many stars between the S/N of 20 and 800 as in the bins."""


@pytest.fixture(scope="module")
def settings():
    """Section ``calibrate`` with its defaults, but for PSF stars brighter than those that are judged."""
    section = settings_of("calibrate")
    return section | {"psf": section["psf"] | {"min_signal_to_noise": REFERENCE_FROM}}


def skies(base, n):
    """Skies of every seeing and profile by turns."""
    return [replace(base, profile=PROFILES[k // 4 % 2], seeing=SEEINGS[k % 4]) for k in range(n)]


def calibrated(sky, seed, settings):
    """Field, sources, and for each star its distance [pixel] from the next source and that one's row."""
    field = draw_field(sky, seed)
    rng = np.random.default_rng(seed)
    _, table = calibrate_image(field.exposure, field.references, field.predicted, settings, rng)
    table = without_sky_objects(table)
    src = {name: column(table, name) for name in ("x", "y", "xErr", "yErr", "psfFlux", "psfFluxErr")}
    distance, row = cKDTree(np.column_stack([src["x"], src["y"]])).query(np.column_stack([field.x, field.y]))
    return field, src, distance, row


def residuals(sky, seed, settings):
    """Of the stars found: S/N, errors of x, y, flux over limit and stated error, relative flux error."""
    field, src, distance, row = calibrated(sky, seed, settings)
    flux, flux_error = (src[name][row] / ZERO_POINT for name in ("psfFlux", "psfFluxErr"))
    off = {"x": src["x"][row] - field.x, "y": src["y"][row] - field.y, "flux": flux - field.flux}
    limits = {"x": field.x_limit, "y": field.y_limit, "flux": field.flux_limit}
    stated = {"x": src["xErr"][row], "y": src["yErr"][row], "flux": flux_error}
    values = {"level": field.level, "relative": off["flux"] / field.flux}
    values |= {f"{name}_ratio": off[name] / limits[name] for name in off}
    values |= {f"{name}_pull": off[name] / stated[name] for name in off}
    return {name: value[distance < MATCH_PIXEL] for name, value in values.items()}


def check_measurements(parts, bars, n_sigma=0.0):
    """Scatter, bias and pulls of each bin against the bars, each of which gets some of its own standard errors."""
    values = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for level in LEVELS:
        one = {name: value[values["level"] == level] for name, value in values.items()}
        n = len(one["level"])
        bars.note(f"S/N {level:.0f}: stars", n)
        slack = n_sigma / np.sqrt(2 * n)
        ratio, pull = (np.r_[one[f"x_{kind}"], one[f"y_{kind}"]] for kind in ("ratio", "pull"))
        rms = np.sqrt(np.mean(ratio**2))
        bars.check("  rms of the centroid about the truth over the limit", rms, high=CENTROID_BAR + slack)
        bars.check("  flux scatter over the limit", one["flux_ratio"].std(), high=FLUX_BAR + slack)
        spread = PULL_BAR + slack
        bars.check("  width of the position's pulls", pull.std(), low=1 - spread, high=1 + spread)
        bars.check("  width of the flux's pulls", one["flux_pull"].std(), low=1 - spread, high=1 + spread)
        error = n_sigma / np.sqrt(n)
        if level > LEVELS[1]:
            bars.check("  flux bias", abs(one["relative"].mean()), high=BIAS_BAR + error / level)
        else:
            bars.check(
                "  flux bias over the limit", abs(one["flux_ratio"].mean()), high=FAINT_BIAS_BAR + error
            )


def count(sky, seed, settings):
    """Stars found and all, by S/N; true sources and all."""
    field, src, distance, _ = calibrated(sky, seed, settings)
    found = distance < MATCH_PIXEL
    stars = cKDTree(np.column_stack([field.x, field.y]))
    is_true = stars.query(np.column_stack([src["x"], src["y"]]))[0] < MATCH_PIXEL
    by_level = [(found[field.level == level].sum(), (field.level == level).sum()) for level in sky.levels]
    return np.array([*by_level, (is_true.sum(), len(is_true))])


def check_detections(counts, bars, n_sigma=0.0):
    """Completeness in each bin beside that of a perfect filter, and purity."""
    *bins, (true, n_source) = np.sum(counts, axis=0)
    for level, (found, n) in zip(FAINT_LEVELS, bins, strict=True):
        expected = NormalDist().cdf(level - THRESHOLD)
        slack = COMPLETENESS_BAR + n_sigma * np.sqrt(expected * (1 - expected) / n)
        bars.note(f"S/N {level:.0f}: stars", n)
        bars.check(
            f"  part of them found ({expected:.3f})", found / n, low=expected - slack, high=expected + slack
        )
    bars.note("sources", n_source)
    slack = n_sigma * np.sqrt((1 - PURITY_BAR) / n_source)
    bars.check("  part of them that is true", true / n_source, low=PURITY_BAR - slack)


@pytest.mark.slow
def test_stars_of_a_small_detector_are_measured_to_the_limit(settings):
    bars = Bars("isolated stars, one detector of 1024 x 1024")
    check_measurements([residuals(Sky(side=1024, n_star=500), 1, settings)], bars, n_sigma=3.0)
    bars.judge()


@pytest.mark.slow
def test_faint_stars_of_a_small_detector_are_found_as_by_a_perfect_filter(settings):
    bars = Bars("faint stars, one detector of 1024 x 1024")
    check_detections([count(replace(FAINT, side=1024, n_star=300), 2, settings)], bars, n_sigma=3.0)
    bars.judge()


@pytest.mark.bars
@pytest.mark.timeout(3600)
def test_stars_are_measured_to_the_limit(settings):
    bars = Bars("isolated stars, 16 detectors of 2048 x 2048, seeing 0.6-1.2, PSF varying by a tenth")
    base = Sky(levels=LEVELS)
    check_measurements([residuals(sky, 500 + k, settings) for k, sky in enumerate(skies(base, 16))], bars)
    bars.judge()


@pytest.mark.bars
@pytest.mark.timeout(3600)
def test_faint_stars_are_found_as_by_a_perfect_filter(settings):
    bars = Bars("faint stars, 24 detectors of 2048 x 2048, seeing 0.6-1.2, PSF varying by a tenth")
    check_detections([count(sky, 700 + k, settings) for k, sky in enumerate(skies(FAINT, 24))], bars)
    bars.judge()
