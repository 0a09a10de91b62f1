"""Tests of skyloom.algorithms.excess_noise."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, maximum_filter

from skyloom.algorithms.detection import Detections, DetectionSettings, find_sources
from skyloom.algorithms.excess_noise import (
    MAX_FALSE_PART,
    QUANTILE_ERROR,
    expected_peaks,
    sky_noise,
    threshold_factors,
)

SIGMA = 1.8
AREA = 4 * np.pi * SIGMA**2
THRESHOLD = 5.0


def filtered_noise(seed, shape=(512, 512)):
    """White noise through the matched filter of a Gaussian PSF, of scatter 1."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(0, 1, shape), SIGMA, mode="wrap")
    return (noise * np.sqrt(AREA)).astype(np.float32)


def standard_error(n_pixel):
    """Relative error of the noise from the negative half of so many pixels."""
    return QUANTILE_ERROR / np.sqrt(n_pixel / 2 / AREA)


def detections_of(significance, threshold=THRESHOLD):
    return find_sources(significance, threshold, DetectionSettings())


def factors_of(significance, detections=None, largest=4.0):
    found = detections_of(significance) if detections is None else detections
    return threshold_factors(significance, found, THRESHOLD, AREA, largest)


def detections_at(x, y, significance, shape):
    n = len(x)
    ones = np.ones(n, dtype=np.int32)
    labels = np.zeros(shape, dtype=np.int32)
    return Detections(x, y, significance, np.arange(n, dtype=np.int32), ones, labels)


@pytest.mark.parametrize("seed", range(8))
def test_noise_that_is_that_of_the_variance_leaves_the_threshold_exactly(seed):
    assert sky_noise(filtered_noise(seed), AREA)[0] == 1.0
    assert np.all(factors_of(filtered_noise(seed, (1024, 512))) == 1.0)


@pytest.mark.parametrize("true", [0.8, 1.2, 1.7])
def test_only_more_noise_than_the_variance_says_counts_and_as_it_is(true):
    measured = [sky_noise(np.float32(true) * filtered_noise(seed), AREA)[0] for seed in range(6)]

    error = standard_error(512**2)
    assert measured == pytest.approx([max(true, 1.0)] * 6, rel=4 * error)
    assert np.mean(measured) == pytest.approx(max(true, 1.0), rel=4 * error / np.sqrt(6))


def test_light_on_most_of_the_image_is_no_noise():
    light = np.zeros((512, 512), dtype=np.float32)
    light[:340] = np.random.default_rng(1).exponential(20, (340, 512))
    significance = np.float32(1.4) * filtered_noise(2) + light

    noise, n_sky = sky_noise(significance, AREA)

    assert noise == pytest.approx(1.4, rel=5 * standard_error(172 * 512))
    assert n_sky == pytest.approx(172 * 512, rel=0.15)


def test_too_little_sky_tells_nothing():
    significance = np.full((512, 512), 3, dtype=np.float32)
    significance[:20, :20] = -5

    assert sky_noise(significance, AREA)[0] == 1.0
    assert sky_noise(np.zeros((64, 64), dtype=np.float32), AREA) == (1.0, 0.0)


def test_peaks_of_noise_are_as_many_as_expected():
    images = [filtered_noise(seed, (1024, 1024)) for seed in range(4)]
    peaks = np.concatenate([image[image == maximum_filter(image, 3)] for image in images])

    for height in (3.5, 4.0):
        expected = expected_peaks(height, 4 * 1024**2 / AREA)
        # A maximum on pixels misses up to 1 - exp(-0.25 / (4 sigma^2)) of its height: 2 % here.
        least = expected_peaks(1.02 * height, 4 * 1024**2 / AREA)
        n = np.count_nonzero(peaks > height)
        assert least - 4 * np.sqrt(least) < n < 1.05 * expected + 4 * np.sqrt(expected)


def test_without_sources_the_threshold_rises_with_the_noise():
    significance = np.float32(1.5) * filtered_noise(3)

    factor = factors_of(significance).item()

    assert factor == pytest.approx(1.5, rel=4 * standard_error(512**2))
    assert len(detections_of(significance)) > 10
    assert len(detections_of(significance / np.float32(factor))) <= 1


def test_among_many_sources_false_ones_that_do_not_show_are_let_through():
    significance = np.float32(1.5) * filtered_noise(3)
    rng = np.random.default_rng(5)
    factors = []
    for n in (0, 1000, 10_000, 1_000_000):
        bright = rng.uniform(30, 100, n)
        found = detections_at(*rng.uniform(0, 511, (2, n)), bright, significance.shape)
        factors.append(factors_of(significance, found).item())

    assert np.all(np.diff(factors) < 0)
    assert factors[-1] == 1.0
    noise = sky_noise(significance, AREA)[0]
    n_false = expected_peaks(np.array(factors) * np.sqrt(27) / noise, 512**2 / AREA)
    assert np.all(n_false[1:3] < 1.05 * MAX_FALSE_PART * np.array([1000, 10_000]) + 0.05)


def test_a_noisy_half_does_not_raise_the_threshold_of_the_other():
    significance = filtered_noise(6, (512, 1024))
    significance[:, 512:] *= np.float32(1.6)

    quiet, noisy = factors_of(significance)[0]

    assert quiet == 1.0
    assert noisy > 1.4


def test_a_bound_holds_and_1_keeps_the_threshold():
    significance = np.float32(3) * filtered_noise(7)

    assert factors_of(significance, largest=2.0).item() == 2.0
    assert factors_of(significance, largest=1.0).item() == 1.0
