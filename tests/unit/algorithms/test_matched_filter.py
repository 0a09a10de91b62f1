"""Tests of skyloom.algorithms.matched_filter."""

import numpy as np
import pytest
from scipy import ndimage

from skyloom.algorithms.matched_filter import significance_image, tile_spans
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.psf import CellPsf, PixelPsf, gaussian_kernel

SIGMA = 1.5
EXCLUDED = mask_planes.bits("NO_DATA", "BAD", "CR")


def noise_image(rng, shape, sigma=2.0):
    return MaskedImage(
        rng.normal(0, sigma, shape).astype(np.float32),
        np.zeros(shape, dtype=np.uint32),
        np.full(shape, sigma**2, dtype=np.float32),
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_significance_of_noise_has_unit_variance_up_to_the_edges(seed):
    pixels = noise_image(np.random.default_rng(seed), (200, 200))

    significance = significance_image(pixels, gaussian_kernel(SIGMA, 13), EXCLUDED)

    n_independent = 200 * 200 / (4 * np.pi * SIGMA**2 * 2)
    assert significance.var() == pytest.approx(1, abs=4 * np.sqrt(2 / n_independent))
    assert significance[:3].var() == pytest.approx(1, abs=4 * np.sqrt(2 / (n_independent * 3 / 200)))


def test_significance_of_a_star_is_its_flux_over_the_error_of_the_matched_filter():
    empty = MaskedImage(
        np.zeros((41, 41), dtype=np.float32),
        np.zeros((41, 41), dtype=np.uint32),
        np.full((41, 41), 4.0, dtype=np.float32),
    )
    kernel = gaussian_kernel(SIGMA, 21)
    pixels = MaskedImage((1000 * np.pad(kernel, 10)).astype(np.float32), empty.mask, empty.variance)

    significance = significance_image(pixels, kernel, EXCLUDED)

    assert significance[20, 20] == pytest.approx(1000 / (2 / np.sqrt(np.sum(kernel**2))), rel=1e-4)
    correlated = significance_image(pixels, kernel, EXCLUDED, noise_correlation=4.0)
    assert correlated[20, 20] == pytest.approx(significance[20, 20] / 2, rel=1e-4)


def test_pixels_without_data_or_number_have_no_significance():
    pixels = noise_image(np.random.default_rng(6), (60, 60))
    pixels.image[:, :20] = np.nan
    pixels.image[:, 20:30] = 1e5
    pixels.mask[:, 20:30] = mask_planes.NO_DATA

    significance = significance_image(pixels, gaussian_kernel(SIGMA, 13), EXCLUDED)

    assert np.all(significance[:, :25] == 0)
    assert np.abs(significance).max() < 6


def moffat(fwhm, e1=0.0, size=31):
    y, x = np.mgrid[:size, :size] - size // 2
    alpha = fwhm / (2 * np.sqrt(2 ** (1 / 2.5) - 1))
    profile = (1 + ((1 - e1) * x**2 + (1 + e1) * y**2 + 0.2 * e1 * x * y) / alpha**2) ** -2.5
    return profile / profile.sum()


@pytest.mark.parametrize(("fwhm", "e1"), [(1.6, 0.0), (3.5, 0.15), (6.0, -0.1)])
def test_the_products_of_rows_and_columns_lose_nothing_of_the_signal_to_noise(fwhm, e1):
    rng = np.random.default_rng(8)
    psf = moffat(fwhm, e1)
    variance = rng.uniform(4, 9, (90, 120)).astype(np.float32)
    image = np.sqrt(variance) * rng.normal(size=variance.shape).astype(np.float32)
    image[30:61, 45:76] += 600 * psf
    mask = np.zeros(image.shape, dtype=np.uint32)
    mask[10:13, 20:40] = mask_planes.BAD
    mask[60:70, 5:9] = mask_planes.bits("BAD", "INTRP")

    significance = significance_image(MaskedImage(image, mask, variance), psf, EXCLUDED)

    good = mask != mask_planes.BAD
    exact = ndimage.correlate(np.where(good, image, 0.0), psf, mode="constant")
    exact /= np.sqrt(ndimage.correlate(np.where(good, variance, 0.0), psf**2, mode="constant"))
    covered = significance != 0
    assert covered[45, 60]
    assert covered.mean() > 0.99
    # The faint rim that is cut off holds a few per cent of the light and nothing of the signal to noise.
    assert np.std((significance - exact)[covered & (np.abs(exact) < 5)]) < 0.05
    assert significance[45, 60] == pytest.approx(exact[45, 60], rel=2e-3)


def test_each_part_of_the_image_has_its_own_psf():
    sharp, wide = gaussian_kernel(1.2, 21), gaussian_kernel(2.4, 21)
    coefficients = np.stack([(sharp + wide) / 2, (wide - sharp) / 2, np.zeros_like(sharp)]).astype(np.float32)
    psf = PixelPsf(coefficients, 1, (-0.5, 2047.5, -0.5, 99.5))
    image = np.zeros((100, 2048), dtype=np.float32)
    for x in (256, 1792):
        image[40:61, x - 10 : x + 11] += 1000 * psf.kernel_at(x, 50)
    pixels = MaskedImage(image, np.zeros(image.shape, np.uint32), np.full(image.shape, 4, np.float32))

    significance = significance_image(pixels, psf, EXCLUDED)

    for x in (256, 1792):
        best = 1000 * np.sqrt(np.sum(psf.kernel_at(x, 50) ** 2)) / 2
        assert significance[50, x] == pytest.approx(best, rel=0.01)
    at_centre = significance_image(pixels, psf.kernel_at(1024, 50), EXCLUDED)
    assert at_centre[50, 256] < 0.99 * significance[50, 256]


def test_cells_without_a_psf_have_no_significance():
    images = np.stack([gaussian_kernel(1.5, 15), np.full((15, 15), np.nan)])[None].astype(np.float32)
    pixels = noise_image(np.random.default_rng(9), (512, 1024))

    significance = significance_image(pixels, CellPsf(images, 512), EXCLUDED)

    assert significance[:, :500].std() == pytest.approx(1, abs=0.02)
    assert (significance[:, 512:] == 0).all()


def test_a_strip_of_cells_at_the_edge_of_the_data_has_its_stars():
    images = np.full((16, 16, 15, 15), np.nan, dtype=np.float32)
    images[:, :9] = gaussian_kernel(1.5, 15)  # 64 pixels into the second tile
    pixels = noise_image(np.random.default_rng(10), (1024, 1024), sigma=1.0)
    pixels.mask[:, 576:] = mask_planes.NO_DATA
    pixels.image[493:508, 537:552] += 300 * gaussian_kernel(1.5, 15).astype(np.float32)

    significance = significance_image(pixels, CellPsf(images, 64), EXCLUDED)

    assert significance[500, 544] == pytest.approx(
        300 * np.sqrt(np.sum(gaussian_kernel(1.5, 15) ** 2)), abs=4
    )
    assert significance[:, 520:560].std() == pytest.approx(1, abs=0.5)


def test_each_tile_can_have_its_own_noise_power():
    shape = (700, 1000)
    pixels = noise_image(np.random.default_rng(8), shape)
    psf = PixelPsf(gaussian_kernel(SIGMA, 13)[None].astype(np.float32), 0, (-0.5, 999.5, -0.5, 699.5))

    plain = significance_image(pixels, psf, EXCLUDED)
    scaled = significance_image(pixels, psf, EXCLUDED, np.array([[1.0, 4.0]]))

    (first, second) = tile_spans(shape[1])
    assert [first, second] == [(0, 500), (500, 1000)]
    np.testing.assert_array_equal(scaled[:, :500], plain[:, :500])
    np.testing.assert_allclose(scaled[:, 500:], plain[:, 500:] / 2, rtol=1e-6)
