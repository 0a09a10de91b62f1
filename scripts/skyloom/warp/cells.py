"""The PSF of a warp: for each cell of the patch's grid the resampled PSF of the detector that fills it."""

from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.field_plane import fit_field_plane
from skyloom.algorithms.resampling import map_jacobian, resample_kernels, source_positions
from skyloom.core.images import Exposure
from skyloom.core.psf import CellPsf


@dataclass(frozen=True, slots=True)
class CellCoverage:
    """How the detectors fill the cells of a rectangle of patch pixels.

    Attributes
    ----------
    first : tuple of int
        ``(column, row)`` of the rectangle's first cell in the patch's grid.
    count : ndarray, shape (n_detector, cy, cx), int64
        Pixels of each cell that come from each detector.
    x, y : ndarray, shape (n_detector, cy, cx), float64
        Mean position of those pixels [patch pixel]; 0 where there is none.
    """

    first: tuple
    count: np.ndarray
    x: np.ndarray
    y: np.ndarray


def cell_coverage(owner, origin, cell_size, n_detector):
    """Pixels and mean positions of each detector in each cell.

    Parameters
    ----------
    owner : ndarray, shape (ny, nx), int16
        Index of the detector that a pixel comes from; -1 for none.
    origin : tuple of int
        ``(x0, y0)``: patch pixel of the array's first pixel.
    cell_size : int
        Side of a cell [pixel].
    n_detector : int
        Number of detectors.

    Returns
    -------
    CellCoverage
        On the cells that the array touches.
    """
    ny, nx = owner.shape
    columns = origin[0] + np.arange(nx)
    rows = origin[1] + np.arange(ny)
    first = (int(columns[0] // cell_size), int(rows[0] // cell_size))
    starts_x = np.flatnonzero(np.diff(columns // cell_size, prepend=-1))
    starts_y = np.flatnonzero(np.diff(rows // cell_size, prepend=-1))
    shape = (n_detector, len(starts_y), len(starts_x))
    count, sum_x, sum_y = np.zeros(shape, dtype=np.int64), np.zeros(shape), np.zeros(shape)
    for detector in range(n_detector):
        by_column = np.add.reduceat((owner == detector).astype(np.int64), starts_y, axis=0)
        by_row = np.add.reduceat((owner == detector).astype(np.int64), starts_x, axis=1)
        count[detector] = np.add.reduceat(by_column, starts_x, axis=1)
        sum_x[detector] = np.add.reduceat(by_column * columns, starts_x, axis=1)
        sum_y[detector] = np.add.reduceat(by_row * rows[:, None], starts_y, axis=0)
    some = np.maximum(count, 1)
    return CellCoverage(first, count, sum_x / some, sum_y / some)


def warp_psf(calexps, patch, coverage, cell_size, origin):
    """PSF of a warp on the cells of the patch's grid.

    Parameters
    ----------
    calexps : list of Exposure
        Detectors in the order of `coverage`, each with a PSF.
    patch : Patch
        The patch.
    coverage : CellCoverage
        Which detector fills which cell.
    cell_size : int
        Side of a cell [pixel].
    origin : tuple of int
        ``(x0, y0)``: patch pixel of the warp's first pixel.

    Returns
    -------
    CellPsf
        Each cell has the PSF of the detector that fills most of it, at the mean position of those pixels,
        transformed by the local Jacobian and smoothed as the image was; NaN in empty cells.
    """
    owned = owned_cells(calexps, coverage)
    jacobians = [map_jacobian(patch.wcs, cells.calexp.wcs, cells.x, cells.y) for cells in owned]
    size = max(
        _kernel_size(cells.calexp.psf.size, jacobian)
        for cells, jacobian in zip(owned, jacobians, strict=True)
    )
    images = np.full((*coverage.count.shape[1:], size, size), np.nan, dtype=np.float32)
    for cells, jacobian in zip(owned, jacobians, strict=True):
        x, y = source_positions(patch.wcs, cells.calexp.wcs, cells.x, cells.y)
        images[cells.rows, cells.columns] = resample_kernels(
            cells.calexp.psf.kernels_at(x, y), jacobian, size
        )
    first = coverage.first
    cell_origin = (float(first[0] * cell_size - origin[0]), float(first[1] * cell_size - origin[1]))
    return CellPsf(images, cell_size, cell_origin)


def warp_aperture_correction(calexps, patch, coverage, origin, shape):
    """Aperture correction of a warp: a plane through the detectors' corrections in the cells.

    Parameters
    ----------
    calexps : list of Exposure
        Detectors in the order of `coverage`.
    patch : Patch
        The patch.
    coverage : CellCoverage
        Which detector fills which cell.
    origin, shape : tuple of int
        ``(x0, y0)`` and ``(ny, nx)`` of the warp in the patch.

    Returns
    -------
    FieldPolynomial or None
        In the warp's pixels; None when a detector has none.
    """
    if any(calexp.ap_corr is None for calexp in calexps):
        return None
    x, y, values, weights = [], [], [], []
    for cells in owned_cells(calexps, coverage):
        values.append(
            cells.calexp.ap_corr.evaluate(*source_positions(patch.wcs, cells.calexp.wcs, cells.x, cells.y))
        )
        x.append(cells.x - origin[0])
        y.append(cells.y - origin[1])
        weights.append(coverage.count[cells.index, cells.rows, cells.columns].astype(np.float64))
    domain = (-0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5)
    positions = (np.concatenate(x), np.concatenate(y))
    return fit_field_plane(positions, np.concatenate(values), np.concatenate(weights), domain)


@dataclass(frozen=True, slots=True)
class OwnedCells:
    """Cells that one detector fills more than the others do.

    Attributes
    ----------
    index : int
        Which detector.
    calexp : Exposure
        The detector.
    rows, columns : ndarray, shape (m,), int
        The cells.
    x, y : ndarray, shape (m,), float64
        Mean position of the detector's pixels in each [patch pixel].
    """

    index: int
    calexp: Exposure
    rows: np.ndarray
    columns: np.ndarray
    x: np.ndarray
    y: np.ndarray


def owned_cells(calexps, coverage):
    """Cells of each detector.

    Parameters
    ----------
    calexps : list of Exposure
        Detectors in the order of `coverage`.
    coverage : CellCoverage
        Which detector fills which cell.

    Returns
    -------
    list of OwnedCells
        Without the detectors that own none.
    """
    best = coverage.count.argmax(axis=0)
    filled = coverage.count.max(axis=0) > 0
    owned = []
    for index, calexp in enumerate(calexps):
        rows, columns = np.nonzero(filled & (best == index))
        if len(rows):
            where = (index, rows, columns)
            owned.append(OwnedCells(index, calexp, rows, columns, coverage.x[where], coverage.y[where]))
    return owned


def _kernel_size(size, jacobian):
    """Odd side of a PSF image on the target that covers as much sky as `size` source pixels."""
    scale = float(np.sqrt(np.abs(np.linalg.det(jacobian))).mean())
    return 2 * int(np.rint((size // 2) / scale)) + 1
