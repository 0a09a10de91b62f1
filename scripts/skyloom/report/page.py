"""Metrics, failures, shapes, pictures and costs of a run -> one HTML page that needs nothing beside it."""

import base64
from dataclasses import dataclass

import numpy as np

from skyloom.core.tables import column
from skyloom.report import definitions
from skyloom.report.charts import (
    COLOURS,
    OTHER_SHAPE,
    SHAPES,
    Points,
    night_axis,
    time_chart,
    whisker_picture,
)
from skyloom.report.metrics import SURVEY
from skyloom.report.numbers import Numbers, format_number
from skyloom.report.page_template import TEMPLATE
from skyloom.report.visits import night_numbers

# Visits that are shown before one asks for the rest.
SHOWN_VISITS = 30
VISIT_COLUMNS = ("seeing", "depth", "zero_point", "sky", "wcs_scatter", "psf_ellipticity", "psf_residual",
                 "sky_flux", "sky_chi2")  # fmt: skip
# Whether a large value is bad (1), a small one (-1), for the order of the visits.
BADNESS = {
    "seeing": 1,
    "depth": -1,
    "zero_point": -1,
    "wcs_scatter": 1,
    "psf_ellipticity": 1,
    "psf_residual": 1,
    "sky_chi2": 1,
}
CHARTS = (("seeing", False), ("sky", True), ("zero_point", False), ("depth", False))
HEADS = {
    "seeing": "seeing [arcsec]",
    "depth": "depth [mag]",
    "zero_point": "zero point [mag]",
    "sky": "sky [mag/arcsec²]",
    "wcs_scatter": "WCS scatter [mas]",
    "psf_ellipticity": "PSF |e|",
    "psf_residual": "|Δe| star − PSF",
    "sky_flux": "sky objects' mean [σ]",
    "sky_chi2": "sky objects' χ²",
    "airmass": "airmass",
}


@dataclass(frozen=True, slots=True)
class PageParts:
    """All that a page shows.

    Attributes
    ----------
    survey : str
        Name of the survey.
    metrics, psf_shapes, failures, machine : pyarrow.Table
        Schemas METRIC, PSF_SHAPE, that of the failures, and MACHINE.
    methods : str
        What was used, as Markdown.
    pictures : dict of str to bytes
        PNG by name.
    """

    survey: str
    metrics: object
    psf_shapes: object
    failures: object
    machine: object
    methods: str
    pictures: dict


def write_page(parts):
    """Write the page.

    Parameters
    ----------
    parts : PageParts
        All that it shows.

    Returns
    -------
    str
        HTML with its style, charts and pictures within; it asks for no other file.
    """
    from jinja2 import Environment, StrictUndefined

    numbers = Numbers(parts.metrics)
    visits = visit_rows(numbers, parts.psf_shapes)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE)
    return template.render(
        survey=parts.survey,
        bands=numbers.bands,
        colours=COLOURS,
        shapes=SHAPES,
        other_shape=OTHER_SHAPE,
        headline=headline(numbers, parts.failures),
        requirements=survey_rows(numbers, definitions.REQUIREMENTS),
        truth=survey_rows(numbers, definitions.TRUTH),
        visit_heads=[HEADS[name] for name in ("airmass", *VISIT_COLUMNS)],
        visits=visits[:SHOWN_VISITS],
        more_visits=visits[SHOWN_VISITS:],
        charts=night_charts(numbers),
        gaps=[format_number(numbers.of(name)) for name in ("gap_median", "gap_longest")],
        calibs=subject_rows(numbers, "calib", definitions.CALIBRATIONS),
        coadd_summary=survey_rows(numbers, definitions.COADDS),
        coadds=subject_rows(numbers, "coadd", definitions.COADDS),
        differences=survey_rows(numbers, definitions.DIFFERENCES),
        machine=machine_rows(parts.machine),
        methods=parts.methods.partition("\n")[2].strip(),
        pictures={name: _data_uri(data) for name, data in parts.pictures.items()},
    )


def _data_uri(png):
    """Address that holds a picture itself."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def headline(numbers, failures):
    """What one reads first.

    Parameters
    ----------
    numbers : Numbers
        The run's metrics.
    failures : pyarrow.Table
        Columns step, visit, detector, reason, message.

    Returns
    -------
    dict
        cards: (title, text, class); failures by reason; alarms: metrics outside their bounds.
    """
    survived, total = (format_number(numbers.of(name)) for name in ("n_survived", "n_detector"))
    rows = [row for row in numbers.rows if row["subject"] == SURVEY]
    bounded = [row for row in rows if np.isfinite(row["low"]) or np.isfinite(row["high"])]
    alarms = [row for row in bounded if not row["ok"]]
    cards = [
        ("visits", format_number(numbers.of("n_visit")), ""),
        ("detectors survived", f"{survived} of {total}", "good" if survived == total else "warn"),
        (
            "metrics within bounds",
            f"{len(bounded) - len(alarms)} of {len(bounded)}",
            "bad" if alarms else "good",
        ),
    ]
    for name, title in (("seeing", "seeing"), ("depth", "visit depth"), ("coadd_depth", "coadd depth")):
        found = [(band, format_number(numbers.of(name, band))) for band in numbers.bands]
        unit = definitions.DEFINITIONS[name].unit
        words = "  ".join(f"{band}\u00a0{value}" for band, value in found)
        cards.append((f"{title} [{unit}]", words, "small"))
    return {"cards": cards, "failures": _failures_by_reason(numbers, failures), "alarms": _alarm_rows(alarms)}


def _failures_by_reason(numbers, failures):
    """Number and an example of each reason, the most frequent first."""
    examples = {}
    for row in failures.to_pylist():
        examples.setdefault(f"{row['step']}/{row['reason']}", row)
    found = []
    for name, rows, _ in numbers.subjects("reason"):
        step, _, reason = name.partition("/")
        example = examples[name]
        where = f"visit {example['visit']}, detector {example['detector']}: {example['message']}"
        found.append((step, reason, format_number(rows["n_lost"]), where))
    return sorted(found, key=lambda row: -int(row[2]))


def _alarm_rows(alarms):
    """Metrics that lie outside their bounds."""
    return [
        (row["name"], row["band"], format_number(row), row["unit"], _bounds(row), row["description"])
        for row in alarms
    ]


def _bounds(row):
    """Bounds as people write them; empty without any."""
    low, high = row["low"], row["high"]
    if np.isfinite(low) and np.isfinite(high):
        return f"{low:g} to {high:g}"
    if np.isfinite(low):
        return f"≥ {low:g}"
    return f"≤ {high:g}" if np.isfinite(high) else ""


def survey_rows(numbers, names):
    """Metrics of the whole survey, a row each with a cell for each band.

    Parameters
    ----------
    numbers : Numbers
        The run's metrics.
    names : iterable of str
        Which ones.

    Returns
    -------
    list of dict
        name, unit, bounds, design, minimum, description, and cells: (text, class, remark) of each band, or of all bands
        together. Metrics that the run does not have are left out.
    """
    rows = []
    for name in names:
        bands = [band for band in [*numbers.bands, "all"] if numbers.of(name, band)]
        if bands:
            first = numbers.of(name, bands[0])
            cells = {band: _cell(numbers.of(name, band)) for band in bands}
            rows.append(first | {"bounds": _bounds(first), "cells": cells, "limit": _specifications(first)})
    return rows


def _specifications(row):
    """Design and minimum specification as text."""
    return "" if np.isnan(row["design"]) else f"{row['design']:.3g} / {row['minimum']:.3g}"


def _cell(row):
    """Text, class and remark of a value."""
    error = f" ± {row['error']:.2g}" if np.isfinite(row["error"]) and row["error"] > 0 else ""
    remark = f"n = {row['n']}"
    if not np.isfinite(row["value"]):
        return "–", "none", "nothing to measure it with"
    if np.isfinite(row["design"]):
        level = (
            "good" if row["value"] <= row["design"] else "warn" if row["value"] <= row["minimum"] else "bad"
        )
        words = {"good": "meets design", "warn": "meets minimum", "bad": "above minimum"}
        return format_number(row) + error, level, f"{words[level]}, {remark}"
    has_bounds = np.isfinite(row["low"]) or np.isfinite(row["high"])
    level = ("good" if row["ok"] else "bad") if has_bounds else ""
    return format_number(row) + error, level, remark


def visit_rows(numbers, psf_shapes):
    """Visits from the worst to the best.

    Parameters
    ----------
    numbers : Numbers
        The run's metrics.
    psf_shapes : pyarrow.Table
        Schema PSF_SHAPE.

    Returns
    -------
    list of dict
        visit, band, status, its class, mjd, cells, whiskers. Those that lost most detectors come first, then those
        that lie furthest on the bad side of their band's median in any number.
    """
    shape_of = _whiskers_by_visit(psf_shapes)
    visits = numbers.subjects("visit")
    scores = _scores(visits)
    order = sorted(range(len(visits)), key=lambda k: (-scores[k][0], -scores[k][1], visits[k][0]))
    rows = []
    for visit, values, band in (visits[k] for k in order):
        failed, total = values["n_failed"]["value"], values["n_detector"]["value"]
        status = "OK" if failed == 0 else f"{failed:.0f} of {total:.0f} failed"
        cells = [format_number(values[name]) for name in ("airmass", *VISIT_COLUMNS)]
        rows.append({
            "visit": visit, "band": band, "status": status, "level": "good" if failed == 0 else "bad",
            "mjd": format_number(values["mjd"]), "cells": cells, "whiskers": shape_of.get(int(visit), ""),
        })  # fmt: skip
    return rows


def _whiskers_by_visit(psf_shapes):
    """Whisker picture of each visit (dict of int to str)."""
    visit = column(psf_shapes, "visit")
    values = [column(psf_shapes, name).astype(np.float64) for name in ("xi", "eta", "e1", "e2")]
    order = np.argsort(visit, kind="stable")
    unique, start = np.unique(visit[order], return_index=True)
    groups = np.split(order, start[1:])
    return {
        int(v): whisker_picture(*(a[rows] for a in values)) for v, rows in zip(unique, groups, strict=False)
    }


def _scores(visits):
    """Part of the detectors that failed, and the largest deviation to the bad side in units of the band's scatter."""
    deviations = np.zeros(len(visits))
    bands = np.array([band for *_, band in visits])
    for name, sign in BADNESS.items():
        values = np.array([rows[name]["value"] for _, rows, _ in visits])
        for band in np.unique(bands):
            chosen = (bands == band) & np.isfinite(values)
            if chosen.any():
                distance = sign * (values[chosen] - np.median(values[chosen]))
                deviations[chosen] = np.maximum(
                    deviations[chosen], distance / (np.median(np.abs(distance)) or 1.0)
                )
    failed = [rows["n_failed"]["value"] / rows["n_detector"]["value"] for _, rows, _ in visits]
    return list(zip(failed, deviations.tolist(), strict=True))


def night_charts(numbers):
    """Seeing, sky, zero point and depth against time.

    Parameters
    ----------
    numbers : Numbers
        The run's metrics.

    Returns
    -------
    list of str
        SVG elements; none without a visit.
    """
    visits = sorted(numbers.subjects("visit"), key=lambda visit: visit[1]["mjd"]["value"])
    if not visits:
        return []
    mjd = np.array([rows["mjd"]["value"] for _, rows, _ in visits])
    place, nights = night_axis(mjd, night_numbers(mjd))
    charts = []
    for name, is_upside_down in CHARTS:
        labels = [f"visit {visit}, {band}: {format_number(rows[name])}" for visit, rows, band in visits]
        values = np.array([rows[name]["value"] for _, rows, _ in visits])
        points = Points(place, values, [band for *_, band in visits], labels)
        charts.append(time_chart(HEADS[name], points, nights, is_upside_down=is_upside_down))
    return charts


def subject_rows(numbers, kind, names):
    """Rows of the subjects of a kind.

    Parameters
    ----------
    numbers : Numbers
        The run's metrics.
    kind : str
        First word of the subjects.
    names : dict of str to Definition
        Their numbers.

    Returns
    -------
    list of list of str
        The subject, and its numbers.
    """
    return [
        [subject, *(format_number(rows.get(name)) for name in names)]
        for subject, rows, _ in numbers.subjects(kind)
    ]


def machine_rows(machine):
    """Costs of the rules, and of the longest jobs.

    Parameters
    ----------
    machine : pyarrow.Table
        Schema MACHINE.

    Returns
    -------
    dict of str to list of tuple
        rule and job: name and numbers of each.
    """
    found = {"rule": [], "job": []}
    for row in machine.to_pylist():
        kind, _, name = row["subject"].partition(" ")
        times = [f"{row[key]:.1f}" for key in ("wall_s", "longest_s", "cpu_s")]
        found[kind].append((name, row["n_job"], *times, f"{row['peak_mb']:.0f}"))
    return found
