"""Deep coadds: their depth, coverage and noise, one by one and together, and mosaics for the picture."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.robust import mad_sigma
from skyloom.core import mask_planes
from skyloom.core.photo_calib import AB_ZERO_POINT
from skyloom.core.psf import effective_area
from skyloom.core.tables import column
from skyloom.report.metrics import MEDIAN_ERROR, SCATTER_ERROR, Measurement, median_of
from skyloom.report.noise import noise_ratio
from skyloom.report.sampling import even_steps

DEPTH_SNR = 5.0
# Names of the numbers of one coadd, of which the survey has the medians.
NUMBERS = ("coadd_depth", "coadd_coverage", "coadd_n_visit", "coadd_noise_ratio")


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
    mosaics: dict


def gather_coadds(run, bands, n_image):
    """Metrics of the deep coadds and the mosaics of the first tract.

    Parameters
    ----------
    run : RunReader
        The run.
    bands : list of str
        Bands of the survey.
    n_image : int
        Most coadds of a band that are measured, at even steps through the survey, and most of a mosaic.

    Returns
    -------
    CoaddsPart
        Metrics of each coadd and of the survey, and mosaics.
    """
    numbers, pieces = defaultdict(dict), defaultdict(list)
    coadds = run.coadds()
    for band in bands:
        of_band = [key for key in coadds if key[0] == band]
        measured = set(even_steps(of_band, n_image))
        # The same patches in each band, side by side.
        pictured = set([key for key in of_band if key[1] == coadds[0][1]][:n_image])
        for key in sorted(measured | pictured):
            coadd = run.coadd(*key)
            if key in measured:
                numbers[band]["coadd {}/{}/{}".format(*key)] = _numbers(coadd)
            if key in pictured:
                pieces[band].append(coadd)
    measurements = []
    for band in bands:
        for name in NUMBERS:
            measurements.append(median_of(name, band, [values[name][0] for values in numbers[band].values()]))
        for subject, values in numbers[band].items():
            measurements += [
                Measurement(name, band, values[name][0], 1, values[name][1], subject) for name in NUMBERS
            ]
    mosaics = _mosaics({band: pieces[band] for band in bands if pieces[band]})
    return CoaddsPart(measurements, mosaics)


def _numbers(coadd):
    """Values of `NUMBERS` of one coadd and their errors (dict of str to (float, float)); what is counted has none."""
    covered = ~coadd.pixels.is_masked(mask_planes.NO_DATA)
    used = column(coadd.inputs, "used") if coadd.inputs is not None else np.empty(0)
    ratio, n_pixel = noise_ratio(coadd.pixels)
    # So many fewer pixels are independent.
    n_independent = n_pixel / coadd.noise_correlation
    ratio_error = SCATTER_ERROR * ratio / np.sqrt(n_independent) if n_pixel else np.nan
    return {
        "coadd_depth": _coadd_depth(coadd),
        "coadd_coverage": (float(covered.mean()), 0.0),
        "coadd_n_visit": (float(used.sum()) if len(used) else np.nan, 0.0),
        "coadd_noise_ratio": (ratio, ratio_error),
    }


def _coadd_depth(coadd):
    """5-sigma AB depth of a point source in the middle of a coadd, and its error by the spread of the variance."""
    ny, nx = coadd.pixels.shape
    kernel = coadd.psf.kernel_at((nx - 1) / 2, (ny - 1) / 2)
    positive = coadd.pixels.variance[coadd.pixels.variance > 0]
    variance = positive_median(positive)
    error = MEDIAN_ERROR * mad_sigma(positive) / np.sqrt(positive.size) if positive.size else np.nan
    noise = np.sqrt(variance * effective_area(kernel) * coadd.noise_correlation)
    depth = AB_ZERO_POINT - 2.5 * np.log10(DEPTH_SNR * noise)
    # There is no PSF where the middle holds no data.
    return depth, 1.25 / np.log(10) * error / variance if np.isfinite(depth) else np.nan


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
        noise = float(np.median([np.sqrt(positive_median(c.pixels.variance)) for c in coadds]))
        mosaics[band] = Mosaic(image, noise)
    return mosaics


def _tract_origin(coadd):
    """First pixel of a coadd on the tract's tangent plane, whose middle is the tangent point."""
    return round(-coadd.wcs.crpix[0]), round(-coadd.wcs.crpix[1])


def positive_median(values):
    """Median of the values above 0 (float; NaN for none), as of a variance plane.

    Parameters
    ----------
    values : ndarray
        Values.
    """
    positive = values[values > 0]
    return float(np.median(positive)) if positive.size else np.nan
