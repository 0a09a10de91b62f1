"""Convolutions agree with the sum that defines them."""

import numpy as np
import pytest

from skyloom.algorithms.convolution import convolve, convolve_polynomial, convolve_tiles, tile_centres
from skyloom.core.wcs import polynomial_terms


def direct(image, kernel_at):
    """Return the convolution with a kernel for each output pixel, by its definition."""
    ny, nx = image.shape
    half = kernel_at(0, 0).shape[0] // 2
    padded = np.pad(image.astype(float), half)
    out = np.empty((ny, nx))
    for y in range(ny):
        for x in range(nx):
            window = padded[y : y + 2 * half + 1, x : x + 2 * half + 1]
            out[y, x] = np.sum(window * kernel_at(x, y)[::-1, ::-1])
    return out


@pytest.fixture
def image():
    return np.random.default_rng(1).normal(size=(37, 29)).astype(np.float32)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_polynomial_kernel_is_evaluated_at_the_output_pixel(image, order):
    rng = np.random.default_rng(order)
    kernels = rng.normal(size=((order + 1) * (order + 2) // 2, 5, 5))
    domain = (-0.5, 28.5, -0.5, 36.5)

    def kernel_at(x, y):
        u, v = np.array([(2 * x - 28.0) / 29]), np.array([(2 * y - 36.0) / 37])
        return np.tensordot(polynomial_terms(u, v, order)[:, 0], kernels, axes=1)

    result = convolve_polynomial(image, kernels, order, domain)

    assert result.dtype == np.float32
    np.testing.assert_allclose(result, direct(image, kernel_at), atol=2e-5)


def test_one_kernel_is_the_plain_convolution_with_zeros_beyond_the_edge(image):
    kernel = np.random.default_rng(2).normal(size=(7, 7))
    np.testing.assert_allclose(convolve(image, kernel), direct(image, lambda x, y: kernel), atol=2e-5)


@pytest.mark.parametrize("tile", [8, 16, 64])
def test_each_tile_has_its_own_kernel(image, tile):
    x, _ = tile_centres(image.shape, tile)
    kernels = np.random.default_rng(3).normal(size=(*x.shape, 5, 5))
    expected = direct(image, lambda px, py: kernels[py // tile, px // tile])
    np.testing.assert_allclose(convolve_tiles(image, kernels, tile), expected, atol=2e-5)


def test_tiles_reach_over_the_edge_of_an_image_that_they_do_not_divide():
    x, y = tile_centres((37, 29), 16)
    assert x.shape == y.shape == (3, 2)
    np.testing.assert_allclose(x[0], [7.5, 23.5])
    np.testing.assert_allclose(y[:, 0], [7.5, 23.5, 39.5])
