"""Rows of the visit table and of the table of calibration frames from the facts of raw files."""

import re
from dataclasses import replace

from skyloom.commands.frame_facts import ALL_BANDS
from skyloom.core.header_values import SECONDS_PER_DAY
from skyloom.workflow.visits import CALIBRATED_COLUMNS, FRAME_COLUMNS, VISIT_COLUMNS

MIN_FRAMES_AN_EPOCH = 3
"""Default of calibs.min_frames: a night with fewer frames of a kind and band makes no epoch of its own."""
EARLIEST, LATEST = 0, 200000
"""Ends of the first and the last epoch's validity [MJD]."""
MOST_DIGITS = 9
"""To which a field of `workflow.visits.RAW_FIELD` can fill a number up."""


def exposures_of(facts, camera):
    """Join the files of an exposure whose detectors have a file each.

    Parameters
    ----------
    facts : sequence of FrameFacts
        Of usable files.
    camera : Camera
        Its detectors.

    Returns
    -------
    exposures : list of FrameFacts
        One an exposure in order of time; the path is a pattern with ``{detector}`` where there are several files.
    refused : list of FrameFacts
        Files that no pattern finds, with the problem.
    """
    groups, exposures, refused = {}, {}, []
    for frame in facts:
        groups.setdefault(_exposure_key(frame), []).append(frame)
    for group in groups.values():
        first = min(group, key=lambda frame: (frame.detector or 0, frame.path))
        problem, pattern = ("", first.path) if first.detector is None else _pattern_problem(group, camera)
        if pattern in exposures:
            problem = f"{pattern} stands for files of two exposures: map exposure_name in raw.header"
        if problem:
            refused += [replace(frame, problem=problem) for frame in group]
        else:
            exposures[pattern] = replace(
                first, path=pattern, exposure_name=first.exposure_name or _stem(first)
            )
    return sorted(exposures.values(), key=lambda frame: (frame.mjd, frame.path)), refused


def by_band(exposures, camera):
    """Exposures, those whose detectors see a band each once for each band.

    Parameters
    ----------
    exposures : sequence of FrameFacts
        From `exposures_of`.
    camera : Camera
        Its fixed bands.

    Returns
    -------
    list of FrameFacts
        In the same order.
    """
    return [
        replace(frame, band=band)
        for frame in exposures
        for band in (camera.fixed_bands if frame.band == ALL_BANDS else (frame.band,))
    ]


def _exposure_key(frame):
    """What the files of one exposure have in common: its name, or without one its time to a second."""
    if frame.detector is None:
        return (frame.path,)
    return frame.kind, frame.band, frame.night, frame.exposure_name or round(frame.mjd * SECONDS_PER_DAY)


def _stem(frame):
    """File name without its endings."""
    return frame.path.rpartition("/")[2].partition(".")[0]


def _pattern_problem(group, camera):
    """Why the files of an exposure have no common pattern (empty when they have), and the pattern."""
    numbers = [frame.detector for frame in group]
    if len(set(numbers)) < len(numbers):
        names = ", ".join(sorted(frame.path for frame in group)[:3])
        return f"{names} are of one exposure and detector: are they copies?", ""
    common = None
    for frame in group:
        patterns = _patterns(frame.path, frame.detector)
        common = patterns if common is None else [p for p in common if p in patterns]
    if not common:
        paths = ", ".join(sorted(frame.path for frame in group)[:2])
        found = f"the file names of one exposure ({paths}) do not differ by the detector's number alone"
        number = f"{min(camera.detectors)} to {max(camera.detectors)} as in the camera file"
        return f"{found}, which is {number}: make links with such names", ""
    return "", common[0]


def _patterns(path, detector):
    """Patterns that give a path for a detector: its number, or the number with zeros in front, the last first."""
    patterns = []
    for match in reversed(list(re.finditer(r"(?<!\d)0*" + str(detector) + r"(?!\d)", path))):
        width = len(match.group())
        plain, padded = "{detector}", f"{{detector:0{width}}}"
        fields = [plain] if width == len(str(detector)) else []
        fields += [padded] if 1 < width <= MOST_DIGITS else []
        patterns += [path[: match.start()] + part + path[match.end() :] for part in fields]
    return patterns


def visit_rows(exposures, camera, pointing_uncertainty):
    """Rows of the visit table without their numbers.

    Parameters
    ----------
    exposures : sequence of FrameFacts
        Science exposures.
    camera : Camera
        Its name.
    pointing_uncertainty : float
        [arcsec].

    Returns
    -------
    list of dict
        Text by column; empty where a value is unknown, so that the workflow's default counts.
    """
    rows = []
    for frame in exposures:
        row = _common_cells(frame, camera) | {
            "exposure_name": frame.exposure_name,
            "night": frame.night,
            "ra": f"{frame.ra:.6f}",
            "dec": f"{frame.dec:.6f}",
            "rotation": "" if frame.rotation is None else f"{frame.rotation:.4f}",
            "pointing_uncertainty": f"{pointing_uncertainty:g}",
            "airmass": "" if frame.airmass is None else f"{frame.airmass:.3f}",
            "use": "both",
        }
        rows.append({name: row.get(name, "") for name in VISIT_COLUMNS if name not in CALIBRATED_COLUMNS})
    return rows


def frame_rows(exposures, camera):
    """Rows of the table of calibration frames without their numbers.

    Parameters
    ----------
    exposures : sequence of FrameFacts
        Bias, dark and flat exposures.
    camera : Camera
        Its name; part of the epochs' names, which no two cameras may share.

    Returns
    -------
    list of dict
        Text by column. An epoch is a night; a night with fewer than three frames of a kind and band joins the
        nearest that has them. An epoch is valid until halfway to the next one, the first and last without end.
    """
    groups, rows = {}, []
    for frame in exposures:
        groups.setdefault((frame.kind, frame.band), []).append(frame)
    for (kind, _), frames in groups.items():
        epochs = _epochs(frames)
        limits = _validity(epochs, frames)
        for frame in frames:
            night = epochs[frame.night]
            row = _common_cells(frame, camera) | {
                "kind": kind,
                "epoch": f"{camera.name}-{night}",
                "valid_from": f"{limits[night][0]:.7g}",
                "valid_until": f"{limits[night][1]:.7g}",
            }
            rows.append({name: row.get(name, "") for name in FRAME_COLUMNS})
    return rows


def _common_cells(frame, camera):
    """Cells that both tables have."""
    return {
        "mjd": f"{frame.mjd:.7f}",
        "band": frame.band,
        "exposure_time": f"{frame.exposure_time:g}",
        "camera": camera.name,
        "raw": frame.path,
    }


def _epochs(frames):
    """Night that names the epoch of each night."""
    days = _days(frames)
    counts = {night: sum(frame.night == night for frame in frames) for night in days}
    rich = [night for night in days if counts[night] >= MIN_FRAMES_AN_EPOCH] or [min(days)]
    return {night: min(rich, key=lambda other: abs(days[other] - days[night])) for night in days}


def _days(frames):
    """Time [MJD] of the first frame of each night."""
    days = {}
    for frame in frames:
        days[frame.night] = min(days.get(frame.night, LATEST), frame.mjd)
    return days


def _validity(epochs, frames):
    """First and last moment [MJD] at which each epoch is valid."""
    days = _days(frames)
    nights = sorted(set(epochs.values()), key=days.get)
    spans = {night: [days[other] for other, epoch in epochs.items() if epoch == night] for night in nights}
    edges = [EARLIEST]
    for night, following in zip(nights, nights[1:], strict=False):
        edges.append(round((max(spans[night]) + min(spans[following])) / 2, 2))
    edges.append(LATEST)
    return {night: (edges[place], edges[place + 1]) for place, night in enumerate(nights)}
