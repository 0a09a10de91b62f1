"""The point sources of an image, fitted together: their light, and what is left without it."""

from dataclasses import dataclass, replace

import numpy as np

from skyloom.algorithms.moments import adaptive_moments
from skyloom.algorithms.photometry import PsfPhotometry, photometry_with_light
from skyloom.calibrate.sources import IN_ELECTRONS, pixel_flags

# A peak that was fitted before stands where it stood, or near it where the image was changed since [pixel].
SAME_PEAK, NEAR_PEAK = 1e-6, 0.5
# Sources this much larger than the PSF are no points and are not subtracted.
MAX_SIZE_RATIO = 1.1
# The size of what is fainter is one of the noise [sigma].
LEAST_SIZED = 5.0
# Of the moments that tell points from others: a per cent of the size, at less than half of the steps.
SIZE_TOLERANCE = 3e-3


@dataclass(frozen=True, slots=True)
class FittedPeaks:
    """Peaks that were fitted as points.

    Attributes
    ----------
    x, y : ndarray, shape (n,), float64
        The peaks [pixel].
    fit : PsfPhotometry
        One entry a peak.
    size : ndarray, shape (n,), float64
        Of their adaptive moments [pixel]; NaN where they have none.
    """

    x: np.ndarray
    y: np.ndarray
    fit: PsfPhotometry
    size: np.ndarray

    def start(self, detections, radius):
        """Return x, y [pixel], flux and size of the peak next to each detection, NaN without one (tuple of ndarray).

        Parameters
        ----------
        detections : Detections
            What was found since.
        radius : float
            Largest distance [pixel].
        """
        from scipy.spatial import cKDTree

        known = (self.fit.x, self.fit.y, self.fit.flux, self.size)
        values = np.column_stack([np.stack(known), np.full(len(known), np.nan)])
        if len(self.x) == 0:
            return tuple(values[:, np.zeros(len(detections), dtype=np.int64)])
        # Where there is no peak the tree's index is their number: that of the last column.
        peaks = np.column_stack([detections.x, detections.y])
        tree = cKDTree(np.column_stack([self.x, self.y]))
        return tuple(values[:, tree.query(peaks, distance_upper_bound=radius)[1]])


@dataclass(frozen=True, slots=True)
class PointSources:
    """Detections fitted as points.

    Attributes
    ----------
    peaks : FittedPeaks
        One entry a detection.
    flux : ndarray, shape (n,), float64
        Flux to subtract [unit of the image]; NaN for what is no point, is saturated or could not be fitted.
    """

    peaks: FittedPeaks
    flux: np.ndarray

    @property
    def fit(self):
        """Fits of the detections (PsfPhotometry)."""
        return self.peaks.fit

    @property
    def is_subtracted(self):
        """Detections whose light is subtracted (ndarray, shape (n,), bool)."""
        return np.isfinite(self.flux)


def fit_point_sources(pixels, psf, detections, sigma, n_sweep, known=None):  # noqa: PLR0913 (what, and from where)
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
    known : FittedPeaks, optional
        Fits of an earlier pass, where those of the same sources start and whose sizes these have.

    Returns
    -------
    PointSources
        The wings of a saturated star are fitted too badly to be subtracted: it is left out.
    ndarray, shape (ny, nx), float32
        Light of those that are to be subtracted.
    """
    size, start = np.full(len(detections), np.nan), None
    if known is not None:
        *start, size = known.start(detections, NEAR_PEAK)
    new = np.isnan(size)
    places = (detections.x[new], detections.y[new])
    size[new] = adaptive_moments(pixels.image, *places, sigma, tolerance=SIZE_TOLERANCE).sigma
    is_saturated = pixel_flags(pixels.mask, detections.x, detections.y, sigma)["pixelFlags_saturated"]
    is_wide = (size > MAX_SIZE_RATIO * sigma) & (detections.significance > LEAST_SIZED)
    is_point = ~is_saturated & ~is_wide
    settings = replace(IN_ELECTRONS, n_sweep=n_sweep)
    fit, light = photometry_with_light(pixels, psf, (detections.x, detections.y), settings, start)
    flux = np.where(is_point & (fit.flux > 0), fit.flux, np.nan)
    light.take_away_in_place(psf, fit, np.isnan(flux))
    return PointSources(FittedPeaks(detections.x, detections.y, fit, size), flux), light.image
