"""Move the image of a PSF by a fraction of a pixel, in the inner loops that do it for each source."""

import numpy as np

from skyloom.core.jit import kernel, summing_kernel
from skyloom.core.splines import SPLINE_DEGREE, SPLINE_REACH


@kernel
def working_space(size, n_phase):
    """Buffers of `move_stamp` for PSF images of this side: coefficients, those moved along x, and the moved images.

    Parameters
    ----------
    size : int
        Side of a PSF image [pixel].
    n_phase : int
        Places within a pixel at which it is sampled, a square number.

    Returns
    -------
    tuple of ndarray
        float32.
    """
    wide = size + 2 * SPLINE_REACH
    coefficients = np.zeros(n_phase * _room(wide), dtype=np.float32)
    return (
        coefficients,
        np.zeros((2 * _sampling(n_phase), wide * wide), dtype=np.float32),
        np.zeros(3 * size * wide, dtype=np.float32),
    )


@kernel
def _room(wide):
    """Length of the laid-out coefficients of one phase."""
    return wide * wide + SPLINE_DEGREE + 1


@kernel
def _sampling(n_phase):
    """Samples a pixel along an axis."""
    return int(np.rint(np.sqrt(n_phase)))


@kernel
def move_stamp(stamp, half, shift, work, n_plane):
    """Move the middle of a PSF by a fraction of a pixel, with its derivatives.

    Parameters
    ----------
    stamp : ndarray, shape (s * s, k, k), float32
        Its spline coefficients, as from `splines_at` of a PSF.
    half : int
        Half-width of the square that is wanted, at most k // 2 [pixel].
    shift : tuple of float
        (dx, dy), in [-0.5, 0.5] [pixel].
    work : tuple of ndarray
        From `working_space`.
    n_plane : int
        1 for the image alone, 3 for its derivatives by dx and dy too.

    Returns
    -------
    ndarray, shape (n_plane, 2 half + 1, w), float32
        The moved image and its derivatives in the first ``2 half + 1`` columns; what the others hold means nothing.
        The memory is that of `work`: the next call writes into it.

    Notes
    -----
    Rows of the square lie behind each other with room between them, so that each sum of eight neighbours is one long
    loop over all pixels: over the short rows of a stamp a processor's vectors stay half empty. Of a PSF that is sampled
    s times finer, the eight neighbours of a pixel are those of the finer grid, which lie in s of its parts in turn.
    """
    if stamp.shape[0] > 1:
        return _move_phases(stamp, half, shift, work, n_plane)
    coefficients, moved, images = work
    weights = np.empty((2, SPLINE_DEGREE + 1), dtype=np.float32)
    n = 2 * half + 1
    wide = n + 2 * SPLINE_REACH
    length = n * wide
    _lay_out(stamp[0], stamp.shape[1] // 2 - half - SPLINE_REACH, wide, coefficients)
    first = spline_taps(shift[0], weights)
    for k in range(min(n_plane, 2)):
        _sum_neighbours(coefficients[first:], 1, weights[k], moved[k, : wide * wide])
    first = spline_taps(shift[1], weights)
    _sum_neighbours(moved[0, first * wide :], wide, weights[0], images[:length])
    if n_plane == 3:
        _sum_neighbours(moved[1, first * wide :], wide, weights[0], images[length : 2 * length])
        _sum_neighbours(moved[0, first * wide :], wide, weights[1], images[2 * length : 3 * length])
    return images[: n_plane * length].reshape(n_plane, n, wide)


@kernel
def _move_phases(stamp, half, shift, work, n_plane):
    """`move_stamp` for a PSF that is sampled finer than the pixels."""
    coefficients, moved, images = work
    weights = np.empty((2, SPLINE_DEGREE + 1), dtype=np.float32)
    sampling = _sampling(stamp.shape[0])
    n = 2 * half + 1
    wide = n + 2 * SPLINE_REACH
    length, room = n * wide, _room(wide)
    for phase in range(stamp.shape[0]):
        part = coefficients[phase * room : (phase + 1) * room]
        _lay_out(stamp[phase], stamp.shape[1] // 2 - half - SPLINE_REACH, wide, part)
    first = _fine_taps(shift[0], sampling, weights)
    moved[:, : wide * wide] = 0.0
    for row_phase in range(sampling):
        for tap in range(SPLINE_DEGREE + 1):
            phase, step = _phase_and_step(first + tap, sampling)
            start = (row_phase * sampling + phase) * room + SPLINE_REACH + step
            for k in range(min(n_plane, 2)):
                target = moved[k * sampling + row_phase, : wide * wide - 2 * SPLINE_REACH]
                _add_weighted(coefficients[start:], weights[k, tap], target)
    first = _fine_taps(shift[1], sampling, weights)
    images[: n_plane * length] = 0.0
    for tap in range(SPLINE_DEGREE + 1):
        phase, step = _phase_and_step(first + tap, sampling)
        start = (SPLINE_REACH + step) * wide
        for plane in range(n_plane):
            rows = moved[(plane == 1) * sampling + phase, start:]
            _add_weighted(rows, weights[plane // 2, tap], images[plane * length : (plane + 1) * length])
    return images[: n_plane * length].reshape(n_plane, n, wide)


@kernel
def _fine_taps(shift, sampling, weights):
    """Offset on the finer grid of the first weight that is not zero, and the weights and derivatives by a pixel."""
    moved = shift * sampling
    whole = int(np.rint(moved))
    first = spline_taps(moved - whole, weights) - SPLINE_REACH - whole
    weights[1] *= sampling
    return first


@kernel
def _phase_and_step(offset, sampling):
    """Part of the finer grid that an offset on it falls on, and whole pixels of it."""
    step = offset // sampling
    return offset - step * sampling, step


@summing_kernel
def _add_weighted(values, weight, out):
    """Add values times a weight to what is there."""
    for i in range(out.size):
        out[i] += weight * values[i]


@kernel
def _lay_out(stamp, first, wide, coefficients):
    """Rows of a square of a stamp behind each other, from its row and column `first` on; 0 beyond the stamp."""
    size = stamp.shape[0]
    coefficients[:] = 0.0
    low, high = max(-first, 0), min(wide, size - first)
    for row in range(low, high):
        source = stamp[first + row, first + low : first + high]
        target = coefficients[row * wide + low : row * wide + high]
        for i in range(source.size):
            target[i] = source[i]


@summing_kernel
def _sum_neighbours(values, step, weights, out):
    """Weighted sums of eight values that lie `step` apart, the first of them at the place of the sum."""
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    w4, w5, w6, w7 = weights[4], weights[5], weights[6], weights[7]
    v0, v1, v2, v3 = values, values[step:], values[2 * step :], values[3 * step :]
    v4, v5, v6, v7 = values[4 * step :], values[5 * step :], values[6 * step :], values[7 * step :]
    for i in range(out.size):
        out[i] = (w0 * v0[i] + w1 * v1[i] + w2 * v2[i] + w3 * v3[i]) + (
            w4 * v4[i] + w5 * v5[i] + w6 * v6[i] + w7 * v7[i]
        )


@kernel
def spline_taps(shift, weights):
    """Weights of `core.splines.spline_weights` that are not zero, and their derivatives by the shift.

    Parameters
    ----------
    shift : float
        In [-0.5, 0.5] [pixel].
    weights : ndarray, shape (2, SPLINE_DEGREE + 1), float32
        Weights and derivatives come here.

    Returns
    -------
    int
        Place of the first of them among the 2 SPLINE_REACH + 1 weights.

    Notes
    -----
    De Boor's recursion; the slope of a spline is the difference of two of the degree below.
    """
    values = np.zeros(SPLINE_DEGREE + 1)
    slopes = np.zeros(SPLINE_DEGREE + 1)
    first = 0 if shift >= 0 else 1
    u = shift + first
    values[0] = 1.0
    for degree in range(1, SPLINE_DEGREE + 1):
        if degree == SPLINE_DEGREE:
            for j in range(degree):
                slopes[j] += values[j]
                slopes[j + 1] -= values[j]
        for j in range(degree, -1, -1):
            lower = values[j - 1] if j > 0 else 0.0
            values[j] = ((u + j) * values[j] + (degree + 1 - u - j) * lower) / degree
    for j in range(SPLINE_DEGREE + 1):
        weights[0, j], weights[1, j] = values[j], slopes[j]
    return first
