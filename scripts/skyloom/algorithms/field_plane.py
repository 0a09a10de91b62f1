"""Smooth functions over an image from scattered values: a weighted plane."""

import numpy as np

from skyloom.core.photo_calib import FieldPolynomial
from skyloom.core.wcs import unit_coordinates


def fit_field_plane(positions, values, weights, domain):
    """Weighted least-squares plane through values at scattered positions.

    Parameters
    ----------
    positions : tuple of ndarray, shape (n,), float64
        ``(x, y)`` [pixel].
    values : ndarray, shape (n,), float64
        Finite values.
    weights : ndarray, shape (n,), float64
        Positive weights.
    domain : tuple of float
        ``(x0, x1, y0, y1)`` of the image, in which the slopes are scaled.

    Returns
    -------
    FieldPolynomial
        Of degree 1, without covariance. Values on a line or in one point, which do not fix a plane, give the
        one with the smallest slopes.
    """
    u, v = unit_coordinates(*positions, domain)
    mean = np.average(values, weights=weights)
    centre_u, centre_v = np.average(u, weights=weights), np.average(v, weights=weights)
    root = np.sqrt(weights)
    design = np.column_stack([u - centre_u, v - centre_v]) * root[:, None]
    slope_u, slope_v = np.linalg.lstsq(design, (values - mean) * root, rcond=1e-6)[0]
    constant = mean - slope_u * centre_u - slope_v * centre_v
    return FieldPolynomial(np.array([[constant, slope_u], [slope_v, 0.0]]), domain)
