"""The point sources of an image, fitted together: their light, and what is left without it."""

from dataclasses import dataclass, replace

import numpy as np

from skyloom.algorithms.moments import adaptive_moments
from skyloom.algorithms.photometry import PsfPhotometry, point_source_image, psf_photometry, typical_noise
from skyloom.calibrate.sources import IN_ELECTRONS, pixel_flags

# A peak that was fitted before stands where it stood [pixel].
SAME_PEAK = 1e-6
# Sources this much larger than the PSF are no points and are not subtracted.
MAX_SIZE_RATIO = 1.1


@dataclass(frozen=True, slots=True)
class PointSources:
    """Detections fitted as points.

    Attributes
    ----------
    fit : PsfPhotometry
        One entry a detection.
    flux : ndarray, shape (n,), float64
        Flux to subtract [unit of the image]; NaN for what is no point, is saturated or could not be fitted.
    model : ndarray, shape (ny, nx), float32
        Their light.
    """

    fit: PsfPhotometry
    flux: np.ndarray
    model: np.ndarray

    @property
    def is_subtracted(self):
        """Detections whose light is in the model (ndarray, shape (n,), bool)."""
        return np.isfinite(self.flux)


def fit_point_sources(pixels, psf, detections, sigma, n_sweep):
    """Fit all detections as points and make the model of those that are.

    Parameters
    ----------
    pixels : MaskedImage
        Background-subtracted pixels [electron].
    psf : PixelPsf
        The image's PSF.
    detections : Detections
        What was found on the image.
    sigma : float
        Size of the PSF [pixel].
    n_sweep : int
        Times that each source is fitted with the others subtracted.

    Returns
    -------
    PointSources
        The wings of a saturated star are fitted too badly to be subtracted: it is left out.
    """
    moments = adaptive_moments(pixels.image, detections.x, detections.y, sigma)
    is_saturated = pixel_flags(pixels.mask, detections.x, detections.y, sigma)["pixelFlags_saturated"]
    is_point = ~is_saturated & ~(moments.sigma > MAX_SIZE_RATIO * sigma)
    settings = replace(IN_ELECTRONS, n_sweep=n_sweep)
    fit = psf_photometry(pixels, psf, detections.x, detections.y, settings)
    flux = np.where(is_point & (fit.flux > 0) & np.isfinite(fit.x), fit.flux, np.nan)
    noise = typical_noise(pixels.variance)
    return PointSources(fit, flux, point_source_image(pixels.image.shape, psf, fit.x, fit.y, flux, noise))


def start_of_fit(detections, fitted, fit):
    """Positions and fluxes of detections of which some were fitted before.

    Parameters
    ----------
    detections, fitted : Detections
        Those that will be fitted, and those that were.
    fit : PsfPhotometry
        Of `fitted`.

    Returns
    -------
    x, y, flux : ndarray, shape (n,), float64
        From the fit; NaN for the others.
    """
    from scipy.spatial import cKDTree

    start = np.full((3, len(detections)), np.nan)
    if len(detections) and len(fitted):
        tree = cKDTree(np.column_stack([fitted.x, fitted.y]))
        peaks = np.column_stack([detections.x, detections.y])
        distance, index = tree.query(peaks, distance_upper_bound=SAME_PEAK)
        known = np.isfinite(distance)
        start[:, known] = [values[index[known]] for values in (fit.x, fit.y, fit.flux)]
    return tuple(start)
