"""World coordinates: the tangent plane with a TPV polynomial, evaluated in NumPy alone.

A TPV header (Calabretta et al. 2004; registered convention) multiplies pixel offsets by the CD
matrix, applies a polynomial to each intermediate coordinate and deprojects the result from the tangent plane.
A polynomial of pixel offsets of order n is exactly a TPV polynomial of order n.
"""

from dataclasses import dataclass, replace

import numpy as np

NEWTON_STEPS = 20
NEWTON_TOLERANCE_DEGREE = 1e-13


@dataclass(frozen=True, slots=True)
class WcsFit:
    """Quality of an astrometric fit.

    Attributes
    ----------
    coefficients : ndarray, shape (2, n), float64
        Pixel-offset polynomial of xi and eta [degree].
    covariance : ndarray, shape (n, n), float64
        Covariance of one coordinate's coefficients [degree^2] (the design is the same for both).
    n_matched : int
        Stars used.
    rms_x_arcsec, rms_y_arcsec : float
        Scatter of the stars used, East and North [arcsec].
    corner_error_arcsec : float
        Predicted error of the WCS at the worst corner [arcsec].
    header_error_arcsec : float
        Largest distance of the header's WCS from the fit over the detector [arcsec].
    log10_false_alarm : float
        Decimal logarithm of the probability that chance gives the match that was fitted.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    n_matched: int
    rms_x_arcsec: float
    rms_y_arcsec: float
    corner_error_arcsec: float
    header_error_arcsec: float
    log10_false_alarm: float


def tan_project(ra, dec, ra0, dec0):
    """Project sky positions on the tangent plane.

    Parameters
    ----------
    ra, dec : array_like, shape (n,)
        Positions [degree].
    ra0, dec0 : float
        Tangent point [degree].

    Returns
    -------
    xi, eta : ndarray, shape (n,), float64
        Offsets East and North [degree]; NaN on the far hemisphere.

    Notes
    -----
    Calabretta & Greisen (2002), section 5.1.3.
    """
    delta_ra = np.radians(np.asarray(ra, dtype=np.float64) - ra0)
    dec = np.radians(np.asarray(dec, dtype=np.float64))
    dec0 = np.radians(dec0)
    cosine = np.sin(dec) * np.sin(dec0) + np.cos(dec) * np.cos(dec0) * np.cos(delta_ra)
    cosine = np.where(cosine > 0, cosine, np.nan)
    xi = np.cos(dec) * np.sin(delta_ra) / cosine
    eta = (np.sin(dec) * np.cos(dec0) - np.cos(dec) * np.sin(dec0) * np.cos(delta_ra)) / cosine
    return np.degrees(xi), np.degrees(eta)


def tan_deproject(xi, eta, ra0, dec0):
    """Inverse of `tan_project`.

    Parameters
    ----------
    xi, eta : array_like, shape (n,)
        Offsets East and North [degree].
    ra0, dec0 : float
        Tangent point [degree].

    Returns
    -------
    ra, dec : ndarray, shape (n,), float64
        Positions [degree], right ascension in [0, 360).
    """
    xi = np.radians(np.asarray(xi, dtype=np.float64))
    eta = np.radians(np.asarray(eta, dtype=np.float64))
    dec0 = np.radians(dec0)
    denominator = np.cos(dec0) - eta * np.sin(dec0)
    ra = ra0 + np.degrees(np.arctan2(xi, denominator))
    dec = np.degrees(np.arctan2(np.sin(dec0) + eta * np.cos(dec0), np.hypot(xi, denominator)))
    return np.mod(ra, 360.0), dec


def tpv_powers(order):
    """Exponents of the terms of a TPV polynomial, radial terms left out.

    Parameters
    ----------
    order : int
        Total degree, at most 7.

    Returns
    -------
    numbers : list of int
        The i of each PVj_i.
    powers : list of (int, int)
        Exponents of the coordinate itself and of the other one.
    """
    numbers, powers, number = [], [], 0
    for degree in range(order + 1):
        for other in range(degree + 1):
            numbers.append(number)
            powers.append((degree - other, other))
            number += 1
        if degree % 2 == 1:
            number += 1
    return numbers, powers


def unit_coordinates(x, y, domain):
    """Positions mapped from a rectangle to [-1, 1], in which polynomials of the position are well conditioned.

    Parameters
    ----------
    x : array_like, shape (m,)
        Columns [pixel].
    y : array_like, shape (n,)
        Rows [pixel]; n need not be m.
    domain : tuple of float
        (x0, x1, y0, y1) of the rectangle.

    Returns
    -------
    u : ndarray, shape (m,), float64
        -1 at x0, 1 at x1.
    v : ndarray, shape (n,), float64
        -1 at y0, 1 at y1.
    """
    x0, x1, y0, y1 = domain
    u = (2 * np.asarray(x, dtype=np.float64) - x0 - x1) / (x1 - x0)
    v = (2 * np.asarray(y, dtype=np.float64) - y0 - y1) / (y1 - y0)
    return u, v


def polynomial_terms(u, v, order):
    """Monomials u^a v^b in the order of `tpv_powers`.

    Parameters
    ----------
    u, v : ndarray, shape (n,)
        Coordinates.
    order : int
        Total degree.

    Returns
    -------
    ndarray, shape (n_term, n), float64
        One row a term: 1, u, v, u^2, uv, v^2, ...
    """
    u = np.asarray(u, dtype=np.float64)
    v = np.asarray(v, dtype=np.float64)
    u_power, v_power = [np.ones_like(u)], [np.ones_like(v)]
    for _ in range(order):
        u_power.append(u_power[-1] * u)
        v_power.append(v_power[-1] * v)
    return np.stack([u_power[a] * v_power[b] for a, b in tpv_powers(order)[1]])


def order_of(n_term):
    """Total degree of a full polynomial (int).

    Parameters
    ----------
    n_term : int
        Number of its terms: (order + 1) (order + 2) / 2.
    """
    order = round((np.sqrt(8 * n_term + 1) - 3) / 2)
    if (order + 1) * (order + 2) // 2 != n_term:
        raise ValueError(f"{n_term} is not the number of terms of a full polynomial")
    return order


@dataclass(frozen=True, slots=True)
class Wcs:
    """Tangent-plane WCS with an optional TPV distortion.

    Attributes
    ----------
    crval : ndarray, shape (2,), float64
        Tangent point [degree, ICRS].
    crpix : ndarray, shape (2,), float64
        Pixel (x, y) of the tangent point, counted from 0.
    cd : ndarray, shape (2, 2), float64
        Degrees per pixel: rows xi (East), eta (North); columns x, y.
    pv1, pv2 : ndarray, shape (n,), float64, or None
        Coefficients of the polynomials of xi and eta in the order of `tpv_powers`; None is the identity.
    shape : tuple of int
        Shape (ny, nx) of the image.
    """

    crval: np.ndarray
    crpix: np.ndarray
    cd: np.ndarray
    pv1: np.ndarray | None = None
    pv2: np.ndarray | None = None
    shape: tuple[int, int] = (0, 0)

    def _linear(self, x, y):
        """Intermediate coordinates of pixels [degree], before the distortion."""
        dx = np.asarray(x, dtype=np.float64) - self.crpix[0]
        dy = np.asarray(y, dtype=np.float64) - self.crpix[1]
        return self.cd[0, 0] * dx + self.cd[0, 1] * dy, self.cd[1, 0] * dx + self.cd[1, 1] * dy

    def _distort(self, u, v):
        """Apply the TPV polynomials to intermediate coordinates [degree]."""
        if self.pv1 is None:
            return u, v
        order = order_of(len(self.pv1))
        return self.pv1 @ polynomial_terms(u, v, order), self.pv2 @ polynomial_terms(v, u, order)

    def _distortion_jacobian(self, u, v):
        """Derivatives (xi_u, xi_v, eta_u, eta_v) of `_distort`."""
        if self.pv1 is None:
            return np.ones_like(u), np.zeros_like(u), np.zeros_like(u), np.ones_like(u)
        order = order_of(len(self.pv1))
        powers = tpv_powers(order)[1]
        xi_u, xi_v = _gradient(self.pv1, powers, u, v)
        eta_v, eta_u = _gradient(self.pv2, powers, v, u)
        return xi_u, xi_v, eta_u, eta_v

    def pixel_to_plane(self, x, y):
        """Tangent-plane offsets of pixels.

        Parameters
        ----------
        x, y : array_like, shape (n,)
            Pixel positions, centres at integers from 0.

        Returns
        -------
        xi, eta : ndarray, shape (n,), float64
            Offsets East and North of `crval` [degree].
        """
        return self._distort(*self._linear(x, y))

    def pixel_to_sky(self, x, y):
        """Sky positions of pixels.

        Parameters
        ----------
        x, y : array_like, shape (n,)
            Pixel positions, centres at integers from 0.

        Returns
        -------
        ra, dec : ndarray, shape (n,), float64
            Positions [degree, ICRS].
        """
        xi, eta = self.pixel_to_plane(x, y)
        return tan_deproject(xi, eta, self.crval[0], self.crval[1])

    def sky_to_pixel(self, ra, dec):
        """Pixel positions of sky positions, by Newton's method through the distortion.

        Parameters
        ----------
        ra, dec : array_like, shape (n,)
            Positions [degree, ICRS].

        Returns
        -------
        x, y : ndarray, shape (n,), float64
            Pixel positions; NaN on the far hemisphere, and where the distortion has no inverse.
        """
        xi, eta = tan_project(ra, dec, self.crval[0], self.crval[1])
        u, v = self._undistort(xi, eta)
        inverse = np.linalg.inv(self.cd)
        x = inverse[0, 0] * u + inverse[0, 1] * v + self.crpix[0]
        y = inverse[1, 0] * u + inverse[1, 1] * v + self.crpix[1]
        return x, y

    def _undistort(self, xi, eta):
        """Invert `_distort`; NaN where Newton's method does not settle."""
        if self.pv1 is None:
            return xi, eta
        xi, eta = np.atleast_1d(xi), np.atleast_1d(eta)
        linear = np.array([[self.pv1[1], self.pv1[2]], [self.pv2[2], self.pv2[1]]])
        start = np.linalg.solve(linear, np.stack([xi.ravel() - self.pv1[0], eta.ravel() - self.pv2[0]]))
        u, v = start[0].reshape(xi.shape), start[1].reshape(xi.shape)
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            for _ in range(NEWTON_STEPS):
                xi_now, eta_now = self._distort(u.ravel(), v.ravel())
                xi_u, xi_v, eta_u, eta_v = self._distortion_jacobian(u.ravel(), v.ravel())
                residual_xi, residual_eta = xi.ravel() - xi_now, eta.ravel() - eta_now
                determinant = xi_u * eta_v - xi_v * eta_u
                step_u = (residual_xi * eta_v - residual_eta * xi_v) / determinant
                step_v = (residual_eta * xi_u - residual_xi * eta_u) / determinant
                u = u + step_u.reshape(u.shape)
                v = v + step_v.reshape(v.shape)
                step = np.abs(step_u) + np.abs(step_v)
                if not np.any(step > NEWTON_TOLERANCE_DEGREE):
                    break
            settled = (step < 1e3 * NEWTON_TOLERANCE_DEGREE).reshape(u.shape)
        return np.where(settled, u, np.nan), np.where(settled, v, np.nan)

    def jacobian(self, x, y):
        """Derivatives of the tangent-plane offsets by the pixel position.

        Parameters
        ----------
        x, y : array_like, shape (n,)
            Pixel positions.

        Returns
        -------
        ndarray, shape (2, 2, n), float64
            ``[[dxi/dx, dxi/dy], [deta/dx, deta/dy]]`` [degree/pixel].
        """
        u, v = self._linear(np.atleast_1d(x), np.atleast_1d(y))
        xi_u, xi_v, eta_u, eta_v = self._distortion_jacobian(u, v)
        cd = self.cd
        return np.array(
            [
                [xi_u * cd[0, 0] + xi_v * cd[1, 0], xi_u * cd[0, 1] + xi_v * cd[1, 1]],
                [eta_u * cd[0, 0] + eta_v * cd[1, 0], eta_u * cd[0, 1] + eta_v * cd[1, 1]],
            ]
        )

    def pixel_area(self, x, y):
        """Solid angle of pixels [arcsec^2] (ndarray, shape (n,)), the projection's own stretch included.

        Parameters
        ----------
        x, y : array_like, shape (n,)
            Pixel positions.
        """
        matrix = self.jacobian(x, y)
        xi, eta = self.pixel_to_plane(np.atleast_1d(x), np.atleast_1d(y))
        stretch = (1 + np.radians(xi) ** 2 + np.radians(eta) ** 2) ** -1.5
        area = np.abs(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])
        return area * stretch * 3600.0**2

    def pixel_scale(self):
        """Side of a square pixel of equal area at the image's centre [arcsec] (float)."""
        ny, nx = self.shape
        return float(np.sqrt(self.pixel_area((nx - 1) / 2, (ny - 1) / 2)[0]))

    def shifted(self, dx, dy, shape=None):
        """Return the same WCS for an array that starts at pixel (dx, dy) of this one.

        Parameters
        ----------
        dx, dy : float
            Position of the new array's first pixel.
        shape : tuple of int, optional
            Shape of the new array; this one's by default.

        Returns
        -------
        Wcs
            The shifted one.
        """
        return replace(
            self, crpix=self.crpix - np.array([dx, dy], dtype=np.float64), shape=shape or self.shape
        )

    def corners(self):
        """Sky positions of the image's outer corners (ra, dec; each ndarray, shape (4,), degree)."""
        ny, nx = self.shape
        x = np.array([-0.5, nx - 0.5, nx - 0.5, -0.5])
        y = np.array([-0.5, -0.5, ny - 0.5, ny - 0.5])
        return self.pixel_to_sky(x, y)


def _gradient(coefficients, powers, first, second):
    """Derivatives of sum c_k first^a second^b by both coordinates."""
    by_first = np.zeros_like(first)
    by_second = np.zeros_like(first)
    for c, (a, b) in zip(coefficients, powers, strict=True):
        if a:
            by_first = by_first + c * a * first ** (a - 1) * second**b
        if b:
            by_second = by_second + c * b * first**a * second ** (b - 1)
    return by_first, by_second
