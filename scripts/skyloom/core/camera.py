"""A camera as its YAML file describes it: detectors on the focal plane, amplifiers on the detectors."""

from dataclasses import dataclass, field

import numpy as np

from skyloom.core.errors import ConfigError

SECTION_KEYS = (
    "data_section",
    "overscan_section",
    "prescan_section",
    "parallel_overscan_section",
    "detector_section",
)


class CameraFileError(ConfigError):
    """A camera file contradicts itself or lacks something.

    Parameters
    ----------
    camera : str
        The camera's name.
    problem : str
        What is wrong, with the key.
    """

    def __init__(self, camera, problem):
        super().__init__(f"camera {camera}: {problem}")
        self.camera, self.problem = camera, problem


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
        Its read-out channels.
    """

    id: int
    name: str
    shape: tuple[int, int]
    centre: tuple[float, float]
    orientation: float
    amplifiers: tuple[Amplifier, ...]


@dataclass(frozen=True, slots=True)
class RawLayout:
    """How an observatory writes its raw frames.

    Attributes
    ----------
    format : str
        ``single`` (everything in the primary HDU) or ``extensions``.
    header : dict of str to str
        Keyword of each quantity that the file carries (exposure_time, band, mjd, ...).
    """

    format: str
    header: dict[str, str] = field(default_factory=dict)


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
    """

    name: str
    pixel_scale: float
    parity: int
    bands: tuple[str, ...]
    detectors: dict[int, Detector]
    raw: RawLayout


def camera_from_dict(description):
    """Build a camera from the content of its YAML file.

    Parameters
    ----------
    description : dict
        Keys name, pixel_scale, parity, bands, raw, amplifier_sets, detectors (see ``docs/cameras.md``).

    Returns
    -------
    Camera
        The camera, checked.

    Raises
    ------
    CameraFileError
        For a missing key, or sections that do not fit together.
    """
    name = str(description.get("name", "?"))
    missing = [key for key in ("name", "pixel_scale", "bands", "raw", "detectors") if key not in description]
    if missing:
        raise CameraFileError(name, f"keys {', '.join(missing)} are missing")
    sets = description.get("amplifier_sets", {})
    detectors = {}
    for number, entry in description["detectors"].items():
        detectors[int(number)] = _detector(name, int(number), entry, sets)
    raw = RawLayout(description["raw"]["format"], dict(description["raw"].get("header", {})))
    if raw.format not in ("single", "extensions"):
        raise CameraFileError(name, f"raw.format is {raw.format}, needs single or extensions")
    parity = int(description.get("parity", 1))
    if parity not in (1, -1):
        raise CameraFileError(name, f"parity is {parity}, needs 1 or -1")
    bands = tuple(description["bands"])
    return Camera(name, float(description["pixel_scale"]), parity, bands, detectors, raw)


def _detector(camera, number, entry, sets):
    """One detector from its entry; `amplifiers` is a list or the name of a set."""
    amplifiers = entry["amplifiers"]
    if isinstance(amplifiers, str):
        if amplifiers not in sets:
            raise CameraFileError(camera, f"detector {number}: no amplifier set is called {amplifiers}")
        amplifiers = sets[amplifiers]
    shape = tuple(int(n) for n in entry["shape"])
    built = tuple(_amplifier(camera, number, amplifier) for amplifier in amplifiers)
    _check_tiling(camera, number, shape, built)
    centre = tuple(float(c) for c in entry.get("centre", (0.0, 0.0)))
    orientation = float(entry.get("orientation", 0.0))
    return Detector(number, str(entry.get("name", number)), shape, centre, orientation, built)


def _amplifier(camera, number, entry):
    """One amplifier from its entry, its sections as tuples."""
    known = set(Amplifier.__dataclass_fields__)
    unknown = set(entry) - known
    if unknown:
        allowed = ", ".join(sorted(known))
        raise CameraFileError(
            camera, f"detector {number}: unknown amplifier keys {sorted(unknown)}; allowed: {allowed}"
        )
    values = dict(entry)
    for key in SECTION_KEYS:
        if values.get(key) is not None:
            values[key] = tuple(int(v) for v in values[key])
    values["name"] = str(values["name"])
    return Amplifier(**values)


def _check_tiling(camera, number, shape, amplifiers):
    """Raise unless the detector sections tile the detector and match the data sections."""
    count = np.zeros(shape, dtype=np.int16)
    for amplifier in amplifiers:
        x0, x1, y0, y1 = amplifier.detector_section
        a0, a1, b0, b1 = amplifier.data_section
        if (x1 - x0, y1 - y0) != (a1 - a0, b1 - b0):
            raise CameraFileError(
                camera,
                f"detector {number} amplifier {amplifier.name}: data and detector_section differ in size",
            )
        count[y0:y1, x0:x1] += 1
    if not np.all(count == 1):
        raise CameraFileError(
            camera,
            f"detector {number}: detector_sections tile {np.mean(count == 1):.1%} of the pixels, need all",
        )


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
