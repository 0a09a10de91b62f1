"""Differences: their noise, their sources against truth, and triplets of the best, random and worst sources."""

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from skyloom.core import mask_planes
from skyloom.core.psf import effective_area
from skyloom.core.tables import column
from skyloom.report.coadds import positive_median
from skyloom.report.metrics import Measurement, counted, fraction_of, median_of
from skyloom.report.noise import noise_ratio
from skyloom.report.pictures import Triplet, cutout
from skyloom.report.sampling import even_steps
from skyloom.report.truth_comparison import compare_dia_sources
from skyloom.report.visits import bands_and_shapes

REFERENCE_PIXELS = 2048 * 2048
TRIPLET_SNR = 10.0
# Golden ratio's fraction: ranks times it, modulo 1, are spread evenly and repeat in no pattern.
GOLDEN = 0.6180339887498949
FLAGS = {"negative_fraction": "isNegative", "dipole_fraction": "isDipole"}


CANDIDATE = np.dtype(
    [("snr", "f8"), ("misfit", "f8"), ("visit", "i8"), ("detector", "i8"), ("x", "f8"), ("y", "f8")]
)
"""A DIA source that may be shown: signal to noise, chi squared of the PSF fit over its pixels, and place [pixel]."""


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
        Metrics and triplets. All sources are counted and may be shown; of the pixels of a band's differences at most
        `n_image` are looked at, at even steps through the visits.
    """
    made, counts, candidates = _look_at_sources(run, summary)
    ratios, comparisons = defaultdict(list), []
    for band in bands:
        of_template = (
            mean_fluxes(run, template_visits[band]) if run.has_truth and band in template_visits else {}
        )
        for visit, detector in even_steps(made[band], settings["n_image"]):
            difference = run.difference(visit, detector)
            ratios[band].append(noise_ratio(difference.exposure.pixels)[0])
            if run.has_truth:
                sources = run.table("dia_sources", visit, detector)
                comparisons.append(_compare((run.truth(visit, detector), of_template), difference, sources))
    measurements = []
    for band in bands:
        measurements.append(median_of("diff_noise_ratio", band, ratios[band]))
        measurements += _source_counts(band, len(made[band]), counts[band])
    if run.has_truth:
        measurements += _pooled_differences(comparisons)
    chosen = choose_candidates(candidates, settings["n_triplet"])
    triplets = {name: [_triplet(run, source) for source in sources] for name, sources in chosen.items()}
    return DifferencesPart(measurements, triplets)


def _look_at_sources(run, summary):
    """Differences that were made, by band; numbers of their sources, by band; all sources as candidates."""
    known = bands_and_shapes(summary)
    made, counts, candidates = defaultdict(list), defaultdict(Counter), [np.empty(0, CANDIDATE)]
    for visit, detector in run.detectors("dia_sources"):
        dia_sources = run.table("dia_sources", visit, detector)
        if dia_sources is None:
            continue
        band = known[visit, detector][0]
        made[band].append((visit, detector))
        counts[band]["all"] += dia_sources.num_rows
        for flag in FLAGS.values():
            counts[band][flag] += int(column(dia_sources, flag).sum())
        candidates.append(_candidates(dia_sources, visit, detector))
    return made, counts, np.concatenate(candidates)


def _source_counts(band, n_difference, counts):
    """Numbers of one band's differences and their sources."""
    n_source = counts["all"]
    return [
        counted("n_difference", band, n_difference),
        counted("n_dia_source", band, n_source),
        *(fraction_of(name, band, counts[flag], n_source) for name, flag in FLAGS.items()),
    ]


def _candidates(dia_sources, visit, detector):
    """DIA sources of one difference (ndarray of CANDIDATE); a fit without pixels is the worst there is."""
    names = ("snr", "psfChi2", "psfNdata", "x", "y")
    snr, chi2, number, x, y = (column(dia_sources, name).astype(np.float64) for name in names)
    misfit = np.where((number > 0) & np.isfinite(chi2), chi2 / np.maximum(number, 1), np.inf)
    found = np.empty(len(snr), CANDIDATE)
    for name, values in zip(CANDIDATE.names, (snr, misfit, visit, detector, x, y), strict=True):
        found[name] = values
    return found


def choose_candidates(candidates, number):
    """Sources whose cut-outs are shown.

    Parameters
    ----------
    candidates : ndarray, shape (n,), CANDIDATE
        All that there are.
    number : int
        Most of each choice.

    Returns
    -------
    dict of str to ndarray of CANDIDATE
        best: of S/N above 10, from the brightest to the faintest at even steps; random: any of them, the same ones in
        each run; worst: those that the PSF fits worst.
    """
    ordered = candidates[np.lexsort([candidates[name] for name in ("y", "x", "detector", "visit")])]
    brightest = ordered[np.argsort(-ordered["snr"], kind="stable")]
    ranks = np.argsort(np.arange(len(ordered)) * GOLDEN % 1.0)
    worst = np.lexsort([-ordered["snr"], -ordered["misfit"]])
    return {
        "best": even_steps(brightest[brightest["snr"] > TRIPLET_SNR], number),
        "random": ordered[ranks[:number]],
        "worst": ordered[worst[:number]],
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
    visit, detector = int(source["visit"]), int(source["detector"])
    difference = run.difference(visit, detector)
    pixels, position = difference.exposure.pixels, (source["x"], source["y"])
    return Triplet(
        f"visit {visit} detector {detector}, S/N {source['snr']:.0f}",
        cutout(run.calexp(visit, detector).pixels.image, *position),
        cutout(difference.template, *position),
        cutout(pixels.image, *position),
        float(np.sqrt(positive_median(pixels.variance))),
    )
