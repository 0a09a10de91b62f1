"""Tests of skyloom.algorithms.residual_filter."""

import numpy as np
import pytest

from skyloom.algorithms.matched_filter import significance_image
from skyloom.algorithms.residual_filter import filtered_at, maxima_above, residual_significance
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.psf import PixelPsf, gaussian_kernel

SHAPE = (150, 170)
EXCLUDED, UNUSABLE = int(mask_planes.CR), int(mask_planes.INTRP)
BITS = (EXCLUDED, UNUSABLE)


@pytest.fixture
def psf():
    image = gaussian_kernel(1.7, 25)[None].astype(np.float32)
    return PixelPsf(image, 0, (-0.5, SHAPE[1] - 0.5, -0.5, SHAPE[0] - 0.5))


@pytest.fixture
def images():
    rng = np.random.default_rng(8)
    variance = rng.uniform(50, 150, SHAPE).astype(np.float32)
    light = rng.uniform(0, 300, SHAPE).astype(np.float32)
    image = (light + rng.normal(0, np.sqrt(variance))).astype(np.float32)
    mask = np.zeros(SHAPE, dtype=np.uint32)
    mask[40:44, 60:80] = mask_planes.CR
    mask[90, 20:30] = mask_planes.CR | mask_planes.INTRP
    return MaskedImage(image, mask, variance), light


def test_chosen_pixels_have_the_significance_of_the_whole_image(images, psf):
    pixels, light = images
    left = MaskedImage(
        np.where(pixels.is_masked(UNUSABLE), 0, pixels.image - light), pixels.mask, pixels.variance
    )
    wanted = np.random.default_rng(9).random(SHAPE) < 0.2

    found = residual_significance((pixels, light), psf, wanted, BITS, pixels.variance.__getitem__)

    # The whole image is filtered by the PSF's largest singular vectors: beside a large defect they differ most.
    whole = significance_image(left, psf, EXCLUDED)
    np.testing.assert_allclose(found, whole[wanted], atol=0.02)
    assert (whole[wanted] == 0).any()


def test_an_endless_variance_carries_no_information(images, psf):
    pixels, light = images
    variance = pixels.variance.copy()
    variance[70:130, 70:130] = np.inf

    found = residual_significance((pixels, light), psf, np.ones(SHAPE, bool), BITS, variance.__getitem__)

    assert not found.reshape(SHAPE)[85:115, 85:115].any()
    assert np.isfinite(found).all()


def test_where_nothing_carries_information_nothing_is_significant(images, psf):
    pixels, light = images
    masked = MaskedImage(pixels.image, np.full_like(pixels.mask, mask_planes.CR), pixels.variance)

    found = residual_significance(
        (masked, light), psf, np.ones(SHAPE, bool), BITS, masked.variance.__getitem__
    )

    assert not found.any()


@pytest.mark.kernels
def test_a_point_source_on_a_small_image_has_the_significance_of_the_matched_filter():
    kernel = gaussian_kernel(1.2, 9)
    psf = PixelPsf(kernel[None].astype(np.float32), 0, (-0.5, 29.5, -0.5, 31.5))
    image = np.zeros((32, 30), dtype=np.float32)
    image[12:21, 10:19] = 500 * kernel
    pixels = MaskedImage(image, np.zeros((32, 30), dtype=np.uint32), np.full((32, 30), 4, dtype=np.float32))
    wanted = np.zeros((32, 30), dtype=bool)
    wanted[16, 14] = wanted[0, 0] = True

    found = residual_significance(
        (pixels, np.zeros_like(image)), psf, wanted, BITS, pixels.variance.__getitem__
    )

    assert found == pytest.approx([0, 500 * np.sqrt(np.sum(kernel**2)) / 2], rel=1e-3)


@pytest.mark.kernels
def test_maxima_are_found_at_the_edge_and_on_a_flat_top():
    values = np.zeros((5, 6), dtype=np.float32)
    values[0, 0], values[2, 2:4], values[4, 5] = 3.0, 2.0, 0.5

    assert maxima_above(values, 1.0).tolist() == [0, 14, 15]


@pytest.mark.kernels
def test_light_at_places_is_weighted_by_their_psfs_up_to_the_edge_and_beyond():
    rng = np.random.default_rng(4)
    light = rng.uniform(0, 9, (40, 30)).astype(np.float32)
    variance = rng.uniform(1, 2, (40, 30)).astype(np.float32)
    kernel = gaussian_kernel(1.2, 9)
    rows, columns = np.array([20, 1, 39]), np.array([15, 28, 0])

    found = filtered_at((light, variance), np.repeat(kernel[None], 3, axis=0), (rows, columns))

    padded, noise = (np.pad(plane.astype(np.float64), 4, mode="edge") for plane in (light, variance))
    for row, column, value in zip(rows, columns, found, strict=True):
        box = slice(row, row + 9), slice(column, column + 9)
        expected = np.sum(kernel * padded[box]) / np.sqrt(np.sum(kernel**2 * noise[box]))
        assert value == pytest.approx(expected, rel=1e-6)


@pytest.mark.kernels
def test_where_there_is_no_variance_nothing_is_known():
    zeros = np.zeros((9, 9), dtype=np.float32)

    assert np.isnan(filtered_at((zeros + 1, zeros), np.ones((1, 3, 3)), (np.array([4]), np.array([4])))).all()
