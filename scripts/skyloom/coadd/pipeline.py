"""Coadd of a patch: choose warps, reject artifacts, average, and carry PSF, mask, noise and inputs along."""

import logging
from dataclasses import replace

import numpy as np

from skyloom.coadd.artifacts import find_artifacts
from skyloom.coadd.cells import coadd_aperture_correction, coadd_psf
from skyloom.coadd.combine import combine, count_inputs, sensor_edges
from skyloom.coadd.frames import PatchFrame, window_of
from skyloom.coadd.selection import NoInputsError, input_table, select_inputs
from skyloom.core import mask_planes
from skyloom.core.images import Exposure, ExposureInfo, MaskedImage
from skyloom.core.schemas import COADD_INPUT
from skyloom.core.tables import column

log = logging.getLogger(__name__)

BLANK_SIGMA = 2.0
OFFSET_STRIDE = 4


def assemble_coadd(warps, patch, kind, settings):
    """Coadd of the warps of one patch in one band.

    Parameters
    ----------
    warps : list of Exposure
        Warps of the patch, tombstones left out.
    patch : Patch
        The patch.
    kind : str
        ``deep`` or ``good_seeing``.
    settings : dict
        Section `coadd`.

    Returns
    -------
    Exposure
        On all pixels of the patch, with cell PSF, noise correlation and the table of its inputs. A warp is
        added as it is: differences of background between visits are told by `zeroOffset`, not removed.

    Raises
    ------
    NoInputsError
        If there is no warp.
    """
    if not warps:
        raise NoInputsError(patch.tract, patch.name, kind)
    warps = sorted(warps, key=lambda warp: warp.info.visit)
    inputs = input_table(warps)
    used, reasons = select_inputs(inputs, kind, settings["good_seeing"])
    chosen = [warp for warp, is_used in zip(warps, used, strict=True) if is_used]
    frame = PatchFrame(
        shape=patch.shape,
        weight=column(inputs, "weight")[used],
        psf_sigma=column(inputs, "psfSigma")[used],
        rejected_planes=int(mask_planes.bits(*settings["rejected_planes"])),
    )
    clipped = find_artifacts(chosen, frame, settings["artifacts"])
    combination = combine(chosen, clipped, frame, settings["saturated_fraction"])
    psf, is_inexact = coadd_psf(chosen, combination, frame, chosen[0].psf.cell_size)
    near_edge = sensor_edges(chosen, frame.shape, settings["sensor_edge_width"])
    n_input = count_inputs(chosen, combination.roles, frame.shape)
    pixels = _flag(combination.pixels, is_inexact, near_edge)
    log.info(
        "%s coadd of %d of %d warps, %.3f %% of their pixels clipped",
        kind,
        len(chosen),
        len(warps),
        100 * sum(c.sum() for c in clipped) / sum(c.size for c in clipped),
    )
    return Exposure(
        pixels=pixels,
        info=_coadd_info(chosen, frame.weight, patch, kind),
        wcs=patch.wcs,
        psf=psf,
        ap_corr=coadd_aperture_correction(chosen, psf, frame),
        inputs=_with_results(inputs, used, reasons, zero_offsets(warps, pixels, n_input)),
        noise_correlation=float(np.average([w.noise_correlation for w in chosen], weights=frame.weight)),
    )


def _flag(pixels, is_inexact, near_edge):
    """Pixels with INEXACT_PSF and SENSOR_EDGE set."""
    has_data = (pixels.mask & mask_planes.NO_DATA) == 0
    mask = pixels.mask | np.where(is_inexact, mask_planes.INEXACT_PSF, np.uint32(0))
    mask |= np.where(near_edge & has_data, mask_planes.SENSOR_EDGE, np.uint32(0))
    return MaskedImage(pixels.image, mask, pixels.variance)


def zero_offsets(warps, pixels, n_input):
    """Background of each warp relative to the coadd.

    Parameters
    ----------
    warps : list of Exposure
        Warps.
    pixels : MaskedImage
        The coadd.
    n_input : ndarray, shape (ny, nx), int
        Warps with data at each pixel of the coadd.

    Returns
    -------
    ndarray, shape (n,), float64
        Median of warp minus coadd over blank, unmasked pixels that two or more warps cover [nJy]; NaN when there
        is none.
    """
    thin = np.s_[::OFFSET_STRIDE, ::OFFSET_STRIDE]
    offsets = np.full(len(warps), np.nan)
    for index, warp in enumerate(warps):
        window = window_of(warp)
        coadd = pixels.image[window][thin]
        with np.errstate(invalid="ignore"):
            is_blank = np.abs(coadd) < BLANK_SIGMA * np.sqrt(pixels.variance[window][thin])
        is_blank &= (n_input[window][thin] > 1) & (pixels.mask[window][thin] == 0)
        is_blank &= warp.pixels.mask[thin] & mask_planes.NO_DATA == 0
        if is_blank.any():
            offsets[index] = np.median(warp.pixels.image[thin][is_blank] - coadd[is_blank])
    return offsets


def _coadd_info(warps, weight, patch, kind):
    """Circumstances of a coadd: weighted means, and the sum of the exposure times."""

    def mean(name):
        return float(np.average([getattr(warp.info, name) for warp in warps], weights=weight))

    centre_ra, centre_dec = patch.wcs.pixel_to_sky([(patch.shape[1] - 1) / 2], [(patch.shape[0] - 1) / 2])
    return replace(
        ExposureInfo(),
        band=warps[0].info.band,
        mjd=mean("mjd"),
        exposure_time=float(sum(warp.info.exposure_time for warp in warps)),
        airmass=mean("airmass"),
        ra=float(centre_ra[0]),
        dec=float(centre_dec[0]),
        camera=warps[0].info.camera,
        tract=patch.tract,
        patch=patch.name,
        kind=kind,
    )


def _with_results(inputs, used, reasons, offsets):
    """Table of inputs with the selection's outcome and the zero offsets."""
    values = {c.name: column(inputs, c.name) for c in COADD_INPUT.columns}
    return COADD_INPUT.table(values | {"used": used, "reason": reasons, "zeroOffset": offsets})
