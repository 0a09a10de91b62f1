"""Fill small holes of an image with what the PSF lets their neighbours say about them."""

from dataclasses import dataclass

import numpy as np

from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.jit import kernel

MAX_RADIUS = 4
"""Farthest neighbour that may speak for a pixel; wider holes keep a middle that is not filled [pixel]."""

ENOUGH_NEIGHBOURS = 16
"""Rings of neighbours are added until this many are good."""

MOST_NEIGHBOURS = (2 * MAX_RADIUS + 1) ** 2 - 1

JITTER = 1e-6
"""Added to the diagonal, relative to the signal's power: keeps the covariance positive without noise."""

UNUSABLE = mask_planes.bits("BAD", "SAT", "CR", "NO_DATA")


@dataclass(frozen=True, slots=True)
class FilledPixels:
    """Pixels that were filled in, as they were before.

    Attributes
    ----------
    rows, columns : ndarray, shape (n,), int64
        Where they are, row by row.
    image, mask, variance : ndarray, shape (n,)
        What they held.
    """

    rows: np.ndarray
    columns: np.ndarray
    image: np.ndarray
    mask: np.ndarray
    variance: np.ndarray

    def add_in_place(self, part, level):
        """Follow an image to which something is added in some of its rows.

        Parameters
        ----------
        part : slice
            Of the rows.
        level : ndarray, shape (n, nx), float32
            What is added there.
        """
        inside = slice(*np.searchsorted(self.rows, (part.start, part.stop)))
        self.image[inside] += level[self.rows[inside] - part.start, self.columns[inside]]

    def restore(self, masked_image, kept):
        """Put the former values back into the planes of an image.

        Parameters
        ----------
        masked_image : MaskedImage
            The one that was filled; changed in place.
        kept : uint32
            Mask bits that the pixels keep where they got them since.
        """
        place = (self.rows, self.columns)
        masked_image.image[place] = self.image
        masked_image.mask[place] = self.mask | (masked_image.mask[place] & np.uint32(kept))
        masked_image.variance[place] = self.variance


def interpolate_pixels(masked_image, is_hole, psf_sigma):
    """Fill the pixels of `is_hole` from good neighbours, and set INTRP where that was possible.

    Parameters
    ----------
    masked_image, is_hole, psf_sigma
        As for `fill_in_place`.

    Returns
    -------
    MaskedImage
        A copy.
    """
    copy = MaskedImage(masked_image.image.copy(), masked_image.mask.copy(), masked_image.variance.copy())
    fill_in_place(copy, is_hole, psf_sigma)
    return copy


def fill_in_place(masked_image, is_hole, psf_sigma):
    """Fill the pixels of `is_hole` from good neighbours, and set INTRP where that was possible.

    Parameters
    ----------
    masked_image : MaskedImage
        Pixels masked BAD, SAT, CR or NO_DATA, or not finite, are not used as neighbours. Changed in place.
    is_hole : ndarray, shape (ny, nx), bool
        Pixels to fill; their own values are not used.
    psf_sigma : float
        Standard deviation of the PSF's Gaussian core [pixel].

    Returns
    -------
    FilledPixels
        What the holes were.

    Notes
    -----
    A hole's variance becomes the mean of its neighbours' plus that of the prediction. Holes without a good pixel within
    4 pixels keep value and variance and do not get INTRP.

    The linear predictor of least variance (Rybicki & Press 1992, section 2; "simple kriging") about the
    neighbours' mean: the signal's covariance is the PSF's autocorrelation, a Gaussian of width sqrt(2) sigma,
    its power is the neighbours' scatter beyond their noise. On empty sky this is the neighbours' mean, in the
    core of a star it follows the PSF.
    """
    planes = (masked_image.image, masked_image.mask, masked_image.variance)
    # Several times as fast as `numpy.nonzero` of both axes.
    rows, columns = np.divmod(np.flatnonzero(is_hole), is_hole.shape[1])
    former = FilledPixels(rows, columns, *(plane[rows, columns] for plane in planes))
    _fill_holes(planes, is_hole, (rows, columns), float(psf_sigma))
    return former


@kernel
def _solve_in_place(matrix, vector, n):
    """Solve ``matrix @ x = vector`` by Cholesky for the leading n rows; `vector` becomes x."""
    for j in range(n):
        total = matrix[j, j]
        for k in range(j):
            total -= matrix[j, k] ** 2
        diagonal = np.sqrt(total)
        matrix[j, j] = diagonal
        for i in range(j + 1, n):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = total / diagonal
    for i in range(n):
        total = vector[i]
        for k in range(i):
            total -= matrix[i, k] * vector[k]
        vector[i] = total / matrix[i, i]
    for i in range(n - 1, -1, -1):
        total = vector[i]
        for k in range(i + 1, n):
            total -= matrix[k, i] * vector[k]
        vector[i] = total / matrix[i, i]


@kernel
def _gather_neighbours(planes, is_hole, y, x, neighbours):
    """Offsets, values and variances of the usable pixels around (x, y), ring by ring; how many they are."""
    image, mask, variance = planes
    ny, nx = image.shape
    n = 0
    for radius in range(1, MAX_RADIUS + 1):
        for v in range(max(y - radius, 0), min(y + radius + 1, ny)):
            for u in range(max(x - radius, 0), min(x + radius + 1, nx)):
                if max(abs(u - x), abs(v - y)) != radius or is_hole[v, u] or mask[v, u] & UNUSABLE:
                    continue
                if np.isfinite(image[v, u]):
                    neighbours[0, n] = u - x
                    neighbours[1, n] = v - y
                    neighbours[2, n] = image[v, u]
                    neighbours[3, n] = variance[v, u]
                    n += 1
        if n >= ENOUGH_NEIGHBOURS:
            break
    return n


@kernel
def _fill_holes(planes, is_hole, holes, psf_sigma):
    """Predict each hole from its usable neighbours; only holes are written: their order is free."""
    image, mask, variance = planes
    rows, columns = holes
    neighbours = np.empty((4, MOST_NEIGHBOURS))
    matrix = np.empty((MOST_NEIGHBOURS, MOST_NEIGHBOURS))
    weight, covariance = np.empty(MOST_NEIGHBOURS), np.empty(MOST_NEIGHBOURS)
    width = 1.0 / (4.0 * psf_sigma**2)
    for hole in range(rows.size):
        y, x = rows[hole], columns[hole]
        n = _gather_neighbours(planes, is_hole, y, x, neighbours)
        if n == 0:
            continue
        mask[y, x] |= mask_planes.INTRP
        dx, dy, value, noise = neighbours[0], neighbours[1], neighbours[2], neighbours[3]
        mean = value[:n].mean()
        mean_noise = noise[:n].mean()
        power = ((value[:n] - mean) ** 2).sum() / max(n - 1, 1) - mean_noise
        if power <= 0.0 or n < 3:
            image[y, x] = mean
            variance[y, x] = mean_noise * (1.0 + 1.0 / n)
            continue
        for a in range(n):
            covariance[a] = power * np.exp(-(dx[a] ** 2 + dy[a] ** 2) * width)
            weight[a] = covariance[a]
            for b in range(a):
                matrix[a, b] = power * np.exp(-((dx[a] - dx[b]) ** 2 + (dy[a] - dy[b]) ** 2) * width)
            matrix[a, a] = power * (1.0 + JITTER) + noise[a]
        _solve_in_place(matrix, weight, n)
        image[y, x] = mean + (weight[:n] * (value[:n] - mean)).sum()
        variance[y, x] = mean_noise + power - (weight[:n] * covariance[:n]).sum()


def compile_kernels():
    """Compile the kernels of this module for the types used in production."""
    image = np.zeros((3, 3), dtype=np.float32)
    is_hole = np.zeros((3, 3), dtype=bool)
    is_hole[1, 1] = True
    fill_in_place(MaskedImage(image, np.zeros((3, 3), dtype=np.uint32), np.ones_like(image)), is_hole, 1.0)
