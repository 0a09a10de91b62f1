"""Stars that the pixels do not sample, with a PSF made of others of the same field, against what photons allow.

Two thirds of a field's stars make its PSF; the other third, at other places within their pixels, is judged: places and
fluxes, their dependence on the place within the pixel, and the size of the PSF where they stand.
"""

from dataclasses import replace

import numpy as np
import pytest
from undersampled_fields import BlendedPsf, draw_undersampled

from skyloom.algorithms.moments import kernel_moments
from skyloom.algorithms.photometry import FitSettings, psf_photometry
from skyloom.algorithms.psf_model import PsfFitSettings, fit_psf
from skyloom.algorithms.psf_oversampling import fit_oversampled_psf
from skyloom.core.psf import FWHM_PER_SIGMA
from skyloom.core.wcs import polynomial_terms

SIDE, SIZE, N_SEED = 480, 21, 3
LEVELS = (50.0, 200.0, 500.0)
FIT = FitSettings(photon_variance=1.0, n_sweep=8, whole_stamps=True)


def judged(field, psf, is_judged):
    """Errors over limits (3, n) of x, y and flux, relative flux errors and phases (2, n) of the judged stars."""
    found = psf_photometry(field.pixels, psf, np.rint(field.x), np.rint(field.y), FIT)
    errors = []
    place = np.stack([field.x, field.y]) / (SIDE / 2) - 1
    terms = polynomial_terms(*place, 2).T
    for value, limit in ((found.x - field.x, field.x_limit), (found.y - field.y, field.y_limit)):
        # Where the centre of a lopsided PSF lies is a convention, which varies smoothly.
        scaled = terms / limit[:, None]
        pull = value / limit
        errors.append(pull - scaled @ np.linalg.lstsq(scaled, pull, rcond=None)[0])
    errors.append((found.flux - field.flux) / field.flux_limit)
    phases = np.stack([field.x - np.rint(field.x), field.y - np.rint(field.y)])
    return np.array(errors)[:, is_judged], (found.flux / field.flux - 1)[is_judged], phases[:, is_judged]


def phase_term(values, errors, phases):
    """Amplitude of a wave of one pixel along x in some values, over its error."""
    wave = np.exp(2j * np.pi * phases[0])
    design = np.stack([np.ones(len(values)), wave.real, wave.imag], axis=1) / errors[:, None]
    covariance = np.linalg.inv(design.T @ design)
    found = covariance @ design.T @ (values / errors)
    return np.sqrt(found[1:] @ np.linalg.inv(covariance[1:, 1:]) @ found[1:])


def size_errors(field, psf):
    """Relative errors of the PSF's size on its own grid, at places between the stars."""
    side = np.linspace(40, SIDE - 40, 5)
    x, y = (grid.ravel() for grid in np.meshgrid(side, side))
    n = psf.coefficients.shape[-1]
    step = (np.arange(n) - n // 2) / psf.sampling
    true = np.stack([field.psf.at_offsets((a, b), step) for a, b in zip(x, y, strict=True)])
    fine = replace(psf, sampling=1).kernels_at(x, y)
    model, truth = (found.ixx + found.iyy for found in map(kernel_moments, (fine, true)))
    return model / truth - 1


@pytest.mark.parametrize(
    ("fwhm", "beta"),
    [
        pytest.param(1.4, 3.0, marks=pytest.mark.slow),
        *(pytest.param(*case, marks=pytest.mark.bars) for case in ((1.8, None), (1.6, 0))),
    ],
)
def test_undersampled_stars_reach_what_their_photons_allow(fwhm, beta):
    errors, fluxes, phases, levels, limits, sizes = [], [], [], [], [], []
    for seed in range(N_SEED):
        field = draw_undersampled(fwhm, seed, SIDE, beta, LEVELS)
        is_judged = np.random.default_rng(seed).random(field.x.size) < 1 / 3
        start = np.random.default_rng(seed + 10).normal(0, 0.1, (2, field.x.size))
        stars = (field.x + start[0], field.y + start[1], is_judged)
        sigma = np.hypot(fwhm / FWHM_PER_SIGMA, 0.3)
        psf = fit_oversampled_psf(field.pixels, stars, sigma, PsfFitSettings(size=SIZE, sampling=2)).psf
        for values, new in zip((errors, fluxes, phases), judged(field, psf, is_judged), strict=True):
            values.append(new)
        levels.append(field.level[is_judged])
        limits.append(field.x_limit[is_judged])
        sizes.append(size_errors(field, psf))
    errors, phases = (np.concatenate(values, axis=1) for values in (errors, phases))
    fluxes, levels, limits = (np.concatenate(values) for values in (fluxes, levels, limits))
    for level in LEVELS:
        here = levels == level
        spread = np.sqrt(np.mean(errors[:, here] ** 2, axis=1))
        noise = 4 / np.sqrt(2 * here.sum())
        # 150 stars make the PSF, which adds some per cent to what a star's own photons do.
        assert np.sqrt(np.mean(spread[:2] ** 2)) < 1.10 + noise / np.sqrt(2)
        assert spread[2] < 1.10 + noise
        # Of two squares with two degrees of freedom: 4.3 once in 1e4.
        assert phase_term(errors[0, here] * limits[here], limits[here], phases[:, here]) < 4.3
        assert phase_term(fluxes[here], np.full(here.sum(), 1 / level), phases[:, here]) < 4.3
    sizes = np.array(sizes)
    # A profile of another kind than the one that it starts from keeps a third of a per cent.
    assert abs(sizes.mean()) < (0.006 if beta == 0 else 0.002)
    assert sizes.std() < 0.003


def test_one_sample_a_pixel_fails_at_a_fwhm_of_one_and_a_half_pixels():
    field = draw_undersampled(1.4, 1, SIDE, 3.0, LEVELS)
    is_judged = np.random.default_rng(1).random(field.x.size) < 1 / 3
    psf = fit_psf(field.pixels, (field.x, field.y, is_judged), 0.66, PsfFitSettings(size=SIZE)).psf
    errors, _, _ = judged(field, psf, is_judged)
    bright = field.level[is_judged] == LEVELS[-1]
    assert np.sqrt(np.mean(errors[:2, bright] ** 2)) > 4


def test_the_drawn_psf_has_its_slopes_and_its_light():
    psf = BlendedPsf(1.6, 100, 0)
    step = 1e-3
    moved = [psf.image((20, 70), (0.3 + shift, 0.1)) for shift in (-step, step)]
    slope = psf.image((20, 70), (0.3, 0.1), (0, 1))
    assert -slope == pytest.approx((moved[1] - moved[0]) / (2 * step), abs=1e-5)
    assert psf.image((20, 70), (0.5, 0.5)).sum() == pytest.approx(1, abs=1e-3)
