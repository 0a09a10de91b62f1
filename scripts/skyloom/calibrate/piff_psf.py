"""A PSF fitted by Piff (an extra) to the stars of our own fit, drawn and projected on our pixel basis."""

import logging

import numpy as np

from skyloom.algorithms.psf_model import WEIGHTLESS, PsfFitFailedError
from skyloom.algorithms.psf_stamps import is_companion
from skyloom.core.psf import FWHM_PER_SIGMA, PixelPsf, equivalent_sigma
from skyloom.core.wcs import polynomial_terms, unit_coordinates

log = logging.getLogger(__name__)

# Piff's settings for single detectors as surveys use them: Jarvis et al. (2021) and Rubin's final PSFs.
N_NODE = 25
"""Nodes of Piff's grid along a side: time and memory grow with their fourth power."""
INTERPOLANT = "Lanczos(11)"
OUTLIERS = {"type": "Chisq", "nsigma": 4, "max_remove": 0.05}
MAX_ITERATIONS = 15
MAX_SIGNAL_TO_NOISE = 200.0
"""Brighter stars get no more weight: the model's misfit, not noise, would decide it, and chi squared drop them."""
FEWEST_NODES = 5.0
"""Nodes over the FWHM: a wide PSF needs no node in each pixel, and all nodes for its wings."""
# Places along a side, beyond the terms of a row, at which the model is drawn.
N_MORE_PLACE = 3


def fit_piff_psf(pixels, fit, settings):
    """PSF of Piff from the stars that ours was made from.

    Parameters
    ----------
    pixels : MaskedImage
        Background-subtracted pixels that `fit` was made from, neighbours of the stars subtracted or masked.
    fit : PsfFit
        Our own fit: its `used` stars are given to Piff, and its PSF says what their photons add to the variance.
    settings : PsfFitSettings
        Of our fit; Piff's order is `max_order`, less where stars are few.

    Returns
    -------
    PixelPsf
        Polynomial of the position of Piff's degree; not centred yet.

    Raises
    ------
    PsfFitFailedError
        If Piff finds no solution.

    Notes
    -----
    Piff's PixelGrid with BasisPolynomial (Jarvis et al. 2021, MNRAS 501, 1282): values on a grid of nodes, each a
    polynomial of the position, fitted to the pixels of all stars at once; outliers of chi squared are dropped. The
    positions are those of our fit: free ones of stars with companions wandered by 13 pixels. Piff measures the field
    in halves of the detector, in which its normal equations are well conditioned. Its pixels are polynomials but for
    the norm, so that little is lost when they are fitted by ours.
    """
    scale = max(1.0, FWHM_PER_SIGMA * equivalent_sigma(fit.psf.images[0]) / FEWEST_NODES)
    # Our fit lowered its own where stars are few.
    order = min(settings.max_order, fit.psf.order)
    model = _fitted(pixels, fit, settings, (scale, order))
    psf = _projected(model, fit.psf.domain, order, int(N_NODE // 2 * scale))
    log.info("PSF of Piff of order %d, %d nodes of %.2f pixel, image of %d", order, N_NODE, scale, psf.size)
    return psf


def _fitted(pixels, fit, settings, grid):
    """Piff's model (piff.PSF)."""
    import galsim
    import piff

    scale, order = grid
    ny, nx = pixels.image.shape
    unit = 2 / max(ny, nx)
    wcs = galsim.OffsetWCS(unit, origin=galsim.PositionD((nx - 1) / 2, (ny - 1) / 2))
    configuration = {
        "type": "Simple",
        "model": {"type": "PixelGrid", "scale": scale * unit, "size": N_NODE, "interp": INTERPOLANT},
        "interp": {"type": "BasisPolynomial", "order": order},
        "outliers": OUTLIERS,
        "max_iter": MAX_ITERATIONS,
    }
    model = piff.PSF.process(configuration)
    model.set_context({0: wcs}, None)
    stars = []
    for x, y, data, weight in _stamps(pixels, fit, settings, int(np.ceil(N_NODE * scale / 2))):
        corner = {"xmin": round(x) - data.shape[1] // 2, "ymin": round(y) - data.shape[0] // 2, "wcs": wcs}
        image, weight = galsim.Image(data, **corner), galsim.Image(weight, **corner)
        place, properties = galsim.PositionD(x, y), {"trust_pos": True}
        stars.append(piff.Star(piff.StarData(image, place, weight=weight, properties=properties), None))
    try:
        model.fit(stars)
    except (RuntimeError, np.linalg.LinAlgError) as error:
        raise PsfFitFailedError(f"an error of Piff ({error})") from error
    log.info("Piff: %d iterations, chi2 %.0f of %d degrees of freedom", model.niter, model.chisq, model.dof)
    return model


def _stamps(pixels, fit, settings, half):
    """Position, pixels and weights of each star that our fit used.

    The variance is that of the sky and of the model's photons, never of the noise, and more for the brightest stars.
    Pixels with light of companions have no weight, as in our own fit.
    """
    ny, nx = pixels.image.shape
    offset = np.arange(-half, half + 1)
    for x, y, flux in zip(fit.x[fit.used], fit.y[fit.used], fit.flux[fit.used], strict=True):
        rows, columns = round(y) + offset, round(x) + offset
        inside = ((rows >= 0) & (rows < ny))[:, None] & ((columns >= 0) & (columns < nx))[None, :]
        index = np.ix_(np.clip(rows, 0, ny - 1), np.clip(columns, 0, nx - 1))
        image, variance = (
            np.asarray(plane[index], dtype=np.float64) for plane in (pixels.image, pixels.variance)
        )
        good = inside & ((pixels.mask[index] & WEIGHTLESS) == 0) & np.isfinite(image)
        sky = max(float(np.mean((variance - settings.photon_variance * image)[good])), 0.0)
        light = flux * _framed(_moved(fit.psf, x, y), half)
        total = sky + settings.photon_variance * light
        weight = np.divide(1.0, total, out=np.zeros_like(total), where=good & (total > 0))
        signal_to_noise = np.sqrt(np.sum(weight * light**2))
        weight *= min(1.0, MAX_SIGNAL_TO_NOISE / signal_to_noise) ** 2
        image = np.where(good, image, 0.0)
        sigma = equivalent_sigma(fit.psf.images[0])
        yield x, y, image, np.where(is_companion(image - light, weight, sigma), 0.0, weight)


def _moved(psf, x, y):
    """PSF image of a star, centred on the pixel nearest to it; 0 where it is negative."""
    return np.maximum(psf.stars_at([x], [y])[0], 0)


def _framed(image, half):
    """Middle (2 half + 1)^2 pixels of an image, 0 beyond it."""
    wide = np.pad(image, max(half - image.shape[0] // 2, 0))
    first = wide.shape[0] // 2 - half
    return wide[first : first + 2 * half + 1, first : first + 2 * half + 1]


def _projected(model, domain, order, half):
    """Polynomial of the position through images of the model at places on a grid."""
    x0, x1, y0, y1 = domain
    steps = np.linspace(-1, 1, order + N_MORE_PLACE)
    u, v = (places.ravel() for places in np.meshgrid(steps, steps))
    x, y = x0 + (u + 1) / 2 * (x1 - x0), y0 + (v + 1) / 2 * (y1 - y0)
    size = 2 * half + 1
    images = np.stack(
        [model.draw(x=a, y=b, center=True, stamp_size=size).array for a, b in zip(x, y, strict=True)]
    )
    images /= images.sum(axis=(1, 2), keepdims=True)
    terms = polynomial_terms(*unit_coordinates(x, y, domain), order)
    coefficients = np.linalg.lstsq(terms.T, images.reshape(len(images), -1), rcond=None)[0]
    return PixelPsf(coefficients.reshape(-1, size, size).astype(np.float32), order, domain)
