"""A PSF that varies over the image, fitted to its stars: pixel basis, polynomial variation."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from skyloom.algorithms.photometry import UNUSABLE, FitSettings, point_source_image, psf_photometry
from skyloom.algorithms.psf_centring import centred_psf
from skyloom.algorithms.robust import mad_sigma
from skyloom.core import mask_planes
from skyloom.core.errors import DataError
from skyloom.core.psf import PixelPsf, gaussian_kernel, shift_stamps
from skyloom.core.wcs import polynomial_terms, unit_coordinates

log = logging.getLogger(__name__)

# Stars for each polynomial term: below it a higher order follows the noise.
STARS_PER_TERM = 5
N_CONSTANT_ROUND, N_VARYING_ROUND, N_REFINING_ROUND = 2, 5, 3
PIXEL_CLIP_SIGMA = 5.0
MAX_CLIPPED_FRACTION = 0.2
CORE_RADIUS_SIGMA = 2.5
# Sweeps over stars whose fluxes and positions the last round knows.
N_NEXT_SWEEP = 2
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
        Highest total degree of the polynomial of position; lowered when stars are few.
    model_floor : float
        Error of the model as a fraction of itself; it caps the weight of bright stars.
    variation : float
        Expected change of a PSF pixel over half the image as a fraction of it: the prior on the polynomial.
    outlier_sigma : float
        Stars whose residual lies this far from that of the others are dropped.
    min_stars : int
        Stars needed.
    photon_variance : float
        Variance a source's photons add per unit of flux: 1 in electrons.
    """

    size: int = 31
    max_order: int = 2
    model_floor: float = 0.02
    variation: float = 0.3
    outlier_sigma: float = 4.0
    min_stars: int = 4
    photon_variance: float = 1.0


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
    the residuals. Weights come from the model's variance plus a fraction of the model (Jarvis et al. 2021 cap
    the S/N of bright stars for the same reason); polynomial terms have a Gaussian prior of a fraction of the
    mean PSF, which keeps noise out of the wings.
    """
    settings = settings or PsfFitSettings()
    ny, nx = masked_image.image.shape
    domain = (-0.5, nx - 0.5, -0.5, ny - 0.5)
    psf = PixelPsf(gaussian_kernel(sigma, settings.size)[None].astype(np.float32), 0, domain)
    rounds = [*[True] * N_CONSTANT_ROUND, *[False] * N_VARYING_ROUND]
    return _iterate(masked_image, stars, psf, rounds, settings)


def refine_psf(masked_image, stars, psf, settings=None):
    """PSF fitted anew from a good one, to pixels that are cleaner than those of the first fit.

    Parameters
    ----------
    masked_image, stars, settings
        As for `fit_psf`.
    psf : PixelPsf
        What the first fit found.

    Returns
    -------
    PsfFit
        As from `fit_psf`.

    Raises
    ------
    TooFewPsfStarsError, PsfFitFailedError
        As from `fit_psf`.
    """
    return _iterate(masked_image, stars, psf, [False] * N_REFINING_ROUND, settings or PsfFitSettings())


def _iterate(masked_image, stars, psf, rounds, settings):
    """Rounds of fitting fluxes and positions, then the PSF; True stands for one in which it is constant."""
    x, y, reserved = (np.asarray(values) for values in stars)
    used = ~reserved
    fit_settings = FitSettings(photon_variance=settings.photon_variance, unusable=int(WEIGHTLESS))
    start = None
    for is_constant in rounds:
        if used.sum() < settings.min_stars:
            raise TooFewPsfStarsError(int(used.sum()), settings.min_stars)
        fit = psf_photometry(masked_image, psf, x, y, fit_settings, start)
        used &= np.isfinite(fit.flux) & (fit.flux > 0) & (fit.usable_fraction > 0.5)
        residuals, weights = _residual_stamps(masked_image, psf, fit, settings)
        if not is_constant:
            weights = np.where(residuals**2 * weights < PIXEL_CLIP_SIGMA**2, weights, 0.0)
        scatter = _core_scatter(residuals, weights, psf, fit)
        if not is_constant:
            used &= ~_outliers(scatter, used, settings.outlier_sigma)
        order = 0 if is_constant else _order_for(int(used.sum()), settings.max_order)
        psf = _updated(
            psf, order, (fit.x[used], fit.y[used]), (residuals[used], weights[used]), settings.variation
        )
        _check(psf)
        psf = centred_psf(psf)
        x, y = np.where(np.isfinite(fit.x), fit.x, x), np.where(np.isfinite(fit.y), fit.y, y)
        start, fit_settings = (x, y, fit.flux), replace(fit_settings, n_sweep=N_NEXT_SWEEP)
    log.info("PSF of order %d from %d of %d stars", psf.order, used.sum(), len(x))
    return PsfFit(psf=psf, x=fit.x, y=fit.y, flux=fit.flux, used=used, residual=scatter)


def _order_for(n_star, max_order):
    """Highest order for which each polynomial term has enough stars."""
    order = 0
    while order < max_order and (order + 2) * (order + 3) // 2 * STARS_PER_TERM <= n_star:
        order += 1
    return order


def _residual_stamps(pixels, psf, fit, settings):
    """Residuals over flux, moved to the stars' centres, and their weights; both of shape (n, k, k)."""
    ny, nx = pixels.image.shape
    half = psf.size // 2
    model = point_source_image(pixels.image.shape, psf, fit.x, fit.y, fit.flux)
    x, y, flux = np.nan_to_num(fit.x), np.nan_to_num(fit.y), np.where(fit.flux > 0, fit.flux, np.inf)
    column0, row0 = np.rint(x).astype(np.int64), np.rint(y).astype(np.int64)
    rows = row0[:, None] + np.arange(-half, half + 1)
    columns = column0[:, None] + np.arange(-half, half + 1)
    inside = ((rows >= 0) & (rows < ny))[:, :, None] & ((columns >= 0) & (columns < nx))[:, None, :]
    index = (np.clip(rows, 0, ny - 1)[:, :, None], np.clip(columns, 0, nx - 1)[:, None, :])
    image = pixels.image[index]
    good = inside & ((pixels.mask[index] & WEIGHTLESS) == 0) & np.isfinite(image)
    residuals = np.where(good, image - model[index], 0) / flux[:, None, None]
    residuals = shift_stamps(residuals, column0 - x, row0 - y)
    kernels = np.maximum(psf.kernels_at(x, y), 0)
    background = settings.photon_variance * np.maximum(model[index], 0)
    base = _base_variances(np.where(good, pixels.variance[index] - settings.photon_variance * image, np.nan))
    variance = (base[:, None, None] + background) / flux[:, None, None] ** 2 + (
        settings.model_floor * kernels
    ) ** 2
    return residuals, good / np.where(variance > 0, variance, np.inf)


def _base_variances(stamps):
    """Mean of each stamp without its NaN, 0 when there is nothing else."""
    known = np.isfinite(stamps)
    total = np.where(known, stamps, 0).sum(axis=(1, 2))
    return np.maximum(total / np.maximum(known.sum(axis=(1, 2)), 1), 0)


def _core_scatter(residuals, weights, psf, fit):
    """Root mean weighted square of each star's residuals within the core of the PSF."""
    kernel = psf.kernel_at((psf.domain[0] + psf.domain[1]) / 2, (psf.domain[2] + psf.domain[3]) / 2)
    radius = CORE_RADIUS_SIGMA * np.sqrt(1 / (4 * np.pi * np.sum(kernel**2)))
    offset = np.arange(psf.size) - psf.size // 2
    core = np.hypot(offset[:, None], offset[None, :]) <= radius
    n_pixel = np.maximum((weights[:, core] > 0).sum(axis=1), 1)
    scatter = np.sqrt((residuals[:, core] ** 2 * weights[:, core]).sum(axis=1) / n_pixel)
    return np.where(np.isfinite(fit.flux), scatter, np.nan)


def _outliers(scatter, used, n_sigma):
    """Stars whose log scatter lies more than `n_sigma` above the median, the worst fifth at most."""
    logarithm = np.log(np.maximum(scatter, 1e-6))
    centre, width = np.median(logarithm[used]), mad_sigma(logarithm[used])
    excess = np.where(used, (logarithm - centre) / max(width, 0.05), 0)
    limit = max(n_sigma, float(np.quantile(excess[used], 1 - MAX_CLIPPED_FRACTION)))
    return excess > limit


def _updated(psf, order, positions, stamps, variation):
    """PSF corrected by the weighted polynomial fit of the residual stamps, pixel by pixel."""
    terms = polynomial_terms(*unit_coordinates(*positions, psf.domain), order)
    residuals, weights = stamps
    coefficients = np.zeros((len(terms), psf.size, psf.size))
    n_common = min(len(terms), len(psf.coefficients))
    coefficients[:n_common] = psf.coefficients[:n_common]
    n_pixel = psf.size**2
    flat_weights = weights.reshape(-1, n_pixel)
    products = (terms[:, None, :] * terms[None, :, :]).reshape(-1, terms.shape[1])
    matrix = (products @ flat_weights).T.reshape(n_pixel, len(terms), len(terms))
    right = (terms @ (flat_weights * residuals.reshape(-1, n_pixel))).T
    prior = np.zeros((n_pixel, len(terms)))
    prior[:, 1:] = 1 / (variation * _amplitude(coefficients[0]).ravel()[:, None]) ** 2
    flat = coefficients.reshape(len(terms), n_pixel).T
    matrix[:, range(len(terms)), range(len(terms))] += (
        prior + 1e-12 * matrix.max() + np.finfo(np.float64).tiny
    )
    step = np.linalg.solve(matrix, (right - prior * flat)[:, :, None])[:, :, 0]
    updated = (flat + step).T.reshape(coefficients.shape)
    updated /= updated[0].sum()
    return PixelPsf(updated.astype(np.float32), order, psf.domain)


def _amplitude(image):
    """Absolute value of a PSF image smoothed over 3x3 pixels, at least 1e-7."""
    padded = np.pad(np.abs(image), 1, mode="edge")
    return np.maximum(np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).mean(axis=(2, 3)), 1e-7)


def _check(psf):
    """Raise unless the PSF at the image's centre is finite with its peak near the middle pixel."""
    if not np.all(np.isfinite(psf.coefficients)):
        raise PsfFitFailedError("pixels that are not finite")
    kernel = psf.coefficients[0]
    peak = np.unravel_index(int(np.argmax(kernel)), kernel.shape)
    distance = float(np.hypot(peak[0] - psf.size // 2, peak[1] - psf.size // 2))
    if distance > psf.size / 8:
        raise PsfFitFailedError(f"a peak {distance:.1f} pixels off centre")
