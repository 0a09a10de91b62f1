"""A camera file against its frames: a table of every amplifier, what is odd, and two pictures."""

import math
from dataclasses import dataclass
from pathlib import Path

from skyloom.commands.visit_table import add_star_columns
from skyloom.core.errors import ConfigError

FOCAL_PLANE, MOSAIC = "focal_plane.png", "mosaic.png"
HEADINGS = (
    "detector",
    "amplifier",
    "overscan",
    "level",
    "read noise",
    "file",
    "gain",
    "file",
    "step",
    "verdict",
)
UNITS = ("", "", "ADU", "ADU", "electron", "", "e/ADU", "", "%", "")


class UnknownFieldError(ConfigError):
    """A frame's path has a field that only a visit could fill.

    Parameters
    ----------
    path, field : str
        The path, and the field's name.
    """

    def __init__(self, path, field):
        super().__init__(f"{path} has the field {{{field}}}, may have {{detector}} alone: name one frame")
        self.path, self.field = path, field


@dataclass(frozen=True, slots=True)
class DetectorReport:
    """What is known of one detector.

    Attributes
    ----------
    detector : Detector
        With the gains that were used.
    numbers : dict of str to AmplifierNumbers
        By amplifier.
    factors : dict of str to float
        Level of each amplifier over the median one's, at the same place.
    findings : list of Finding
        What is odd, and hints.
    image : ndarray, shape (ny, nx), float32, or None
        The raw frame as the file assembles it [electron]; None when it could not be read.
    """

    detector: object
    numbers: dict
    factors: dict
    findings: list
    image: object


def add_arguments(parser):
    """Declare the command line.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Of the subcommand.
    """
    parser.add_argument("camera", help="camera file (docs/cameras.md)")
    parser.add_argument(
        "raw", help="a frame of the sky; {detector} stands for the number where each has a file"
    )
    parser.add_argument("--flat", nargs=2, metavar="FLAT", help="two flats of about the same level: gains")
    parser.add_argument("--bias", nargs=2, metavar="BIAS", help="two biases: read noise")
    parser.add_argument(
        "--level", type=float, metavar="ADU", help="level without light where there is no overscan"
    )
    parser.add_argument(
        "--references",
        metavar="STARS",
        help="star list of the field (CSV, FITS, Parquet): parity, scale and places of the detectors",
    )
    add_star_columns(parser)
    parser.add_argument(
        "--output", type=Path, default=Path(), help="folder of the pictures; this one by default"
    )


def run(options):
    """Check, print the table and the findings, draw.

    Parameters
    ----------
    options : argparse.Namespace
        Of `add_arguments`.

    Returns
    -------
    int
        0 when nothing is odd, else 1.
    """
    from skyloom.commands.camera_pictures import draw_focal_plane, draw_mosaic
    from skyloom.core.camera_keys import CameraFileError
    from skyloom.io.cameras import read_camera
    from skyloom.io.integrity import write_bytes

    camera = read_camera(options.camera)
    if camera.calibrated is not None:
        raise CameraFileError(camera.name, "its images are calibrated, check-camera needs one of raw frames")
    numbers = _detectors(camera, options.raw)
    reports = [_check(camera, number, options) for number in numbers]
    for line in table_lines(reports):
        print(line)
    findings = [finding for report in reports for finding in report.findings]
    if options.references is not None:
        findings += _star_findings(camera, reports, options)
    for finding in findings:
        name = f", amplifier {finding.amplifier}" if finding.amplifier else ""
        print(f"{finding.grade}: detector {finding.detector}{name}: {finding.text}")
    odd = [finding for finding in findings if finding.grade == "odd"]
    options.output.mkdir(parents=True, exist_ok=True)
    write_bytes(options.output / FOCAL_PLANE, draw_focal_plane(camera))
    images = {report.detector.id: report.image for report in reports if report.image is not None}
    drawn = [str(options.output / FOCAL_PLANE)]
    if images:
        write_bytes(options.output / MOSAIC, draw_mosaic(camera, images))
        drawn.append(str(options.output / MOSAIC))
    print(f"{len(odd)} odd, {len(findings) - len(odd)} hints; look at {' and '.join(drawn)}")
    return 1 if odd else 0


def _star_findings(camera, reports, options):
    """Print what the stars of the frame say; what in the camera file contradicts them."""
    from skyloom.commands.camera_stars import solve_detectors, star_findings
    from skyloom.commands.frame_solving import Solver
    from skyloom.commands.star_list import read_star_list

    sky, _ = read_star_list(options.references, options.star_columns)
    images = [(report.detector, report.image) for report in reports if report.image is not None]
    solved = solve_detectors(images, Solver(camera, sky))
    lines, findings = star_findings(solved, camera, len(reports), _header_of(camera, options.raw))
    for line in lines:
        print(line)
    return findings


def _header_of(camera, path):
    """Pointing (ra, dec) and rotation [degree] by the header of a frame, None where it does not tell (dict)."""
    from skyloom.commands import frame_cards
    from skyloom.commands.frame_facts import card_values
    from skyloom.io.fits_layout import read_hdus
    from skyloom.workflow.visits import raw_path

    first = raw_path({"raw": path}, min(camera.detectors))
    cards = frame_cards.Cards(card_values(read_hdus(first)), camera.raw)
    keyword, rotation = cards.find("rotation")
    return {
        "pointing": frame_cards.pointing_of(cards),
        "rotation": None if rotation is None else frame_cards.number(rotation, keyword),
    }


def _detectors(camera, path):
    """Detectors that a path holds."""
    from skyloom.commands.frame_cards import Cards
    from skyloom.commands.frame_facts import card_values, detector_of
    from skyloom.io.fits_layout import read_hdus

    if "{detector" in path:
        return sorted(camera.detectors)
    number = detector_of(Cards(card_values(read_hdus(path)), camera.raw), camera)
    return sorted(camera.detectors) if number is None else [number]


def _check(camera, number, options):
    """Report of one detector."""
    from skyloom.commands.camera_checks import ODD, Finding
    from skyloom.commands.frame_stars import frame_image
    from skyloom.core.errors import DataError

    detector = camera.detectors[number]
    try:
        raw, frames = _read(camera, number, options)
    except DataError as error:
        return DetectorReport(detector, {}, {}, [Finding(ODD, number, "", str(error))], None)
    detector = raw.detector
    numbers, findings, judged = _measure(detector, frames, options.level)
    factors, more = _flips(detector, frames, judged)
    levels = {a.name: judged.get(a.name, options.level or 0.0) for a in detector.amplifiers}
    return DetectorReport(detector, numbers, factors, findings + more, frame_image(raw, levels))


def _read(camera, number, options):
    """Raw frame of a detector, and the planes of all frames by kind."""
    from skyloom.io.raws import read_raw
    from skyloom.workflow.visits import RAW_FIELD, raw_path

    def planes_of(path):
        unknown = [found[1] for found in RAW_FIELD.finditer(path) if found[1] != "detector"]
        if unknown:
            raise UnknownFieldError(path, unknown[0])
        return read_raw(raw_path({"raw": path}, number), camera.detectors[number], camera.raw)

    raw = planes_of(options.raw)
    others = {"flat": options.flat or (), "bias": options.bias or ()}
    frames = {kind: [planes_of(path).planes for path in paths] for kind, paths in others.items()}
    return raw, frames | {"raw": [raw.planes]}


def _measure(detector, frames, level):
    """Numbers and findings of each amplifier; levels without light [ADU] of those whose sections fit, by name."""
    from skyloom.commands import camera_checks

    numbers, findings, judged = {}, [], {}
    lit = frames["flat"][0] if frames["flat"] else frames["raw"][0]
    for amplifier in detector.amplifiers:
        problems = camera_checks.dead_problems(frames, amplifier)
        if problems:
            numbers[amplifier.name] = camera_checks.AmplifierNumbers()
        else:
            pedestal = camera_checks.pedestal_of(amplifier, frames, level)
            measured = camera_checks.measure_amplifier(amplifier, frames, pedestal or 0.0)
            numbers[amplifier.name] = measured
            problems = camera_checks.section_problems(lit, amplifier)
        findings += [
            camera_checks.Finding(camera_checks.ODD, detector.id, amplifier.name, text) for text in problems
        ]
        if problems:
            continue
        judged[amplifier.name] = pedestal or 0.0
        findings += camera_checks.number_findings(
            detector.id, amplifier, measured, has_level=pedestal is not None
        )
    if level is None and not frames["bias"] and any(a.overscan_section is None for a in detector.amplifiers):
        text = "there is no overscan: give --bias or --level, without which gains and steps cannot be judged"
        findings.append(camera_checks.Finding(camera_checks.HINT, detector.id, "", text))
    return numbers, findings, judged


def _flips(detector, frames, levels):
    """Level of each amplifier over the median one's, and what is odd about flips and levels."""
    from skyloom.commands import camera_flips
    from skyloom.commands.camera_checks import HINT, ODD, Finding

    stars = _electrons(detector, frames["raw"], levels)
    lights = _electrons(detector, frames["flat"], levels) if frames["flat"] else stars
    found = camera_flips.arrange(detector, lights, stars)
    findings = []
    for name, turn in found.turns.items():
        change = camera_flips.turn_text(turn)
        text = f"{change} seems to be the other way round: {found.because[name]}"
        findings.append(Finding(ODD if name in found.sure else HINT, detector.id, name, text))
    if not frames["flat"] and all(a.overscan_section is not None for a in detector.amplifiers):
        findings += _step_findings(detector, found.factors)
    return found.factors, findings


def _step_findings(detector, factors):
    """Amplifiers whose level jumps at their edges after the gains, when no flats have told their gains."""
    from skyloom.commands.camera_checks import ODD, Finding
    from skyloom.commands.camera_flips import LEVEL_TOLERANCE

    gains, findings = {amplifier.name: amplifier.gain for amplifier in detector.amplifiers}, []
    for name, factor in factors.items():
        if not abs(factor - 1) > LEVEL_TOLERANCE:
            continue
        what = f"{abs(factor - 1):.0%} {'brighter' if factor > 1 else 'fainter'} than the others beside it"
        text = f"is {what}: its gain of {gains[name]:.3f} electron/ADU would fit theirs at {gains[name] / factor:.3f}"
        findings.append(Finding(ODD, detector.id, name, text))
    return findings


def _electrons(detector, frames, levels):
    """Mean light [electron] of frames for each judged amplifier, turned as the file says."""
    from skyloom.commands.camera_checks import light_of
    from skyloom.commands.camera_flips import turned

    lights = {}
    for amplifier in detector.amplifiers:
        if amplifier.name in levels and frames:
            light = sum(light_of(planes, amplifier, levels[amplifier.name]) for planes in frames) / len(
                frames
            )
            lights[amplifier.name] = turned(light * amplifier.gain, (amplifier.flip_x, amplifier.flip_y))
    return lights


def table_lines(reports):
    """Lines of the table of all amplifiers (list of str).

    Parameters
    ----------
    reports : list of DetectorReport
        In order.
    """
    rows = [HEADINGS, UNITS]
    for report in reports:
        hints, odd = (
            {finding.amplifier for finding in report.findings if finding.grade == grade}
            for grade in ("hint", "odd")
        )
        for amplifier in report.detector.amplifiers:
            if amplifier.name not in report.numbers:
                continue
            numbers = report.numbers[amplifier.name]
            gain = numbers.flat_gain if math.isfinite(numbers.flat_gain) else numbers.sky_gain
            mark = "" if math.isfinite(numbers.flat_gain) else "~"
            rows.append(
                (
                    str(report.detector.id),
                    amplifier.name,
                    _number(numbers.overscan, ".1f"),
                    _number(numbers.level, ".1f"),
                    _number(numbers.noise * amplifier.gain, ".2f"),
                    f"{amplifier.read_noise:.2f}",
                    mark + _number(gain, ".3f"),
                    f"{amplifier.gain:.3f}",
                    _number(100 * (report.factors.get(amplifier.name, math.nan) - 1), "+.1f"),
                    "ODD" if amplifier.name in odd else "hint" if amplifier.name in hints else "ok",
                )
            )
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return ["  ".join(f"{cell:>{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _number(value, form):
    """Text of a number, a dash for NaN."""
    return format(value, form) if math.isfinite(value) else "-"
