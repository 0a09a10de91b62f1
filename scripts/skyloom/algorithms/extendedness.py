"""Point-like or extended, from second moments."""

from typing import NamedTuple

import numpy as np


class Extendedness(NamedTuple):
    """Classification of n sources.

    Attributes
    ----------
    extended : ndarray, shape (n,), float64
        1 for sources larger than the PSF beyond doubt, 0 for the others, NaN without a shape.
    size : ndarray, shape (n,), float64
        ``((T - T_psf) / sqrt(T_psf))^2`` with ``T = Ixx + Iyy``, Rubin's sizeExtendedness; NaN without.
    """

    extended: np.ndarray
    size: np.ndarray


def classify_by_size(shape, psf_shape, signal_to_noise, excess, n_sigma):
    """Point-like or extended, by the trace of the adaptive moments.

    Parameters
    ----------
    shape, psf_shape : AdaptiveMoments, n sources
        Moments of the sources and of the PSF at their positions.
    signal_to_noise : ndarray, shape (n,), float64
        Of the PSF flux; below 1 it counts as 1.
    excess : float
        Relative size above the PSF's that a wrong PSF model may make.
    n_sigma : float
        How many of its errors the size must lie above that.

    Returns
    -------
    Extendedness
        The classes.

    Notes
    -----
    The error of an adaptive second moment is ``2 sigma^2`` over the signal to noise (Bernstein & Jarvis 2002,
    eq. 3-8), so that of the trace is twice it over the signal to noise.
    """
    trace, psf_trace = shape.ixx + shape.iyy, psf_shape.ixx + psf_shape.iyy
    with np.errstate(invalid="ignore", divide="ignore"):
        error = 2 * trace / np.maximum(signal_to_noise, 1.0)
        is_extended = trace - psf_trace * (1 + excess) > n_sigma * error
        size = ((trace - psf_trace) / np.sqrt(psf_trace)) ** 2
    known = np.isfinite(trace) & np.isfinite(psf_trace)
    extended = np.where(known, is_extended.astype(np.float64), np.nan)
    return Extendedness(extended, np.where(known, size, np.nan))
