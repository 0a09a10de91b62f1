"""Where a PSF's centre is: fixed by the PSF's own centroid, since the stars it is fitted to cannot tell."""

import logging
from dataclasses import replace

import numpy as np

from skyloom.algorithms.moments import kernel_moments
from skyloom.core.psf import equivalent_sigma
from skyloom.core.splines import shift_stamps
from skyloom.core.wcs import polynomial_terms

log = logging.getLogger(__name__)

# Degree of the polynomial by which the centre is moved: that of the PSF's freely fitted pixels.
ORDER = 2
N_PLACE = 7
# Parts of half the image's sides; there are hardly any stars beyond.
OUTERMOST = 0.95
# A PSF that is further off is none that stars lie on [pixel].
FARTHEST = 1.0
PLACES_PER_TERM = 3
# Moves this small change a PSF in proportion [pixel].
SMALL = 0.05


def centred_psf(psf):
    """PSF moved such that its centroid is its middle pixel everywhere.

    Parameters
    ----------
    psf : PixelPsf
        Of one pixel of the detector a pixel.

    Returns
    -------
    PixelPsf
        Of the same order; unchanged where the centroid can be measured at too few places.

    Notes
    -----
    A PSF that is off by a little, differently from place to place, fits the stars as well as before when their
    positions are off by as much: rounds of fitting let it wander, by 0.005 pixel over a detector with 450 stars, which
    is more than the error of a bright star. The centroid is that of the Gaussian which matches the PSF
    (`adaptive_moments`). The move is a polynomial of the position, right to first order, which each round betters.
    """
    side = np.linspace(-OUTERMOST, OUTERMOST, N_PLACE)
    u, v = (places.ravel() for places in np.meshgrid(side, side))
    x0, x1, y0, y1 = psf.domain
    kernels = psf.kernels_at(x0 + (u + 1) / 2 * (x1 - x0), y0 + (v + 1) / 2 * (y1 - y0))
    found = kernel_moments(kernels, equivalent_sigma(kernels.mean(axis=0)))
    centroid = np.column_stack([found.x, found.y])
    terms = polynomial_terms(u, v, min(psf.order, ORDER))
    is_known = np.all(np.abs(centroid) < FARTHEST, axis=1)
    if is_known.sum() < PLACES_PER_TERM * len(terms):
        log.warning(
            "the PSF's centre is known at %d of %d places: it is left as it is", is_known.sum(), len(u)
        )
        return psf
    move = -np.linalg.lstsq(terms.T[is_known], centroid[is_known], rcond=None)[0]
    coefficients = psf.coefficients.astype(np.float64)
    mean = coefficients[[0, 0]]
    small = np.array([SMALL, 0.0])
    slopes = shift_stamps(mean, small, small[::-1]) - shift_stamps(mean, -small, -small[::-1])
    coefficients[: len(terms)] += np.tensordot(move, slopes / (2 * SMALL), axes=1)
    return replace(psf, coefficients=(coefficients / coefficients[0].sum()).astype(np.float32))
