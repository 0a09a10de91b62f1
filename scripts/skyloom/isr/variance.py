"""The light expected in each pixel, for a variance that does not follow the noise of the pixels."""

import numpy as np

from skyloom.algorithms.robust import block_median_background

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
        Flat-fielded image, sky included [electron]; finite.
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
    from scipy.ndimage import uniform_filter

    sky = np.maximum(block_median_background(light, is_masked, SKY_BIN).image(), 0)
    sigma = np.sqrt(sky / response + read_variance / response**2)
    is_object = uniform_filter(light, 3, mode="nearest") - sky > SIGNAL_SIGMA * sigma
    is_object |= light - sky > PIXEL_SIGMA * sigma
    return np.where(is_object, np.maximum(light, 0), sky).astype(np.float32)
