"""Whitening kernels make white noise of matched images, and keep fluxes."""

import numpy as np
import pytest
from scipy.signal import fftconvolve

from skyloom.algorithms.convolution import tile_centres
from skyloom.core.psf import CellPsf, gaussian_kernel, psf_moments
from skyloom.diff.decorrelation import decorrelation_kernels, difference_psf

WHITE = np.ones((64, 64))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("total", [1.0, 0.8])
def test_noise_of_the_decorrelated_difference_is_white(seed, total):
    rng = np.random.default_rng(seed)
    science = rng.normal(0, 3.0, (400, 400))
    template = rng.normal(0, 2.0, (400, 400))
    matching = total * gaussian_kernel(1.5, 21)
    difference = science - fftconvolve(template, matching, mode="same")

    powers = np.array([9.0]), np.array([4.0]), np.array([0.0])
    kernel = decorrelation_kernels(matching[None], powers, (WHITE, WHITE), 12, 1e-3)[0]
    white = fftconvolve(difference, kernel, mode="same")[40:-40, 40:-40]

    n = white.size
    neighbours = np.mean(white[:, 1:] * white[:, :-1]) / white.var()
    assert abs(neighbours) < 4 / np.sqrt(n)
    assert white.var() == pytest.approx(9 + total**2 * 4, rel=4 * np.sqrt(2 / n))


@pytest.mark.parametrize("seed", [1, 2])
def test_noise_that_both_images_have_in_common_is_whitened_too(seed):
    rng = np.random.default_rng(seed)
    science = rng.normal(0, 3.0, (400, 400))
    # The mean of three visits alike, the science image one of them.
    template = (science + rng.normal(0, 3.0, (400, 400)) + rng.normal(0, 3.0, (400, 400))) / 3
    matching = gaussian_kernel(1.5, 21)
    difference = science - fftconvolve(template, matching, mode="same")

    powers = np.array([9.0]), np.array([3.0]), np.array([3.0])
    kernel = decorrelation_kernels(matching[None], powers, (WHITE, WHITE), 12, 1e-3)[0]
    white = fftconvolve(difference, kernel, mode="same")[40:-40, 40:-40]

    n = white.size
    for axis in (0, 1):
        assert abs(np.mean(white * np.roll(white, 1, axis)) / white.var()) < 4 / np.sqrt(n)
    assert white.var() == pytest.approx(9 - 3, rel=4 * np.sqrt(2 / n))


def test_an_off_centre_kernel_is_whitened_by_its_power():
    matching = np.zeros((21, 21))
    matching[9:12, 13:16] = 1 / 9
    centred = np.zeros((21, 21))
    centred[9:12, 9:12] = 1 / 9
    powers = np.array([1.0]), np.array([1.0]), np.array([0.0])
    shifted, middle = (
        decorrelation_kernels(m[None], powers, (WHITE, WHITE), 12, 1e-3)[0] for m in (matching, centred)
    )
    np.testing.assert_allclose(shifted, middle, atol=1e-12)


def test_decorrelation_kernels_keep_fluxes_and_the_floor_bounds_them():
    matching = np.stack([gaussian_kernel(s, 21) for s in (1.0, 3.0)])
    powers = np.array([1e-4, 1e-4]), np.array([1.0, 1.0]), np.zeros(2)
    for floor in (1e-2, 1e-1):
        kernels = decorrelation_kernels(matching, powers, (WHITE, WHITE), 20, floor)
        np.testing.assert_allclose(kernels.sum(axis=(1, 2)), 1.0, atol=1e-12)
        gain = np.abs(np.fft.fft2(kernels, s=(64, 64)))
        # Cut at 20 pixels, a kernel rings a little about its transfer function.
        assert gain.max() < 1.3 / np.sqrt(floor)


@pytest.mark.parametrize("with_kernel", [False, True])
def test_the_psf_of_a_difference_is_the_convolution_of_its_parts(with_kernel):
    psf = CellPsf(gaussian_kernel(1.5, 25)[None, None].astype(np.float32), 100)
    x, _ = tile_centres((100, 100), 50)
    filters = np.broadcast_to(gaussian_kernel(0.8, 9), (4, 9, 9))
    matching = np.broadcast_to(gaussian_kernel(1.2, 17), (4, 17, 17)) if with_kernel else None

    result = difference_psf(psf, matching, filters, (100, 100), 50)

    assert result.images.shape[:2] == x.shape
    expected = np.sqrt(1.5**2 + 0.8**2 + (1.2**2 if with_kernel else 0))
    assert psf_moments(result.kernel_at(10, 10))[0] == pytest.approx(expected, rel=2e-3)
    assert result.kernel_at(10, 10).sum() == pytest.approx(1.0)
    assert result.size == (33 if with_kernel else 25)
