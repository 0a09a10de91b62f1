"""Whether the stars of a PSF show that it changes with their colour, and the fit of that change."""

import logging
from dataclasses import replace

import numpy as np

from skyloom.algorithms.photometry import FitSettings, photometry_with_light
from skyloom.algorithms.psf_colour import size_slope
from skyloom.algorithms.psf_model import (
    PIXEL_CLIP_SIGMA,
    WEIGHTLESS,
    PsfFitFailedError,
    TooFewPsfStarsError,
    refine_psf,
)
from skyloom.algorithms.psf_modes import psf_modes
from skyloom.algorithms.psf_stamps import is_companion, residual_stamps
from skyloom.core.psf import equivalent_sigma
from skyloom.core.psf_colour import PsfColour

log = logging.getLogger(__name__)

# Quantiles of the stars' colours that the term is limited to: no star of a wrong colour is a lever.
LIMITS = (0.01, 0.99)
# Half of what holds two thirds of normal values.
ONE_SIGMA = (0.1587, 0.8413)
# Colours of fewer stars are alike to one of the position's polynomials, of 15 terms and shrunk.
MIN_STARS = 20
# Least spread of colours [mag]: an error of 0.03 mag of a colour then lessens the slope by a tenth.
MIN_SPREAD = 0.1
# Part of the detectors without a dependence on colour that is given one. At a tenth of it refraction is seen at
# airmass 1.6 in two of four simulated detectors of 100-150 stars, at this one in three.
MAX_CHANCE = 0.01
# Of normal values: the median square, and what an outlier counts for at most.
MEDIAN_CHI2, OUTLIER_SIGMA = 0.455, 3.0
N_HALVING = 30


def fit_colour_term(masked_image, fit, reserved, colours, settings):
    """PSF of an image fitted once more, as it changes with the colour of the stars if they show that it does.

    Parameters
    ----------
    masked_image, settings
        As for `fit_psf`.
    fit : PsfFit
        Without regard to colour.
    reserved : ndarray, shape (n,), bool
        Its stars that were kept out.
    colours : tuple of str and ndarray, shape (n,), float64
        Name of the colour, and that of each star [mag]; NaN where unknown.

    Returns
    -------
    PsfFit
        Its PSF has a `colour`, for the median colour of the stars. Where they are too few, too much alike or show no
        change, that has no image but a remark, and the rest is that of `fit`.

    Notes
    -----
    The change is linear in the colour and the same over the image: it comes from the air, and a detector sees one
    zenith angle. It is fitted together with the polynomials of the position, along the modes and pixel by pixel, with
    priors of its own (`psf_model`), and the fluxes and positions of the stars by the PSF of their colours.
    Stars of unknown colour count as such of the median.
    """
    name, values = colours
    colour = _colour_of(name, values[fit.used & np.isfinite(values)])
    if fit.psf.sampling > 1:
        colour = replace(colour, remark="the PSF is sampled finer than the pixels")
    if not colour.remark:
        chance = chance_of_change(masked_image, fit, np.clip(values, *colour.limits), settings)
        if chance > MAX_CHANCE:
            colour = replace(colour, remark=f"no change with colour: of {chance:.2g} by chance")
    if not colour.remark:
        blank = np.zeros_like(fit.psf.coefficients[0])
        start = replace(fit.psf, colour=replace(colour, image=blank))
        try:
            found = refine_psf(masked_image, (fit.x, fit.y, reserved), start, settings, values)
        except (TooFewPsfStarsError, PsfFitFailedError) as error:
            colour = replace(colour, remark=str(error))
        else:
            ny, nx = masked_image.shape
            slope = size_slope(found.psf, (nx - 1) / 2, (ny - 1) / 2)
            log.info("PSF by %s: T changes by %.2f %% per mag (%d stars)", name, 100 * slope, colour.n_star)
            return found
    log.info("PSF without a colour term: %s", colour.remark)
    return replace(fit, psf=replace(fit.psf, colour=colour))


def _colour_of(name, values):
    """Range of the stars' colours, with a remark where it holds no colour term (PsfColour)."""
    if len(values) < MIN_STARS:
        remark = f"{len(values)} stars with a colour, needs {MIN_STARS}"
        return PsfColour(name, None, np.nan, (np.nan, np.nan), len(values), remark)
    spread = float(np.diff(np.quantile(values, ONE_SIGMA))[0]) / 2
    limits = tuple(float(value) for value in np.quantile(values, LIMITS))
    remark = (
        "" if spread >= MIN_SPREAD else f"colours of {spread:.3f} mag about the median, needs {MIN_SPREAD}"
    )
    return PsfColour(name, None, float(np.median(values)), limits, len(values), remark)


def chance_of_change(masked_image, fit, offsets, settings):
    """Probability that stars whose PSF does not depend on colour follow theirs as much as these do.

    Parameters
    ----------
    masked_image, settings
        As for `fit_psf`.
    fit : PsfFit
        Without regard to colour.
    offsets : ndarray, shape (n,), float64
        Colours of its stars about any zero [mag]; those that are NaN are left out, as are stars that are not used.

    Returns
    -------
    float
        Between 0 and 1, even if the PSF varies between the stars in ways that the model does not know.

    Notes
    -----
    Each star tells by how much it differs from the model along each of the six modes of the first order. Its error is
    that of its pixels and a common scatter, with which half of the stars lie within 0.67 of their errors: for stars of
    S/N 50-500 among galaxies it is 0.7 of a typical star's error, and without it each field would change with colour.
    The sums over the stars of colour times difference, over the variance, have the covariance of the modes' pulls;
    their squared length by it is chi squared of six degrees.
    """
    some = fit.used & np.isfinite(offsets)
    known = (fit.x, fit.y, fit.flux)
    fit_settings = FitSettings(
        photon_variance=settings.photon_variance, unusable=int(WEIGHTLESS), n_sweep=1, whole_stamps=True
    )
    found, light = photometry_with_light(masked_image, fit.psf, known[:2], fit_settings, known)
    images = (masked_image, light.image)
    stamps = residual_stamps(images, fit.psf, found, WEIGHTLESS, settings.photon_variance)
    residuals, noise, kernels = (stamp[some] for stamp in stamps)
    mean = fit.psf.coefficients[0]
    modes = psf_modes(mean, np.mean(1 / noise, axis=0), quadratic=False)
    weights = 1 / (noise + (settings.model_floor * kernels) ** 2)
    weights[residuals**2 * weights > PIXEL_CLIP_SIGMA**2] = 0
    weights[is_companion(residuals, weights, equivalent_sigma(mean))] = 0
    return _chance(offsets[some], *_along_modes(modes, residuals, weights, kernels))


def _along_modes(modes, residuals, weights, kernels):
    """Part of each mode in each star beside its flux, and the variance of that, shape (n, m)."""
    modes = modes.reshape(len(modes), -1)
    residuals, weights, kernels = (stamp.reshape(len(stamp), -1) for stamp in (residuals, weights, kernels))
    weighted = weights * kernels
    square = np.maximum(np.sum(weighted * kernels, axis=1, keepdims=True), 1e-300)
    along = weighted @ modes.T / square
    information = np.maximum(weights @ (modes**2).T - along**2 * square, 1e-300)
    right = (weights * residuals) @ modes.T - along * np.sum(weighted * residuals, axis=1, keepdims=True)
    return right / information, 1 / information


def _chance(offsets, parts, variances):
    """Probability that parts of modes (n, m) follow the colours as much by chance."""
    from scipy.special import chdtrc

    variances = variances + _common_scatter(parts, variances)
    centred = offsets[:, None] - np.sum(offsets[:, None] / variances, axis=0) / np.sum(1 / variances, axis=0)
    pulls = np.clip(parts / np.sqrt(variances), -OUTLIER_SIGMA, OUTLIER_SIGMA)
    levers = centred / np.sqrt(variances)
    total = np.sum(levers * pulls, axis=0)
    covariance = (levers.T @ levers) * (pulls.T @ pulls) / len(pulls)
    return float(chdtrc(len(total), total @ np.linalg.pinv(covariance, hermitian=True) @ total))


def _common_scatter(parts, variances):
    """Variance of each mode, shape (m,), with which the squared pulls have the median of chi squared; at least 0."""
    low, high = np.zeros(parts.shape[1]), np.max(parts**2, axis=0)
    for _ in range(N_HALVING):
        middle = (low + high) / 2
        is_small = np.median(parts**2 / (variances + middle), axis=0) > MEDIAN_CHI2
        low, high = np.where(is_small, middle, low), np.where(is_small, high, middle)
    return low
