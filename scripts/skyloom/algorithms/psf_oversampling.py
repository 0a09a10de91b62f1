"""A PSF that the pixels do not sample, fitted to stars on a grid finer than the pixels."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from skyloom.algorithms.photometry import FitSettings, photometry_with_light
from skyloom.algorithms.psf_centring import centred_psf
from skyloom.algorithms.psf_fine_grid import smooth_change, stamp_maps, star_equations, without_own
from skyloom.algorithms.psf_model import (
    INITIAL_FLOOR,
    MAX_DROPPED,
    PIXEL_CLIP_SIGMA,
    WEIGHTLESS,
    PsfFit,
    amplitude_of,
    check_number,
    check_psf,
    core_of,
    core_scatter,
    order_for,
)
from skyloom.algorithms.psf_modes import fit_amplitudes, psf_modes, star_misfits
from skyloom.algorithms.psf_profile import fitted_moffat, moffat_image, start_parameters
from skyloom.algorithms.psf_stamps import is_companion, noise_of_stamps, star_stamps
from skyloom.core.psf import FWHM_PER_SIGMA, PixelPsf, equivalent_sigma
from skyloom.core.splines import basis_matrix, spline_coefficients
from skyloom.core.wcs import polynomial_terms, unit_coordinates

log = logging.getLogger(__name__)

# Rounds in which the PSF is a profile, in which it is free and all stars alike, and in which what each differs tells.
N_PROFILE_ROUND, N_ALIKE_ROUND, N_FREE_ROUND, N_REFINING_ROUND = 2, 2, 3, 2
# Stars are dropped in the last of them.
N_JUDGING_ROUND = 2
N_FIRST_SWEEP, N_NEXT_SWEEP = 3, 2
MAX_SIZE = 31
"""Side of the largest image [pixel]: memory grows with its fourth power, to half a GB at this side and two samples."""
# Length over which the PSF's departure from the profile keeps its value, in sigma of the profile. Of 0.8, 1, 1.5 and 2
# this one gives a PSF with coma (FWHM 1.4 and 1.8 pixels) the size that is off least; a Moffat leaves the choice open.
LENGTH = 1.5
# Part of the profile that a departure from it is, to begin with.
START_PART = 0.2
# Of the light in a pixel about its middle [pixel^2].
PIXEL_VARIANCE = 1 / 12
# Of the light before the pixels [pixel]: a FWHM of 0.7.
LEAST_SIGMA = 0.3
# Light of faint sources below a star of median brightness, as a part of its own.
ALIKE_PART = 0.005


def fit_oversampled_psf(masked_image, stars, sigma, settings):
    """Position-dependent PSF of an image whose stars are sharper than its pixels sample.

    Parameters
    ----------
    masked_image, stars, sigma, settings
        As for `psf_model.fit_psf`; `settings.sampling` is more than 1.

    Returns
    -------
    PsfFit
        The model, with the refined positions and fluxes of the stars.

    Raises
    ------
    TooFewPsfStarsError, PsfFitFailedError
        As from `psf_model.fit_psf`.

    Notes
    -----
    The effective PSF of Anderson & King (2000) on a grid of `sampling` samples a pixel. Stars are not moved: each says
    in its own pixels what the function between the samples is there. In one frame that leaves open a PSF that is
    stretched and squeezed in the rhythm of the pixels, whose stars lie off by as much; what decides it is the light's
    integral over square pixels. So the PSF starts as an elliptical Moffat profile that pixels integrate, which leaves
    nothing open, and departs from it, by a Gaussian process no sharper than itself, as far as the stars ask for
    (`smooth_change`). It varies by polynomials of its modes (`psf_modes`), among them coma and trefoil.
    """
    ny, nx = masked_image.image.shape
    domain = (-0.5, nx - 0.5, -0.5, ny - 0.5)
    start = start_parameters(_fwhm_before_pixels(sigma))
    image = moffat_image(start, settings.size, settings.sampling)
    psf = PixelPsf(image[None].astype(np.float32), 0, domain, settings.sampling)
    rounds = [*["profile"] * N_PROFILE_ROUND, *["alike"] * N_ALIKE_ROUND, *["free"] * N_FREE_ROUND]
    return _iterate(masked_image, stars, psf, rounds, settings)


def refine_oversampled_psf(masked_image, stars, psf, settings):
    """PSF fitted anew from a good one, to pixels that are cleaner than those of the first fit.

    Parameters
    ----------
    masked_image, stars, settings
        As for `fit_oversampled_psf`.
    psf : PixelPsf
        What the first fit found.

    Returns
    -------
    PsfFit
        As from `fit_oversampled_psf`.

    Raises
    ------
    TooFewPsfStarsError, PsfFitFailedError
        As from `fit_oversampled_psf`.
    """
    return _iterate(masked_image, stars, psf, ["free"] * N_REFINING_ROUND, settings)


def _fwhm_before_pixels(sigma):
    """FWHM of a star's light before pixels integrated it, from its size [pixel]."""
    return FWHM_PER_SIGMA * np.sqrt(max(sigma**2 - PIXEL_VARIANCE, LEAST_SIGMA**2))


def _iterate(masked_image, stars, psf, rounds, settings):
    """Rounds, each of its kind, of fitting fluxes and positions, then the PSF."""
    x, y, reserved = (np.asarray(values) for values in stars)
    fit_settings = FitSettings(
        photon_variance=settings.photon_variance,
        unusable=int(WEIGHTLESS),
        n_sweep=N_FIRST_SWEEP,
        whole_stamps=True,
    )
    start, part = None, START_PART
    for number, kind in enumerate(rounds, start=1):
        fit, light = photometry_with_light(masked_image, psf, (x, y), fit_settings, start)
        used = ~reserved & np.isfinite(fit.flux) & (fit.flux > 0) & (fit.usable_fraction > 0.5)
        check_number(used, settings)
        seen = _seen_stars((masked_image, light.image), psf, fit, settings)
        del light  # as large as the detector
        weights, loss = _weights(psf, seen, kind == "free", settings)
        if number > len(rounds) - N_JUDGING_ROUND:
            used &= loss <= max(settings.outlier_sigma, np.quantile(loss[used], 1 - MAX_DROPPED))
            check_number(used, settings)
            sigma = equivalent_sigma(psf.images[0])
            weights = np.where(is_companion(seen.residuals, weights, sigma), np.float32(0), weights)
        scatter = core_scatter(seen.residuals, weights, core_of(psf), fit)
        wanted = None if kind == "profile" else part
        psf, part = _updated(psf, (seen.select(used), weights[used]), wanted, settings)
        x, y = np.where(np.isfinite(fit.x), fit.x, x), np.where(np.isfinite(fit.y), fit.y, y)
        start, fit_settings = (x, y, fit.flux), replace(fit_settings, n_sweep=N_NEXT_SWEEP)
    log.info("PSF of order %d, %d samples a pixel, of %d stars", psf.order, psf.sampling, used.sum())
    return PsfFit(psf=psf, x=fit.x, y=fit.y, flux=fit.flux, used=used, residual=scatter)


@dataclass(frozen=True, slots=True)
class _SeenStars:
    """Stars as a model leaves them: positions, fluxes, own images and slopes, residuals and noise."""

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    own: np.ndarray
    residuals: np.ndarray
    noise: np.ndarray

    def select(self, index):
        """Return some of the stars."""
        return _SeenStars(*(getattr(self, name)[index] for name in self.__slots__))


def _seen_stars(images, psf, fit, settings):
    """All stars of a fit."""
    x, y = np.nan_to_num(fit.x), np.nan_to_num(fit.y)
    residuals, is_good, variances = star_stamps(images, psf.size, fit, WEIGHTLESS, settings.photon_variance)
    maps, grids = stamp_maps(x, y, psf.size, psf.sampling), psf.grids_at(x, y).astype(np.float64)
    own = np.stack([maps.images(grids), *maps.slopes(grids)], axis=1)
    noise = noise_of_stamps(np.maximum(own[:, 0], 0).astype(np.float32), is_good, variances)
    return _SeenStars(x, y, fit.flux, own, residuals, noise)


def _weights(psf, seen, is_free, settings):
    """Inverse variances of the stars' pixels, shape (n, k, k), and the part by which each star's error grows."""
    images = np.maximum(seen.own[:, 0], 0).astype(np.float32)
    if not is_free:
        return 1 / (seen.noise + (INITIAL_FLOOR * images) ** 2), np.zeros(len(images))
    core = core_of(psf)
    mean = psf.coefficients[0].astype(np.float64)
    modes = psf_modes(mean, _fine_weight(psf, 1 / seen.noise), quadratic=False)
    maps = stamp_maps(seen.x, seen.y, psf.size, psf.sampling)
    shown = maps.images(spline_coefficients(modes)[:, None])[:, :, core].transpose(1, 0, 2)
    cores = tuple(stamps[:, core] for stamps in (seen.residuals, seen.noise, images))
    floor, loss = star_misfits(shown, cores, settings.model_floor)
    weights = 1 / (seen.noise + (floor.astype(np.float32)[:, None, None] * images) ** 2)
    return np.where(seen.residuals**2 * weights < PIXEL_CLIP_SIGMA**2, weights, np.float32(0)), loss


def _fine_weight(psf, weights):
    """Mean inverse variance of the stars' pixels about each place of the fine grid, shape (K, K)."""
    side = psf.coefficients.shape[-1]
    pixel = np.rint(np.arange(side) / psf.sampling).astype(int)
    return weights.mean(axis=0, dtype=np.float64)[np.ix_(pixel, pixel)]


def _updated(psf, stars, part, settings):
    """PSF that the stars ask for, and the part of its profile by which it departs; None has it be a profile."""
    seen, weights = stars
    maps = stamp_maps(seen.x, seen.y, psf.size, psf.sampling)
    equations = star_equations(maps, seen.own, (seen.residuals, weights))
    present = spline_coefficients(psf.coefficients[:1])[0]
    sigma = equivalent_sigma(psf.images[0])
    start = start_parameters(_fwhm_before_pixels(sigma))
    profile = fitted_moffat(equations, present, start, psf.size, psf.sampling)
    if part is None:
        coefficients, order, part = _samples(profile)[None], 0, START_PART
    else:
        amplitude = amplitude_of(_samples(profile))
        right = equations.right + equations.matrix @ (present - profile).ravel()
        length = LENGTH * psf.sampling * sigma
        change, part = smooth_change(replace(equations, right=right), amplitude, length, part)
        order = max(order_for(len(seen.x), limit) for limit in (settings.max_order, settings.mode_order))
        coefficients = _varied(psf, _samples(profile + change), (maps, seen, weights), order)
    found = _with_equal_phases(replace(psf, coefficients=coefficients.astype(np.float32), order=order))
    check_psf(found)
    centred = centred_psf(replace(found, sampling=1))
    return _with_equal_phases(replace(centred, sampling=psf.sampling)), part


def _varied(psf, mean, stars, order):
    """Images (n_term, K, K) of the terms of the position: a mean, and modes by what the stars show beyond it."""
    maps, seen, weights = stars
    place = unit_coordinates(seen.x, seen.y, psf.domain)
    terms = polynomial_terms(*place, order)
    degrees = np.concatenate([np.full(degree + 1, degree) for degree in range(order + 1)])
    modes = psf_modes(mean, _fine_weight(psf, weights), cubic=True)
    remaining = without_own(seen.own, weights)
    shown = remaining(maps.images(spline_coefficients(modes)[:, None]).transpose(1, 0, 2, 3))
    beyond = seen.residuals + seen.own[:, 0] - maps.images(spline_coefficients(mean[None]))
    left = remaining(beyond[:, None])
    weighted = (shown * weights[:, None]).reshape(len(weights), len(modes), -1)
    grams = weighted @ shown.reshape(weighted.shape).transpose(0, 2, 1)
    along = (weighted @ left.reshape(len(weights), -1, 1))[:, :, 0]
    # Faint sources below the stars, too faint to be found there, add the same light to all.
    alike = np.median(seen.flux) / seen.flux[None, :]
    power = np.sum(weights * seen.own[:, 0] ** 2) / len(weights)
    found = fit_amplitudes(
        np.concatenate([terms, alike]),
        (np.r_[degrees, -1], 1 / (ALIKE_PART**2 * power)),
        (grams.reshape(len(grams), -1), along),
    )
    coefficients = np.tensordot(found[:-1], modes, axes=1)
    coefficients[0] += mean
    return coefficients


def _samples(coefficients):
    """Values on the fine grid of spline coefficients (K, K)."""
    basis = basis_matrix(np.arange(len(coefficients), dtype=np.float64), len(coefficients))
    return basis @ coefficients @ basis.T


def _with_equal_phases(psf):
    """PSF whose light is 1 wherever a star lies within its pixel, as square pixels without gaps have it.

    The stars cannot tell, since their fluxes are free.
    """
    coefficients, sampling = psf.coefficients.astype(np.float64), psf.sampling
    for row in range(sampling):
        for column in range(sampling):
            part = coefficients[:, row::sampling, column::sampling]
            part /= part[0].sum()
    return replace(psf, coefficients=coefficients.astype(np.float32))
