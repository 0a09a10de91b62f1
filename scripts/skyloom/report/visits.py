"""Visits one by one and together: seeing, depth, zero point, sky, WCS and PSF shapes, and the time between them."""

import numpy as np

from skyloom.core.photo_calib import AB_ZERO_POINT
from skyloom.core.tables import column
from skyloom.report.metrics import Measurement, counted, median_of

MAS_PER_ARCSEC = 1000.0
SECONDS_PER_DAY = 86400.0
# Exposures further apart [d] belong to two nights.
NIGHT_GAP_DAYS = 0.3


def bands_and_shapes(summary):
    """Band and shape of each detector of the run.

    Parameters
    ----------
    summary : pyarrow.Table
        Schema VISIT_SUMMARY.

    Returns
    -------
    dict of (int, int) to (str, (int, int))
        Band and (ny, nx) by (visit, detector).
    """
    names = ("visit", "detector", "band", "ySize", "xSize")
    rows = zip(*(column(summary, name).tolist() for name in names), strict=True)
    return {(visit, detector): (band, (ny, nx)) for visit, detector, band, ny, nx in rows}


def gather_visits(summary, bands, shapes):
    """Metrics of the visit summaries.

    Parameters
    ----------
    summary : pyarrow.Table
        Schema VISIT_SUMMARY.
    bands : list of str
        Bands of the survey.
    shapes : pyarrow.Table
        Schema PSF_SHAPE of all visits.

    Returns
    -------
    list of Measurement
        Counts, gaps, and the medians of each band over its detectors; then the numbers of each visit.
    """
    values = _values_of_detectors(summary)
    visit_of, band_of = column(summary, "visit"), column(summary, "band")
    good = column(summary, "status") == "OK"
    visits = np.unique(visit_of)
    measurements = [
        counted("n_visit", "all", len(visits)),
        counted("n_detector", "all", len(good)),
        counted("n_failed", "all", np.sum(~good)),
        *_gaps(summary),
    ]
    for band in bands:
        chosen = good & (band_of == band)
        for name in ("seeing", "depth", "zero_point", "sky", "wcs_scatter", "psf_residual"):
            measurements.append(median_of(name, band, values[name][chosen]))
    ellipticity = np.hypot(column(shapes, "e1"), column(shapes, "e2"))
    shape_visit = column(shapes, "visit")
    for visit in visits:
        rows = visit_of == visit
        whiskers = ellipticity[shape_visit == visit]
        measurements += _one_visit(visit, str(band_of[rows][0]), rows & good, rows, values)
        measurements.append(median_of("psf_ellipticity", band_of[rows][0], whiskers, f"visit {visit}"))
    return measurements


def _values_of_detectors(summary):
    """Values of each row of the summaries (dict of str to ndarray)."""
    raw = {
        name: column(summary, name).astype(np.float64)
        for name in (
            "expMidptMJD", "airmass", "seeing", "magLim", "zeroPoint", "skyBg", "pixelScale", "astromRmsRa",
            "astromRmsDec", "psfStarDeltaE1Median", "psfStarDeltaE2Median", "zeroPointErr",
        )
    }  # fmt: skip
    with np.errstate(invalid="ignore", divide="ignore"):
        sky = AB_ZERO_POINT - 2.5 * np.log10(raw["skyBg"] / raw["pixelScale"] ** 2)
    return {
        "mjd": raw["expMidptMJD"],
        "airmass": raw["airmass"],
        "seeing": raw["seeing"],
        "depth": raw["magLim"],
        "zero_point": raw["zeroPoint"],
        "zero_point_error": raw["zeroPointErr"],
        "sky": np.where(np.isfinite(sky), sky, np.nan),
        "wcs_scatter": MAS_PER_ARCSEC * np.sqrt((raw["astromRmsRa"] ** 2 + raw["astromRmsDec"] ** 2) / 2),
        "psf_residual": np.hypot(raw["psfStarDeltaE1Median"], raw["psfStarDeltaE2Median"]),
    }


def _one_visit(visit, band, good, rows, values):
    """Measurements of one visit but for its PSF's shape, from the rows of its good detectors and of all."""
    subject = f"visit {visit}"
    measurements = [
        counted("n_detector", band, np.sum(rows), subject),
        counted("n_failed", band, np.sum(rows & ~good), subject),
    ]
    for name in ("mjd", "airmass"):
        measurements.append(Measurement(name, band, float(values[name][rows][0]), 1, 0.0, subject))
    for name in ("seeing", "depth", "sky", "wcs_scatter", "psf_residual"):
        measurements.append(median_of(name, band, values[name][good], subject))
    zero_point = median_of("zero_point", band, values["zero_point"][good], subject)
    errors = values["zero_point_error"][good]
    stated = float(np.median(errors) / np.sqrt(len(errors))) if len(errors) else np.nan
    measurements.append(Measurement("zero_point", band, zero_point.value, zero_point.n, stated, subject))
    return measurements


def night_numbers(mjd):
    """Number of the night of each exposure.

    Parameters
    ----------
    mjd : ndarray, shape (n,)
        Times in order [d].

    Returns
    -------
    ndarray, shape (n,), int64
        From 0; a night ends where the next exposure is more than 0.3 days away.
    """
    return np.concatenate([[0], np.cumsum(np.diff(mjd) > NIGHT_GAP_DAYS)])[: len(mjd)]


def _gaps(summary):
    """Median and longest time between the exposures of a night."""
    _, first = np.unique(column(summary, "visit"), return_index=True)
    middle, length = (column(summary, name)[first] for name in ("expMidptMJD", "expTime"))
    order = np.argsort(middle, kind="stable")
    middle, length = middle[order], length[order]
    same_night = np.diff(night_numbers(middle)) == 0
    gaps = (np.diff(middle) * SECONDS_PER_DAY - (length[1:] + length[:-1]) / 2)[same_night]
    longest = float(gaps.max()) if gaps.size else np.nan
    return [median_of("gap_median", "all", gaps), Measurement("gap_longest", "all", longest, gaps.size, 0.0)]


def gather_losses(failures, counts):
    """Metrics of what the run lost.

    Parameters
    ----------
    failures : pyarrow.Table
        Columns step, visit, detector, reason, message; a row for each detector that was lost.
    counts : dict of str to int
        Number of detectors that survived.

    Returns
    -------
    list of Measurement
        The survivors, and the lost ones by step and reason.
    """
    steps, reasons = column(failures, "step").tolist(), column(failures, "reason").tolist()
    lost = {}
    for key in zip(steps, reasons, strict=True):
        lost[key] = lost.get(key, 0) + 1
    return [
        counted("n_survived", "all", counts["survived"]),
        *(
            counted("n_lost", "all", n, f"reason {step}/{reason}")
            for (step, reason), n in sorted(lost.items())
        ),
    ]
