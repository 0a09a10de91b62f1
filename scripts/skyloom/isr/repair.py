"""What is done to the pixels that hold nothing: they are counted, filled, and small groups of them interpolated."""

import numpy as np

from skyloom.algorithms.interpolation import fill_in_place
from skyloom.algorithms.regions import connected_regions
from skyloom.core import mask_planes
from skyloom.core.errors import DataError
from skyloom.core.images import strips
from skyloom.core.jit import kernel

NO_DATA_VARIANCE = np.float32(1e10)
"""Variance of pixels without data [electron^2]: weighs nothing, yet its inverse is a number."""

UNUSABLE = mask_planes.bits("BAD", "SAT", "NO_DATA")


class TooFewGoodPixelsError(DataError):
    """Too much of the detector is saturated, bad or empty.

    Parameters
    ----------
    fraction, needed : float
        Fraction of good pixels, and the least that is accepted.
    saturated : float
        Fraction of saturated pixels.
    """

    def __init__(self, fraction, needed, saturated):
        super().__init__(
            f"{fraction:.1%} of the pixels are good ({saturated:.1%} are saturated), needs {needed:.1%}: "
            "is it a twilight frame, or a detector with dead amplifiers?"
        )
        self.fraction, self.needed, self.saturated = fraction, needed, saturated


def check_good_fraction(mask, needed):
    """Refuse a frame of which too little is good.

    Parameters
    ----------
    mask : ndarray, shape (ny, nx), uint32
        Bits of `core.mask_planes`.
    needed : float
        Least fraction of pixels without any of `UNUSABLE`.

    Raises
    ------
    TooFewGoodPixelsError
        If there are fewer.
    """
    good = 1 - _count(mask, UNUSABLE) / mask.size
    if good < needed:
        raise TooFewGoodPixelsError(good, needed, _count(mask, mask_planes.SAT) / mask.size)


def fill_empty_in_place(pixels):
    """Make every pixel finite.

    Parameters
    ----------
    pixels : MaskedImage
        [electron]; NaN in image or variance where there are no data: such pixels get the median of the good ones,
        `NO_DATA_VARIANCE` and NO_DATA.
    """
    is_empty = np.empty(pixels.shape, dtype=bool)
    for part in strips(pixels.shape[0]):
        is_finite = np.isfinite(pixels.image[part]) & np.isfinite(pixels.variance[part])
        np.logical_not(is_finite, out=is_empty[part])
    if not is_empty.any():
        return
    good = ~is_empty & ((pixels.mask & UNUSABLE) == 0)
    pixels.image[is_empty] = np.median(pixels.image[good])
    pixels.mask[is_empty] |= mask_planes.NO_DATA
    pixels.variance[is_empty] = NO_DATA_VARIANCE


def fill_small_defects_in_place(pixels, settings):
    """Fill defects of few pixels and narrow ones, like columns; wide ones and saturated stars stay as they are.

    Parameters
    ----------
    pixels : MaskedImage
        [electron], finite. Changed in place: filled pixels carry INTRP beside what they had.
    settings : dict
        Section ``isr``: ``max_interpolated_area``, ``max_interpolated_width``, ``interpolation_sigma``.
    """
    fill_in_place(pixels, _small_defects(pixels, settings), settings["interpolation_sigma"])


def _small_defects(pixels, settings):
    """Defects of few pixels and narrow ones."""
    is_bad = pixels.is_masked(mask_planes.bits("BAD", "NO_DATA")) & ~pixels.is_masked(mask_planes.SAT)
    regions = connected_regions(is_bad)
    is_small = (regions.sizes <= settings["max_interpolated_area"])[regions.region]
    is_wide = np.zeros(is_bad.shape, dtype=bool)
    _paint_squares(is_bad, settings["max_interpolated_width"] + 1, is_wide)
    is_filled = is_bad.copy()
    is_filled[is_bad] = is_small | ~is_wide[is_bad]
    return is_filled


@kernel
def _count(mask, bits):
    """Number of pixels with any of the bits."""
    n = 0
    for row in mask:
        for value in row:
            n += (value & bits) != 0
    return n


@kernel
def _paint_squares(is_bad, side, is_wide):
    """Paint every square of bad pixels of this side: the morphological opening, at the cost of the bad pixels alone."""
    ny, nx = is_bad.shape
    for y in range(ny - side + 1):
        for x in range(nx - side + 1):
            if is_bad[y, x] and is_bad[y : y + side, x : x + side].all():
                is_wide[y : y + side, x : x + side] = True


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    mask = np.zeros((4, 4), dtype=np.uint32)
    _count(mask, UNUSABLE)
    _paint_squares(mask == 0, 2, mask != 0)
