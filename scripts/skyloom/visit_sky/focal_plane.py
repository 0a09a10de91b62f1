"""The cells of all detectors of a visit as points of one plane, in units in which a detector is a square of side 1."""

from dataclasses import dataclass

import numpy as np

from skyloom.core.directions import unit_vectors
from skyloom.core.wcs import tan_project


@dataclass(frozen=True, slots=True)
class FocalPlane:
    """Cells of a visit, detector after detector.

    Attributes
    ----------
    x, y : ndarray, shape (n,), float64
        Centres on the tangent plane [detector side].
    level, left, weight : ndarray, shape (n,), float64
        As in `DetectorCells`.
    owner : ndarray, shape (n,), int64
        Index of each cell's detector among those of the visit.
    factor_prior : ndarray, shape (n_detector,), float64
        Relative error of what each detector sees of the sky.
    cell_side : float
        Side of a cell [detector side].
    mesh_places : list of tuple of ndarray
        For each detector the centres (x, y) of the mesh of its own background [detector side].
    """

    x: np.ndarray
    y: np.ndarray
    level: np.ndarray
    left: np.ndarray
    weight: np.ndarray
    owner: np.ndarray
    factor_prior: np.ndarray
    cell_side: float
    mesh_places: list

    @property
    def density(self):
        """Cells on a square as large as a detector (float)."""
        return self.cell_side**-2


def focal_plane_of(detectors):
    """Place the cells of all detectors on one plane.

    Parameters
    ----------
    detectors : list of DetectorCells
        Of one visit.

    Returns
    -------
    FocalPlane
        Tangent in the middle of all cells, so that no commanded pointing is needed.
    """
    side = float(np.median([cells.side for cells in detectors]))
    joined = {
        name: np.concatenate([getattr(cells, name) for cells in detectors])
        for name in ("ra", "dec", "level", "left", "weight")
    }
    middle = unit_vectors(joined["ra"], joined["dec"]).sum(axis=0)
    tangent = (
        np.degrees(np.arctan2(middle[1], middle[0])),
        np.degrees(np.arctan2(middle[2], np.hypot(middle[0], middle[1]))),
    )

    def place(ra, dec):
        xi, eta = tan_project(ra, dec, *tangent)
        return xi / side, eta / side

    x, y = place(joined["ra"], joined["dec"])
    return FocalPlane(
        x=x,
        y=y,
        level=joined["level"],
        left=joined["left"],
        weight=joined["weight"],
        owner=np.repeat(np.arange(len(detectors)), [len(cells.level) for cells in detectors]),
        factor_prior=np.array([cells.factor_prior for cells in detectors]),
        cell_side=float(np.median([cells.cell_side for cells in detectors])) / side,
        mesh_places=[place(cells.mesh_ra, cells.mesh_dec) for cells in detectors],
    )
