"""The light expected in each pixel, for a variance that does not follow the noise of the pixels."""

import numpy as np

from skyloom.algorithms.robust import block_median_background
from skyloom.core.jit import kernel

SKY_BIN = 64
SIGNAL_SIGMA = 1.5
"""Excess of a 3x3 mean over the sky, in sigma of one pixel, above which a pixel is taken for an object's."""

PIXEL_SIGMA = 5.0
"""Excess of a single pixel above which it is taken to hold an object (or a cosmic ray)."""


def expected_light(light, is_masked, response, read_variance):
    """Light that was expected in each pixel: the sky, or the pixel's own value where an object is.

    Parameters
    ----------
    light : ndarray, shape (ny, nx), float32
        Flat-fielded image, sky included [electron]; NaN counts as sky.
    is_masked : ndarray, shape (ny, nx), bool
        Pixels that say nothing of the sky.
    response : ndarray or float
        The flat that was divided by.
    read_variance : ndarray, shape (ny, nx), float32
        Variance of the read-out before the flat [electron^2].

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
    sky = block_median_background(light, is_masked, SKY_BIN).image()
    response = np.broadcast_to(np.asarray(response, dtype=np.float32), light.shape)
    expected = np.empty(light.shape, dtype=np.float32)
    _choose_light((light, sky), (response, read_variance), expected)
    return expected


@kernel
def _choose_light(images, noise, expected):
    """Sky, or the light of pixels in objects, into `expected`; see `expected_light`."""
    light, sky = images
    response, read_variance = noise
    ny, nx = light.shape
    columns, ninth = np.empty(nx + 2, dtype=np.float32), np.float32(1 / 9)
    for y in range(ny):
        up, down = max(y - 1, 0), min(y + 1, ny - 1)
        for x in range(nx):
            columns[x + 1] = light[up, x] + light[y, x] + light[down, x]
        columns[0], columns[nx + 1] = columns[1], columns[nx]
        for x in range(nx):
            level = max(sky[y, x], np.float32(0))
            r = response[y, x] if response[y, x] > 0 else np.float32(1)
            variance = (level + read_variance[y, x] / r) / r
            sigma = np.sqrt(variance)
            mean = (columns[x] + columns[x + 1] + columns[x + 2]) * ninth
            is_object = mean - level > np.float32(SIGNAL_SIGMA) * sigma
            is_object = is_object or light[y, x] - level > np.float32(PIXEL_SIGMA) * sigma
            expected[y, x] = max(light[y, x], np.float32(0)) if is_object else level


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    ones = np.ones((4, 4), dtype=np.float32)
    expected_light(ones, np.zeros((4, 4), dtype=bool), 1.0, ones)
    expected_light(ones, np.zeros((4, 4), dtype=bool), ones, ones)
