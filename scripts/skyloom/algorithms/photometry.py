"""Fluxes and positions of point sources: the PSF fitted to all of them together."""

from dataclasses import dataclass, fields

import numpy as np

from skyloom.algorithms.point_fit import fit_point_sources, paint_point_sources
from skyloom.core import mask_planes
from skyloom.core.images import STRIP, MaskedImage, pixels_at
from skyloom.core.psf import smoothed
from skyloom.core.splines import spline_coefficients, with_phases

UNUSABLE = mask_planes.bits("BAD", "SAT", "INTRP", "CR", "NO_DATA")
N_SWEEP = 4
NO_SUCH_PIXEL = 1e6
# Of the PSF images that tell how far light reaches.
N_SAMPLE = 50
# Light below this part of a pixel's noise is neither fitted nor subtracted.
INVISIBLE_SIGMA = 0.02
# Part of sum(P^2) that the square of the faintest source holds.
MIN_SQUARE = 0.999


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How PSF fluxes are fitted.

    Attributes
    ----------
    fit_position : bool
        Fit the position too; otherwise the flux is forced at the given one.
    photon_variance : float
        Variance that a source's own photons add per unit of flux: 1 for an image in electrons, the zero point
        for one in nJy. 0 gives all pixels one weight, so that no gain needs to be known.
    noise_correlation : float
        Noise power at zero frequency over the pixel variance; errors are multiplied by its root.
    n_sweep : int
        Times that every source is fitted with the others subtracted.
    unusable : int
        Mask bits of pixels without weight.
    whole_stamps : bool
        Fit all pixels that the PSF's image has, not only those where the source's light can be told from the noise.
    """

    fit_position: bool = True
    photon_variance: float = 0.0
    noise_correlation: float = 1.0
    n_sweep: int = N_SWEEP
    unusable: int = int(UNUSABLE)
    whole_stamps: bool = False


@dataclass(frozen=True, slots=True)
class PsfPhotometry:
    """PSF fits of n sources; NaN where no usable pixel lies below the source's PSF.

    Attributes
    ----------
    flux, flux_err : ndarray, shape (n,), float64
        Flux in the unit of the image, and its error.
    x, y, x_err, y_err : ndarray, shape (n,), float64
        Fitted position [pixel] and errors; NaN errors when the position was not fitted.
    xy_covariance : ndarray, shape (n,), float64
        Covariance of x and y [pixel^2]; NaN as their errors.
    chi2 : ndarray, shape (n,), float64
        Sum of squared residuals over their variance in the stamp.
    n_pixel : ndarray, shape (n,), float64
        Usable pixels in the stamp.
    usable_fraction : ndarray, shape (n,), float64
        Part of sum(P^2) that falls on usable pixels: 1 for a clean source.
    """

    flux: np.ndarray
    flux_err: np.ndarray
    x: np.ndarray
    y: np.ndarray
    x_err: np.ndarray
    y_err: np.ndarray
    xy_covariance: np.ndarray
    chi2: np.ndarray
    n_pixel: np.ndarray
    usable_fraction: np.ndarray

    def select(self, index):
        """Return some of the fits (PsfPhotometry).

        Parameters
        ----------
        index : ndarray, shape (n,), bool, or shape (m,), int
            Fits to keep, or their indices in the order wanted.
        """
        return PsfPhotometry(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class SourceSplines:
    """The PSF of each of n sources, for who needs it more than once.

    Attributes
    ----------
    splines : ndarray, shape (n, k, k) or (n, s * s, k, k), float32
        Spline coefficients, as from `splines_at` of a PSF.
    """

    splines: np.ndarray


@dataclass(frozen=True, slots=True)
class FittedLight:
    """The light of n fitted sources.

    Attributes
    ----------
    image : ndarray, shape (ny, nx), float32
        What all make together, each as far as it was fitted.
    halves : ndarray, shape (n,), int64
        Half-width of the square that each was fitted in [pixel].
    x, y : ndarray, shape (n,), float64
        The peaks, where each one's PSF was taken [pixel].
    """

    image: np.ndarray
    halves: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def take_away_in_place(self, psf, fit, is_unwanted):
        """Leave some of the sources out of the image.

        Parameters
        ----------
        psf : PixelPsf or CellPsf
            That of the fit.
        fit : PsfPhotometry
            Fits of all sources.
        is_unwanted : ndarray, shape (n,), bool
            Sources to leave out.
        """
        index = np.flatnonzero(is_unwanted & np.isfinite(fit.flux))
        stamps = _splines(psf, self.x[index], self.y[index])
        sources = (fit.x[index], fit.y[index], -fit.flux[index])
        paint_point_sources(stamps, self.halves[index], sources, self.image)


def psf_photometry(masked_image, psf, x, y, settings=None, start=None):  # noqa: PLR0913 (what, and from where)
    """PSF fluxes of point sources, close neighbours fitted together.

    Parameters
    ----------
    masked_image : MaskedImage
        Background-subtracted pixels.
    psf : PixelPsf, CellPsf, SourceSplines or ndarray of shape (n, k, k)
        PSF, or that of each source, the array as images.
    x, y : array_like, shape (n,)
        Positions of the peaks [pixel]: no source moves farther than `point_fit.MAX_SHIFT` from its own.
    settings : FitSettings, optional
        Whether positions are free, how pixels are weighted.
    start : tuple of ndarray, shape (n,), optional
        x, y and flux of fits before, where known: finite, the flux positive.

    Returns
    -------
    PsfPhotometry
        One entry a source.

    Notes
    -----
    Gauss-Newton for flux and position of one source at a time with the models of the others subtracted,
    brightest first, repeated (Stetson 1987's groups, solved by relaxation). The weight of a pixel is the
    inverse of a variance without noise of its own: ``V0 + photon_variance * model``, with V0 the mean of
    ``variance - photon_variance * image`` over the stamp's pixels within two sigma of the sky (below the PSF
    squared where they are few; the least variance of the stamp where nothing is left of it). With
    photon_variance 0 this is the flux of uniform weights, ``sum(P d) / sum(P^2)`` with variance
    ``sum(P^2 V) / sum(P^2)^2``. The PSF is moved by splines of degree 7.
    """
    return photometry_with_light(masked_image, psf, (x, y), settings, start)[0]


def photometry_with_light(masked_image, psf, peaks, settings=None, start=None):
    """PSF fluxes of point sources, as from `psf_photometry`, and their light.

    Parameters
    ----------
    masked_image, psf, settings, start
        As for `psf_photometry`.
    peaks : tuple of array_like, shape (n,)
        x, y of the peaks [pixel].

    Returns
    -------
    fit : PsfPhotometry
        One entry a source.
    light : FittedLight
        That of all sources.
    """
    settings = settings or FitSettings()
    x, y = (np.array(values, dtype=np.float64, ndmin=1) for values in peaks)
    stamps = _splines(psf, x, y)
    results = np.full((len(fields(PsfPhotometry)), x.size), np.nan)
    results[2], results[3] = x, y
    if start is not None:
        known = (start[2] > 0) & np.isfinite(start[0]) & np.isfinite(start[1])
        for row, values in zip((2, 3, 0), start, strict=True):
            results[row, known] = values[known]
    model = np.zeros(masked_image.image.shape, dtype=np.float32)
    options = (
        float(settings.photon_variance),
        settings.fit_position,
        float(settings.noise_correlation),
        settings.n_sweep,
    )
    brightness = _brightness(masked_image.image, x, y)
    order = _by_brightness(brightness, x, y)
    if settings.whole_stamps:
        halves = np.full(x.size, stamps.shape[-1] // 2)
    else:
        halves = half_widths(stamps, brightness / _core(stamps), typical_noise(masked_image.variance))
    pixels = (masked_image.image, masked_image.mask, masked_image.variance, np.uint32(settings.unusable))
    fit_point_sources(pixels, stamps, (order, halves), options, (model, results, np.stack([x, y])))
    if not settings.fit_position:
        results[4:7] = np.nan
    return PsfPhotometry(*results), FittedLight(model, halves, x, y)


def without_position_bias(flux, flux_err):
    """Fluxes without what a free position adds to them, and their errors.

    Parameters
    ----------
    flux, flux_err : ndarray, shape (n,), float64
        From fits with free positions.

    Returns
    -------
    flux, flux_err : ndarray, shape (n,), float64
        Unbiased to second order from a signal to noise of 4 on; smooth and of the same sign below.

    Notes
    -----
    The best of all positions is one where the noise adds to the star: half a unit of log likelihood for each of two
    coordinates, ``flux_err^2 / flux`` of flux (Cox & Snell 1968, second-order bias of maximum likelihood), 1 % at a
    signal to noise of 10. What is left is ``flux / (1 + (flux_err / flux)^2)``, which is bounded.
    """
    square, variance = np.asarray(flux, dtype=np.float64) ** 2, np.asarray(flux_err, dtype=np.float64) ** 2
    total = np.where(square + variance > 0, square + variance, 1.0)
    slope = square * (square + 3 * variance) / total**2
    return flux * square / total, flux_err * np.maximum(slope, 1.0)


def position_error_factor(kernel, flux, flux_err):
    """Factor by which errors of free positions exceed those that the fit's normal equations give.

    Parameters
    ----------
    kernel : ndarray, shape (k, k), float64
        PSF image.
    flux, flux_err : ndarray, shape (n,), float64
        From fits with free positions.

    Returns
    -------
    ndarray, shape (n,), float64
        ``sqrt(1 + c / nu^2)`` at a signal to noise nu, at most the root of 2; NaN as the flux.

    Notes
    -----
    The next order of the variance of the maximum of ``nu R(d) + n(d)``, R the PSF's autocorrelation and n noise of that
    correlation: noise also bends the peak, and the flux that scales the error is that of the maximum. With the moments
    m of the PSF's power over wave numbers, ``c = 1 + (m40 + m22) / m20^2``: 5 for a Gaussian, 6 for a PSF with wings.
    """
    power = np.abs(np.fft.rfft2(kernel)) ** 2
    # The side is odd: all columns but the first stand for two.
    power[:, 1:] *= 2
    rows, columns = np.fft.fftfreq(kernel.shape[0])[:, None] ** 2, np.fft.rfftfreq(kernel.shape[1]) ** 2
    power /= power.sum()
    square = float(np.sum(power * (rows + columns))) / 2
    fourth = float(np.sum(power * (rows**2 + columns**2))) / 2 + float(np.sum(power * rows * columns))
    bend = 1 + fourth / square**2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(1 + np.minimum(bend * (flux_err / flux) ** 2, 1.0))


def point_source_image(shape, psf, x, y, flux, noise=None):  # noqa: PLR0913 (where, what, and how much of it)
    """Image of point sources.

    Parameters
    ----------
    shape : tuple of int
        Shape (ny, nx).
    psf : PixelPsf, CellPsf or ndarray of shape (n, k, k)
        PSF, or one image for each source.
    x, y, flux : array_like, shape (n,)
        Positions [pixel] and fluxes; sources with a NaN are left out.
    noise : float, optional
        Noise of a pixel, in which the far wings of faint sources are lost and left out.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        The model that `psf_photometry` fits, in the unit of `flux`.
    """
    x, y, flux = (np.array(values, dtype=np.float64, ndmin=1) for values in (x, y, flux))
    model = np.zeros(shape, dtype=np.float32)
    known = np.isfinite(x) & np.isfinite(y) & np.isfinite(flux)
    known &= (np.abs(x) < NO_SUCH_PIXEL) & (np.abs(y) < NO_SUCH_PIXEL)
    x, y, flux = x[known], y[known], flux[known]
    stamps = _splines(psf[known] if isinstance(psf, np.ndarray) else psf, x, y)
    halves = np.full(x.size, stamps.shape[-1] // 2) if noise is None else half_widths(stamps, flux, noise)
    paint_point_sources(stamps, halves, (x, y, flux), model)
    return model


def _splines(psf, x, y):
    """Spline coefficients of the PSF of each source, shape (n, s * s, k, k), float32."""
    if isinstance(psf, SourceSplines):
        return with_phases(psf.splines)
    if isinstance(psf, np.ndarray):
        return with_phases(spline_coefficients(psf).astype(np.float32))
    return with_phases(psf.splines_at(x, y))


def _brightness(image, x, y):
    """Sum over the central 3x3 pixels of each source, shape (n,); 0 where it is not finite."""
    brightness = np.zeros(x.size)
    for step_y in (-1, 0, 1):
        for step_x in (-1, 0, 1):
            brightness += image[pixels_at(x + step_x, y + step_y, image.shape)]
    return np.nan_to_num(brightness, posinf=0.0, neginf=0.0)


def _by_brightness(brightness, x, y):
    """Order of sources by falling brightness, those of about the same strip by strip: neighbours share memory."""
    with np.errstate(divide="ignore"):
        magnitude = np.floor(np.log2(np.maximum(brightness, 0)))
    return np.lexsort((np.nan_to_num(x), np.nan_to_num(y) // STRIP, -magnitude))


def typical_noise(variance):
    """Return the median noise of a pixel, from a sample of them (float).

    Parameters
    ----------
    variance : ndarray, shape (ny, nx), float32
        Of the pixels.
    """
    sample = variance[:: max(variance.shape[0] // 256, 1), :: max(variance.shape[1] // 256, 1)]
    sample = sample[np.isfinite(sample) & (sample > 0)]
    return float(np.sqrt(np.median(sample))) if sample.size else 1.0


def half_widths(stamps, flux, noise):
    """Half-width of the square beyond which each source's light is lost in the noise.

    Parameters
    ----------
    stamps : ndarray, shape (n, s * s, k, k), float32
        Spline coefficients of each source's PSF.
    flux : ndarray, shape (n,), float64
        Of the sources, about.
    noise : float
        Of a pixel.

    Returns
    -------
    ndarray, shape (n,), int64
        [pixel], at most k // 2. Looked up in the mean PSF, smoothed: what the noise of its stars left in the wings of
        one is not its light.
    """
    half = stamps.shape[-1] // 2
    mean = _mean_stamp(stamps)
    if not mean.any():
        return np.full(len(stamps), half)
    wings = np.abs(smoothed(mean))
    offset = np.abs(np.arange(-half, half + 1))
    distance = np.maximum(offset[:, None], offset[None, :])
    outside = np.array([wings[distance > h].max(initial=0.0) for h in range(half + 1)])
    lost = np.array([(wings[distance > h] ** 2).sum() for h in range(half + 1)])
    least = int(np.argmax(lost <= (1 - MIN_SQUARE) * (mean**2).sum()))
    visible = INVISIBLE_SIGMA * noise / np.maximum(np.nan_to_num(flux), 1e-30)
    # `outside` falls: the first half-width at which it is below the limit.
    found = (half + 1) - np.searchsorted(outside[::-1], visible, side="right")
    return np.clip(found, least, half)


def _mean_stamp(stamps):
    """Mean of a sample of the PSF images that there are, in the middle of a pixel, shape (k, k); 0 without any."""
    centred = stamps[:, 0]
    middle = centred.shape[-1] // 2
    known = np.flatnonzero(np.isfinite(centred[:, middle, middle]))
    sample = centred[known[:: max(len(known) // N_SAMPLE, 1)]].astype(np.float64)
    return sample.mean(axis=0) if len(sample) else np.zeros(centred.shape[1:])


def _core(stamps):
    """Part of a star's light that falls on its central 3x3 pixels."""
    half = stamps.shape[-1] // 2
    part = float(_mean_stamp(stamps)[half - 1 : half + 2, half - 1 : half + 2].sum())
    return part if part > 0 else 1.0


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    zeros = np.zeros((16, 16), dtype=np.float32)
    pixels = MaskedImage(zeros, np.zeros((16, 16), dtype=np.uint32), zeros + np.float32(1))
    psf_photometry(pixels, np.full((1, 5, 5), 0.04), [8.0], [8.0])
    point_source_image((16, 16), np.full((1, 5, 5), 0.04), [8.0], [8.0], [1.0])
