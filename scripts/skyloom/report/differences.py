"""Differences: their noise, their sources against truth, and triplets of the best, random and worst sources."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from skyloom.core import mask_planes
from skyloom.core.psf import effective_area
from skyloom.core.tables import column
from skyloom.report.coadds import positive_median
from skyloom.report.metrics import Measurement, counted, fraction_of, median_of
from skyloom.report.noise import noise_ratio
from skyloom.report.pictures import Triplet, cutout
from skyloom.report.truth_comparison import compare_dia_sources
from skyloom.report.visits import bands_and_shapes

REFERENCE_PIXELS = 2048 * 2048
TRIPLET_SNR = 10.0
# Golden ratio's fraction: ranks times it, modulo 1, are spread evenly and repeat in no pattern.
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Candidate:
    """A DIA source that may be shown.

    Attributes
    ----------
    snr : float
        Signal to noise.
    misfit : float
        Chi squared of the PSF fit over its pixels.
    visit, detector : int
        Where it is.
    x, y : float
        Where it is there [pixel].
    """

    snr: float
    misfit: float
    visit: int
    detector: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class DifferencesPart:
    """What the differences gave.

    Attributes
    ----------
    measurements : list of Measurement
        Metrics.
    triplets : dict of str to list of Triplet
        By choice: best, random and worst.
    """

    measurements: list
    triplets: dict


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
    known = bands_and_shapes(summary)
    ratios, comparisons, tables, candidates = defaultdict(list), [], defaultdict(list), []
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
        tables[band].append(dia_sources)
        if run.has_truth:
            truth = run.truth(visit, detector), template_flux.get(band, {})
            comparisons.append(_compare(truth, difference, dia_sources))
        candidates += _candidates(dia_sources, visit, detector)
    measurements = []
    for band in bands:
        measurements.append(median_of("diff_noise_ratio", band, ratios[band]))
        measurements += _source_counts(band, tables[band])
    if run.has_truth:
        measurements += _pooled_differences(comparisons)
    chosen = choose_candidates(candidates, settings["n_triplet"])
    triplets = {name: [_triplet(run, source) for source in sources] for name, sources in chosen.items()}
    return DifferencesPart(measurements, triplets)


def _source_counts(band, tables):
    """Numbers of one band's differences and their sources."""
    n_source = sum(table.num_rows for table in tables)
    measurements = [counted("n_difference", band, len(tables)), counted("n_dia_source", band, n_source)]
    for name, flag in (("negative_fraction", "isNegative"), ("dipole_fraction", "isDipole")):
        number = sum(int(column(table, flag).sum()) for table in tables)
        measurements.append(fraction_of(name, band, number, n_source))
    return measurements


def _candidates(dia_sources, visit, detector):
    """DIA sources of one difference (list of Candidate); a fit without pixels is the worst there is."""
    names = ("snr", "psfChi2", "psfNdata", "x", "y")
    snr, chi2, number, x, y = (column(dia_sources, name).astype(np.float64) for name in names)
    misfit = np.where((number > 0) & np.isfinite(chi2), chi2 / np.maximum(number, 1), np.inf)
    rows = zip(*(values.tolist() for values in (snr, misfit, x, y)), strict=True)
    return [Candidate(s, m, visit, detector, x0, y0) for s, m, x0, y0 in rows]


def choose_candidates(candidates, number):
    """Sources whose cut-outs are shown.

    Parameters
    ----------
    candidates : list of Candidate
        All that there are.
    number : int
        Most of each choice.

    Returns
    -------
    dict of str to list of Candidate
        best: of S/N above 10, from the brightest to the faintest at even steps; random: any of them, the same ones in
        each run; worst: those that the PSF fits worst.
    """

    def of(source):
        return source.visit, source.detector, source.x, source.y

    bright = sorted(
        (c for c in candidates if c.snr > TRIPLET_SNR), key=lambda c: (c.snr, *of(c)), reverse=True
    )
    steps = np.unique(np.linspace(0, len(bright) - 1, min(number, len(bright))).astype(int))
    ordered = sorted(candidates, key=of)
    ranks = sorted(range(len(ordered)), key=lambda k: (k * GOLDEN) % 1.0)
    return {
        "best": [bright[k] for k in steps],
        "random": [ordered[k] for k in ranks[:number]],
        "worst": sorted(candidates, key=lambda c: (-c.misfit, -c.snr, *of(c)))[:number],
    }


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
    n_pixel = sum(c.n_pixel for c in comparisons)
    n_false = sum(c.n_false for c in comparisons)
    scale = REFERENCE_PIXELS / n_pixel if n_pixel else np.nan
    found, wanted = (
        sum(getattr(c, name) for c in comparisons) for name in ("n_transient_found", "n_transient")
    )
    return [
        fraction_of("transient_completeness", "all", found, wanted),
        # A number of rare things varies by its root; one more than was seen stands for none.
        Measurement(
            "false_dia_sources", "all", n_false * scale, len(comparisons), np.sqrt(n_false + 1) * scale
        ),
    ]


def _triplet(run, source):
    """Cut-outs of one DIA source."""
    difference = run.difference(source.visit, source.detector)
    pixels, position = difference.exposure.pixels, (source.x, source.y)
    return Triplet(
        f"visit {source.visit} detector {source.detector}, S/N {source.snr:.0f}",
        cutout(run.calexp(source.visit, source.detector).pixels.image, *position),
        cutout(difference.template, *position),
        cutout(pixels.image, *position),
        float(np.sqrt(positive_median(pixels.variance))),
    )
