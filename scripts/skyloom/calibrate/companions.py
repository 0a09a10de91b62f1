"""Faint companions of bright stars: what is left when the stars found so far are subtracted."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np

from skyloom.algorithms.detection import SAMPLED_PART, Detections, find_sources
from skyloom.algorithms.footprints import paint_discs_in_place, regions_beyond
from skyloom.algorithms.matched_filter import power_at
from skyloom.algorithms.photometry import N_SWEEP, UNUSABLE, typical_noise
from skyloom.algorithms.residual_filter import filtered_at, maxima_above, residual_significance
from skyloom.calibrate.point_sources import fit_point_sources
from skyloom.core.images import pixels_at
from skyloom.core.psf import FWHM_PER_SIGMA

log = logging.getLogger(__name__)

# A model that is wrong by this fraction of itself explains a residual: 1 % in the PSF, more under crowding.
MODEL_ERROR = 0.05
# A wing beyond the PSF image is visible above this many sigma of a pixel.
VISIBLE_WING_SIGMA = 0.1
# Noise of the model's wings below this fraction of the pixel's is left out.
MIN_WING_NOISE = 0.02
PSF_STAR_SIGNAL_TO_NOISE = 50.0
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


@dataclass(frozen=True, slots=True)
class WingErrors:
    """What the errors of the PSF's wings do to the variance about n bright stars.

    Attributes
    ----------
    row, column : ndarray, shape (n,), int64
        Pixels of the stars.
    factor : ndarray, shape (n,), float64
        Of the variance below the star's PSF image.
    is_seen : ndarray, shape (n,), bool
        Whether there is light beyond that image: nothing can be told from it.
    half : int
        Half-width of the PSF image [pixel].
    """

    row: np.ndarray
    column: np.ndarray
    factor: np.ndarray
    is_seen: np.ndarray
    half: int

    def add_in_place(self, variance, corner):
        """Add the errors to the variance of a part of the image.

        Parameters
        ----------
        variance : ndarray, shape (n_row, n_column), float32
            Changed in place.
        corner : tuple of int
            Row and column of its first pixel on the image.
        """
        row, column = self.row - corner[0], self.column - corner[1]
        reach = 2 * self.half
        near = (row >= -reach) & (row < variance.shape[0] + reach)
        near &= (column >= -reach) & (column < variance.shape[1] + reach)
        for star in np.flatnonzero(near):
            inner = _box(row[star], column[star], self.half, variance.shape)
            variance[inner] *= self.factor[star]
            if self.is_seen[star]:
                kept = variance[inner].copy()
                variance[_box(row[star], column[star], reach, variance.shape)] = np.inf
                variance[inner] = kept


@dataclass(frozen=True, slots=True)
class ResidualVariance:
    """Variance of the pixels without the light of point sources, the errors of that light in it.

    Attributes
    ----------
    pixels : MaskedImage
        The pixels.
    light : ndarray, shape (ny, nx), float32
        What is taken from them.
    noise_correlation : float or ndarray, shape (n_row, n_column)
        Noise power at zero frequency over the pixel variance, of all or of each tile: the noise of the pixels has it,
        the errors of the light have nothing of it.
    wings : WingErrors
        Those of the PSF's wings.
    """

    pixels: Any
    light: np.ndarray
    noise_correlation: float | np.ndarray
    wings: WingErrors

    def in_part(self, part):
        """Variance of a part of the image (ndarray, float32).

        Parameters
        ----------
        part : tuple of slice
            Its rows and columns, with start and stop. The noise has the power of the tile that holds their middle.
        """
        middle = (int(axis.start + axis.stop) // 2 for axis in part)
        power = np.float32(power_at(self.noise_correlation, self.light.shape, *middle))
        variance = np.square(self.light[part] * np.float32(MODEL_ERROR))
        variance += self.pixels.variance[part] * power
        self.wings.add_in_place(variance, (part[0].start, part[1].start))
        return variance


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
    variance = ResidualVariance(
        pixels, light, settings.noise_correlation, _wing_errors(pixels, psf, fit, settings.noise_correlation)
    )
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


def _wing_errors(pixels, psf, fit, noise_correlation):
    """Errors that the PSF's own wings leave below bright stars, without end where their light is beyond its image."""
    half = psf.size // 2
    # The model's wings are the mean of its stars' wings: their noise on a star of flux F is F^2 / sum(F^2) V.
    made_psf = (fit.usable_fraction > 0.9) & (fit.flux > PSF_STAR_SIGNAL_TO_NOISE * fit.flux_err)
    # Where none is bright enough for it, as below a PSF that somebody else fitted, all the stars stand for them.
    power = max(float(np.sum(fit.flux[made_psf if made_psf.any() else ...] ** 2)), 1e-30)
    edge = float(np.abs(psf.images[0][[0, half, half, -1], [half, 0, -1, half]]).mean())
    noise = typical_noise(pixels.variance) * float(np.sqrt(np.mean(noise_correlation)))
    is_seen = fit.flux * edge > VISIBLE_WING_SIGMA * noise
    bright = is_seen | (fit.flux**2 > MIN_WING_NOISE * power)
    row, column = (np.rint(position[bright]).astype(np.int64) for position in (fit.y, fit.x))
    return WingErrors(row, column, 1 + fit.flux[bright] ** 2 / power, is_seen[bright], half)


def _box(row, column, half, shape):
    """Slices of a square about a pixel, cut at the image's edge."""
    rows = slice(max(row - half, 0), max(min(row + half + 1, shape[0]), 0))
    return rows, slice(max(column - half, 0), max(min(column + half + 1, shape[1]), 0))


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
