"""Polynomials from pixel offsets to the tangent plane: weighted fit, and exact form as a TPV header."""

from dataclasses import dataclass

import numpy as np

from skyloom.core.wcs import Wcs, order_of, polynomial_terms, tpv_powers

# A normalised design worse than this cannot tell its terms apart (stars on a line, or in one corner).
MAX_CONDITION = 1e6


@dataclass(frozen=True, slots=True)
class PlanePolynomial:
    """Tangent-plane offsets as a polynomial of pixel offsets from a centre.

    Attributes
    ----------
    coefficients : ndarray, shape (2, n), float64
        Of xi (East) and eta (North) [degree per pixel^k], terms as in `core.wcs.polynomial_terms`.
    covariance : ndarray, shape (n, n), float64
        Covariance of one coordinate's coefficients.
    chi2 : float
        Sum of both coordinates' squared residuals over their errors.
    condition : float
        Condition number of the normalised design.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    chi2: float
    condition: float

    @property
    def order(self):
        """Total degree (int)."""
        return order_of(self.coefficients.shape[1])

    def evaluate(self, dx, dy):
        """Tangent-plane offsets of pixel offsets.

        Parameters
        ----------
        dx, dy : array_like, shape (n,)
            Offsets from the centre [pixel].

        Returns
        -------
        xi, eta : ndarray, shape (n,), float64
            Offsets East and North [degree].
        """
        return tuple(self.coefficients @ polynomial_terms(dx, dy, self.order))

    def error(self, dx, dy):
        """Standard error of each tangent-plane coordinate.

        Parameters
        ----------
        dx, dy : array_like, shape (n,)
            Offsets from the centre [pixel].

        Returns
        -------
        ndarray, shape (n,), float64
            From the covariance of the coefficients, alike for xi and eta [degree].
        """
        terms = polynomial_terms(dx, dy, self.order)
        return np.sqrt(np.einsum("in,ij,jn->n", terms, self.covariance, terms))


def fit_plane_polynomial(offsets, plane, error, order, half_size):
    """Weighted least-squares polynomial of both tangent-plane coordinates.

    Parameters
    ----------
    offsets : tuple of ndarray, shape (n,), float64
        Pixel offsets (dx, dy) from the centre.
    plane : tuple of ndarray, shape (n,), float64
        Measured (xi, eta) [degree].
    error : ndarray, shape (n,), float64
        Standard error of each star's coordinates [degree]; positive.
    order : int
        Total degree of the polynomial.
    half_size : float
        Half the detector's side [pixel]: the scale in which the terms are comparable.

    Returns
    -------
    PlanePolynomial
        The fit; its covariance is that of the given errors, not rescaled by chi2.
    """
    u, v = offsets[0] / half_size, offsets[1] / half_size
    design = (polynomial_terms(u, v, order) / error).T
    values = np.column_stack(plane) / error[:, None]
    left, singular, right = np.linalg.svd(design, full_matrices=False)
    largest = singular[0]
    condition = float(largest / singular[-1]) if singular[-1] > 0 else float("inf")
    inverse = np.where(singular > largest / MAX_CONDITION, 1 / np.maximum(singular, 1e-300), 0.0)
    solution = right.T @ (inverse[:, None] * (left.T @ values))
    covariance = (right.T * inverse**2) @ right
    chi2 = float(((values - design @ solution) ** 2).sum())
    scale = np.array([half_size ** -(a + b) for a, b in tpv_powers(order)[1]])
    return PlanePolynomial(solution.T * scale, covariance * np.outer(scale, scale), chi2, condition)


def wcs_from_polynomial(coefficients, crval, crpix, shape):
    """TPV world coordinates that are identical to a polynomial of pixel offsets.

    Parameters
    ----------
    coefficients : ndarray, shape (2, n), float64
        Polynomials of xi and eta [degree per pixel^k], order 1 or more, in the order of
        `core.wcs.polynomial_terms`.
    crval : array_like, shape (2,)
        Tangent point [degree].
    crpix : array_like, shape (2,)
        Pixel from which offsets count, centres at integers from 0.
    shape : tuple of int
        Shape (ny, nx) of the image.

    Returns
    -------
    Wcs
        With the linear terms as CD matrix and the whole polynomial in intermediate coordinates as PV.

    Notes
    -----
    With intermediate coordinates ``(u, v) = CD (dx, dy)`` each monomial ``dx^a dy^b`` becomes a product of
    powers of two linear forms of (u, v), so the order stays and nothing is approximated. The second axis has
    its own coordinate first, as the TPV convention wants.
    """
    coefficients = np.asarray(coefficients, dtype=np.float64)
    order = order_of(coefficients.shape[1])
    cd = coefficients[:, 1:3].copy()
    inverse = np.linalg.inv(cd)
    powers = tpv_powers(order)[1]
    position = {power: k for k, power in enumerate(powers)}
    rewritten = np.zeros_like(coefficients)
    for k, (a, b) in enumerate(powers):
        form = np.array([1.0])
        for row, exponent in ((inverse[0], a), (inverse[1], b)):
            for _ in range(exponent):
                form = np.convolve(form, row)
        for power_of_v, factor in enumerate(form):
            rewritten[:, position[(a + b - power_of_v, power_of_v)]] += coefficients[:, k] * factor
    swapped = [position[(b, a)] for a, b in powers]
    return Wcs(
        crval=np.array(crval, dtype=np.float64),
        crpix=np.array(crpix, dtype=np.float64),
        cd=cd,
        pv1=rewritten[0],
        pv2=rewritten[1][swapped],
        shape=tuple(shape),
    )
