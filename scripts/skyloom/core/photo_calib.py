"""Smooth functions over a detector: the zero point and the aperture correction."""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from skyloom.core.images import strips
from skyloom.core.wcs import unit_coordinates

AB_ZERO_POINT = 31.4
"""AB magnitude of 1 nJy."""


@dataclass(frozen=True, slots=True)
class FieldPolynomial:
    """Chebyshev polynomial of the position on a detector.

    Attributes
    ----------
    coefficients : ndarray, shape (n + 1, n + 1), float64
        Coefficient [i, j] belongs to T_i(v) T_j(u): rows follow y, columns x.
    domain : tuple of float
        (x0, x1, y0, y1), mapped to [-1, 1] in each coordinate.
    covariance : ndarray, shape (m, m), float64, or None
        Covariance of the raveled coefficients; None when unknown.
    """

    coefficients: np.ndarray
    domain: tuple[float, float, float, float]
    covariance: np.ndarray | None = None

    def evaluate(self, x, y):
        """Value at positions (ndarray of the shape of `x`, float64).

        Parameters
        ----------
        x, y : array_like
            Pixel positions of equal shape.
        """
        u, v = unit_coordinates(x, y, self.domain)
        return chebyshev.chebval2d(v, u, self.coefficients)

    def error(self, x, y):
        """Standard error at positions from the covariance.

        Parameters
        ----------
        x, y : array_like, shape (n,)
            Pixel positions.

        Returns
        -------
        ndarray, shape (n,), float64
            Standard errors; NaN when no covariance is known.
        """
        u, v = unit_coordinates(np.atleast_1d(x), np.atleast_1d(y), self.domain)
        if self.covariance is None or u.size == 0:
            return np.full(u.shape, np.nan)
        degree = self.coefficients.shape[0] - 1
        design = chebyshev.chebvander2d(v, u, [degree, degree])
        return np.sqrt(np.einsum("ni,ij,nj->n", design, self.covariance, design))

    def image(self, shape):
        """Value at every pixel.

        Parameters
        ----------
        shape : tuple of int
            Shape (ny, nx).

        Returns
        -------
        ndarray, shape (ny, nx), float32
            The function on the pixel grid.
        """
        values = np.empty(shape, dtype=np.float32)
        for part in strips(shape[0]):
            values[part] = self.rows(part, shape[1])
        return values

    def rows(self, part, n_column):
        """Value at the pixels of some rows.

        Parameters
        ----------
        part : slice
            The rows, with a start and an end.
        n_column : int
            Columns of the image.

        Returns
        -------
        ndarray, shape (n, n_column), float64
            The function on the pixel grid.
        """
        u, v = unit_coordinates(np.arange(n_column), np.arange(part.start, part.stop), self.domain)
        # One matrix product, where a polynomial of each row in turn would be a pass over the pixels for each power.
        degree_y, degree_x = np.array(self.coefficients.shape) - 1
        along_y = chebyshev.chebvander(v, degree_y) @ self.coefficients
        return along_y @ chebyshev.chebvander(u, degree_x).T


@dataclass(frozen=True, slots=True)
class ZeroPointFit:
    """Quality of a fitted zero point.

    Attributes
    ----------
    n_star : int
        Stars used.
    scatter_mag : float
        Their robust scatter about it [mag].
    variation_mag : float
        Range of the zero point over the detector, beyond what chance makes [mag]: what was fitted, and what the
        stars still show in cells. NaN with too few stars to say.
    max_variation_mag : float
        Range that is expected at most [mag].
    """

    n_star: int
    scatter_mag: float
    variation_mag: float
    max_variation_mag: float

    @property
    def remark(self):
        """What a person should know of a zero point that varies more than expected (str); empty if it does not."""
        if not self.variation_mag > self.max_variation_mag:
            return ""
        return (
            f"zero point varies by {self.variation_mag:.3f} mag over the detector, expected at most "
            f"{self.max_variation_mag:.3f}: clouds, or a flat that does not fit"
        )


def constant_field(value, shape, error=None):
    """Field polynomial that is the same everywhere.

    Parameters
    ----------
    value : float
        The value.
    shape : tuple of int
        Shape (ny, nx) of the detector.
    error : float, optional
        Standard error of the value.

    Returns
    -------
    FieldPolynomial
        Of degree 0.
    """
    covariance = None if error is None else np.array([[float(error) ** 2]])
    domain = (-0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5)
    return FieldPolynomial(np.array([[float(value)]]), domain, covariance)
