"""Purity and completeness where stars are crowded or the variance plane is wrong: what the threshold's rise is for."""

import time
from dataclasses import replace

import numpy as np
import pytest
from bars import Bars
from crowded_fields import ZERO_POINT, Crowd, draw_crowd, has_light, is_found
from pipeline_settings import settings_of

from skyloom.calibrate.pipeline import calibrate_image
from skyloom.core.tables import column, without_sky_objects

LEVELS = ((4.0, 5.0), (5.0, 6.0), (6.0, 8.0), (8.0, 10.0), (10.0, 20.0), (20.0, 50.0))
SPARSE, SEEDS = Crowd(2000), (10, 11)
# 0.69 of the variance, and noise smoothed as by a bad resampling: 1.2 and 2 times the noise of the variance plane.
TOO_SMALL, SMOOTHED = 1 / 1.44, 0.6
# Twice what 60,000 stars take, for slower machines.
MAX_CPU_SECONDS = 25.0


def section(largest):
    """Section ``calibrate`` with its defaults, but for the largest factor on the threshold."""
    settings = settings_of("calibrate")
    return settings | {"detection": settings["detection"] | {"max_threshold_factor": largest}}


def calibrated(crowd, seed, largest=4.0):
    """Sources, sources that have light, stars found and stars by S/N, factor on the threshold, CPU time [s]."""
    field = draw_crowd(crowd, seed)
    rng = np.random.default_rng(seed)
    start = time.process_time()
    calexp, table = calibrate_image(field.exposure, field.references, field.predicted, section(largest), rng)
    seconds = time.process_time() - start
    table = without_sky_objects(table)
    sources = tuple(column(table, name) for name in ("x", "y", "psfFlux"))
    sources = (*sources[:2], np.nan_to_num(sources[2]) / ZERO_POINT)
    found = [is_found(field, crowd, sources, levels) for levels in LEVELS]
    by_level = np.array([(one.sum(), len(one)) for one in found])
    true = has_light(field, crowd, sources)
    return len(true), true.sum(), by_level, calexp.detection_threshold / 5.0, seconds


def summed(crowd, seeds, largest=4.0):
    """Sources, purity, completeness by S/N, mean factor, CPU seconds a detector over some seeds."""
    n, true, by_level, factor, seconds = zip(
        *(calibrated(crowd, seed, largest) for seed in seeds), strict=True
    )
    found, stars = np.sum(by_level, axis=0).T
    return sum(n), sum(true) / sum(n), found / stars, np.mean(factor), np.mean(seconds)


@pytest.fixture(scope="module")
def right():
    """Figures of a field whose variance is right."""
    return summed(SPARSE, SEEDS)


def purity_error(purity, n):
    """Standard error of a purity of n sources."""
    return np.sqrt(max(purity * (1 - purity), 1 / n) / n)


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong", [{"variance_factor": TOO_SMALL}, {"correlation": SMOOTHED}], ids=["small", "smoothed"]
)
def test_a_wrong_variance_costs_no_purity(wrong, right):
    crowd = replace(SPARSE, **wrong)
    _, kept, *_ = summed(crowd, SEEDS, largest=1.0)
    n, adapted, completeness, factor, _ = summed(crowd, SEEDS)

    # Where noise is smoothed the sky is less well known too.
    error = np.hypot(purity_error(right[1], right[0]), purity_error(adapted, n))
    assert adapted > right[1] - 0.003 - 3 * error
    assert 1 - adapted < 0.5 * (1 - kept)
    assert factor > 1.1
    # What is above the threshold by twice the noise is not lost.
    assert completeness[-1] == pytest.approx(right[2][-1], abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("n_star", [10_000, 60_000])
def test_the_light_of_many_stars_is_not_taken_for_noise(n_star):
    *_, factor, _ = summed(Crowd(n_star, fwhm=3.0, side=512), (10,))

    assert factor == 1.0


@pytest.mark.bars
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fwhm", [3.0, 5.0])
def test_crowds_are_found_as_with_a_fixed_threshold_in_seconds(fwhm):
    bars = Bars(f"crowds of stars on 2048 x 2048, seeing {fwhm:g} pixels")
    for n_star in (2000, 30_000, 60_000):
        n, purity, completeness, factor, seconds = summed(Crowd(n_star, fwhm, side=2048), (20,))
        bars.note(f"{n_star} stars: sources", n)
        bars.note("  part of them that has light", purity)
        for levels, part in zip(LEVELS, completeness, strict=True):
            bars.note(f"  part of the stars of S/N {levels[0]:g}-{levels[1]:g} found", part)
        bars.check("  CPU seconds", seconds, high=MAX_CPU_SECONDS)
        bars.check("  factor on the threshold", factor, high=1.0)
    bars.judge()
