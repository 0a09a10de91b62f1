"""The matched filter on some pixels of an image without its point sources: those where what they hid may show."""

import numpy as np

from skyloom.algorithms.matched_filter import (
    MIN_COVERAGE,
    N_TAP,
    add_taps_along,
    good_variances,
    tiles,
    visible_part,
)
from skyloom.core import mask_planes
from skyloom.core.jit import kernel, summing_kernel

# What is laid out of each pixel: what is left, and its variance.
LEFT, VARIANCE = range(2)
# Neighbouring pixels that are summed together: fewer keep a processor's vectors empty.
SEGMENT = 32


def residual_significance(images, psf, wanted, bits, variance_of):
    """Signal to noise of a point source on some pixels, beside the light that is taken from them.

    Parameters
    ----------
    images : tuple
        Background-subtracted pixels (MaskedImage), and the light to be taken from them (ndarray, shape (ny, nx),
        float32).
    psf : PixelPsf or CellPsf
        The image's PSF.
    wanted : ndarray, shape (ny, nx), bool
        The pixels.
    bits : tuple of int
        Mask bits whose pixels carry no information unless they were interpolated (INTRP), and those in whose pixels
        nothing is left: the interpolation knew nothing of the light.
    variance_of : callable
        Gives the variance of what is left (ndarray, float32) in a part of the image (tuple of slice).

    Returns
    -------
    ndarray, shape (n,), float32
        As `matched_filter.significance_image` of what is left, in the order of the wanted pixels row by row: another
        plane beside those that it comes from would be the most memory that a job has.
    """
    (pixels, light), (excluded, unusable) = images, bits
    n_before = np.append(0, np.cumsum(np.count_nonzero(wanted, axis=1)))
    significance = np.zeros(n_before[-1], dtype=np.float32)
    sample = good_variances((pixels.image, pixels.mask, pixels.variance), excluded)
    if sample.size == 0:
        return significance
    limits = (np.uint32(excluded), np.uint32(unusable), np.float32(np.median(sample)))
    for tile, stamp, _ in tiles(pixels.shape, psf, 1.0):
        rows = slice(*tile[:2])
        if not wanted[rows, slice(*tile[2:])].any():
            continue
        first = n_before[rows] + np.count_nonzero(wanted[rows, : tile[2]], axis=1)
        inner = _with_all_taps(visible_part(stamp))
        box = _surroundings(tile, inner.shape)
        variance = variance_of(_on_image(box, pixels.shape))
        laid = _lay_out((pixels.image, pixels.mask, light, variance), box, limits)
        _filter_tile(laid, (tile, wanted, first), (inner, inner**2), limits[2], significance)
    return significance


def _surroundings(tile, side):
    """Box that the sums over a stamp in a tile take in."""
    y0, y1, x0, x1 = tile
    reach = side[0] // 2
    return y0 - reach, y1 + reach, x0 - reach, x1 - reach + side[1] + SEGMENT


def _on_image(box, shape):
    """Slices of the part of a box that lies on an image."""
    y0, y1, x0, x1 = box
    return slice(max(y0, 0), min(y1, shape[0])), slice(max(x0, 0), min(x1, shape[1]))


def _with_all_taps(stamp):
    """Stamp, float32, with empty columns at its end, to a multiple of `N_TAP`."""
    n_empty = -stamp.shape[1] % N_TAP
    return np.pad(stamp, ((0, 0), (0, n_empty))).astype(np.float32)


@kernel
def _filter_tile(laid, places, stamps, usual, significance):
    """Significances of the wanted pixels of a tile, from the `first` place of each of its rows on."""
    (y0, y1, x0, x1), wanted, first = places
    reach = stamps[0].shape[0] // 2
    signal, noise = np.zeros(SEGMENT, dtype=np.float32), np.zeros(SEGMENT, dtype=np.float32)
    least = MIN_COVERAGE * stamps[1].sum()
    for y in range(y0, y1):
        place = first[y - y0]
        start = x0
        while start < x1:
            if not wanted[y, start]:
                start += 1
                continue
            end = min(start + SEGMENT, x1)
            _sum(laid[LEFT], (y - y0, start - x0), stamps[0], signal)
            _sum(laid[VARIANCE], (y - y0, start - x0), stamps[1], noise)
            for x in range(start, end):
                if not wanted[y, x]:
                    continue
                own = laid[VARIANCE, y - y0 + reach, x - x0 + reach]
                # A pixel that carries no information has no variance of its own.
                if noise[x - start] > least * (own if own > 0 else usual):
                    significance[place] = signal[x - start] / np.sqrt(noise[x - start])
                place += 1
            start = end


@kernel
def _lay_out(planes, box, limits):
    """What is left in the pixels of a box, and its variance; 0 where a pixel carries no information or is none.

    The plane of variances is that of the part of the box that lies on the image.
    """
    image, mask, light, variance = planes
    y0, y1, x0, x1 = box
    top, left, right = max(y0, 0), max(x0, 0), min(x1, image.shape[1])
    laid = np.zeros((2, y1 - y0, x1 - x0), dtype=np.float32)
    for row in range(variance.shape[0]):
        y = top + row
        pixels = (image[y, left:right], mask[y, left:right], light[y, left:right], variance[row])
        first, end = left - x0, right - x0
        _lay_out_row(pixels, limits, laid[LEFT, y - y0, first:end], laid[VARIANCE, y - y0, first:end])
    return laid


@summing_kernel
def _lay_out_row(pixels, limits, left, spread):
    """What is left in a row of pixels, and its variance."""
    image, mask, light, variance = pixels
    excluded, unusable, _ = limits
    zero, endless = np.float32(0), np.float32(np.inf)
    for i in range(left.size):
        good = ((mask[i] & excluded) == 0) | ((mask[i] & mask_planes.INTRP) != 0)
        good &= (abs(image[i]) < endless) & (abs(variance[i]) < endless)
        is_left = good & ((mask[i] & unusable) == 0)
        left[i] = image[i] - light[i] if is_left else zero
        spread[i] = variance[i] if good else zero


@kernel
def _sum(values, corner, stamp, sums):
    """Sums below the stamp of what is laid out, for a segment of pixels; the first stamp begins at the corner."""
    row, column = corner
    sums[:] = 0.0
    for v in range(stamp.shape[0]):
        add_taps_along(values[row + v, column:], stamp[v], sums)


def filtered_at(planes, kernels, places):
    """Signal to noise that the matched filter gives at some pixels.

    Parameters
    ----------
    planes : tuple of ndarray, shape (ny, nx), float32
        Image and variance; pixels beyond the edge are as those at it.
    kernels : ndarray, shape (n, k, k), float64
        PSF image of each pixel, k odd.
    places : tuple of ndarray, shape (n,), int64
        Rows and columns of the pixels.

    Returns
    -------
    ndarray, shape (n,), float64
        ``sum(P d) / sqrt(sum(P^2 V))``; NaN where there is no variance.
    """
    found = np.empty(len(kernels))
    _filter_at(planes, kernels, places, found)
    return found


@kernel
def _filter_at(planes, kernels, places, found):
    """Signal to noise at each of the places."""
    image, variance = planes
    ny, nx = image.shape
    half = kernels.shape[1] // 2
    for n in range(found.size):
        signal = noise = 0.0
        for v in range(kernels.shape[1]):
            y = min(max(places[0][n] + v - half, 0), ny - 1)
            for u in range(kernels.shape[2]):
                x = min(max(places[1][n] + u - half, 0), nx - 1)
                weight = kernels[n, v, u]
                signal += weight * image[y, x]
                noise += weight * weight * variance[y, x]
        found[n] = signal / np.sqrt(noise) if noise > 0 else np.nan


@kernel
def maxima_above(values, level):
    """Pixels of an image above a level, none of whose neighbours is higher.

    Parameters
    ----------
    values : ndarray, shape (ny, nx), float32
        The image.
    level : float
        In its unit.

    Returns
    -------
    ndarray, shape (n,), int64
        Flat indices, rising.
    """
    ny, nx = values.shape
    found = []
    for y in range(ny):
        for x in range(nx):
            value = values[y, x]
            if value > level and values[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].max() <= value:
                found.append(y * nx + x)
    return np.array(found, dtype=np.int64)


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    from skyloom.core.images import MaskedImage
    from skyloom.core.psf import PixelPsf

    zeros, ones = np.zeros((16, 16), dtype=np.float32), np.ones((16, 16), dtype=np.float32)
    pixels = MaskedImage(zeros, np.zeros((16, 16), dtype=np.uint32), ones)
    psf = PixelPsf(np.full((1, 5, 5), 0.04, dtype=np.float32), 0, (-0.5, 15.5, -0.5, 15.5))
    residual_significance((pixels, zeros), psf, ones > 0, (1, 2), lambda part: ones[part].copy())
    maxima_above(zeros, 1.0)
    filtered_at((zeros, ones), np.ones((1, 3, 3)), (np.array([8]), np.array([8])))
