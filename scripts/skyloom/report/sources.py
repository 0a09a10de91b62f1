"""Metrics of the source tables: against the simulator's truth, or residuals about the mean positions."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from skyloom.core.tables import column, without_sky_objects
from skyloom.report.metrics import Measurement, fraction_of, median_of, scatter_of
from skyloom.report.truth_comparison import MAS_PER_DEGREE, compare_sources, magnitude_residuals, nearest
from skyloom.report.visits import bands_and_shapes

FEWEST_STARS_ZERO_POINT = 5
REPEAT_SNR = 50.0
REPEAT_RADIUS_ARCSEC = 2.0


@dataclass(frozen=True, slots=True)
class SourcesPart:
    """What the source tables gave.

    Attributes
    ----------
    measurements : list of Measurement
        Metrics.
    x, y : ndarray, shape (n,)
        Where the compared stars are [pixel].
    residual_ra, residual_dec : ndarray, shape (n,)
        Their residuals [mas].
    basis : str
        What they were compared with.
    """

    measurements: list
    x: np.ndarray
    y: np.ndarray
    residual_ra: np.ndarray
    residual_dec: np.ndarray
    basis: str


_COUNTS = ("n_star", "n_star_found", "n_source", "n_source_true")


def gather_sources(run, summary, bands):
    """Metrics of the source tables, against truth where there is one.

    Parameters
    ----------
    run : RunReader
        The run.
    summary : pyarrow.Table
        Schema VISIT_SUMMARY.
    bands : list of str
        Bands of the survey.

    Returns
    -------
    SourcesPart
        Without truth, the residuals are those from the star's mean position over all visits.
    """
    known = bands_and_shapes(summary)
    if not run.has_truth:
        return _repeatability(run)
    by_band = defaultdict(list)
    for visit, detector in run.detectors("srcs"):
        src = run.table("srcs", visit, detector)
        if src is not None:
            band, shape = known[visit, detector]
            by_band[band].append(compare_sources(without_sky_objects(src), run.truth(visit, detector), shape))
    measurements = []
    for band in bands:
        measurements += _truth_measurements(band, by_band[band])
    comparisons = [c for band in bands for c in by_band[band]]
    parts = {
        name: np.concatenate([getattr(c, name) for c in comparisons]) if comparisons else np.empty(0)
        for name in ("x", "y", "residual_ra", "residual_dec")
    }
    return SourcesPart(measurements, basis="truth", **parts)


def _truth_measurements(band, comparisons):
    """Metrics of one band from its detectors' comparisons."""
    totals = {name: sum(getattr(c, name) for c in comparisons) for name in _COUNTS}
    measurements = [
        fraction_of("star_completeness", band, totals["n_star_found"], totals["n_star"]),
        fraction_of("source_purity", band, totals["n_source_true"], totals["n_source"]),
    ]
    for axis in ("ra", "dec"):
        residuals = np.concatenate([getattr(c, f"residual_{axis}") for c in comparisons] or [np.empty(0)])
        measurements.append(median_of(f"astrometric_residual_{axis}", band, np.abs(residuals)))
    ratios = [c.flux_ratio / np.median(c.flux_ratio) for c in comparisons if len(c.flux_ratio)]
    bright = [c.is_bright for c in comparisons if len(c.flux_ratio)]
    chosen = np.concatenate(ratios)[np.concatenate(bright)] if ratios else np.empty(0)
    measurements.append(scatter_of("photometric_scatter", band, magnitude_residuals(chosen)))
    return [*measurements, _zero_point_error(band, comparisons)]


def _zero_point_error(band, comparisons):
    """Largest relative error of a detector's zero point, with the error of that detector's median."""
    medians = [
        median_of("zero_point_error", band, c.flux_ratio - 1)
        for c in comparisons
        if len(c.flux_ratio) >= FEWEST_STARS_ZERO_POINT
    ]
    if not medians:
        return Measurement("zero_point_error", band, np.nan, 0)
    worst = max(medians, key=lambda measured: abs(measured.value))
    return Measurement("zero_point_error", band, abs(worst.value), len(medians), worst.error)


def _repeatability(run):
    """Residuals of bright sources from the mean of their positions in all visits."""
    rows = []
    for visit, detector in run.detectors("srcs"):
        src = run.table("srcs", visit, detector)
        if src is None:
            continue
        src = without_sky_objects(src)
        with np.errstate(invalid="ignore"):
            bright = column(src, "psfFlux") > REPEAT_SNR * column(src, "psfFluxErr")
        rows.append(np.stack([column(src, name)[bright] for name in ("ra", "dec", "x", "y")]))
    if not rows:
        return SourcesPart([], *(np.empty(0) for _ in range(4)), basis="the mean position")
    ra, dec, x, y = np.concatenate(rows, axis=1)
    if ra.size == 0:
        return SourcesPart([], x, y, ra, dec, basis="the mean position")
    cosine = np.cos(np.radians(np.median(dec)))
    plane_x, plane_y = (ra - ra[0] + 180) % 360 * cosine, dec
    seed = rows[int(np.argmax([r.shape[1] for r in rows]))]
    seed_x, seed_y = (seed[0] - ra[0] + 180) % 360 * cosine, seed[1]
    star = nearest(plane_x, plane_y, seed_x, seed_y, REPEAT_RADIUS_ARCSEC / 3600)
    used = star >= 0
    count = np.bincount(star[used], minlength=len(seed_x))
    residuals = []
    for values in (plane_x, plane_y):
        mean = np.bincount(star[used], values[used], minlength=len(seed_x)) / np.maximum(count, 1)
        residuals.append((values[used] - mean[star[used]]) * MAS_PER_DEGREE)
    repeated = count[star[used]] > 1
    return SourcesPart(
        [], x[used][repeated], y[used][repeated], *(r[repeated] for r in residuals), basis="the mean position"
    )
