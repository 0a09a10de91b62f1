"""Products of a run -> metrics, shapes of the PSF and pictures."""

import logging
from dataclasses import dataclass

import numpy as np

from skyloom.core.tables import column, without_sky_objects
from skyloom.report import pictures
from skyloom.report.calibrations import gather_calibrations
from skyloom.report.coadds import gather_coadds
from skyloom.report.differences import gather_differences
from skyloom.report.ellipticity import ShapeCollector
from skyloom.report.metrics import metrics_table
from skyloom.report.repeatability import (
    SightingCollector,
    astrometric_repeatability,
    isolated_stars,
    photometric_repeatability,
)
from skyloom.report.sky_objects import SkyObjectCollector
from skyloom.report.sources import sources_collector
from skyloom.report.visits import bands_and_shapes, gather_losses, gather_visits

log = logging.getLogger(__name__)

STAR_COLUMNS = ["coord_ra", "coord_dec", "refExtendedness", "detect_isIsolated", "xy_flag"]


@dataclass(frozen=True, slots=True)
class SurveyFacts:
    """What the survey's tables know and its products do not.

    Attributes
    ----------
    bands : list of str
        Bands, blue to red.
    template_visits : dict of str to list of int
        Visits that make the template, by band.
    calib_ages : dict of str to float
        Longest time between the frames of a calibration ``epoch/kind/band`` and a visit that takes it [d].
    """

    bands: list
    template_visits: dict
    calib_ages: dict


@dataclass(frozen=True, slots=True)
class Report:
    """What a run achieved.

    Attributes
    ----------
    metrics : pyarrow.Table
        Schema METRIC.
    psf_shapes : pyarrow.Table
        Schema PSF_SHAPE.
    pictures : dict of str to bytes
        PNG of each of the report's pictures.
    """

    metrics: object
    psf_shapes: object
    pictures: dict


def report(run, losses, facts, settings):
    """Measure a run and draw its pictures.

    Parameters
    ----------
    run : skyloom.io.runs.RunReader
        Products, read one at a time.
    losses : tuple of (pyarrow.Table, dict)
        Detectors that were lost, and the number that survived; see `skyloom.report.visits.gather_losses`.
    facts : SurveyFacts
        What the products do not tell.
    settings : dict
        Section `report`.

    Returns
    -------
    Report
        Metrics, shapes and pictures.
    """
    summary, bands = run.visit_summary(), facts.bands
    sources, shapes, stars = _look_at_sources(run, summary, bands)
    measurements = gather_losses(*losses) + gather_visits(summary, bands, shapes) + stars
    coadds = gather_coadds(run, bands, settings["n_image"])
    differences = gather_differences(run, summary, bands, settings, facts.template_visits)
    for part in (sources, coadds, differences):
        measurements += part.measurements
    measurements += gather_calibrations(run, facts.calib_ages)
    log.info("%d metrics of %d detectors", len(measurements), summary.num_rows)
    drawn = {
        "colour_coadd": _draw_coadd(coadds.mosaics, bands),
        "difference_triplets": _draw_triplets(differences.triplets["best"]),
        "random_triplets": _draw_triplets(differences.triplets["random"]),
        "worst_triplets": _draw_triplets(differences.triplets["worst"]),
        "astrometric_residuals": _draw_residuals(sources),
    }
    return Report(metrics_table(measurements), shapes, drawn)


def _look_at_sources(run, summary, bands):
    """What the source tables tell, each read once: residuals, shapes of the PSF, what LPM-17 limits, the sky."""
    sightings = SightingCollector(isolated_stars(run.objects(STAR_COLUMNS)))
    shapes, sources = ShapeCollector(summary), sources_collector(run, summary)
    sky = SkyObjectCollector()
    known = bands_and_shapes(summary)
    for visit, detector in run.detectors("srcs"):
        src = run.table("srcs", visit, detector)
        if src is not None:
            band = known[visit, detector][0]
            sky.add(src, visit, band)
            src = without_sky_objects(src)
            sightings.add(src, visit, band)
            shapes.add(src, visit, detector, band)
            sources.add(src, visit, detector)
    measurements = sky.measurements(bands, {visit: band for (visit, _), (band, _) in known.items()})
    for band in bands:
        seen = sightings.sightings(band)
        measurements += photometric_repeatability(seen, band) + astrometric_repeatability(seen, band)
        measurements += shapes.measurements(band)
    return sources.part(bands), shapes.whiskers(), measurements


def _draw_coadd(mosaics, bands):
    """Colour picture of the three reddest bands, or of the only one in grey."""
    chosen = [band for band in bands if band in mosaics][-3:]
    if not chosen:
        return pictures.empty_picture("no deep coadd could be made")
    red_first = chosen[::-1] if len(chosen) == 3 else [chosen[-1]] * 3
    planes = [mosaics[band] for band in red_first]
    return pictures.colour_picture([p.image for p in planes], [p.noise for p in planes])


def _draw_triplets(triplets):
    """Picture of some DIA sources."""
    if not triplets:
        return pictures.empty_picture("no such DIA source was found")
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
