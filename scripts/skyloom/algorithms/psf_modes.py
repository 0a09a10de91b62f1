"""The ways in which a PSF changes over a field, and how fast: few images with a polynomial of high degree each."""

import functools

import numpy as np

from skyloom.core.splines import spline_matrix

N_EVIDENCE, EVIDENCE_TOLERANCE = 8, 0.1
# Modes that others explain to this part of their power tell nothing.
MIN_NEW_POWER = 1e-4
SLOPE_STEP = 1e-3
# Pixels above this part of the peak tell how much single pixels vary; the square of the least part of a pixel.
CORE_LEVEL, LEAST_PART = 0.03, 1e-8
# A star agrees with the model when its chi2 lies this far above its mean, and the mean square of its modes below this.
MISFIT_SIGMA, MODE_LIMIT = 3.0, 1.5
LARGEST_MISFIT = 0.25
# Precisions of priors, in parts of that of the best known coefficient: no prior, and one that lets nothing through.
WIDEST, NARROWEST = 1e-9, 1e6


def psf_modes(image, weight, quadratic=True, cubic=False):
    """Images by which a PSF changes when it is blurred, stretched or sheared a little.

    Parameters
    ----------
    image : ndarray, shape (k, k), float
        The PSF.
    weight : ndarray, shape (k, k), float
        Inverse variance of its pixels.
    quadratic : bool
        Whether modes of the second order in the stretch are wanted.
    cubic : bool
        Whether coma and trefoil, third derivatives, are wanted.

    Returns
    -------
    ndarray, shape (m, k, k), float64
        Orthonormal below the weight and orthogonal to the PSF itself, which is what a star's flux takes, and with
        `cubic` to its slopes, which a star's position takes; m is at most nine, six of the first order, and four more
        with `cubic`.

    Notes
    -----
    Seeing stretches the image, ``div(r P)``; optics and the wind blur it, second derivatives of P; both have two
    shears.
    """
    offset = np.arange(image.shape[0]) - image.shape[0] // 2
    x, y = offset[None, :], offset[:, None]

    def stretched(p):
        return 2 * p + x * _slope(p, 1) + y * _slope(p, 0)

    def sheared(p):
        p_x, p_y = _slope(p, 1), _slope(p, 0)
        return x * p_x - y * p_y, x * p_y + y * p_x

    p_xx, p_yy = _slope(_slope(image, 1), 1), _slope(_slope(image, 0), 0)
    stretch = stretched(image)
    modes = [stretch, *sheared(image), p_xx + p_yy, p_xx - p_yy, 2 * _slope(_slope(image, 1), 0)]
    if quadratic:
        modes += [stretched(stretch), *sheared(stretch)]
    if not cubic:
        return _orthonormal([image, *modes], weight)[1:]
    modes += [_slope(p, axis) for p in (p_xx, p_yy) for axis in (0, 1)]
    return _orthonormal([image, _slope(image, 0), _slope(image, 1), *modes], weight)[3:]


def fit_modes(modes, terms, priors, stamps):
    """Polynomials of the position of each mode, from the residuals of stars.

    Parameters
    ----------
    modes : ndarray, shape (m, k, k), float
        From `psf_modes`.
    terms : ndarray, shape (n_term, n)
        What the coefficients are multiplied by, at the stars.
    priors : tuple
        Group of each term, shape (n_term,): those of one positive degree have a common prior, those of 0 are free,
        those of -1 have a prior of the inverse variance that comes second.
    stamps : tuple of ndarray, shape (n, k, k)
        Residuals and their inverse variances.

    Returns
    -------
    ndarray, shape (n_term, m), float64
        Coefficients.

    Notes
    -----
    Terms that are not free have a Gaussian prior, one variance for each mode and degree, found by
    maximising the evidence (MacKay 1992): what the stars do not show stays away, and does not add its noise.
    """
    flat = modes.reshape(len(modes), -1)
    residuals, weights = (stamp.reshape(len(stamp), -1) for stamp in stamps)
    return fit_amplitudes(terms, priors, (weights @ _products(flat).T, (weights * residuals) @ flat.T))


def fit_amplitudes(terms, priors, equations):
    """Polynomials of the position of each mode, from what each star says of its modes; see `fit_modes`.

    Parameters
    ----------
    terms, priors
        As for `fit_modes`.
    equations : tuple of ndarray, shape (n, m * m) and (n, m)
        Normal equations of each star: products of its modes, and of modes and residuals, below its weight.

    Returns
    -------
    ndarray, shape (n_term, m), float64
        Coefficients.
    """
    grams, along = equations
    right = terms @ along
    n, n_term, n_mode = right.size, len(terms), along.shape[1]
    matrix = (_products(terms) @ grams).reshape(n_term, n_term, n_mode, n_mode)
    matrix = matrix.transpose(0, 2, 1, 3).reshape(n, n)
    degrees, given = priors
    groups = [
        np.flatnonzero(degrees == degree) * n_mode + mode
        for degree in np.unique(degrees[degrees > 0])
        for mode in range(n_mode)
    ]
    best = np.diag(matrix).max()
    precision = np.repeat(np.where(degrees < 0, given, WIDEST * best), n_mode)
    for _ in range(N_EVIDENCE if groups else 1):
        before = precision.copy()
        covariance = _inverse(matrix + np.diag(precision))
        solution = covariance @ right.ravel()
        known = 1 - precision * np.diag(covariance)
        for group in groups:
            ratio = np.sum(known[group]) / max(np.sum(solution[group] ** 2), 1e-300)
            precision[group] = np.clip(ratio, WIDEST * best, NARROWEST * best)
        if np.all(np.abs(precision - before) < EVIDENCE_TOLERANCE * before):
            break
    return solution.reshape(right.shape)


def mode_significances(modes, kernels, stamps):
    """Part of each mode that each star shows beyond the model, over its error.

    Parameters
    ----------
    modes : ndarray, shape (m, k, k) or (n, m, k, k), float
        From `psf_modes`, or those of each star by itself.
    kernels : ndarray, shape (n, k, k), float
        The PSF at the stars.
    stamps : tuple of ndarray, shape (n, k, k)
        Residuals and their inverse variances.

    Returns
    -------
    ndarray, shape (n, m), float64
        Normal of width 1 for stars that follow the model; 0 where there is no weight.

    Notes
    -----
    A galaxy hardly larger than a star differs from it in one way, its size: the sum of squares of a hundred pixels
    shows that at ten sigma, this one at three.
    """
    n, flat = len(kernels), modes.reshape(*modes.shape[: modes.ndim - kernels.ndim + 1], -1)
    residuals, weights, kernels = (stamp.reshape(n, -1) for stamp in (*stamps, kernels))
    right = _along(weights * residuals, flat)
    weighted = weights * kernels
    along = _along(weighted, flat) / np.maximum(np.sum(weighted * kernels, axis=1), 1e-300)[:, None]
    information = _along(weights, flat**2) - along**2 * np.sum(weighted * kernels, axis=1)[:, None]
    right -= along * np.sum(weighted * residuals, axis=1)[:, None]
    return np.where(information > 0, right, 0) / np.sqrt(np.where(information > 0, information, 1))


def _along(values, modes):
    """Products (n, m) of each star's pixels (n, p) with the modes, common ones (m, p) or its own (n, m, p)."""
    return values @ modes.T if modes.ndim == 2 else (modes @ values[:, :, None])[:, :, 0]


def star_misfits(modes, stars, least):
    """Relative error of the model that each star asks for: at which it agrees with it in its pixels and modes.

    Parameters
    ----------
    modes : ndarray, shape (m, c) or (n, m, c), float
        Pixels of the core of some modes, common ones or those of each star.
    stars : tuple of ndarray, shape (n, c)
        Residuals, their variances (infinite where unknown) and the PSF, in the core.
    least : float
        Error to begin with.

    Returns
    -------
    error : ndarray, shape (n,), float64
        `least` for stars that agree, at most `LARGEST_MISFIT`.
    loss : ndarray, shape (n,), float64
        Factor by which the error of what the star tells grows.
    """
    residuals, noise, kernels = stars
    n_pixel = np.maximum(np.isfinite(noise).sum(axis=1), 1)
    chi2_limit = 1 + MISFIT_SIGMA * np.sqrt(2 / n_pixel)
    floors = np.append(LARGEST_MISFIT / 2.0 ** np.arange(9), 0)
    floors = np.append(floors[floors > least], least)
    error, is_found = np.full(len(residuals), floors[0]), np.zeros(len(residuals), dtype=bool)
    misfit_before, floor_before = np.zeros(len(residuals)), floors[0]
    for floor in floors:
        weights = 1 / (noise + floor**2 * kernels**2)
        chi2 = (residuals**2 * weights).sum(axis=1) / n_pixel
        significances = mode_significances(modes, kernels, (residuals, weights))
        misfit = np.maximum(chi2 / chi2_limit, (significances**2).mean(axis=1) / MODE_LIMIT)
        share = np.clip((1 - misfit_before) / np.maximum(misfit - misfit_before, 1e-9), 0, 1)
        crossing = np.where(misfit > 1, floor_before + share * (floor - floor_before), floor)
        error = np.where(is_found, error, crossing)
        is_found |= misfit > 1
        misfit_before, floor_before = misfit, floor
    known = [(kernels**2 / (noise + value**2 * kernels**2)).sum(axis=1) for value in (least, error[:, None])]
    return error, np.sqrt(known[0] / np.maximum(known[1], 1e-300))


def fit_pixels(terms, degrees, stamps, prior):
    """Coefficients of the terms for each pixel by itself, from the residuals of stars.

    Parameters
    ----------
    terms, stamps
        As for `fit_modes`.
    degrees : ndarray, shape (n_term,), int
        As the first of its priors.
    prior : tuple
        Scale of each pixel, shape (k, k), and the part of it that a term of positive degree is at most, and one of
        degree -1 is.

    Returns
    -------
    ndarray, shape (n_term, k, k), float64
        Coefficients.

    Notes
    -----
    As in `fit_modes` each degree has a prior whose width, a part of the scale, is found from the stars: here from
    the pixels of the core.
    """
    residuals, weights = stamps
    amplitude, largest, given = prior
    n_pixel, n_term = amplitude.size, len(terms)
    flat = weights.reshape(-1, n_pixel)
    matrix = (_products(terms) @ flat).T.reshape(n_pixel, n_term, n_term)
    right = (terms @ (flat * residuals.reshape(-1, n_pixel))).T
    square = amplitude.ravel()[:, None] ** 2
    least = 1e-12 * matrix.max() + np.finfo(np.float64).tiny
    part = np.where(degrees > 0, largest**2, np.where(degrees < 0, given**2, np.inf))
    core = amplitude.ravel() > CORE_LEVEL * amplitude.max()
    for _ in range(N_EVIDENCE if (degrees > 0).any() else 0):
        solution, known = _ridge(matrix[core], right[core], least + 1 / (part * square[core]))
        for degree in np.unique(degrees[degrees > 0]):
            group = degrees == degree
            power = (solution[:, group] ** 2 / square[core]).sum()
            part[group] = np.clip(power / max(known[:, group].sum(), 1e-300), LEAST_PART, largest**2)
    return _ridge(matrix, right, least + 1 / (part * square))[0].T.reshape(n_term, *amplitude.shape)


def _inverse(matrix):
    """Inverse of a symmetric positive matrix, by its Cholesky factor: in half of the time."""
    from scipy.linalg.lapack import dpotrf, dpotri

    factor, failure = dpotrf(matrix)
    if failure:
        return np.linalg.inv(matrix)
    upper = np.triu(dpotri(factor)[0])
    return upper + np.triu(upper, 1).T


def _products(rows):
    """Products of each two rows, shape (n^2, m)."""
    return (rows[:, None, :] * rows[None, :, :]).reshape(-1, rows.shape[1])


def _ridge(matrix, right, precision):
    """Solutions (n, t) of many small ridge regressions, and the part of each unknown that the data know."""
    diagonal = range(matrix.shape[-1])
    full = matrix.copy()
    full[:, diagonal, diagonal] += precision
    covariance = np.linalg.inv(full)
    solution = (covariance @ right[:, :, None])[:, :, 0]
    return solution, 1 - precision * np.diagonal(covariance, axis1=1, axis2=2)


def _slope(image, axis):
    """Derivative of an image along an axis, by splines."""
    matrix = _slope_matrix(image.shape[0])
    return matrix @ image if axis == 0 else image @ matrix.T


@functools.cache
def _slope_matrix(size):
    """Matrix (size, size) from the values of a row of pixels to its derivatives."""
    place = np.arange(size, dtype=np.float64)
    return (spline_matrix(place + SLOPE_STEP, size) - spline_matrix(place - SLOPE_STEP, size)) / (
        2 * SLOPE_STEP
    )


def _orthonormal(modes, weight):
    """Modes made orthonormal below a weight, one after the other, without those that others explain."""
    root = np.sqrt(weight)
    found = []
    for mode in modes:
        scaled = mode * root
        rest = scaled.copy()
        for other in found:
            rest -= np.sum(rest * other * root) * other * root
        power = np.sum(rest**2)
        if power > MIN_NEW_POWER * np.sum(scaled**2):
            found.append(np.divide(rest, root * np.sqrt(power), out=np.zeros_like(rest), where=root > 0))
    return np.stack(found)
