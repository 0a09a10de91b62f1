"""Cells of detectors whose sky, factors and nebula are known."""

from dataclasses import dataclass

import numpy as np

from skyloom.core.images import Background
from skyloom.visit_sky.cells import DetectorCells

SIDE, N_CELL, BIN_SIZE = 0.2, 16, 128
"""Side of a detector [degree], cells along it, and pixels along a cell."""
GAP = 0.04
SKY, NOISE = 800.0, 0.2
FACTOR_ERROR = 0.002
SETTINGS = {"shortest_wave": 3.0, "grow_sigma": 4.6}


@dataclass(frozen=True)
class DrawnVisit:
    """Cells of all detectors and the truth, an array a detector.

    Attributes
    ----------
    cells : list of DetectorCells
        With noise.
    factors : ndarray, shape (n_detector,)
        What each detector sees of the sky.
    skies, nebulae : list of ndarray
        With the factor, and without.
    """

    cells: list
    factors: np.ndarray
    skies: list
    nebulae: list

    def errors(self, sky):
        """Sky of the visit minus the truth, an array a detector."""
        pairs = zip(self.cells, self.skies, strict=True)
        return [sky.detectors[c.detector].change.mesh + c.own.mesh - true for c, true in pairs]


def draw_cells(seed, columns, rows, nebula=lambda x, y: 0.0 * x, *, gradient=0.05, bowl=0.02):
    """Detectors in rows; the nebula is a function of (x, y) in sides of a detector from the middle."""
    rng = np.random.default_rng(seed)
    offsets = (np.arange(N_CELL) + 0.5) / N_CELL - 0.5
    half = max(rows, columns) / 2
    visit = DrawnVisit([], 1 + rng.normal(0, FACTOR_ERROR, rows * columns), [], [])
    for number, factor in enumerate(visit.factors):
        row, column = divmod(number, columns)
        x, y = np.meshgrid(
            (column - (columns - 1) / 2) * (1 + GAP) + offsets, (row - (rows - 1) / 2) * (1 + GAP) + offsets
        )
        u, v = x / half, y / half
        sky = factor * SKY * (1 + gradient * (0.8 * u + 0.6 * v) + bowl * (u**2 - 0.5 * u * v))
        light = nebula(x, y)
        level = sky + factor * light + rng.normal(0, NOISE, x.shape)
        own = Background(np.float32(sky + 0.3 * light), BIN_SIZE, (N_CELL * BIN_SIZE,) * 2)
        ra, dec = 150 + SIDE * x.ravel(), SIDE * y.ravel()
        left = (level - own.mesh).ravel()
        cells = DetectorCells(
            visit=1, detector=number, side=SIDE, cell_side=SIDE / N_CELL, ra=ra, dec=dec, level=level.ravel(),
            left=left, weight=np.ones(level.size), factor_prior=FACTOR_ERROR, own=own, mesh_ra=ra, mesh_dec=dec,
        )  # fmt: skip
        visit.cells.append(cells)
        visit.skies.append(sky)
        visit.nebulae.append(light)
    return visit
