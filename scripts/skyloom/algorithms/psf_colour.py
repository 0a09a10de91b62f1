"""The image by which a PSF changes with colour: its place and norm, and what it does to the size."""

from dataclasses import replace

import numpy as np

from skyloom.algorithms.moments import kernel_moments
from skyloom.core.psf import equivalent_sigma
from skyloom.core.splines import shift_stamps

# Changes this small are in proportion to their effect [mag, pixel].
SMALL_COLOUR, SMALL_SHIFT = 0.1, 0.05


def recoloured(psf, image):
    """PSF whose change with colour is an image, made such that neither its sum nor its centre changes.

    Parameters
    ----------
    psf : PixelPsf
        With a colour.
    image : ndarray, shape (k, k), float64
        Change per magnitude, as fitted.

    Returns
    -------
    PixelPsf
        The same of the reference colour.

    Notes
    -----
    A star that is moved in proportion to its colour, as refraction moves it, is where it was measured: the centroid,
    of the Gaussian that matches the PSF as in `centred_psf`, is the middle pixel for each colour. What the air adds to
    a position is left to the astrometry. Stars whose positions are fitted cannot tell the two apart.
    """
    mean = psf.coefficients[0].astype(np.float64)
    image = image - image.sum() / mean.sum() * mean
    found = kernel_moments(
        mean + SMALL_COLOUR * np.array([1, -1])[:, None, None] * image, equivalent_sigma(mean)
    )
    moved = [float(place[0] - place[1]) / (2 * SMALL_COLOUR) for place in (found.x, found.y)]
    small, both = np.array([SMALL_SHIFT, 0.0]), np.stack([mean, mean])
    slopes = shift_stamps(both, small, small[::-1]) - shift_stamps(both, -small, -small[::-1])
    if np.all(np.isfinite(moved)):
        image = image - np.tensordot(moved, slopes / (2 * SMALL_SHIFT), axes=1)
    image = image - image.sum() / mean.sum() * mean
    return replace(psf, colour=replace(psf.colour, image=image.astype(np.float32)))


def size_slope(psf, x, y):
    """Relative change of a PSF's size T = Ixx + Iyy per magnitude of colour (float); NaN without a colour term.

    Parameters
    ----------
    psf : PixelPsf
        Any.
    x, y : float
        Where [pixel].
    """
    if not psf.has_colour:
        return np.nan
    limits = np.array(psf.colour.limits)
    kernels = psf.kernels_at([x, x], [y, y], limits)
    found = kernel_moments(kernels, equivalent_sigma(kernels[0]))
    return float(np.diff(np.log(found.ixx + found.iyy))[0] / np.diff(limits)[0])
