"""What all drawn detectors share: the scale, a profile at a place, and the read-out of expected electrons."""

import galsim
import numpy as np
from scipy.ndimage import binary_dilation

from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage

SCALE = 0.2
"""Of a pixel [arcsec]."""
FULL_WELL = 90_000.0


def blank_light(side):
    """Image without light whose first pixel is (0, 0) (galsim.ImageD)."""
    return galsim.ImageD(side, side, scale=SCALE, xmin=0, ymin=0)


def image_at(profile, place, half):
    """Return the image of a profile about a place, 2 half + 1 pixels a side.

    Parameters
    ----------
    profile : galsim.GSObject
        With its flux [electron].
    place : tuple of float
        Its centre (x, y) [pixel].
    half : int
        Half-width of the image [pixel].

    Returns
    -------
    galsim.ImageD
        With bounds about the place, over the detector's edge or not.
    """
    column, row = (int(np.rint(c)) for c in place)
    box = galsim.BoundsI(column - half, column + half, row - half, row + half)
    image = galsim.ImageD(box, scale=SCALE)
    profile.drawImage(image, center=galsim.PositionD(*place))
    return image


def add_in_place(light, image, factor=1.0):
    """Add an image of `image_at` times a factor to the light of a detector, as far as it is on it."""
    overlap = image.bounds & light.bounds
    if overlap.isDefined():
        light[overlap] += factor * image[overlap]


def read_out(light, read_noise, rng, *, least=0.0, bleed=1):
    """Pixels of expected electrons, as after instrument signature removal.

    Parameters
    ----------
    light : ndarray, shape (ny, nx)
        Sky, stars and all [electron].
    read_noise : float
        [electron].
    rng : numpy.random.Generator
        Of photons and read noise.
    least : float
        The variance is no smaller than that of so many electrons.
    bleed : int
        Pixels by which what is full is grown.

    Returns
    -------
    MaskedImage
        Sky included. Variance by the counts themselves; SAT where they are full.
    """
    counts = rng.poisson(np.maximum(light, 0)) + rng.normal(0, read_noise, light.shape)
    saturated = counts > FULL_WELL
    if bleed:
        saturated = binary_dilation(saturated, np.ones((2 * bleed + 1,) * 2))
    counts = np.minimum(counts, FULL_WELL)
    variance = np.maximum(counts, least) + read_noise**2
    mask = np.where(saturated, mask_planes.SAT, 0).astype(np.uint32)
    return MaskedImage(counts.astype(np.float32), mask, variance.astype(np.float32))
