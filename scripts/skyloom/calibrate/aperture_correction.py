"""Aperture correction: what turns a PSF flux into the flux of a large aperture, over the detector."""

import logging

import numpy as np
from numpy.polynomial import chebyshev

from skyloom.algorithms.robust import mad_sigma
from skyloom.core.photo_calib import FieldPolynomial, constant_field

log = logging.getLogger(__name__)

N_ITERATION = 5
CLIP_SIGMA = 3.5
# Smallest credible error of one star's ratio: flat field and PSF model are not better.
RATIO_FLOOR = 0.002


def fit_aperture_correction(positions, ratio, ratio_err, shape, settings):
    """Ratio of aperture flux to PSF flux as a smooth function over the detector.

    Parameters
    ----------
    positions : tuple of ndarray, shape (n,)
        ``(x, y)`` of the stars [pixel].
    ratio, ratio_err : ndarray, shape (n,), float64
        Aperture flux over PSF flux and its error; NaN is left out.
    shape : tuple of int
        Shape (ny, nx) of the detector.
    settings : dict
        ``aperture_correction_order``, and ``aperture_correction_variation``: expected size of each
        coefficient beyond the constant.

    Returns
    -------
    FieldPolynomial
        The correction with its covariance; exactly 1 with an error of `aperture_correction_variation` when no
        star is there.

    Notes
    -----
    A Gaussian prior of width `aperture_correction_variation` about 0 on all coefficients but the constant
    (ridge regression, Hoerl & Kennard 1970): a sparse field gets a constant, a rich one its polynomial.
    Rubin's unregularised fit is one of the three faults that its authors name.
    """
    x, y = positions
    used = np.isfinite(ratio) & np.isfinite(ratio_err) & (ratio > 0)
    variation = settings["aperture_correction_variation"]
    if not used.any():
        log.warning("no star for an aperture correction: it is 1 within %.3f", variation)
        return constant_field(1.0, shape, variation)
    domain = (-0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5)
    order = settings["aperture_correction_order"]
    design = chebyshev.chebvander2d(
        2 * (y + 0.5) / shape[0] - 1, 2 * (x + 0.5) / shape[1] - 1, [order, order]
    )
    prior = np.full((order + 1) ** 2, variation**-2.0)
    prior[0] = 0.0
    prior[(np.add.outer(np.arange(order + 1), np.arange(order + 1)) > order).ravel()] = 1e12
    centre = np.median(ratio[used])
    deviation = ratio - centre
    for _ in range(N_ITERATION):
        scatter = np.hypot(ratio_err, RATIO_FLOOR)
        kept = used & (np.abs(deviation) < CLIP_SIGMA * scatter * _error_scale((deviation / scatter)[used]))
        if not kept.any():
            kept = used
        weights = kept / scatter**2
        weights[~kept] = 0.0
        covariance = np.linalg.inv((design[kept] * weights[kept, None]).T @ design[kept] + np.diag(prior))
        coefficients = covariance @ (design[kept].T @ (weights[kept] * ratio[kept]))
        deviation = ratio - design @ coefficients
    log.info(
        "aperture correction %.4f +- %.4f from %d stars", coefficients[0], covariance[0, 0] ** 0.5, kept.sum()
    )
    return FieldPolynomial(coefficients.reshape(order + 1, order + 1), domain, covariance)


def _error_scale(pulls):
    """Factor by which the scatter exceeds the errors, at least 1 and at most 3."""
    return float(np.clip(mad_sigma(pulls), 1.0, 3.0))
