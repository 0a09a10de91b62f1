"""Bias, dark and flat undone pixel by pixel, with the variance and the bad pixels that go with them."""

from dataclasses import replace

import numpy as np

from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage, native_rows, strips
from skyloom.core.jit import kernel
from skyloom.isr.repair import UNUSABLE
from skyloom.isr.variance import STRIP, expected_light_of_rows, rough_sky

CALIB_STEPS = ("bias", "dark", "flat", "defects")
"""Steps with a switch of their own; the illumination is part of the flat."""
# Stands for the planes of a calibration that is not used.
NO_PLANE = np.zeros((1, 1), dtype=np.float32)


def as_the_sky_lights(calibs):
    """Calibrations whose flat is the one that the night sky would have given: times the illumination.

    Parameters
    ----------
    calibs : Calibs
        Those that are used.

    Returns
    -------
    Calibs
        Without an illumination of its own; the same when there is none, or no flat to correct.

    Notes
    -----
    Dividing by the product, the light expected in a pixel before the flat, and so its variance, stays what it was. The
    illumination's own error is common to all pixels around, no noise of any one, and is not added.
    """
    if calibs.flat is None or calibs.illumination is None:
        return replace(calibs, illumination=None)
    light = calibs.illumination.image
    flat = replace(calibs.flat, image=calibs.flat.image * light, variance=calibs.flat.variance * light**2)
    return replace(calibs, flat=flat, illumination=None)


def correct_in_place(frame, calibs, exposure_time):
    """Bias, dark and flat undone.

    Parameters
    ----------
    frame : AssembledFrame
        From `assemble_frame`, its mask complete. Its planes become those of the result: the memory of new ones takes
        longer than the work on them.
    calibs : Calibs
        Those that are used.
    exposure_time : float
        [s].

    Returns
    -------
    MaskedImage
        [electron]; NaN where there are no data. The variance is that of the charge collected (light, dark
        current), of the read-out and of the calibrations.
    """
    image, variance = frame.image, frame.read_variance
    is_unusable = _light(frame, calibs, exposure_time, image)
    sky = rough_sky(image, is_unusable)
    use = _use(calibs, exposure_time)
    for part in strips(len(image), STRIP):
        dark, flat = _rows((calibs.dark, calibs.flat), part, "image")
        response = flat if calibs.flat is not None else None
        light = expected_light_of_rows(image, sky, part, response, variance[part])
        _variance_in_place(variance[part], light, (dark, flat, *_rows(_used(calibs), part, "variance")), use)
    return MaskedImage(image, frame.mask, variance)


def subtract_bias_and_dark(frame, calibs, exposure_time):
    """Charge that light made, from an assembled frame.

    Parameters
    ----------
    frame : AssembledFrame
        From `assemble_frame`.
    calibs : Calibs
        Bias and dark are used where there are any.
    exposure_time : float
        [s].

    Returns
    -------
    ndarray, shape (ny, nx), float32
        [electron]; NaN where the frame has no number.
    """
    light = np.empty_like(frame.image)
    _light(frame, replace(calibs, flat=None), exposure_time, light)
    return light


def usable_light(frame, calibs, exposure_time):
    """Charge that light made, without the pixels that tell nothing of it: what flats are combined from.

    Parameters
    ----------
    frame, calibs, exposure_time
        As for `subtract_bias_and_dark`.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        [electron]; NaN on saturated pixels, dead amplifiers and where the frame has no number.
    """
    light = subtract_bias_and_dark(frame, calibs, exposure_time)
    return np.where((frame.mask & UNUSABLE) != 0, np.float32(np.nan), light)


def mask_in_place(mask, calibs, saturation_grow):
    """Mask the bad pixels of the calibrations and grow saturation.

    Parameters
    ----------
    mask : ndarray, shape (ny, nx), uint32
        Mask planes; changed in place.
    calibs : Calibs
        Those that are used.
    saturation_grow : int
        How far SAT reaches beyond a saturated pixel, along diagonals too [pixel].
    """
    used = [getattr(calibs, step) for step in CALIB_STEPS if getattr(calibs, step) is not None]
    for part in strips(len(mask)):
        for calib in used:
            _add_bad(np.asarray(calib.is_bad[part]), mask[part])
    if saturation_grow > 0:
        _grow_saturation(mask, saturation_grow)


def _light(frame, calibs, exposure_time, light):
    """Which pixels tell nothing of the sky; the light of each goes into `light`, which may be the frame's image."""
    is_unusable = np.empty(light.shape, dtype=bool)
    use = _use(calibs, exposure_time)
    for part in strips(len(light), STRIP):
        charge, outputs = (frame.image[part], frame.mask[part]), (light[part], is_unusable[part])
        _subtract_and_divide(charge, _rows(_used(calibs), part, "image"), use, outputs)
    return is_unusable


def _use(calibs, exposure_time):
    """Which of bias, dark and flat are used, and the exposure time [s]."""
    used = np.array([getattr(calibs, step) is not None for step in ("bias", "dark", "flat")])
    return used, np.float32(exposure_time)


def _used(calibs):
    """Bias, dark and flat; None for those that are not used."""
    return calibs.bias, calibs.dark, calibs.flat


def _rows(calibs, part, plane):
    """Rows of image or variance of calibrations; `NO_PLANE` for None."""
    return tuple(NO_PLANE if calib is None else native_rows(getattr(calib, plane), part) for calib in calibs)


@kernel
def _subtract_and_divide(frame, planes, use, outputs):
    """Light of each pixel, and which pixels tell nothing of the sky."""
    charge, mask = frame
    bias, dark, flat = planes
    used, time = use
    has_bias, has_dark, has_flat = used[0], used[1], used[2]
    image, is_unusable = outputs
    for y in range(charge.shape[0]):
        for x in range(charge.shape[1]):
            value = charge[y, x]
            if has_bias:
                value -= bias[y, x]
            if has_dark:
                value -= time * dark[y, x]
            if has_flat:
                value = value / flat[y, x] if flat[y, x] > 0 else np.float32(np.nan)
            if not np.isfinite(value):
                value = np.float32(np.nan)
            image[y, x] = value
            is_unusable[y, x] = np.isnan(value) or (mask[y, x] & UNUSABLE) != 0


@kernel
def _variance_in_place(variance, light, planes, use):
    """Turn the variance of the read-out of each pixel into that of its charge, with the light expected of it."""
    dark, flat, bias_variance, dark_variance, flat_variance = planes
    used, time = use
    has_bias, has_dark, has_flat = used[0], used[1], used[2]
    for y in range(variance.shape[0]):
        for x in range(variance.shape[1]):
            signal = light[y, x]
            response = flat[y, x] if has_flat else np.float32(1)
            if not response > 0:
                variance[y, x] = np.nan
                continue
            value = signal * response + variance[y, x]
            if has_bias:
                value += bias_variance[y, x]
            if has_dark:
                value += max(time * dark[y, x], np.float32(0)) + time * time * dark_variance[y, x]
            if has_flat:
                value = (value + signal * signal * flat_variance[y, x]) / (response * response)
            variance[y, x] = value


@kernel
def _grow_saturation(mask, radius):
    """Set SAT in the square around each saturated pixel."""
    ny, nx = mask.shape
    places, n = np.empty(64, dtype=np.int64), 0
    for y in range(ny):
        for x in range(nx):
            if mask[y, x] & mask_planes.SAT:
                if n == places.size:
                    longer = np.empty(2 * n, dtype=np.int64)
                    longer[:n] = places
                    places = longer
                places[n] = y * nx + x
                n += 1
    for place in places[:n]:
        y, x = place // nx, place % nx
        for v in range(max(y - radius, 0), min(y + radius + 1, ny)):
            for u in range(max(x - radius, 0), min(x + radius + 1, nx)):
                mask[v, u] |= mask_planes.SAT


@kernel
def _add_bad(is_bad, mask):
    """Add a calibration's bad pixels to a mask."""
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            mask[y, x] |= mask_planes.BAD * np.uint32(is_bad[y, x])


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    from skyloom.core.calib_images import CalibImage, Calibs
    from skyloom.isr.assembly import AssembledFrame

    ones, mask = np.ones((4, 4), dtype=np.float32), np.zeros((4, 4), dtype=np.uint32)
    calib = CalibImage("bias", ones, ones, mask != 0)
    calibs = Calibs(bias=calib, dark=calib, flat=calib)
    mask_in_place(mask, calibs, 1)
    frame = AssembledFrame(ones, mask, ones, 1.0, 1.0)
    mapped = np.zeros((4, 4), dtype=bool)
    mapped.flags.writeable = False
    _add_bad(mapped, mask)
    correct_in_place(frame, calibs, 1.0)
    correct_in_place(frame, Calibs(), 1.0)
