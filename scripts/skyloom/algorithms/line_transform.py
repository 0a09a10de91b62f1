"""Sums of an image along all straight lines that cross it."""

import numpy as np

from skyloom.core.jit import kernel

# Images whose lines run from left to right, rising by at most 45 degrees: is the image transposed, is it upside down.
QUADRANTS = ((False, False), (False, True), (True, False), (True, True))


def line_sums(image):
    """Sums along the lines of each quadrant of directions.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Anything; pixels that do not count hold 0.

    Returns
    -------
    list of ndarray, float32
        For each of `QUADRANTS` an array of shape (n, m + n) with n the length of a row of the turned image, filled up
        to a power of two, and m its number of rows. ``sums[d, n + y]`` is the sum along the line from row y in the
        first column to row y + d in the last one; `line_ends` turns it back.

    Notes
    -----
    The fast discrete Radon transform of Götz & Druck (1996) and Brady (1998): lines of strips of 2 w columns are sums
    of two of strips of w, so that all N^2 lines cost N^2 log N additions.
    """
    sums = []
    for is_transposed, is_flipped in QUADRANTS:
        turned = image.T if is_transposed else image
        turned = turned[::-1] if is_flipped else turned
        m, length = turned.shape
        n = 1 << max(length - 1, 1).bit_length()
        strips = np.zeros((1, n, m + n), dtype=np.float32)
        strips[0, :length, n:] = turned.T
        width = 1
        while width < n:
            merged = np.zeros((2 * width, n // (2 * width), m + n), dtype=np.float32)
            _merge_strips(strips, merged)
            strips, width = merged, 2 * width
        sums.append(strips[:, 0])
    return sums


def line_ends(quadrant, index, shape):
    """Ends of a line of `line_sums`, where it enters and leaves the columns (or rows) of the image.

    Parameters
    ----------
    quadrant : int
        Which array of `line_sums`.
    index : tuple of int
        Of the line in that array.
    shape : tuple of int
        Of the image.

    Returns
    -------
    ndarray, shape (2, 2), float64
        x, y of the two ends, on the first and last column of the image before it was filled up (first and last row
        where the quadrant is transposed); they may lie outside of it.
    """
    is_transposed, is_flipped = QUADRANTS[quadrant]
    m, length = shape[::-1] if is_transposed else shape
    n = 1 << max(length - 1, 1).bit_length()
    rise, start = index[0], index[1] - n
    along = np.array([0.0, length - 1.0])
    across = start + rise * along / (n - 1)
    if is_flipped:
        across = m - 1 - across
    return np.stack([across, along] if is_transposed else [along, across], axis=1)


@kernel
def _merge_strips(strips, merged):
    """Lines of strips of columns from those of their halves: both (rises, strips, rows)."""
    n_rise, n_strip, n_row = merged.shape
    for rise in range(n_rise):
        half, step = rise // 2, (rise + 1) // 2
        for strip in range(n_strip):
            for row in range(n_row - step):
                merged[rise, strip, row] = (
                    strips[half, 2 * strip, row] + strips[half, 2 * strip + 1, row + step]
                )
            for row in range(n_row - step, n_row):
                merged[rise, strip, row] = strips[half, 2 * strip, row]


def compile_kernels():
    """Compile the kernels of this module for the types used in production."""
    line_sums(np.zeros((2, 2), dtype=np.float32))
