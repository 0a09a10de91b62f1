"""Kron fluxes: light within an ellipse as large as the source's own first moment says."""

import numpy as np

from skyloom.core import mask_planes
from skyloom.core.jit import kernel

FIRST_MOMENT_REACH = 6.0
"""The first moment is taken within this many sizes of the source..."""
RADIUS_FACTOR = 2.5
"""...and the flux within this many of it: 94 % of an exponential disc, 99 % of a Gaussian."""
MIN_MOMENT = 1.2533
"""First moment of a Gaussian [its sigma]: no source is smaller than the PSF."""
MAX_MOMENT = 3.6
"""Larger ones are noise or neighbours [size of the source]; that of a de Vaucouleurs profile is 2.9."""


def kron_photometry(masked_image, x, y, moments, psf_sigma):
    """Kron fluxes and radii.

    Parameters
    ----------
    masked_image : MaskedImage
        Background-subtracted pixels.
    x, y : ndarray, shape (n,), float64
        Centres [pixel].
    moments : tuple of ndarray, shape (n,)
        Ixx, Iyy, Ixy of the sources, finite: they give the ellipses their shape [pixel^2].
    psf_sigma : ndarray, shape (n,), float64
        Size of the PSF, the least that of a source [pixel].

    Returns
    -------
    ndarray, shape (4, n), float64
        Flux and error [unit of the image], Kron radius sqrt(a b) [pixel], and 1 where that had to be set to its upper
        limit, else 0. Flux and error are NaN where the ellipse reaches over the edge or over pixels without data.

    Notes
    -----
    Kron (1980); FLUX_AUTO of SExtractor. With the radius r of a pixel's own ellipse, ``sqrt(a b)``, the Kron radius is
    ``sum(I r) / sum(I)`` within six sizes of the source. Pixels on the rim count by how far it lies from their centre.
    """
    results = np.full((4, np.size(x)), np.nan)
    planes = (masked_image.image, masked_image.mask, masked_image.variance)
    _measure_each(planes, np.stack([x, y, *moments, psf_sigma]), results)
    return results


@kernel
def _measure_each(planes, sources, results):
    """Kron flux of each source (x, y, ixx, iyy, ixy, PSF size) into the columns of `results`."""
    for i in range(sources.shape[1]):
        measure_kron(planes, sources[:, i], results[:, i])


@kernel
def measure_kron(planes, source, result):
    """Kron flux of one source into `result`; see `kron_photometry`.

    Parameters
    ----------
    planes : tuple of ndarray, shape (ny, nx)
        Image, mask, variance.
    source : ndarray, shape (6,)
        x, y, ixx, iyy, ixy, size of the PSF.
    result : ndarray, shape (4,), float64
        Stays as it is where the source has no place or shape.
    """
    x, y, m_xx, m_yy, m_xy, psf_sigma = source
    determinant = m_xx * m_yy - m_xy * m_xy
    if not (np.isfinite(x) and np.isfinite(y) and determinant > 0 and psf_sigma > 0):
        return
    size = max(determinant**0.25, psf_sigma)
    # r^2 = a dx^2 + 2 b dx dy + c dy^2 with determinant 1: r is sqrt(a b) of a pixel's ellipse.
    scale = 1 / np.sqrt(determinant)
    ellipse = (m_yy * scale, -m_xy * scale, m_xx * scale)
    light, moment = _first_moment(planes[0], (x, y), ellipse, FIRST_MOMENT_REACH * size)
    radius = moment / light if light > 0 else -1.0
    least, largest = MIN_MOMENT * psf_sigma, MAX_MOMENT * size
    is_limited = not light > 0 or radius > largest
    radius = min(max(radius, least), largest)
    result[2], result[3] = radius, 1.0 if is_limited else 0.0
    flux, variance, is_whole = _within(planes, (x, y), ellipse, RADIUS_FACTOR * radius)
    if is_whole:
        result[0], result[1] = flux, np.sqrt(variance)


@kernel
def _first_moment(image, centre, ellipse, reach):
    """Sums of I and of I r over the pixels of an ellipse, as far as it lies on the image."""
    ny, nx = image.shape
    x, y = centre
    a, b, c = ellipse
    light = moment = 0.0
    # The ellipse's height is reach sqrt(a): its determinant is 1.
    half_y = reach * np.sqrt(a)
    for row in range(max(0, int(np.ceil(y - half_y))), min(ny - 1, int(np.floor(y + half_y))) + 1):
        dy = row - y
        middle, half_x = x - b * dy / a, np.sqrt(max(reach * reach - dy * dy / a, 0.0) / a)
        for column in range(
            max(0, int(np.ceil(middle - half_x))), min(nx - 1, int(np.floor(middle + half_x))) + 1
        ):
            dx = column - x
            value = image[row, column]
            light += value
            moment += value * np.sqrt(a * dx * dx + 2 * b * dx * dy + c * dy * dy)
    return light, moment


@kernel
def _within(planes, centre, ellipse, radius):
    """Flux and variance within an ellipse, and whether all of it has data."""
    image, mask, variance = planes
    ny, nx = image.shape
    x, y = centre
    a, b, c = ellipse
    half_x, half_y = radius * np.sqrt(c), radius * np.sqrt(a)
    if x - half_x < -0.5 or y - half_y < -0.5 or x + half_x > nx - 0.5 or y + half_y > ny - 0.5:
        return 0.0, 0.0, False
    flux = spread = 0.0
    for row in range(max(0, int(np.rint(y - half_y))), min(ny - 1, int(np.rint(y + half_y))) + 1):
        dy = row - y
        outer = radius + np.sqrt(max(a, c))
        middle, half = x - b * dy / a, np.sqrt(max(outer * outer - dy * dy / a, 0.0) / a)
        for column in range(max(0, int(middle - half)), min(nx - 1, int(middle + half) + 1) + 1):
            dx = column - x
            slope_x, slope_y = a * dx + b * dy, b * dx + c * dy
            square = dx * slope_x + dy * slope_y
            # Distance of the rim from the pixel's centre: (radius - r) / |grad r|, and r grad r is the slope.
            steepness = np.sqrt(slope_x * slope_x + slope_y * slope_y)
            inside = radius - np.sqrt(square)
            part = min(max(0.5 + inside * np.sqrt(square) / steepness, 0.0), 1.0) if steepness > 0 else 1.0
            if part <= 0:
                continue
            if mask[row, column] & mask_planes.NO_DATA:
                return 0.0, 0.0, False
            flux += part * image[row, column]
            spread += part * variance[row, column]
    return flux, spread, True


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    plane = np.ones((16, 16), dtype=np.float32)
    planes = (plane, plane.astype(np.uint32) - np.uint32(1), plane)
    _measure_each(planes, np.array([[8.0], [8.0], [1.0], [1.0], [0.0], [1.0]]), np.full((4, 1), np.nan))
