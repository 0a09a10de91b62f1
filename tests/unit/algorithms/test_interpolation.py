"""Tests of skyloom.algorithms.interpolation."""

import numpy as np
import pytest

from skyloom.algorithms.interpolation import interpolate_pixels
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage

SHAPE = (32, 32)
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]]


def star(x, y, flux, sigma):
    return flux * np.exp(-((X - x) ** 2 + (Y - y) ** 2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)


def masked(image, variance):
    image = np.asarray(image, dtype=np.float32)
    return MaskedImage(image, np.zeros(image.shape, np.uint32), np.full(image.shape, variance, np.float32))


@pytest.mark.kernels
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_holes_in_the_sky_get_the_sky_with_its_noise_averaged(seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(100, 10, SHAPE)
    hole = np.zeros(SHAPE, bool)
    hole[4:28:6, 4:28:6] = True
    hole[10:12, 22] = True
    image[hole] = 1e6

    filled = interpolate_pixels(masked(image, 100), hole, 1.3)

    errors = filled.image[hole] - 100
    assert np.abs(errors).max() < 5 * 10 / np.sqrt(8)
    assert errors.mean() == pytest.approx(0, abs=4 * 10 / np.sqrt(16 * hole.sum()))
    assert (filled.mask[hole] == mask_planes.INTRP).all()
    assert not filled.mask[~hole].any()
    np.testing.assert_array_equal(filled.image[~hole], image[~hole].astype(np.float32))
    assert (filled.variance[hole] > 99).all()


@pytest.mark.kernels
@pytest.mark.parametrize("sigma", [1.28, 2.0])
def test_a_hole_in_the_core_of_a_star_follows_the_psf(sigma):
    truth = star(15.3, 15.8, 10_000, sigma)
    image = truth.copy()
    hole = np.zeros(SHAPE, bool)
    hole[15, 15] = hole[16, 15] = True
    image[hole] = -1

    filled = interpolate_pixels(masked(image, 1), hole, sigma)

    # A straight line between the neighbours is 27 % low at 1.28 pixel.
    np.testing.assert_allclose(filled.image[hole], truth[hole], rtol=0.04)


@pytest.mark.kernels
def test_the_stated_variance_of_a_hole_covers_its_error():
    pulls = []
    hole = np.zeros(SHAPE, bool)
    hole[15:17, 15] = True
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = 50 + star(15 + rng.uniform(-3, 3), 15 + rng.uniform(-3, 3), 5_000, 1.3)
        image = truth + rng.normal(0, 8, SHAPE)
        image[hole] = 0
        filled = interpolate_pixels(masked(image, 64), hole, 1.3)
        pulls.extend((filled.image[hole] - truth[hole]) / np.sqrt(filled.variance[hole]))
    # The noise that the pixel itself would have had is in the variance but not in this difference.
    assert np.std(pulls) < 1.0
    assert abs(np.mean(pulls)) < 0.5


@pytest.mark.kernels
def test_bad_neighbours_do_not_speak():
    image = np.full(SHAPE, 10.0)
    pixels = masked(image, 1)
    hole = np.zeros(SHAPE, bool)
    hole[16, 16] = True
    pixels.image[15, 15:18] = 1e6
    pixels.mask[15, 15] = mask_planes.BAD
    pixels.mask[15, 16] = mask_planes.SAT
    pixels.mask[15, 17] = mask_planes.NO_DATA
    pixels.image[17, 17] = np.nan

    assert interpolate_pixels(pixels, hole, 1.3).image[16, 16] == pytest.approx(10.0)


@pytest.mark.kernels
def test_the_middle_of_a_wide_hole_stays_as_it_is():
    image = np.full(SHAPE, 10.0)
    hole = np.zeros(SHAPE, bool)
    hole[8:24, 8:24] = True
    image[hole] = 77

    filled = interpolate_pixels(masked(image, 1), hole, 1.3)

    assert (filled.image[16, 16], filled.mask[16, 16]) == (77, 0)
    assert filled.image[8, 8] == pytest.approx(10)
    assert filled.mask[8, 8] == mask_planes.INTRP
    # Within reach of the rim of the hole in both directions: 4 pixels.
    assert (filled.mask[12:20, 12:20] == 0).all()


@pytest.mark.kernels
def test_corners_and_images_without_a_good_pixel_are_no_trouble():
    hole = np.zeros((3, 3), bool)
    hole[0, 0] = True
    assert interpolate_pixels(masked(np.ones((3, 3)), 1), hole, 1.3).image[0, 0] == 1
    everything = interpolate_pixels(masked(np.ones((3, 3)), 1), np.ones((3, 3), bool), 1.3)
    assert not everything.mask.any()
    pair = np.array([[True, False]])
    assert interpolate_pixels(masked([[9.0, 2.0]], 1), pair, 1.3).image[0, 0] == 2


def test_the_order_of_the_holes_does_not_matter():
    rng = np.random.default_rng(5)
    image = rng.normal(0, 10, SHAPE) + star(16, 16, 5_000, 1.3)
    hole = rng.random(SHAPE) < 0.2

    upright = interpolate_pixels(masked(image, 100), hole, 1.3).image
    turned = interpolate_pixels(masked(image[::-1, ::-1], 100), hole[::-1, ::-1], 1.3).image[::-1, ::-1]

    np.testing.assert_allclose(upright, turned, rtol=1e-4, atol=1e-3)
