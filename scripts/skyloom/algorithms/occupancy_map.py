"""A map of where references are near: which of many transformations lays the most points on them."""

from dataclasses import dataclass

import numpy as np

from skyloom.core.jit import kernel

# Cells of the map over the matching tolerance.
CELLS_PER_TOLERANCE = 2.0
MAX_MAP_SIDE = 4000
# Where more than this is to be looked up, every so manieth point is looked up first, and so many of them must be near.
MANY = 100_000
FIRST_LOOK, FIRST_COUNT = 4, 2


@dataclass(frozen=True, slots=True)
class OccupancyMap:
    """Where a reference lies within the tolerance, on a grid that is looked up instead of searched.

    Attributes
    ----------
    occupied : ndarray, shape (height, width), bool
        True in the cells near a reference.
    cell : float
        Side of a cell [pixel].
    origin : complex
        Outer corner ``x + i y`` of the first cell [pixel].
    """

    occupied: np.ndarray
    cell: float
    origin: complex

    @classmethod
    def of(cls, references, tolerance):
        """Map of references.

        Parameters
        ----------
        references : ndarray, shape (n,), complex128
            Positions ``x + i y`` [pixel].
        tolerance : float
            How far from one counts as near [pixel].

        Returns
        -------
        OccupancyMap
            It reaches two tolerances beyond the outermost references.
        """
        low = complex(references.real.min(), references.imag.min()) - 2 * tolerance * (1 + 1j)
        high = complex(references.real.max(), references.imag.max()) + 2 * tolerance * (1 + 1j)
        side = max(high.real - low.real, high.imag - low.imag)
        cell = max(tolerance / CELLS_PER_TOLERANCE, side / MAX_MAP_SIDE)
        shape = (int((high.imag - low.imag) / cell) + 2, int((high.real - low.real) / cell) + 2)
        occupied = np.zeros(shape, dtype=bool)
        reach = int(np.ceil(tolerance / cell))
        column = (references.real - low.real) / cell
        row = (references.imag - low.imag) / cell
        for step_y in range(-reach, reach + 1):
            for step_x in range(-reach, reach + 1):
                i, j = np.floor(row).astype(int) + step_y, np.floor(column).astype(int) + step_x
                near = np.hypot(i + 0.5 - row, j + 0.5 - column) * cell <= tolerance
                inside = near & (i >= 0) & (i < shape[0]) & (j >= 0) & (j < shape[1])
                occupied[i[inside], j[inside]] = True
        return cls(occupied, cell, low)

    def best_transformation(self, points, factor, offset, fewest):
        """The transformation ``z -> factor * z + offset`` that lays the most points near references.

        Parameters
        ----------
        points : ndarray, shape (n,), complex128
            Positions ``x + i y`` before the transformation [pixel].
        factor, offset : ndarray, shape (k,), complex128
            The transformations.
        fewest : int
            Number of points that must be near references.

        Returns
        -------
        number, count : int
            The first transformation of those with the most points near references, and how many they are;
            (-1, 0) if none reaches `fewest`.
        """
        is_first = np.arange(len(points)) % FIRST_LOOK == 0
        points = np.concatenate([points[is_first], points[~is_first]])
        n_first = int(is_first.sum()) if factor.size * points.size > MANY else 0
        grid = (self.occupied, self.cell, self.origin)
        return _best_transformation(points, n_first, (factor, offset), grid, fewest)


@kernel
def _best_transformation(points, n_first, transformations, grid, fewest):
    """Count the points near references, leaving each transformation as soon as it is hopeless or cannot win."""
    factor, offset = transformations
    occupied, cell, origin = grid
    height, width = occupied.shape
    best, most = -1, fewest - 1
    for k in range(factor.size):
        step_x, step_y = factor[k].real / cell, factor[k].imag / cell
        start_x, start_y = (offset[k].real - origin.real) / cell, (offset[k].imag - origin.imag) / cell
        count = 0
        for i in range(points.size):
            if count + points.size - i <= most or (i == n_first > 0 and count < FIRST_COUNT):
                break
            z = points[i]
            column = start_x + step_x * z.real - step_y * z.imag
            row = start_y + step_x * z.imag + step_y * z.real
            if 0 <= column < width and 0 <= row < height and occupied[int(row), int(column)]:
                count += 1
        if count > most:
            best, most = k, count
    return best, most if best >= 0 else 0


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    points = np.zeros(3, dtype=np.complex128)
    OccupancyMap.of(points, 1.0).best_transformation(points, points + 1, points, 1)
