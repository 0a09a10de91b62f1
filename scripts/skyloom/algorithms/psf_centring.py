"""Where a PSF's centre is: fixed by the PSF's own centroid, since the stars it is fitted to cannot tell."""

import numpy as np

from skyloom.algorithms.moments import kernel_moments
from skyloom.core.psf import PixelPsf, psf_moments, shift_stamps
from skyloom.core.wcs import polynomial_terms

# Places a side beyond the polynomial's order, at which the PSF is moved.
MORE_PLACES = 2


def centred_psf(psf):
    """PSF moved such that its centroid is its middle pixel everywhere.

    Parameters
    ----------
    psf : PixelPsf
        Of one pixel of the detector a pixel.

    Returns
    -------
    PixelPsf
        Of the same order; unchanged where no centroid can be measured.

    Notes
    -----
    A PSF that is off by a little, differently from place to place, fits the stars as well as before when their
    positions are off by as much: rounds of fitting let it wander, by 0.005 pixel over a detector with 450 stars, which
    is more than the error of a bright star. The centroid is that of the Gaussian which matches the PSF
    (`adaptive_moments`).
    """
    side = np.linspace(-1, 1, psf.order + MORE_PLACES)
    u, v = (places.ravel() for places in np.meshgrid(side, side))
    x0, x1, y0, y1 = psf.domain
    kernels = psf.kernels_at(x0 + (u + 1) / 2 * (x1 - x0), y0 + (v + 1) / 2 * (y1 - y0))
    sigma, _, _ = psf_moments(kernels.mean(axis=0))
    centroid = kernel_moments(kernels, sigma)
    if not np.all(np.isfinite(centroid.x) & (np.abs(centroid.x) < 1) & (np.abs(centroid.y) < 1)):
        return psf
    moved = shift_stamps(kernels, -centroid.x, -centroid.y)
    terms = polynomial_terms(u, v, psf.order)
    flat = np.linalg.lstsq(terms.T, moved.reshape(len(moved), -1), rcond=None)[0]
    coefficients = flat.reshape(psf.coefficients.shape)
    return PixelPsf((coefficients / coefficients[0].sum()).astype(np.float32), psf.order, psf.domain)
