"""Visit table, table of calibration frames and survey file from the headers of a folder of raw frames."""

import re
from collections import Counter
from pathlib import Path

from skyloom.core.errors import ConfigError

VISITS, FRAMES, SURVEY = "visits.csv", "calibration_frames.csv", "survey.yaml"
DEFAULT_UNCERTAINTY = 60.0
"""Pointing uncertainty of a visit table without the column [arcsec]."""


class NoRawFramesError(ConfigError):
    """A folder holds no FITS file.

    Parameters
    ----------
    folder : str
        The folder.
    """

    def __init__(self, folder):
        super().__init__(
            f"{folder} holds no file *.fits, *.fit or *.fts (plain, .gz or .fz): is it the right folder?"
        )
        self.folder = folder


def add_arguments(parser):
    """Declare the command line.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the subcommand.
    """
    parser.add_argument("folder", type=Path, help="folder of raw frames; files in its subfolders count")
    parser.add_argument("--camera", required=True, help="camera file (docs/cameras.md)")
    parser.add_argument(
        "--output", type=Path, default=Path(), help="folder of the tables; this one by default"
    )
    parser.add_argument("--survey", help="name of the survey; that of the output folder by default")
    parser.add_argument(
        "--pointing-uncertainty",
        type=float,
        default=DEFAULT_UNCERTAINTY,
        metavar="ARCSEC",
        help="of all visits",
    )
    parser.add_argument(
        "--pointing", type=float, nargs=2, metavar=("RA", "DEC"), help="[degree] of frames without RA and DEC"
    )
    parser.add_argument("--rotation", type=float, metavar="DEGREE", help="of frames without a rotation card")
    parser.add_argument(
        "--utc-offset",
        type=float,
        metavar="HOURS",
        help="local time ahead of UTC; from the camera's longitude",
    )
    parser.add_argument(
        "--translate",
        action="store_true",
        help="ask astro-metadata-translator for what the camera file omits",
    )
    parser.add_argument(
        "--solve",
        metavar="STARS",
        help="find the pointing of science frames by a star list: CSV, FITS, Parquet",
    )
    add_star_columns(parser)
    parser.add_argument(
        "--search-radius",
        type=float,
        metavar="DEGREE",
        help="how far headers or --pointing may be off with --solve; the whole star list by default",
    )


def add_star_columns(parser):
    """Declare the option that names the columns of a star list.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of a subcommand.
    """
    parser.add_argument(
        "--star-columns",
        nargs="+",
        default=(),
        metavar="QUANTITY=COLUMN",
        help="columns of the star list: ra, dec, mag or flux; usual names are known",
    )


def run(options):
    """Write both tables and, where there is none, the survey file; tell about every file.

    Parameters
    ----------
    options : argparse.Namespace
        Of `add_arguments`.

    Returns
    -------
    int
        0 when there is a visit or a calibration frame, else 1.
    """
    from skyloom.commands.frame_facts import FactOptions, check_translator, facts_of, find_frames
    from skyloom.io.cameras import read_camera

    camera = read_camera(options.camera)
    if options.translate:
        check_translator()
    paths = find_frames(options.folder)
    if not paths:
        raise NoRawFramesError(str(options.folder))
    pointing = tuple(options.pointing) if options.pointing else None
    asked = FactOptions(
        options.utc_offset, pointing, options.rotation, options.translate, solve=options.solve is not None
    )
    solver = _solver(options, camera)
    facts = []
    for path in paths:
        facts.append(facts_of(path, options.folder, camera, asked))
        print(file_line(facts[-1]))
    n_row = _write_all(facts, camera, options, solver)
    return 0 if n_row else 1


def _solver(options, camera):
    """Solver of the frames, None when they are not to be solved."""
    if options.solve is None:
        return None
    from skyloom.commands.frame_solving import Solver
    from skyloom.commands.star_list import read_star_list

    sky, names = read_star_list(options.solve, options.star_columns)
    taken = ", ".join(f"{quantity} from {column}" for quantity, column in names.items())
    print(f"{options.solve}: {len(sky.ra)} stars, {taken}")
    return Solver(camera, sky, options.search_radius)


def file_line(frame):
    """One line about a file: its class, filter, and the card that decided the class.

    Parameters
    ----------
    frame : FrameFacts
        What was found in it.

    Returns
    -------
    str
        The line.
    """
    what = frame.kind if frame.band == "none" else f"{frame.kind} {frame.band}"
    return f"{frame.path}: {what} ({frame.because})" + (" - NOT USED" if frame.problem else "")


def _write_all(facts, camera, options, solver):
    """Write what the facts give and tell about it; the number of rows."""
    from skyloom.commands.frame_facts import with_airmass
    from skyloom.commands.frame_tables import by_band, exposures_of, frame_rows, visit_rows
    from skyloom.workflow.visits import FRAME_COLUMNS, VISIT_COLUMNS

    exposures, refused = exposures_of([frame for frame in facts if not frame.problem], camera)
    science = [frame for frame in exposures if frame.kind == "science"]
    calibrations = [frame for frame in exposures if frame.kind != "science"]
    if solver is not None:
        from skyloom.commands.frame_solving import solve_exposures

        science, unsolved = solve_exposures(science, options.folder, solver)
        refused = [*refused, *unsolved]
    science = by_band([with_airmass(frame, camera.site) for frame in science], camera)
    calibrations = by_band(calibrations, camera)
    options.output.mkdir(parents=True, exist_ok=True)
    visits = _write_table(
        (options.output / VISITS, VISIT_COLUMNS, "visit"),
        visit_rows(science, camera, options.pointing_uncertainty),
    )
    frames = _write_table((options.output / FRAMES, FRAME_COLUMNS, "frame"), frame_rows(calibrations, camera))
    _write_survey(camera, options, visits, frames)
    _tell_gaps(science, calibrations, camera, options)
    _tell_unused([*(frame for frame in facts if frame.problem), *refused])
    return len(visits) + len(frames)


def _write_table(table, fresh):
    """Write one table, what a person edited kept; its rows."""
    from skyloom.commands.kept_edits import update_table, write_table
    from skyloom.workflow.visits import read_table_of

    path, columns, key = table
    updated = update_table(path, columns, key, fresh)
    if not updated.rows and not path.exists():
        return []
    write_table(path, columns, updated)
    print(f"\n{path}: {len(updated.rows)} rows")
    for note in updated.notes:
        print(f"  {note}")
    _, problems = read_table_of(path, columns, key)
    for problem in problems:
        print(f"  LOOK: {problem}")
    return updated.rows


def _write_survey(camera, options, visits, frames):
    """Write the survey file unless there is one."""
    from skyloom.commands.survey_file import survey_text
    from skyloom.io.integrity import write_bytes

    path = options.output / SURVEY
    if path.exists():
        print(f"\n{path}: kept as it is")
        return
    given = options.survey or options.output.resolve().name
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", given).strip("-_") or "survey"
    paths = {
        "survey": name,
        "raw_root": options.folder.resolve(),
        "camera": Path(options.camera).resolve(),
        "visits": (options.output / VISITS).resolve(),
        "calibration_frames": (options.output / FRAMES).resolve(),
    }
    write_bytes(path, survey_text(camera, paths, visits, {row["kind"] for row in frames}).encode())
    print(f"\n{path}: edit what is marked there, then snakemake drp --configfile {path}")


def _tell_gaps(science, calibrations, camera, options):
    """Say what the tables lack that the calibration of the visits needs or would like."""
    from skyloom.commands.frame_tables import MIN_FRAMES_AN_EPOCH

    notes = []
    kinds = Counter((frame.kind, frame.band) for frame in calibrations)
    flats = {band for kind, band in kinds if kind == "flat"}
    bare = sorted({frame.band for frame in science} - flats)
    if flats and bare:
        notes.append(
            f"no flat in band {', '.join(bare)}, but in {', '.join(sorted(flats))}: the workflow will refuse it"
        )
    few = [
        f"{kind} {band}".replace(" none", "")
        for (kind, band), n in sorted(kinds.items())
        if n < MIN_FRAMES_AN_EPOCH
    ]
    if few:
        notes.append(
            f"fewer than {MIN_FRAMES_AN_EPOCH} frames of {', '.join(few)}: calibs.min_frames refuses to combine them"
        )
    for what, values in (
        ("rotation, taken for 0", [frame.rotation for frame in science]),
        ("airmass, taken for 1 (give the camera file a site)", [frame.airmass for frame in science]),
    ):
        n_missing = sum(value is None for value in values)
        if n_missing:
            notes.append(f"{n_missing} visits without {what}")
    copies = [
        key
        for key, n in Counter((frame.exposure_name, frame.mjd, frame.band) for frame in science).items()
        if n > 1
    ]
    if copies:
        notes.append(
            f"exposure {copies[0][0]} and {len(copies) - 1} more have several rows: are there copies or masks?"
        )
    if camera.site is None and options.utc_offset is None:
        notes.append("nights change at noon UTC: give the camera file a site, or --utc-offset")
    for note in notes:
        print(f"LOOK: {note}")


def _tell_unused(unused):
    """List the files that are in no table and why, those with the same reason together."""
    reasons = {}
    for frame in unused:
        reasons.setdefault(frame.problem, []).append(frame.path)
    if reasons:
        print(f"\n{len(unused)} files are in no table:")
    for reason, paths in reasons.items():
        print(f"  {reason}")
        for path in paths:
            print(f"    {path}")
