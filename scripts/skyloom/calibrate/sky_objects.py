"""Sky objects: places without any source, measured as sources are, that tell how well the sky was subtracted."""

from dataclasses import replace

import numpy as np

from skyloom.algorithms.detection import Detections
from skyloom.calibrate.sources import IN_ELECTRONS, measure_sources
from skyloom.core import mask_planes

UNUSABLE = mask_planes.bits("BAD", "SAT", "INTRP", "CR", "NO_DATA", "DETECTED", "STREAK", "SUSPECT")
# Fluxes at the given places, all pixels with one weight: a weight that knew the flux would favour the faint side.
AT_PLACE = replace(IN_ELECTRONS, fit_position=False, photon_variance=0.0)
# A peak's light reaches into the aperture from outside: at 1 the mean of 12-pixel apertures is 2.9 standard errors high
# in a field of 5,000 stars [radius of the disc].
PEAK_DISTANCE = 1.5
BATCH = 1024
"""Places that are tried at once."""
MAX_TRIES = 40 * BATCH


def place_sky_objects(pixels, is_sky, peaks, settings, rng):
    """Places of an image that are far from everything that was found on it.

    Parameters
    ----------
    pixels : MaskedImage
        With DETECTED set.
    is_sky : ndarray, shape (ny, nx), bool
        Pixels that the background was measured on; a place is one of them.
    peaks : tuple of ndarray, shape (m,)
        x, y [pixel] of what the background was freed of, down to what is too faint for a mask.
    settings : dict
        ``number`` wanted; ``radius``: of the disc about it without a source or a spoilt pixel [pixel].
    rng : numpy.random.Generator
        Chooses the places, evenly over the free part of the image.

    Returns
    -------
    x, y : ndarray, shape (n,), float64
        Centres of pixels, no two discs of which overlap; fewer than wanted where there is no room.
    """
    from scipy.spatial import cKDTree

    radius = settings["radius"]
    ny, nx = pixels.shape
    places = np.empty((0, 2), dtype=np.int64)
    offsets = np.arange(-radius, radius + 1)
    disc = np.argwhere(np.hypot(offsets[:, None], offsets) <= radius) - radius
    if min(ny, nx) <= 2 * radius:
        return np.empty(0), np.empty(0)
    tree, reach = cKDTree(np.column_stack(peaks[::-1])), PEAK_DISTANCE * radius
    for _ in range(MAX_TRIES // BATCH):
        if len(places) >= settings["number"]:
            break
        tried = rng.integers(radius, (ny - radius, nx - radius), (BATCH, 2))
        tried = tried[is_sky[tried[:, 0], tried[:, 1]]]
        tried = tried[tree.query(tried, distance_upper_bound=reach)[0] > reach]
        around = tried[:, None] + disc
        is_free = ((pixels.mask[around[..., 0], around[..., 1]] & UNUSABLE) == 0).all(axis=1)
        places = _apart(places, tried[is_free], 2 * radius, settings["number"])
    y, x = places.T.astype(np.float64)
    return x, y


def _apart(places, tried, distance, number):
    """Places with those tried that are further than a distance from all before them, up to a number."""
    for place in tried:
        if len(places) >= number:
            break
        if np.all(np.sum((places - place) ** 2, axis=1) > distance**2):
            places = np.vstack([places, place])
    return places


def measure_sky_objects(pixels, sky, psf, settings, rng):
    """Measure an image where nothing was found.

    Parameters
    ----------
    pixels : MaskedImage
        From the final pass [electron].
    sky : tuple of ndarray, shape (ny, nx), bool, tuple of ndarray, and Detections
        Pixels that the background was measured on, peaks that it was freed of, and what was found.
    psf : PixelPsf
        The image's PSF.
    settings : dict
        Section ``calibrate``.
    rng : numpy.random.Generator
        Chooses the places.

    Returns
    -------
    detections : Detections
        Without significance (NaN), each a footprint of its own that has no pixel of the labels.
    columns : dict of str to ndarray, shape (n,)
        As from `measure_sources`; the position is not fitted.
    """
    is_sky, peaks, found = sky
    x, y = place_sky_objects(pixels, is_sky, peaks, settings["sky_objects"], rng)
    n = len(x)
    # Beyond the labels of all footprints, those without a peak that was kept too.
    footprint = (found.labels.max(initial=0) + np.arange(n)).astype(np.int32)
    places = Detections(x, y, np.full(n, np.nan), footprint, np.ones(n, dtype=np.int32), found.labels)
    return places, measure_sources(pixels, psf, places, settings["measurement"], fit_settings=AT_PLACE)


def append_sky_objects(sources, sky):
    """Sources and, after them, sky objects, told apart by ``sky_source``.

    Parameters
    ----------
    sources, sky : tuple of Detections and dict of str to ndarray
        Detections and columns; what sky objects have no column of is False for them, or NaN.

    Returns
    -------
    detections : Detections
        Of both.
    columns : dict of str to ndarray
        Of both.
    """
    (detections, columns), (places, sky_columns) = sources, sky
    n = len(places)
    both = {}
    for name, values in columns.items():
        missing = np.zeros(n, dtype=bool) if values.dtype == bool else np.full(n, np.nan)
        both[name] = np.concatenate([values, sky_columns.get(name, missing)])
    both["sky_source"] = np.arange(len(detections) + n) >= len(detections)
    joined = (
        np.concatenate([getattr(part, name) for part in (detections, places)])
        for name in ("x", "y", "significance", "footprint", "n_peak")
    )
    return Detections(*joined, detections.labels), both
