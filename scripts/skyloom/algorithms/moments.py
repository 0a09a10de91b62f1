"""Adaptive second moments: the Gaussian that matches an object, by iteration."""

from typing import NamedTuple

import numpy as np

from skyloom.algorithms.stamp_moves import move_stamp, working_space
from skyloom.core.jit import kernel
from skyloom.core.splines import with_phases

N_ITERATION = 60
TOLERANCE = 1e-4
WINDOW_SIGMA = 4.0
MAX_CENTROID_SHIFT = 2.0
MIN_WEIGHT_VARIANCE = 0.5
# Beyond this logarithm of the ratio of both steps, or so many of them, the profile is no Gaussian.
MAX_STEP, N_LONG = 0.4, 6


class AdaptiveMoments(NamedTuple):
    """Moments of n objects; every entry is NaN where the iteration did not settle.

    Attributes
    ----------
    x, y : ndarray, shape (n,), float64
        Gaussian-weighted centroid [pixel].
    ixx, iyy, ixy : ndarray, shape (n,), float64
        Second moments [pixel^2].
    amplitude : ndarray, shape (n,), float64
        Sum of the Gaussian-weighted pixels, the unit of the image.
    """

    x: np.ndarray
    y: np.ndarray
    ixx: np.ndarray
    iyy: np.ndarray
    ixy: np.ndarray
    amplitude: np.ndarray

    @property
    def sigma(self):
        """Determinant radius (Ixx Iyy - Ixy^2)^(1/4) [pixel]."""
        return np.maximum(self.ixx * self.iyy - self.ixy**2, 0.0) ** 0.25


def adaptive_moments(image, x, y, sigma, max_sigma=15.0, tolerance=TOLERANCE):  # noqa: PLR0913 (what, and how well)
    """Adaptive moments of objects on an image.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Background-subtracted pixels.
    x, y : ndarray, shape (n,), float64
        First guess of the centres [pixel].
    sigma : float
        First guess of the size, the PSF's for example [pixel].
    max_sigma : float
        Objects that grow beyond this size are given up [pixel].
    tolerance : float
        Relative change of the moments below which they stand still.

    Returns
    -------
    AdaptiveMoments
        NaN where the moments left the positive ones, the centre moved by more than two pixels, or the window
        lies outside the image.

    Notes
    -----
    Bernstein & Jarvis (2002), Section 3; Hirata & Seljak (2003): M = 2 C, C = sum(w I r r) / sum(w I) with the
    weight w = exp(-r M^-1 r / 2) and the centroid moved by 2 sum(w I r) / sum(w I), until both stand still.
    Steps go to the Gaussian that has the moments C below the weight, (C^-1 - M^-1)^-1, which stands still at the same
    M: of a Gaussian one step finds it, where 2 C halves the distance. Where it is far off they go to 2 C.
    A weight narrower than a pixel would shrink to the brightest pixel of an undersampled star: it stays at a least
    width.
    """
    x, y = np.atleast_1d(np.asarray(x, dtype=np.float64)), np.atleast_1d(np.asarray(y, dtype=np.float64))
    results = np.full((6, x.size), np.nan)
    limits = (float(sigma), float(max_sigma), float(tolerance))
    _match_gaussians(np.ascontiguousarray(image, dtype=np.float32), x, y, limits, results)
    return AdaptiveMoments(*results)


def kernel_moments(kernels, sigma=1.5):
    """Adaptive moments of PSF images (see `adaptive_moments`), centred near their middle pixel.

    Parameters
    ----------
    kernels : ndarray, shape (m, k, k), float
        PSF images.
    sigma : float
        First guess of the size [pixel].

    Returns
    -------
    AdaptiveMoments
        x and y are offsets from the middle pixel.
    """
    results = np.full((6, len(kernels)), np.nan)
    _match_stamps(np.ascontiguousarray(kernels, dtype=np.float32), float(sigma), results)
    return AdaptiveMoments(*results)


def star_moments(splines, x, y, sigma=1.5):
    """Adaptive moments that stars of these PSFs show at these places within their pixels.

    Parameters
    ----------
    splines : ndarray, shape (m, k, k) or (m, s * s, k, k), float32
        Spline coefficients of PSF images that are centred on their middle pixel (`splines_at` of a PSF).
    x, y : ndarray, shape (m,), float64
        Positions of the stars [pixel]; only the fraction counts.
    sigma : float
        First guess of the size [pixel].

    Returns
    -------
    AdaptiveMoments
        x and y are offsets from the pixel that holds the position.

    Notes
    -----
    Sums over pixels are integrals only where the pixels sample the star: at a FWHM of 1.7 pixels the trace of a
    star between four pixels is a third larger than that of one in the middle of a pixel.
    """
    results = np.full((6, len(splines)), np.nan)
    shifts = np.column_stack([x - np.rint(x), y - np.rint(y)])
    _match_moved_stamps(with_phases(splines), shifts, float(sigma), results)
    return AdaptiveMoments(*results)


@kernel
def _match_stamps(stamps, sigma, results):
    """Match a Gaussian to each image; centres count from the middle pixel."""
    half = float(stamps.shape[1] // 2)
    for i in range(stamps.shape[0]):
        _match_gaussian(stamps[i], (half, half), (sigma, float(stamps.shape[1]), TOLERANCE), results[:, i])
        results[0, i] -= half
        results[1, i] -= half


@kernel
def _match_moved_stamps(splines, shifts, sigma, results):
    """Match a Gaussian to each image (spline coefficients) moved by its shift (x, y)."""
    size = splines.shape[2]
    half = float(size // 2)
    work = working_space(size, splines.shape[1])
    for i in range(splines.shape[0]):
        if not (np.isfinite(shifts[i, 0]) and np.isfinite(shifts[i, 1])):
            continue
        profile = move_stamp(splines[i], size // 2, (shifts[i, 0], shifts[i, 1]), work, 1)
        _match_gaussian(profile[0, :, :size], (half, half), (sigma, float(size), TOLERANCE), results[:, i])
        results[0, i] -= half
        results[1, i] -= half


@kernel
def _match_gaussians(image, x, y, limits, results):
    """Match a Gaussian to each object; columns of `results` are those of `AdaptiveMoments`."""
    for i in range(x.size):
        _match_gaussian(image, (x[i], y[i]), limits, results[:, i])


@kernel
def _match_gaussian(image, start, limits, result):
    """Iterate an object's Gaussian into `result`, which stays as it is where that does not settle.

    `limits`: first guess and largest sigma, and the change that counts as none.
    """
    centre_x, centre_y = start
    m_xx = m_yy = limits[0] ** 2
    m_xy = 0.0
    for number in range(N_ITERATION):
        determinant = m_xx * m_yy - m_xy**2
        if not (m_xx > 0.05 and m_yy > 0.05 and determinant > 0.005 and m_xx + m_yy < 2 * limits[1] ** 2):
            break
        weight = _not_narrower(m_xx, m_yy, m_xy)
        s, s_x, s_y, s_xx, s_yy, s_xy = _weighted_sums(image, (centre_x, centre_y), weight)
        if not s > 0:
            break
        n_xx, n_yy, n_xy = _moments_below(
            weight, (s_xx / s, s_yy / s, s_xy / s), weight[0] > m_xx, number < N_LONG
        )
        change = (abs(n_xx - m_xx) + abs(n_yy - m_yy) + abs(n_xy - m_xy)) / (m_xx + m_yy)
        change += 2 * (abs(s_x) + abs(s_y)) / s / np.sqrt(m_xx + m_yy)
        centre_x += 2 * s_x / s
        centre_y += 2 * s_y / s
        m_xx, m_yy, m_xy = n_xx, n_yy, n_xy
        if abs(centre_x - start[0]) > MAX_CENTROID_SHIFT or abs(centre_y - start[1]) > MAX_CENTROID_SHIFT:
            break
        if change < limits[2]:
            result[0], result[1] = centre_x, centre_y
            result[2], result[3], result[4] = m_xx, m_yy, m_xy
            result[5] = s
            break


@kernel
def _not_narrower(m_xx, m_yy, m_xy):
    """Moments widened in all directions until the narrowest has the least variance of a weight."""
    narrowest = 0.5 * (m_xx + m_yy) - np.sqrt(0.25 * (m_xx - m_yy) ** 2 + m_xy**2)
    widening = max(MIN_WEIGHT_VARIANCE - narrowest, 0.0)
    return m_xx + widening, m_yy + widening, m_xy


@kernel
def _moments_below(weight, weighted, is_widened, may_be_long):
    """Moments of the Gaussian that has these weighted moments below this weight; twice them where that is far off.

    Without a positive Gaussian below a widened weight the moments are 0, at which the iteration ends.
    """
    c_xx, c_yy, c_xy = weighted
    w_xx, w_yy, w_xy = weight
    c_det, w_det = c_xx * c_yy - c_xy**2, w_xx * w_yy - w_xy**2
    far = (0.0, 0.0, 0.0) if is_widened else (2 * c_xx, 2 * c_yy, 2 * c_xy)
    if not c_det > 0:
        return far
    i_xx, i_yy, i_xy = c_yy / c_det - w_yy / w_det, c_xx / c_det - w_xx / w_det, -c_xy / c_det + w_xy / w_det
    i_det = i_xx * i_yy - i_xy**2
    if not (i_xx + i_yy > 0 and i_det > 0):
        return far
    found = (i_yy / i_det, i_xx / i_det, -i_xy / i_det)
    is_far = not may_be_long or abs(np.log((found[0] + found[1]) / (2 * (c_xx + c_yy)))) > MAX_STEP
    return far if is_far and not is_widened else found


@kernel
def _weighted_sums(image, centre, moments):
    """Sums of w, w x, w y, w x^2, w y^2, w xy with w the image times the Gaussian of these moments."""
    ny, nx = image.shape
    m_xx, m_yy, m_xy = moments
    determinant = m_xx * m_yy - m_xy**2
    a, b, c = m_yy / determinant, -m_xy / determinant, m_xx / determinant
    reach_y = WINDOW_SIGMA * np.sqrt(m_yy)
    first, last = max(int(np.ceil(centre[1] - reach_y)), 0), min(int(np.floor(centre[1] + reach_y)), ny - 1)
    s = s_x = s_y = s_xx = s_yy = s_xy = 0.0
    # Along a row a Gaussian's ratio from pixel to pixel changes by a constant factor: no exponential for each pixel.
    factor = np.exp(-a)
    for row in range(first, last + 1):
        dy = row - centre[1]
        middle = centre[0] - b * dy / a
        reach_x = np.sqrt(max((WINDOW_SIGMA**2 - (c - b * b / a) * dy * dy) / a, 0.0))
        left, right = max(int(np.ceil(middle - reach_x)), 0), min(int(np.floor(middle + reach_x)), nx - 1)
        dx = left - centre[0]
        weight = np.exp(-0.5 * (a * dx * dx + 2 * b * dx * dy + c * dy * dy))
        ratio = np.exp(-0.5 * (a * (2 * dx + 1) + 2 * b * dy))
        t = t_x = t_xx = 0.0
        for column in range(left, right + 1):
            weighted = weight * image[row, column]
            dx = column - centre[0]
            t += weighted
            t_x += weighted * dx
            t_xx += weighted * dx * dx
            weight *= ratio
            ratio *= factor
        s += t
        s_x += t_x
        s_y += t * dy
        s_xx += t_xx
        s_yy += t * dy * dy
        s_xy += t_x * dy
    return s, s_x, s_y, s_xx, s_yy, s_xy


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    adaptive_moments(np.zeros((8, 8), dtype=np.float32), np.array([4.0]), np.array([4.0]), 1.5)
    kernel_moments(np.zeros((2, 9, 9)))
    star_moments(np.zeros((2, 9, 9), dtype=np.float32), np.zeros(2), np.zeros(2))
