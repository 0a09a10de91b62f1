"""Clusters of detections on the sky that do not depend on the order in which they came."""

import numpy as np

from skyloom.core.directions import unit_vectors

ARCSEC_TO_RADIAN = np.pi / 180 / 3600


def cluster_detections(ra, dec, epoch, radius_arcsec):
    """Number the objects that detections of many epochs belong to.

    Parameters
    ----------
    ra, dec : ndarray, shape (n,), float64
        Positions [degree], finite.
    epoch : ndarray, shape (n,), int64
        Visit of each detection: an object has one detection a visit at most.
    radius_arcsec : float
        Largest distance of a detection from its object's mean position [arcsec].

    Returns
    -------
    ndarray, shape (n,), int64
        Cluster of each detection, 0 to m - 1, numbered by the declination and then the right ascension of
        their mean.

    Notes
    -----
    Pairs within the radius are joined from the closest on, as long as the joined cluster has one detection a
    visit and no member beyond the radius (agglomerative clustering with centroids, e.g. Murtagh 1983). Ties
    are broken by the positions themselves, so the result is a function of the set of detections: their order,
    in time or in the table, changes nothing.
    """
    from scipy.spatial import cKDTree

    n = len(ra)
    if n == 0:
        return np.empty(0, dtype=np.int64)
    order = np.lexsort((epoch, ra, dec))
    vectors = unit_vectors(ra[order], dec[order])
    radius = 2 * np.sin(0.5 * radius_arcsec * ARCSEC_TO_RADIAN)
    pairs = cKDTree(vectors).query_pairs(radius, output_type="ndarray").reshape(-1, 2)
    pairs = np.sort(pairs, axis=1)
    distance = np.linalg.norm(vectors[pairs[:, 0]] - vectors[pairs[:, 1]], axis=1)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0], distance))]
    labels = _join_pairs(pairs, vectors, epoch[order], radius)
    return _numbered(labels, vectors, order)


def _join_pairs(pairs, vectors, epoch, radius):
    """Label of each detection after joining the pairs in turn."""
    owner = np.arange(len(vectors))
    members = {}
    for first, second in pairs:
        a, b = owner[first], owner[second]
        if a == b:
            continue
        joined = members.get(a, [a]) + members.get(b, [b])
        visits = epoch[joined]
        if len(np.unique(visits)) < len(visits):
            continue
        positions = vectors[joined]
        if np.linalg.norm(positions - positions.mean(axis=0), axis=1).max() > radius:
            continue
        keep = min(a, b)
        members.pop(max(a, b), None)
        members[keep] = joined
        owner[joined] = keep
    return owner


def _numbered(labels, vectors, order):
    """Cluster numbers by the mean position, in the caller's order of detections."""
    _, number = np.unique(labels, return_inverse=True)
    count = np.bincount(number)
    mean = (
        np.stack([np.bincount(number, weights=vectors[:, axis]) for axis in range(3)], axis=1)
        / count[:, None]
    )
    ra = np.arctan2(mean[:, 1], mean[:, 0]) % (2 * np.pi)
    rank = np.empty(len(count), dtype=np.int64)
    rank[np.lexsort((ra, mean[:, 2]))] = np.arange(len(count))
    result = np.empty(len(order), dtype=np.int64)
    result[order] = rank[number]
    return result
