"""What stars show beyond a PSF model: residuals over flux, moved to the stars' centres, and their noise."""

import numpy as np

from skyloom.algorithms.stamp_moves import move_stamp, working_space
from skyloom.core.jit import kernel
from skyloom.core.splines import spline_coefficients, with_phases

# Light that stands out by so many sigma beyond so many sigma of the PSF is no star's own.
COMPANION_CLIP_SIGMA, COMPANION_RADIUS_SIGMA = 3.5, 2.0


def residual_stamps(images, psf, fit, unusable, photon_variance):
    """Residuals of stars, their noise, and the PSF at each.

    Parameters
    ----------
    images : tuple of MaskedImage and ndarray, shape (ny, nx), float32
        Background-subtracted pixels, and the light of the stars by the model.
    psf : PixelPsf
        The model.
    fit : PsfPhotometry
        Positions and fluxes of the stars by it.
    unusable : uint32
        Mask bits of pixels that say nothing.
    photon_variance : float
        Variance that a star's photons add per unit of flux.

    Returns
    -------
    residuals, noise, kernels : ndarray, shape (n, k, k), float32
        Residual over flux on the grid of the PSF; its variance, infinite where there is no residual; the PSF.

    Notes
    -----
    The variance is the model's: that of the sky, the mean over the stamp, and of the photons that the model has.
    """
    x, y = np.nan_to_num(fit.x), np.nan_to_num(fit.y)
    residuals, is_good, (sky, photons) = star_stamps(images, psf.size, fit, unusable, photon_variance)
    splines = with_phases(spline_coefficients(residuals).astype(np.float32))
    _move(splines, np.stack([np.rint(x) - x, np.rint(y) - y]), residuals)
    kernels = psf.kernels_at(x, y)
    kernels = np.maximum(kernels, 0, out=kernels).astype(np.float32)
    return residuals, noise_of_stamps(kernels, is_good, (sky, photons)), kernels


def star_stamps(images, size, fit, unusable, photon_variance):
    """Residuals of stars over their fluxes at the image's own pixels.

    Parameters
    ----------
    images, fit, unusable, photon_variance
        As for `residual_stamps`.
    size : int
        Side k of a stamp [pixel].

    Returns
    -------
    residuals : ndarray, shape (n, k, k), float32
        About the pixel that holds the star.
    is_good : ndarray, shape (n, k, k), bool
        Pixels that say something.
    variances : tuple of ndarray, shape (n,), float64
        Of the sky in a pixel, and of the star's photons in one that has all its light.
    """
    pixels, model = images
    flux = np.where(fit.flux > 0, fit.flux, np.inf)
    corners = np.rint(np.stack([np.nan_to_num(fit.y), np.nan_to_num(fit.x)])).astype(np.int64)
    residuals = np.zeros((len(flux), size, size), dtype=np.float32)
    is_good = np.zeros(residuals.shape, dtype=bool)
    base = np.zeros(len(flux))
    planes = (pixels.image, pixels.mask, pixels.variance, model)
    _cut(planes, (np.uint32(unusable), photon_variance), (corners, flux), (residuals, is_good, base))
    return residuals, is_good, (base / flux**2, photon_variance / flux)


def noise_of_stamps(kernels, is_good, variances):
    """Variance of residuals by the model; see `residual_stamps`.

    Parameters
    ----------
    kernels : ndarray, shape (n, k, k), float32
        The PSF in the stamps' pixels, not negative.
    is_good, variances
        From `star_stamps`.

    Returns
    -------
    ndarray, shape (n, k, k), float32
        Infinite where there is no residual.
    """
    sky, photons = (variance.astype(np.float32)[:, None, None] for variance in variances)
    noise = sky + photons * kernels
    return np.where(is_good & (noise > 0), noise, np.float32(np.inf))


def is_companion(residuals, weights, sigma):
    """Pixels beyond the core of stars in which what is left of them, smoothed like a star, stands out.

    A companion of a few per mille spoils a bright star and is no outlier in any one pixel.

    Parameters
    ----------
    residuals, weights : ndarray, shape (..., k, k)
        What the PSF leaves, and its inverse variance.
    sigma : float
        Size of the PSF [pixel].

    Returns
    -------
    ndarray, shape (..., k, k), bool
        True where a companion shines.
    """
    offset = np.arange(residuals.shape[-1], dtype=residuals.dtype)
    smooth = np.exp(-0.5 * ((offset[:, None] - offset[None, :]) / residuals.dtype.type(sigma)) ** 2)
    found = smooth @ (residuals * weights) @ smooth
    variance = smooth**2 @ weights @ smooth**2
    centre = len(offset) // 2
    outside = np.hypot(offset[:, None] - centre, offset[None, :] - centre) > COMPANION_RADIUS_SIGMA * sigma
    return outside & (found**2 > COMPANION_CLIP_SIGMA**2 * variance)


@kernel
def _cut(planes, options, stars, stamps):
    """Residual over flux and goodness of each star's pixels, and the mean variance that the sky leaves there."""
    image, mask, variance, model = planes
    unusable, photon_variance = options
    corners, flux = stars
    residuals, is_good, base = stamps
    n, size = residuals.shape[0], residuals.shape[1]
    ny, nx = image.shape
    for i in range(n):
        row0, column0 = corners[0, i] - size // 2, corners[1, i] - size // 2
        total, n_good, darkest = 0.0, 0, np.inf
        for row in range(max(0, -row0), min(size, ny - row0)):
            for column in range(max(0, -column0), min(size, nx - column0)):
                y, x = row0 + row, column0 + column
                value = image[y, x]
                if mask[y, x] & unusable or not np.isfinite(value):
                    continue
                is_good[i, row, column] = True
                residuals[i, row, column] = (value - model[y, x]) / flux[i]
                total += variance[y, x] - photon_variance * value
                darkest = min(darkest, variance[y, x])
                n_good += 1
        # Below a crowd a gain that is off by a third leaves less than nothing, and wings without any noise.
        if n_good > 0:
            base[i] = total / n_good if total > 0 else darkest


@kernel
def _move(splines, shifts, stamps):
    """Images of spline coefficients, each moved by its shift (x, y) within a pixel."""
    size = splines.shape[2]
    work = working_space(size, splines.shape[1])
    for i in range(splines.shape[0]):
        stamps[i] = move_stamp(splines[i], size // 2, (shifts[0, i], shifts[1, i]), work, 1)[0, :, :size]


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    plane, mask = np.zeros((9, 9), dtype=np.float32), np.zeros((9, 9), dtype=np.uint32)
    stamps = np.zeros((1, 5, 5), dtype=np.float32)
    stars = (np.full((2, 1), 4), np.ones(1))
    _cut((plane, mask, plane, plane), (np.uint32(1), 1.0), stars, (stamps, stamps > 0, np.zeros(1)))
    _move(with_phases(stamps), np.zeros((2, 1)), stamps.copy())
