"""Which mask planes lie below sources."""

import numpy as np


def bits_in_boxes(mask, x, y, half_width):
    """Union of the mask bits in a square box about each position.

    Parameters
    ----------
    mask : ndarray, shape (ny, nx), uint32
        Mask planes.
    x, y : ndarray, shape (n,), float64
        Positions [pixel]; a box is moved no further than the image's edge.
    half_width : int
        The box has ``2 half_width + 1`` pixels a side.

    Returns
    -------
    bits : ndarray, shape (n,), uint32
        Union of the bits in each box.
    is_cut : ndarray, shape (n,), bool
        True where the box reaches over the image's edge.
    """
    ny, nx = mask.shape
    column, row = np.rint(x).astype(np.int64), np.rint(y).astype(np.int64)
    bits = np.zeros(len(column), dtype=np.uint32)
    for step_y in range(-half_width, half_width + 1):
        for step_x in range(-half_width, half_width + 1):
            bits |= mask[np.clip(row + step_y, 0, ny - 1), np.clip(column + step_x, 0, nx - 1)]
    is_cut = (column < half_width) | (column >= nx - half_width)
    is_cut |= (row < half_width) | (row >= ny - half_width)
    return bits, is_cut
