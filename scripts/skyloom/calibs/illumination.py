"""Illumination correction: how the night sky lights a detector otherwise than the lamp of its flats does."""

import logging

import numpy as np

from skyloom.algorithms.background import fit_background
from skyloom.algorithms.detection import detect
from skyloom.calibs.pipeline import check_count
from skyloom.core.calib_images import CalibImage
from skyloom.core.images import MaskedImage
from skyloom.core.psf import gaussian_kernel
from skyloom.core.wcs import order_of, polynomial_terms, unit_coordinates

log = logging.getLogger(__name__)

MESH = {"bin_size": 64, "shortest_wave": 1024}
"""Sky of one frame [pixel]: an illumination is smooth, and the longer the waves, the less of a galaxy is followed."""
DETECTION_SIGMA, DETECTION_THRESHOLD = 1.7, 5.0
"""Gaussian that sources are looked for with [pixel], and the significance above which they are masked."""
GROWTH = 12.0
"""Of their mask, for their wings [pixel]."""
ORDER = 3
"""Total degree of the map: what lamps and screens do over one detector; more would follow scattered light."""
CELLS_PER_TERM = 3
# Each is verified by the others.
LEAST_FRAMES = 2


def sky_shape(pixels):
    """Shape of the sky in one frame, its objects left out.

    Parameters
    ----------
    pixels : MaskedImage
        Science frame after bias, dark and flat, sky included [electron].

    Returns
    -------
    ndarray, shape (ny / 64, nx / 64), float64
        Level of the sky at the centres of cells of 64 pixels, over their median.

    Raises
    ------
    NoSkyPixelsError
        If no cell has sky.
    """
    first = fit_background(pixels, MESH).background.image()
    above = MaskedImage(pixels.image - first, pixels.mask, pixels.variance)
    size = 2 * int(np.ceil(4 * DETECTION_SIGMA)) + 1
    detections = detect(above, gaussian_kernel(DETECTION_SIGMA, size), DETECTION_THRESHOLD)
    mesh = fit_background(pixels, MESH, detections.detected_mask(GROWTH)).background.mesh.astype(np.float64)
    return mesh / np.median(mesh)


def combine_illumination(skies, shape, settings):
    """Combine the skies of many frames to the illumination of one detector.

    Parameters
    ----------
    skies : ndarray, shape (n, my, mx), float64
        From `sky_shape`, one a frame.
    shape : tuple of int
        Shape (ny, nx) of the detector.
    settings : dict
        Section ``calibs``: ``min_frames``.

    Returns
    -------
    CalibImage
        Kind illumination: light that the sky leaves in a flat-fielded image, relative to its median. The variance is
        that of the map by the scatter of the frames. `info` holds the rms of a frame's sky about its mean before and
        after it is divided by the map that all other frames give (medians over the frames).

    Raises
    ------
    TooFewFramesError
        With fewer than ``min_frames`` frames, or than two.

    Notes
    -----
    A polynomial of degree three through the median of the frames, in which moonlight and the airmass slope another way
    each time. Each frame in turn is left out, to verify on it the map that it did not make; the scatter of these maps
    is also the error (the jackknife: Efron 1982, chapter 3).
    """
    check_count("illumination", len(skies), max(settings["min_frames"], LEAST_FRAMES))
    terms = _cell_terms(skies.shape[1:], shape)
    without = np.array([_fitted(np.delete(skies, number, axis=0), terms) for number in range(len(skies))])
    before, after = _rms_of(skies), _rms_of(skies / (without @ terms).reshape(skies.shape))
    tell = log.info if after < before else log.warning
    tell("%d skies of %.4f rms, %.4f after the illumination by the other frames", len(skies), before, after)
    deviation = without - without.mean(axis=0)
    covariance = (len(skies) - 1) / len(skies) * deviation.T @ deviation
    image, variance = _planes(_fitted(skies, terms), covariance, shape)
    scale = float(np.median(image))
    info = {"n_frame": len(skies), "rms_before": round(before, 6), "rms_after": round(after, 6)}
    image, variance = (image / scale).astype(np.float32), (variance / scale**2).astype(np.float32)
    return CalibImage("illumination", image, variance, np.zeros(shape, dtype=bool), info)


def _cell_terms(mesh_shape, shape):
    """Polynomial terms at the centres of the cells, shape (n_term, n_cell); fewer where cells are few."""
    my, mx = mesh_shape
    order = 0
    while order < ORDER and (order + 2) * (order + 3) // 2 * CELLS_PER_TERM <= mx * my:
        order += 1
    y, x = np.indices(mesh_shape)
    centres = ((index.ravel() + 0.5) * MESH["bin_size"] - 0.5 for index in (x, y))
    return polynomial_terms(*unit_coordinates(*centres, _domain(shape)), order)


def _domain(shape):
    """Rectangle of the detector's pixels."""
    return (-0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5)


def _fitted(skies, terms):
    """Coefficients (n_term) of the polynomial through the median of skies."""
    return np.linalg.lstsq(terms.T, np.median(skies, axis=0).ravel(), rcond=None)[0]


def _rms_of(skies):
    """Relative rms of a sky about its mean, median over the skies."""
    return float(np.median(skies.std(axis=(1, 2)) / skies.mean(axis=(1, 2))))


def _planes(coefficients, covariance, shape):
    """Polynomial in each pixel and its variance, row by row."""
    order = order_of(len(coefficients))
    image, variance = np.empty(shape), np.empty(shape)
    columns = np.arange(shape[1], dtype=np.float64)
    for row in range(shape[0]):
        place = unit_coordinates(columns, np.full(shape[1], row), _domain(shape))
        terms = polynomial_terms(*place, order)
        image[row] = coefficients @ terms
        variance[row] = np.einsum("ij,ij->j", terms, covariance @ terms)
    return image, variance
