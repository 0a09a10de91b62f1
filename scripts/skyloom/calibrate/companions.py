"""Faint companions of bright stars: what is left when the stars found so far are subtracted."""

import logging
from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.detection import SAMPLED_PART, Detections, find_sources
from skyloom.algorithms.footprints import paint_discs_in_place, regions_beyond
from skyloom.algorithms.matched_filter import power_at
from skyloom.algorithms.photometry import N_SWEEP, UNUSABLE
from skyloom.algorithms.residual_filter import filtered_at, maxima_above, residual_significance
from skyloom.calibrate.point_sources import fit_point_sources
from skyloom.calibrate.residual_variance import MODEL_ERROR, residual_variance
from skyloom.core.images import pixels_at
from skyloom.core.psf import FWHM_PER_SIGMA

log = logging.getLogger(__name__)

# Closer than this to a known source, a residual is that source's [FWHM].
MIN_DISTANCE_FWHM = 1.3
# The same for a source that was not subtracted: it still shines.
EXTENDED_DISTANCE_FWHM = 3.0

# Their PSF images fill some megabytes.
PEAKS_AT_A_TIME = 256


@dataclass(frozen=True, slots=True)
class PeakLight:
    """Significance of the subtracted light at the peaks of what is left.

    Attributes
    ----------
    pixels : ndarray, shape (n,), int64
        Flat indices of the peaks, rising.
    significance : ndarray, shape (n,), float64
        [sigma].
    shape : tuple of int
        Shape (ny, nx) of the image.
    """

    pixels: np.ndarray
    significance: np.ndarray
    shape: tuple[int, int]

    def at(self, x, y):
        """Return the significance at some of the peaks (ndarray, shape (m,), float64).

        Parameters
        ----------
        x, y : ndarray, shape (m,), float64
            Positions within half a pixel [pixel].
        """
        row, column = pixels_at(x, y, self.shape)
        return self.significance[np.searchsorted(self.pixels, row * self.shape[1] + column)]


def add_companions(pixels, psf, detections, sigma, search, known=None):  # noqa: PLR0913 (what, how, and from where)
    """Detections with the point sources that hide in the light of brighter ones.

    Parameters
    ----------
    pixels : MaskedImage
        Background-subtracted pixels [electron].
    psf : PixelPsf
        The image's PSF.
    detections : Detections
        What was found on the image itself.
    sigma : float
        Size of the PSF [pixel].
    search : tuple of float and DetectionSettings
        Least significance of a companion, which is that of the detections [sigma], and the settings of `detect`.
    known : FittedPeaks, optional
        Fits of an earlier pass.

    Returns
    -------
    Detections
        All, brightest first; a companion belongs to the footprint it lies in.
    PointSources
        The given detections fitted as points.

    Notes
    -----
    The second round of Stetson (1987, DAOPHOT): fit and subtract the point sources, find again. A residual
    counts against the noise and five per cent of the model together, and not next to a known source.
    """
    threshold, settings = search
    points, light = fit_point_sources(pixels, psf, detections, sigma, N_SWEEP, known)
    significance, lit = _significance_beneath((pixels, psf), (detections, points, light), sigma, search)
    del light  # as large as the detector
    found = find_sources(significance, threshold, settings)
    fwhm = FWHM_PER_SIGMA * sigma
    is_new = found.significance > threshold + MODEL_ERROR * lit.at(found.x, found.y)
    is_new &= _is_beyond(found, detections.select(points.is_subtracted), MIN_DISTANCE_FWHM * fwhm)
    is_new &= _is_beyond(found, detections.select(~points.is_subtracted), EXTENDED_DISTANCE_FWHM * fwhm)
    found = found.select(is_new)
    log.info("found %d companions of brighter stars", len(found))
    return _merged(detections, found), points


def _significance_beneath(image, sources, sigma, search):
    """Significance of what is left in the footprints that reach beyond their sources; of the light at its peaks.

    What is left is no more significant than the image itself: where that is below the threshold there is nothing.
    """
    (pixels, psf), (detections, points, light), (threshold, settings) = image, sources, search
    is_near = np.zeros(pixels.shape, dtype=bool)
    for part, known in (
        (MIN_DISTANCE_FWHM, points.is_subtracted),
        (EXTENDED_DISTANCE_FWHM, ~points.is_subtracted),
    ):
        places = pixels_at(detections.x[known], detections.y[known], pixels.shape)
        paint_discs_in_place(*places, part * FWHM_PER_SIGMA * sigma, is_near)
    wanted = regions_beyond(detections.labels, is_near)
    del is_near
    fit = points.fit.select(points.is_subtracted)
    variance = residual_variance((pixels, light), psf, fit, settings.noise_correlation)
    values = residual_significance(
        (pixels, light), psf, wanted, (settings.excluded, UNUSABLE), variance.in_part
    )
    significance = np.zeros(pixels.shape, dtype=np.float32)
    significance[wanted] = values
    peaks = maxima_above(significance, SAMPLED_PART * threshold)
    lit = _significance_of(light, pixels, psf, peaks)
    lit /= np.sqrt(power_at(settings.noise_correlation, pixels.shape, *np.divmod(peaks, pixels.shape[1])))
    return significance, PeakLight(peaks, lit, pixels.shape)


def _significance_of(light, pixels, psf, peaks):
    """Matched-filter significance that the subtracted light had at the peaks: its errors are coherent."""
    found = []
    for part in np.array_split(peaks, len(peaks) // PEAKS_AT_A_TIME + 1):
        y, x = np.divmod(part, light.shape[1])
        kernels = psf.kernels_at(x.astype(np.float64), y.astype(np.float64))
        found.append(filtered_at((light, pixels.variance), kernels, (y, x)))
    return np.concatenate(found)


def _is_beyond(found, known, radius):
    """Peaks of `found` with no peak of `known` within `radius` [pixel]."""
    from scipy.spatial import cKDTree

    if len(found) == 0 or len(known) == 0:
        return np.ones(len(found), dtype=bool)
    tree = cKDTree(np.column_stack([known.x, known.y]))
    return tree.query(np.column_stack([found.x, found.y]))[0] > radius


def _merged(detections, new):
    """Both sets, brightest first, the new ones in the footprints of the old."""
    inside = detections.labels[pixels_at(new.x, new.y, detections.labels.shape)] - 1
    joined = np.concatenate([detections.footprint, inside.astype(np.int32)])
    significance = np.concatenate([detections.significance, new.significance])
    order = np.argsort(-significance, kind="stable")
    return Detections(
        x=np.concatenate([detections.x, new.x])[order],
        y=np.concatenate([detections.y, new.y])[order],
        significance=significance[order],
        footprint=joined[order],
        n_peak=np.bincount(joined, minlength=1)[joined][order].astype(np.int32),
        labels=detections.labels,
    )
