"""Rows of the planes of calibrations in the machine's byte order, as the arithmetic on them needs it."""

import numpy as np

from skyloom.core.jit import kernel


def native_rows(plane, part):
    """Rows of a plane in the machine's byte order.

    Parameters
    ----------
    plane : ndarray, shape (ny, nx), float32
        In any byte order: that of FITS where the plane is a file's.
    part : slice
        Of the rows.

    Returns
    -------
    ndarray, shape (n, nx), float32
        Contiguous; the plane's own rows where they are in that order.
    """
    rows = np.ascontiguousarray(plane[part])
    if rows.dtype.isnative:
        return rows
    swapped = np.empty(rows.shape, dtype=np.uint32)
    # Without the class of a mapped file, for which nothing was compiled.
    _swap_bytes(np.asarray(rows).view(np.uint32).ravel(), swapped.ravel())
    return swapped.view(np.float32)


@kernel
def _swap_bytes(words, swapped):
    """Put the bytes of each word in the opposite order: eight at once, where NumPy takes one by one."""
    low, high = np.uint32(0xFF00), np.uint32(0xFF0000)
    near, far = np.uint32(8), np.uint32(24)
    for i in range(words.size):
        word = words[i]
        swapped[i] = (word >> far) | ((word >> near) & low) | ((word << near) & high) | (word << far)


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    rows = np.ones((4, 4), dtype=np.dtype(np.float32).newbyteorder("S"))
    native_rows(rows, slice(0, 2))
    # As a file's bytes are, mapped or read.
    rows.flags.writeable = False
    native_rows(rows, slice(0, 2))
