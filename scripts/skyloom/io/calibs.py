"""Combined calibrations as FITS: image, mask and variance of one detector."""

import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from astropy.io import fits

from skyloom.core import mask_planes
from skyloom.core.calib_images import CalibImage, Calibs
from skyloom.core.errors import ConfigError, CorruptProductError
from skyloom.io.fits_files import image_hdu, plane_of, read_fits_with_bytes, write_fits

UNITS = {"bias": "electron", "dark": "electron/s", "flat": "", "defects": "", "illumination": ""}


class WrongCalibError(ConfigError):
    """A calibration file is of another kind than the workflow asked for.

    Parameters
    ----------
    path : str
        The file.
    found, needed : str
        Kinds.
    """

    def __init__(self, path, found, needed):
        super().__init__(f"{path} is a {found}, needs a {needed}: were the rule's inputs swapped?")
        self.path, self.found, self.needed = path, found, needed


@contextmanager
def frame_stack(n_frame, shape, folder):
    """Room for many frames of one detector outside the memory.

    Parameters
    ----------
    n_frame : int
        Number of frames.
    shape : tuple of int
        Shape (ny, nx) of each.
    folder : str or Path
        Where there is room on disk; made if need be.

    Yields
    ------
    numpy.memmap, shape (n_frame, ny, nx), float32
        Zeros to be written to. The file behind it has no name, so that nothing is left whatever happens.

    Raises
    ------
    OSError
        If the disk has no room for it.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as stream:
        os.posix_fallocate(stream.fileno(), 0, 4 * n_frame * shape[0] * shape[1])
        yield np.memmap(stream, dtype=np.float32, mode="r+", shape=(n_frame, *shape))


def write_calib(path, calib, provenance):
    """Write a combined calibration.

    Parameters
    ----------
    path : str or Path
        Final name.
    calib : CalibImage
        What was combined.
    provenance : Provenance
        What made it.
    """
    cards = {
        "CALKIND": (calib.kind, "bias, dark, flat, defects or illumination"),
        "CALINFO": (json.dumps(calib.info, sort_keys=True, separators=(",", ":")), ""),
    }
    unit = UNITS[calib.kind]
    hdus = [
        image_hdu("IMAGE", calib.image, {"BUNIT": (unit, "")}),
        # A plane of one bit is not compressed: each exposure reads four of them.
        image_hdu(
            "MASK",
            np.where(calib.is_bad, np.uint8(mask_planes.BAD), np.uint8(0)),
            {"MP_BAD": (mask_planes.PLANES.index("BAD"), "bit: not to be used")},
        ),
        image_hdu("VARIANCE", calib.variance, {"BUNIT": (f"({unit})2" if unit else "", "")}),
    ]
    write_fits(path, cards, hdus, provenance)


def read_calib(path, kind):
    """Read a combined calibration.

    Parameters
    ----------
    path : str or Path
        File that `write_calib` made.
    kind : str
        Kind that is needed.

    Returns
    -------
    CalibImage
        The calibration.

    Raises
    ------
    WrongCalibError
        If it is of another kind.
    CorruptProductError
        If a byte was changed, or an older Skyloom wrote it.
    """
    return _calib(path, kind, is_mapped=False)


def read_calibs(paths):
    """Read the calibrations of one exposure.

    Parameters
    ----------
    paths : dict of str to (str or Path)
        File by kind; a kind that is missing, or whose path is empty, is a step that is switched off.

    Returns
    -------
    Calibs
        What there is. Their planes stay in the files, mapped: they are used once, some rows at a time, and would fill
        half of a job's memory.
    """
    return Calibs(**{kind: _calib(path, kind, is_mapped=True) for kind, path in paths.items() if path})


def _calib(path, kind, *, is_mapped):
    """Calibration of a kind, in memory or mapped."""
    hdus, data = read_fits_with_bytes(path, is_mapped=is_mapped)
    header = hdus[0].header
    if header.get("CALKIND", "file of no kind") != kind:
        raise WrongCalibError(str(path), header.get("CALKIND", "file of no kind"), kind)
    if isinstance(hdus["MASK"], fits.CompImageHDU):
        raise CorruptProductError(
            str(path), "has a compressed mask: an older Skyloom made it, combine it again"
        )
    return CalibImage(
        kind=kind,
        image=plane_of(hdus["IMAGE"], data, np.float32),
        variance=plane_of(hdus["VARIANCE"], data, np.float32),
        is_bad=plane_of(hdus["MASK"], data, np.bool_),
        info=json.loads(header["CALINFO"]),
    )
