"""The basis of matching kernels carries flux in its first kernel alone and fits the PSFs' widths."""

import numpy as np
import pytest

from skyloom.algorithms.kernel_basis import basis_noise, basis_sigmas, gaussian_basis, kernel_half_size

HALF = 9


def basis_of():
    """Return the default basis for PSFs of sigma 1.6 and 2.1."""
    return gaussian_basis(basis_sigmas(1.6, 2.1), (4, 2, 2), HALF)


def test_only_the_first_basis_kernel_carries_flux():
    kernels = basis_of().kernels()
    assert kernels.shape == (15 + 6 + 6, 2 * HALF + 1, 2 * HALF + 1)
    assert kernels[0].sum() == pytest.approx(1.0)
    np.testing.assert_allclose(kernels[1:].sum(axis=(1, 2)), 0.0, atol=1e-12)


def test_convolving_stamps_is_convolving_with_the_kernels():
    basis = basis_of()
    stamps = np.random.default_rng(1).normal(size=(2, 2 * HALF + 5, 2 * HALF + 5))
    convolved = basis.convolve(stamps)
    for n, kernel in enumerate(basis.kernels()):
        window = stamps[1, 2 : 2 + 2 * HALF + 1, 3 : 3 + 2 * HALF + 1]
        assert convolved[n, 1, 2, 3] == pytest.approx(np.sum(window * kernel[::-1, ::-1]), abs=1e-12)


def test_the_basis_changes_smoothly_where_the_psfs_are_equal():
    assert basis_sigmas(2.0, 2.0) == pytest.approx((0.7, 1.4, 2.8))
    assert basis_sigmas(2.0, 2.001) == pytest.approx(basis_sigmas(2.001, 2.0), rel=0.05)
    assert basis_sigmas(1.0, 5.0)[1] == pytest.approx(np.sqrt(24))
    assert kernel_half_size((0.7, 1.4, 2.8)) == 8
    assert kernel_half_size((0.1, 0.2, 0.3)) == 7
    assert kernel_half_size((5.0, 10.0, 20.0)) == 17


def test_basis_noise_is_the_variance_of_convolved_noise():
    kernels = basis_of().kernels()[:4]
    rng = np.random.default_rng(9)
    stamps = rng.normal(size=(60, 40 + 2 * HALF, 40 + 2 * HALF))
    convolved = basis_of().convolve(stamps)[:4].reshape(4, -1)
    expected = basis_noise(kernels, np.ones((32, 32)))
    np.testing.assert_allclose(np.cov(convolved), expected, atol=0.05 * expected.max())
