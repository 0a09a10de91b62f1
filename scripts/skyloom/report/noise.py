"""Noise of blank sky in an image beside the noise that its variance plane promises."""

import numpy as np

from skyloom.algorithms.robust import mad_sigma
from skyloom.core import mask_planes

NOT_BLANK = mask_planes.bits(
    "BAD",
    "SAT",
    "INTRP",
    "CR",
    "EDGE",
    "NO_DATA",
    "CLIPPED",
    "REJECTED",
    "SENSOR_EDGE",
    "SAT_TEMPLATE",
    "HIGH_VARIANCE",
)
OBJECT_SIGMA = 3.0
SMOOTHING_PIXEL = 5
GROW_PIXEL = 8


def noise_ratio(pixels):
    """Robust scatter of blank pixels over the root of their variance.

    Parameters
    ----------
    pixels : MaskedImage
        A background-subtracted image.

    Returns
    -------
    ratio : float
        1 when the variance plane is right; NaN without blank pixels.
    n_pixel : int
        Blank pixels: not masked, and away from whatever stands out of the noise in a smoothed image.
    """
    valid = ~pixels.is_masked(NOT_BLANK) & (pixels.variance > 0) & np.isfinite(pixels.image)
    if not valid.any():
        return np.nan, 0
    scaled = np.zeros(pixels.shape, dtype=np.float32)
    scaled[valid] = pixels.image[valid] / np.sqrt(pixels.variance[valid])
    blank = valid & ~_objects(scaled, valid)
    n_pixel = int(blank.sum())
    return (float(mad_sigma(scaled[blank])), n_pixel) if n_pixel else (np.nan, 0)


def _objects(scaled, valid):
    """Pixels near something that stands out of the noise after smoothing, whatever the noise's correlation."""
    from scipy import ndimage

    smooth = ndimage.uniform_filter(scaled, SMOOTHING_PIXEL)
    typical = smooth[valid]
    excess = np.abs(smooth - np.median(typical)) > OBJECT_SIGMA * mad_sigma(typical)
    return ndimage.binary_dilation(excess & valid, iterations=GROW_PIXEL)
