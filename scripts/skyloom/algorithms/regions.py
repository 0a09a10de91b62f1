"""Connected regions of few pixels of a large image: which pixels hang together."""

from dataclasses import dataclass

import numpy as np

from skyloom.core.images import pixels_at
from skyloom.core.jit import kernel


@dataclass(frozen=True, slots=True)
class Regions:
    """Pixels that are set, and the region of each.

    Attributes
    ----------
    places : ndarray, shape (n_pixel,), int64
        Indices of the pixels in the flattened image, rising.
    region : ndarray, shape (n_pixel,), int32
        Number of the region that holds each, counted from 0 in the order of their first pixels.
    shape : tuple of int
        Shape (ny, nx) of the image.
    """

    places: np.ndarray
    region: np.ndarray
    shape: tuple

    @property
    def n(self):
        """Number of regions (int)."""
        return int(self.region.max(initial=-1)) + 1

    @property
    def sizes(self):
        """Pixels of each region (ndarray, shape (n,), int64)."""
        return np.bincount(self.region, minlength=self.n)

    def at(self, x, y):
        """Return the region of the pixel that holds each position (ndarray, shape (m,), int64); -1 where there is none.

        Parameters
        ----------
        x, y : ndarray, shape (m,), float64
            Positions [pixel].
        """
        place = np.ravel_multi_index(pixels_at(x, y, self.shape), self.shape)
        index = np.searchsorted(self.places, place)
        found = np.append(self.places, -1)[index] == place
        return np.where(found, np.append(self.region, -1)[index], -1)


def connected_regions(is_set):
    """Regions of pixels that touch at a side or a corner.

    Parameters
    ----------
    is_set : ndarray, shape (ny, nx), bool
        The pixels.

    Returns
    -------
    Regions
        At the cost of the pixels that are set, not of the image.
    """
    places = np.flatnonzero(is_set)
    region = np.empty(len(places), dtype=np.int32)
    number_regions(places, is_set.shape[1], region)
    return Regions(places, region, is_set.shape)


@kernel
def number_regions(places, nx, region):
    """Find the region of each pixel.

    Parameters
    ----------
    places : ndarray, shape (n,), int64 or int32
        Indices of the pixels in the flattened image, rising.
    nx : int
        Columns of the image.
    region : ndarray, shape (n,), int32
        Takes the number of each pixel's region, counted from 0 in the order of their first pixels.

    Returns
    -------
    int
        Number of regions.
    """
    parent = np.arange(places.size).astype(np.int32)
    above, row = 0, 0
    for i in range(places.size):
        place = places[i]
        while place >= row + nx:
            row += nx
        over = place - nx
        has_left = place > row
        while places[above] < over - has_left:
            above += 1
        over_left, over_own, over_right = _three_above(places, (above, i), over)
        if place == row + nx - 1:
            over_right = -1
        # Neighbours of what was joined before are its own: the pixel above has joined those beside it.
        if over_own >= 0:
            parent[i] = _root(parent, over_own)
            continue
        if has_left and i > 0 and places[i - 1] == place - 1:
            parent[i] = _root(parent, i - 1)
        elif over_left >= 0:
            parent[i] = _root(parent, over_left)
        if over_right >= 0:
            _unite(parent, over_right, i)
    return _number_roots(parent, region)


@kernel
def _number_roots(parent, region):
    """Number the trees in the order of their roots, and tell each node its tree's; returns how many there are."""
    n = 0
    for i in range(parent.size):
        # The root is the first pixel of its region, which has its number already.
        root = _root(parent, i)
        if root == i:
            region[i] = n
            n += 1
        else:
            region[i] = region[root]
    return n


@kernel
def _three_above(places, span, over):
    """Which of the first three of a span of places are that before, at and behind a place; -1 for one that is not."""
    before = at = behind = -1
    for j in range(span[0], min(span[0] + 3, span[1])):
        if places[j] == over:
            at = j
        elif places[j] == over - 1:
            before = j
        elif places[j] == over + 1:
            behind = j
    return before, at, behind


@kernel
def _unite(parent, one, other):
    """Join two trees below the smaller of their roots."""
    first, second = _root(parent, one), _root(parent, other)
    parent[max(first, second)] = min(first, second)


@kernel
def _root(parent, node):
    """Root of a node; the way to it gets shorter."""
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    connected_regions(np.ones((2, 2), dtype=bool))
