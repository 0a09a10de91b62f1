"""Products of a run -> metrics and pictures."""

import logging

import numpy as np

from skyloom.core.tables import column
from skyloom.report import pictures
from skyloom.report.gather import gather_coadds, gather_differences, gather_sources, gather_visits
from skyloom.report.metrics import metrics_table

log = logging.getLogger(__name__)


def report(run, bands, settings, template_visits):
    """Measure a run and draw its pictures.

    Parameters
    ----------
    run : skyloom.io.runs.RunReader
        Products, read one at a time.
    bands : list of str
        Bands of the survey, blue to red.
    settings : dict
        Section `report`.
    template_visits : dict of str to list of int
        Visits that make the template, by band.

    Returns
    -------
    metrics : pyarrow.Table
        Schema METRIC.
    drawn : dict of str to bytes
        PNG of each picture: colour_coadd, difference_triplets, astrometric_residuals.
    """
    summary = run.visit_summary()
    measurements = gather_visits(summary, bands)
    sources = gather_sources(run, summary, bands)
    coadds = gather_coadds(run, bands, settings["n_image"])
    differences = gather_differences(run, summary, bands, settings, template_visits)
    for part in (sources, coadds, differences):
        measurements += part.measurements
    log.info("%d metrics of %d detectors", len(measurements), summary.num_rows)
    drawn = {
        "colour_coadd": _draw_coadd(coadds.mosaics, bands),
        "difference_triplets": _draw_triplets(differences.triplets),
        "astrometric_residuals": _draw_residuals(sources),
    }
    return metrics_table(measurements), drawn


def _draw_coadd(mosaics, bands):
    """Colour picture of the three reddest bands, or of the only one in grey."""
    chosen = [band for band in bands if band in mosaics][-3:]
    if not chosen:
        return pictures.empty_picture("no deep coadd could be made")
    red_first = chosen[::-1] if len(chosen) == 3 else [chosen[-1]] * 3
    planes = [mosaics[band] for band in red_first]
    return pictures.colour_picture([p.image for p in planes], [p.noise for p in planes])


def _draw_triplets(triplets):
    """Picture of the brightest DIA sources."""
    if not triplets:
        return pictures.empty_picture("no DIA source was found")
    return pictures.triplet_picture(triplets)


def _draw_residuals(sources):
    """Map of the astrometric residuals."""
    if len(sources.x) == 0:
        return pictures.empty_picture("no star to compare")
    return pictures.residual_picture(
        sources.x, sources.y, sources.residual_ra, sources.residual_dec, sources.basis
    )


def failure_lines(summary):
    """Lines that name each detector that failed, with its reason.

    Parameters
    ----------
    summary : pyarrow.Table
        Schema VISIT_SUMMARY.

    Returns
    -------
    list of str
        One a failure.
    """
    failed = np.flatnonzero(column(summary, "status") != "OK")
    names = ("visit", "detector", "reason", "message")
    rows = zip(*(column(summary, name)[failed] for name in names), strict=True)
    return [f"visit {v} detector {d}: {reason}: {message}" for v, d, reason, message in rows]
