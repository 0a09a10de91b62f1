"""Peaks of both signs on the significance of a difference, with what static sources add to its noise."""

from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.convolution import convolve, convolve_polynomial
from skyloom.algorithms.detection import DetectionSettings, find_peaks
from skyloom.core import mask_planes

# Their pixels say nothing of the sky.
# EDGE: what was convolved there lacks the light from beyond.
WORTHLESS_PLANES = mask_planes.bits("BAD", "SAT", "CR", "INTRP", "NO_DATA", "SAT_TEMPLATE", "EDGE")
# A peak that is to be the second lobe of a dipole may be this much fainter than a detection.
LOBE_THRESHOLD = 3.0
# Least part of the PSF's squared weight on good pixels where there is a score.
MINIMUM_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Candidates:
    """Peaks that passed the threshold, each with the lobe of opposite sign beside it.

    Attributes
    ----------
    x, y : ndarray, shape (n,), float64
        Peaks [pixel].
    score : ndarray, shape (n,), float64
        Signal to noise with the static sources' part in the noise; negative for negative peaks.
    lobe_x, lobe_y : ndarray, shape (n,), float64
        Strongest peak of opposite sign within reach [pixel]; NaN without one.
    """

    x: np.ndarray
    y: np.ndarray
    score: np.ndarray
    lobe_x: np.ndarray
    lobe_y: np.ndarray


@dataclass(frozen=True, slots=True)
class StaticErrors:
    """Standard errors that imperfect matching leaves on a point-source flux at each pixel.

    Attributes
    ----------
    variance : ndarray, shape (ny, nx), float32
        Variance of a PSF flux from static sources [nJy^2], beyond photon noise.
    """

    variance: np.ndarray


def matched_template(difference):
    """Static sky at the difference's matched PSF, before decorrelation.

    Parameters
    ----------
    difference : DifferenceImage
        Difference with its template and kernel.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        Convolved template, or the template itself when the science image was convolved [nJy]; 0 without data.
    """
    template = np.nan_to_num(difference.template)
    kernel = difference.kernel
    if kernel.convolved == "science":
        return template
    terms = np.tensordot(kernel.coefficients.T, kernel.basis, axes=1)
    return convolve_polynomial(template, terms, kernel.order, kernel.domain)


def static_errors(static, psf, inexact, settings):
    """Flux errors that static sources cause where kernel or positions are slightly wrong.

    Parameters
    ----------
    static : ndarray, shape (ny, nx), float32
        Matched template [nJy].
    psf : ndarray, shape (k, k), float64
        PSF of the difference.
    inexact : ndarray, shape (ny, nx), bool
        Pixels where the template's PSF changes abruptly.
    settings : dict
        Section ``dia.static_errors``: ``relative``, ``relative_inexact``, ``position_pixel``.

    Returns
    -------
    StaticErrors
        Their sum at each pixel.

    Notes
    -----
    Zackay, Ofek & Gal-Yam (2016), section 3.3: the score's noise gets
    ``sigma_x^2 (dS/dx)^2 + sigma_y^2 (dS/dy)^2`` of the static flux S; we add ``(relative S)^2`` for the
    error of the kernel. Photon noise is in the variance plane.
    """
    flux = convolve(static, psf[::-1, ::-1]) / np.float32(np.sum(psf**2))
    slope_y, slope_x = np.gradient(flux)
    relative = np.where(inexact, np.float32(settings["relative_inexact"]), np.float32(settings["relative"]))
    position = np.float32(settings["position_pixel"])
    return StaticErrors((relative * flux) ** 2 + position**2 * (slope_x**2 + slope_y**2))


def score_images(pixels, psf, errors):
    """Signal to noise of a point source on each pixel of a difference, with and without errors of static sources.

    Parameters
    ----------
    pixels : MaskedImage
        White difference [nJy].
    psf : ndarray, shape (k, k), float64
        Its PSF, sum 1.
    errors : StaticErrors
        What static sources add to the noise.

    Returns
    -------
    score, significance : ndarray, shape (ny, nx), float32
        Signal to noise with the static sources' errors in the noise, and without; 0 where most of the PSF lies on
        pixels without worth.
    """
    good = ((pixels.mask & WORTHLESS_PLANES) == 0) & np.isfinite(pixels.image) & np.isfinite(pixels.variance)
    flipped = psf[::-1, ::-1]
    zero = np.float32(0)
    signal = convolve(np.where(good, pixels.image, zero), flipped)
    noise = convolve(np.where(good, pixels.variance, zero), flipped**2)
    area = np.float32(np.sum(psf**2))
    # A bad column has a score too: without one it would cut a source into two peaks.
    usable = convolve(good.astype(np.float32), flipped**2) > np.float32(MINIMUM_WEIGHT) * area
    usable &= noise > 0
    full_noise = noise + errors.variance * area**2
    return tuple(
        np.where(usable, signal / np.sqrt(np.where(usable, part, np.float32(1))), zero)
        for part in (full_noise, noise)
    )


def find_candidates(score, significance, threshold, sigma):
    """Peaks of either sign above a threshold, dipoles counted once.

    Parameters
    ----------
    score : ndarray, shape (ny, nx), float32
        Score of `score_images`.
    significance : ndarray, shape (ny, nx), float32
        The same without errors of static sources: peaks are placed on it, since those errors have edges.
    threshold : float
        Least absolute score.
    sigma : float
        Size of the PSF [pixel]; a peak within 4 sigma of a stronger one of opposite sign is its lobe, one
        within 2 sigma of a stronger one of its own sign is part of it.

    Returns
    -------
    Candidates
        By falling absolute score.
    """
    settings = DetectionSettings(min_prominence=1.0)
    peaks = [find_peaks(sign * score, LOBE_THRESHOLD, settings) for sign in (np.float32(1), np.float32(-1))]
    x = np.concatenate([p.x for p in peaks])
    y = np.concatenate([p.y for p in peaks])
    value = np.concatenate([peaks[0].significance, -peaks[1].significance])
    order = np.lexsort((x, y, -np.abs(value)))
    x, y, value = x[order], y[order], value[order]
    chosen, lobes = _claim_neighbours(x, y, value, threshold, sigma)
    known = lobes >= 0
    lobe_x = np.where(known, x[lobes], np.nan)
    lobe_y = np.where(known, y[lobes], np.nan)
    peak_x, peak_y = _recentred(
        significance, x[chosen], y[chosen], np.sign(value[chosen]), int(np.ceil(sigma))
    )
    return Candidates(peak_x, peak_y, value[chosen], lobe_x, lobe_y)


def _recentred(significance, x, y, sign, reach):
    """Positions of the strongest pixel of the peak's sign within reach; unchanged when it is the peak itself."""
    ny, nx = significance.shape
    x, y = x.copy(), y.copy()
    for i in range(len(x)):
        column, row = int(np.rint(x[i])), int(np.rint(y[i]))
        rows = slice(max(row - reach, 0), min(row + reach + 1, ny))
        columns = slice(max(column - reach, 0), min(column + reach + 1, nx))
        window = sign[i] * significance[rows, columns]
        best_row, best_column = np.unravel_index(np.argmax(window), window.shape)
        best_row, best_column = best_row + rows.start, best_column + columns.start
        if max(abs(best_row - row), abs(best_column - column)) > 1:
            x[i], y[i] = best_column, best_row
    return x, y


def _claim_neighbours(x, y, value, threshold, sigma):
    """Indices of peaks that stay and of the opposite lobe of each (-1: none); strongest first."""
    is_free = np.ones(len(x), dtype=bool)
    chosen, lobes = [], []
    for i in np.flatnonzero(np.abs(value) >= threshold):
        if not is_free[i]:
            continue
        distance = np.hypot(x - x[i], y - y[i])
        opposite = np.flatnonzero(is_free & (value * value[i] < 0) & (distance < 4 * sigma))
        same = is_free & (value * value[i] > 0) & (distance < 2 * sigma)
        is_free[opposite] = False
        is_free[same] = False
        chosen.append(i)
        lobes.append(opposite[0] if opposite.size else -1)
    return np.array(chosen, dtype=np.int64), np.array(lobes, dtype=np.int64)
