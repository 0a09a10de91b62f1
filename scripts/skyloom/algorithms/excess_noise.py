"""Threshold that peaks of noise do not pass where the noise is more than the variance says."""

from statistics import NormalDist

import numpy as np

from skyloom.algorithms.matched_filter import tile_spans

# Negative values are compared with normal ones at this many sigma: far enough out that a sky level wrong by 0.1 sigma
# changes the noise by 4 %, and with 13 % of the values beyond, so that oversubtracted light on a few does not.
DEVIATION = 1.5
BEYOND = 2 * NormalDist().cdf(-DEVIATION)
# Standard error of a quantile of n absolute values, over the quantile itself, times the root of n.
QUANTILE_ERROR = np.sqrt(BEYOND * (1 - BEYOND)) / (2 * NormalDist().pdf(DEVIATION) * DEVIATION)
# Excess beyond so many of its standard errors is none of chance: 64 tiles of a detector.
SIGNIFICANT = 4.0
# Independent values that have three beyond the deviation.
LEAST_INDEPENDENT = 3 / BEYOND
# Every third row and column: neighbours nearer than that say the same.
SAMPLE_STEP = 3
# Part of a tile's detections that may be peaks of noise alone: a tenth of the 0.2 % that is wanted of all, since noise
# lifts light that is too faint to be seen above the threshold several times as often.
MAX_FALSE_PART = 2e-4
# Factors that are tried between 1 and the noise.
N_FACTOR = 65


def threshold_factors(significance, detections, threshold, area, largest):
    """Factors on the threshold in each tile of the matched filter, as small as purity allows.

    Parameters
    ----------
    significance : ndarray, shape (ny, nx), float32
        Signal to noise of a point source on each pixel by the variance; 0 where there is none.
    detections : Detections
        Its peaks above the threshold.
    threshold : float
        Their least significance [sigma].
    area : float
        Effective area of the PSF [pixel^2].
    largest : float
        No factor is above it.

    Returns
    -------
    ndarray, shape (n_row, n_column), float64
        At least 1, and 1 wherever the noise is that of the variance.

    Notes
    -----
    A factor is the smallest with which peaks of noise (`expected_peaks`) are no more than one in 5,000 detections, or
    than white noise of the stated variance would have: where stars are many, false detections that do not show among
    them cost no true ones. With the factor of the noise itself they are as many as of white noise.
    """
    rows, columns = (tile_spans(length) for length in significance.shape)
    factors = np.ones((len(rows), len(columns)))
    if largest <= 1:
        return factors
    for place in np.ndindex(factors.shape):
        (y0, y1), (x0, x1) = rows[place[0]], columns[place[1]]
        noise, n_sky = sky_noise(significance[y0:y1, x0:x1], area)
        if noise > 1:
            inside = (detections.x >= x0 - 0.5) & (detections.x < x1 - 0.5)
            inside &= (detections.y >= y0 - 0.5) & (detections.y < y1 - 0.5)
            found = detections.significance[inside]
            factors[place] = min(_least_factor(noise, n_sky / area, found, threshold), largest)
    return factors


def sky_noise(significance, area):
    """Noise of a significance image where there is no light, and how many pixels are sky.

    Parameters
    ----------
    significance : ndarray, shape (ny, nx), float32
        Signal to noise of a point source on each pixel.
    area : float
        Effective area of the PSF [pixel^2].

    Returns
    -------
    noise : float
        Its scatter [sigma]; 1 where it exceeds that by no more than chance does, or where too few pixels tell.
    n_sky : float
        Pixels that have no light.

    Notes
    -----
    From the negative values alone, of which sky has one on every second pixel: light is positive, that of unresolved
    stars too, which a scatter about the median takes for noise. Values that an area of the PSF apart are independent.
    """
    sample = significance[::SAMPLE_STEP, ::SAMPLE_STEP]
    depths = -sample[sample < 0]
    n_negative = len(depths) * significance.size / sample.size
    n_independent = n_negative / area
    if n_independent < LEAST_INDEPENDENT:
        return 1.0, 2 * n_negative
    rank = int((1 - BEYOND) * len(depths))
    noise = float(np.partition(depths, rank)[rank]) / DEVIATION
    is_more = noise > 1 + SIGNIFICANT * QUANTILE_ERROR / np.sqrt(n_independent)
    return noise if is_more else 1.0, 2 * n_negative


def expected_peaks(height, n_area):
    """Peaks of white noise seen through a matched filter, above a height.

    Parameters
    ----------
    height : float or ndarray
        Least height of a peak [noise of the filtered image], well above 1.
    n_area : float
        Size of the image [effective area of the PSF].

    Returns
    -------
    float or ndarray
        Expected number.

    Notes
    -----
    Bardeen et al. (1986), a Gaussian field in two dimensions far above its noise; the filtered noise has the
    correlation of a Gaussian of twice the PSF's variance.
    """
    return n_area * height * np.exp(-(height**2) / 2) / np.sqrt(2 * np.pi)


def _least_factor(noise, n_area, found, threshold):
    """Smallest factor between 1 and the noise with which few enough peaks are noise's."""
    # Of the filter's maximum, which a significance is less than: see `detect`.
    height = np.sqrt(threshold**2 + 2)
    factors = np.linspace(1, noise, N_FACTOR)
    heights = np.sort(np.sqrt(found**2 + 2))
    n_found = len(heights) - np.searchsorted(heights, factors * height)
    allowed = np.maximum(MAX_FALSE_PART * n_found, expected_peaks(height, n_area))
    is_pure = expected_peaks(factors * height / noise, n_area) <= allowed
    is_pure[-1] = True
    return float(factors[np.argmax(is_pure)])
