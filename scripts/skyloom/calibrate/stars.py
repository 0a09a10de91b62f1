"""Stars that are fit for the PSF: bright, clean, alone, and of the size that stars have on this image."""

import logging
from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.robust import mad_sigma
from skyloom.core.psf import FWHM_PER_SIGMA
from skyloom.core.wcs import polynomial_terms

log = logging.getLogger(__name__)

# The size of a star may vary smoothly over the image by this much, in log(sigma), about its mode.
LOCUS_WIDTH = 0.15
# Scatter of log(sigma) of good stars: below the first a narrow locus would drop stars for nothing.
MIN_SCATTER, MAX_SCATTER = 0.008, 0.04
N_LOCUS_ITERATION = 4
MIN_STARS_FOR_GRADIENT, MIN_STARS_FOR_CURVATURE = 8, 30


@dataclass(frozen=True, slots=True)
class StarCandidates:
    """First measurements of all detections of one image.

    Attributes
    ----------
    x, y : ndarray, shape (n,), float64
        Positions [pixel].
    signal_to_noise : ndarray, shape (n,), float64
        Significance of the peak [sigma].
    sigma : ndarray, shape (n,), float64
        Size from adaptive moments [pixel]; NaN where they failed.
    is_clean : ndarray, shape (n,), bool
        No masked pixel in the core, and far from the image's edge.
    """

    x: np.ndarray
    y: np.ndarray
    signal_to_noise: np.ndarray
    sigma: np.ndarray
    is_clean: np.ndarray

    def __len__(self):
        """Return the number of detections."""
        return len(self.x)


def stellar_size(candidates, min_signal_to_noise):
    """Most frequent size among bright clean detections.

    Parameters
    ----------
    candidates : StarCandidates
        All detections.
    min_signal_to_noise : float
        Least significance; lowered by halves, to 10 at last, while fewer than five detections pass.

    Returns
    -------
    float
        Mode of sigma [pixel]; NaN when no detection has a size.
    """
    usable = candidates.is_clean & np.isfinite(candidates.sigma)
    if not usable.any():
        return float("nan")
    limit = min_signal_to_noise
    while limit > 10 and np.sum(usable & (candidates.signal_to_noise >= limit)) < 5:
        limit = max(limit / 2, 10)
    bright = usable & (candidates.signal_to_noise >= limit)
    chosen = bright if bright.any() else usable
    return float(np.exp(half_sample_mode(np.log(candidates.sigma[chosen]))))


def select_stars(candidates, shape, settings):
    """Detections that are fit for the PSF.

    Parameters
    ----------
    candidates : StarCandidates
        All detections of the image.
    shape : tuple of int
        Shape (ny, nx) of the image.
    settings : dict
        Section ``calibrate.psf``: ``min_signal_to_noise``, ``fallback_signal_to_noise``, ``min_stars``,
        ``max_stars``, ``isolation_fwhm``.

    Returns
    -------
    ndarray, shape (n,), bool
        True on the stars chosen; perhaps none.

    Notes
    -----
    The stellar locus is the half-sample mode of log(size), followed by a robust low-order fit over the image,
    because a size that varies over the field by more than its scatter would otherwise drop good stars in the
    corners.
    """
    size = stellar_size(candidates, settings["min_signal_to_noise"])
    if not np.isfinite(size):
        return np.zeros(len(candidates), dtype=bool)
    alone = _is_alone(candidates, settings["isolation_fwhm"] * FWHM_PER_SIGMA * size)
    usable = candidates.is_clean & alone & np.isfinite(candidates.sigma)
    limit = settings["min_signal_to_noise"]
    while True:
        chosen = _on_locus(candidates, usable & (candidates.signal_to_noise >= limit), size, shape)
        if chosen.sum() >= 3 * settings["min_stars"] or limit <= settings["fallback_signal_to_noise"]:
            break
        limit = max(limit / 1.5, settings["fallback_signal_to_noise"])
    if chosen.sum() > settings["max_stars"]:
        order = np.argsort(np.where(chosen, -candidates.signal_to_noise, np.inf), kind="stable")
        chosen = np.zeros_like(chosen)
        chosen[order[: settings["max_stars"]]] = True
    log.info("%d PSF star candidates above S/N %.0f, sigma %.2f pixel", chosen.sum(), limit, size)
    return chosen


def reserve_stars(chosen, fraction, min_fitted, rng):
    """Stars to keep out of the PSF fit, so that they can test it.

    Parameters
    ----------
    chosen : ndarray, shape (n,), bool
        PSF stars.
    fraction : float
        Part of them to reserve.
    min_fitted : int
        Stars that must be left for the fit.
    rng : numpy.random.Generator
        Who is reserved.

    Returns
    -------
    ndarray, shape (n,), bool
        True on reserved stars.
    """
    index = np.flatnonzero(chosen)
    n_reserved = int(np.clip(round(fraction * len(index)), 0, max(len(index) - min_fitted, 0)))
    reserved = np.zeros(len(chosen), dtype=bool)
    reserved[rng.permutation(index)[:n_reserved]] = True
    return reserved


def half_sample_mode(values):
    """Mode of a sample: the densest half of the densest half and so on.

    Parameters
    ----------
    values : ndarray, shape (n,), float
        Finite values, n at least 1.

    Returns
    -------
    float
        The mode.

    Notes
    -----
    Robertson & Cryer (1974); Bickel & Fruehwirth (2006).
    """
    ordered = np.sort(values)
    while len(ordered) > 3:
        half = (len(ordered) + 1) // 2
        widths = ordered[half - 1 :] - ordered[: len(ordered) - half + 1]
        first = int(np.argmin(widths))
        ordered = ordered[first : first + half]
    if len(ordered) == 3:
        lower, upper = np.diff(ordered)
        ordered = ordered[:2] if lower < upper else ordered[1:]
    return float(np.mean(ordered))


def _on_locus(candidates, usable, size, shape):
    """Usable detections whose size is that of stars at their place."""
    logarithm = np.log(np.where(usable, candidates.sigma, size) / size)
    chosen = usable & (np.abs(logarithm) < LOCUS_WIDTH)
    u, v = 2 * candidates.x / shape[1] - 1, 2 * candidates.y / shape[0] - 1
    for _ in range(N_LOCUS_ITERATION):
        if chosen.sum() < 3:
            break
        order = int(chosen.sum() >= MIN_STARS_FOR_GRADIENT) + int(chosen.sum() >= MIN_STARS_FOR_CURVATURE)
        terms = polynomial_terms(u, v, order).T
        coefficients, *_ = np.linalg.lstsq(terms[chosen], logarithm[chosen], rcond=None)
        deviation = logarithm - terms @ coefficients
        scatter = np.clip(mad_sigma(deviation[chosen]), MIN_SCATTER, MAX_SCATTER)
        chosen = usable & (np.abs(logarithm) < LOCUS_WIDTH) & (np.abs(deviation) < 3 * scatter)
    return chosen


def _is_alone(candidates, radius):
    """Detections without a neighbour within `radius` [pixel] brighter than a fiftieth of themselves."""
    from scipy.spatial import cKDTree

    tree = cKDTree(np.column_stack([candidates.x, candidates.y]))
    pairs = tree.query_pairs(radius, output_type="ndarray")
    brightness = candidates.signal_to_noise
    alone = np.ones(len(candidates), dtype=bool)
    for own, other in ((pairs[:, 0], pairs[:, 1]), (pairs[:, 1], pairs[:, 0])):
        alone[own[brightness[other] > brightness[own] / 50]] = False
    return alone
