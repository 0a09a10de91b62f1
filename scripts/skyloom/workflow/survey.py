"""A survey as Snakemake sees it: settings, cameras, visits, calibration epochs, patches of each detector."""

import copy
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from skyloom.core.camera import Camera, camera_from_dict
from skyloom.core.errors import ConfigError
from skyloom.io.yaml_files import parse_yaml
from skyloom.workflow import config as configuration
from skyloom.workflow.calib_epochs import CalibEpochs
from skyloom.workflow.calibrated import (
    REFERENCE_ALLOWED,
    calibrated_problems,
    missing_companions,
    needs_references,
)
from skyloom.workflow.config import InvalidConfigurationError, Problem, nearest_name
from skyloom.workflow.overlaps import find_overlaps
from skyloom.workflow.paths import product_path
from skyloom.workflow.visits import (
    FRAME_COLUMNS,
    VISIT_COLUMNS,
    raw_path,
    read_table_of,
    reference_problems,
)


class CameraFile(NamedTuple):
    """A camera of the survey and where it comes from.

    Attributes
    ----------
    file : str
        Path of its file.
    camera : Camera
        The camera.
    content : str
        Hash of what the file says.
    """

    file: str
    camera: Camera
    content: str


@dataclass(frozen=True, slots=True)
class Survey:
    """All that is decided before the first job.

    Attributes
    ----------
    settings : dict
        The configuration with its defaults.
    root : str
        Output root.
    cameras : dict of str to CameraFile
        Cameras by name.
    visits : dict of int to dict
        Rows of the visit table.
    frames : dict of int to dict
        Rows of the table of calibration frames.
    detectors : dict of int to tuple of int
        Detectors of each visit that are to be processed, sorted.
    patches : dict of (int, int) to tuple of (int, str)
        (tract, patch) pairs that each (visit, detector) may touch.
    raws : dict of (int, int) to str
        Raw file of each (visit, detector) that is to be processed.
    raw_root : str
        Folder that raw paths of the tables are relative to.
    epochs : CalibEpochs
        Calibration epochs.
    """

    settings: dict
    root: str
    cameras: dict
    visits: dict
    frames: dict
    detectors: dict
    patches: dict
    raws: dict
    raw_root: str
    epochs: CalibEpochs

    def raw_file(self, visit, detector):
        """Return the raw file of a visit, also of one that is excluded (str).

        Parameters
        ----------
        visit, detector : int
            The image.
        """
        return str(Path(self.raw_root) / raw_path(self.visits[visit], detector))

    def companion_file(self, visit, detector, column):
        """Return the file of a calibrated image's mask, variance or PSF (str), or None.

        Parameters
        ----------
        visit, detector : int
            The image.
        column : str
            One of `skyloom.workflow.visits.COMPANIONS`.
        """
        row = self.visits[visit]
        return str(Path(self.raw_root) / raw_path(row, detector, column)) if row[column] else None

    def frame_file(self, frame, detector):
        """Return the raw file of a calibration frame (str).

        Parameters
        ----------
        frame, detector : int
            The image.
        """
        return str(Path(self.raw_root) / raw_path(self.frames[frame], detector))


def locate(path, *folders):
    """Find a file that a configuration names.

    Parameters
    ----------
    path : str
        Relative to the working folder, or else to one of `folders`.
    *folders : str or Path
        Where else to look, in this order: Skyloom's own folder for the cameras and tables that come with it,
        and for a reference catalogue the folder of the raw frames.

    Returns
    -------
    str
        The path as given when it exists there, else below the first folder that has it, else as given.
    """
    if Path(path).exists() or Path(path).is_absolute():
        return str(path)
    found = (Path(folder) / path for folder in folders)
    return str(next((candidate for candidate in found if candidate.exists()), path))


def load_survey(given, files, home, *, check_files=True, known_problems=()):
    """Check a configuration with everything it names, and build the survey.

    Parameters
    ----------
    given : dict
        The merged configuration without defaults.
    files : sequence of (str, dict)
        Name and content of each file it was merged from, for messages.
    home : str or Path
        Folder of the Snakefile.
    check_files : bool
        Whether to look for the raw files and the reference catalogue on the disk; the head process does.
    known_problems : sequence of Problem
        What was found wrong with the text of the files; told with the rest.

    Returns
    -------
    Survey
        The survey.

    Raises
    ------
    InvalidConfigurationError
        With every problem of the configuration, the cameras, the tables and the files.
    """
    home = Path(home)
    schema = configuration.load_schema(home / "config" / "schema")
    refused = configuration.schema_problems(schema, given, files)
    settings = configuration.fill_defaults(schema, _without_bad_keys(given, refused))
    problems = [*known_problems, *refused]
    cameras, unread = _load_cameras(settings, files, home)
    problems += unread
    visits = _load_table(settings, "visits", (VISIT_COLUMNS, "visit"), home, problems)
    frames = _load_table(settings, "calibration_frames", (FRAME_COLUMNS, "frame"), home, problems)
    bands = settings.get("bands") or []
    for name, rows in (("visits", visits), ("calibration_frames", frames)):
        # A camera that could not be read is told once, not in each row that names it.
        checkable = {n: row for n, row in rows.items() if not unread or row["camera"] in cameras}
        problems.extend(reference_problems(str(settings.get(name)), checkable, cameras, bands))
    if not unread:
        problems.extend(_band_problems(settings, cameras, files))
    problems.extend(_consistency_problems(settings, visits, files, check_files, home))
    if check_files:
        problems.extend(_reference_problems(settings, visits, files, home))
    problems.extend(calibrated_problems(settings, cameras, files))
    problems.extend(_prompt_problems(settings, visits, files, check_files))
    if problems:
        raise InvalidConfigurationError(problems)
    made = {name: settings["calibs"][name] for name in ("defects_from_science", "illumination")}
    epochs = CalibEpochs(frames, **made)
    table = str(settings["calibration_frames"])
    problems.extend(epochs.problems(table))
    wanted = _wanted_visits(settings, visits)
    problems.extend([*epochs.visit_problems(table, wanted), *epochs.frame_problems(table)])
    if problems:
        raise InvalidConfigurationError(problems)
    return _build(settings, (cameras, visits, frames, epochs), check_files, home)


def _without_bad_keys(given, problems):
    """Copy of a configuration without the values that the schema refused, so that the rest can be checked."""
    usable = copy.deepcopy(given)
    for problem in problems:
        _drop(usable, problem.key.split("."))
    return usable


def _drop(mapping, keys):
    """Remove the value at a path of keys, where there is one; a list goes as a whole, in place."""
    for key in keys[:-1]:
        if not isinstance(mapping.get(key), dict):
            break
        mapping = mapping[key]
    else:
        key = keys[-1]
    mapping.pop(key, None)


def _load_cameras(settings, files, home):
    """Cameras of the survey by name, and what is wrong with the others."""
    named = settings.get("cameras") or {}
    paths = list(named.values()) if named else [settings["camera"]] if settings.get("camera") else []
    cameras, problems = {}, []
    for path in paths:
        file = locate(path, home)
        key = "cameras" if named else "camera"
        if not Path(file).is_file():
            shipped = [str(p.relative_to(home)) for p in sorted((home / "config" / "cameras").glob("*.yaml"))]
            problem = Problem(
                configuration.file_of([key], files),
                key,
                f"there is no file {path}",
                ", ".join(shipped),
                nearest_name(path, shipped),
            )
            problems.append(problem)
            continue
        description, faults = parse_yaml(file)
        if faults:
            problems.extend(configuration.text_problems(file, faults))
            continue
        try:
            camera = camera_from_dict(description)
        except ConfigError as error:
            problems.append(Problem(file, "camera", str(error), "see config/cameras/simcam.yaml"))
            continue
        text = json.dumps(description, sort_keys=True, default=str)
        cameras[camera.name] = CameraFile(file, camera, hashlib.sha256(text.encode()).hexdigest()[:16])
    return cameras, problems


def _load_table(settings, name, kind, home, problems):
    """Rows of one table; a missing file and bad rows are added to `problems`."""
    path = settings.get(name)
    if not path:
        return {}
    file = locate(path, home)
    if not Path(file).is_file():
        problems.append(Problem(str(path), name, "there is no such file", "a CSV or Parquet table"))
        return {}
    rows, found = read_table_of(file, *kind)
    problems.extend(found)
    return rows


def _band_problems(settings, cameras, files):
    """Bands of the survey that no camera has a filter for."""
    bands = settings.get("bands") or []
    filters = sorted({band for known in cameras.values() for band in known.camera.bands})
    if not cameras:
        return []
    return [
        Problem(
            configuration.file_of(["bands"], files),
            "bands",
            f"{band!r} has no filter in any camera",
            ", ".join(filters),
            nearest_name(band, filters),
        )
        for band in bands
        if band not in filters
    ]


def _consistency_problems(settings, visits, files, check_files, home):
    """What is wrong between sections: reference catalogue, cameras, exclusions, sky map."""
    problems = []

    def add(key, found, allowed, nearest=""):
        problems.append(Problem(configuration.file_of(key.split("."), files), key, found, allowed, nearest))

    reference = (settings.get("reference") or {}).get("path")
    simulated = settings.get("simulate") is not None
    if reference is None and not simulated and needs_references(settings):
        add("reference.path", "is not given", REFERENCE_ALLOWED)
    elif (
        reference is not None
        and check_files
        and not Path(locate(reference, home, settings["raw_root"])).exists()
    ):
        add(
            "reference.path",
            f"there is no file or folder {reference}, here or below raw_root {settings['raw_root']}",
            "a Parquet, FITS or CSV file, or a folder of them",
        )
    if simulated and len(settings.get("cameras") or {}) > 1:
        add(
            "cameras",
            f"are {len(settings['cameras'])} in a simulated survey",
            "one camera, or no section simulate",
        )
    for number, row in enumerate(settings.get("exclude") or []):
        if isinstance(row, dict) and visits and row.get("visit") not in visits:
            add(f"exclude.{number}", f"visit {row.get('visit')} is not in the table", "a visit of the table")
    sky_map = settings.get("sky_map") or {}
    if sky_map.get("kind") in ("grid", "local") and not sky_map.get("tracts"):
        add("sky_map.tracts", f"is empty with kind {sky_map['kind']}", "a list of tract, ra, dec, patches")
    return problems


def _reference_problems(settings, visits, files, home):
    """What a reference catalogue that is there lacks for the bands of the visits."""
    reference = settings.get("reference") or {}
    if reference.get("path") is None:
        return []
    path = Path(locate(reference["path"], home, settings["raw_root"]))
    if not path.exists():
        return []
    from skyloom.io.reference import missing_reference_columns

    file = configuration.file_of(["reference"], files)
    bands = sorted({row["band"] for row in visits.values()})
    problems = []
    if reference["flux_unit"] == "mag_vega":
        key, known = "reference.vega_ab_magnitudes", sorted(reference["vega_ab_magnitudes"])
        problems += [
            Problem(
                file, key, f"names no band {band!r}", "an AB magnitude of Vega for each band of the visits"
            )
            for band in bands
            if band not in known and band not in reference["colour_terms"]
        ]
    try:
        missing, available = missing_reference_columns(path, reference, bands)
    except ConfigError as error:
        return [*problems, Problem(file, "reference.path", str(error), "a Parquet, FITS or CSV file")]
    columns = ", ".join(available)
    for key, name in missing:
        found = f"there is no column {name!r} in {path}"
        problems.append(Problem(file, f"reference.{key}", found, columns, nearest_name(name, available)))
    return problems


def _prompt_problems(settings, visits, files, check_files):
    """What is wrong with the visit and the templates of the prompt flow."""
    problems = []

    def add(key, found, allowed, nearest=""):
        problems.append(Problem(configuration.file_of(key.split("."), files), key, found, allowed, nearest))

    template_root = (settings.get("template") or {}).get("root")
    chosen = settings.get("visit")
    if chosen is not None and chosen not in visits:
        add("visit", f"is {chosen}", "a visit of the table", nearest_name(chosen, visits))
    if template_root is not None and Path(template_root).resolve() == Path(settings["output_root"]).resolve():
        add("template.root", f"is the output root {template_root}", "the finished root of another run")
    if template_root is not None and check_files and not Path(template_root, "coadd").is_dir():
        add("template.root", f"{template_root} holds no folder coadd", "the root of a finished data release")
    return problems


def _build(settings, tables, check_files, home):
    """Survey of checked parts; missing raw files are refused or skipped as the configuration says."""
    cameras, visits, frames, epochs = tables
    root = str(settings["output_root"]).rstrip("/")
    excluded = {(row["visit"], row.get("detector")) for row in settings["exclude"]}
    simulated = settings.get("simulate") is not None
    raw_root = root if simulated else str(settings["raw_root"])
    detectors, raws, missing = {}, {}, []
    wanted = _wanted_visits(settings, visits)
    for visit, row in wanted.items():
        kept = []
        known = cameras[row["camera"]].camera.detectors
        for detector in sorted(number for number in known if known[number].sees(row["band"])):
            if (visit, None) in excluded or (visit, detector) in excluded:
                continue
            raw = str(Path(raw_root) / raw_path(row, detector))
            if check_files and not simulated and not Path(raw).is_file():
                missing.append((visit, detector, raw))
                continue
            raws[visit, detector] = raw
            kept.append(detector)
        if kept:
            detectors[visit] = tuple(kept)
    problems, pairs = [], [*raws]
    if settings["missing_raw"] == "error":
        problems += [_missing_raw_problem(settings, *item) for item in missing]
        pairs += [(visit, detector) for visit, detector, _ in missing]
    if check_files and not simulated:
        used = {(visits[visit]["camera"], detector) for visit, detector in pairs}
        taken = frames if wanted is visits else _frames_taken_by(wanted, epochs, frames)
        problems += _frame_file_problems(settings, taken, used, raw_root)
        problems += missing_companions(settings, visits, raws, raw_root)
    if problems:
        raise InvalidConfigurationError(problems)
    patches = find_overlaps(settings["sky_map"], cameras, visits, detectors)
    if settings["reference"]["path"] is not None:
        settings["reference"]["path"] = locate(settings["reference"]["path"], home, settings["raw_root"])
    return Survey(settings, root, cameras, visits, frames, detectors, patches, raws, raw_root, epochs)


def _wanted_visits(settings, visits):
    """Rows of the visits to work on: the prompt flow's, when the others may not have been exposed yet, or all."""
    chosen = settings.get("visit")
    is_prompt = chosen is not None and settings.get("simulate") is None
    return {chosen: visits[chosen]} if is_prompt else visits


def _frames_taken_by(visits, epochs, frames):
    """Rows of the calibration frames of all epochs that some visits take."""
    names = {epoch for row in visits.values() for epoch, _ in epochs.of_visit(row).values()}
    return {frame: row for frame, row in frames.items() if row["epoch"] in names}


def _frame_file_problems(settings, frames, used, raw_root):
    """Raw calibration frames that are not there, of all (camera, detector) that are to be processed."""
    problems = []
    for frame, row in frames.items():
        for detector in sorted(detector for camera, detector in used if camera == row["camera"]):
            raw = Path(raw_root) / raw_path(row, detector)
            if not raw.is_file():
                key, found = f"frame {frame}, detector {detector}", f"there is no raw file {raw}"
                allowed = "the file, or a table without this frame"
                problems.append(Problem(str(settings["calibration_frames"]), key, found, allowed))
    return problems


def _missing_raw_problem(settings, visit, detector, raw):
    """Problem of a raw file that is not there."""
    key = f"visit {visit}, detector {detector}"
    return Problem(
        str(settings["visits"]),
        key,
        f"there is no raw file {raw}",
        "the file, an entry in exclude, or missing_raw: skip",
    )


def template_exists(root, band, tract, patch):
    """Return whether a finished root holds a template coadd (bool).

    Parameters
    ----------
    root : str
        Root of a finished data release.
    band : str
        Band.
    tract : int
        Tract.
    patch : str
        Patch.
    """
    return Path(
        product_path(root, "coadd", kind="good_seeing", band=band, tract=tract, patch=patch)
    ).is_file()
