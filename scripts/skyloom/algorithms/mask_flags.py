"""Which mask planes lie below sources, and bits set around them."""

import numpy as np

from skyloom.core.jit import kernel

CENTRE_BOX = 1
"""Half-width of the box that is a source's centre [pixel]."""


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
    _unite_bits(mask, (row, column), half_width, bits)
    is_cut = (column < half_width) | (column >= nx - half_width)
    is_cut |= (row < half_width) | (row >= ny - half_width)
    return bits, is_cut


@kernel
def _unite_bits(mask, places, half_width, bits):
    """Add the bits of each box's pixels; a box beyond the edge has the pixels next to it."""
    ny, nx = mask.shape
    rows, columns = places
    for i in range(bits.size):
        row, column = rows[i], columns[i]
        last_row, last_column = (
            min(max(row + half_width, 0), ny - 1),
            min(max(column + half_width, 0), nx - 1),
        )
        for y in range(min(max(row - half_width, 0), ny - 1), last_row + 1):
            for x in range(min(max(column - half_width, 0), nx - 1), last_column + 1):
                bits[i] |= mask[y, x]


def box_flags(mask, position, radius, planes, centre):
    """Flags that tell which mask bits lie below the sources and at their centres.

    Parameters
    ----------
    mask : ndarray, shape (ny, nx), uint32
        Mask planes.
    position : tuple of ndarray, shape (n,), float64
        ``(x, y)`` [pixel].
    radius : float
        Half-width of the box that a source covers [pixel]; rounded up, and never less than its centre's.
    planes : dict of str to uint32
        Mask bits of each flag; ``edge``, if it is one, is also set where the box reaches over the image's edge.
    centre : sequence of str
        Flags that the central pixels have too.

    Returns
    -------
    dict of str to ndarray, shape (n,), bool
        ``pixelFlags_`` with the flag's name for the box, and with ``Center`` behind it for the central 3x3 pixels.
    """
    bits, is_cut = bits_in_boxes(mask, *position, max(int(np.ceil(radius)), CENTRE_BOX))
    centre_bits, _ = bits_in_boxes(mask, *position, CENTRE_BOX)
    flags = {f"pixelFlags_{name}": (bits & plane) != 0 for name, plane in planes.items()}
    flags |= {f"pixelFlags_{name}Center": (centre_bits & planes[name]) != 0 for name in centre}
    if "edge" in planes:
        flags["pixelFlags_edge"] |= is_cut
    return flags


@kernel
def mark_discs_in_place(mask, rows, columns, radius, bit):
    """Set a bit in all pixels within a radius of some.

    Parameters
    ----------
    mask : ndarray, shape (ny, nx), uint32
        Mask planes; changed in place.
    rows, columns : ndarray, shape (n,), int64
        The pixels in the middle.
    radius : float
        [pixel].
    bit : uint32
        The bit.

    Returns
    -------
    ndarray, shape (m,), int64
        Flat indices of the pixels that did not have it.
    """
    ny, nx = mask.shape
    reach = int(radius)
    marked = []
    for i in range(rows.size):
        row, column = rows[i], columns[i]
        for y in range(max(row - reach, 0), min(row + reach + 1, ny)):
            half = int(np.sqrt(max(radius**2 - (y - row) ** 2, 0.0)))
            for x in range(max(column - half, 0), min(column + half + 1, nx)):
                if not mask[y, x] & bit:
                    mask[y, x] |= bit
                    marked.append(y * nx + x)
    return np.array(marked, dtype=np.int64)


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    mask = np.zeros((4, 4), dtype=np.uint32)
    bits_in_boxes(mask, np.ones(1), np.ones(1), 1)
    mark_discs_in_place(mask, np.ones(1, dtype=np.int64), np.ones(1, dtype=np.int64), 1.0, np.uint32(1))
