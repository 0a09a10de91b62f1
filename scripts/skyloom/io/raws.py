"""Read and write raw frames: the planes of one detector, checked against its camera, with their header."""

import io
import math

import numpy as np

from skyloom.core.camera import RawFrame
from skyloom.core.errors import DataError
from skyloom.io.amplifier_cards import with_amplifier_cards
from skyloom.io.fits_layout import PRIMARY, read_content, scan_fits
from skyloom.io.fits_pixels import read_pixels
from skyloom.io.integrity import write_bytes

MAX_BYTES_BEYOND_PIXELS = 64 * 1024 * 1024
"""Room for headers and observatories' extra tables when a gzip'd frame is unpacked: no bomb gets further."""

MAX_NAMES_SHOWN = 20

LARGEST_COUNT = 2.0**32
"""No converter has more bits [ADU]: what a damaged float holds beyond it is no number, and overflows in sums."""


class WrongShapeRawError(DataError):
    """A plane of the frame has other axes than the camera's amplifiers.

    Parameters
    ----------
    extension : str or int
        The plane.
    shape, expected : tuple of int
        Shape (ny, nx) found, and the one that the camera's sections span.
    """

    def __init__(self, extension, shape, expected):
        super().__init__(
            f"plane {extension} has shape {shape}, the camera's sections span {expected}: "
            "is the read-out mode (binning, window) the camera file's?"
        )
        self.extension = extension
        self.shape = shape
        self.expected = expected


class MissingPlaneError(DataError):
    """The frame lacks the plane of an amplifier.

    Parameters
    ----------
    extension : str or int
        The plane that the camera asks for.
    found : list of str
        Names of the planes that are there.
    """

    def __init__(self, extension, found):
        shown = str(found[:MAX_NAMES_SHOWN]) + (
            f" and {len(found)} in all" if len(found) > MAX_NAMES_SHOWN else ""
        )
        super().__init__(f"no image plane {extension} among {shown}: is it a frame of this camera?")
        self.extension = extension
        self.found = found


def read_raw(path, detector, raw_layout):
    """Read one detector's raw frame.

    Parameters
    ----------
    path : str or Path
        FITS file, plain or gzip'd as a whole; RICE or GZIP tile compression is accepted.
    detector : Detector
        Its amplifiers say which planes to read and how large they must be.
    raw_layout : RawLayout
        File layout and header keyword map of the camera.

    Returns
    -------
    RawFrame
        Planes float32 [ADU], NaN where the file says BLANK or holds what no converter can give. The header
        holds every card of the primary header (and of the first image's) by keyword, and the values of
        `raw_layout.header` by their own names. Its detector has the gains and read noise that the frame's cards
        state, where the camera file names them.

    Raises
    ------
    TruncatedRawError
        If the file is shorter than its headers promise.
    CorruptRawError
        If it is no FITS file, or one that is not safe to parse.
    WrongShapeRawError, MissingPlaneError
        If it is not a frame of this detector.
    AmplifierCardError
        If a card that a gain or read noise is taken from is missing or no number.
    """
    expected = _expected_shapes(detector)
    n_pixel = sum(ny * nx for ny, nx in expected.values()) * math.prod(detector.pixel_step)
    content = read_content(path, 8 * n_pixel + MAX_BYTES_BEYOND_PIXELS)
    hdus = scan_fits(content)
    planes, chosen = {}, {}
    for extension, shape in expected.items():
        hdu = find_plane(hdus, extension, raw_layout.format)
        own = _own_shape(hdu.shape, detector)
        if own != shape:
            raise WrongShapeRawError(extension, own, shape)
        planes[extension] = _counts(_own_pixels(read_pixels(content, hdu), detector))
        chosen[extension] = hdu.cards
    header = {**next(iter(chosen.values())), **hdus[0].cards}
    for name, keyword in raw_layout.header.items():
        if keyword in header:
            header[name] = header[keyword]
    detector = with_amplifier_cards(detector, chosen, hdus[0].cards)
    return RawFrame(detector=detector, planes=planes, header=header)


def _own_shape(shape, detector):
    """Shape of what a plane of a shape holds of the detector."""
    if detector.pixel_step == (1, 1) or len(shape) != 2:
        return shape
    along_y_and_x = zip(shape, detector.pixel_start[::-1], detector.pixel_step[::-1], strict=True)
    return tuple(len(range(start, side, step)) for side, start, step in along_y_and_x)


def _own_pixels(plane, detector):
    """Pixels of a plane that are the detector's: all, or those of one colour of a mosaic (a copy)."""
    if detector.pixel_step == (1, 1):
        return plane
    (step_x, step_y), (x, y) = detector.pixel_step, detector.pixel_start
    return np.ascontiguousarray(plane[y::step_y, x::step_x])


def _counts(plane):
    """Plane with NaN, in place, where it holds what no converter can give."""
    plane[np.abs(plane) > LARGEST_COUNT] = np.nan
    return plane


def write_raw(path, planes, headers):
    """Write a raw frame as an observatory would: unsigned 16-bit pixels, no mask, no provenance.

    Parameters
    ----------
    path : str or Path
        FITS file to make; it appears complete or not at all.
    planes : dict of str to ndarray, shape (ny, nx), uint16
        Pixels [ADU] by extension name; ``PRIMARY`` goes into the primary unit.
    headers : dict of str to dict
        Cards (value, or value and comment) by extension name; ``PRIMARY`` for the primary header.
    """
    from astropy.io import fits

    units = [fits.PrimaryHDU(planes.get(PRIMARY))]
    units += [fits.ImageHDU(plane, name=name) for name, plane in planes.items() if name != PRIMARY]
    for unit in units:
        unit.header.update(headers.get(unit.name, {}))
    buffer = io.BytesIO()
    fits.HDUList(units).writeto(buffer)
    write_bytes(path, buffer.getbuffer())


def _expected_shapes(detector):
    """Shape (ny, nx) of each raw plane: what the sections of its amplifiers span."""
    shapes = {}
    for amplifier in detector.amplifiers:
        sections = (
            amplifier.data_section,
            amplifier.overscan_section,
            amplifier.prescan_section,
            amplifier.parallel_overscan_section,
        )
        ny, nx = shapes.get(amplifier.extension, (0, 0))
        for section in sections:
            if section is not None:
                nx, ny = max(nx, section[1]), max(ny, section[3])
        shapes[amplifier.extension] = (ny, nx)
    return shapes


def find_plane(hdus, extension, layout_format):
    """Return the unit that holds a plane (HduLayout).

    Parameters
    ----------
    hdus : list of HduLayout
        Units of the file.
    extension : str or int
        Its name or place.
    layout_format : str
        ``raw.format`` of the camera; in a file of a ``single`` image it is that image, whatever the extension.

    Raises
    ------
    MissingPlaneError
        If there is none.
    """
    images = [hdu for hdu in hdus if hdu.is_image]
    if layout_format == "single" and images:
        return images[0]
    for hdu in images:
        if extension in (hdu.index, hdu.name):
            return hdu
    raise MissingPlaneError(extension, [hdu.name or str(hdu.index) for hdu in images])
