"""Measurements gathered product by product, so that no more than one image is in memory."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from skyloom.core import mask_planes
from skyloom.core.psf import effective_area
from skyloom.core.tables import column
from skyloom.report.metrics import Measurement
from skyloom.report.noise import noise_ratio
from skyloom.report.pictures import Triplet, cutout
from skyloom.report.truth_comparison import (
    MAS_PER_DEGREE,
    compare_dia_sources,
    compare_sources,
    nearest,
    robust_scatter_mmag,
)

AB_OF_NJY = 31.4
DEPTH_SNR = 5.0
REFERENCE_PIXELS = 2048 * 2048
FEWEST_STARS_ZERO_POINT = 5
TRIPLET_SNR = 10.0
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


@dataclass(frozen=True, slots=True)
class Mosaic:
    """Deep coadds of one band on the pixels of one tract.

    Attributes
    ----------
    image : ndarray, shape (ny, nx), float32
        Pixels [nJy]; NaN without data.
    noise : float
        Typical pixel noise [nJy].
    """

    image: np.ndarray
    noise: float


@dataclass(frozen=True, slots=True)
class CoaddsPart:
    """What the coadds gave: metrics, and a mosaic a band."""

    measurements: list
    mosaics: dict = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DifferencesPart:
    """What the differences gave: metrics, and triplets from bright to faint."""

    measurements: list
    triplets: list = field(default_factory=list)


def _median(values):
    """Median without NaN; NaN for nothing."""
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    return float(np.median(finite)) if finite.size else np.nan


def gather_visits(summary, bands):
    """Metrics of the visit summaries.

    Parameters
    ----------
    summary : pyarrow.Table
        Schema VISIT_SUMMARY.
    bands : list of str
        Bands of the survey.

    Returns
    -------
    list of Measurement
        Counts, and seeing and depth of each band.
    """
    good = column(summary, "status") == "OK"
    band_of = column(summary, "band")
    measurements = [
        Measurement("n_detector", "all", float(len(good)), len(good)),
        Measurement("n_failed", "all", float(np.sum(~good)), len(good)),
    ]
    for band in bands:
        chosen = good & (band_of == band)
        n = int(chosen.sum())
        for metric, name in (("seeing", "seeing"), ("depth", "magLim")):
            measurements.append(Measurement(metric, band, _median(column(summary, name)[chosen]), n))
    return measurements


def _bands_and_shapes(summary):
    """Band and shape (ny, nx) of each (visit, detector)."""
    names = ("visit", "detector", "band", "ySize", "xSize")
    rows = zip(*(column(summary, name).tolist() for name in names), strict=True)
    return {(visit, detector): (band, (ny, nx)) for visit, detector, band, ny, nx in rows}


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
    known = _bands_and_shapes(summary)
    if not run.has_truth:
        return _repeatability(run)
    by_band = defaultdict(list)
    for visit, detector in run.detectors("srcs"):
        src = run.table("srcs", visit, detector)
        if src is not None:
            band, shape = known[visit, detector]
            by_band[band].append(compare_sources(src, run.truth(visit, detector), shape))
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
    n_star = sum(c.n_star for c in comparisons)
    n_source = sum(c.n_source for c in comparisons)
    found = sum(c.n_star_found for c in comparisons) / n_star if n_star else np.nan
    pure = sum(c.n_source_true for c in comparisons) / n_source if n_source else np.nan
    measurements = [
        Measurement("star_completeness", band, found, n_star),
        Measurement("source_purity", band, pure, n_source),
    ]
    for axis in ("ra", "dec"):
        residuals = np.concatenate([getattr(c, f"residual_{axis}") for c in comparisons] or [np.empty(0)])
        measurements.append(
            Measurement(f"astrometric_residual_{axis}", band, _median(np.abs(residuals)), len(residuals))
        )
    ratios = [c.flux_ratio / np.median(c.flux_ratio) for c in comparisons if len(c.flux_ratio)]
    bright = [c.is_bright for c in comparisons if len(c.flux_ratio)]
    chosen = np.concatenate(ratios)[np.concatenate(bright)] if ratios else np.empty(0)
    measurements.append(Measurement("photometric_scatter", band, robust_scatter_mmag(chosen), len(chosen)))
    errors = [
        abs(np.median(c.flux_ratio) - 1) for c in comparisons if len(c.flux_ratio) >= FEWEST_STARS_ZERO_POINT
    ]
    worst = float(max(errors)) if errors else np.nan
    measurements.append(Measurement("zero_point_error", band, worst, len(errors)))
    return measurements


def _repeatability(run):
    """Residuals of bright sources from the mean of their positions in all visits."""
    rows = []
    for visit, detector in run.detectors("srcs"):
        src = run.table("srcs", visit, detector)
        if src is None:
            continue
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


def gather_coadds(run, bands, n_image):
    """Metrics of the deep coadds and the mosaics of the first tract.

    Parameters
    ----------
    run : RunReader
        The run.
    bands : list of str
        Bands of the survey.
    n_image : int
        Most coadds of a band that are looked at.

    Returns
    -------
    CoaddsPart
        Metrics and mosaics.
    """
    ratios, depths, pieces = defaultdict(list), defaultdict(list), defaultdict(list)
    first_tract = None
    for coadd in run.coadds():
        band = coadd.info.band
        if len(ratios[band]) >= n_image:
            continue
        ratios[band].append(noise_ratio(coadd.pixels)[0])
        depths[band].append(_coadd_depth(coadd))
        first_tract = coadd.info.tract if first_tract is None else first_tract
        if coadd.info.tract == first_tract:
            pieces[band].append(coadd)
    measurements = []
    for band in bands:
        measurements.append(Measurement("coadd_depth", band, _median(depths[band]), len(depths[band])))
        measurements.append(Measurement("coadd_noise_ratio", band, _median(ratios[band]), len(ratios[band])))
    mosaics = _mosaics({band: pieces[band] for band in bands if pieces[band]})
    return CoaddsPart(measurements, mosaics)


def _coadd_depth(coadd):
    """5-sigma AB depth of a point source in the middle of a coadd."""
    ny, nx = coadd.pixels.shape
    kernel = coadd.psf.kernel_at((nx - 1) / 2, (ny - 1) / 2)
    variance = _median(coadd.pixels.variance[coadd.pixels.variance > 0])
    noise = np.sqrt(variance * effective_area(kernel) * coadd.noise_correlation)
    return AB_OF_NJY - 2.5 * np.log10(DEPTH_SNR * noise)


def _mosaics(pieces):
    """Mosaics (dict of band to Mosaic) of coadds of one tract, all on the same pixels."""
    if not pieces:
        return {}
    corners = [(*_tract_origin(c), *c.pixels.shape) for coadds in pieces.values() for c in coadds]
    x0, y0 = min(c[0] for c in corners), min(c[1] for c in corners)
    nx, ny = max(c[0] + c[3] for c in corners) - x0, max(c[1] + c[2] for c in corners) - y0
    mosaics = {}
    for band, coadds in pieces.items():
        image = np.full((ny, nx), np.nan, dtype=np.float32)
        for coadd in coadds:
            left, bottom = _tract_origin(coadd)
            rows, columns = coadd.pixels.shape
            window = image[bottom - y0 : bottom - y0 + rows, left - x0 : left - x0 + columns]
            valid = ~coadd.pixels.is_masked(mask_planes.NO_DATA)
            window[valid] = coadd.pixels.image[valid]
        noise = _median([np.sqrt(_median(c.pixels.variance[c.pixels.variance > 0])) for c in coadds])
        mosaics[band] = Mosaic(image, noise)
    return mosaics


def _tract_origin(coadd):
    """First pixel of a coadd on the tract's tangent plane, whose middle is the tangent point."""
    return round(-coadd.wcs.crpix[0]), round(-coadd.wcs.crpix[1])


def gather_differences(run, summary, bands, settings, template_visits):
    """Metrics of the differences, and triplets of DIA sources from the brightest to the faintest.

    Parameters
    ----------
    run : RunReader
        The run.
    summary : pyarrow.Table
        Schema VISIT_SUMMARY.
    bands : list of str
        Bands of the survey.
    settings : dict
        Section `report`.
    template_visits : dict of str to list of int
        Visits that make the template, by band.

    Returns
    -------
    DifferencesPart
        Metrics and triplets; at most `n_image` differences of a band are looked at.
    """
    known = _bands_and_shapes(summary)
    ratios, comparisons, candidates = defaultdict(list), defaultdict(list), []
    template_flux = {}
    if run.has_truth:
        template_flux = {band: mean_fluxes(run, visits) for band, visits in template_visits.items()}
    for visit, detector in run.detectors("dia_sources"):
        band = known[visit, detector][0]
        dia_sources = run.table("dia_sources", visit, detector)
        if dia_sources is None or len(ratios[band]) >= settings["n_image"]:
            continue
        difference = run.difference(visit, detector)
        ratios[band].append(noise_ratio(difference.exposure.pixels)[0])
        if run.has_truth:
            truth = run.truth(visit, detector), template_flux.get(band, {})
            comparisons[band].append(_compare(truth, difference, dia_sources))
        candidates += [(snr, visit, detector, (x, y)) for snr, x, y in _significant(dia_sources)]
    measurements = []
    for band in bands:
        measurements.append(Measurement("diff_noise_ratio", band, _median(ratios[band]), len(ratios[band])))
    if run.has_truth:
        measurements += _pooled_differences([c for band in bands for c in comparisons[band]])
    candidates.sort(reverse=True)
    chosen = np.unique(
        np.linspace(0, len(candidates) - 1, min(settings["n_triplet"], len(candidates))).astype(int)
    )
    return DifferencesPart(measurements, [_triplet(run, *candidates[i]) for i in chosen])


def mean_fluxes(run, visits):
    """Mean true flux of each object over some visits of one band.

    Parameters
    ----------
    run : RunReader
        The run, of a simulated survey.
    visits : sequence of int
        The visits, at least one.

    Returns
    -------
    dict of int to float
        Flux [nJy] by the object's id; without those that no such visit saw.
    """
    tables = [run.truth(visit) for visit in visits]
    ids, fluxes = (np.concatenate([column(table, name) for table in tables]) for name in ("id", "flux"))
    unique, row = np.unique(ids, return_inverse=True)
    return dict(zip(unique.tolist(), (np.bincount(row, fluxes) / np.bincount(row)).tolist(), strict=True))


def _compare(truth, difference, dia_sources):
    """Comparison of one difference's sources with truth and the template's true fluxes."""
    pixels = difference.exposure.pixels
    usable = ~pixels.is_masked(mask_planes.NO_DATA) & (pixels.variance > 0)
    flux_error = np.inf
    if usable.any():
        ny, nx = pixels.shape
        kernel = difference.exposure.psf.kernel_at((nx - 1) / 2, (ny - 1) / 2)
        flux_error = float(np.sqrt(np.median(pixels.variance[usable]) * effective_area(kernel)))
    return compare_dia_sources(dia_sources, *truth, flux_error, usable)


def _pooled_differences(comparisons):
    """Completeness and false detections of all bands together."""
    n_transient = sum(c.n_transient for c in comparisons)
    n_pixel = sum(c.n_pixel for c in comparisons)
    found = sum(c.n_transient_found for c in comparisons) / n_transient if n_transient else np.nan
    n_false = sum(c.n_false for c in comparisons)
    false = n_false * REFERENCE_PIXELS / n_pixel if n_pixel else np.nan
    return [
        Measurement("transient_completeness", "all", found, n_transient),
        Measurement("false_dia_sources", "all", false, len(comparisons)),
    ]


def _significant(dia_sources):
    """S/N and position of the DIA sources of S/N above 10."""
    values = zip(*(column(dia_sources, name).tolist() for name in ("snr", "x", "y")), strict=True)
    return [(snr, x, y) for snr, x, y in values if snr > TRIPLET_SNR]


def _triplet(run, snr, visit, detector, position):
    """Cut-outs of one DIA source."""
    difference = run.difference(visit, detector)
    pixels = difference.exposure.pixels
    noise = float(np.sqrt(_median(pixels.variance[pixels.variance > 0])))
    return Triplet(
        f"visit {visit} detector {detector}, S/N {snr:.0f}",
        cutout(run.calexp(visit, detector).pixels.image, *position),
        cutout(difference.template, *position),
        cutout(pixels.image, *position),
        noise,
    )
