"""Masks of SDSS's imaging (fpM files): for each kind of mask a table of objects, each a list of runs of pixels."""

import numpy as np

from skyloom.io.fits_layout import CorruptRawError

N_WORD = 9
"""Numbers of four bytes in front of the descriptor of an object's runs; row0 and col0 are the third and fourth."""

ROW_BYTES = 4 * (N_WORD + 2)
WORDS_OF_A_RUN = 3


def read_spans(content, hdus, numbers, shape):
    """Planes of an fpM file as bits.

    Parameters
    ----------
    content : bytes
        The whole file.
    hdus : list of HduLayout
        Its units.
    numbers : iterable of int
        Units to read: table k becomes bit k.
    shape : tuple of int
        Shape (ny, nx) of the image.

    Returns
    -------
    ndarray, shape (ny, nx), int64
        Bits.

    Raises
    ------
    CorruptRawError
        If a unit is missing or no such table, or a run leaves the image.

    Notes
    -----
    A row of the table (photo's OBJMASK) is refcntr, nspan, row0, col0, rmin, rmax, cmin, cmax, npix and the runs in the
    heap: row, first and last column of each as unsigned numbers of two bytes, the higher first.
    """
    flags = np.zeros(shape, dtype=np.int64)
    for number in numbers:
        if number >= len(hdus):
            raise CorruptRawError(f"the mask has no table {number}, it has {len(hdus)} units")
        flags |= _covered(_runs(content, hdus[number]), shape, number).astype(np.int64) << number
    return flags


def _runs(content, hdu):
    """Rows, first and last columns (ndarray, shape (n, 3), int64) of all runs of one table."""
    cards = hdu.cards
    if cards.get("TTYPE10") != "s" or cards.get("NAXIS1") != ROW_BYTES:
        raise CorruptRawError(f"unit {hdu.index} is no table of runs of pixels as in SDSS's fpM files")
    table = np.frombuffer(content, ">i4", cards["NAXIS2"] * (N_WORD + 2), hdu.data_offset)
    heap_start = cards.get("THEAP", table.nbytes)
    if not isinstance(heap_start, int) or not table.nbytes <= heap_start <= hdu.data_bytes:
        raise CorruptRawError(f"THEAP of unit {hdu.index} is {heap_start!r}, must lie behind its table")
    heap = memoryview(content)[hdu.data_offset + heap_start : hdu.data_offset + hdu.data_bytes]
    parts = [np.zeros((0, WORDS_OF_A_RUN), dtype=np.int64)]
    for row in table.reshape(-1, N_WORD + 2).astype(np.int64):
        n_byte, offset = row[-2:]
        if n_byte % (2 * WORDS_OF_A_RUN) or not 0 <= offset <= offset + n_byte <= len(heap):
            raise CorruptRawError(f"a row of unit {hdu.index} has {n_byte} bytes of runs at {offset}")
        runs = np.frombuffer(heap, ">u2", n_byte // 2, offset).reshape(-1, WORDS_OF_A_RUN)
        parts.append(runs + np.array([row[2], row[3], row[3]]))
    return np.concatenate(parts)


def _covered(runs, shape, number):
    """Pixels (ndarray of bool) within any of some runs."""
    ny, nx = shape
    row, first, last = runs.T
    if len(runs) and (runs.min() < 0 or row.max() >= ny or last.max() >= nx):
        raise CorruptRawError(
            f"unit {number} masks pixels up to row {row.max()}, column {last.max()} of {shape}"
        )
    steps = np.zeros((ny, nx + 1), dtype=np.int32)
    np.add.at(steps, (row, first), 1)
    np.add.at(steps, (row, last + 1), -1)
    return np.cumsum(steps, axis=1)[:, :nx] > 0
