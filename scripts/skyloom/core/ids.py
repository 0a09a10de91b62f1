"""Deterministic 64-bit identifiers of sources and objects."""

import numpy as np

from skyloom.core.errors import DataError

DETECTOR_BITS, SOURCE_BITS = 9, 23
PATCH_BITS, OBJECT_BITS = 14, 29
TRACT_BITS, VISIT_BITS = 20, 31


class IdRangeError(DataError):
    """A number does not fit in its part of an identifier.

    Parameters
    ----------
    name : str
        Which part.
    value, limit : int
        The number and the first one that is too large.
    """

    def __init__(self, name, value, limit):
        super().__init__(f"{name} {value} does not fit in an identifier, which holds 0 to {limit - 1}")
        self.name, self.value, self.limit = name, value, limit


def _check(name, value, n_bit):
    """Raise unless 0 <= value < 2^n_bit."""
    if not 0 <= value < 1 << n_bit:
        raise IdRangeError(name, value, 1 << n_bit)


def _join(first, second, numbers, second_bits, number_bits):
    """Identifiers of two parts, the first in the highest bits, and running numbers."""
    base = (int(first) << (second_bits + number_bits)) | (int(second) << number_bits)
    return np.int64(base) + numbers


def source_ids(visit, detector, n_source):
    """Identifiers of a detector's sources: 31 bits visit, 9 detector, 23 running number.

    Parameters
    ----------
    visit, detector : int
        Where they were found.
    n_source : int
        How many.

    Returns
    -------
    ndarray, shape (n_source,), int64
        Identifiers in running order.

    Raises
    ------
    IdRangeError
        If a part does not fit.
    """
    _check("visit", visit, VISIT_BITS)
    _check("detector", detector, DETECTOR_BITS)
    _check("number of sources", n_source, SOURCE_BITS)
    return _join(visit, detector, np.arange(n_source, dtype=np.int64), DETECTOR_BITS, SOURCE_BITS)


def object_ids(tract, patch_index, n_object, first=0):
    """Identifiers of a patch's objects: 20 bits tract, 14 patch, 29 running number.

    Parameters
    ----------
    tract, patch_index : int
        Tract and the patch's number in it.
    n_object : int
        How many.
    first : int
        Running number of the first one.

    Returns
    -------
    ndarray, shape (n_object,), int64
        Identifiers in running order.

    Raises
    ------
    IdRangeError
        If a part does not fit.
    """
    _check("tract", tract, TRACT_BITS)
    _check("patch", patch_index, PATCH_BITS)
    _check("number of objects", first + n_object, OBJECT_BITS)
    numbers = np.arange(first, first + n_object, dtype=np.int64)
    return _join(tract, patch_index, numbers, PATCH_BITS, OBJECT_BITS)
