"""Instrument signature removal, step by step: what happened to the light last is undone first."""

import logging
from dataclasses import replace

import numpy as np

from skyloom.core.calib_images import KINDS
from skyloom.core.errors import ConfigError
from skyloom.core.images import Exposure
from skyloom.isr.assembly import assemble_frame
from skyloom.isr.correction import CALIB_STEPS, as_the_sky_lights, correct_in_place, mask_in_place
from skyloom.isr.repair import UNUSABLE, check_good_fraction, fill_empty_in_place, fill_small_defects_in_place

log = logging.getLogger(__name__)


class CalibShapeError(ConfigError):
    """A calibration belongs to another detector or read-out mode.

    Parameters
    ----------
    kind : str
        Kind of the calibration.
    shape, needed : tuple of int
        Its shape, and the detector's.
    """

    def __init__(self, kind, shape, needed):
        super().__init__(f"the {kind} has shape {shape}, the detector {needed}: is it of this camera?")
        self.kind, self.shape, self.needed = kind, shape, needed


def remove_instrument_signature(raw, calibs, info, settings):
    """Turn a raw frame into an exposure in electrons with mask and variance.

    Parameters
    ----------
    raw : RawFrame
        One detector [ADU].
    calibs : Calibs
        Bias, dark, flat, illumination and defects; None leaves a step out.
    info : ExposureInfo
        Of the visit; its exposure time scales the dark.
    settings : dict
        Section ``isr`` of the configuration.

    Returns
    -------
    Exposure
        Sky included. Mask: SAT (grown), SUSPECT, BAD (defects, dead amplifiers), NO_DATA (no number in the
        raw or no flat), INTRP (small defects filled in). Every pixel is finite. `info` gets the gain and
        read noise that were used.

    Raises
    ------
    AllPixelsBadError, ConstantImageError, AllAmplifiersBadError
        If the frame holds no data.
    TooFewGoodPixelsError
        If it cannot be used.
    CalibShapeError
        If a calibration does not fit the detector.

    Notes
    -----
    Order of Plazas Malagon et al. (2025, JATIS 11, 011209): overscan, gain, bias, dark, flat, illumination. The
    variance is that of the charge collected (light, dark current), of the read-out and of the calibrations.
    """
    frame = assemble_frame(raw, settings)
    calibs = _wanted_calibs(calibs, settings)
    _check_calibs(calibs, frame.image.shape)
    calibs = as_the_sky_lights(calibs)
    mask_in_place(frame.mask, calibs, settings["saturation_grow"])
    check_good_fraction(frame.mask, settings["min_good_fraction"])
    info = replace(info, gain=frame.gain, read_noise=frame.read_noise)
    pixels = correct_in_place(frame, calibs, info.exposure_time)
    del frame  # planes of a detector that is large
    fill_empty_in_place(pixels)
    if settings["interpolate_defects"]:
        fill_small_defects_in_place(pixels, settings)
    log.info(
        "gain %.3f electron/ADU, read noise %.2f electron, sky %.1f electron, %.3f %% masked",
        info.gain,
        info.read_noise,
        np.median(pixels.image[::4, ::4]),
        100 * np.mean(pixels.is_masked(UNUSABLE)),
    )
    return Exposure(pixels=pixels, info=info)


def _wanted_calibs(calibs, settings):
    """Calibrations whose step is switched on."""
    return replace(calibs, **{step: None for step in CALIB_STEPS if not settings[step]})


def _check_calibs(calibs, shape):
    """Raise when a calibration is of another shape."""
    for calib in (getattr(calibs, kind) for kind in KINDS):
        if calib is not None and calib.image.shape != shape:
            raise CalibShapeError(calib.kind, calib.image.shape, shape)
