"""Detection of point-like and larger sources on the matched-filter significance image."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from skyloom.algorithms.footprints import flood_footprints, grow_labels, relabel_in_place
from skyloom.algorithms.matched_filter import significance_image
from skyloom.core import mask_planes

log = logging.getLogger(__name__)

POLARITIES = ("positive", "negative", "both")
# A peak between four pixels shows at least this part of its height on the nearest, at a FWHM of 2 pixels.
SAMPLED_PART = 0.85
# Largest offset of a peak: its pixel stays the one that holds it.
INSIDE = 0.499


@dataclass(frozen=True, slots=True)
class DetectionSettings:
    """How peaks are found and told apart.

    Attributes
    ----------
    min_prominence : float
        Rise of a peak above its saddle to a higher one [sigma].
    relative_prominence : float
        The same as a fraction of the saddle's significance.
    noise_correlation : float or ndarray, shape (n_row, n_column)
        Noise power at zero frequency over the pixel variance: 1 for white noise, more after resampling; of all, or
        of each tile of `significance_image`.
    excluded : int
        Mask bits whose pixels carry no information unless they were interpolated (INTRP); their light is not
        used.
    """

    min_prominence: float = 3.0
    relative_prominence: float = 0.01
    noise_correlation: float | np.ndarray = 1.0
    excluded: int = int(mask_planes.bits("NO_DATA", "BAD", "CR"))


@dataclass(frozen=True, slots=True)
class Detections:
    """Peaks and footprints found on one image, brightest peak first.

    Attributes
    ----------
    x, y : ndarray, shape (n,), float64
        Peaks [pixel], refined by a parabola through the significance.
    significance : ndarray, shape (n,), float64
        Signal to noise of a point source at the peak [sigma], as `detect` or `find_peaks` have it; negative for
        negative polarity.
    footprint : ndarray, shape (n,), int32
        Index of the footprint that holds the peak.
    n_peak : ndarray, shape (n,), int32
        Number of peaks in that footprint, this one included.
    labels : ndarray, shape (ny, nx), int32, or None
        0 outside footprints, else 1 + index of the footprint; None where nobody needs them any more.
    """

    x: np.ndarray
    y: np.ndarray
    significance: np.ndarray
    footprint: np.ndarray
    n_peak: np.ndarray
    labels: np.ndarray | None

    def __len__(self):
        return len(self.x)

    def detected_mask(self, radius, polarity="positive"):
        """Pixels in footprints of a polarity, grown.

        Parameters
        ----------
        radius : float
            Radius of the disc that footprints grow by [pixel].
        polarity : {"positive", "negative"}
            Sign of the peaks whose footprints count.

        Returns
        -------
        ndarray, shape (ny, nx), bool
            True in the grown footprints.
        """
        sign = -1.0 if polarity == "negative" else 1.0
        radii = np.full(int(self.labels.max(initial=0)) + 1, -1.0)
        radii[1 + self.footprint[sign * self.significance > 0]] = radius
        return grow_labels(self.labels, radii)

    def without_labels(self):
        """Return the peaks without the plane of labels, which is as large as the image (Detections)."""
        return replace(self, labels=None)

    def select(self, keep):
        """Return some of the peaks (Detections); footprints stay.

        Parameters
        ----------
        keep : ndarray, shape (n,), bool, or shape (m,), int
            Peaks to keep, or their indices in the order wanted.
        """
        return Detections(
            self.x[keep],
            self.y[keep],
            self.significance[keep],
            self.footprint[keep],
            self.n_peak[keep],
            self.labels,
        )


def detect(masked_image, psf, threshold=5.0, polarity="positive", settings=None):
    """Sources whose matched-filter significance exceeds a threshold.

    Parameters
    ----------
    masked_image : MaskedImage
        Background-subtracted pixels with their variance.
    psf : PixelPsf, CellPsf or ndarray of shape (k, k)
        PSF; a varying one is followed from tile to tile.
    threshold : float
        Least significance of a peak [sigma].
    polarity : {"positive", "negative", "both"}
        Sign of the sources.
    settings : DetectionSettings, optional
        Prominence of companions, excluded mask bits, noise correlation.

    Returns
    -------
    Detections
        Peaks by falling absolute significance; empty when there is none. A footprint reaches out to `SAMPLED_PART` of
        the threshold.

    Raises
    ------
    ValueError
        If the polarity has no such name.

    Notes
    -----
    The signal to noise nu of the matched filter is that of its maximum between the pixels, by a Gaussian through the
    highest pixel and its neighbours: the pixels alone lose up to 8 % of it at a FWHM of 3 pixels. A maximum over two
    coordinates is too high: E(nu^2) is that of the source's own place plus 2, one half for each coordinate in the
    log likelihood (Wilks 1938). A significance is ``sqrt(nu^2 - 2)``: of stars of S/N s a part of Phi(s - t) is above
    a threshold t.
    """
    if polarity not in POLARITIES:
        raise ValueError(f"polarity {polarity!r}: one of {', '.join(POLARITIES)} is needed")
    settings = settings or DetectionSettings()
    significance = significance_image(masked_image, psf, settings.excluded, settings.noise_correlation)
    signs = {"positive": (1,), "negative": (-1,), "both": (1, -1)}[polarity]
    parts = [find_sources(significance if sign > 0 else -significance, threshold, settings) for sign in signs]
    detections = parts[0] if len(parts) == 1 and signs[0] > 0 else _joined(parts, signs)
    log.info("found %d peaks in %d footprints", len(detections), detections.labels.max(initial=0))
    return detections


def find_peaks(significance, threshold, settings):
    """Peaks of a significance image as its pixels have them, positive side only.

    Parameters
    ----------
    significance : ndarray, shape (ny, nx), float32
        Signal to noise of a point source on each pixel, as from `significance_image`.
    threshold : float
        Least significance of a peak [sigma].
    settings : DetectionSettings
        Prominence of companions.

    Returns
    -------
    Detections
        Peaks by falling significance; empty when there is none.
    """
    flooded = flood_footprints(significance, threshold, settings.min_prominence, settings.relative_prominence)
    return _detections(significance, flooded, significance[flooded[1:3]].astype(np.float64))


def find_sources(significance, threshold, settings):
    """Peaks of a significance image by their height between the pixels, positive side only; see `detect`.

    Parameters
    ----------
    significance, threshold, settings
        As for `find_peaks`.

    Returns
    -------
    Detections
        As from `detect`.
    """
    level = SAMPLED_PART * threshold
    flooded = flood_footprints(significance, level, settings.min_prominence, settings.relative_prominence)
    height = _height_between_pixels(significance, *flooded[1:3])
    found = _detections(significance, flooded, np.sqrt(np.maximum(height**2 - 2, 0.0)))
    order = np.argsort(-found.significance, kind="stable")
    found = found.select(order[found.significance[order] > threshold])
    kept, number = np.unique(found.footprint, return_inverse=True)
    renumbered = np.zeros(int(found.labels.max(initial=0)) + 1, dtype=np.int32)
    renumbered[kept + 1] = 1 + np.arange(len(kept))
    relabel_in_place(found.labels, renumbered)
    n_peak = np.bincount(number, minlength=1)[number].astype(np.int32)
    return replace(found, footprint=number.astype(np.int32), n_peak=n_peak)


def _detections(significance, flooded, height):
    """Detections of what `flood_footprints` returned, with the significance of each peak."""
    labels, peak_y, peak_x, footprint = flooded
    shift_x, shift_y = _parabola_offset(significance, peak_y, peak_x)
    return Detections(
        x=peak_x + shift_x,
        y=peak_y + shift_y,
        significance=height,
        footprint=footprint,
        n_peak=np.bincount(footprint, minlength=1)[footprint].astype(np.int32),
        labels=labels,
    )


def _height_between_pixels(significance, y, x):
    """Heights of Gaussians through peaks and their neighbours along both axes."""
    ny, nx = significance.shape
    centre = significance[y, x].astype(np.float64)
    gain = np.zeros(len(centre))
    for step_y, step_x in ((0, 1), (1, 0)):
        after = significance[np.minimum(y + step_y, ny - 1), np.minimum(x + step_x, nx - 1)]
        before = significance[np.maximum(y - step_y, 0), np.maximum(x - step_x, 0)]
        is_between = (after > 0) & (before > 0)
        log_after, log_before = (
            np.log(np.where(is_between, side, centre) / centre) for side in (after, before)
        )
        curvature = np.maximum(-log_after - log_before, np.finfo(np.float64).tiny)
        gain += (log_after - log_before) ** 2 / (8 * curvature)
    return centre * np.minimum(np.exp(gain), 1 / SAMPLED_PART)


def _parabola_offset(significance, y, x):
    """Offsets (dx, dy) of the maxima of parabolas through peaks and neighbours, within the pixel."""
    ny, nx = significance.shape
    centre = significance[y, x].astype(np.float64)
    offsets = []
    for step_y, step_x in ((0, 1), (1, 0)):
        after = significance[np.minimum(y + step_y, ny - 1), np.minimum(x + step_x, nx - 1)].astype(
            np.float64
        )
        before = significance[np.maximum(y - step_y, 0), np.maximum(x - step_x, 0)].astype(np.float64)
        curvature = 2 * centre - after - before
        offsets.append(
            np.clip(0.5 * (after - before) / np.where(curvature > 0, curvature, np.inf), -INSIDE, INSIDE)
        )
    return offsets


def _joined(parts, signs):
    """One set of detections from both signs, footprints numbered through."""
    labels = np.zeros_like(parts[0].labels)
    columns = {name: [] for name in ("x", "y", "significance", "footprint", "n_peak")}
    n_footprint = 0
    for part, sign in zip(parts, signs, strict=True):
        labels = np.where(part.labels > 0, part.labels + n_footprint, labels)
        for name, values in columns.items():
            values.append(getattr(part, name))
        columns["significance"][-1] = sign * part.significance
        columns["footprint"][-1] = part.footprint + np.int32(n_footprint)
        n_footprint += int(part.labels.max(initial=0))
    joined = {name: np.concatenate(values) for name, values in columns.items()}
    order = np.argsort(-np.abs(joined["significance"]), kind="stable")
    return Detections(
        **{name: values[order] for name, values in joined.items()}, labels=labels.astype(np.int32)
    )
