"""A smooth surface through the levels of a mesh, some of which are unknown and some lifted by the light of objects."""

import numpy as np

from skyloom.algorithms.robust import MAD_TO_SIGMA

SEED_SIGMA, GROW_SIGMA = 4.0, 2.0
"""Cells this far above the surface are none of the sky; so are those above the second beside such or unknown ones."""
LOW_SIGMA = 4.0
"""Cells this far below the surface are left out too."""
STIFFNESS = (4.0, 2.0, 1.4, 1.0)
"""Waves of the first rounds, in shortest waves: a stiff surface does not climb the objects that are still in."""
N_ROUND = 12
PAD_WAVES = 0.5
"""Margin about the mesh, in shortest waves: the surface is as free to bend at the edges as in the middle."""
HIGHEST_MODE = 2.5
"""Waves this many times shorter than the shortest are not there at all."""
LEAST_CELLS_PLANE, LEAST_CELLS_BOWL = 6, 24
TOLERANCE, N_STEP = 1e-4, 60


def smooth_mesh(levels, weights, shortest_wave):
    """Smooth surface through a mesh, without the cells that stand out of it.

    Parameters
    ----------
    levels : ndarray, shape (ny, nx), float64
        Level of each cell; NaN where it is not known.
    weights : ndarray, shape (ny, nx), float64
        Their inverse variances in any unit, up to 1; 0 where the level is not known.
    shortest_wave : float
        Wave whose amplitude is halved where all weights are 1 [cell]; longer ones pass, shorter ones do not.

    Returns
    -------
    surface : ndarray, shape (ny, nx), float64
        At the centres of all cells.
    is_sky : ndarray, shape (ny, nx), bool
        Cells that made it.

    Notes
    -----
    A quadratic polynomial and, of what that leaves, the minimum of ``sum w (y - z)^2 + s sum (Laplacian z)^2`` in
    cosines (Eilers & Marx 1996; Garcia 2010 in cosines), solved by conjugate gradients; cells that stand out are left
    out as `surface_without_objects` says.
    """
    known = weights > 0
    levels = np.where(known, levels, 0.0)

    def surface_of(used, stiffness):
        return _surface(levels, np.where(used, weights, 0.0), stiffness * shortest_wave)

    return surface_without_objects(levels, weights, surface_of, _beside)


def surface_without_objects(levels, weights, surface_of, beside):
    """Surface through levels, without the cells that stand out of it.

    Parameters
    ----------
    levels : ndarray, any shape, float64
        Level of each cell, finite.
    weights : ndarray, same shape, float64
        Their inverse variances in any unit; 0 where the level is not known.
    surface_of : callable
        Gives the surface at all cells from those that are used (ndarray of bool) and by how much longer its shortest
        wave is (float).
    beside : callable
        Gives the cells that touch some (ndarray of bool, from the same).

    Returns
    -------
    surface : ndarray, same shape, float64
        At all cells.
    is_sky : ndarray, same shape, bool
        Cells that made it.

    Notes
    -----
    Cells far above the surface are taken out, and then, again and again, those beside them that are above it at all
    clearly: a galaxy or the aureole of a star takes its faint rim with it. The first rounds are stiffer.
    """
    known = weights > 0
    used = known
    for number in range(N_ROUND):
        stiffness = STIFFNESS[min(number, len(STIFFNESS) - 1)]
        surface = surface_of(used, stiffness)
        kept = _without_objects((levels - surface) * np.sqrt(weights), known, beside)
        if number >= len(STIFFNESS) and np.array_equal(kept, used):
            break
        used = kept
    return surface, used


def _without_objects(residuals, known, beside):
    """Cells that are known and do not stand out, from residuals in equal noise."""
    sigma = MAD_TO_SIGMA * np.median(np.abs(residuals[known]))
    if sigma == 0:
        return known
    is_object = known & (residuals > SEED_SIGMA * sigma)
    is_lifted = known & (residuals > GROW_SIGMA * sigma)
    while True:
        grown = is_object | (is_lifted & beside(is_object | ~known))
        if np.array_equal(grown, is_object):
            break
        is_object = grown
    # One more around them: the light does not end where the noise hides it.
    kept = known & ~beside(is_object) & (residuals > -LOW_SIGMA * sigma)
    return kept if kept.any() else known


def _beside(cells):
    """Cells that touch some of those given."""
    padded = np.pad(cells, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    return rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]


def _surface(levels, weights, shortest_wave):
    """Polynomial and waves through the cells that have weight."""
    ny, nx = levels.shape
    v, u = np.meshgrid(np.linspace(-1, 1, ny), np.linspace(-1, 1, nx), indexing="ij")
    n_cell = np.count_nonzero(weights)
    terms = [np.ones_like(u)]
    if n_cell >= LEAST_CELLS_PLANE:
        terms += [u, v]
    if n_cell >= LEAST_CELLS_BOWL:
        terms += [u * u, u * v, v * v]
    design = np.stack([term.ravel() for term in terms], axis=1)
    root = np.sqrt(weights).ravel()
    coefficients = np.linalg.lstsq(design * root[:, None], levels.ravel() * root, rcond=1e-10)[0]
    trend = (design @ coefficients).reshape(ny, nx)
    return trend + _waves(np.where(weights > 0, levels - trend, 0.0), weights, shortest_wave)


def _waves(residuals, weights, shortest_wave):
    """Penalised sum of cosines through the residuals."""
    pad = int(np.ceil(PAD_WAVES * shortest_wave))
    ny, nx = residuals.shape
    rows, row_wave = _cosines(ny, pad, shortest_wave)
    columns, column_wave = _cosines(nx, pad, shortest_wave)
    penalty = (row_wave[:, None] ** 2 + column_wave**2) ** 2
    step = 1 / (penalty + max(weights.mean(), 1e-6))
    target = rows @ (weights * residuals) @ columns.T

    def applied(c):
        return penalty * c + rows @ (weights * (rows.T @ c @ columns)) @ columns.T

    solution = np.zeros_like(penalty)
    left = target.copy()
    direction = step * left
    power = np.sum(left * direction)
    least = TOLERANCE**2 * power
    for _ in range(N_STEP):
        if power <= least:
            break
        image = applied(direction)
        length = power / np.sum(direction * image)
        solution += length * direction
        left -= length * image
        conditioned = step * left
        new_power = np.sum(left * conditioned)
        direction = conditioned + new_power / power * direction
        power = new_power
    return rows.T @ solution @ columns


def _cosines(n, pad, shortest_wave):
    """Cosines (mode, cell) of a padded row, orthonormal, and the number of shortest waves in each."""
    n_padded = n + 2 * pad
    # Half periods over the row; at the shortest wave there are 2 n / wave of them.
    n_mode = min(int(HIGHEST_MODE * 2 * n_padded / shortest_wave) + 1, n_padded)
    mode = np.arange(n_mode)
    place = (np.arange(n) + pad + 0.5) / n_padded
    cosines = np.cos(np.pi * mode[:, None] * place) * np.sqrt(np.where(mode == 0, 1, 2) / n_padded)[:, None]
    return cosines, mode * shortest_wave / (2 * n_padded)
