"""The PSF of a coadd: in each cell the mean PSF of the warps that most of its pixels hold."""

import numpy as np

from skyloom.algorithms.field_plane import fit_field_plane
from skyloom.coadd.combine import CLEAN, UNUSED
from skyloom.core.psf import CellPsf


def coadd_psf(warps, combination, frame, cell_size):
    """PSF of a coadd, and where it is not the right one.

    Parameters
    ----------
    warps : list of Exposure
        Warps with cell PSFs.
    combination : Combination
        Which warps each pixel holds.
    frame : PatchFrame
        Weights.
    cell_size : int
        Side of a cell [pixel].

    Returns
    -------
    psf : CellPsf
        On the patch's cell grid; NaN in cells without data.
    is_inexact : ndarray, shape (ny, nx), bool
        Pixels that hold other warps than the PSF of their cell.
    """
    ny, nx = frame.shape
    rows, columns = -(-ny // cell_size), -(-nx // cell_size)
    size = max(warp.psf.size for warp in warps)
    images = np.full((rows, columns, size, size), np.nan, dtype=np.float32)
    is_inexact = np.zeros(frame.shape, dtype=bool)
    for row in range(rows):
        for column in range(columns):
            y0, x0 = row * cell_size, column * cell_size
            cell = np.s_[y0 : y0 + cell_size, x0 : x0 + cell_size]
            signature = combination.signature[cell]
            sets, first, count = np.unique(signature, return_index=True, return_counts=True)
            count[sets == 0] = 0
            if not count.any():
                continue
            winner = int(count.argmax())
            dy, dx = np.unravel_index(first[winner], signature.shape)
            images[row, column] = _mean_psf(warps, combination, frame, (x0 + int(dx), y0 + int(dy)), size)
            is_inexact[cell] = (signature != sets[winner]) & (signature != 0)
    return CellPsf(images, cell_size), is_inexact


def coadd_aperture_correction(warps, psf, frame):
    """Aperture correction of a coadd: a plane through the mean of the warps' corrections in the cells.

    Parameters
    ----------
    warps : list of Exposure
        Warps.
    psf : CellPsf
        The coadd's PSF, which tells the cells with data.
    frame : PatchFrame
        Weights.

    Returns
    -------
    FieldPolynomial or None
        In the patch's pixels; None when a warp has none.
    """
    if any(warp.ap_corr is None for warp in warps):
        return None
    shape = psf.images.shape[:2]
    total, weight = np.zeros(shape), np.zeros(shape)
    for warp, warp_weight in zip(warps, frame.weight, strict=True):
        rows, columns = _filled_cells(warp)
        x, y = _cell_centres(rows, columns, psf.cell_size)
        values = warp.ap_corr.evaluate(x - warp.info.origin[0], y - warp.info.origin[1])
        total[rows, columns] += warp_weight * values
        weight[rows, columns] += warp_weight
    rows, columns = np.nonzero(weight)
    domain = (-0.5, frame.shape[1] - 0.5, -0.5, frame.shape[0] - 0.5)
    filled = weight[rows, columns]
    return fit_field_plane(
        _cell_centres(rows, columns, psf.cell_size), total[rows, columns] / filled, filled, domain
    )


def _filled_cells(warp):
    """Rows and columns, in the patch's grid, of the cells that a warp has a PSF for."""
    rows, columns = np.nonzero(np.isfinite(warp.psf.images[:, :, 0, 0]))
    first = [int(o + p) // warp.psf.cell_size for o, p in zip(warp.psf.origin, warp.info.origin, strict=True)]
    return rows + first[1], columns + first[0]


def _cell_centres(rows, columns, cell_size):
    """Positions (x, y) of the middles of cells [patch pixel]."""
    return (columns + 0.5) * cell_size - 0.5, (rows + 0.5) * cell_size - 0.5


def _mean_psf(warps, combination, frame, pixel, size):
    """Weighted mean of the PSFs of the warps that one pixel (x, y) holds."""
    x, y = pixel
    least = UNUSED + 1 if combination.is_spare[y, x] else CLEAN
    total, weight = np.zeros((size, size)), 0.0
    for warp, role, warp_weight in zip(warps, combination.roles, frame.weight, strict=True):
        column, row = x - warp.info.origin[0], y - warp.info.origin[1]
        ny, nx = role.shape
        if not (0 <= column < nx and 0 <= row < ny and role[row, column] >= least):
            continue
        margin = (size - warp.psf.size) // 2
        total += warp_weight * np.pad(warp.psf.kernel_at(column, row), margin)
        weight += warp_weight
    return total / weight
