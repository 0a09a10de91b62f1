"""Detectors resampled onto a patch, one by one, and merged."""

from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.resampling import Resampled, pixel_map, resample
from skyloom.core import mask_planes
from skyloom.core.images import Exposure, MaskedImage


@dataclass(frozen=True, slots=True)
class Piece:
    """One detector on the patch: its exposure, its resampled pixels, its rectangle (x0, x1, y0, y1)."""

    calexp: Exposure
    resampled: Resampled
    box: tuple


def warp_detector(calexp, patch, box, node_step):
    """Resample one detector on its rectangle of the patch.

    Parameters
    ----------
    calexp : Exposure
        The detector.
    patch : Patch
        The patch.
    box : tuple of int
        ``(x0, x1, y0, y1)`` in patch pixels, half-open.
    node_step : int
        Distance of the nodes of the pixel map [pixel].

    Returns
    -------
    Piece
        It may hold no valid pixel.
    """
    x0, x1, y0, y1 = box
    mapping = pixel_map(patch.wcs, calexp.wcs, (y1 - y0, x1 - x0), origin=(x0, y0), step=node_step)
    return Piece(calexp, resample(calexp.pixels, mapping), box)


def merge_pieces(pieces):
    """Pixels of several detectors on one rectangle; each pixel comes from the first detector that has it.

    Parameters
    ----------
    pieces : list of Piece
        Resampled detectors, at least one with a valid pixel.

    Returns
    -------
    pixels : MaskedImage
        Cropped to valid pixels.
    owner : ndarray, shape of `pixels`, int16
        Index of the piece that a pixel comes from; -1 without data.
    origin : tuple of int
        ``(x0, y0)``: patch pixel of the first pixel.
    """
    x0, y0 = min(piece.box[0] for piece in pieces), min(piece.box[2] for piece in pieces)
    x1, y1 = max(piece.box[1] for piece in pieces), max(piece.box[3] for piece in pieces)
    shape = (y1 - y0, x1 - x0)
    image, variance = np.full(shape, np.nan, dtype=np.float32), np.full(shape, np.nan, dtype=np.float32)
    mask = np.full(shape, mask_planes.NO_DATA, dtype=np.uint32)
    owner = np.full(shape, -1, dtype=np.int16)
    for index, piece in enumerate(pieces):
        window = np.s_[piece.box[2] - y0 : piece.box[3] - y0, piece.box[0] - x0 : piece.box[1] - x0]
        source = piece.resampled.pixels
        takes = (owner[window] < 0) & ((source.mask & mask_planes.NO_DATA) == 0)
        for target, plane in ((image, source.image), (variance, source.variance), (mask, source.mask)):
            target[window][takes] = plane[takes]
        owner[window][takes] = index
    rows, columns = np.flatnonzero((owner >= 0).any(axis=1)), np.flatnonzero((owner >= 0).any(axis=0))
    crop = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    planes = (np.ascontiguousarray(plane[crop]) for plane in (image, mask, variance, owner))
    image, mask, variance, owner = planes
    return MaskedImage(image, mask, variance), owner, (x0 + int(columns[0]), y0 + int(rows[0]))
