"""How an observatory writes images that it has calibrated itself: section `calibrated` of a camera file."""

from dataclasses import dataclass

import numpy as np

from skyloom.core import mask_planes
from skyloom.core.camera_keys import (
    CameraFileError,
    check_keys,
    check_mapping,
    extension_at,
    number_at,
)

NANO_JANSKY = {"nJy": 1.0, "uJy": 1e3, "mJy": 1e6, "Jy": 1e9, "nanomaggy": 10 ** (0.4 * 8.9)}
"""Units of flux: one of them in nJy; a nanomaggy is 22.5 mag AB (31.4 mag is 1 nJy)."""

RATES = {"ADU/s": "ADU", "electron/s": "electron"}
UNITS = ("ADU", "electron", *RATES, *NANO_JANSKY)
LAYOUT_KEYS = (*("unit", "gain", "read_noise", "pedestal", "saturation", "zero_point", "variance", "mask"),)
VARIANCE_FORMS = ("gain", "measured", "variance", "weight", "error")
PLANE_FORMS = ("variance", "weight", "error")
"""Forms of the variance that have a plane of their own in a file."""

MASK_FORMS = ("bits", "codes", "sdss_spans")
BITS_OF_A_MASK = 64


@dataclass(frozen=True, slots=True)
class VarianceLayout:
    """Where the variance of a calibrated image comes from.

    Attributes
    ----------
    form : str
        ``gain`` (photons of image and sky, and read noise), ``measured`` (noise of the sky in the image itself, and
        photons of the objects), or the kind of a plane: ``variance``, ``weight`` (its inverse), ``error`` (its root).
    extension : int, str or None
        Unit of that plane; None is the image's own.
    """

    form: str
    extension: int | str | None = None


@dataclass(frozen=True, slots=True)
class MaskLayout:
    """What the numbers of an observatory's mask mean.

    Attributes
    ----------
    form : str
        ``bits`` (bit 0, 1, ... of each pixel's number), ``codes`` (the number as a whole, 0 is good) or ``sdss_spans``
        (a table of runs of pixels for each plane, as in SDSS's fpM files).
    planes : dict of int to tuple of str
        Our planes by bit, code or number of the table's unit; an empty tuple for what does not matter.
    extension : int, str or None
        Unit of the mask; None is the image's own.
    """

    form: str
    planes: dict[int, tuple[str, ...]]
    extension: int | str | None = None


@dataclass(frozen=True, slots=True)
class CalibratedLayout:
    """How calibrated images are written.

    A quantity that may differ from image to image is a number, the keyword of a card, or one of them by band.

    Attributes
    ----------
    unit : str
        One of `UNITS`: that of a pixel.
    gain : float, str or dict
        [electron per unit]; of the unit without ``/s``.
    read_noise : float, str or dict
        [electron].
    pedestal : float, str or dict
        What was added to every pixel [unit].
    saturation : float, str, dict or None
        Level at which pixels saturate [unit, pedestal included]; None when the mask tells.
    zero_point : float, str, dict or None
        AB magnitude of one unit; None when nobody tells.
    variance : VarianceLayout
        Where the variance comes from.
    mask : MaskLayout or None
        What the mask means; None without one.
    """

    unit: str
    gain: float | str | dict
    read_noise: float | str | dict
    pedestal: float | str | dict
    saturation: float | str | dict | None
    zero_point: float | str | dict | None
    variance: VarianceLayout
    mask: MaskLayout | None


@dataclass(frozen=True, slots=True)
class CalibratedFrame:
    """One image as the observatory calibrated it.

    Attributes
    ----------
    layout : CalibratedLayout
        What its numbers mean.
    image : ndarray, shape (ny, nx), float32
        Pixels [`layout.unit`], pedestal included; NaN where the file says BLANK.
    noise : ndarray, shape (ny, nx), float32, or None
        Variance, weight or error in the image's unit, as `layout.variance` says; None where it has no plane.
    flags : ndarray, shape (ny, nx), uint64, or None
        Bits or codes of the observatory's mask, as `layout.mask` says; None without one.
    header : dict
        Cards of the image's header and the primary one, and values of the camera's header map by their own names.
    """

    layout: CalibratedLayout
    image: np.ndarray
    noise: np.ndarray | None
    flags: np.ndarray | None
    header: dict


def calibrated_layout(camera, entry, bands):
    """Layout of calibrated images from a camera file's section.

    Parameters
    ----------
    camera : str
        The camera's name.
    entry : dict
        Its section ``calibrated``.
    bands : sequence of str
        The camera's bands.

    Returns
    -------
    CalibratedLayout
        The layout, checked.

    Raises
    ------
    CameraFileError
        For a missing, unknown or unusable key.
    """
    where = "calibrated"
    check_keys(camera, where, entry, ("unit", "variance"), LAYOUT_KEYS)
    unit = entry["unit"]
    if unit not in UNITS:
        raise CameraFileError(camera, f"{where}.unit is {unit!r}, needs one of {', '.join(UNITS)}")
    values = {
        key: _stated(camera, f"{where}.{key}", entry[key], bands)
        for key in ("gain", "read_noise", "pedestal", "saturation", "zero_point")
        if entry.get(key) is not None
    }
    if "gain" not in values and unit not in ("electron", "electron/s"):
        found = f"{where}.gain is missing, needs the electrons of one {unit}: the noise of a star's own light"
        raise CameraFileError(camera, found)
    if unit in NANO_JANSKY and "zero_point" in values:
        raise CameraFileError(camera, f"{where}.zero_point is given, but {unit} says it already")
    return CalibratedLayout(
        unit=unit,
        gain=values.get("gain", 1.0),
        read_noise=values.get("read_noise", 0.0),
        pedestal=values.get("pedestal", 0.0),
        saturation=values.get("saturation"),
        zero_point=values.get("zero_point"),
        variance=_variance_layout(camera, entry["variance"]),
        mask=_mask_layout(camera, entry.get("mask")),
    )


def _stated(camera, where, value, bands):
    """Quantity of a key: a number, a keyword, or a mapping of them with all bands."""
    if isinstance(value, dict):
        check_keys(camera, where, value, bands, bands)
        return {band: _stated(camera, f"{where}.{band}", part, ()) for band, part in value.items()}
    if isinstance(value, str) and value.strip():
        return value.strip()
    number = number_at(camera, where, value)
    key = where.split(".")[1]
    if (key == "gain" and number <= 0) or (key == "read_noise" and number < 0):
        raise CameraFileError(camera, f"{where} is {number:g}, needs a number above 0")
    return number


def _variance_layout(camera, entry):
    """Where the variance comes from, by the key ``variance``."""
    where = "calibrated.variance"
    check_keys(camera, where, entry, ("form",), ("form", "extension"))
    if entry["form"] not in VARIANCE_FORMS:
        found = f"{where}.form is {entry['form']!r}, needs one of {', '.join(VARIANCE_FORMS)}"
        raise CameraFileError(camera, found)
    return VarianceLayout(entry["form"], _extension(camera, where, entry))


def _mask_layout(camera, entry):
    """What the mask means, by the key ``mask``."""
    if entry is None:
        return None
    where = "calibrated.mask"
    check_keys(camera, where, entry, ("form", "planes"), ("form", "planes", "extension"))
    if entry["form"] not in MASK_FORMS:
        found = f"{where}.form is {entry['form']!r}, needs one of {', '.join(MASK_FORMS)}"
        raise CameraFileError(camera, found)
    check_mapping(camera, f"{where}.planes", entry["planes"])
    planes = {}
    for number, names in entry["planes"].items():
        least = 1 if entry["form"] == "codes" else 0
        most = 2**31 if entry["form"] == "codes" else BITS_OF_A_MASK - 1
        if type(number) is not int or not least <= number <= most:
            found = f"{where}.planes has {number!r}, needs whole numbers from {least} to {most} as keys"
            raise CameraFileError(camera, found)
        planes[number] = _plane_names(camera, f"{where}.planes.{number}", names)
    return MaskLayout(entry["form"], planes, _extension(camera, where, entry))


def _plane_names(camera, where, names):
    """Our planes (tuple of str) of one bit or code."""
    listed = (names,) if isinstance(names, str) else tuple(names or ())
    for name in listed:
        if name not in mask_planes.PLANES:
            allowed = ", ".join(mask_planes.PLANES)
            raise CameraFileError(camera, f"{where} is {name!r}, needs planes out of {allowed}")
    return listed


def _extension(camera, where, entry):
    """Unit of a plane, None when the key is missing."""
    if entry.get("extension") is None:
        return None
    return extension_at(camera, f"{where}.extension", entry["extension"])
