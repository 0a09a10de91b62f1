"""A PSF that varies over the image, fitted to its stars: pixel basis, polynomial variation."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from skyloom.algorithms.photometry import UNUSABLE, FitSettings, photometry_with_light
from skyloom.algorithms.psf_centring import centred_psf
from skyloom.algorithms.psf_colour import recoloured
from skyloom.algorithms.psf_modes import fit_modes, fit_pixels, psf_modes, star_misfits
from skyloom.algorithms.psf_stamps import is_companion, residual_stamps
from skyloom.core import mask_planes
from skyloom.core.errors import DataError
from skyloom.core.psf import PixelPsf, equivalent_sigma, gaussian_kernel
from skyloom.core.psf_colour import in_colours
from skyloom.core.wcs import polynomial_terms, unit_coordinates

log = logging.getLogger(__name__)

# Stars for each polynomial term: below it a higher order follows the noise.
STARS_PER_TERM = 5
N_CONSTANT_ROUND, N_VARYING_ROUND, N_REFINING_ROUND = 1, 3, 2
# Stars are dropped in the last of them.
N_JUDGING_ROUND = 2
PIXEL_CLIP_SIGMA = 5.0
CORE_RADIUS_SIGMA = 2.5
# The noise of few faint stars makes pixels of some per cent below zero; a trail's ends, taken for stars, a fifth.
MAX_NEGATIVE = 0.15
# Relative error of a constant PSF.
INITIAL_FLOOR = 0.02
# Light of faint sources below a star of median brightness, as a part of its own.
ALIKE_PART = 0.005
# At most this part of the stars is dropped: where more differ it is the model that is wrong, or the weights.
MAX_DROPPED = 0.2
# Sweeps over stars: those of the first round, and over stars that stand alone and whose places the last round knows.
N_FIRST_SWEEP, N_NEXT_SWEEP = 2, 1
WEIGHTLESS = UNUSABLE | mask_planes.bits("EDGE", "SUSPECT", "STREAK", "HALO")
"""Pixels with one of these bits say nothing of the PSF."""


class TooFewPsfStarsError(DataError):
    """Too few stars to fit a PSF to.

    Parameters
    ----------
    n_star, n_needed : int
        Stars that are fit for it, and how many are needed.
    """

    def __init__(self, n_star, n_needed):
        self.n_star = n_star
        self.n_needed = n_needed
        super().__init__(
            f"{n_star} stars are fit for a PSF model, needs {n_needed}: is the frame cloudy, trailed, "
            "defocused or saturated? See calibrate.psf.min_stars and min_signal_to_noise"
        )


class PsfFitFailedError(DataError):
    """The fitted PSF is no PSF.

    Parameters
    ----------
    detail : str
        What is wrong with the fitted image.
    """

    def __init__(self, detail):
        self.detail = detail
        super().__init__(
            f"the PSF fit ended with {detail}, needs a finite, positive and centred image: "
            "look at the stars it was fitted to (calib_psf_candidate in src)"
        )


@dataclass(frozen=True, slots=True)
class PsfFitSettings:
    """How a PSF is fitted.

    Attributes
    ----------
    size : int
        Side of the PSF image [pixel], odd.
    max_order : int
        Highest total degree of the polynomial of position of each pixel; lowered when stars are few.
    mode_order : int
        The same of the modes by which seeing and optics change a PSF (`psf_modes`).
    model_floor : float
        Least error of the model as a fraction of itself. A star that differs from the model by more gets the error
        at which it agrees, and so less weight.
    variation : float
        Largest change of a PSF pixel over half the image as a fraction of it, beyond that of the modes.
    outlier_sigma : float
        Stars that differ from the model so much that their error grows by this factor are dropped, a fifth of all at
        most.
    min_stars : int
        Stars needed.
    photon_variance : float
        Variance a source's photons add per unit of flux: 1 in electrons.
    sampling : int
        Samples of the PSF image per pixel; more than 1 for stars that the pixels do not sample (`psf_oversampling`).
    """

    size: int = 31
    max_order: int = 2
    mode_order: int = 4
    model_floor: float = 0.001
    variation: float = 0.3
    outlier_sigma: float = 4.0
    min_stars: int = 4
    photon_variance: float = 1.0
    sampling: int = 1


@dataclass(frozen=True, slots=True)
class PsfFit:
    """A PSF and the stars behind it.

    Attributes
    ----------
    psf : PixelPsf
        The model.
    x, y, flux : ndarray, shape (n,), float64
        Fitted positions [pixel] and fluxes of all stars given, reserved ones too.
    used : ndarray, shape (n,), bool
        Stars that the final model was fitted to.
    residual : ndarray, shape (n,), float64
        Root mean square of (data - model) / model flux over its expected error, in the core: 1 for a perfect
        model.
    """

    psf: PixelPsf
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    used: np.ndarray
    residual: np.ndarray


def fit_psf(masked_image, stars, sigma, settings=None):
    """Position-dependent PSF of an image from its stars.

    Parameters
    ----------
    masked_image : MaskedImage
        Background-subtracted pixels; those with an unusable or EDGE bit have no weight. Light of neighbours
        that are no stars of the list must be masked (SUSPECT) by the caller.
    stars : tuple of ndarray, shape (n,)
        ``(x, y, reserved)``: first guess of the positions [pixel] and whether a star is kept out of the fit.
    sigma : float
        First guess of the PSF's size [pixel].
    settings : PsfFitSettings, optional
        Size of the model, order, weights, clipping.

    Returns
    -------
    PsfFit
        The model, with the refined positions and fluxes of the stars.

    Raises
    ------
    TooFewPsfStarsError
        If fewer than `min_stars` stars remain.
    PsfFitFailedError
        If the model is not finite or its peak is off centre.

    Notes
    -----
    Effective PSF after Anderson & King (2000): fit flux and position of each star with the present model,
    move the residual back by the fraction of a pixel (splines), and correct each PSF pixel by a weighted
    polynomial of the position; repeat. Since residuals, not data, are moved, interpolation errors vanish with
    the residuals. Weights come from the model's variance, and from what each star differs from the model. The PSF
    varies by polynomials of few modes of high degree and of each pixel of low degree, with priors whose widths
    are found from the stars (MacKay 1992): what the noise of the stars hides stays away.
    """
    settings = settings or PsfFitSettings()
    ny, nx = masked_image.image.shape
    domain = (-0.5, nx - 0.5, -0.5, ny - 0.5)
    psf = PixelPsf(gaussian_kernel(sigma, settings.size)[None].astype(np.float32), 0, domain)
    rounds = [*[True] * N_CONSTANT_ROUND, *[False] * N_VARYING_ROUND]
    return _iterate(masked_image, stars, psf, rounds, settings)


def refine_psf(masked_image, stars, psf, settings=None, colours=None):
    """PSF fitted anew from a good one, to pixels that are cleaner than those of the first fit.

    Parameters
    ----------
    masked_image, stars, settings
        As for `fit_psf`.
    psf : PixelPsf
        What the first fit found.
    colours : ndarray, shape (n,), float64, optional
        Of the stars [mag], NaN where unknown: for a PSF with a colour term, which is fitted with the rest.

    Returns
    -------
    PsfFit
        As from `fit_psf`.

    Raises
    ------
    TooFewPsfStarsError, PsfFitFailedError
        As from `fit_psf`.
    """
    rounds = [False] * N_REFINING_ROUND
    return _iterate(masked_image, stars, psf, rounds, settings or PsfFitSettings(), colours)


def refit_stars(masked_image, fit, psf, settings):
    """Give the stars of a fit another PSF: its positions, fluxes and residuals.

    Parameters
    ----------
    masked_image, settings
        As for `fit_psf`.
    fit : PsfFit
        Stars with good positions and fluxes.
    psf : PixelPsf
        Made from the `used` ones by another method; it is centred here.

    Returns
    -------
    PsfFit
        The same stars, the same `used`; `residual` over the whole image of the PSF.

    Raises
    ------
    PsfFitFailedError
        If it is no PSF.
    """
    check_psf(psf)
    psf = centred_psf(psf)
    fit_settings = FitSettings(photon_variance=settings.photon_variance, unusable=int(WEIGHTLESS))
    known = (fit.x, fit.y, fit.flux)
    found, _ = photometry_with_light(masked_image, psf, known[:2], fit_settings, known)
    residual = np.sqrt(found.chi2 / found.n_pixel)
    return PsfFit(psf=psf, x=found.x, y=found.y, flux=found.flux, used=fit.used, residual=residual)


def _iterate(masked_image, stars, psf, rounds, settings, colours=None):  # noqa: PLR0913 (what, and from where)
    """Rounds of fitting fluxes and positions, then the PSF; True stands for one in which it is constant."""
    x, y, reserved = (np.asarray(values) for values in stars)
    fit_settings = FitSettings(
        photon_variance=settings.photon_variance,
        unusable=int(WEIGHTLESS),
        n_sweep=N_FIRST_SWEEP,
        whole_stamps=True,
    )
    start = None
    for number, is_constant in enumerate(rounds, start=1):
        own = in_colours(psf, colours)
        fit, light = photometry_with_light(masked_image, own, (x, y), fit_settings, start)
        used = ~reserved & np.isfinite(fit.flux) & (fit.flux > 0) & (fit.usable_fraction > 0.5)
        check_number(used, settings)
        residuals, noise, kernels = residual_stamps(
            (masked_image, light.image), own, fit, WEIGHTLESS, settings.photon_variance
        )
        del light  # as large as the detector
        core = core_of(psf)
        if is_constant:
            weights = 1 / (noise + (INITIAL_FLOOR * kernels) ** 2)
        else:
            modes = psf_modes(psf.coefficients[0], np.mean(1 / noise[used], axis=0), quadratic=False)
            cores = tuple(stamps[:, core] for stamps in (residuals, noise, kernels))
            floor, loss = star_misfits(modes[:, core], cores, settings.model_floor)
            weights = 1 / (noise + (floor.astype(np.float32)[:, None, None] * kernels) ** 2)
            weights = np.where(residuals**2 * weights < PIXEL_CLIP_SIGMA**2, weights, np.float32(0))
            # A star that differs from the others loses weight from the start, but it may be the model that is wrong.
            if number > len(rounds) - N_JUDGING_ROUND:
                used &= loss <= max(settings.outlier_sigma, np.quantile(loss[used], 1 - MAX_DROPPED))
                check_number(used, settings)
                sigma = equivalent_sigma(psf.coefficients[0])
                weights = np.where(is_companion(residuals, weights, sigma), np.float32(0), weights)
        n_used = 0 if is_constant else int(used.sum())
        orders = (order_for(n_used, settings.max_order), order_for(n_used, settings.mode_order))
        found = (fit.x[used], fit.y[used], fit.flux[used], _colour_terms(psf, colours, used))
        scatter = core_scatter(residuals, weights, core, fit)
        psf = _updated(psf, orders, found, (residuals[used], weights[used]), settings.variation)
        check_psf(psf)
        psf = centred_psf(psf)
        x, y = np.where(np.isfinite(fit.x), fit.x, x), np.where(np.isfinite(fit.y), fit.y, y)
        start, fit_settings = (x, y, fit.flux), replace(fit_settings, n_sweep=N_NEXT_SWEEP)
    log.info("PSF of order %d from %d of %d stars", psf.order, used.sum(), len(x))
    return PsfFit(psf=psf, x=fit.x, y=fit.y, flux=fit.flux, used=used, residual=scatter)


def check_number(used, settings):
    """Raise when too few stars are left.

    Parameters
    ----------
    used : ndarray, shape (n,), bool
        Stars that are left.
    settings : PsfFitSettings
        How many are needed.

    Raises
    ------
    TooFewPsfStarsError
        If fewer than `min_stars` are.
    """
    if used.sum() < settings.min_stars:
        raise TooFewPsfStarsError(int(used.sum()), settings.min_stars)


def order_for(n_star, max_order):
    """Highest order for which each polynomial term has enough stars (int).

    Parameters
    ----------
    n_star, max_order : int
        How many stars there are, and the highest order that is wanted.
    """
    order = 0
    while order < max_order and (order + 2) * (order + 3) // 2 * STARS_PER_TERM <= n_star:
        order += 1
    return order


def _colour_terms(psf, colours, used):
    """Colours of the used stars about the PSF's own, a row of them if it has a colour term, else none."""
    if colours is None or not psf.has_colour:
        return np.zeros((0, int(used.sum())))
    return psf.colour.offsets(colours[used])[None]


def core_of(psf):
    """Pixels within `CORE_RADIUS_SIGMA` of the PSF's centre (ndarray, shape (k, k), bool).

    Parameters
    ----------
    psf : PixelPsf
        The PSF.
    """
    offset = np.arange(psf.size) - psf.size // 2
    radius = CORE_RADIUS_SIGMA * equivalent_sigma(psf.images[0])
    return np.hypot(offset[:, None], offset[None, :]) <= radius


def core_scatter(residuals, weights, core, fit):
    """Root mean weighted square of each star's residuals within the core of the PSF.

    Parameters
    ----------
    residuals, weights : ndarray, shape (n, k, k)
        Residuals and their inverse variances.
    core : ndarray, shape (k, k), bool
        Pixels of the core.
    fit : PsfPhotometry
        Fits of the stars.

    Returns
    -------
    ndarray, shape (n,), float64
        NaN for stars without a flux.
    """
    n_pixel = np.maximum((weights[:, core] > 0).sum(axis=1), 1)
    scatter = np.sqrt((residuals[:, core] ** 2 * weights[:, core]).sum(axis=1) / n_pixel)
    return np.where(np.isfinite(fit.flux), scatter, np.nan)


def _updated(psf, orders, stars, stamps, variation):
    """PSF corrected by the residual stamps: the mean by what all share, its variation anew.

    First the modes' polynomials up to the second of the orders, then, up to the first, what they leave, pixel by pixel.
    A colour is one more term of both: free along the modes, since it is only there where the stars show it, and a prior
    of one coefficient would pull it in by the square of its error over itself; with a prior of its own in the pixels.
    """
    x, y, flux, tint = stars
    place = unit_coordinates(x, y, psf.domain)
    order = max(orders)
    terms = polynomial_terms(*place, order)
    n_pixel_term = (orders[0] + 1) * (orders[0] + 2) // 2
    degrees = np.concatenate([np.full(degree + 1, degree) for degree in range(order + 1)])
    # Faint sources below the stars, too faint to be found there, add the same light to all.
    alike = np.median(flux) / flux[None, :]
    residuals, weights = stamps
    mean, variable = psf.coefficients[0].astype(np.float64), psf.coefficients[1:]
    old = polynomial_terms(*place, psf.order)[1:]
    residuals = residuals + np.tensordot(old.T, variable, axes=1)
    if len(tint):
        residuals += tint[0][:, None, None] * psf.colour.image
    modes = psf_modes(mean, weights.mean(axis=0))
    both = np.concatenate([terms, tint, alike])
    is_free, own_group = np.zeros(len(tint), dtype=int), np.full(len(tint), order + 1)
    wide = 1 / (ALIKE_PART**2 * np.sum(weights.mean(axis=0) * mean**2))
    found = fit_modes(modes, both, (np.r_[degrees, is_free, -1], wide), (residuals, weights))
    change = np.tensordot(found, modes, axes=1)
    residuals -= np.tensordot(both.T, change, axes=1)
    coefficients, hue = change[: len(terms)], change[len(terms) : -1]
    coefficients[0] += mean
    free = np.concatenate([terms[:n_pixel_term], tint, alike])
    prior = (amplitude_of(mean), variation, ALIKE_PART)
    rest = fit_pixels(free, np.r_[degrees[:n_pixel_term], own_group, -1], (residuals, weights), prior)
    coefficients[:n_pixel_term] += rest[:n_pixel_term]
    hue += rest[n_pixel_term:-1]
    total = coefficients[0].sum()
    coefficients /= total
    updated = PixelPsf(coefficients.astype(np.float32), order, psf.domain, colour=psf.colour)
    return recoloured(updated, hue[0] / total) if len(hue) else updated


def amplitude_of(image):
    """Absolute value of a PSF image smoothed over 3x3 of its pixels, at least 1e-7 (ndarray, shape (k, k)).

    Parameters
    ----------
    image : ndarray, shape (k, k), float64
        The image.
    """
    padded = np.pad(np.abs(image), 1, mode="edge")
    return np.maximum(np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).mean(axis=(2, 3)), 1e-7)


def check_psf(psf):
    """Raise unless the PSF at the image's centre is finite, not negative, with its peak near the middle pixel.

    Parameters
    ----------
    psf : PixelPsf
        The PSF.

    Raises
    ------
    PsfFitFailedError
        If it is none.
    """
    if not np.all(np.isfinite(psf.coefficients)):
        raise PsfFitFailedError("pixels that are not finite")
    kernel = psf.images[0]
    peak = np.unravel_index(int(np.argmax(kernel)), kernel.shape)
    distance = float(np.hypot(peak[0] - psf.size // 2, peak[1] - psf.size // 2))
    if distance > psf.size / 8:
        raise PsfFitFailedError(f"a peak {distance:.1f} pixels off centre")
    darkest = float(kernel.min() / kernel.max())
    if darkest < -MAX_NEGATIVE:
        raise PsfFitFailedError(f"a pixel of {100 * darkest:.0f} % of its peak")
