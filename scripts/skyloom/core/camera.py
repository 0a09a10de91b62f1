"""A camera as its YAML file describes it: detectors on the focal plane, amplifiers on the detectors."""

import re
from dataclasses import dataclass, field, replace

from skyloom.core.calibrated_layout import CalibratedLayout, calibrated_layout
from skyloom.core.camera_keys import (
    CameraFileError,
    check_keys,
    check_mapping,
    choices_at,
    extension_at,
    integers_at,
    number_at,
    numbers_at,
)
from skyloom.core.camera_sections import check_sections, check_tiling

SECTION_KEYS = (
    "data_section",
    "overscan_section",
    "prescan_section",
    "parallel_overscan_section",
    "detector_section",
)
CAMERA_KEYS = (
    "name",
    "pixel_scale",
    "parity",
    "bands",
    "raw",
    "site",
    "amplifier_sets",
    "detectors",
    "calibrated",
)
RAW_KEYS = ("format", "header", "filters", "image_types")
FRAME_CLASSES = ("bias", "dark", "flat", "science", "other")
PLACE_KEYS = ("name", "shape", "centre", "orientation")
MOSAIC_KEYS = ("band", "pixel_step", "pixel_start")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
RAW_FORMATS = ("single", "extensions")
HEADER_NAMES = (
    "exposure_name", "image_type", "object", "exposure_time", "band", "mjd_mid", "date_mid", "jd_mid", "mjd_begin",
    "date_begin", "jd_begin", "time_begin", "time_scale", "ra", "dec", "ra_hours", "rotation", "airmass", "detector",
)  # fmt: skip
LARGEST_SIDE = 20_000
"""Of a detector [pixel]: twice the largest sensors that are made."""

LARGEST_STEP = 16
"""Of a mosaic of filters [pixel]: the largest that are made repeat after six."""

LARGEST_DETECTOR = 511
"""Source identifiers have nine bits for the detector."""


@dataclass(frozen=True, slots=True)
class Amplifier:
    """One read-out channel.

    Attributes
    ----------
    name : str
        Its name.
    extension : int or str
        HDU of the raw file that holds it.
    data_section, overscan_section, prescan_section, parallel_overscan_section : tuple of int or None
        (x0, x1, y0, y1) in the raw HDU, counted from 0, the ends excluded.
    detector_section : tuple of int
        Where the data lie on the assembled detector, in the same form.
    flip_x, flip_y : bool
        How the raw data section is flipped to lie on the detector.
    gain : float
        [electron/ADU].
    read_noise : float
        [electron].
    saturation : float
        Level at which pixels saturate [ADU, bias included].
    gain_keyword, read_noise_keyword : str or None
        Cards of the frame that hold them instead, in the amplifier's own HDU or else the primary one.
    """

    name: str
    extension: int | str
    data_section: tuple[int, int, int, int]
    detector_section: tuple[int, int, int, int]
    overscan_section: tuple[int, int, int, int] | None = None
    prescan_section: tuple[int, int, int, int] | None = None
    parallel_overscan_section: tuple[int, int, int, int] | None = None
    flip_x: bool = False
    flip_y: bool = False
    gain: float = 1.0
    read_noise: float = 0.0
    saturation: float = 65535.0
    gain_keyword: str | None = None
    read_noise_keyword: str | None = None


@dataclass(frozen=True, slots=True)
class Detector:
    """One detector of a camera.

    Attributes
    ----------
    id : int
        Number in file names.
    name : str
        The observatory's name.
    shape : tuple of int
        (ny, nx) of the assembled detector.
    centre : tuple of float
        Focal-plane position (fx, fy) of its centre, from the boresight [pixel].
    orientation : float
        Angle from the focal plane's x axis to the detector's, counter-clockwise [degree].
    amplifiers : tuple of Amplifier
        Its read-out channels; none in a camera of calibrated images.
    extension : int, str or None
        HDU of its calibrated image; None in a camera of raw frames, where the amplifiers say theirs.
    band : str or None
        The one band that it sees, as a colour of a mosaic of filters does; None when it sees the visit's.
    pixel_step, pixel_start : tuple of int
        Its pixels are every so manieth (x, y) of the raw file's from the start (x, y) on; all sections count in
        its own pixels.
    """

    id: int
    name: str
    shape: tuple[int, int]
    centre: tuple[float, float]
    orientation: float
    amplifiers: tuple[Amplifier, ...] = ()
    extension: int | str | None = None
    band: str | None = None
    pixel_step: tuple[int, int] = (1, 1)
    pixel_start: tuple[int, int] = (0, 0)

    def sees(self, band):
        """Return whether visits of a band have this detector (bool).

        Parameters
        ----------
        band : str
            The visit's.
        """
        return self.band is None or self.band == band


@dataclass(frozen=True, slots=True)
class RawLayout:
    """How an observatory writes its raw frames.

    Attributes
    ----------
    format : str
        ``single`` (everything in the primary HDU) or ``extensions``.
    header : dict of str to str
        Keyword of each quantity that the file carries (exposure_time, band, mjd, ...).
    filters : dict of str to str
        Band by what the filter's card says, where it does not say the band.
    image_types : dict of str to str
        Class of frame (one of `FRAME_CLASSES`) by what the card of the frame's type says.
    """

    format: str
    header: dict[str, str] = field(default_factory=dict)
    filters: dict[str, str] = field(default_factory=dict)
    image_types: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Site:
    """Where the telescope stands.

    Attributes
    ----------
    latitude, longitude : float
        Geodetic, North and East positive [degree].
    elevation : float
        [m].
    """

    latitude: float
    longitude: float
    elevation: float = 0.0


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera.

    Attributes
    ----------
    name : str
        Its name.
    pixel_scale : float
        [arcsec/pixel] at the boresight.
    parity : int
        1 when +x is West with +y North (a standard image), -1 for a mirrored one.
    bands : tuple of str
        Bands that it has filters for.
    detectors : dict of int to Detector
        By number.
    raw : RawLayout
        Form of the raw files.
    site : Site or None
        Where it stands; None when the file does not say.
    calibrated : CalibratedLayout or None
        How its images are written that the observatory has calibrated already; None for raw frames.
    """

    name: str
    pixel_scale: float
    parity: int
    bands: tuple[str, ...]
    detectors: dict[int, Detector]
    raw: RawLayout
    site: Site | None = None
    calibrated: CalibratedLayout | None = None

    @property
    def fixed_bands(self):
        """Bands that its detectors see at once, in the order of `bands` (tuple of str); none with filters to change."""
        seen = {detector.band for detector in self.detectors.values()}
        return tuple(band for band in self.bands if band in seen)

    @property
    def has_all_detectors_in_a_file(self):
        """Whether each raw file holds all detectors (bool): they have other extensions, or other pixels of a mosaic."""
        is_single = self.raw.format == "single"
        used = [
            {(None if is_single else unit.extension, d.pixel_start) for unit in d.amplifiers or (d,)}
            for d in self.detectors.values()
        ]
        return sum(map(len, used)) == len(set().union(*used))


def camera_from_dict(description):
    """Build a camera from the content of its YAML file.

    Parameters
    ----------
    description : dict
        Keys name, pixel_scale, parity, bands, raw, site, amplifier_sets, detectors, calibrated (see
        ``docs/cameras.md``).

    Returns
    -------
    Camera
        The camera, checked.

    Raises
    ------
    CameraFileError
        For a missing, unknown or unusable key, or sections that do not fit together.
    """
    name = str(description.get("name", "?")) if isinstance(description, dict) else "?"
    check_keys(name, "", description, ("name", "pixel_scale", "bands", "raw", "detectors"), CAMERA_KEYS)
    if not NAME.fullmatch(name):
        raise CameraFileError(repr(name), "name stands in file names, needs letters, digits, _ and - alone")
    parity = description.get("parity", 1)
    if parity not in (1, -1):
        raise CameraFileError(name, f"parity is {parity}, needs 1 or -1")
    bands = description["bands"]
    if not isinstance(bands, (list, tuple)) or not bands:
        raise CameraFileError(name, f"bands is {bands!r}, needs a list of bands")
    sets = description.get("amplifier_sets") or {}
    check_mapping(name, "amplifier_sets", sets)
    check_mapping(name, "detectors", description["detectors"])
    is_calibrated = description.get("calibrated") is not None
    detectors = {}
    for number, entry in description["detectors"].items():
        if type(number) is not int or not 0 <= number <= LARGEST_DETECTOR:
            found = f"detectors has {number!r}, needs numbers from 0 to {LARGEST_DETECTOR} as keys"
            raise CameraFileError(name, found)
        detectors[number] = (
            _calibrated_detector(name, number, entry)
            if is_calibrated
            else _detector(name, number, entry, sets)
        )
    pixel_scale = number_at(name, "pixel_scale", description["pixel_scale"])
    if not pixel_scale > 0:
        raise CameraFileError(name, f"pixel_scale is {pixel_scale}, needs a scale [arcsec/pixel] above 0")
    bands = tuple(str(band) for band in bands)
    _check_fixed_bands(name, detectors, bands)
    return Camera(
        name,
        pixel_scale,
        int(parity),
        bands,
        detectors,
        _raw_layout(name, description["raw"], bands),
        site=_site(name, description.get("site")),
        calibrated=calibrated_layout(name, description["calibrated"], bands) if is_calibrated else None,
    )


def _check_fixed_bands(camera, detectors, bands):
    """Raise unless all detectors have one of the camera's bands, or none has a band."""
    for number, detector in detectors.items():
        if detector.band is not None and detector.band not in bands:
            found = f"detector {number}: band is {detector.band!r}, needs one of bands: {', '.join(bands)}"
            raise CameraFileError(camera, found)
    without = [number for number, detector in detectors.items() if detector.band is None]
    if without and len(without) < len(detectors):
        found = f"detector {without[0]} has no band while others have: give all of them one, or none"
        raise CameraFileError(camera, found)


def band_named(text, bands, filters):
    """Band that a filter's card means.

    Parameters
    ----------
    text : str
        What the card says.
    bands : sequence of str
        Bands of the camera.
    filters : dict of str to str
        Band by what the card says: the camera file's ``raw.filters``, which counts first.

    Returns
    -------
    str or None
        None for a filter that is none of the camera's; upper and lower case matter only where two bands differ by it.
    """
    if text in filters:
        return filters[text]
    if text in bands:
        return text
    alike = [band for band in bands if band.lower() == text.lower()]
    return alike[0] if len(alike) == 1 else None


def _raw_layout(camera, entry, bands):
    """Form of the raw files from the section raw."""
    check_keys(camera, "raw", entry, ("format",), RAW_KEYS)
    if entry["format"] not in RAW_FORMATS:
        raise CameraFileError(camera, f"raw.format is {entry['format']}, needs {' or '.join(RAW_FORMATS)}")
    header = entry.get("header") or {}
    check_keys(camera, "raw.header", header, (), HEADER_NAMES)
    for name, keyword in header.items():
        if not isinstance(keyword, str) or not keyword.strip():
            raise CameraFileError(camera, f"raw.header.{name} is {keyword!r}, needs the keyword of a card")
    filters = choices_at(camera, "raw.filters", entry.get("filters"), bands)
    image_types = choices_at(camera, "raw.image_types", entry.get("image_types"), FRAME_CLASSES)
    return RawLayout(entry["format"], dict(header), filters, image_types)


def _site(camera, entry):
    """Where the telescope stands, None when the file does not say."""
    if entry is None:
        return None
    check_keys(camera, "site", entry, ("latitude", "longitude"), tuple(Site.__dataclass_fields__))
    site = Site(**{key: number_at(camera, f"site.{key}", value) for key, value in entry.items()})
    if abs(site.latitude) > 90 or abs(site.longitude) > 360:
        found = f"site is latitude {site.latitude:g}, longitude {site.longitude:g}"
        raise CameraFileError(camera, f"{found}, needs degrees, North and East positive")
    return site


def _detector(camera, number, entry, sets):
    """One detector of raw frames from its entry; `amplifiers` is a list or the name of a set."""
    where = f"detector {number}"
    check_keys(camera, where, entry, ("shape", "amplifiers"), (*PLACE_KEYS, "amplifiers", *MOSAIC_KEYS))
    amplifiers = entry["amplifiers"]
    if isinstance(amplifiers, str):
        if amplifiers not in sets:
            known = ", ".join(str(name) for name in sets) or "none"
            raise CameraFileError(
                camera, f"{where}: no amplifier set is called {amplifiers}; amplifier_sets has {known}"
            )
        amplifiers = sets[amplifiers]
    if not isinstance(amplifiers, (list, tuple)):
        raise CameraFileError(camera, f"{where}: amplifiers is {amplifiers!r}, needs a list or a set's name")
    place = _place(camera, where, number, entry)
    built = tuple(_amplifier(camera, number, amplifier) for amplifier in amplifiers)
    for amplifier in built:
        check_sections(camera, f"{where}: amplifier {amplifier.name}", place.shape, amplifier)
    check_tiling(camera, number, place.shape, built)
    band = None if entry.get("band") is None else str(entry["band"])
    return replace(place, amplifiers=built, band=band, **_mosaic(camera, where, entry))


def _calibrated_detector(camera, number, entry):
    """One detector of calibrated images from its entry."""
    where = f"detector {number}"
    check_keys(camera, where, entry, ("shape", "extension"), (*PLACE_KEYS, "extension"))
    extension = extension_at(camera, f"{where}: extension", entry["extension"])
    return replace(_place(camera, where, number, entry), extension=extension)


def _place(camera, where, number, entry):
    """Detector with its name, size and place, without what reads it out."""
    shape = integers_at(camera, f"{where}: shape", entry["shape"], ("ny", "nx"))
    if max(shape) > LARGEST_SIDE:
        raise CameraFileError(
            camera, f"{where}: shape is {list(shape)}, needs sides of at most {LARGEST_SIDE} pixels"
        )
    centre = numbers_at(camera, f"{where}: centre", entry.get("centre", (0.0, 0.0)), ("fx", "fy"))
    orientation = number_at(camera, f"{where}: orientation", entry.get("orientation", 0.0))
    return Detector(number, str(entry.get("name", number)), shape, centre, orientation)


def _mosaic(camera, where, entry):
    """Step and start of a detector's pixels in the raw file (dict), as keys of `Detector`."""
    step = integers_at(camera, f"{where}: pixel_step", entry.get("pixel_step", (1, 1)), ("x", "y"))
    start = integers_at(camera, f"{where}: pixel_start", entry.get("pixel_start", (0, 0)), ("x", "y"))
    if min(step) < 1 or max(step) > LARGEST_STEP:
        raise CameraFileError(
            camera, f"{where}: pixel_step is {list(step)}, needs numbers from 1 to {LARGEST_STEP}"
        )
    if start[0] >= step[0] or start[1] >= step[1]:
        raise CameraFileError(
            camera, f"{where}: pixel_start is {list(start)}, needs numbers below pixel_step {list(step)}"
        )
    return {"pixel_step": step, "pixel_start": start}


def _amplifier(camera, number, entry):
    """One amplifier from its entry, its sections as tuples."""
    needed = ("name", "extension", "data_section", "detector_section")
    name = entry.get("name", "?") if isinstance(entry, dict) else "?"
    where = f"detector {number}: amplifier {name}"
    check_keys(camera, where, entry, needed, tuple(Amplifier.__dataclass_fields__))
    values = dict(entry)
    for key in SECTION_KEYS:
        if values.get(key) is not None:
            values[key] = integers_at(camera, f"{where}: {key}", values[key], ("x0", "x1", "y0", "y1"))
            x0, x1, y0, y1 = values[key]
            if x1 <= x0 or y1 <= y0:
                raise CameraFileError(
                    camera, f"{where}: {key} is {list(values[key])}, needs x0 < x1, y0 < y1"
                )
    values |= _read_out(camera, where, values)
    for key in ("gain_keyword", "read_noise_keyword"):
        if values.get(key) is not None and not isinstance(values[key], str):
            raise CameraFileError(camera, f"{where}: {key} is {values[key]!r}, needs a header keyword")
    values["name"] = str(values["name"])
    return Amplifier(**values)


def _read_out(camera, where, values):
    """Gain, noise and saturation of an amplifier as numbers (dict), after a check of all that is no section."""
    numbers = {}
    for key in ("gain", "read_noise", "saturation"):
        if key in values:
            numbers[key] = number_at(camera, f"{where}: {key}", values[key])
            if numbers[key] < 0 or (numbers[key] == 0 and key != "read_noise"):
                raise CameraFileError(camera, f"{where}: {key} is {numbers[key]:g}, needs a number above 0")
    for key in ("flip_x", "flip_y"):
        if not isinstance(values.get(key, False), bool):
            raise CameraFileError(camera, f"{where}: {key} is {values[key]!r}, needs true or false")
    extension_at(camera, f"{where}: extension", values["extension"])
    return numbers


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One detector as it was read out.

    Attributes
    ----------
    detector : Detector
        Which one, with its amplifiers.
    planes : dict of (int or str) to ndarray, shape (ny, nx)
        Pixels [ADU] of each HDU that an amplifier names.
    header : dict
        Cards of the primary header, and of the extensions where they do not repeat it.
    """

    detector: Detector
    planes: dict
    header: dict
