"""Which pixels show the light of objects and none of the sky alone, as a background needs it."""

import numpy as np

from skyloom.algorithms.footprints import grow_labels

LEAST_FREE = 0.12
"""Part of the image that should stay free; in a crowded field the masks grow less."""
LEAST_BETWEEN = 0.03
"""Part of the image that must lie outside the footprints themselves, for a mask to be of use."""
PARTS = (1.0, 0.8, 0.6, 0.45, 0.3, 0.2, 0.1, 0.0)
"""Of the growth, tried in this order."""
UNMASKED = -1.0
"""Radius of a footprint that is left out."""
STEP = 4
"""Every so many rows and columns tell how much stays free [pixel]."""
POINT_FLUX = 0.5
"""A footprint is one of stars when at least this part of its peaks is subtracted."""
WING_POWER = 3.0
"""Beyond the PSF's image, its light is taken to fall with this power of the distance."""
WING_SIGMA = 0.03
"""Where it is fainter than this, a wing does not count [noise of a sky pixel]."""
MAX_OWN = 200.0
"""A footprint whose light is not subtracted grows at most by this, or a nebula masks the image [pixel]."""
MAX_WINGS = 8.0
"""Farthest that wings are followed [half-width of the PSF's image]."""


def object_mask(detections, grow, points=None, wings=None, faint=0.0):
    """Pixels with the light of detected objects and of their wings.

    Parameters
    ----------
    detections : Detections
        What was found.
    grow : float
        Growth of the footprints [pixel]; less where the field is crowded.
    points : PointSources, optional
        The same detections fitted as points, whose light the background will be measured without.
    wings : float, optional
        How far the wings of a point source of flux 1 would reach, see `wing_reach`.
    faint : float
        Footprints all of whose peaks are subtracted and below this significance are not masked [sigma].

    Returns
    -------
    ndarray, shape (ny, nx), bool; or None
        True where a footprint is, or was grown to; None where there is nothing between the footprints. A footprint
        of galaxies or of saturated stars, whose light is not subtracted, grows at least by its own radius, since its
        light ends far outside of it.
    """
    n = int(detections.labels.max(initial=0)) + 1
    radii = np.full(n, float(grow))
    if points is not None:
        shines = ~points.is_subtracted | (detections.significance > faint)
        radii = np.maximum(radii, _own_radii(detections, points, shines, n))
        radii = np.maximum(radii, _wing_radii(detections, points, wings, n))
        radii[np.bincount(detections.footprint + 1, shines, minlength=n) == 0] = UNMASKED
    radii[0] = UNMASKED
    sparse = np.ascontiguousarray(detections.labels[::STEP, ::STEP])
    if (radii[sparse] >= 0).mean() > 1 - LEAST_BETWEEN:
        return None
    for part in PARTS:
        grown = np.where(radii >= 0, part * radii, UNMASKED)
        if grow_labels(sparse, grown / STEP).mean() <= 1 - LEAST_FREE:
            break
    return grow_labels(detections.labels, grown)


def wing_reach(kernel, noise):
    """How far the light of a point source of flux 1 can be told from the sky, beyond the PSF's image.

    Parameters
    ----------
    kernel : ndarray, shape (k, k), float64
        Image of the PSF.
    noise : float
        Noise of a sky pixel.

    Returns
    -------
    reach, edge : float
        Radius [pixel] at flux 1, which rises with the third root of the flux, and half-width of the PSF's image.
    """
    edge = kernel.shape[0] // 2
    y, x = np.indices(kernel.shape) - edge
    ring = np.abs(np.hypot(x, y) - (edge - 1)) < 1.5
    light = max(float(kernel[ring].mean()), 0.0)
    return edge * (light / (WING_SIGMA * noise)) ** (1 / WING_POWER), edge


def _own_radii(detections, points, shines, n):
    """Radius of each footprint whose light is not subtracted, 0 of the others; only peaks that shine count."""
    n_peak = np.bincount(detections.footprint + 1, shines, minlength=n)
    n_point = np.bincount(detections.footprint + 1, shines & points.is_subtracted, minlength=n)
    area = STEP**2 * np.bincount(detections.labels[::STEP, ::STEP].ravel(), minlength=n)
    return np.where(n_point < POINT_FLUX * n_peak, np.minimum(np.sqrt(area / np.pi), MAX_OWN), 0.0)


def _wing_radii(detections, points, wings, n):
    """Growth of each footprint by the wings of the brightest star in it."""
    brightest = np.zeros(n)
    np.maximum.at(brightest, detections.footprint + 1, np.nan_to_num(points.flux))
    reach, edge = wings
    radii = np.minimum(reach * np.cbrt(brightest), MAX_WINGS * edge)
    return np.where(radii > edge, radii, 0.0)
