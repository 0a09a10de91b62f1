"""Calibrated images of an observatory to exposures in electrons: what is left of ISR when the light is flat already."""

import logging
from dataclasses import replace

import numpy as np

from skyloom.algorithms.robust import block_median_background, mad_sigma
from skyloom.core import mask_planes
from skyloom.core.calibrated_layout import NANO_JANSKY, PLANE_FORMS, RATES
from skyloom.core.errors import DataError
from skyloom.core.header_values import UnreadableValueError, number_of
from skyloom.core.images import Exposure, MaskedImage
from skyloom.core.photo_calib import AB_ZERO_POINT, constant_field
from skyloom.isr.assembly import AllPixelsBadError, ConstantImageError
from skyloom.isr.header_wcs import MissingWcsError, UnsupportedWcsError, has_wcs, wcs_of_cards
from skyloom.isr.repair import UNUSABLE, check_good_fraction, fill_empty_in_place, fill_small_defects_in_place
from skyloom.isr.variance import expected_light

log = logging.getLogger(__name__)

SKY_BIN = 64
SPELLINGS = {
    **dict.fromkeys(("adu", "adus", "dn", "dns", "count", "counts", "ct"), "ADU"),
    **dict.fromkeys(("electron", "electrons", "e-", "e"), "electron"),
    **dict.fromkeys(("adu/s", "dn/s", "counts/s", "count/s", "cps"), "ADU/s"),
    **dict.fromkeys(("electron/s", "electrons/s", "e-/s"), "electron/s"),
    **dict.fromkeys(("nanomaggy", "nanomaggies", "nmgy"), "nanomaggy"),
    **{unit.lower(): unit for unit in ("nJy", "uJy", "Jy")},
}
"""Units by what BUNIT says in lower case; mJy and MJy differ by their case alone and are not looked at."""


class StatedQuantityError(DataError):
    """An image lacks the card of a quantity that its camera file takes from a card.

    Parameters
    ----------
    quantity, keyword : str
        What is wanted, such as gain, and the card.
    found : object
        Its value; None when there is no such card.
    """

    def __init__(self, quantity, keyword, found):
        what = "is missing" if found is None else f"is {found!r}"
        super().__init__(
            f"card {keyword} {what}, the image's {quantity} needs a usable number: is calibrated.{quantity} right in "
            "the camera file?"
        )
        self.quantity, self.keyword, self.found = quantity, keyword, found


class WrongUnitError(DataError):
    """A header's BUNIT is another unit than the camera file says.

    Parameters
    ----------
    found, expected : str
        BUNIT, and ``calibrated.unit`` of the camera file.
    """

    def __init__(self, found, expected):
        super().__init__(
            f"the header's BUNIT is {found!r}, the camera file's calibrated.unit is {expected}: which one is right?"
        )
        self.found, self.expected = found, expected


class UnknownMaskValueError(DataError):
    """The observatory's mask says something that the camera file does not translate.

    Parameters
    ----------
    kind : str
        ``bit`` or ``code``.
    value, n_pixel : int
        The first of them, and how many pixels have it.
    known : sequence of int
        Those that the camera file translates.
    """

    def __init__(self, kind, value, n_pixel, known):
        super().__init__(
            f"{n_pixel} pixels of the mask have {kind} {value}, calibrated.mask.planes of the camera file knows "
            f"{list(known)}: add it there, with an empty list if it does not matter"
        )
        self.kind, self.value, self.n_pixel, self.known = kind, value, n_pixel, known


def exposure_of_calibrated(frame, info, zero_point, settings, *, needs_wcs=False):
    """Exposure in electrons of a calibrated image.

    Parameters
    ----------
    frame : CalibratedFrame
        Image, noise plane and mask of one detector.
    info : ExposureInfo
        Of the visit.
    zero_point : float
        AB magnitude of one unit of the image in this visit; NaN for that of the layout.
    settings : dict
        Section ``isr`` of the configuration.
    needs_wcs : bool
        Whether the header must have a WCS: it is to be kept, or the image is a cut-out that may lie anywhere.

    Returns
    -------
    Exposure
        Sky as it is in the image. The mask is the observatory's in our planes, with SAT where the layout gives a
        level, and NO_DATA where there is no number or weight. Every pixel is finite; small defects are interpolated.
        It carries the header's WCS and the zero point [nJy/electron] that is given, each None where there is none.

    Raises
    ------
    WrongUnitError, StatedQuantityError, UnknownMaskValueError
        If header, mask and camera file contradict each other.
    MissingWcsError, UnsupportedWcsError
        If a WCS is needed and the header's cannot be used.
    AllPixelsBadError, ConstantImageError, TooFewGoodPixelsError
        If the image holds no data, or too little.
    """
    layout = frame.layout
    _check_unit(frame.header.get("BUNIT"), layout.unit)
    stated = _Stated(info.band, frame.header)
    scale = stated.above_zero("gain", layout.gain) * (info.exposure_time if layout.unit in RATES else 1.0)
    read_noise = stated.number("read_noise", layout.read_noise)
    light = (frame.image - np.float32(stated.number("pedestal", layout.pedestal))) * np.float32(scale)
    _check_content(light)
    mask = _translated(frame)
    if layout.saturation is not None:
        level = stated.number("saturation", layout.saturation)
        mask |= np.where(frame.image >= level, mask_planes.SAT, np.uint32(0))
    check_good_fraction(mask, settings["min_good_fraction"])
    variance = _variance(frame, light, mask, (scale, read_noise))
    pixels = MaskedImage(light, mask, variance.astype(np.float32))
    fill_empty_in_place(pixels)
    if settings["interpolate_defects"]:
        fill_small_defects_in_place(pixels, settings)
    log.info(
        "calibrated image: %.4g electron a %s, sky %.1f electron, noise of it %.2f, %.3f %% masked",
        *(scale, layout.unit, np.median(pixels.image[::4, ::4])),
        *(np.sqrt(np.median(pixels.variance[::4, ::4])), 100 * np.mean((mask & UNUSABLE) != 0)),
    )
    if np.isnan(zero_point) and layout.zero_point is not None:
        zero_point = stated.number("zero_point", layout.zero_point)
    return Exposure(
        pixels=pixels,
        info=replace(info, gain=scale, read_noise=read_noise),
        wcs=_header_wcs(frame.header, light.shape, needs_wcs),
        photo_calib=_photo_calib(layout.unit, zero_point, scale, light.shape),
    )


class _Stated:
    """Quantities of a layout in one image: numbers, or what a card of the header says, each perhaps by band."""

    def __init__(self, band, header):
        self.band, self.header = band, header

    def number(self, name, stated):
        """Value (float) of a quantity."""
        value = stated[self.band] if isinstance(stated, dict) else stated
        if not isinstance(value, str):
            return value
        found = self.header.get(value)
        try:
            return number_of(found)
        except UnreadableValueError as error:
            raise StatedQuantityError(name, value, found) from error

    def above_zero(self, name, stated):
        """Value (float) of a quantity that nothing can be divided by when it is 0."""
        value = self.number(name, stated)
        if not value > 0:
            keyword = stated[self.band] if isinstance(stated, dict) else stated
            raise StatedQuantityError(name, keyword, value)
        return value


def _check_unit(found, expected):
    """Raise when BUNIT is surely another unit; say so in the log when it cannot be told."""
    if found is None or str(found).strip() in ("", expected):
        return
    known = SPELLINGS.get(str(found).strip().lower())
    if known is None:
        log.warning("the header's BUNIT is %r: the camera file's %s is taken", found, expected)
    elif known != expected:
        raise WrongUnitError(found, expected)


def _check_content(image):
    """Raise when the image as a whole holds no data."""
    finite = image[np.isfinite(image)]
    if finite.size == 0:
        raise AllPixelsBadError(image.size)
    if finite.min() == finite.max():
        raise ConstantImageError(float(finite[0]))


def _translated(frame):
    """Observatory's mask in our planes (ndarray, shape (ny, nx), uint32)."""
    mask = np.zeros(frame.image.shape, dtype=np.uint32)
    if frame.flags is None:
        return mask
    layout = frame.layout.mask
    is_codes = layout.form == "codes"
    rest = frame.flags.copy()
    for value, names in layout.planes.items():
        bit = np.uint64(value) if is_codes else np.uint64(1) << np.uint64(value)
        is_set = frame.flags == bit if is_codes else (frame.flags & bit) != 0
        mask[is_set] |= mask_planes.bits(*names)
        rest = np.where(is_set, np.uint64(0), rest) if is_codes else rest & ~bit
    if rest.any():
        first = int(rest[rest != 0].min())
        if is_codes:
            raise UnknownMaskValueError("code", first, int((rest == first).sum()), layout.planes)
        bit = (first & -first).bit_length() - 1
        n_pixel = int(((rest >> np.uint64(bit)) & np.uint64(1)).sum())
        raise UnknownMaskValueError("bit", bit, n_pixel, layout.planes)
    return mask


def _variance(frame, light, mask, noise):
    """Variance of each pixel [electron^2]; NaN where there is no weight."""
    scale, read_noise = noise
    form = frame.layout.variance.form
    if form in PLANE_FORMS:
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = {
                "variance": lambda plane: plane,
                "weight": lambda plane: 1 / plane,
                "error": lambda plane: plane**2,
            }[form](frame.noise.astype(np.float64))
        return np.where(np.isfinite(variance) & (variance > 0), variance * scale**2, np.nan)
    is_empty = ~np.isfinite(light)
    is_unusable = is_empty | ((mask & UNUSABLE) != 0)
    known, read_variance = np.where(is_empty, np.float32(0), light), np.float32(read_noise**2)
    if form == "measured":
        known = known - block_median_background(known, is_unusable, SKY_BIN).image()
        read_variance = np.float32(mad_sigma(known[~is_unusable]) ** 2)
    read_variance = np.full(light.shape, read_variance)
    return expected_light(known, is_unusable, read_variance) + read_variance


def _header_wcs(header, shape, is_needed):
    """WCS of the header; None where there is none that can be used and the pointing will do."""
    if is_needed:
        return wcs_of_cards(header, shape)
    try:
        return wcs_of_cards(header, shape) if has_wcs(header) else None
    except (MissingWcsError, UnsupportedWcsError) as error:
        log.warning("%s: the search starts at the visit table's pointing", error)
        return None


def _photo_calib(unit, zero_point, scale, shape):
    """Zero point [nJy/electron] that unit and magnitude of a pixel give (FieldPolynomial), or None."""
    nano_jansky = NANO_JANSKY.get(unit, 10 ** (0.4 * (AB_ZERO_POINT - zero_point)))
    return None if np.isnan(nano_jansky) else constant_field(nano_jansky / scale, shape)
