"""Signal to noise of a point source on every pixel: the matched filter, with the PSF of each part of the image."""

import numpy as np

from skyloom.core import mask_planes
from skyloom.core.jit import kernel, summing_kernel
from skyloom.core.psf import smoothed

# Part of the PSF squared that must fall on good pixels for a significance.
MIN_COVERAGE = 0.5
# Side of a square that has one PSF [pixel]: sizes that vary by 10 % over 4096 pixels change by 1 % in it.
TILE = 512
# The PSF of a tile is the mean of those at the ends of so many parts of each side, or of those of its cells.
N_PLACE = 3
# Rows and columns at the rim of the PSF are cut off as long as its smoothed image loses less than this part of its sum
# of squares: half of it of the signal to noise. The same of the square of what is left, which makes the noise.
LOST = 2e-3
# Singular values of the PSF below this part of the largest are left out: at most 2e-4 of the signal to noise each.
SMALL = 2e-2
# Taps that are added at a time.
N_TAP = 8


def significance_image(masked_image, psf, excluded, noise_correlation=1.0):
    """Signal to noise of a point source centred on each pixel.

    Parameters
    ----------
    masked_image : MaskedImage
        Background-subtracted pixels.
    psf : PixelPsf, CellPsf or ndarray of shape (k, k)
        PSF; an array's middle pixel is its centre, its norm does not matter.
    excluded : int
        Mask bits whose pixels carry no information unless they were interpolated (INTRP).
    noise_correlation : float or ndarray, shape (n_row, n_column)
        Noise power at zero frequency over the pixel variance, of all or of each tile (`tile_spans`).

    Returns
    -------
    ndarray, shape (ny, nx), float32
        Significance [sigma]; 0 where most of the PSF falls on excluded pixels. A narrow defect is bridged.

    Notes
    -----
    ``sum(P d) / sqrt(sum(P^2 V))`` over the pixels that are not excluded: the matched filter without weights
    by pixel. Weights 1/V would favour pixels that scattered low, since V is made from the same photons: with
    a sky of 300 electrons and a PSF of 60 pixels that loses half a sigma. P is a sum of a few products of a row
    and a column (its singular vectors), which are applied one after the other.
    """
    planes = (masked_image.image, masked_image.mask, masked_image.variance)
    shape = planes[0].shape
    out = np.zeros(shape, dtype=np.float32)
    sample = good_variances(planes, excluded)
    if sample.size == 0:
        return out
    typical = float(np.median(sample))
    for box, stamp, power in tiles(shape, psf, noise_correlation):
        signal, exact = _factors(stamp)
        noise, square = _factors(exact**2)
        # What was left out of the square is noise all the same.
        noise[0][0] *= np.sum(exact**2) / np.sum(square)
        _filter_tile(planes, box, (signal, noise), (np.uint32(excluded), typical, power), out)
    return out


def good_variances(planes, excluded):
    """Variances of a sample of the pixels that carry information (ndarray, shape (n,), float32).

    Parameters
    ----------
    planes : tuple of ndarray, shape (ny, nx)
        Image, mask and variance.
    excluded : int
        Mask bits whose pixels carry none unless they were interpolated (INTRP).
    """
    image, mask, variance = (plane[:: max(plane.shape[0] // 512, 1), ::3] for plane in planes)
    good = ((mask & np.uint32(excluded)) == 0) | ((mask & mask_planes.INTRP) != 0)
    return variance[good & np.isfinite(image) & np.isfinite(variance)]


def tiles(shape, psf, noise_correlation):
    """Parts of the image (y0, y1, x0, x1) that have a PSF, it, and their noise power (list of tuple).

    Parameters
    ----------
    shape : tuple of int
        Shape (ny, nx) of the image.
    psf : PixelPsf, CellPsf or ndarray of shape (k, k)
        An array is the PSF of the whole image.
    noise_correlation : float or ndarray
        As for `significance_image`.
    """
    if isinstance(psf, np.ndarray):
        return [((0, shape[0], 0, shape[1]), psf, float(noise_correlation))]
    rows, columns = (tile_spans(length) for length in shape)
    boxes = [(*row, *column) for row in rows for column in columns]
    powers = np.broadcast_to(noise_correlation, (len(rows), len(columns))).ravel().tolist()
    stamps = [_mean_psf(psf, box) for box in boxes]
    tiles = zip(boxes, stamps, map(float, powers), strict=True)
    return [tile for tile in tiles if tile[1] is not None]


def _mean_psf(psf, box):
    """Mean of the PSFs of a tile, of each cell that it meets where the PSF has cells; None where it has none."""
    y0, y1, x0, x1 = box
    step = getattr(psf, "cell_size", TILE / N_PLACE)
    axes = [
        np.linspace(first, last - 1, int(np.ceil((last - first) / step)) + 1)
        for first, last in ((x0, x1), (y0, y1))
    ]
    x, y = np.meshgrid(*axes)
    stamps = psf.kernels_at(x.ravel(), y.ravel())
    known = np.isfinite(stamps).all(axis=(1, 2))
    return stamps[known].mean(axis=0) if known.any() else None


def power_at(noise_correlation, shape, y, x):
    """Noise power of the tiles that hold some pixels.

    Parameters
    ----------
    noise_correlation : float or ndarray, shape (n_row, n_column)
        As for `significance_image`.
    shape : tuple of int
        Shape (ny, nx) of the image.
    y, x : array_like
        Rows and columns of the pixels.

    Returns
    -------
    ndarray, float64
        In the shape that rows and columns have together.
    """
    rows, columns = ([first for first, _ in tile_spans(length)] for length in shape)
    powers = np.broadcast_to(np.asarray(noise_correlation, dtype=np.float64), (len(rows), len(columns)))
    row, column = (
        np.searchsorted(firsts, place, side="right") - 1 for firsts, place in ((rows, y), (columns, x))
    )
    return powers[row, column]


def tile_spans(length):
    """First pixel of equal parts of an axis, about `TILE` long, and the one after their last (list of tuple of int).

    Parameters
    ----------
    length : int
        Of the axis [pixel].
    """
    edges = np.linspace(0, length, max(round(length / TILE), 1) + 1).astype(int)
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def visible_part(stamp):
    """PSF without its faint rim (ndarray, shape (m, m), m odd).

    Parameters
    ----------
    stamp : ndarray, shape (k, k)
        The PSF, centred on its middle pixel.
    """
    middle = stamp.shape[0] // 2
    offset = np.abs(np.arange(len(stamp)) - middle)
    distance = np.maximum(offset[:, None], offset).ravel()
    within = np.cumsum(np.bincount(distance, (smoothed(stamp) ** 2).ravel()))
    reach = int(np.argmax(within > (1 - LOST) * within[-1]))
    return stamp[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]


def _factors(stamp):
    """Columns and rows whose products add up to a PSF but for its faint rim, with their reach, and the sum.

    The factors (2, n, k), float32, have empty taps at their end, to a multiple of `N_TAP`.
    """
    inner = visible_part(stamp)
    reach = len(inner) // 2
    columns, values, rows = np.linalg.svd(inner)
    kept = values > SMALL * values[0]
    columns = (columns[:, kept] * np.sqrt(values[kept])).T
    rows = rows[kept] * np.sqrt(values[kept])[:, None]
    n_tap = 2 * reach + 1
    factors = np.zeros((2, kept.sum(), -(-n_tap // N_TAP) * N_TAP), dtype=np.float32)
    factors[0, :, :n_tap], factors[1, :, :n_tap] = columns, rows
    return (factors, reach), columns.T @ rows


@kernel
def _filter_tile(planes, box, filters, limits, out):
    """Significance of one tile into `out`; `filters`: factors of the PSF and of its square, with their reach."""
    (signal, reach), (noise, noise_reach) = filters
    y0, y1, x0, x1 = box
    ny, nx = planes[0].shape
    n_tap, width = signal.shape[2], x1 - x0
    n_signal, n_noise = signal.shape[1], noise.shape[1]
    ring = np.zeros((n_signal + n_noise, n_tap, width), dtype=np.float32)
    rows = np.zeros((2, width + 2 * reach + N_TAP), dtype=np.float32)
    sums = np.zeros((2, width), dtype=np.float32)
    norm = np.float32(0)
    for i in range(n_noise):
        norm += noise[0, i].sum() * noise[1, i].sum()
    for y in range(y0 - reach, y1 + reach):
        slot = (y - y0 + reach) % n_tap
        ring[:, slot] = 0.0
        if 0 <= y < ny:
            _read_row(planes, (y, x0 - reach, nx), limits[0], rows)
            for i in range(n_signal):
                add_taps_along(rows[0], signal[1, i], ring[i, slot])
            for i in range(n_noise):
                add_taps_along(rows[1, reach - noise_reach :], noise[1, i], ring[n_signal + i, slot])
        done = y - reach
        if done < y0:
            continue
        sums[:] = 0.0
        for i in range(n_signal):
            _add_taps_across(ring[i], done - y0, signal[0, i], sums[0])
        for i in range(n_noise):
            _add_taps_across(ring[n_signal + i], done - y0 + reach - noise_reach, noise[0, i], sums[1])
        _divide((planes[1][done, x0:x1], planes[2][done, x0:x1]), sums, limits, norm, out[done, x0:x1])


@kernel
def _read_row(planes, place, excluded, rows):
    """Image and variance of a row of pixels, 0 where a pixel carries no information or is none."""
    y, first, nx = place
    rows[:] = 0.0
    left, right = max(0, -first), min(rows.shape[1], nx - first)
    start, end = first + left, first + right
    pixels = (planes[0][y, start:end], planes[1][y, start:end], planes[2][y, start:end])
    _read_pixels(pixels, excluded, rows[0, left:right], rows[1, left:right])


@summing_kernel
def _read_pixels(pixels, excluded, values, variances):
    """Image and variance of pixels, 0 where they carry no information."""
    image, mask, variance = pixels
    zero = np.float32(0)
    for i in range(values.size):
        good = ((mask[i] & excluded) == 0) | ((mask[i] & mask_planes.INTRP) != 0)
        good &= (abs(image[i]) < np.float32(np.inf)) & (abs(variance[i]) < np.float32(np.inf))
        values[i] = image[i] if good else zero
        variances[i] = variance[i] if good else zero


@summing_kernel
def add_taps_along(row, taps, out):
    """Add the weighted neighbours of each pixel of a row.

    Parameters
    ----------
    row : ndarray, shape (n + m - 1,) or longer, float32
        Pixels, from the first neighbour of the first one on.
    taps : ndarray, shape (m,), float32
        Weights; m is a multiple of `N_TAP`.
    out : ndarray, shape (n,), float32
        The sums so far; changed in place.
    """
    for t in range(0, taps.size, N_TAP):
        w0, w1, w2, w3 = taps[t], taps[t + 1], taps[t + 2], taps[t + 3]
        w4, w5, w6, w7 = taps[t + 4], taps[t + 5], taps[t + 6], taps[t + 7]
        v = row[t:]
        for i in range(out.size):
            out[i] += (w0 * v[i] + w1 * v[i + 1] + w2 * v[i + 2] + w3 * v[i + 3]) + (
                w4 * v[i + 4] + w5 * v[i + 5] + w6 * v[i + 6] + w7 * v[i + 7]
            )


@kernel
def _add_taps_across(ring, first, taps, out):
    """Add the weighted rows of a ring of rows, beginning with its row `first`."""
    n_row = ring.shape[0]
    for t in range(0, taps.size, N_TAP):
        start = first + t
        _add_rows(
            (
                ring[start % n_row],
                ring[(start + 1) % n_row],
                ring[(start + 2) % n_row],
                ring[(start + 3) % n_row],
                ring[(start + 4) % n_row],
                ring[(start + 5) % n_row],
                ring[(start + 6) % n_row],
                ring[(start + 7) % n_row],
            ),
            taps[t : t + N_TAP],
            out,
        )


@summing_kernel
def _add_rows(rows, taps, out):
    """Add eight weighted rows."""
    r0, r1, r2, r3, r4, r5, r6, r7 = rows
    w0, w1, w2, w3 = taps[0], taps[1], taps[2], taps[3]
    w4, w5, w6, w7 = taps[4], taps[5], taps[6], taps[7]
    for i in range(out.size):
        out[i] += (w0 * r0[i] + w1 * r1[i] + w2 * r2[i] + w3 * r3[i]) + (
            w4 * r4[i] + w5 * r5[i] + w6 * r6[i] + w7 * r7[i]
        )


@summing_kernel
def _divide(planes, sums, limits, norm, out):
    """Significance of a row of pixels from its sums of signal and variance."""
    mask, variance = planes
    excluded, typical, noise_correlation = limits
    least, power, usual = np.float32(MIN_COVERAGE) * norm, np.float32(noise_correlation), np.float32(typical)
    zero, one = np.float32(0), np.float32(1)
    signal, noise = sums[0], sums[1]
    for i in range(out.size):
        good = ((mask[i] & excluded) == 0) | ((mask[i] & mask_planes.INTRP) != 0)
        good &= abs(variance[i]) < np.float32(np.inf)
        is_covered = noise[i] > least * (variance[i] if good else usual)
        value = signal[i] / np.sqrt(power * noise[i] if is_covered else one)
        out[i] = value if is_covered else zero


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    from skyloom.core.images import MaskedImage

    zeros = np.zeros((16, 16), dtype=np.float32)
    pixels = MaskedImage(zeros, np.zeros((16, 16), dtype=np.uint32), zeros + np.float32(1))
    significance_image(pixels, np.ones((5, 5)) / 25, 1)
