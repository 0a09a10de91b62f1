"""Tests of skyloom.algorithms.detection."""

from statistics import NormalDist

import numpy as np
import pytest

from skyloom.algorithms.detection import Detections, detect
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.psf import PixelPsf, gaussian_kernel

SIGMA = 1.6


def noise_image(rng, shape, sigma=2.0):
    return MaskedImage(
        rng.normal(0, sigma, shape).astype(np.float32),
        np.zeros(shape, dtype=np.uint32),
        np.full(shape, sigma**2, dtype=np.float32),
    )


def with_gaussians(pixels, x, y, flux, sigma=SIGMA):
    image = pixels.image.astype(np.float64)
    for star in zip(x, y, flux, strict=True):
        first_x, first_y = max(int(star[0]) - 12, 0), max(int(star[1]) - 12, 0)
        part = image[first_y : first_y + 25, first_x : first_x + 25]
        rows, columns = np.mgrid[first_y : first_y + part.shape[0], first_x : first_x + part.shape[1]]
        profile = np.exp(-((columns - star[0]) ** 2 + (rows - star[1]) ** 2) / 2 / sigma**2)
        part += star[2] * profile / (2 * np.pi * sigma**2)
    return MaskedImage(image.astype(np.float32), pixels.mask, pixels.variance)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("signal_to_noise", [5.0, 7.0])
def test_completeness_is_that_of_the_perfect_matched_filter(seed, signal_to_noise):
    rng = np.random.default_rng(seed)
    n = 20
    x, y = (
        grid.ravel() * 24.0 + rng.uniform(11.5, 12.5, n * n)
        for grid in np.meshgrid(np.arange(n), np.arange(n))
    )
    flux = np.full(n * n, signal_to_noise * 2.0 * np.sqrt(4 * np.pi * SIGMA**2))
    pixels = with_gaussians(noise_image(rng, (n * 24, n * 24)), x, y, flux)

    found = detect(pixels, gaussian_kernel(SIGMA, 15), 5.0)

    distance = np.hypot(found.x[:, None] - x, found.y[:, None] - y).min(axis=0)
    expected = NormalDist().cdf(signal_to_noise - 5)
    error = 4 * np.sqrt(expected * (1 - expected) / n**2)
    assert np.mean(distance < 3) == pytest.approx(expected, abs=error)


@pytest.mark.parametrize("sigma", [0.85, 1.2, 2.5])
def test_a_significance_is_the_signal_to_noise_wherever_a_star_lies_in_its_pixel(sigma):
    rng = np.random.default_rng(4)
    n, signal_to_noise = 20, 12.0
    x, y = (
        grid.ravel() * 32.0 + rng.uniform(15.5, 16.5, n * n)
        for grid in np.meshgrid(np.arange(n), np.arange(n))
    )
    flux = np.full(n * n, signal_to_noise * 2.0 * np.sqrt(4 * np.pi * sigma**2))
    pixels = with_gaussians(noise_image(rng, (n * 32, n * 32)), x, y, flux, sigma)

    found = detect(pixels, gaussian_kernel(sigma, 21), 7.0)

    assert len(found) == n * n
    # 0.01 of it is lost by the pixels' own sum of squares and by interpolation at a FWHM of 2 pixels.
    assert found.significance.mean() == pytest.approx(signal_to_noise, abs=4 / n + 0.01 * signal_to_noise)
    assert found.significance.std() == pytest.approx(1.0, abs=4 / np.sqrt(2) / n + 0.05)


def test_footprints_without_a_significant_peak_are_none():
    pixels = with_gaussians(noise_image(np.random.default_rng(6), (80, 80), 0.01), [20, 60], [30, 50], [1, 1])
    scale = 4.6 / detect(pixels, gaussian_kernel(SIGMA, 13), 5.0).significance.min()
    pixels = with_gaussians(
        noise_image(np.random.default_rng(6), (80, 80), 0.01), [20, 60], [30, 50], [scale, 2 * scale]
    )

    found = detect(pixels, gaussian_kernel(SIGMA, 13), 5.0)

    assert len(found) == 1
    assert (found.footprint.tolist(), found.n_peak.tolist()) == ([0], [1])
    assert np.unique(found.labels).tolist() == [0, 1]
    assert found.labels[50, 60] == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_alone_gives_next_to_nothing(seed):
    pixels = noise_image(np.random.default_rng(seed), (512, 512))

    # 512^2 / 32 independent points above 5 sigma on either side: 0.005 expected.
    assert len(detect(pixels, gaussian_kernel(SIGMA, 13), 5.0, "both")) <= 1


def test_both_signs_are_found_and_carry_their_sign():
    pixels = with_gaussians(noise_image(np.random.default_rng(3), (80, 80)), [20, 60], [30, 50], [600, -900])

    found = detect(pixels, gaussian_kernel(SIGMA, 13), 5.0, "both")

    assert np.sign(found.significance).tolist() == [-1, 1]
    assert found.x == pytest.approx([60, 20], abs=0.5)
    assert found.labels[50, 60] - 1 == found.footprint[0]
    assert found.detected_mask(1.0, "negative")[50, 60]
    assert not found.detected_mask(1.0)[50, 60]
    only_negative = detect(pixels, gaussian_kernel(SIGMA, 13), 5.0, "negative")
    assert only_negative.significance.tolist() == found.significance[:1].tolist()


def test_companions_are_separate_peaks_of_one_footprint():
    pixels = with_gaussians(noise_image(np.random.default_rng(4), (80, 80)), [30, 38], [40, 40], [4000, 2000])

    found = detect(pixels, gaussian_kernel(SIGMA, 13), 5.0)

    assert found.x == pytest.approx([30, 38], abs=0.5)
    assert found.n_peak.tolist() == [2, 2]


def test_a_dead_column_through_a_star_leaves_one_peak():
    pixels = with_gaussians(noise_image(np.random.default_rng(5), (80, 80)), [40.3], [40.0], [5000])
    pixels.image[:, 41] = -200
    pixels.mask[:, 41] = mask_planes.BAD

    found = detect(pixels, gaussian_kernel(SIGMA, 13), 5.0)

    assert len(found) == 1
    assert found.x[0] == pytest.approx(40.3, abs=1.0)


def test_an_image_without_good_pixels_has_no_sources():
    pixels = noise_image(np.random.default_rng(7), (30, 30))
    pixels.mask[:] = mask_planes.NO_DATA

    found = detect(pixels, gaussian_kernel(SIGMA, 13), 5.0)

    assert len(found) == 0
    assert not found.detected_mask(3.0).any()


def test_a_varying_psf_is_taken_at_the_centre():
    kernel = gaussian_kernel(SIGMA, 13)
    psf = PixelPsf(np.stack([kernel, 0 * kernel, 0 * kernel]).astype(np.float32), 1, (0, 59, 0, 59))
    pixels = with_gaussians(noise_image(np.random.default_rng(8), (60, 60)), [30], [30], [900])

    assert detect(pixels, psf).significance == pytest.approx(detect(pixels, kernel).significance, rel=1e-5)


def test_selected_detections_keep_their_footprints():
    labels = np.array([[0, 1, 2]], dtype=np.int32)
    both = Detections(np.r_[1.0, 2], np.zeros(2), np.r_[9.0, 8], np.r_[0, 1], np.ones(2), labels)

    assert both.select(np.r_[False, True]).detected_mask(0.0).tolist() == [[False, False, True]]


def test_an_unknown_polarity_is_named():
    pixels = noise_image(np.random.default_rng(9), (30, 30))

    with pytest.raises(ValueError, match="polarity 'up'"):
        detect(pixels, gaussian_kernel(SIGMA, 13), 5.0, "up")
