"""Read images that the observatory has calibrated, with mask and variance from the same file or from others."""

from pathlib import Path

import numpy as np

from skyloom.core.calibrated_layout import PLANE_FORMS, CalibratedFrame
from skyloom.core.errors import DataError
from skyloom.io.fits_layout import read_content, scan_fits
from skyloom.io.fits_pixels import read_integers, read_pixels
from skyloom.io.raws import MAX_BYTES_BEYOND_PIXELS, find_plane
from skyloom.io.sdss_spans import read_spans

BYTES_A_PIXEL = 32
"""Image, mask and variance in one file, eight bytes each, and one more."""


class MissingCompanionError(DataError):
    """The file that should hold an image's mask or variance has no such plane.

    Parameters
    ----------
    kind : str
        ``mask`` or ``variance``.
    path : str or Path
        The file.
    extension : str or int
        The plane that the camera file asks for.
    found : list of str
        Planes that are there.
    """

    def __init__(self, kind, path, extension, found):
        super().__init__(
            f"{Path(path).name} has no image plane {extension} for the {kind}, it has {found}: give "
            f"calibrated.{kind}.extension in the camera file, or the {kind}'s file in the visit table's column {kind}"
        )
        self.kind, self.path, self.extension, self.found = kind, path, extension, found


class CalibratedShapeError(DataError):
    """An image is larger than its detector, or its mask or variance is of another size.

    Parameters
    ----------
    what : str
        ``image``, ``mask`` or ``variance``.
    shape, needed : tuple of int
        Shape (ny, nx) found, and the one that it must have, at most or exactly.
    """

    def __init__(self, what, shape, needed):
        most = "at most the camera file's" if what == "image" else "the image's"
        super().__init__(f"the {what} has shape {shape}, needs {most} {needed}: is it of this exposure?")
        self.what, self.shape, self.needed = what, shape, needed


def read_calibrated(path, companions, detector, camera):
    """Read one detector's calibrated image with its mask and variance.

    Parameters
    ----------
    path : str or Path
        FITS file of the image, plain or gzip'd as a whole; RICE or GZIP tile compression is accepted.
    companions : dict of str to str
        Files of the ``mask`` and the ``variance`` where they are not in the image's.
    detector : Detector
        The largest shape that the image may have (a cut-out is smaller), and its extension.
    camera : Camera
        Its section ``calibrated``, and the header map.

    Returns
    -------
    CalibratedFrame
        In the units and with the meaning that the observatory gave them.

    Raises
    ------
    TruncatedRawError, CorruptRawError
        If a file is damaged, or not safe to parse.
    MissingPlaneError, MissingCompanionError
        If a plane that the camera file names is missing.
    CalibratedShapeError
        If a plane does not fit.
    """
    layout = camera.calibrated
    content, hdus = _read_units(path, detector)
    unit = find_plane(hdus, detector.extension, camera.raw.format)
    if len(unit.shape) != 2 or unit.shape[0] > detector.shape[0] or unit.shape[1] > detector.shape[1]:
        raise CalibratedShapeError("image", unit.shape, detector.shape)
    header = {**hdus[0].cards, **unit.cards}
    header |= {name: header[keyword] for name, keyword in camera.raw.header.items() if keyword in header}
    # The image's own file is walked once, also when mask and variance are in it.
    files = {str(path): (content, hdus)}
    noise = flags = None
    if layout.variance.form in PLANE_FORMS:
        part = ("variance", layout.variance.extension, companions.get("variance") or path)
        noise = read_pixels(*_companion(part, files, detector, unit.shape))
    if layout.mask is not None:
        part = ("mask", layout.mask.extension, companions.get("mask") or path)
        flags = _read_flags(part, layout.mask, files, detector, unit.shape)
    return CalibratedFrame(layout, read_pixels(content, unit), noise, flags, header)


def _read_units(path, detector):
    """Content of a file and the layout of its units; no more bytes than a detector's image can have."""
    n_pixel = detector.shape[0] * detector.shape[1]
    content = read_content(path, BYTES_A_PIXEL * n_pixel + MAX_BYTES_BEYOND_PIXELS)
    return content, scan_fits(content)


def _companion(part, files, detector, shape):
    """Content of the file of a mask or variance, and its unit (HduLayout); `files` holds what was read."""
    kind, extension, path = part
    if str(path) not in files:
        files[str(path)] = _read_units(path, detector)
    content, hdus = files[str(path)]
    images = [hdu for hdu in hdus if hdu.is_image]
    wanted = detector.extension if extension is None else extension
    for hdu in images:
        if wanted in (hdu.index, hdu.name):
            if hdu.shape != shape:
                raise CalibratedShapeError(kind, hdu.shape, shape)
            return content, hdu
    raise MissingCompanionError(kind, path, wanted, [hdu.name or str(hdu.index) for hdu in images])


def _read_flags(part, layout, files, detector, shape):
    """Numbers of the observatory's mask (ndarray, shape (ny, nx), uint64)."""
    if layout.form == "sdss_spans":
        content, hdus = _read_units(part[2], detector)
        return read_spans(content, hdus, sorted(layout.planes), shape).astype(np.uint64)
    return read_integers(*_companion(part, files, detector, shape)).astype(np.uint64)
