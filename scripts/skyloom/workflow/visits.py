"""Tables of visits and of calibration frames: what a row holds, and all that can be wrong with it."""

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

from skyloom.core.calibrated_layout import PLANE_FORMS
from skyloom.core.header_values import LONGEST_EXPOSURE_S, MJD_LIMITS
from skyloom.workflow.config import Problem, nearest_name

MAX_VISIT = 2**31 - 1
USES = ("template", "science", "both")
KINDS = ("bias", "dark", "flat")
MORE_CELLS = "more cells"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
RAW_FIELD = re.compile(r"\{(\w+)(?::0(\d))?\}")
"""A field of a raw path, and the digits that zeros in front fill it up to: ``{detector}``, ``{detector:02}``."""
RAW_FILE = re.compile(r"[^\x00-\x1f\x7f{}\\]+")
"""A path that Snakemake takes as it is: no control character, no wildcard, no backslash."""

RAW_FIELDS = ("visit", "frame", "detector", "exposure_name", "night", "band", "camera")


@dataclass(frozen=True, slots=True)
class TableColumn:
    """What one column of a table may hold.

    Attributes
    ----------
    type : type
        int, float or str.
    allowed : str
        In words, for messages.
    is_valid : callable
        Of the converted value.
    default : object
        Taken for an empty cell or a missing column; None when there must be a value.
    """

    type: type
    allowed: str
    is_valid: object
    default: object = None


def _between(low, high):
    """Test of a number against two ends, both allowed; NaN fails."""
    return lambda value: low <= value <= high


def _is_name(value):
    """Whether a text may stand in a file name and in a rule's name."""
    return NAME.fullmatch(value) is not None


VISIT_COLUMNS = {
    "visit": TableColumn(int, f"an integer from 0 to {MAX_VISIT}", _between(0, MAX_VISIT)),
    "exposure_name": TableColumn(str, "text", bool, "none"),
    "night": TableColumn(str, "letters, digits, _ and -", _is_name),
    "mjd": TableColumn(
        float,
        f"a date [MJD TAI, middle of the exposure] from {MJD_LIMITS[0]} to {MJD_LIMITS[1]}",
        _between(*MJD_LIMITS),
    ),
    "band": TableColumn(str, "a band of the survey", _is_name),
    "exposure_time": TableColumn(
        float, f"a time [s] above 0 and up to {LONGEST_EXPOSURE_S:.0f}", _between(1e-6, LONGEST_EXPOSURE_S)
    ),
    "ra": TableColumn(float, "an angle [degree, not hours] from 0 to 360", _between(0, 360)),
    "dec": TableColumn(float, "an angle [degree] from -90 to 90", _between(-90, 90)),
    "rotation": TableColumn(float, "an angle [degree] from -360 to 360", _between(-360, 360), 0.0),
    "pointing_uncertainty": TableColumn(float, "an angle [arcsec] from 0 to 36000", _between(0, 36000), 60.0),
    "airmass": TableColumn(float, "a number from 1 to 40", _between(1, 40), 1.0),
    "camera": TableColumn(str, "a camera of the survey", _is_name),
    "raw": TableColumn(str, "a path with {detector}", bool),
    "use": TableColumn(str, ", ".join(USES), lambda value: value in USES, "both"),
    "mask": TableColumn(str, "a path, or empty when the image's file holds the mask", bool, ""),
    "variance": TableColumn(str, "a path, or empty when the image's file holds the variance", bool, ""),
    "psf": TableColumn(str, "a path, or empty when the PSF is to be fitted", bool, ""),
    "zero_point": TableColumn(
        float, "an AB magnitude of one unit of the image from -10 to 50", _between(-10, 50), math.nan
    ),
}
COMPANIONS = ("mask", "variance", "psf")
"""Columns of files that belong to a calibrated image."""

CALIBRATED_COLUMNS = (*COMPANIONS, "zero_point")
"""Columns that only calibrated images have."""

FRAME_COLUMNS = {
    "frame": TableColumn(int, f"an integer from 0 to {MAX_VISIT}", _between(0, MAX_VISIT)),
    "kind": TableColumn(str, ", ".join(KINDS), lambda value: value in KINDS),
    "band": TableColumn(str, "a band of the survey for flats, none otherwise", _is_name, "none"),
    "exposure_time": TableColumn(
        float, f"a time [s] from 0 to {LONGEST_EXPOSURE_S:.0f}", _between(0, LONGEST_EXPOSURE_S)
    ),
    "mjd": TableColumn(
        float, f"a date [MJD TAI] from {MJD_LIMITS[0]} to {MJD_LIMITS[1]}", _between(*MJD_LIMITS)
    ),
    "epoch": TableColumn(str, "letters, digits, _ and -", _is_name),
    "valid_from": TableColumn(float, "a date [MJD TAI]", _between(0, 200000)),
    "valid_until": TableColumn(float, "a date [MJD TAI]", _between(0, 200000)),
    "camera": TableColumn(str, "a camera of the survey", _is_name),
    "raw": TableColumn(str, "a path with {detector}", bool),
}


def read_rows(path):
    """Read the cells of a CSV or Parquet table.

    Parameters
    ----------
    path : str or Path
        Ends in ``.csv`` or ``.parquet``.

    Returns
    -------
    list of (str, dict)
        Where the row stands, for messages, and its cells; text in a CSV file.
    """
    if Path(path).suffix == ".parquet":
        from pyarrow import parquet

        return [(f"row {n}", row) for n, row in enumerate(parquet.read_table(path).to_pylist(), start=1)]
    with open(path, encoding="utf-8-sig", newline="") as stream:
        lines = [(n, line) for n, line in enumerate(stream, start=1) if not line.startswith("#")]
        reader = csv.DictReader((line for _, line in lines), restkey=MORE_CELLS)
        twice = sorted({name for name in reader.fieldnames or () if reader.fieldnames.count(name) > 1})
        if twice:
            raise csv.Error(f"column {', '.join(twice)} stands there twice")
        return [(f"line {lines[reader.line_num - 1][0]}", row) for row in reader]


def _readable_rows(path):
    """Rows as of `read_rows`, and what is wrong with the file as a whole."""
    try:
        return read_rows(path), []
    except (ValueError, NotImplementedError, OSError, csv.Error) as error:  # pyarrow's are of these classes
        found = f"cannot be read ({' '.join(str(error).split()):.200})"
        return [], [Problem(str(path), "table", found, "a CSV table in UTF-8, or a Parquet table")]


def read_table_of(path, columns, key):
    """Read and check a table.

    Parameters
    ----------
    path : str or Path
        The table.
    columns : dict of str to TableColumn
        `VISIT_COLUMNS` or `FRAME_COLUMNS`.
    key : str
        Column whose values must differ.

    Returns
    -------
    rows : dict of int to dict
        Good rows by `key`, in the table's order.
    problems : list of Problem
        Everything that is wrong, each with its line.
    """
    file, problems, rows, where_seen = str(path), [], {}, {}
    cells, unreadable = _readable_rows(path)
    if unreadable:
        return {}, unreadable
    present = set(cells[0][1]) - {MORE_CELLS} if cells else set(columns)
    problems.extend(_column_problems(file, present, columns))
    for where, row in cells:
        values, row_problems = _converted(file, where, row, columns, present)
        problems.extend(row_problems)
        number = values.get(key)
        if number is not None and number in where_seen:
            found = f"{key} {number} stands already in {where_seen[number]}"
            problems.append(Problem(file, where, found, f"each {key} once"))
        elif not row_problems and number is not None:
            rows[number] = values
        where_seen.setdefault(number, where)
    if not cells:
        problems.append(Problem(file, "table", "has no row", "at least one row"))
    return rows, problems


def _column_problems(file, present, columns):
    """Columns that the table lacks or that nobody knows."""
    needed = [name for name, column in columns.items() if column.default is None]
    missing = [
        Problem(file, name, "column is missing", columns[name].allowed)
        for name in needed
        if name not in present
    ]
    unknown = sorted(str(name) for name in present if name not in columns)
    allowed = ", ".join(columns)
    return missing + [Problem(file, n, "is no column", allowed, nearest_name(n, columns)) for n in unknown]


def _converted(file, where, row, columns, present):
    """Values of one row, and what is wrong with them."""
    values, problems = {}, []
    if row.get(MORE_CELLS):
        found = f"has {len(row[MORE_CELLS])} cells more than the table has columns"
        problems.append(
            Problem(file, where, found, "as many cells as columns; a text with a comma in quotes")
        )
    for name, column in columns.items():
        cell = row.get(name)
        if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)):
            if column.default is not None:
                values[name] = column.default
            elif name in present:
                problems.append(Problem(file, f"{where}, {name}", "is empty", column.allowed))
            continue
        try:
            value = _value(column.type, cell)
        except (ValueError, TypeError, OverflowError):
            problems.append(Problem(file, f"{where}, {name}", f"is {cell!r}", column.allowed))
            continue
        if not column.is_valid(value):
            problems.append(Problem(file, f"{where}, {name}", f"is {cell!r}", column.allowed))
            continue
        values[name] = value
    return values, problems


def _value(kind, cell):
    """Cell as a value of a type; ValueError for what Python takes for a number and a person does not."""
    is_strange = isinstance(cell, bool | bytes) or (kind is not str and "_" in str(cell))
    value = kind(cell)
    if is_strange or (kind is int and isinstance(cell, float) and value != cell):
        raise ValueError(cell)
    return value


def reference_problems(file, rows, cameras, bands):
    """Check bands and cameras named by rows of a table.

    Parameters
    ----------
    file : str
        The table.
    rows : dict of int to dict
        From `read_table_of`.
    cameras : dict of str to CameraFile
        Cameras of the survey, as `skyloom.workflow.survey.Survey` holds them.
    bands : sequence of str
        Bands of the survey.

    Returns
    -------
    list of Problem
        Unknown cameras, bands that the survey or the row's camera does not have, raw patterns with unknown
        fields or the same file for all detectors, darks and flats without exposure time.
    """
    problems = []
    for number, row in rows.items():
        where = f"{'visit' if 'visit' in row else 'frame'} {number}"
        needs_band = row.get("kind", "flat") == "flat"
        if needs_band and row["band"] not in bands:
            allowed = ", ".join(bands)
            nearest = nearest_name(row["band"], bands)
            problems.append(Problem(file, f"{where}, band", f"is {row['band']!r}", allowed, nearest))
        if row["camera"] not in cameras:
            nearest = nearest_name(row["camera"], cameras)
            problems.append(
                Problem(file, f"{where}, camera", f"is {row['camera']!r}", ", ".join(cameras), nearest)
            )
        else:
            problems.extend(_camera_problems(file, where, row, cameras[row["camera"]].camera))
        if row.get("kind") in ("dark", "flat") and not row["exposure_time"] > 0:
            found = f"is {row['exposure_time']:g} for a {row['kind']}"
            problems.append(
                Problem(file, f"{where}, exposure_time", found, "a time [s] above 0 (0 for a bias)")
            )
        for column in ("raw", *COMPANIONS):
            if row.get(column):
                problems.extend(_path_problems(file, where, row, column))
    return problems


def _path_problems(file, where, row, column):
    """What is wrong with a path of a row: an unknown field, a place not below the raw root, or no usable name."""
    unknown = [
        field
        for field in re.findall(r"\{([^}]*)\}", row[column])
        if not RAW_FIELD.fullmatch(f"{{{field}}}")
        or field.partition(":")[0] not in RAW_FIELDS
        or field.partition(":")[0] not in {*row, "detector"}
    ]
    if unknown:
        allowed = ", ".join(f"{{{field}}}" for field in RAW_FIELDS)
        found, nearest = f"names {unknown[0]!r}", nearest_name(unknown[0], RAW_FIELDS)
        return [Problem(file, f"{where}, {column}", found, allowed, nearest)]
    path = raw_path(row, 0, column)
    leaves = path.startswith(("/", "~")) or ".." in path.split("/")
    if RAW_FILE.fullmatch(path) and not leaves:
        return []
    filled = "" if path == row[column] else f", filled in {path!r}"
    allowed = (
        "a path below raw_root: not absolute, no .. in it, no control character, backslash or lone brace"
    )
    return [Problem(file, f"{where}, {column}", f"is {row[column]!r}{filled}", allowed)]


def _camera_problems(file, where, row, camera):
    """What a row's camera cannot do: its band, one file for several detectors in the primary HDU, calibrated images."""
    problems = []
    if row.get("kind", "flat") == "flat" and row["band"] not in camera.bands:
        found = f"is {row['band']!r}, for which camera {camera.name} has no filter"
        nearest = nearest_name(row["band"], camera.bands)
        problems.append(Problem(file, f"{where}, band", found, ", ".join(camera.bands), nearest))
    needs_field = (
        camera.raw.format == "single" and len(camera.detectors) > 1 and not camera.has_all_detectors_in_a_file
    )
    if needs_field and "{detector" not in row["raw"]:
        found = (
            f"is {row['raw']!r}, one file for the {len(camera.detectors)} detectors of camera {camera.name}"
        )
        problems.append(
            Problem(file, f"{where}, raw", found, "a path with {detector}, as raw.format is single")
        )
    return problems + _calibrated_problems(file, where, row, camera)


def _calibrated_problems(file, where, row, camera):
    """Cells of a row that only calibrated images have, or that its camera file gives no meaning to."""
    layout = camera.calibrated
    given = [name for name in COMPANIONS if row.get(name)]
    given += [] if math.isnan(row.get("zero_point", math.nan)) else ["zero_point"]
    if layout is None:
        found = f"is given, but camera {camera.name} takes raw frames"
        allowed = "an empty cell, or a section calibrated in the camera file"
        return [Problem(file, f"{where}, {name}", found, allowed) for name in given]
    if "kind" in row:
        found = f"is {row['camera']!r}, a camera of calibrated images"
        return [Problem(file, f"{where}, camera", found, "a camera of raw frames")]
    problems = []
    if "mask" in given and layout.mask is None:
        found = f"is given, the file of camera {camera.name} does not say what it means"
        problems.append(
            Problem(file, f"{where}, mask", found, "a section calibrated.mask in the camera file")
        )
    if "variance" in given and layout.variance.form not in PLANE_FORMS:
        found = f"is given, calibrated.variance.form of camera {camera.name} is {layout.variance.form}"
        problems.append(Problem(file, f"{where}, variance", found, f"one of {', '.join(PLANE_FORMS)}"))
    return problems


def raw_path(row, detector, column="raw"):
    """Fill the path pattern of a visit or calibration frame.

    Parameters
    ----------
    row : dict
        Row of the table, its pattern checked.
    detector : int
        The detector.
    column : str
        ``raw``, or one of `COMPANIONS`.

    Returns
    -------
    str
        The path, relative to the raw root.
    """
    values = {**row, "detector": detector}
    return RAW_FIELD.sub(lambda match: str(values[match[1]]).zfill(int(match[2] or 0)), row[column])
