"""Tests of skyloom.algorithms.windowed_centroid."""

import numpy as np
import pytest

from skyloom.algorithms.windowed_centroid import windowed_centroids
from skyloom.core.images import MaskedImage

STEP = 40


def scene(rng, sigma, flux, n=20, elongation=1.0, noise=5.0):
    """Gaussians (turned by 30 degrees) on a grid, their places, and pixels with photon noise."""
    x, y = (grid.ravel() * STEP + STEP / 2 for grid in np.meshgrid(np.arange(n), np.arange(n)))
    x, y = x + rng.uniform(-0.5, 0.5, n * n), y + rng.uniform(-0.5, 0.5, n * n)
    light = np.zeros((n * STEP, n * STEP))
    cosine, sine = np.cos(np.pi / 6), np.sin(np.pi / 6)
    for a, b in zip(x, y, strict=True):
        row, column = int(b // STEP) * STEP, int(a // STEP) * STEP
        rows, columns = np.mgrid[row : row + STEP, column : column + STEP]
        along = (columns - a) * cosine + (rows - b) * sine
        across = -(columns - a) * sine + (rows - b) * cosine
        square = (along / (sigma * elongation)) ** 2 + (across / sigma) ** 2
        light[row : row + STEP, column : column + STEP] = (
            flux * np.exp(-square / 2) / (2 * np.pi * sigma**2 * elongation)
        )
    variance = light + noise**2
    image = light + rng.standard_normal(light.shape) * np.sqrt(variance)
    mask = np.zeros(light.shape, np.uint32)
    return x, y, MaskedImage(image.astype(np.float32), mask, variance.astype(np.float32))


@pytest.mark.parametrize(("sigma", "window"), [(1.0, 1.0), (2.0, 2.0), (2.0, 3.0), (2.0, 1.5)])
def test_centroids_of_gaussians_are_unbiased_with_right_errors(sigma, window):
    rng = np.random.default_rng(5)
    x, y, pixels = scene(rng, sigma, 4000.0)

    found = windowed_centroids(pixels, np.rint(x), np.rint(y), np.full(len(x), window))

    pulls = np.r_[(found[0] - x) / found[2], (found[1] - y) / found[3]]
    assert np.isfinite(found).all()
    assert abs(pulls.mean()) < 4 / np.sqrt(len(pulls))
    assert pulls.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * len(pulls)))


def test_a_matched_window_reaches_the_limit_of_gaussians():
    rng = np.random.default_rng(6)
    sigma, flux, noise = 2.0, 4000.0, 30.0
    x, y, pixels = scene(rng, sigma, flux, noise=noise)

    found = windowed_centroids(pixels, x, y, np.full(len(x), sigma))

    # White noise: sigma_x = 2 sqrt(2 pi) sigma^2 noise / flux, here a tenth more by the source's own photons.
    limit = np.sqrt(8 * np.pi) * sigma**2 * noise / flux
    assert np.median(found[2]) == pytest.approx(limit, rel=0.12)
    assert np.std(found[0] - x) < 1.3 * limit


def test_covariances_of_elongated_sources_are_right():
    rng = np.random.default_rng(7)
    x, y, pixels = scene(rng, 1.6, 20_000.0, elongation=2.0)

    found = windowed_centroids(pixels, x, y, np.full(len(x), 1.6 * np.sqrt(2)))

    measured = np.cov(found[0] - x, found[1] - y)
    assert np.mean(found[4]) == pytest.approx(measured[0, 1], rel=0.5)
    assert np.mean(found[2] ** 2) == pytest.approx(measured[0, 0], rel=4 * np.sqrt(2 / len(x)))
    assert measured[0, 1] > 0


def test_centroids_that_leave_or_are_cut_are_nan():
    pixels = MaskedImage(
        np.zeros((60, 60), np.float32), np.zeros((60, 60), np.uint32), np.ones((60, 60), np.float32)
    )
    rows, columns = np.mgrid[:60, :60]
    pixels.image[:] = 500 * np.exp(-((columns - 40) ** 2 + (rows - 30) ** 2) / 2 / 2.5**2)

    found = windowed_centroids(
        pixels, np.r_[31.0, 3.0, np.nan, 40.5, 15.0], np.r_[30.0, 30.0, 30.0, 30.5, 15.0], np.full(5, 2.0)
    )

    assert np.isfinite(found[0]).tolist() == [False, False, False, True, False]
    assert found[:2, 3] == pytest.approx([40, 30], abs=1e-3)


@pytest.mark.kernels
def test_the_kernel_finds_one_source_of_a_small_image_and_gives_up_others():
    rows, columns = np.mgrid[:24, :24]
    image = (900 * np.exp(-((columns - 12.3) ** 2 + (rows - 11.8) ** 2) / 4)).astype(np.float32)
    pixels = MaskedImage(image, np.zeros((24, 24), np.uint32), np.ones((24, 24), np.float32))
    dark = MaskedImage(-image, pixels.mask, pixels.variance)
    places = np.r_[12.0, 1.0, np.nan, 6.6], np.r_[12.0, 12.0, 12.0, 12.0]

    found = windowed_centroids(pixels, *places, np.full(4, 1.4))

    assert np.isfinite(found[0]).tolist() == [True, False, False, False]
    assert found[:2, 0] == pytest.approx([12.3, 11.8], abs=1e-3)
    assert np.isnan(windowed_centroids(dark, *places, np.full(4, 1.4))).all()
