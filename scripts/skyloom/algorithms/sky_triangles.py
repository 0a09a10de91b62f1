"""Triangles of bright stars over any part of the sky, to find where a frame of unknown pointing looks.

Stars of a catalogue are thinned to the same number in each field of view, and their triangles sorted by shape. A
triangle of the frame's bright stars has the shape and, the scale being known, the size of few of them.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from skyloom.core.directions import unit_vectors
from skyloom.core.wcs import tan_project

# Of a triangle's sides over the field of view: short ones have no shape, long ones there are too many of.
SHORTEST_SIDE = 0.08
# About how many triangles of a catalogue are wanted at most: each takes 24 bytes, three times that while it is made.
MOST_TRIANGLES = 4_000_000
# Sides that are so much alike could change their order, and the corners with them.
LIKE_SIDES = 0.96
# Height over the longest side of a triangle whose handedness is sure.
FLATTEST = 0.08


@dataclass(frozen=True, slots=True)
class Triangles:
    """Triangles, their corners in the order of the opposite sides, longest first.

    Attributes
    ----------
    corner : ndarray, shape (n, 3), int32
        Stars: those opposite to the longest, the middle and the shortest side.
    log_size : ndarray, shape (n,), float32
        Natural logarithm of the longest side.
    middle, short : ndarray, shape (n,), float32
        Middle and shortest side over the longest; the triangles are sorted by `short`.
    """

    corner: np.ndarray
    log_size: np.ndarray
    middle: np.ndarray
    short: np.ndarray

    def __len__(self):
        """Return the number of triangles."""
        return len(self.log_size)

    def alike(self, log_size, middle, short, margins):
        """Triangles of nearly the size and shape of one.

        Parameters
        ----------
        log_size, middle, short : float
            Of the one.
        margins : tuple of float
            Largest difference in the logarithm of the size, and in a ratio of sides.

        Returns
        -------
        ndarray, shape (k,), int64
            Their indices.
        """
        first, last = np.searchsorted(self.short, [short - margins[1], short + margins[1]])
        near = (np.abs(self.middle[first:last] - middle) <= margins[1]) & (
            np.abs(self.log_size[first:last] - log_size) <= margins[0]
        )
        return first + np.flatnonzero(near)


def brightest_per_field(ra, dec, side_deg, n_star):
    """Stars that are among the brightest of their field of view.

    Parameters
    ----------
    ra, dec : ndarray, shape (n,), float64
        Positions [degree], brightest first.
    side_deg : float
        Side of a field [degree].
    n_star : int
        How many of each field.

    Returns
    -------
    ndarray, shape (k,), int64
        Their indices, ascending.
    """
    n_row = max(int(np.ceil(180 / side_deg)), 1)
    row = np.clip(((dec + 90) / 180 * n_row).astype(np.int64), 0, n_row - 1)
    middle = np.radians((row + 0.5) * 180 / n_row - 90)
    n_column = np.maximum(np.rint(360 * np.cos(middle) / side_deg), 1).astype(np.int64)
    column = np.minimum((ra % 360 / 360 * n_column).astype(np.int64), n_column - 1)
    cell = row * (int(n_column.max(initial=1)) + 1) + column
    order = np.argsort(cell, kind="stable")
    starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return np.sort(order[rank < n_star])


def longest_side(n_star, n_per_field, wanted):
    """Longest side for which a catalogue has about `MOST_TRIANGLES`, over that of a field (float).

    Parameters
    ----------
    n_star, n_per_field : int
        Stars of the thinned catalogue, and of a field at most.
    wanted : float
        What is enough where there are fewer triangles.
    """
    n_partner = np.sqrt(6 * MOST_TRIANGLES / max(n_star, 1))
    return float(min(wanted, np.sqrt(n_partner / (np.pi * n_per_field))))


def triangles_on_sky(vectors, tree, limits):
    """All triangles of stars whose sides are within limits.

    Parameters
    ----------
    vectors : ndarray, shape (n, 3), float64
        Unit vectors of the stars.
    tree : scipy.spatial.cKDTree
        Of `vectors`.
    limits : tuple of float
        Shortest and longest side [radian].

    Returns
    -------
    Triangles
        Sorted.
    """
    pairs = tree.query_pairs(limits[1], output_type="ndarray")
    length = np.linalg.norm(vectors[pairs[:, 0]] - vectors[pairs[:, 1]], axis=1)
    pairs = pairs[length >= limits[0]]
    pairs = pairs[np.lexsort([pairs[:, 1], pairs[:, 0]])]
    count = np.bincount(pairs[:, 0], minlength=len(vectors))
    start = np.cumsum(count) - count
    corners = []
    for n_partner in np.unique(count[count > 1]):
        star = np.flatnonzero(count == n_partner)
        partner = pairs[start[star][:, None] + np.arange(n_partner), 1]
        first, second = np.triu_indices(n_partner, 1)
        corners.append(
            np.stack(
                [np.repeat(star, len(first)), partner[:, first].ravel(), partner[:, second].ravel()], axis=-1
            )
        )
    corner = np.concatenate(corners).astype(np.int32) if corners else np.zeros((0, 3), np.int32)
    opposite = np.stack(
        [np.linalg.norm(vectors[corner[:, i]] - vectors[corner[:, j]], axis=1) for i, j in _OPPOSITE], axis=-1
    )
    good = (opposite.min(axis=1, initial=np.inf) >= limits[0]) & (
        opposite.max(axis=1, initial=0) <= limits[1]
    )
    return _sorted_triangles(corner[good], opposite[good])


# Corners at the ends of the side that lies opposite to each corner.
_OPPOSITE = ((1, 2), (0, 2), (0, 1))


def _sorted_triangles(corner, opposite):
    """Triangles from corners and the lengths of their opposite sides, sorted by shape."""
    order = np.argsort(-opposite, axis=1, kind="stable")
    corner = np.take_along_axis(corner, order, axis=1)
    opposite = np.take_along_axis(opposite, order, axis=1)
    longest = np.maximum(opposite[:, 0], 1e-300)
    short = (opposite[:, 2] / longest).astype(np.float32)
    by_shape = np.argsort(short, kind="stable")
    return Triangles(
        corner[by_shape].astype(np.int32),
        np.log(longest)[by_shape].astype(np.float32),
        (opposite[:, 1] / longest)[by_shape].astype(np.float32),
        short[by_shape],
    )


def triangles_of_frame(z, limits, n_most):
    """Triangles of a frame's stars that have a clear shape, those of the brightest stars first.

    Parameters
    ----------
    z : ndarray, shape (n,), complex128
        Places ``x + i y`` of the stars, brightest first.
    limits : tuple of float
        Shortest and longest side, in the same unit.
    n_most : int
        How many.

    Returns
    -------
    list of (tuple of int, tuple of float)
        Corners, opposite to the longest side first, and the three sides in that order.
    """
    found = []
    for corner in sorted(combinations(range(len(z)), 3), key=lambda corner: (max(corner), sum(corner))):
        opposite = np.array([abs(z[corner[i]] - z[corner[j]]) for i, j in _OPPOSITE])
        order = np.argsort(-opposite, kind="stable")
        a, b, c = opposite[order]
        if c < limits[0] or a > limits[1] or b > LIKE_SIDES * a or c > LIKE_SIDES * b:
            continue
        first, second, third = (z[corner[k]] for k in order)
        height = abs(((second - first) * np.conj(third - first)).imag) / a**2
        if height >= FLATTEST:
            found.append((tuple(corner[k] for k in order), (a, b, c)))
        if len(found) == n_most:
            break
    return found


def tangent_places(centres, vectors):
    """Places of stars in tangent planes.

    Parameters
    ----------
    centres : ndarray, shape (n, 3), float64
        Tangent points, unit vectors.
    vectors : ndarray, shape (n, m, 3), float64
        Stars of each plane, unit vectors.

    Returns
    -------
    z : ndarray, shape (n, m), complex128
        Offsets East + i North [radian].
    east, north : ndarray, shape (n, 3), float64
        Axes of each plane.
    """
    east = np.stack([-centres[:, 1], centres[:, 0], np.zeros(len(centres))], axis=-1)
    norm = np.linalg.norm(east, axis=1, keepdims=True)
    east = np.where(norm > 1e-12, east / np.maximum(norm, 1e-12), np.array([0.0, 1.0, 0.0]))
    north = np.cross(centres, east)
    depth = np.einsum("nmk,nk->nm", vectors, centres)
    xi, eta = (np.einsum("nmk,nk->nm", vectors, axis) / depth for axis in (east, north))
    return xi + 1j * eta, east, north


def vectors_at(z, planes):
    """Unit vectors (ndarray, shape (n, m, 3)) of places in tangent planes.

    Parameters
    ----------
    z : ndarray, shape (n, m), complex128
        Offsets East + i North [radian].
    planes : tuple of ndarray, shape (n, 3)
        Tangent points, and axes East and North of each plane.
    """
    centre, east, north = (axis[:, None, :] for axis in planes)
    vectors = centre + z.real[..., None] * east + z.imag[..., None] * north
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def stars_around(ra, dec, centre, radius_deg):
    """Stars within a circle and their places in its tangent plane.

    Parameters
    ----------
    ra, dec : ndarray, shape (n,), float64
        Positions [degree].
    centre : tuple of float
        (ra, dec) of the circle [degree].
    radius_deg : float
        Its radius, below 90 degrees.

    Returns
    -------
    xi, eta : ndarray, shape (k,), float64
        Offsets East and North [degree].
    """
    towards = unit_vectors(np.array([centre[0]]), np.array([centre[1]]))[0]
    near = np.flatnonzero(unit_vectors(ra, dec) @ towards >= np.cos(np.radians(radius_deg)))
    return tan_project(ra[near], dec[near], *centre)
