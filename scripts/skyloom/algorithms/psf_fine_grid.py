"""A PSF on a grid finer than the pixels: what stars at many places in their pixels say of it, and how smooth it is."""

from dataclasses import dataclass

import numpy as np

from skyloom.core.jit import kernel
from skyloom.core.splines import SPLINE_DEGREE, SPLINE_REACH, spline_weights

SLOPE_STEP = 1e-3
N_TAP = SPLINE_DEGREE + 1
# Room about the grid for the taps of pixels at its edges.
MARGIN = 2 * N_TAP
# Prior of a step of a star's flux (relative) and position [pixel] beside a change of the PSF: the equations hold for
# small steps alone, and without it a brighter PSF with fainter stars would cost nothing.
LARGEST_STEPS = (0.3, 0.2, 0.2)
# Of the prior of a change: the largest width, and how often it is found anew for one set of equations.
LARGEST_PART, N_EVIDENCE = 3.0, 1
# Waves weaker than this part of the strongest are left out: they would change the PSF by a per cent of its change.
LEAST_POWER = 1e-4


@dataclass(frozen=True, slots=True)
class StampMaps:
    """How stars show a PSF: matrices from its spline coefficients on the fine grid to their pixels.

    Attributes
    ----------
    rows, columns : ndarray, shape (n, k, K), float64
        Pixels of a star are ``rows @ coefficients @ columns.T``.
    row_slopes, column_slopes : ndarray, shape (n, k, K), float64
        Derivatives of both by the star's y and x [1/pixel].
    first_row, first_column : ndarray, shape (n,), int64
        Place on the grid of the first tap of the first pixel; it may lie before the grid.
    sampling : int
        Samples a pixel.
    """

    rows: np.ndarray
    columns: np.ndarray
    row_slopes: np.ndarray
    column_slopes: np.ndarray
    first_row: np.ndarray
    first_column: np.ndarray
    sampling: int

    def images(self, coefficients):
        """Return images of coefficients (..., n or 1, K, K) at the stars (ndarray, shape (..., n, k, k)).

        Parameters
        ----------
        coefficients : ndarray
            One grid for each star, or one for all.
        """
        return self.rows @ coefficients @ self.columns.transpose(0, 2, 1)

    def slopes(self, coefficients):
        """Return derivatives of the images by x and y, each as from `images` (tuple of ndarray).

        Parameters
        ----------
        coefficients : ndarray
            As for `images`.
        """
        return (
            self.rows @ coefficients @ self.column_slopes.transpose(0, 2, 1),
            self.row_slopes @ coefficients @ self.columns.transpose(0, 2, 1),
        )

    def spread(self, pixels):
        """Return the transpose of `images`, what pixels say of each coefficient (ndarray, shape (..., n, K, K)).

        Parameters
        ----------
        pixels : ndarray
            Values.
        """
        return self.rows.transpose(0, 2, 1) @ pixels @ self.columns


def stamp_maps(x, y, size, sampling):
    """Matrices from a PSF on the fine grid to the pixels about stars.

    Parameters
    ----------
    x, y : ndarray, shape (n,), float64
        Positions [pixel]; the middle pixel of a stamp is the nearest.
    size : int
        Side k of a stamp [pixel].
    sampling : int
        Samples a pixel of the grid, whose side K is ``sampling (k - 1) + 1``.

    Returns
    -------
    StampMaps
        One of each star.
    """
    columns, column_slopes, first_column = _maps_along(x - np.rint(x), size, sampling)
    rows, row_slopes, first_row = _maps_along(y - np.rint(y), size, sampling)
    return StampMaps(rows, columns, row_slopes, column_slopes, first_row, first_column, sampling)


def _maps_along(offset, size, sampling):
    """Matrices (n, k, K) of one axis, their derivatives by the offset, and the place of the first tap."""
    fine = sampling * (size - 1) + 1
    moved = sampling * offset
    whole = np.rint(moved).astype(np.int64)
    rest, step = moved - whole, sampling * SLOPE_STEP
    weights = spline_weights(rest)
    slopes = (spline_weights(rest + step) - spline_weights(rest - step)) / (2 * SLOPE_STEP)
    matrices = np.zeros((2, len(offset), size, fine + 2 * MARGIN))
    star, pixel = np.arange(len(offset))[:, None], np.arange(size)[None, :]
    first = -whole - SPLINE_REACH
    for tap in range(2 * SPLINE_REACH + 1):
        place = MARGIN + sampling * pixel + first[:, None] + tap
        matrices[0, star, pixel, place] = weights[:, tap, None]
        matrices[1, star, pixel, place] = slopes[:, tap, None]
    values, derivatives = np.ascontiguousarray(matrices[..., MARGIN:-MARGIN])
    # With a positive rest the outermost of nine weights is zero, with a negative one the first.
    return values, derivatives, first + (rest < 0)


@dataclass(frozen=True, slots=True)
class Equations:
    """What stars of free fluxes and positions say of a change of their PSF.

    Attributes
    ----------
    matrix : ndarray, shape (K^2, K^2), float64
        Inverse covariance of the spline coefficients by the stars alone.
    right : ndarray, shape (K^2,), float64
        Its product with the change that they ask for.
    """

    matrix: np.ndarray
    right: np.ndarray


def star_equations(maps, own, stamps):
    """Normal equations of the fine grid, each star's flux and position found with it.

    Parameters
    ----------
    maps : StampMaps
        Of the stars.
    own : ndarray, shape (n, 3, k, k), float64
        Image of each star by the model, and its derivatives by x and y.
    stamps : tuple of ndarray, shape (n, k, k)
        Residuals and their inverse variances.

    Returns
    -------
    Equations
        Of a change of the spline coefficients.

    Notes
    -----
    A star that is fitted with a wrong PSF hides the error in its position and flux: what these can hide is taken out
    star by star (Schur complement), so that stars at other places within their pixels decide it, and no round has to
    undo what the positions of the last one made of it.
    """
    residuals, weights = (np.asarray(stamp, dtype=np.float64) for stamp in stamps)
    n, side = len(residuals), maps.rows.shape[2]
    matrix = _curvature(maps, weights)
    right = maps.spread(weights * residuals).sum(axis=0).ravel()
    loads = weights[:, None] * own
    whitening = np.linalg.inv(np.linalg.cholesky(_own_information(own, loads)))
    hidden = whitening @ np.stack([maps.spread(loads[:, i]).reshape(n, -1) for i in range(3)], axis=1)
    hidden = hidden.reshape(3 * n, side * side)
    shown = (whitening @ np.einsum("nikl,nkl->ni", loads, residuals)[:, :, None]).ravel()
    matrix -= hidden.T @ hidden
    right -= shown @ hidden
    return Equations(matrix, right)


def without_own(own, weights):
    """Function that takes from values below a star what its own flux and position can hide.

    Parameters
    ----------
    own, weights : ndarray
        As for `star_equations`.

    Returns
    -------
    callable
        From an array (n, m, k, k) to one of the same shape, orthogonal below the weights to each star's `own`.
    """
    weights = np.asarray(weights, dtype=np.float64)
    loads = weights[:, None] * own
    inverse = np.linalg.inv(_own_information(own, loads))

    def remaining(values):
        shown = np.einsum("nikl,nmkl->nmi", loads, values) @ inverse
        return values - np.einsum("nmi,nikl->nmkl", shown, own)

    return remaining


def _own_information(own, loads):
    """Normal equations (n, 3, 3) of each star's flux and position, with their prior."""
    return np.einsum("nikl,njkl->nij", loads, own) + np.diag(1 / np.square(LARGEST_STEPS))


def _curvature(maps, weights):
    """Normal equations (K^2, K^2) of spline coefficients whose pixels have these weights."""
    side = maps.rows.shape[2]
    band = np.zeros((side + 2 * MARGIN, N_TAP, side + 2 * MARGIN, 2 * N_TAP - 1))
    taps = [
        _taps(matrices, first, maps.sampling)
        for matrices, first in ((maps.rows, maps.first_row), (maps.columns, maps.first_column))
    ]
    _add_bands((taps[0], taps[1]), (maps.first_row, maps.first_column), (weights, maps.sampling), band)
    band = band[MARGIN:-MARGIN, :, MARGIN:-MARGIN]
    full = np.zeros((side, side, side, side))
    for row_step in range(N_TAP):
        row = np.arange(side - row_step)[:, None]
        for step in range(1 - N_TAP, N_TAP):
            column = np.arange(max(0, -step), min(side, side - step))[None, :]
            values = band[row, row_step, column, step + N_TAP - 1]
            full[row, column, row + row_step, column + step] = values
            full[row + row_step, column + step, row, column] = values
    return full.reshape(side * side, side * side)


def _taps(matrices, first, sampling):
    """Weights (n, 8) of the taps of each star's pixels, read off the middle one."""
    middle = matrices.shape[1] // 2
    place = sampling * middle + first[:, None] + np.arange(N_TAP)
    return np.take_along_axis(matrices[:, middle], place, axis=1)


@kernel
def _add_bands(taps, firsts, pixels, band):
    """Add each star's products of taps to the bands of the normal equations (row, row step, column, step)."""
    (row_taps, column_taps), (first_row, first_column), (weights, sampling) = taps, firsts, pixels
    n, size = weights.shape[0], weights.shape[1]
    along = np.zeros((band.shape[2], band.shape[3]))
    for i in range(n):
        products = np.outer(column_taps[i], column_taps[i])
        for row in range(size):
            along[:] = 0.0
            for column in range(size):
                weight = weights[i, row, column]
                if weight == 0.0:
                    continue
                place = MARGIN + first_column[i] + sampling * column
                for a in range(N_TAP):
                    for b in range(N_TAP):
                        along[place + a, b - a + N_TAP - 1] += weight * products[a, b]
            place = MARGIN + first_row[i] + sampling * row
            for a in range(N_TAP):
                for b in range(a, N_TAP):
                    _add_times(along, row_taps[i, a] * row_taps[i, b], band[place + a, b - a])


@kernel
def _add_times(values, factor, target):
    """Add values times a factor."""
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            target[i, j] += factor * values[i, j]


def smooth_change(equations, amplitude, length, part):
    """Change of the spline coefficients that the stars ask for, as smooth as a prior wants it.

    Parameters
    ----------
    equations : Equations
        Of the change.
    amplitude : ndarray, shape (K, K), float64
        Scale of the change at each place.
    length : float
        Length over which it keeps its value, in samples of the grid.
    part : float
        Width of the prior, a part of the amplitude, to begin with.

    Returns
    -------
    change : ndarray, shape (K, K), float64
        The change.
    part : float
        Width of the prior that the stars ask for.

    Notes
    -----
    A Gaussian process of covariance ``t^2 a(u) a(v) exp(-|u - v|^2 / 2 l^2)``, of which only the waves are kept that
    have `LEAST_POWER` of the power of the longest; t, the part, maximises the evidence (MacKay 1992).
    """
    from scipy.linalg import cho_factor, cho_solve, lapack

    waves, kept = _waves(len(amplitude), length)
    scale = amplitude.ravel()
    matrix = _on_both_sides(equations.matrix * scale[:, None] * scale, waves)[np.ix_(kept, kept)]
    right = (waves.T @ (scale * equations.right).reshape(amplitude.shape) @ waves).ravel()[kept]
    for number in range(N_EVIDENCE + 1):
        full = matrix.copy()
        full[np.diag_indices(len(kept))] += 1 / part**2
        factor = cho_factor(full, lower=False, overwrite_a=True, check_finite=False)
        solution = cho_solve(factor, right)
        if number < N_EVIDENCE:
            inverse = np.triu(lapack.dtrtri(factor[0], overwrite_c=True)[0])
            n_known = len(kept) - np.vdot(inverse, inverse) / part**2
            part = float(min(np.linalg.norm(solution) / np.sqrt(max(n_known, 1.0)), LARGEST_PART))
    change = np.zeros(waves.shape[1] ** 2)
    change[kept] = solution
    return amplitude * (waves @ change.reshape(2 * waves.shape[1:]) @ waves.T), part


def _waves(side, length):
    """Waves (K, r) along an axis, each as strong as the process has it, and which of their products matter."""
    offset = np.arange(side)
    power, waves = np.linalg.eigh(np.exp(-0.5 * ((offset[:, None] - offset[None, :]) / length) ** 2))
    strong = power > LEAST_POWER * power.max()
    power, waves = power[strong], waves[:, strong]
    kept = np.flatnonzero(np.outer(power, power) > LEAST_POWER * power.max() ** 2)
    return waves * np.sqrt(power), kept


def _on_both_sides(matrix, waves):
    """Matrix (r^2, r^2) that products of waves (K, r) have from one (K^2, K^2) of places."""
    side, n = waves.shape
    half = (waves.T @ matrix.reshape(side, -1)).reshape(n, side, -1)
    half = np.ascontiguousarray((waves.T @ half).reshape(n * n, side * side).T)
    other = (waves.T @ half.reshape(side, -1)).reshape(n, side, -1)
    return (waves.T @ other).reshape(n * n, n * n)


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    maps = stamp_maps(np.zeros(1), np.zeros(1), 5, 2)
    _curvature(maps, np.ones((1, 5, 5)))
