"""What each detector sees of the sky beside its neighbours: one continuous light over the focal plane, and a factor."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from skyloom.algorithms.robust import mad_sigma
from skyloom.algorithms.spline_surface import grid_over
from skyloom.visit_sky.surface import LEAST_WAVE, penalty

LIGHT_WAVE = 0.25
"""Wave of the continuous light that is halved [detector side]: nebulae and galaxies are part of it."""
KNOTS_PER_WAVE = 2
"""Twice as many give the same factors at twenty times the cost."""
MISSED_PART = 0.1
"""Of the light of an object, what the surface may miss where it is steep."""
CLIP_SIGMA = 4.0
N_ROUND = 3
LEAST_NOISE = 1e-6
"""Of a cell, as a part of the sky: a million million electrons would have it."""


def fit_factors(plane, objects):
    """Factors of the detectors from the light on both sides of the gaps between them.

    Parameters
    ----------
    plane : FocalPlane
        Cells of a visit; at least one of some weight.
    objects : ndarray, shape (n,), float64
        What each cell holds of objects, as far as it is known [nJy].

    Returns
    -------
    factors, errors : ndarray, shape (n_detector,), float64
        Near 1, and their standard errors; 1 and that of the prior for a detector without cells.

    Notes
    -----
    The sky and the light of nebulae go on from one detector to the next; what is wrong with a zero point or a flat
    ends with its detector. So the levels are ``f_d T(x, y)`` with a surface T that is free to follow objects down
    to a quarter of a detector: the f_d are where the steps go, and their priors decide what steps cannot tell,
    waves over many detectors. A nebula as large as a detector moves no factor, as it would if a factor were the
    ratio of a detector's level to a sky of long waves. T misses some of what is steep: cells with light of objects
    have that part of it as an error, and count little beside cells of sky where there are such. Cells that T does
    not follow at all are clipped.
    """
    wave = max(LIGHT_WAVE, LEAST_WAVE * plane.cell_side)
    grid = grid_over(plane.x, plane.y, wave / KNOTS_PER_WAVE)
    design, known = grid.design(plane.x, plane.y), plane.weight > 0
    mean = np.average(plane.level, weights=plane.weight)
    light, used = np.full(plane.level.shape, mean), known
    noise = _noise(plane.left, plane.weight, mean)
    weight = plane.weight / (1 + plane.weight * (MISSED_PART * objects / noise) ** 2)
    for _ in range(N_ROUND):
        model = sparse.hstack([design, _of_detectors(plane, light / mean)], format="csr")
        prior = [penalty(plane, grid, wave, np.count_nonzero(used)), _factor_penalty(plane, noise / mean)]
        weights = np.where(used, weight, 0.0)
        normal = model.T @ model.multiply(weights[:, None]) + sparse.block_diag(prior)
        solver = splu(normal.tocsc())
        found = solver.solve(model.T @ (weights * plane.level))
        light, residuals = design @ found[: design.shape[1]], plane.level - model @ found
        n_detector = len(plane.factor_prior)
        errors = noise / abs(mean) * _root_of_variances(solver, len(found), n_detector)
        noise = _noise(residuals, weight, mean)
        kept = known & (np.abs(residuals) * np.sqrt(weight) <= CLIP_SIGMA * noise)
        if np.array_equal(kept, used):
            break
        used = kept
    return 1 + found[-n_detector:] / mean, errors


def _noise(residuals, weights, mean):
    """Robust noise of a cell of weight 1."""
    known = weights > 0
    return max(mad_sigma(residuals[known] * np.sqrt(weights[known])), LEAST_NOISE * abs(mean))


def _of_detectors(plane, values):
    """Matrix (cell, detector) of values of each cell in the column of its detector."""
    n_cell = len(values)
    shape = (n_cell, len(plane.factor_prior))
    return sparse.csr_array((values, (np.arange(n_cell), plane.owner)), shape=shape)


def _factor_penalty(plane, relative_noise):
    """Matrix that keeps factors near 1, in the unit of the weights."""
    return sparse.diags_array((relative_noise / plane.factor_prior) ** 2)


def _root_of_variances(solver, n_unknown, n_wanted):
    """Errors of the last unknowns where a level of weight 1 has error 1."""
    unit = np.zeros((n_unknown, n_wanted))
    unit[-n_wanted:] = np.eye(n_wanted)
    return np.sqrt(np.diagonal(solver.solve(unit)[-n_wanted:]))
