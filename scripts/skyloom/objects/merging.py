"""One list of peaks from the detections of all bands."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class MergedPeaks:
    """Peaks of n objects.

    Attributes
    ----------
    x, y : ndarray, shape (n,), float64
        Position in the first band that found it [patch pixel].
    band : ndarray, shape (n,), object
        That band.
    index : ndarray, shape (n,), int64
        Row of the peak in that band's detections.
    significance : dict of str to ndarray, shape (n,), float64
        Significance in every band; NaN where the band has no peak there [sigma].
    """

    x: np.ndarray
    y: np.ndarray
    band: np.ndarray
    index: np.ndarray
    significance: dict


def merge_peaks(detections, priority, new_radius, same_radius):
    """Merge the peaks of several bands in order of priority.

    Parameters
    ----------
    detections : dict of str to Detections
        What each band found, on the same pixels.
    priority : sequence of str
        Bands, the one whose positions count most first; those without detections are skipped.
    new_radius : float
        A peak further than this from every object so far is a new object [pixel].
    same_radius : float
        A peak nearer than this is the object's own in its band [pixel].

    Returns
    -------
    MergedPeaks
        Objects by band of priority, then by falling significance. A peak between the two radii is neither: it
        is the object's light at an uncertain place.

    Notes
    -----
    Rubin's rule for merging coadd peaks (Bosch et al. 2018, Section 4.4): 1 and 0.3 arcsec.
    """
    bands = [band for band in priority if band in detections]
    x, y, found_in, index = (np.zeros(0), np.zeros(0), np.zeros(0, dtype=object), np.zeros(0, dtype=np.int64))
    matches = {}
    for band in bands:
        peaks = detections[band]
        distance, nearest = _nearest(x, y, peaks.x, peaks.y)
        own = distance <= same_radius
        matches[band] = (nearest[own], peaks.significance[own])
        fresh = np.flatnonzero(distance > new_radius)
        matches[band] = tuple(
            np.concatenate(pair)
            for pair in zip(
                matches[band], (len(x) + np.arange(len(fresh)), peaks.significance[fresh]), strict=True
            )
        )
        x, y = np.concatenate([x, peaks.x[fresh]]), np.concatenate([y, peaks.y[fresh]])
        found_in = np.concatenate([found_in, np.full(len(fresh), band, dtype=object)])
        index = np.concatenate([index, fresh])
    significance = {}
    for band in bands:
        significance[band] = np.full(len(x), np.nan)
        objects, values = matches[band]
        # Two peaks of one band on one object: the brighter one counts; np.fmax ignores the NaN of the start.
        np.fmax.at(significance[band], objects.astype(np.int64), values)
    return MergedPeaks(x, y, found_in, index, significance)


def _nearest(x, y, peak_x, peak_y):
    """Distance to and index of the nearest object of each peak; infinite without objects."""
    if len(x) == 0 or len(peak_x) == 0:
        return np.full(len(peak_x), np.inf), np.zeros(len(peak_x), dtype=np.int64)
    from scipy.spatial import cKDTree

    return cKDTree(np.column_stack([x, y])).query(np.column_stack([peak_x, peak_y]))
