"""What a survey of calibrated images may leave out, and what it may not ask for."""

from pathlib import Path

from skyloom.workflow import config as configuration
from skyloom.workflow.config import Problem
from skyloom.workflow.visits import COMPANIONS, raw_path

SOLUTIONS = ("calibrate.astrometry.wcs", "calibrate.photometry.zero_point")
REFERENCE_ALLOWED = (
    "a catalogue; only a simulated survey makes its own, and calibrated images need none when "
    f"{' and '.join(SOLUTIONS)} are given"
)


def needs_references(settings):
    """Return whether a survey cannot do without a catalogue of reference stars (bool).

    Parameters
    ----------
    settings : dict
        The configuration with its defaults.
    """
    return len(_given(settings)) < len(SOLUTIONS)


def _given(settings):
    """Keys of the solutions that come with the images and are not fitted to reference stars."""
    found = []
    for key in SOLUTIONS:
        value = settings
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        found += [key] if value == "given" else []
    return found


def calibrated_problems(settings, cameras, files):
    """Check that raw frames and calibrated images are each asked for what they can give.

    Parameters
    ----------
    settings : dict
        The configuration with its defaults.
    cameras : dict of str to CameraFile
        Cameras of the survey.
    files : sequence of (str, dict)
        Name and content of each file the configuration was merged from, for messages.

    Returns
    -------
    list of Problem
        Solutions that raw frames do not have; defects or simulations of a camera of calibrated images;
        simulations of one with a mosaic of filters.
    """
    problems = []
    calibrated = [name for name, known in cameras.items() if known.camera.calibrated is not None]
    raw = [name for name in cameras if name not in calibrated]

    def add(key, found, allowed):
        problems.append(Problem(configuration.file_of(key.split("."), files), key, found, allowed))

    for key in _given(settings) if raw else ():
        found = f"is given, but camera {raw[0]} takes raw frames"
        add(key, found, "fitted, or only cameras whose file has a section calibrated")
    if calibrated and (settings.get("calibs") or {}).get("defects_from_science"):
        found = f"is true, but the images of camera {calibrated[0]} are calibrated"
        add("calibs.defects_from_science", found, "false: their masks tell the defects")
    if calibrated and settings.get("simulate") is not None:
        add("simulate", f"is there, but camera {calibrated[0]} has no amplifiers", "a camera of raw frames")
    mosaics = [name for name in raw if _is_mosaic(cameras[name].camera)]
    if mosaics and settings.get("simulate") is not None:
        found = f"is there, but camera {mosaics[0]} has a mosaic of filters"
        add("simulate", found, "a camera whose detectors have all pixels of their raw planes")
    return problems


def _is_mosaic(camera):
    """Return whether detectors of a camera have only some pixels of their raw planes (bool)."""
    return any(detector.pixel_step != (1, 1) for detector in camera.detectors.values())


def missing_companions(settings, visits, raws, raw_root):
    """Find the masks, variances and PSF models that the visit table names and that are not there.

    Parameters
    ----------
    settings : dict
        The configuration.
    visits : dict of int to dict
        Rows of the visit table.
    raws : iterable of (int, int)
        (visit, detector) of the images that are to be processed.
    raw_root : str
        Folder that the table's paths are relative to.

    Returns
    -------
    list of Problem
        One a file.
    """
    problems = []
    for visit, detector in raws:
        for column in (name for name in COMPANIONS if visits[visit][name]):
            path = Path(raw_root) / raw_path(visits[visit], detector, column)
            if not path.is_file():
                key, found = f"visit {visit}, detector {detector}", f"there is no {column} file {path}"
                problems.append(Problem(str(settings["visits"]), key, found, "the file, or an empty cell"))
    return problems
