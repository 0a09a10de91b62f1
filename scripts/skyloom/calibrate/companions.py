"""Faint companions of bright stars: what is left when the stars found so far are subtracted."""

import logging

import numpy as np

from skyloom.algorithms.detection import Detections, detect
from skyloom.algorithms.footprints import relabel_in_place
from skyloom.algorithms.photometry import N_SWEEP, UNUSABLE, typical_noise
from skyloom.calibrate.point_sources import fit_point_sources
from skyloom.core.images import MaskedImage, pixels_at
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


def add_companions(pixels, psf, detections, sigma, search, known=None):  # noqa: PLR0913 (what, how, and from where)
    """Detections with the point sources that hide in the light of brighter ones.

    Parameters
    ----------
    pixels : MaskedImage
        Background-subtracted pixels [electron].
    psf : PixelPsf
        The image's PSF.
    detections : Detections
        What was found on the image itself; the companions' footprints are added to its labels in place.
    sigma : float
        Size of the PSF [pixel].
    search : tuple of float and DetectionSettings
        Least significance of a companion [sigma], and the settings of `detect`.
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
    found = detect(_residual(pixels, psf, points, light), psf, threshold, settings=settings)
    fwhm = FWHM_PER_SIGMA * sigma
    is_new = _is_beyond(found, detections.select(points.is_subtracted), MIN_DISTANCE_FWHM * fwhm)
    is_new &= _is_beyond(found, detections.select(~points.is_subtracted), EXTENDED_DISTANCE_FWHM * fwhm)
    found = found.select(is_new)
    found = found.select(
        found.significance > threshold + MODEL_ERROR * _significance_of(light, pixels, psf, found)
    )
    log.info("found %d companions of brighter stars", len(found))
    return _merged_in_place(detections, found), points


def _significance_of(light, pixels, psf, found):
    """Matched-filter significance that the subtracted light had at the peaks: its errors are coherent."""
    ny, nx = light.shape
    offset = np.arange(psf.size) - psf.size // 2
    rows = np.clip(np.rint(found.y).astype(np.int64)[:, None] + offset, 0, ny - 1)[:, :, None]
    columns = np.clip(np.rint(found.x).astype(np.int64)[:, None] + offset, 0, nx - 1)[:, None, :]
    kernels = psf.kernels_at(found.x, found.y)
    signal = np.sum(kernels * light[rows, columns], axis=(1, 2))
    return signal / np.sqrt(np.sum(kernels**2 * pixels.variance[rows, columns], axis=(1, 2)))


def _is_beyond(found, known, radius):
    """Peaks of `found` with no peak of `known` within `radius` [pixel]."""
    from scipy.spatial import cKDTree

    if len(found) == 0 or len(known) == 0:
        return np.ones(len(found), dtype=bool)
    tree = cKDTree(np.column_stack([known.x, known.y]))
    return tree.query(np.column_stack([found.x, found.y]))[0] > radius


def _residual(pixels, psf, points, light):
    """Pixels without the light of point sources, with its errors in their variance."""
    variance = np.multiply(light, np.float32(MODEL_ERROR))
    np.square(variance, out=variance)
    variance += pixels.variance
    _add_wing_errors_in_place(variance, psf, points.fit.select(points.is_subtracted))
    # Interpolated pixels know nothing of the model: what is left in them is no companion.
    image = pixels.image - light
    image[pixels.is_masked(UNUSABLE)] = 0
    return MaskedImage(image, pixels.mask, variance)


def _add_wing_errors_in_place(variance, psf, fit):
    """Add the noise of the PSF's own wings below bright stars, without end where their light is beyond its image."""
    ny, nx = variance.shape
    half = psf.size // 2
    # The model's wings are the mean of its stars' wings: their noise on a star of flux F is F^2 / sum(F^2) V.
    made_psf = (fit.usable_fraction > 0.9) & (fit.flux > PSF_STAR_SIGNAL_TO_NOISE * fit.flux_err)
    # Where none is bright enough for it, as below a PSF that somebody else fitted, all the stars stand for them.
    power = max(float(np.sum(fit.flux[made_psf if made_psf.any() else ...] ** 2)), 1e-30)
    edge = float(np.abs(psf.images[0][[0, half, half, -1], [half, 0, -1, half]]).mean())
    noise = typical_noise(variance)
    bright = (fit.flux * edge > VISIBLE_WING_SIGMA * noise) | (fit.flux**2 > MIN_WING_NOISE * power)
    for x, y, flux in zip(fit.x[bright], fit.y[bright], fit.flux[bright], strict=True):
        column, row = int(np.rint(x)), int(np.rint(y))
        inner = _box(row, column, half, (ny, nx))
        variance[inner] *= 1 + flux**2 / power
        if flux * edge > VISIBLE_WING_SIGMA * noise:
            outer = _box(row, column, 2 * half, (ny, nx))
            kept = variance[inner].copy()
            variance[outer] = np.inf
            variance[inner] = kept


def _box(row, column, half, shape):
    """Slices of a square about a pixel, cut at the image's edge."""
    rows = slice(max(row - half, 0), max(min(row + half + 1, shape[0]), 0))
    return rows, slice(max(column - half, 0), max(min(column + half + 1, shape[1]), 0))


def _merged_in_place(detections, new):
    """Both sets, brightest first, the new ones in the footprints of the old where they lie in one.

    The labels of both are changed in place.
    """
    if len(new) == 0:
        return detections
    inside = detections.labels[pixels_at(new.x, new.y, detections.labels.shape)] - 1
    n_footprint = int(detections.labels.max(initial=0))
    alone, number = np.unique(new.footprint[inside < 0], return_inverse=True)
    footprint = inside.astype(np.int32)
    footprint[inside < 0] = n_footprint + number
    renumbered = np.zeros(int(new.labels.max(initial=0)) + 1, dtype=np.int32)
    renumbered[alone + 1] = n_footprint + 1 + np.arange(len(alone), dtype=np.int32)
    relabel_in_place(new.labels, renumbered)
    labels = detections.labels
    np.copyto(labels, new.labels, where=labels == 0)
    joined = np.concatenate([detections.footprint, footprint])
    significance = np.concatenate([detections.significance, new.significance])
    order = np.argsort(-significance, kind="stable")
    return Detections(
        x=np.concatenate([detections.x, new.x])[order],
        y=np.concatenate([detections.y, new.y])[order],
        significance=significance[order],
        footprint=joined[order],
        n_peak=np.bincount(joined)[joined][order].astype(np.int32),
        labels=labels,
    )
