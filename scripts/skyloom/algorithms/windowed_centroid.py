"""Windowed centroids: where the Gaussian-weighted first moments vanish, with errors from the variance plane."""

import numpy as np

from skyloom.core.jit import kernel

N_ITERATION = 32
TOLERANCE = 2e-4
"""A step below this ends the iteration [pixel]."""
REACH = 4.0
"""Radius of the window [sigma]."""
MAX_SHIFT = 3.0
"""Centroids farther than this from their start are another source's [sigma]."""
MIN_SIGMA = 0.7
"""A window narrower than this would stay in the pixel where it began [pixel]."""


def windowed_centroids(masked_image, x, y, sigma):
    """Centroids by a Gaussian window that moves with them.

    Parameters
    ----------
    masked_image : MaskedImage
        Background-subtracted pixels; the mask is not looked at.
    x, y : ndarray, shape (n,), float64
        First guess [pixel].
    sigma : ndarray, shape (n,), float64
        Size of the window, at best that of the source [pixel].

    Returns
    -------
    ndarray, shape (5, n), float64
        x, y [pixel], their errors [pixel] and covariance [pixel^2]; NaN where the centroid did not come to rest near
        its start, or the window reaches over the edge.

    Notes
    -----
    XWIN_IMAGE of SExtractor (Bertin & Arnouts 1996): steps of ``2 sum(w I dx) / sum(w I)``. Its error is that of the
    root of ``sum(w I dx)``: the scatter of the sum over its slope ``sum(w I (1 - dx^2 / sigma^2))``, which is half of
    ``sum(w I)`` only where the window has the size of the source.
    """
    results = np.full((5, np.size(x)), np.nan)
    _measure_each(masked_image.image, masked_image.variance, np.stack([x, y, sigma]), results)
    return results


@kernel
def _measure_each(image, variance, sources, results):
    """Centroid of each source (x, y, sigma) into the columns of `results`."""
    for i in range(sources.shape[1]):
        find_centroid(image, variance, sources[:, i], results[:, i])


@kernel
def find_centroid(image, variance, source, result):
    """Centroid of one source into `result`; see `windowed_centroids`.

    Parameters
    ----------
    image, variance : ndarray, shape (ny, nx), float32
        Pixels.
    source : ndarray, shape (3,)
        x, y and size of the window [pixel].
    result : ndarray, shape (5,), float64
        Stays as it is where there is none.
    """
    x, y, sigma = source[0], source[1], max(source[2], MIN_SIGMA)
    if not (np.isfinite(x) and np.isfinite(y) and np.isfinite(sigma)):
        return
    ny, nx = image.shape
    reach = REACH * sigma
    sums = np.zeros(9)
    for _ in range(N_ITERATION):
        if not (reach <= x <= nx - 1 - reach and reach <= y <= ny - 1 - reach):
            return
        _weigh(image, variance, (x, y, sigma), sums)
        if not sums[0] > 0:
            return
        step_x, step_y = 2 * sums[1] / sums[0], 2 * sums[2] / sums[0]
        x, y = x + step_x, y + step_y
        if max(abs(x - source[0]), abs(y - source[1])) > MAX_SHIFT * sigma:
            return
        if max(abs(step_x), abs(step_y)) < TOLERANCE:
            # Slopes of both sums by both coordinates, and their inverse on the scatter of the sums.
            a, b, c = sums[0] - sums[3], -sums[4], sums[0] - sums[5]
            determinant = a * c - b * b
            if not (determinant > 0 and a > 0):
                return
            v_xx, v_xy, v_yy = sums[6], sums[7], sums[8]
            result[0], result[1] = x, y
            result[2] = np.sqrt(c * c * v_xx - 2 * b * c * v_xy + b * b * v_yy) / determinant
            result[3] = np.sqrt(a * a * v_yy - 2 * a * b * v_xy + b * b * v_xx) / determinant
            result[4] = (a * c * v_xy - b * c * v_xx - a * b * v_yy + b * b * v_xy) / determinant**2
            return


@kernel
def _weigh(image, variance, window, sums):
    """Sums of w I (1, dx, dy, dx^2/s^2, dx dy/s^2, dy^2/s^2) and of w^2 V (dx^2, dx dy, dy^2) in a window (x, y, s)."""
    x, y, sigma = window
    reach, scale = REACH * sigma, 1 / sigma**2
    sums[:] = 0.0
    # Along a row a Gaussian's ratio from pixel to pixel changes by a constant factor: no exponential for each pixel.
    factor = np.exp(-scale)
    for row in range(int(np.ceil(y - reach)), int(np.floor(y + reach)) + 1):
        dy = row - y
        half = np.sqrt(reach * reach - dy * dy)
        left, right = int(np.ceil(x - half)), int(np.floor(x + half))
        dx = left - x
        weight = np.exp(-0.5 * scale * (dx * dx + dy * dy))
        ratio = np.exp(-0.5 * scale * (2 * dx + 1))
        t = t_x = t_xx = v = v_x = v_xx = 0.0
        for column in range(left, right + 1):
            dx = column - x
            light, spread = weight * image[row, column], weight * weight * variance[row, column]
            t += light
            t_x += light * dx
            t_xx += light * dx * dx
            v += spread
            v_x += spread * dx
            v_xx += spread * dx * dx
            weight *= ratio
            ratio *= factor
        sums[0] += t
        sums[1] += t_x
        sums[2] += t * dy
        sums[3] += t_xx * scale
        sums[4] += t_x * dy * scale
        sums[5] += t * dy * dy * scale
        sums[6] += v_xx
        sums[7] += v_x * dy
        sums[8] += v * dy * dy


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    plane = np.ones((16, 16), dtype=np.float32)
    _measure_each(plane, plane, np.array([[8.0], [8.0], [1.5]]), np.full((5, 1), np.nan))
