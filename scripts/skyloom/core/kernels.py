"""The kernel that matches the PSF of one image to another's."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skyloom.core.wcs import polynomial_terms, unit_coordinates


@dataclass(frozen=True, slots=True)
class MatchingKernel:
    """Linear combination of basis kernels whose weights are polynomials of the position.

    Attributes
    ----------
    basis : ndarray, shape (n, k, k), float64
        Basis kernels; k odd.
    order : int
        Total degree of the polynomials.
    domain : tuple of float
        (x0, x1, y0, y1), mapped to [-1, 1] in each coordinate.
    coefficients : ndarray, shape (n, n_term), float64
        Weights of the polynomial terms in the order of `skyloom.core.wcs.tpv_powers`.
    convolved : str
        Which image is convolved, ``template`` or ``science``.
    background : FieldPolynomial or None
        Differential background that was fitted along [nJy].
    """

    basis: np.ndarray
    order: int
    domain: tuple[float, float, float, float]
    coefficients: np.ndarray
    convolved: str
    background: Any = None

    @property
    def size(self):
        """Side k of the kernel [pixel]."""
        return self.basis.shape[-1]

    def weights_at(self, x, y):
        """Weights of the basis kernels (ndarray, shape (m, n), float64).

        Parameters
        ----------
        x, y : array_like, shape (m,)
            Pixel positions.
        """
        u, v = unit_coordinates(np.atleast_1d(x), np.atleast_1d(y), self.domain)
        return polynomial_terms(u, v, self.order).T @ self.coefficients.T

    def kernel_at(self, x, y):
        """Kernel at one position (ndarray, shape (k, k), float64).

        Parameters
        ----------
        x, y : float
            Pixel position.
        """
        return np.tensordot(self.weights_at([x], [y])[0], self.basis, axes=1)

    def sum_at(self, x, y):
        """Sum of the kernel, the photometric ratio (ndarray, shape (m,), float64).

        Parameters
        ----------
        x, y : array_like, shape (m,)
            Pixel positions.
        """
        return self.weights_at(x, y) @ self.basis.sum(axis=(1, 2))
