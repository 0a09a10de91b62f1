"""Combine calibration frames: bias, dark, flat, and the defects that follow from them."""

import logging

import numpy as np

from skyloom.algorithms.robust import clipped_combine, clipped_statistics
from skyloom.calibs.defects import hot_pixels, odd_response
from skyloom.core.calib_images import CalibImage
from skyloom.core.errors import SkyloomError

log = logging.getLogger(__name__)

NOISE_CLIP = 4.0
"""Clipping of the differences that a frame's noise is measured from [sigma]: lowers it by 0.1 % only."""


class TooFewFramesError(SkyloomError):
    """There are not enough frames for a calibration, which is no exposure: the job fails.

    Parameters
    ----------
    kind : str
        Kind of the calibration.
    n_frame, needed : int
        Usable frames, and the fewest that will do.
    """

    def __init__(self, kind, n_frame, needed):
        super().__init__(
            f"{n_frame} usable frames for the {kind}, needs {needed}: see the tables of calibration frames "
            "(of visits for the illumination) and calibs.min_frames"
        )
        self.kind, self.n_frame, self.needed = kind, n_frame, needed


def combine_bias(frames, settings):
    """Combine bias frames.

    Parameters
    ----------
    frames : ndarray, shape (n, ny, nx), float32
        Assembled frames, overscan subtracted [electron]; may be a memory map; NaN is left out.
    settings : dict
        Section ``calibs``.

    Returns
    -------
    CalibImage
        Structure that the overscan does not carry [electron].

    Raises
    ------
    TooFewFramesError
        With fewer than ``min_frames`` frames.
    """
    check_count("bias", len(frames), settings["min_frames"])
    mean, variance = _combine(frames, settings, _frame_noise(frames))
    return _calib("bias", mean, variance, {"n_frame": len(frames)})


def combine_dark(frames, exposure_times, bias, settings):
    """Combine dark frames, and find the hot pixels.

    Parameters
    ----------
    frames : ndarray, shape (n, ny, nx), float32
        Assembled frames, overscan and bias subtracted [electron]; divided by their exposure times in place.
    exposure_times : sequence of float
        [s], all above 0.
    bias : CalibImage or None
        Bias that was subtracted: its variance is common to all frames.
    settings : dict
        Section ``calibs``.

    Returns
    -------
    dark : CalibImage
        Dark current [electron/s]; 0 on pixels that have no value.
    defects : CalibImage
        Mask BAD on hot pixels, on those that are no number, and on those that scatter; image: dark current
        above the detector's median.

    Raises
    ------
    TooFewFramesError
        With fewer than ``min_frames`` frames.
    """
    check_count("dark", len(frames), settings["min_frames"])
    exposure_times = np.asarray(exposure_times, dtype=np.float64)
    noise = _frame_noise(frames) / exposure_times
    for frame, exposure_time in zip(frames, exposure_times, strict=True):
        frame /= np.float32(exposure_time)
    mean, variance = _combine(frames, settings, noise)
    if bias is not None:
        variance = variance + bias.variance / np.float32(exposure_times.mean() ** 2)
    info = {"n_frame": len(frames), "exposure_time": float(exposure_times.mean())}
    dark = _calib("dark", mean, variance, info)
    is_hot, excess = hot_pixels(mean, variance, settings)
    log.info("%d hot pixels, median dark current %.4f electron/s", is_hot.sum(), np.nanmedian(mean))
    return dark, CalibImage("defects", excess, dark.variance, is_hot, {**info, "n_bad": int(is_hot.sum())})


def combine_flat(frames, read_noise, settings):
    """Combine flat frames of one band.

    Parameters
    ----------
    frames : ndarray, shape (n, ny, nx), float32
        Assembled frames, overscan, bias and dark subtracted [electron]; NaN where saturated. Divided by
        their medians in place.
    read_noise : float
        Of one frame [electron].
    settings : dict
        Section ``calibs``.

    Returns
    -------
    CalibImage
        Response relative to the detector's median, 1 on pixels of odd response, which are BAD in the mask.

    Raises
    ------
    TooFewFramesError
        With fewer than ``min_frames`` frames brighter than ``flat_min_level``.

    Notes
    -----
    One median for the whole detector, after the gains: an error of an amplifier's gain becomes part of the
    flat and is divided out of the science frames, as photometry needs it.
    """
    levels = np.array([_level(frame) for frame in frames])
    is_bright = levels > settings["flat_min_level"]
    n_bright = int(is_bright.sum())
    check_count("flat", n_bright, settings["min_frames"])
    for frame, level in zip(frames, np.where(is_bright, levels, np.nan), strict=True):
        frame /= np.float32(level)  # NaN takes a faint frame out of the combination
    levels = np.where(is_bright, levels, np.median(levels[is_bright]))
    mean, variance = _combine(frames, settings, np.sqrt(levels + read_noise**2) / levels)
    scale = np.float32(np.nanmedian(mean))
    is_odd = odd_response(mean, settings["low_response"])
    level = float(np.median(levels))
    log.info("%d of %d flats, level %.0f electron, %d odd pixels", n_bright, len(frames), level, is_odd.sum())
    mean = np.where(is_odd, np.float32(np.nan), mean / scale)
    return _calib("flat", mean, variance / scale**2, {"n_frame": n_bright, "level": level})


def check_count(kind, n_frame, needed):
    """Raise with too few frames.

    Parameters
    ----------
    kind : str
        Kind of the calibration.
    n_frame, needed : int
        Usable frames, and the fewest that will do.

    Raises
    ------
    TooFewFramesError
        If there are fewer.
    """
    if n_frame < needed:
        raise TooFewFramesError(kind, n_frame, needed)


def _level(frame):
    """Median of a frame; 0 when it holds no number."""
    sample = frame[::4, ::4]
    return float(np.nanmedian(sample)) if np.isfinite(sample).any() else 0.0


def _frame_noise(frames):
    """Noise of one pixel of each frame, from differences of neighbours (ndarray, shape (n,))."""
    differences = (np.diff(frame[::8], axis=1) for frame in frames)
    return np.array([clipped_statistics(d, n_sigma=NOISE_CLIP).sigma / np.sqrt(2) for d in differences])


def _combine(frames, settings, noise):
    """Clipped mean and its variance, from the scatter about `noise`: see Notes of `clipped_combine`."""
    mean, variance, n_used = clipped_combine(frames, settings["n_sigma"], settings["n_iter"], sigma=noise)
    log.info("combined %d frames; %.2e of the values clipped", len(frames), 1 - n_used.mean() / len(frames))
    return mean, variance


def _calib(kind, mean, variance, info):
    """Calibration with 0 (flat: 1) and BAD where no frame had a value."""
    is_empty = ~np.isfinite(mean)
    image = np.where(is_empty, np.float32(1 if kind == "flat" else 0), mean).astype(np.float32)
    variance = np.where(is_empty, np.float32(0), variance).astype(np.float32)
    return CalibImage(kind, image, variance, is_empty, info)
