"""Raw planes to one trimmed detector in electrons: saturation, overscan, gain, flips."""

import logging
from dataclasses import dataclass

import numpy as np

from skyloom.core import mask_planes
from skyloom.core.errors import DataError
from skyloom.core.jit import kernel
from skyloom.isr.overscan import measure_overscan

log = logging.getLogger(__name__)


class AllPixelsBadError(DataError):
    """No pixel of the frame holds a number.

    Parameters
    ----------
    n_pixel : int
        Pixels looked at.
    """

    def __init__(self, n_pixel):
        super().__init__(f"none of {n_pixel} pixels is finite, some must be: did the read-out fail?")
        self.n_pixel = n_pixel


class ConstantImageError(DataError):
    """Every pixel of the frame holds the same number.

    Parameters
    ----------
    value : float
        That number [ADU].
    """

    def __init__(self, value):
        super().__init__(
            f"every pixel is {value:g} ADU, they must differ by noise: was the frame written before read-out?"
        )
        self.value = value


class AllAmplifiersBadError(DataError):
    """Every amplifier is dead or far too noisy.

    Parameters
    ----------
    reasons : dict of str to str
        What is wrong, by amplifier.
    """

    def __init__(self, reasons):
        listed = ", ".join(f"{name} {reason}" for name, reason in reasons.items())
        super().__init__(f"no amplifier works ({listed}), one must: look at the raw frame's overscan")
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class AssembledFrame:
    """One detector, trimmed, overscan subtracted, in electrons.

    Attributes
    ----------
    image : ndarray, shape (ny, nx), float32
        [electron]; NaN where the raw pixel or its overscan level was no number.
    mask : ndarray, shape (ny, nx), uint32
        SAT and SUSPECT by raw level, NO_DATA where the image is no number, BAD on dead amplifiers.
    read_variance : ndarray, shape (ny, nx), float32
        Variance of read-out and overscan level [electron^2].
    gain, read_noise : float
        Means over the amplifiers that work [electron/ADU], [electron].
    """

    image: np.ndarray
    mask: np.ndarray
    read_variance: np.ndarray
    gain: float
    read_noise: float


def assemble_frame(raw, settings):
    """Assemble the amplifiers of a raw frame.

    Parameters
    ----------
    raw : RawFrame
        Planes [ADU].
    settings : dict
        Section ``isr``: ``overscan``, ``suspect_fraction``, ``measure_read_noise``, ``max_noise_ratio``.

    Returns
    -------
    AssembledFrame
        The detector.

    Raises
    ------
    AllPixelsBadError, ConstantImageError
        If the frame holds no data.
    AllAmplifiersBadError
        If no amplifier works.
    """
    _check_content(raw)
    detector = raw.detector
    image = np.empty(detector.shape, dtype=np.float32)
    mask = np.empty(detector.shape, dtype=np.uint32)
    read_variance = np.empty(detector.shape, dtype=np.float32)
    reasons, gains, noises = {}, [], []
    for amplifier in detector.amplifiers:
        plane = raw.planes[amplifier.extension]
        x0, x1, y0, y1 = amplifier.data_section
        counts = plane[y0:y1, x0:x1]
        overscan = measure_overscan(plane, amplifier, settings["overscan"])
        noise = _read_noise(amplifier, overscan, settings)
        reason = _fault(counts, overscan, amplifier, settings)
        if reason:
            reasons[amplifier.name] = reason
        else:
            gains.append(amplifier.gain)
            noises.append(noise)
        target = _detector_slices(amplifier)
        levels = (amplifier.gain, settings["suspect_fraction"] * amplifier.saturation, amplifier.saturation)
        all_bits = np.uint32(mask_planes.BAD if reason else 0)
        _fill(
            counts, overscan.rows, np.array(levels, dtype=np.float32), all_bits, (image[target], mask[target])
        )
        read_variance[target] = noise**2 + (overscan.error * amplifier.gain) ** 2
    if len(reasons) == len(detector.amplifiers):
        raise AllAmplifiersBadError(reasons)
    for name, reason in reasons.items():
        log.warning("amplifier %s masked BAD: %s", name, reason)
    return AssembledFrame(image, mask, read_variance, float(np.mean(gains)), float(np.mean(noises)))


def _check_content(raw):
    """Raise when the frame as a whole holds no data."""
    data = []
    for amplifier in raw.detector.amplifiers:
        x0, x1, y0, y1 = amplifier.data_section
        data.append(raw.planes[amplifier.extension][y0:y1, x0:x1])
    if not any(np.isfinite(counts).any() for counts in data):
        raise AllPixelsBadError(sum(counts.size for counts in data))
    lowest = min(np.nanmin(counts) for counts in data if np.isfinite(counts).any())
    highest = max(np.nanmax(counts) for counts in data if np.isfinite(counts).any())
    # A frame on the converter's upper end everywhere is no empty one: its pixels are masked as saturated.
    if lowest == highest < max(amplifier.saturation for amplifier in raw.detector.amplifiers):
        raise ConstantImageError(float(lowest))


def _read_noise(amplifier, overscan, settings):
    """Read noise [electron]: measured where there is an overscan and the settings ask for it."""
    if settings["measure_read_noise"] and np.isfinite(overscan.noise):
        return overscan.noise * amplifier.gain
    return amplifier.read_noise


def _fault(counts, overscan, amplifier, settings):
    """Say why an amplifier must not be used, or return an empty text."""
    finite = counts[np.isfinite(counts)]
    if finite.size == 0:
        return "holds no number"
    if finite.min() == finite.max() < amplifier.saturation:
        return f"reads {finite.min():g} ADU everywhere"
    if not np.isfinite(overscan.rows).any():
        return "has no number in its overscan"
    noise, limit = overscan.noise * amplifier.gain, settings["max_noise_ratio"] * amplifier.read_noise
    if noise > limit > 0:
        return f"has a read noise of {noise:.1f} electron, at most {limit:.1f} is allowed"
    # Where the converter gave nothing, the pixels would get a variance of nearly nothing, and all the weight.
    least = amplifier.read_noise / settings["max_noise_ratio"]
    if settings["measure_read_noise"] and noise < least:
        return f"has a read noise of {noise:.2g} electron, at least {least:.2g} is needed"
    return ""


@kernel
def _fill(counts, rows, levels, all_bits, planes):
    """Electrons and mask bits of an amplifier's pixels; `levels`: gain, and counts that are suspect and saturated."""
    gain, suspect, saturation = levels
    image, mask = planes
    for y in range(counts.shape[0]):
        for x in range(counts.shape[1]):
            count = counts[y, x]
            electrons = (count - rows[y]) * gain
            bits = all_bits
            if count >= saturation:
                bits |= mask_planes.SAT
            elif count >= suspect:
                bits |= mask_planes.SUSPECT
            if not np.isfinite(electrons):
                bits |= mask_planes.NO_DATA
            image[y, x], mask[y, x] = electrons, bits


def _detector_slices(amplifier):
    """Index of the amplifier's part of the detector, backwards along an axis that the read-out flips."""
    x0, x1, y0, y1 = amplifier.detector_section
    return _flippable(y0, y1, amplifier.flip_y), _flippable(x0, x1, amplifier.flip_x)


def _flippable(start, stop, is_flipped):
    """Return slice(start, stop), or the same elements in reverse order."""
    if not is_flipped:
        return slice(start, stop)
    return slice(stop - 1, start - 1 if start > 0 else None, -1)


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    whole = np.ones((4, 4), dtype=np.float32)
    rows, levels = np.zeros(4, dtype=np.float32), np.ones(3, dtype=np.float32)
    # Whole rows of an amplifier without overscan beside its data, and of the only one on a detector, are contiguous.
    narrow = whole[:, :2]
    for counts in (narrow.copy(), narrow):
        for target in (np.s_[:, :], np.s_[:, :2]):
            shape = (4, 2 if target == np.s_[:, :] else 4)
            image, mask = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.uint32)
            _fill(counts, rows, levels, np.uint32(0), (image[target], mask[target]))
