"""Tests of skyloom.algorithms.psf_modes."""

import numpy as np
import pytest

from skyloom.algorithms.psf_modes import fit_modes, fit_pixels, mode_significances, psf_modes, star_misfits
from skyloom.core.psf import gaussian_kernel
from skyloom.core.wcs import polynomial_terms

SIZE = 21
NOISE = 1e-4
PSF = gaussian_kernel(1.8, SIZE)
WEIGHT = np.full((SIZE, SIZE), NOISE**-2)
MODES = psf_modes(PSF, WEIGHT)


def stamps_of(signal, seed):
    """Residuals with white noise, and their weights."""
    rng = np.random.default_rng(seed)
    return signal + rng.normal(0, NOISE, (len(signal), SIZE, SIZE)), np.broadcast_to(
        WEIGHT, (len(signal), SIZE, SIZE)
    )


def test_modes_are_orthonormal_and_know_nothing_of_the_flux():
    gram = np.einsum("aij,bij,ij->ab", MODES, MODES, WEIGHT)

    assert len(MODES) >= 5
    assert gram == pytest.approx(np.eye(len(MODES)), abs=1e-8)
    assert np.einsum("aij,ij,ij->a", MODES, PSF, WEIGHT) == pytest.approx(np.zeros(len(MODES)), abs=1e-6)


def test_a_wider_and_an_elongated_psf_are_the_first_modes():
    wider = gaussian_kernel(1.82, SIZE) - PSF

    parts = np.einsum("aij,ij,ij->a", MODES, wider, WEIGHT)
    explained = np.tensordot(parts, MODES, axes=1) + PSF * np.sum(wider * PSF) / np.sum(PSF**2)

    assert abs(parts[0]) > 10 * np.abs(parts[1:]).max()
    assert np.abs(explained - wider).max() < 0.02 * np.abs(wider).max()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_terms_that_the_stars_show_are_found_and_others_stay_away(seed):
    rng = np.random.default_rng(seed)
    terms = polynomial_terms(*rng.uniform(-1, 1, (2, 80)), 3)
    true = np.zeros((10, len(MODES)))
    true[1, 0] = 30.0
    signal = np.tensordot((true.T @ terms).T, MODES, axes=1)
    degrees = np.repeat(np.arange(4), np.arange(1, 5))

    found = fit_modes(MODES, terms, (degrees, 1.0), stamps_of(signal, seed))
    free = fit_modes(MODES, terms, (np.zeros(10, dtype=int), 1.0), stamps_of(signal, seed))

    # Sums over 80 stars of a coordinate with variance 1/3.
    assert found[1, 0] == pytest.approx(30.0, abs=4 * np.sqrt(3 / 80))
    assert np.std(found[3:]) < 0.75 * np.std(free[3:])


def test_a_given_prior_holds_a_term():
    terms = np.ones((2, 40))
    signal = np.tensordot(np.full(40, 5.0), MODES[:1], axes=0)[:, 0]

    found = fit_modes(MODES, terms, (np.array([0, -1]), 1e6), stamps_of(signal, 4))

    assert found[0, 0] == pytest.approx(5.0, abs=4 / np.sqrt(40))
    assert np.abs(found[1]).max() < 1e-2


@pytest.mark.parametrize("seed", [1, 2])
def test_pixels_follow_their_own_polynomial_within_the_noise(seed):
    rng = np.random.default_rng(seed)
    terms = polynomial_terms(*rng.uniform(-1, 1, (2, 60)), 1)
    slope = PSF * rng.choice([-0.3, 0.3], PSF.shape)
    signal = terms[1][:, None, None] * slope

    found = fit_pixels(terms, np.array([0, 1, 1]), stamps_of(signal, seed), (PSF, 0.5, 0.005))

    # In the wings the noise hides it, and nothing is made of it.
    core = PSF / PSF.max() > 0.03
    assert np.abs(found[1] - slope)[core].max() < 5 * NOISE * np.sqrt(3 / 60)
    assert np.abs(found[1])[~core].max() < 0.3 * PSF[core].min() + 4 * NOISE * np.sqrt(3 / 60)
    assert np.abs(found[2]).max() < 5 * NOISE * np.sqrt(3 / 60)


def test_significances_of_good_stars_are_normal_and_a_wide_one_stands_out():
    n = 400
    kernels = np.broadcast_to(PSF, (n, SIZE, SIZE))
    signal = np.zeros((n, SIZE, SIZE))
    signal[0] = gaussian_kernel(1.9, SIZE) - PSF

    found = mode_significances(MODES, kernels, stamps_of(signal, 5))

    assert found[1:].std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * found[1:].size))
    assert abs(found[0, 0]) > 5


def test_a_star_gets_the_error_at_which_it_agrees_with_the_model():
    n = 50
    core = np.hypot(*(np.indices((SIZE, SIZE)) - SIZE // 2)) < 4.5
    signal = np.zeros((n, SIZE, SIZE))
    signal[0] = 0.1 * PSF * np.where(np.indices((SIZE, SIZE))[1] > SIZE // 2, 1, -1)
    residuals, weights = stamps_of(signal, 6)
    kernels = np.broadcast_to(PSF, residuals.shape)
    stars = tuple(stamp[:, core] for stamp in (residuals, 1 / weights, kernels))

    error, loss = star_misfits(MODES[:6, core], stars, 0.001)

    assert 0.03 < error[0] < 0.25
    assert loss[0] > 4
    assert np.median(error[1:]) == 0.001
    assert np.mean(loss[1:] < 1.5) > 0.8
