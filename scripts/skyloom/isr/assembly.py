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
    detector = raw.detector
    ranges = [
        _range_of_counts(raw.planes[amplifier.extension], amplifier) for amplifier in detector.amplifiers
    ]
    _check_content(detector, ranges)
    image = np.empty(detector.shape, dtype=np.float32)
    mask = np.empty(detector.shape, dtype=np.uint32)
    read_variance = np.empty(detector.shape, dtype=np.float32)
    reasons, gains, noises = {}, [], []
    for amplifier, counts in zip(detector.amplifiers, ranges, strict=True):
        plane = raw.planes[amplifier.extension]
        overscan = measure_overscan(plane, amplifier, settings["overscan"])
        noise = _read_noise(amplifier, overscan, settings)
        reason = _fault(counts, overscan, amplifier, settings)
        if reason:
            reasons[amplifier.name] = reason
        else:
            gains.append(amplifier.gain)
            noises.append(noise)
        levels = (amplifier.gain, settings["suspect_fraction"] * amplifier.saturation, amplifier.saturation)
        all_bits = np.uint32(mask_planes.BAD if reason else 0)
        sections = (amplifier.data_section, amplifier.detector_section, (amplifier.flip_x, amplifier.flip_y))
        _fill(plane, overscan.rows, (np.array(levels, dtype=np.float32), all_bits), sections, (image, mask))
        x0, x1, y0, y1 = amplifier.detector_section
        read_variance[y0:y1, x0:x1] = noise**2 + (overscan.error * amplifier.gain) ** 2
    if len(reasons) == len(detector.amplifiers):
        raise AllAmplifiersBadError(reasons)
    for name, reason in reasons.items():
        log.warning("amplifier %s masked BAD: %s", name, reason)
    return AssembledFrame(image, mask, read_variance, float(np.mean(gains)), float(np.mean(noises)))


def _range_of_counts(plane, amplifier):
    """Return how many pixels of an amplifier are finite, and the lowest and the highest of them (int, float, float)."""
    x0, x1, y0, y1 = amplifier.data_section
    n_finite, lowest, highest = _measure_range(plane, x0, x1, y0, y1)
    return int(n_finite), float(lowest), float(highest)


@kernel
def _measure_range(plane, x0, x1, y0, y1):
    """Number of finite pixels of a section, and the lowest and the highest of them."""
    n_finite, lowest, highest = 0, np.float32(np.inf), np.float32(-np.inf)
    for y in range(y0, y1):
        for count in plane[y, x0:x1]:
            is_finite = np.isfinite(count)
            n_finite += is_finite
            lowest = min(lowest, count if is_finite else lowest)
            highest = max(highest, count if is_finite else highest)
    return n_finite, lowest, highest


def _check_content(detector, ranges):
    """Raise when the frame as a whole holds no data."""
    if not any(n_finite for n_finite, _, _ in ranges):
        sections = [amplifier.data_section for amplifier in detector.amplifiers]
        raise AllPixelsBadError(sum((x1 - x0) * (y1 - y0) for x0, x1, y0, y1 in sections))
    lowest, highest = min(low for _, low, _ in ranges), max(high for _, _, high in ranges)
    # A frame on the converter's upper end everywhere is no empty one: its pixels are masked as saturated.
    if lowest == highest < max(amplifier.saturation for amplifier in detector.amplifiers):
        raise ConstantImageError(lowest)


def _read_noise(amplifier, overscan, settings):
    """Read noise [electron]: measured where there is an overscan and the settings ask for it."""
    if settings["measure_read_noise"] and np.isfinite(overscan.noise):
        return overscan.noise * amplifier.gain
    return amplifier.read_noise


def _fault(counts, overscan, amplifier, settings):
    """Say why an amplifier must not be used, or return an empty text."""
    n_finite, lowest, highest = counts
    if n_finite == 0:
        return "holds no number"
    if lowest == highest < amplifier.saturation:
        return f"reads {lowest:g} ADU everywhere"
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
def _fill(plane, rows, levels, sections, planes):
    """Electrons and mask bits of an amplifier's pixels, backwards along an axis that the read-out flips.

    `levels`: gain, and counts that are suspect and saturated, and bits of every pixel; `sections`: of the data in the
    raw plane and on the detector, and whether x and y are flipped.
    """
    (x0, x1, y0, _), (left, right, bottom, top), (flip_x, flip_y) = sections
    image, mask = planes
    for row in range(top - bottom):
        y = top - 1 - row if flip_y else bottom + row
        counts, target = plane[y0 + row, x0:x1], (image[y, left:right], mask[y, left:right])
        _fill_row(counts, rows[row], levels, flip_x, target)


@kernel
def _fill_row(counts, offset, levels, is_flipped, target):
    """Electrons and mask bits of a row of pixels; see `_fill`."""
    (gain, suspect, saturation), all_bits = levels[0], levels[1]
    image, mask = target
    last = counts.size - 1
    for x in range(counts.size):
        count = counts[last - x] if is_flipped else counts[x]
        electrons = (count - offset) * gain
        bits = all_bits | (mask_planes.SAT if count >= saturation else np.uint32(0))
        bits |= mask_planes.SUSPECT if suspect <= count < saturation else np.uint32(0)
        bits |= np.uint32(0) if np.isfinite(electrons) else mask_planes.NO_DATA
        image[x], mask[x] = electrons, bits


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    plane, section = np.ones((4, 4), dtype=np.float32), (0, 4, 0, 4)
    _measure_range(plane, *section)
    levels, targets = (
        (np.ones(3, dtype=np.float32), np.uint32(0)),
        (plane.copy(), np.zeros((4, 4), dtype=np.uint32)),
    )
    _fill(plane, np.zeros(4, dtype=np.float32), levels, (section, section, (True, True)), targets)
