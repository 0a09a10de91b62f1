"""The sky of long waves over the focal plane, through the cells that no object lifts."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from skyloom.algorithms.smooth_mesh import LEAST_CELLS_BOWL, LEAST_CELLS_PLANE, surface_without_objects
from skyloom.algorithms.spline_surface import SplineGrid, grid_over, roughness_weight

LEAST_WAVE = 4.0
"""Shortest wave that cells can hold [cell]."""
KNOTS_PER_WAVE = 4
TOUCHING = 1.6
"""Centres of cells that touch are this near [cell], corners and narrow gaps between detectors included."""
FLATNESS = 1e-8
"""Weight of the slope where cells in one line leave it open: nothing beside that of the cells anywhere else."""


@dataclass(frozen=True, slots=True)
class SmoothSky:
    """Sky at any place of the focal plane.

    Attributes
    ----------
    grid : SplineGrid
        Knots.
    coefficients : ndarray, shape (n_spline,), float64
        Of the splines [nJy].
    """

    grid: SplineGrid
    coefficients: np.ndarray

    def evaluate(self, x, y):
        """Sky at places of the focal plane [detector side] (ndarray, shape (n,), float64, nJy).

        Parameters
        ----------
        x, y : ndarray, shape (n,), float64
            Within the grid or beside it.
        """
        return self.grid.design(x, y) @ self.coefficients


def penalty(plane, grid, wave, n_used):
    """Matrix that keeps a surface through some cells smooth.

    Parameters
    ----------
    plane : FocalPlane
        All cells.
    grid : SplineGrid
        Knots of the surface.
    wave : float
        Wave that is halved where all cells are known [detector side].
    n_used : int
        Cells that make the surface: many let it bend as a bowl, few as a plane, very few not at all.

    Returns
    -------
    scipy.sparse.csr_array, shape (n_spline, n_spline)
        In the unit of the weights.
    """
    order = 1 + (n_used >= LEAST_CELLS_PLANE) + (n_used >= LEAST_CELLS_BOWL)
    return roughness_weight(plane.density, wave, order) * grid.roughness(
        order
    ) + FLATNESS * plane.density * grid.roughness(1)


def fit_sky(plane, factors, shortest_wave):
    """Sky through the cells of a visit, without those on objects.

    Parameters
    ----------
    plane : FocalPlane
        Cells of a visit; at least one of some weight.
    factors : ndarray, shape (n_detector,), float64
        What each detector sees of the sky.
    shortest_wave : float
        Wave that is halved [detector side]; no shorter than a few cells.

    Returns
    -------
    sky : SmoothSky
        Of a detector of factor 1.
    is_sky : ndarray, shape (n,), bool
        Cells that made it.

    Notes
    -----
    Cells on nebulae and galaxies, with their faint rims, are left out as `surface_without_objects` says, over the gaps
    between detectors too. Quadratic polynomials have no roughness: a tilt and a bowl are followed however long the
    shortest wave is.
    """
    wave = max(shortest_wave, LEAST_WAVE * plane.cell_side)
    grid = grid_over(*_all_places(plane), wave / KNOTS_PER_WAVE)
    design, levels = grid.design(plane.x, plane.y), plane.level / factors[plane.owner]
    neighbours = _neighbours(plane)
    coefficients = None

    def surface_of(used, stiffness):
        nonlocal coefficients
        weights = np.where(used, plane.weight, 0.0)
        normal = design.T @ design.multiply(weights[:, None])
        normal = normal + penalty(plane, grid, stiffness * wave, np.count_nonzero(used))
        coefficients = splu(normal.tocsc()).solve(design.T @ (weights * levels))
        return design @ coefficients

    def beside(cells):
        touched = np.zeros(len(cells), dtype=bool)
        for one, other in (neighbours, neighbours[::-1]):
            touched[one[cells[other]]] = True
        return touched | cells

    _, is_sky = surface_without_objects(levels, plane.weight, surface_of, beside)
    return SmoothSky(grid, coefficients), is_sky


def _all_places(plane):
    """Places of all cells and of the meshes that the sky is wanted on."""
    return tuple(
        np.concatenate([own, *(place[axis] for place in plane.mesh_places)])
        for axis, own in enumerate((plane.x, plane.y))
    )


def _neighbours(plane):
    """Pairs of cells that touch, as two arrays of indices."""
    tree = cKDTree(np.stack([plane.x, plane.y], axis=1))
    return tree.query_pairs(TOUCHING * plane.cell_side, output_type="ndarray").T
