"""The matching kernel is found from noisy stamps, without bias, and says when it cannot be."""

from dataclasses import replace

import numpy as np
import pytest

from skyloom.algorithms.kernel_basis import basis_sigmas, gaussian_basis
from skyloom.algorithms.kernel_matching import (
    FitSettings,
    InsufficientKernelStampsError,
    KernelStamps,
    fit_matching_kernel,
)
from skyloom.core.psf import gaussian_kernel

SIZE = 512
DOMAIN = (-0.5, SIZE - 0.5, -0.5, SIZE - 0.5)
HALF, MARGIN = 12, 9
WHITE = np.ones((32, 32))


def gaussian(dx, dy, sigma):
    """Return a Gaussian of sum 1 at offsets."""
    return np.exp(-0.5 * (dx**2 + dy**2) / sigma**2) / (2 * np.pi * sigma**2)


def stamps_of(seed, n_star, flux, noise=(1.0, 0.7), ratio=1.0, slope=0.0):
    """Return stamps of stars at sigma 1.6 and, with `ratio` the flux, at one that varies with x around 2.1."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(40, SIZE - 40, (2, n_star))
    flux = np.broadcast_to(flux, n_star) * rng.uniform(0.5, 1.5, n_star)
    wide = HALF + MARGIN
    r, inner = np.arange(-wide, wide + 1.0), np.arange(-HALF, HALF + 1.0)
    shift = rng.uniform(-0.5, 0.5, (2, n_star))
    reference, target = np.empty((n_star, r.size, r.size)), np.empty((n_star, inner.size, inner.size))
    for i in range(n_star):
        sigma = 2.1 + slope * (2 * x[i] / SIZE - 1)
        reference[i] = flux[i] * gaussian(r[None, :] - shift[0, i], r[:, None] - shift[1, i], 1.6)
        target[i] = (
            ratio * flux[i] * gaussian(inner[None, :] - shift[0, i], inner[:, None] - shift[1, i], sigma)
        )
    reference += rng.normal(0, noise[1], reference.shape)
    target += rng.normal(0, noise[0], target.shape)
    weight = np.full(target.shape, 1 / (noise[0] ** 2 + 0.1 * noise[1] ** 2))
    power = np.sum(weight, axis=(1, 2)) * noise[1] ** 2
    return KernelStamps(x, y, reference, target, weight, power)


def basis_of():
    """Return the default basis for these stamps."""
    return gaussian_basis(basis_sigmas(1.6, 2.1), (4, 2, 2), MARGIN)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_kernel_between_two_gaussians_is_a_gaussian(seed):
    fit = fit_matching_kernel(stamps_of(seed, 40, 2e4), basis_of(), WHITE, DOMAIN, FitSettings(order=0))
    expected = gaussian_kernel(np.sqrt(2.1**2 - 1.6**2), 2 * MARGIN + 1)
    assert fit.kernel.sum_at([100.0], [100.0])[0] == pytest.approx(1.0, abs=0.002)
    assert np.abs(fit.kernel.kernel_at(100.0, 100.0) - expected).max() < 0.08 * expected.max()
    assert fit.is_used.sum() >= 36
    assert np.median(fit.chi2) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("ratio", [0.8, 1.0, 1.3])
def test_the_kernel_sum_is_the_flux_ratio_even_for_faint_stars(ratio):
    sums, plain = [], []
    for seed in range(8):
        # S/N 13 in the target, 25 in the reference.
        stamps = stamps_of(seed, 60, 100.0, ratio=ratio)
        noiseless = replace(stamps, weighted_power=0 * stamps.weighted_power)
        for values, given in ((sums, stamps), (plain, noiseless)):
            fit = fit_matching_kernel(given, basis_of(), WHITE, DOMAIN, FitSettings(order=0, clip_rounds=0))
            values.append(fit.kernel.sum_at([0.0], [0.0])[0])
    error = np.std(sums) / np.sqrt(len(sums))
    assert np.mean(sums) == pytest.approx(ratio, abs=4 * error)
    # Without the correction for the reference's noise the sum is several percent low.
    assert np.mean(plain) < np.mean(sums) - 0.02 * ratio


def test_a_varying_psf_needs_a_varying_kernel():
    stamps = stamps_of(4, 80, 5e4, slope=0.15)
    constant = fit_matching_kernel(stamps, basis_of(), WHITE, DOMAIN, FitSettings(order=0, clip_rounds=0))
    varying = fit_matching_kernel(stamps, basis_of(), WHITE, DOMAIN, FitSettings(order=2, clip_rounds=0))
    assert np.median(varying.chi2) < 1.3
    assert np.median(constant.chi2) > 3
    left, right = (varying.kernel.kernel_at(x, 256.0) for x in (50.0, 460.0))
    assert left.max() > right.max()
    assert varying.kernel.sum_at([50.0], [256.0]) == pytest.approx(varying.kernel.sum_at([460.0], [9.0]))


def test_few_stamps_lower_the_order():
    settings = FitSettings(order=2, stamps_per_term=8)
    orders = [
        fit_matching_kernel(stamps_of(5, n, 2e4), basis_of(), WHITE, DOMAIN, settings).kernel.order
        for n in (10, 35, 80)
    ]
    assert orders == [0, 1, 2]


def test_a_background_difference_is_fitted_along():
    stamps = stamps_of(6, 60, 2e4)
    tilt = 3.0 + 2.0 * (2 * stamps.x / SIZE - 1)
    tilted = KernelStamps(
        stamps.x,
        stamps.y,
        stamps.reference,
        stamps.target + tilt[:, None, None],
        stamps.weight,
        stamps.weighted_power,
    )
    fit = fit_matching_kernel(tilted, basis_of(), WHITE, DOMAIN, FitSettings())
    # 60 stamps of 625 pixels: the level is known to 0.005, its slope to about 0.02.
    assert fit.kernel.background.evaluate(255.5, 255.5) == pytest.approx(3.0, abs=0.05)
    assert fit.kernel.background.evaluate(511.5, 255.5) == pytest.approx(5.0, abs=0.1)


def test_variable_stars_are_rejected():
    stamps = stamps_of(7, 50, 2e4)
    target = stamps.target.copy()
    target[:3] *= 1.2
    target[3, HALF - 1 : HALF + 2, HALF + 5] += 5e3
    varied = KernelStamps(stamps.x, stamps.y, stamps.reference, target, stamps.weight, stamps.weighted_power)
    fit = fit_matching_kernel(varied, basis_of(), WHITE, DOMAIN, FitSettings())
    assert not fit.is_used[:4].any()
    assert fit.is_used[4:].mean() > 0.9
    assert fit.kernel.sum_at([0.0], [0.0])[0] == pytest.approx(1.0, abs=0.003)


def test_masked_pixels_do_not_count():
    stamps = stamps_of(8, 40, 2e4)
    target, weight = stamps.target.copy(), stamps.weight.copy()
    target[:, 3, 3:6] = 1e7
    weight[:, 3, 3:6] = 0
    masked = KernelStamps(stamps.x, stamps.y, stamps.reference, target, weight, stamps.weighted_power)
    fit = fit_matching_kernel(masked, basis_of(), WHITE, DOMAIN, FitSettings(order=0))
    assert fit.kernel.sum_at([0.0], [0.0])[0] == pytest.approx(1.0, abs=0.003)


def test_too_few_stamps_are_refused_with_their_number():
    with pytest.raises(InsufficientKernelStampsError, match="2 stamps.*were found, needs 3") as caught:
        fit_matching_kernel(stamps_of(10, 2, 2e4), basis_of(), WHITE, DOMAIN, FitSettings())
    assert (caught.value.n_stamp, caught.value.n_needed) == (2, 3)


def test_stamps_that_disagree_are_refused():
    # Three stars of equal flux and one kernel, two of them with a flux that nothing explains.
    stamps = stamps_of(11, 4, 2e4)
    target = stamps.target * np.array([1.0, 1.0, 1.0, 3.0])[:, None, None]
    varied = KernelStamps(stamps.x, stamps.y, stamps.reference, target, stamps.weight, stamps.weighted_power)
    settings = FitSettings(minimum_stamps=4, clip_sigma=2.0)
    with pytest.raises(InsufficientKernelStampsError, match="survived rejection, needs 4"):
        fit_matching_kernel(varied, basis_of(), WHITE, DOMAIN, settings)
