"""Noise of blank sky in an image beside the noise that its variance plane promises."""

import numpy as np
from scipy import ndimage

from skyloom.algorithms.robust import mad_sigma
from skyloom.core import mask_planes

NOT_BLANK = mask_planes.bits(
    "BAD",
    "SAT",
    "INTRP",
    "CR",
    "EDGE",
    "DETECTED",
    "DETECTED_NEGATIVE",
    "NO_DATA",
    "CLIPPED",
    "REJECTED",
    "SENSOR_EDGE",
    "SAT_TEMPLATE",
    "HIGH_VARIANCE",
)
GROW_PIXEL = 8


def noise_ratio(pixels):
    """Robust scatter of blank pixels over the root of their variance.

    Parameters
    ----------
    pixels : MaskedImage
        An image with DETECTED set on its sources.

    Returns
    -------
    ratio : float
        1 when the variance plane is right; NaN without blank pixels.
    n_pixel : int
        Blank pixels.
    """
    detected = pixels.is_masked(mask_planes.DETECTED | mask_planes.DETECTED_NEGATIVE)
    near = ndimage.binary_dilation(detected, iterations=GROW_PIXEL) if detected.any() else detected
    blank = ~near & ~pixels.is_masked(NOT_BLANK) & (pixels.variance > 0) & np.isfinite(pixels.image)
    n_pixel = int(blank.sum())
    if n_pixel == 0:
        return np.nan, 0
    scaled = pixels.image[blank] / np.sqrt(pixels.variance[blank])
    return float(mad_sigma(scaled)), n_pixel
