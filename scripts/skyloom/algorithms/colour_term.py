"""Whether the stars of a PSF show that it changes with their colour, and the fit of that change."""

import logging
from dataclasses import replace

import numpy as np

from skyloom.algorithms.photometry import FitSettings, photometry_with_model
from skyloom.algorithms.psf_colour import size_slope
from skyloom.algorithms.psf_model import WEIGHTLESS, PsfFitFailedError, TooFewPsfStarsError, refine_psf
from skyloom.algorithms.psf_modes import psf_modes, star_misfits
from skyloom.algorithms.psf_stamps import residual_stamps
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
# Part of the detectors without a dependence on colour that is given one.
MAX_CHANCE = 1e-3


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
    if not colour.remark:
        chance = chance_of_change(masked_image, fit, colour.offsets(values), settings)
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
    """Probability that noise makes the residuals of stars follow their colours as much as they do.

    Parameters
    ----------
    masked_image, settings
        As for `fit_psf`.
    fit : PsfFit
        Without regard to colour.
    offsets : ndarray, shape (n,), float64
        Colours of its stars about any zero [mag].

    Returns
    -------
    float
        Of the sum of squares of the six first modes' slopes over their errors, chi squared of as many degrees.
    """
    known = (fit.x, fit.y, fit.flux)
    fit_settings = FitSettings(
        photon_variance=settings.photon_variance, unusable=int(WEIGHTLESS), n_sweep=1, whole_stamps=True
    )
    found, model = photometry_with_model(masked_image, fit.psf, known[:2], fit_settings, known)
    images = (masked_image, model)
    stamps = residual_stamps(images, fit.psf, found, WEIGHTLESS, settings.photon_variance)
    residuals, noise, kernels = (stamp[fit.used].reshape(fit.used.sum(), -1) for stamp in stamps)
    mean = fit.psf.coefficients[0]
    modes = psf_modes(mean, np.mean(1 / noise, axis=0).reshape(mean.shape), quadratic=False)
    modes = modes.reshape(len(modes), -1)
    floor, _ = star_misfits(modes, (residuals, noise, kernels), settings.model_floor)
    weights = 1 / (noise + (floor[:, None] * kernels) ** 2)
    return _chance(modes, offsets[fit.used], residuals, weights)


def _chance(modes, offsets, residuals, weights):
    """Probability of slopes of the modes as large as those of the residuals (n, p), by chance."""
    from scipy.special import chdtrc

    information = weights @ (modes**2).T
    right = (weights * residuals) @ modes.T
    offsets = offsets[:, None] - offsets @ information / information.sum(axis=0)
    square = np.sum(offsets * right, axis=0) ** 2 / np.sum(offsets**2 * information, axis=0)
    return float(chdtrc(len(modes), square.sum()))
