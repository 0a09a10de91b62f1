"""Warp of one visit: its detectors resampled onto a patch and merged, with the PSF of each cell."""

import logging
from dataclasses import replace

import numpy as np

from skyloom.core.errors import DataError
from skyloom.core.images import Exposure
from skyloom.warp.cells import cell_coverage, warp_aperture_correction, warp_psf
from skyloom.warp.footprint import overlap_box
from skyloom.warp.inputs import input_row
from skyloom.warp.pieces import merge_pieces, warp_detector

log = logging.getLogger(__name__)


class NoOverlapError(DataError):
    """No pixel of the visit falls on the patch: a normal outcome, since the graph pads each pointing.

    Parameters
    ----------
    visit, tract : int
        The visit and the tract.
    patch : str
        The patch.
    n_detector : int
        Detectors that were tried.
    """

    status = "EMPTY"

    def __init__(self, visit, tract, patch, n_detector):
        super().__init__(
            f"visit {visit}: none of its {n_detector} detectors has a pixel on tract {tract} patch {patch}, "
            "at least one is needed; nothing is wrong where the pointing was padded (pointing_uncertainty)"
        )
        self.visit, self.tract, self.patch, self.n_detector = visit, tract, patch, n_detector


def warp_visit(calexps, patch, settings):
    """Warp of a visit on a patch.

    Parameters
    ----------
    calexps : list of Exposure
        One or more detectors of one visit, in nJy and background-subtracted, each with WCS and PSF.
    patch : Patch
        The patch.
    settings : dict
        Section `warp`: node_step [pixel], cell_size [pixel].

    Returns
    -------
    Exposure
        Cropped to the rectangle of valid pixels: ``info.origin`` is its first pixel in the patch. NaN and
        NO_DATA where no detector gives a value. Its `inputs` table has the one row that a coadd takes over.

    Raises
    ------
    NoOverlapError
        If no pixel is valid.
    """
    pieces = []
    for calexp in sorted(calexps, key=lambda exposure: exposure.info.detector):
        box = overlap_box(calexp, patch)
        if box is not None:
            pieces.append(warp_detector(calexp, patch, box, settings["node_step"]))
    pieces = [piece for piece in pieces if piece.resampled.n_valid > 0]
    if not pieces:
        raise NoOverlapError(calexps[0].info.visit, patch.tract, patch.name, len(calexps))
    pixels, owner, origin = merge_pieces(pieces)
    coverage = cell_coverage(owner, origin, settings["cell_size"], len(pieces))
    used = [piece.calexp for piece in pieces]
    warp = Exposure(
        pixels=pixels,
        info=replace(
            used[0].info, detector=-1, tract=patch.tract, patch=patch.name, kind="warp", origin=origin
        ),
        wcs=patch.wcs.shifted(*origin, shape=pixels.shape),
        psf=warp_psf(used, patch, coverage, settings["cell_size"], origin),
        ap_corr=warp_aperture_correction(used, patch, coverage, origin, pixels.shape),
        noise_correlation=_noise_correlation(pieces),
    )
    detectors = [calexp.info.detector for calexp in used]
    log.info("visit %d: detectors %s reach patch %s", warp.info.visit, detectors, patch.name)
    return replace(warp, inputs=input_row(warp, detectors, patch))


def _noise_correlation(pieces):
    """Mean over the pixels of the correlation that resampling made, times that of the sources."""
    values = [piece.resampled.noise_correlation * piece.calexp.noise_correlation for piece in pieces]
    return float(np.average(values, weights=[piece.resampled.n_valid for piece in pieces]))
