"""The light expected in each pixel, for a variance that does not follow the noise of the pixels."""

import numpy as np

from skyloom.algorithms.robust import block_median_background
from skyloom.core.images import strips
from skyloom.core.jit import kernel

SKY_BIN = 64
STRIP = 32
"""Rows that are worked on at a time."""

SIGNAL_SIGMA = 1.5
"""Excess of a 3x3 mean over the sky, in sigma of one pixel, above which a pixel is taken for an object's."""

PIXEL_SIGMA = 5.0
"""Excess of a single pixel above which it is taken to hold an object (or a cosmic ray)."""


def expected_light(light, is_masked, read_variance):
    """Light that was expected in each pixel: the sky, or the pixel's own value where an object is.

    Parameters
    ----------
    light : ndarray, shape (ny, nx), float32
        Flat-fielded image, sky included [electron]; NaN counts as sky.
    is_masked : ndarray, shape (ny, nx), bool
        Pixels that say nothing of the sky.
    read_variance : ndarray, shape (ny, nx), float32
        Variance of the read-out [electron^2].

    Returns
    -------
    ndarray, shape (ny, nx), float32
        [electron], flat-fielded, never below 0.

    Notes
    -----
    Taking each pixel's own value everywhere makes the variance follow the noise, so that weights by inverse
    variance favour pixels that are low by chance. Here only pixels in objects (3x3 mean more than 1.5 pixel
    sigma, or 4.5 sigma of that mean, above the sky; or the pixel itself 5 sigma) keep their own value; what
    is fainter than that leaves the variance of sky-limited pixels low by at most 1.5 / sigma relative.
    """
    sky, expected = rough_sky(light, is_masked), np.empty_like(light)
    for part in strips(len(light), STRIP):
        expected[part] = expected_light_of_rows(light, sky, part, None, read_variance[part])
    return expected


def rough_sky(light, is_masked):
    """Level of the sky, for `expected_light_of_rows`.

    Parameters
    ----------
    light, is_masked
        As for `expected_light`.

    Returns
    -------
    Background
        [electron].
    """
    return block_median_background(light, is_masked, SKY_BIN)


def expected_light_of_rows(light, sky, rows, response, read_variance):
    """Light that was expected in some rows of a frame; see `expected_light`.

    Parameters
    ----------
    light : ndarray, shape (ny, nx), float32
        The whole flat-fielded image [electron].
    sky : Background
        From `rough_sky`.
    rows : slice
        Of the rows wanted.
    response, read_variance : ndarray, shape (n, nx), float32
        Of these rows; no response where there was no flat.

    Returns
    -------
    ndarray, shape (n, nx), float32
        [electron].
    """
    expected = sky.rows(rows)
    noise = (np.ones_like(expected) if response is None else response, read_variance)
    _choose_light_in_place(light, rows.start, noise, expected)
    return expected


@kernel
def _choose_light_in_place(light, first, noise, sky):
    """Put the light of pixels in objects in place of the sky, in rows from `first` on; see `expected_light`."""
    response, read_variance = noise
    ny, nx = light.shape
    columns, ninth = np.empty(nx + 2, dtype=np.float32), np.float32(1 / 9)
    for row in range(sky.shape[0]):
        y = first + row
        up, down = max(y - 1, 0), min(y + 1, ny - 1)
        for x in range(nx):
            columns[x + 1] = light[up, x] + light[y, x] + light[down, x]
        columns[0], columns[nx + 1] = columns[1], columns[nx]
        for x in range(nx):
            level = max(sky[row, x], np.float32(0))
            r = response[row, x] if response[row, x] > 0 else np.float32(1)
            variance = (level + read_variance[row, x] / r) / r
            sigma = np.sqrt(variance)
            mean = (columns[x] + columns[x + 1] + columns[x + 2]) * ninth
            is_object = mean - level > np.float32(SIGNAL_SIGMA) * sigma
            is_object = is_object or light[y, x] - level > np.float32(PIXEL_SIGMA) * sigma
            sky[row, x] = max(light[y, x], np.float32(0)) if is_object else level


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    ones = np.ones((4, 4), dtype=np.float32)
    expected_light(ones, np.zeros((4, 4), dtype=bool), ones)
