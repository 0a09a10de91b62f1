"""How much the zero point varies over a detector, beyond what the noise of its stars makes: clouds, or a wrong flat."""

import numpy as np
from scipy.special import gammaincc

# A cell of the residual map has so many stars at least, on average; 4 cells are the fewest that show anything.
STARS_PER_CELL = 15
MOST_CELLS = 8
# A variation counts when chance makes it in less than this part of uniform detectors.
CHANCE = 1e-3
# Points along each side at which the map is evaluated: from the middle of the first of so many parts to the last one's.
MAP_SIDE = 16
# Width of a uniform distribution over its standard deviation.
WIDTH_OVER_SIGMA = np.sqrt(12.0)


def binned_residuals(u, v, residual, error):
    """Weighted mean residual of the stars in square cells.

    Parameters
    ----------
    u, v : ndarray, shape (n,), float64
        Positions, from -1 to 1 over the detector.
    residual, error : ndarray, shape (n,), float64
        Residuals and their standard errors, in any unit.

    Returns
    -------
    mean, mean_error : ndarray, shape (m,), float64
        Of the cells that hold a star; m is 0 when there are too few stars for four cells.
    """
    side = min(int(np.sqrt(len(u) / STARS_PER_CELL)), MOST_CELLS)
    if side < 2:
        return np.zeros(0), np.zeros(0)
    column, row = (np.clip(((c + 1) / 2 * side).astype(int), 0, side - 1) for c in (u, v))
    cell, weight = row * side + column, 1 / error**2
    total = np.bincount(cell, weight, side * side)
    held = total > 0
    mean = np.bincount(cell, weight * residual, side * side)[held] / total[held]
    return mean, 1 / np.sqrt(total[held])


def residual_range(mean, error):
    """Range of what is left in the cells beyond noise, as if it were spread evenly; zero when chance explains it.

    Parameters
    ----------
    mean, error : ndarray, shape (m,), float64
        From `binned_residuals`.

    Returns
    -------
    float
        In their unit.
    """
    if len(mean) == 0 or chance_of(np.sum((mean / error) ** 2), len(mean)) > CHANCE:
        return 0.0
    return float(WIDTH_OVER_SIGMA * np.sqrt(max(np.mean(mean**2) - np.mean(error**2), 0.0)))


def chance_of(chi2, n_free):
    """Probability of a larger chi2 (float).

    Parameters
    ----------
    chi2 : float
        The value.
    n_free : int
        Degrees of freedom, 1 or more.
    """
    return float(gammaincc(n_free / 2, max(chi2, 0.0) / 2))
