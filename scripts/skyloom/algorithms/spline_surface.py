"""Smooth surfaces through irregular positions: cubic B-splines with a penalty on their roughness."""

from dataclasses import dataclass
from math import comb

import numpy as np
from scipy import sparse

DEGREE = 3
# Cubic B-spline on uniform knots: coefficients of 1, t, t^2, t^3 of its four pieces in an interval, first spline first.
PIECES = np.array([[1, -3, 3, -1], [4, 0, -6, 3], [1, 3, 3, -3], [0, 0, 0, 1]]) / 6


@dataclass(frozen=True, slots=True)
class SplineGrid:
    """Uniform knots over a rectangle, each axis with three splines more than intervals.

    Attributes
    ----------
    origin : tuple of float
        First knot (x, y).
    spacing : float
        Distance of the knots.
    shape : tuple of int
        Number of splines (along y, along x).
    """

    origin: tuple[float, float]
    spacing: float
    shape: tuple[int, int]

    def design(self, x, y):
        """Values of all splines at positions.

        Parameters
        ----------
        x, y : ndarray, shape (n,), float64
            Positions within the rectangle.

        Returns
        -------
        scipy.sparse.csr_array, shape (n, n_spline)
            Splines in the order of `shape`, raveled; the sum of each row is 1.
        """
        column, along_x = self._pieces(x, axis=0)
        row, along_y = self._pieces(y, axis=1)
        values = along_y[:, :, None] * along_x[:, None, :]
        numbers = (row[:, None] + np.arange(DEGREE + 1))[:, :, None] * self.shape[1]
        numbers = numbers + (column[:, None] + np.arange(DEGREE + 1))[:, None, :]
        ends = np.arange(0, values.size + 1, (DEGREE + 1) ** 2)
        n_spline = self.shape[0] * self.shape[1]
        return sparse.csr_array((values.ravel(), numbers.ravel(), ends), shape=(len(x), n_spline))

    def _pieces(self, position, axis):
        """First spline that is not zero at each position, and the values of it and the next three."""
        scaled = (position - self.origin[axis]) / self.spacing
        first = np.clip(np.floor(scaled).astype(np.int64), 0, self.shape[1 - axis] - DEGREE - 1)
        return first, np.power.outer(scaled - first, np.arange(DEGREE + 1)) @ PIECES.T

    def roughness(self, order):
        """Matrix R of the roughness ``c R c`` of a surface with coefficients c.

        Parameters
        ----------
        order : int
            Of the derivatives, 1 to 3; polynomials below it have no roughness.

        Returns
        -------
        scipy.sparse.csr_array, shape (n_spline, n_spline)
            Integral over the rectangle of the squares of all derivatives of this order, the same in all directions
            (Wahba 1990, equation 2.4.9).
        """
        total = 0
        for k in range(order + 1):
            along_x = _products(self.shape[1], k, self.spacing)
            along_y = _products(self.shape[0], order - k, self.spacing)
            total = total + comb(order, k) * sparse.kron(along_y, along_x)
        return sparse.csr_array(total)


def _products(n_spline, order, spacing):
    """Integrals of the products of derivatives of the splines of one axis."""
    nodes, weights = np.polynomial.legendre.leggauss(DEGREE + 1)
    places = (nodes + 1) / 2
    values = np.array([np.polynomial.Polynomial(piece).deriv(order)(places) for piece in PIECES])
    local = (values * weights / 2) @ values.T * spacing ** (1 - 2 * order)
    total = np.zeros((n_spline, n_spline))
    for first in range(n_spline - DEGREE):
        part = slice(first, first + DEGREE + 1)
        total[part, part] += local
    return sparse.csr_array(total)


def grid_over(x, y, spacing):
    """Grid that holds positions.

    Parameters
    ----------
    x, y : ndarray, shape (n,), float64
        Positions, any unit.
    spacing : float
        Of the knots, in the same unit. With four in a wave, the splines follow it but for a twentieth.

    Returns
    -------
    SplineGrid
        Centred on the positions, no larger than their extent needs.
    """
    n_interval = [max(int(np.ceil(np.ptp(c) / spacing)), 1) for c in (x, y)]
    first = [(c.min() + c.max() - n * spacing) / 2 for c, n in zip((x, y), n_interval, strict=True)]
    return SplineGrid((first[0], first[1]), spacing, (n_interval[1] + DEGREE, n_interval[0] + DEGREE))


def roughness_weight(density, shortest_wave, order):
    """Weight of the roughness that halves the amplitude of a wave.

    Parameters
    ----------
    density : float
        Sum of the weights of the levels in a unit of area.
    shortest_wave : float
        Wave that is halved; longer ones pass, shorter ones do not.
    order : int
        Of the roughness.

    Returns
    -------
    float
        A wave of length L passes by ``1 / (1 + (shortest_wave / L)^(2 order))``.
    """
    return density * (shortest_wave / (2 * np.pi)) ** (2 * order)
