"""Template of an exposure: coadd patches resampled on its pixels and merged."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from skyloom.algorithms.resampling import (
    map_jacobian,
    pixel_map,
    resample,
    resample_kernels,
    source_positions,
)
from skyloom.core import mask_planes
from skyloom.core.errors import DataError
from skyloom.core.images import ExposureInfo, MaskedImage
from skyloom.core.psf import CellPsf
from skyloom.core.tables import column
from skyloom.core.wcs import Wcs
from skyloom.diff.noise import correlation_after_warp, tile_medians

log = logging.getLogger(__name__)

# Pixels of the coadd kept around what the exposure needs: Lanczos-3 reads three.
CROP_MARGIN = 8
# Cells of the template's PSF [pixel]: a coadd's PSF hardly varies within.
PSF_CELL = 64
# Side of the tiles whose median variance is judged [pixel]: a star's photon noise does not fill one.
VARIANCE_TILE = 32
# What a coadd pixel says of itself and the difference must know; detections there are another matter.
KEPT_PLANES = mask_planes.bits("NO_DATA", "BAD", "SAT", "INTRP", "INEXACT_PSF", "SENSOR_EDGE", "INJECTED")
# A defect that was filled in from its neighbours: right for the sky, nearly so for the static sources on it.
FILLED_DEFECT = mask_planes.bits("BAD", "INTRP")


class NoTemplateCoverageError(DataError):
    """The coadds cover too little of the exposure: normal at the survey's edge, and where a band has no template yet.

    Parameters
    ----------
    fraction, needed : float
        Fraction of the exposure's pixels with template, and the least that is accepted.
    n_coadd : int
        Coadds that were offered.
    """

    status = "EMPTY"

    def __init__(self, fraction, needed, n_coadd):
        super().__init__(
            f"{n_coadd} coadds cover {fraction:.1%} of the exposure, needs {needed:.1%}: nothing is wrong at the "
            "survey's edge, or where no template visit of this band was taken; else look at the visit table's `use`"
        )
        self.fraction, self.needed, self.n_coadd = fraction, needed, n_coadd


@dataclass(frozen=True, slots=True)
class Template:
    """Coadds on the pixels of a science exposure and a margin around them.

    Attributes
    ----------
    pixels : MaskedImage
        Unmatched template [nJy]; NaN and NO_DATA without coverage. Its variance is smooth.
    info : ExposureInfo
        ``origin`` is the first pixel on the science image's grid.
    wcs : Wcs
        World coordinates of `pixels`.
    psf : CellPsf
        PSF before matching.
    noise_correlation : float
        Noise power at zero frequency over the pixel variance.
    holds_science : ndarray, shape of `pixels`, bool
        Pixels of coadds that the science exposure is part of.
    """

    pixels: MaskedImage
    info: ExposureInfo
    wcs: Wcs
    psf: CellPsf
    noise_correlation: float
    holds_science: np.ndarray


def build_template(coadds, science, settings):
    """Template on the pixels of a science exposure and a margin around them.

    Parameters
    ----------
    coadds : list of Exposure
        Coadds of patches of any tracts, in nJy, with WCS and PSF.
    science : Exposure
        Exposure with WCS and PSF.
    settings : dict
        Section ``diff``.

    Returns
    -------
    Template
        With ``margin`` more pixels on each side than the exposure has.

    Raises
    ------
    NoTemplateCoverageError
        If less than ``minimum_coverage`` of the exposure is covered.

    Notes
    -----
    Patches of a tract hold the same pixels where they overlap, so the first valid one is taken. Tracts
    overlap with the same data on different grids: averaging would change noise and PSF there, so each pixel
    comes from the tract that covers most of the exposure.
    """
    options = settings["template"]
    margin = options["margin"]
    ny, nx = science.pixels.shape
    wcs = science.wcs.shifted(-margin, -margin, (ny + 2 * margin, nx + 2 * margin))
    pieces = [piece for coadd in coadds if (piece := _warp_coadd(coadd, wcs)) is not None]
    pieces = _by_coverage(pieces)
    pixels, holds_science = _merge(pieces, wcs.shape, science.info.visit)
    inner = pixels.mask[margin : margin + ny, margin : margin + nx]
    coverage = float(np.mean((inner & mask_planes.NO_DATA) == 0))
    if not pieces or coverage < options["minimum_coverage"]:
        raise NoTemplateCoverageError(coverage, options["minimum_coverage"], len(coadds))
    log.info("template from %d of %d patches covers %.1f %%", len(pieces), len(coadds), 100 * coverage)
    area = float(np.mean([piece.area for piece in pieces]))
    correlation = float(np.mean([correlation_after_warp(p.coadd.noise_correlation, area) for p in pieces]))
    # The pieces carry the noise power at zero frequency, which is what resampling leaves smooth and exact.
    pixels = replace(pixels, variance=(pixels.variance / np.float32(correlation)))
    mask = pixels.mask | _high_variance(pixels, options["high_variance_factor"])
    info = ExposureInfo(
        band=science.info.band, mjd=science.info.mjd, kind=coadds[0].info.kind, origin=(-margin, -margin)
    )
    return Template(
        pixels=replace(pixels, mask=mask),
        info=info,
        wcs=wcs,
        psf=_template_psf(pieces, wcs, science.psf.size),
        noise_correlation=correlation,
        holds_science=holds_science,
    )


class _Piece:
    """One coadd on the template's grid."""

    def __init__(self, coadd, pixels, area):
        self.coadd, self.pixels, self.area = coadd, pixels, area
        self.n_valid = int(np.count_nonzero((pixels.mask & mask_planes.NO_DATA) == 0))

    def holds(self, visit):
        """Whether a visit is part of the coadd (bool)."""
        inputs = self.coadd.inputs
        return bool(np.any(column(inputs, "used") & (column(inputs, "visit") == visit)))


def _warp_coadd(coadd, wcs):
    """Resample one coadd, its variance as noise power at zero frequency; None when they do not meet."""
    far_y, far_x = wcs.shape[0] - 1.0, wcs.shape[1] - 1.0
    corners = source_positions(wcs, coadd.wcs, [0.0, far_x, far_x, 0.0], [0.0, 0.0, far_y, far_y])
    if not np.isfinite(corners).all():
        # The coadd's tangent plane does not even hold the exposure.
        return None
    mapping = pixel_map(wcs, coadd.wcs, wcs.shape)
    ny, nx = coadd.pixels.shape
    x0 = int(np.clip(np.floor(mapping.x.min()) - CROP_MARGIN, 0, nx))
    x1 = int(np.clip(np.ceil(mapping.x.max()) + CROP_MARGIN, 0, nx))
    y0 = int(np.clip(np.floor(mapping.y.min()) - CROP_MARGIN, 0, ny))
    y1 = int(np.clip(np.ceil(mapping.y.max()) + CROP_MARGIN, 0, ny))
    if x1 - x0 <= CROP_MARGIN or y1 - y0 <= CROP_MARGIN:
        return None
    mapping = replace(mapping, x=mapping.x - x0, y=mapping.y - y0)
    source = coadd.pixels
    image, mask, variance = (plane[y0:y1, x0:x1] for plane in (source.image, source.mask, source.variance))
    mask = mask & KEPT_PLANES
    warped = resample(MaskedImage(image, mask, variance), mapping)
    if warped.n_valid == 0:
        return None
    # Resampled as an image, the power is not modulated by the sub-pixel phase as a propagated variance is.
    power = resample(MaskedImage(variance * np.float32(coadd.noise_correlation), mask, variance), mapping)
    floor = np.float32(0.1) * np.nanmedian(power.pixels.image)
    pixels = replace(warped.pixels, variance=np.maximum(power.pixels.image, floor))
    return _Piece(coadd, pixels, float(np.mean(mapping.area)))


def _by_coverage(pieces):
    """Pieces ordered so that tracts with more pixels come first, and within a tract the same."""
    tract_total = {}
    for piece in pieces:
        tract = piece.coadd.info.tract
        tract_total[tract] = tract_total.get(tract, 0) + piece.n_valid
    return sorted(
        pieces,
        key=lambda p: (-tract_total[p.coadd.info.tract], p.coadd.info.tract, -p.n_valid, p.coadd.info.patch),
    )


def _merge(pieces, shape, visit):
    """Pixels of the first piece that is valid at each of them, and which come from coadds that hold a visit."""
    image = np.full(shape, np.nan, dtype=np.float32)
    power = np.full(shape, np.nan, dtype=np.float32)
    mask = np.full(shape, mask_planes.NO_DATA, dtype=np.uint32)
    holds_visit = np.zeros(shape, dtype=bool)
    for piece in pieces:
        take = ((mask & mask_planes.NO_DATA) != 0) & ((piece.pixels.mask & mask_planes.NO_DATA) == 0)
        image[take] = piece.pixels.image[take]
        power[take] = piece.pixels.variance[take]
        mask[take] = piece.pixels.mask[take]
        holds_visit[take] = piece.holds(visit)
    return MaskedImage(image, _in_the_differences_terms(mask), power), holds_visit


def _in_the_differences_terms(mask):
    """Translate a coadd's mask: SAT is SAT_TEMPLATE, a filled defect INEXACT_PSF, any other interpolation fine."""
    is_saturated = (mask & mask_planes.SAT) != 0
    is_filled = (mask & FILLED_DEFECT) == FILLED_DEFECT
    mask = mask & ~mask_planes.bits("SAT", "INTRP")
    mask |= np.where(is_saturated, mask_planes.SAT_TEMPLATE, np.uint32(0))
    return np.where(is_filled, (mask & ~mask_planes.BAD) | mask_planes.INEXACT_PSF, mask).astype(np.uint32)


def _high_variance(pixels, factor):
    """HIGH_VARIANCE where the template's noise, sources left aside, is well above the median, uint32."""
    tiles = tile_medians(pixels.variance, np.isfinite(pixels.variance), VARIANCE_TILE)
    is_high = tiles > factor * np.median(tiles)
    ny, nx = pixels.shape
    by_pixel = np.repeat(np.repeat(is_high, VARIANCE_TILE, axis=0), VARIANCE_TILE, axis=1)[:ny, :nx]
    return np.where(by_pixel, mask_planes.HIGH_VARIANCE, np.uint32(0))


def _template_psf(pieces, wcs, size):
    """PSF of the template in cells, from the piece whose coadd lies deepest around each cell's centre."""
    ny, nx = wcs.shape
    rows, columns = -(-ny // PSF_CELL), -(-nx // PSF_CELL)
    y, x = np.meshgrid(
        np.minimum((np.arange(rows) + 0.5) * PSF_CELL, ny - 1.0),
        np.minimum((np.arange(columns) + 0.5) * PSF_CELL, nx - 1.0),
        indexing="ij",
    )
    x, y = x.ravel(), y.ravel()
    images = np.full((rows * columns, size, size), np.nan, dtype=np.float32)
    for piece in pieces:
        coadd_y, coadd_x = piece.coadd.pixels.shape
        px, py = source_positions(wcs, piece.coadd.wcs, x, y)
        inside = (px > -0.5) & (px < coadd_x - 0.5) & (py > -0.5) & (py < coadd_y - 0.5)
        wanted = np.flatnonzero(inside & np.isnan(images[:, 0, 0]))
        kernels = piece.coadd.psf.kernels_at(px[wanted], py[wanted]) if wanted.size else np.empty((0, 1, 1))
        known = np.isfinite(kernels).all(axis=(1, 2))
        wanted, kernels = wanted[known], kernels[known]
        if wanted.size:
            jacobians = map_jacobian(wcs, piece.coadd.wcs, x[wanted], y[wanted])
            images[wanted] = resample_kernels(kernels, jacobians, size)
    return CellPsf(images.reshape(rows, columns, size, size), PSF_CELL)
