"""What one calexp says of the sky: levels of cells between its objects, and where they are."""

import logging
from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.background import IGNORED, cell_levels
from skyloom.algorithms.footprints import grow_mask
from skyloom.core import mask_planes
from skyloom.core.images import Background
from skyloom.core.psf import psf_moments

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DetectorCells:
    """Cells of one detector, raveled, and the mesh of its own background.

    Attributes
    ----------
    visit, detector : int
        Identity.
    side : float
        Side of a square as large as the detector [degree].
    cell_side : float
        Side of a cell [degree].
    ra, dec : ndarray, shape (n,), float64
        Centres of the cells [degree].
    level : ndarray, shape (n,), float64
        Sky and what of objects is not masked [nJy]; 0 where it is not known.
    left : ndarray, shape (n,), float64
        The same less the calexp's own background.
    weight : ndarray, shape (n,), float64
        Part of the pixels that made it, 0 where they are too few.
    factor_prior : float
        Relative error of what the detector sees of the sky: that of its zero point and of its flat.
    own : Background
        What was subtracted from the calexp [nJy].
    mesh_ra, mesh_dec : ndarray, shape (m,), float64
        Centres of the cells of `own`, raveled [degree].
    """

    visit: int
    detector: int
    side: float
    cell_side: float
    ra: np.ndarray
    dec: np.ndarray
    level: np.ndarray
    left: np.ndarray
    weight: np.ndarray
    factor_prior: float
    own: Background
    mesh_ra: np.ndarray
    mesh_dec: np.ndarray


def measure_cells(calexp, settings):
    """Cells of a calexp.

    Parameters
    ----------
    calexp : Exposure
        Background-subtracted, with WCS, PSF, zero point and background.
    settings : dict
        Section ``visit_sky``.

    Returns
    -------
    DetectorCells
        All of weight 0 where objects or masks leave nothing of the sky.

    Notes
    -----
    Levels are those of the subtracted image, which is flat within a cell, plus the mean of the background over the
    cell: whichever pixels are masked, the level is that of the cell's middle.
    """
    bin_size, image = settings["bin_size"], calexp.pixels.image
    levels, n_good = cell_levels(image, _is_sky(calexp, settings["grow_sigma"]), bin_size)
    left = np.where(n_good > 0, levels, 0.0)
    level = np.where(n_good > 0, left + _cell_means(calexp.background.image(), bin_size), 0.0)
    ra, dec = calexp.wcs.pixel_to_sky(*_centres(image.shape, bin_size))
    own = calexp.background
    mesh_ra, mesh_dec = calexp.wcs.pixel_to_sky(*_mesh_centres(own))
    scale = calexp.wcs.pixel_scale() / 3600
    log.info("detector %d: %d of %d cells", calexp.info.detector, np.count_nonzero(n_good), n_good.size)
    return DetectorCells(
        visit=calexp.info.visit,
        detector=calexp.info.detector,
        side=scale * np.sqrt(image.size),
        cell_side=scale * bin_size,
        ra=ra,
        dec=dec,
        level=level.ravel(),
        left=left.ravel(),
        weight=n_good.ravel() / bin_size**2,
        factor_prior=float(np.hypot(settings["flat_error"], _zero_point_error(calexp))),
        own=own,
        mesh_ra=mesh_ra,
        mesh_dec=mesh_dec,
    )


def _is_sky(calexp, grow_sigma):
    """Pixels without a mask and away from detections."""
    pixels = calexp.pixels
    ny, nx = pixels.shape
    kernel = calexp.psf.kernels_at(np.array([(nx - 1) / 2]), np.array([(ny - 1) / 2]))[0]
    is_object = grow_mask(
        pixels.is_masked(mask_planes.bits("DETECTED", "DETECTED_NEGATIVE")),
        grow_sigma * psf_moments(kernel)[0],
    )
    return ~(is_object | pixels.is_masked(IGNORED))


def _cell_means(image, bin_size):
    """Mean of each cell of an image."""
    ny, nx = image.shape
    rows, columns = np.arange(0, ny, bin_size), np.arange(0, nx, bin_size)
    sums = np.add.reduceat(np.add.reduceat(image, rows, axis=0, dtype=np.float64), columns, axis=1)
    return sums / np.outer(np.diff(rows, append=ny), np.diff(columns, append=nx))


def _centres(shape, bin_size):
    """Centres (x, y) of the cells, raveled; cells that the edge cuts are centred on what is left."""
    ny, nx = shape
    y, x = (
        (np.arange(0, n, bin_size) + np.minimum(np.arange(0, n, bin_size) + bin_size, n) - 1) / 2
        for n in (ny, nx)
    )
    return np.tile(x, len(y)), np.repeat(y, len(x))


def _mesh_centres(background):
    """Centres (x, y) of the cells of a background's mesh, raveled, those over the edge as all others."""
    y, x = ((np.arange(n) + 0.5) * background.bin_size - 0.5 for n in background.mesh.shape)
    return np.tile(x, len(y)), np.repeat(y, len(x))


def _zero_point_error(calexp):
    """Relative error of the zero point in the middle of the detector; 0 where it is not known."""
    ny, nx = calexp.pixels.shape
    x, y = np.array([(nx - 1) / 2]), np.array([(ny - 1) / 2])
    field = calexp.photo_calib
    return float(np.nan_to_num(field.error(x, y) / field.evaluate(x, y))[0])
