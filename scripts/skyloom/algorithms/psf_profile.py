"""An elliptical Moffat profile that pixels integrate, and the one that stars ask for: a first oversampled PSF."""

import numpy as np

from skyloom.core.splines import spline_coefficients

SUBSAMPLES = 4
"""Places a sample of the grid at which the profile is summed: a FWHM of one pixel errs by 1e-3 of its peak."""
STEP = 1e-3
N_STEP = 12
MAX_CHANGE = 0.3
"""Of a parameter in one step."""
LIMITS = ((np.log(0.4), np.log(10.0)), (np.log(1.2), np.log(30.0)), (-0.6, 0.6), (-0.6, 0.6))
"""Of the logarithms of FWHM [pixel] and exponent, and of the ellipticities."""
PRIOR = (1.0, 0.5, 0.2, 0.2)
"""Widths of weak priors about the start, for stars that tell nothing."""
USUAL_EXPONENT = 3.0


def moffat_image(parameters, size, sampling):
    """Image of a star by a Moffat profile that is integrated over pixels, on a grid finer than the pixels.

    Parameters
    ----------
    parameters : array_like, shape (4,)
        Logarithms of FWHM [pixel] and exponent, ellipticities e1, e2 (of the moments).
    size : int
        Side k of the image [pixel], odd.
    sampling : int
        Samples a pixel.

    Returns
    -------
    ndarray, shape (K, K), float64
        K = ``sampling (k - 1) + 1``; of the light in the pixel about each place, all the star's being 1.

    Notes
    -----
    Moffat (1969): ``(1 + r^2 / a^2)^-b``.
    """
    log_fwhm, log_exponent, e1, e2 = parameters
    exponent = np.exp(log_exponent)
    radius = np.exp(log_fwhm) / 2 / np.sqrt(2 ** (1 / exponent) - 1)
    per_pixel = SUBSAMPLES * sampling
    n = (size + 1) * per_pixel
    place = (np.arange(n) + 0.5) / per_pixel - (size + 1) / 2
    x, y = place[None, :], place[:, None]
    square = ((1 - e1) * x**2 + (1 + e1) * y**2 - 2 * e2 * x * y) / np.sqrt(1 - e1**2 - e2**2)
    profile = (1 + square / radius**2) ** -exponent * (exponent - 1) / np.pi / radius**2 / per_pixel**2
    first = SUBSAMPLES * np.arange(sampling * (size - 1) + 1) + per_pixel // 2
    index = np.arange(n)[None, :]
    box = ((index >= first[:, None]) & (index < first[:, None] + per_pixel)).astype(np.float64)
    return box @ profile @ box.T


def start_parameters(fwhm):
    """Parameters of a round Moffat profile of the usual exponent (ndarray, shape (4,)).

    Parameters
    ----------
    fwhm : float
        [pixel].
    """
    return np.array([np.log(fwhm), np.log(USUAL_EXPONENT), 0.0, 0.0])


def fitted_moffat(equations, present, start, size, sampling):
    """Spline coefficients of the Moffat profile that stars ask for.

    Parameters
    ----------
    equations : Equations
        Of a change of the present coefficients.
    present : ndarray, shape (K, K), float64
        Spline coefficients of the PSF that the stars were fitted with.
    start : ndarray, shape (4,)
        Parameters to begin with.
    size, sampling : int
        As for `moffat_image`.

    Returns
    -------
    ndarray, shape (K, K), float64
        Coefficients.

    Notes
    -----
    Gauss-Newton: the equations are exact in the coefficients, only the profile is not linear in its parameters.
    """

    def coefficients(values):
        return spline_coefficients(moffat_image(values, size, sampling)[None])[0].ravel()

    low, high = np.array(LIMITS).T
    parameters = start.copy()
    precision = np.diag(1 / np.array(PRIOR) ** 2)
    for _ in range(N_STEP):
        now = coefficients(parameters)
        slopes = np.stack([(coefficients(parameters + step) - now) / STEP for step in STEP * np.eye(4)])
        gradient = slopes @ (equations.right - equations.matrix @ (now - present.ravel()))
        gradient -= precision @ (parameters - start)
        change = np.linalg.solve(slopes @ equations.matrix @ slopes.T + precision, gradient)
        parameters = np.clip(parameters + np.clip(change, -MAX_CHANGE, MAX_CHANGE), low, high)
        if np.abs(change).max() < STEP:
            break
    return coefficients(parameters).reshape(present.shape)
