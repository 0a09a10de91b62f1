"""Location, scale and stack statistics that a few outliers do not move."""

from typing import NamedTuple

import numpy as np

from skyloom.core.images import Background
from skyloom.core.jit import kernel

MAD_TO_SIGMA = 1.482602218505602
MEDIAN_ERROR = 1.2533141373155001
"""Standard error of a median of normal values over that of their mean: the square root of pi / 2."""
"""Standard deviation of a normal distribution over its median absolute deviation."""

ROWS_PER_STRIP = 200
"""Rows that `clipped_combine` holds in memory at once, as Rubin's calibration combination does."""


class ClippedStatistics(NamedTuple):
    """Mean, standard deviation and number of the values that survived clipping."""

    mean: float
    sigma: float
    n_used: int


def mad_sigma(values):
    """Standard deviation of `values` estimated from their median absolute deviation.

    Parameters
    ----------
    values : array_like, any shape, float
        NaN and infinite values are left out.

    Returns
    -------
    float
        1.4826 times the median absolute deviation, in the unit of `values`; NaN when no value is finite.
    """
    finite = _finite(values)
    if finite.size == 0:
        return float("nan")
    return float(MAD_TO_SIGMA * np.median(np.abs(finite - np.median(finite))))


def clipped_statistics(values, weights=None, n_sigma=3.0, n_iter=5):
    """Mean, standard deviation and count of `values` without their outliers.

    Parameters
    ----------
    values : array_like, any shape, float
        NaN and infinite values are left out.
    weights : array_like, shape of `values`, optional
        Weights of the mean and of the standard deviation; 0 leaves a value out.
    n_sigma : float
        Values further than this many standard deviations from the centre are clipped.
    n_iter : int
        Most rounds of clipping; stops when a round clips nothing.

    Returns
    -------
    ClippedStatistics
        All NaN with `n_used` 0 when no value is finite.

    Notes
    -----
    The first round is centred on the median and scaled by `mad_sigma`, because the mean and the standard
    deviation of n values can never show a deviation above (n - 1) / sqrt(n) sigma; later rounds use the mean
    and the standard deviation of what is left. The standard deviation is not corrected for the truncation,
    which lowers it by 1.3 % at 3 sigma.
    """
    values = np.asarray(values, dtype=np.float64).ravel()
    weights = np.ones_like(values) if weights is None else np.asarray(weights, dtype=np.float64).ravel()
    used = np.isfinite(values) & np.isfinite(weights) & (weights > 0)
    values, weights = values[used], weights[used]
    if values.size == 0:
        return ClippedStatistics(float("nan"), float("nan"), 0)
    centre, sigma = np.median(values), mad_sigma(values)
    if sigma == 0:
        sigma = values.std()
    kept = np.ones(values.size, dtype=bool)
    for _ in range(n_iter):
        now_kept = np.abs(values - centre) <= n_sigma * sigma
        if not now_kept.any():
            break
        is_stable = np.array_equal(now_kept, kept)
        kept = now_kept
        centre = np.average(values[kept], weights=weights[kept])
        sigma = np.sqrt(np.average((values[kept] - centre) ** 2, weights=weights[kept]))
        if is_stable:
            break
    return ClippedStatistics(float(centre), float(sigma), int(kept.sum()))


def clipped_mean(values, weights=None, n_sigma=3.0, n_iter=5):
    """Mean of `values` without their outliers; arguments and notes as in `clipped_statistics`.

    Parameters
    ----------
    values, weights, n_sigma, n_iter
        As in `clipped_statistics`.

    Returns
    -------
    float
        Clipped mean; NaN when no value is finite.
    """
    return clipped_statistics(values, weights, n_sigma, n_iter).mean


def clipped_combine(stack, n_sigma=3.0, n_iter=3, sigma=None):
    """Clipped mean of n frames at each pixel, worked through in strips of rows.

    Parameters
    ----------
    stack : ndarray, shape (n, ny, nx), float
        Frames on one scale; NaN is left out. May be a memory map: one strip of it is held at a time.
    n_sigma : float
        Values further than this many sigma from the pixel's median are clipped in the first round, from the
        mean in the later ones.
    n_iter : int
        Rounds of clipping.
    sigma : array_like, shape (n,), float, optional
        Known noise of one pixel of each frame. Without it the noise is the scatter of the pixel itself (from
        the median absolute deviation), which for n below 10 clips some good values too.

    Returns
    -------
    mean : ndarray, shape (ny, nx), float32
        NaN where no frame has a value.
    variance : ndarray, shape (ny, nx), float32
        Variance of `mean` from the scatter of the values kept; with `sigma`, from it. NaN where `mean` is NaN
        or, without `sigma`, where one value is left.
    n_used : ndarray, shape (ny, nx), int32
        Number of values kept.
    """
    n, ny, nx = stack.shape
    known = np.array(np.broadcast_to(0.0 if sigma is None else sigma, (n,)), dtype=np.float64)
    limits = np.array([n_sigma, n_iter], dtype=np.float64)
    mean = np.empty((ny, nx), dtype=np.float32)
    variance = np.empty((ny, nx), dtype=np.float32)
    n_used = np.empty((ny, nx), dtype=np.int32)
    for y0 in range(0, ny, ROWS_PER_STRIP):
        rows = slice(y0, min(y0 + ROWS_PER_STRIP, ny))
        strip = np.ascontiguousarray(stack[:, rows], dtype=np.float32)
        _combine_strip(strip, known, limits, mean[rows], variance[rows], n_used[rows])
    return mean, variance, n_used


def finite_median(values, axis=0, least=1):
    """Median of the values that are numbers.

    Parameters
    ----------
    values : ndarray, float
        Values; NaN is left out.
    axis : int
        Axis that the median is taken along.
    least : int
        Fewest numbers that have a median.

    Returns
    -------
    ndarray, shape of `values` without the axis, float64
        NaN where there are fewer; unlike `numpy.nanmedian` without a warning, and fast along short axes.
    """
    ordered = np.sort(values, axis=axis)
    n = np.isfinite(values).sum(axis=axis, keepdims=True)
    middle = [np.take_along_axis(ordered, np.maximum(k, 0), axis) for k in ((n - 1) // 2, n // 2)]
    # Where n is even and all are numbers the upper one may be out of bounds only for n = 0.
    return np.where(n >= least, 0.5 * (middle[0] + middle[1]), np.nan).squeeze(axis)


def block_median_background(image, is_masked, bin_size):
    """Sky level as medians of square bins: coarse, quick, and blind to what fills less than half a bin.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float
        Image in any unit; every second pixel of every second row is looked at.
    is_masked : ndarray, shape (ny, nx), bool
        Pixels to leave out; values that are not finite are left out too.
    bin_size : int
        Side of a bin [pixel].

    Returns
    -------
    Background
        Bins without a usable pixel hold the median of the other bins; all 0 when there is none.
    """
    ny, nx = image.shape
    mesh = np.full((-(-ny // bin_size), -(-nx // bin_size)), np.nan, dtype=np.float32)
    _measure_medians(np.asarray(image, dtype=np.float32), is_masked, bin_size, mesh)
    is_empty = np.isnan(mesh)
    mesh[is_empty] = 0.0 if is_empty.all() else np.median(mesh[~is_empty])
    return Background(mesh=mesh, bin_size=bin_size, shape=image.shape)


@kernel
def _measure_medians(image, is_masked, bin_size, mesh):
    """Median of every second pixel each way of each bin into `mesh`, which stays as it is where none is usable."""
    ny, nx = image.shape
    values = np.empty((bin_size // 2 + 1) ** 2, dtype=np.float32)
    for row in range(mesh.shape[0]):
        for column in range(mesh.shape[1]):
            n = 0
            for y in range(row * bin_size, min((row + 1) * bin_size, ny), 2):
                for x in range(column * bin_size, min((column + 1) * bin_size, nx), 2):
                    if not is_masked[y, x] and np.isfinite(image[y, x]):
                        values[n] = image[y, x]
                        n += 1
            if n > 0:
                mesh[row, column] = np.median(values[:n])


def _finite(values):
    """Finite values of an array, flat, float64."""
    values = np.asarray(values, dtype=np.float64).ravel()
    return values[np.isfinite(values)]


@kernel
def _median_of(values, work):
    """Median of `values` by insertion sort into `work` (both 1-D, float64, short)."""
    n = values.size
    for i in range(n):
        value = values[i]
        j = i
        while j > 0 and work[j - 1] > value:
            work[j] = work[j - 1]
            j -= 1
        work[j] = value
    if n % 2 == 1:
        return work[n // 2]
    return 0.5 * (work[n // 2 - 1] + work[n // 2])


@kernel
def _clip_in_place(values, noise, limits, work):
    """Move the values that survive clipping to the front; how many they are.

    `limits` holds the number of sigma and of rounds; a first `noise` of 0 means that the scatter of the
    values takes its place.
    """
    m = values.size
    for iteration in range(int(limits[1])):
        if m < 2:
            break
        centre = _median_of(values[:m], work) if iteration == 0 else values[:m].mean()
        scatter = 0.0
        if noise[0] == 0.0:
            scatter = MAD_TO_SIGMA * _median_of(np.abs(values[:m] - centre), work)
            if scatter == 0.0:
                scatter = values[:m].std()
        kept = 0
        for i in range(m):
            if abs(values[i] - centre) <= limits[0] * max(noise[i], scatter):
                values[kept] = values[i]
                noise[kept] = noise[i]
                kept += 1
        if kept == m or kept == 0:
            break
        m = kept
    return m


@kernel
def _combine_strip(strip, known, limits, mean, variance, n_used):  # noqa: PLR0913 (a kernel)
    """Clipped mean over the first axis; see `clipped_combine`. `known` all 0 means unknown noise."""
    n, ny, nx = strip.shape
    values, noise, work = np.empty(n), np.empty(n), np.empty(n)
    for y in range(ny):
        for x in range(nx):
            m = 0
            for i in range(n):
                if np.isfinite(strip[i, y, x]):
                    values[m] = strip[i, y, x]
                    noise[m] = known[i]
                    m += 1
            if m > 1:
                m = _clip_in_place(values[:m], noise[:m], limits, work)
            n_used[y, x] = m
            mean[y, x] = np.nan
            variance[y, x] = np.nan
            if m > 0:
                mean[y, x] = values[:m].mean()
            if m > 0 and known[0] > 0:
                variance[y, x] = (noise[:m] ** 2).sum() / m**2
            elif m > 1:
                variance[y, x] = ((values[:m] - values[:m].mean()) ** 2).sum() / (m * (m - 1))


def compile_kernels():
    """Compile the kernels of this module for the types used in production."""
    clipped_combine(np.zeros((2, 2, 2), dtype=np.float32))
    block_median_background(np.zeros((4, 4), dtype=np.float32), np.zeros((4, 4), dtype=bool), 2)
