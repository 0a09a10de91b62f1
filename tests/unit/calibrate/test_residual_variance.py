"""Tests of skyloom.calibrate.residual_variance."""

import numpy as np
import pytest

from skyloom.algorithms.matched_filter import power_at
from skyloom.algorithms.photometry import PsfPhotometry
from skyloom.calibrate.residual_variance import MODEL_ERROR, residual_variance
from skyloom.core.images import MaskedImage
from skyloom.core.psf import PixelPsf, gaussian_kernel

SHAPE, HALF = (1100, 830), 7


def fit_of(stars):
    """Fits of stars (x, y, flux), all of them good enough to have made the PSF."""
    x, y, flux = np.array(stars, dtype=np.float64).T
    ones = np.ones(len(x))
    return PsfPhotometry(flux, flux / 1000, x, y, *(0.01 * ones,) * 2, 0 * ones, ones, ones, ones)


@pytest.fixture
def psf():
    """PSF whose light is cut off where it is still visible."""
    return PixelPsf(
        gaussian_kernel(3.0, 2 * HALF + 1)[None].astype(np.float32), 0, (-0.5, 829.5, -0.5, 1099.5)
    )


@pytest.fixture
def images():
    rng = np.random.default_rng(3)
    variance = rng.uniform(90, 110, SHAPE).astype(np.float32)
    light = rng.uniform(0, 50, SHAPE).astype(np.float32)
    return MaskedImage(light.copy(), np.zeros(SHAPE, dtype=np.uint32), variance), light


def whole(variance):
    return variance.in_part((slice(0, SHAPE[0]), slice(0, SHAPE[1])))


def test_noise_has_the_power_of_its_tile_and_errors_of_the_light_have_not(psf, images):
    power = np.array([[1.0, 1.3], [2.0, 1.1]])
    variance = residual_variance(images, psf, fit_of([(100, 100, 1.0)]), power)

    pixels, light = images
    for part in ((slice(20, 60), slice(30, 90)), (slice(700, 760), slice(500, 560))):
        own = power_at(power, SHAPE, (part[0].start + part[0].stop) // 2, (part[1].start + part[1].stop) // 2)
        expected = own * pixels.variance[part] + (MODEL_ERROR * light[part]) ** 2
        np.testing.assert_allclose(variance.in_part(part), expected, rtol=1e-5)


def test_below_a_bright_star_the_variance_grows_and_beyond_its_image_nothing_is_known(psf, images):
    x, y, flux = 400, 600, 1e6
    variance = whole(residual_variance(images, psf, fit_of([(x, y, flux)]), 1.0))

    without = whole(residual_variance(images, psf, fit_of([(10, 10, 1.0)]), 1.0))
    inner = slice(y - HALF, y + HALF + 1), slice(x - HALF, x + HALF + 1)
    # The one star made the PSF alone: its noise is once more that of the pixels.
    np.testing.assert_allclose(variance[inner], 2 * without[inner], rtol=1e-5)
    is_endless = np.zeros(SHAPE, dtype=bool)
    is_endless[y - 2 * HALF : y + 2 * HALF + 1, x - 2 * HALF : x + 2 * HALF + 1] = True
    is_endless[inner] = False
    np.testing.assert_array_equal(np.isinf(variance), is_endless)


def test_parts_are_those_of_the_whole_whatever_star_lies_across_their_rims(psf, images):
    stars = [
        (0, 0, 2e6),
        (829, 1099, 1e6),
        (414, 550, 3e6),
        (420, 553, 1e6),
        (100, -3, 1e6),
        (300, 549.6, 2e5),
    ]
    variance = residual_variance(images, psf, fit_of(stars), 1.0)

    expected = whole(variance)
    assert np.isinf(expected).any()
    rng = np.random.default_rng(5)
    for _ in range(50):
        edges = [np.sort(rng.choice(length + 1, 2, replace=False)) for length in SHAPE]
        part = tuple(slice(int(first), int(last)) for first, last in edges)
        np.testing.assert_array_equal(variance.in_part(part), expected[part])
    beside = (slice(550, 700), slice(415, 500))
    np.testing.assert_array_equal(variance.in_part(beside), expected[beside])
