"""What a raw frame, flats and biases say against a camera file: overscan, gain, read noise, and flips by stars.

Levels are in ADU above the overscan. `odd` findings contradict the file; hints are worth a look.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.robust import clipped_statistics

LIT = 0.5
"""A column holds light when it lies this far from the darkest columns towards the data's level."""
DARK = 0.25
SHARP_COLUMNS = 3
"""Columns within which light begins behind overscan; what the charge transfer smears takes fewer."""
MIN_DARK_COLUMNS = 2
"""A single dark column at the edge of the data is a defect, two are overscan."""
MIN_CONTRAST_SIGMA = 2.0
"""Least light for the overscan to stand out [noise of a data pixel, times ten errors of a column's median]."""
GAIN_TOLERANCE = 0.10
GAIN_HINT_TOLERANCE = 0.35
"""From the sky alone: the pixels' response and faint stars add noise, which makes the gain look smaller."""
NOISE_TOLERANCE = 0.33
NOISE_CLIP = 4.0
DARKER_SIGMA = 5.0
"""Read noises by which data may lie below the overscan: bias structure does not reach so far."""
ODD, HINT = "odd", "hint"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should look at.

    Attributes
    ----------
    grade : str
        ``odd`` when it contradicts the camera file, ``hint`` when it may.
    detector : int
        The detector.
    amplifier : str
        The amplifier; empty for the whole detector.
    text : str
        What was found, what the file says, what to change.
    """

    grade: str
    detector: int
    amplifier: str
    text: str


@dataclass(frozen=True, slots=True)
class AmplifierNumbers:
    """What was measured for one amplifier; NaN where it could not be.

    Attributes
    ----------
    overscan : float
        Level [ADU].
    noise : float
        Read noise [ADU], from biases where there are, else from the overscan.
    level : float
        Median of the raw frame's data above the overscan [ADU].
    sky_gain, flat_gain : float
        Gain from the noise of the raw frame, and of two flats [electron/ADU].
    """

    overscan: float = np.nan
    noise: float = np.nan
    level: float = np.nan
    sky_gain: float = np.nan
    flat_gain: float = np.nan


def section_pixels(planes, amplifier, section):
    """Pixels of a section of an amplifier's plane.

    Parameters
    ----------
    planes : dict of (str or int) to ndarray
        Raw planes [ADU] by extension.
    amplifier : Amplifier
        The amplifier.
    section : tuple of int
        (x0, x1, y0, y1).

    Returns
    -------
    ndarray, shape (y1 - y0, x1 - x0)
        A view [ADU].
    """
    x0, x1, y0, y1 = section
    return planes[amplifier.extension][y0:y1, x0:x1]


def pixel_noise(pixels):
    """Noise of single pixels: clipped scatter of differences of neighbouring columns, over sqrt(2).

    Parameters
    ----------
    pixels : ndarray, shape (ny, nx), float
        Smooth but for the noise; NaN counts as no pixel.

    Returns
    -------
    float
        Standard deviation in the unit of `pixels`.
    """
    return float(clipped_statistics(np.diff(pixels, axis=1), n_sigma=NOISE_CLIP).sigma / np.sqrt(2))


def dead_problems(frames, amplifier):
    """Find sections of an amplifier that hold no number, and frames of light in which all pixels are alike.

    Parameters
    ----------
    frames : dict of str to list of dict
        As for `measure_amplifier`.
    amplifier : Amplifier
        With its sections.

    Returns
    -------
    list of str
        Empty when there is something to measure in each.
    """
    problems = []
    for kind, planes in ((kind, planes) for kind, several in frames.items() for planes in several):
        for key in ("data_section", "overscan_section"):
            section = getattr(amplifier, key)
            if section is None:
                continue
            pixels = section_pixels(planes, amplifier, section)
            finite = pixels[np.isfinite(pixels)]
            if finite.size == 0:
                problems.append(f"{key} {list(section)} of a {kind} frame holds no number")
            elif key == "data_section" and kind != "bias" and np.ptp(finite) == 0:
                problems.append(
                    f"all pixels of a {kind} frame are {finite[0]:g} ADU: is it dead, or saturated?"
                )
    return list(dict.fromkeys(problems))


def section_problems(planes, amplifier):
    """Find overscan that holds light, and data that hold none.

    Parameters
    ----------
    planes : dict of (int or str) to ndarray
        Of a raw frame with light (sky or flat) [ADU].
    amplifier : Amplifier
        With its declared sections.

    Returns
    -------
    list of str
        Empty when the declared sections fit, or there is too little light to tell.

    Notes
    -----
    Medians of all columns are compared with the darkest ones. Where nothing is dark the overscan's noise tells:
    if it is that of the data and well above the read noise, the section holds light. Rows likewise.
    """
    problems = _axis_problems(planes, amplifier, 0, ("overscan_section", "columns"))
    return problems + _axis_problems(planes, amplifier, 1, ("parallel_overscan_section", "rows"))


def _axis_problems(planes, amplifier, axis, names):
    """Problems of the sections along columns (axis 0) or rows (axis 1)."""
    key, what = names
    plane = planes[amplifier.extension]
    x0, x1, y0, y1 = amplifier.data_section
    strip = plane[y0:y1] if axis == 0 else plane[:, x0:x1].T
    data = (x0, x1) if axis == 0 else (y0, y1)
    section = getattr(amplifier, key)
    overscan = None if section is None else (section[:2] if axis == 0 else section[2:])
    levels = np.nanmedian(strip, axis=0)
    noise = pixel_noise(strip[:, slice(*data)])
    bright = np.median(levels[slice(*data)])
    declared_dark = [
        np.nanmedian(section_pixels(planes, amplifier, declared))
        for declared in (amplifier.overscan_section, amplifier.parallel_overscan_section)
        if declared is not None
    ]
    dark = min([np.percentile(levels, 1), *declared_dark])
    contrast = bright - dark
    if contrast < MIN_CONTRAST_SIGMA * noise * 10 / np.sqrt(strip.shape[0]):
        return _noise_problems(plane, amplifier, section, (key, noise))
    share = (levels - dark) / contrast
    problems = []
    if overscan is not None:
        lit = np.flatnonzero(share[slice(*overscan)] > LIT) + overscan[0]
        if lit.size:
            problems.append(
                f"{key} {list(section)} holds light in {_runs(lit)}, {contrast:.0f} ADU above the darkest {what}"
            )
    inner = share[slice(*data)]
    for edge, run in (("first", _dark_run(inner)), ("last", _dark_run(inner[::-1]))):
        if run >= MIN_DARK_COLUMNS:
            low = data[0] if edge == "first" else data[1] - run
            problems.append(
                f"data_section holds no light in its {edge} {what} {low} to {low + run - 1}: they look like overscan"
            )
    return problems


def _noise_problems(plane, amplifier, section, name_and_noise):
    """Overscan that is as noisy as lit data, where no column is dark."""
    key, noise = name_and_noise
    if section is None or key != "overscan_section":
        return []
    x0, x1, y0, y1 = section
    own = pixel_noise(plane[y0:y1, x0:x1])
    if own * amplifier.gain > 2 * amplifier.read_noise > 0 and own > 0.8 * noise:
        return [
            f"{key} {list(section)} is as noisy as the data ({own * amplifier.gain:.1f} electron, read noise "
            f"{amplifier.read_noise:.1f}): it seems to hold light"
        ]
    return []


def _dark_run(share):
    """How many columns from the start on are dark and end in light at once (int); 0 for a slope, as of vignetting."""
    is_lit = share >= DARK
    run = int(np.argmax(is_lit))
    return run if is_lit.any() and share[run : run + SHARP_COLUMNS].max() > LIT else 0


def _runs(numbers):
    """Text of whole numbers, neighbours joined: 8 to 47."""
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(f"{p[0]} to {p[-1]}" if p.size > 1 else f"{p[0]}" for p in parts[:3])


def light_of(planes, amplifier, level):
    """Data of an amplifier above its overscan, in read-out order.

    Parameters
    ----------
    planes : dict of (int or str) to ndarray
        Of a frame [ADU].
    amplifier : Amplifier
        With its sections.
    level : float
        Level of amplifiers without overscan [ADU].

    Returns
    -------
    ndarray, shape of the data section, float64
        [ADU].
    """
    data = section_pixels(planes, amplifier, amplifier.data_section).astype(np.float64)
    if amplifier.overscan_section is None:
        return data - level
    x0, x1, _, _ = amplifier.overscan_section
    _, _, y0, y1 = amplifier.data_section
    skip = 3 if x1 - x0 > 8 else 0
    strip = planes[amplifier.extension][y0:y1, x0 + skip : x1 - skip]
    with warnings.catch_warnings():
        # A row without any number stays NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        return data - np.nanmedian(strip, axis=1)[:, None]


def pair_noise(first, second):
    """Noise of one frame from the difference of two that saw the same (biases).

    Parameters
    ----------
    first, second : ndarray, shape (ny, nx), float
        The frames [ADU].

    Returns
    -------
    float
        Standard deviation of a pixel of one of them [ADU].
    """
    return pixel_noise(first - second) / np.sqrt(2)


def pair_gain(first, second, noise):
    """Gain from two flats.

    Parameters
    ----------
    first, second : ndarray, shape (ny, nx)
        Light of one amplifier [ADU].
    noise : float
        Read noise [ADU].

    Returns
    -------
    float
        [electron/ADU]; NaN without light.

    Notes
    -----
    Photon transfer (Janesick 2001, eq. 2.19): the variance of light is its mean over the gain. The second flat is
    scaled to the first, so that its lamp may differ, and the pixels' response cancels in the difference.
    """
    levels = np.nanmedian(first), np.nanmedian(second)
    if min(levels) <= 0:
        return float("nan")
    ratio = levels[0] / levels[1]
    variance = pixel_noise(first - ratio * second) ** 2 - (1 + ratio**2) * noise**2
    return float((levels[0] + ratio**2 * levels[1]) / variance) if variance > 0 else float("nan")


def single_gain(light, noise):
    """Gain from the noise and level of one frame; stars are clipped.

    Parameters
    ----------
    light : ndarray, shape (ny, nx), float
        Light without its pedestal [ADU].
    noise : float
        Read noise [ADU].

    Returns
    -------
    float
        Gain [electron/ADU]; NaN without light.
    """
    variance = pixel_noise(light) ** 2 - noise**2
    level = np.nanmedian(light)
    return float(level / variance) if variance > 0 and level > 2 * noise else float("nan")


def pedestal_of(amplifier, frames, level):
    """Level of an amplifier without light where it has no overscan.

    Parameters
    ----------
    amplifier : Amplifier
        With its sections.
    frames : dict of str to list of dict
        As for `measure_amplifier`.
    level : float or None
        What the command line says.

    Returns
    -------
    float or None
        Median of a bias, or else `level` [ADU]; 0 with an overscan, None if unknown.
    """
    if amplifier.overscan_section is not None:
        return 0.0
    if frames["bias"]:
        return float(np.nanmedian(section_pixels(frames["bias"][0], amplifier, amplifier.data_section)))
    return level


def measure_amplifier(amplifier, frames, level):
    """Measure what one amplifier's frames tell.

    Parameters
    ----------
    amplifier : Amplifier
        With its sections.
    frames : dict of str to list of dict
        Planes of the raw frame, two flats, two biases, by ``raw``, ``flat``, ``bias``; lists may be empty.
    level : float
        Level of amplifiers without overscan [ADU].

    Returns
    -------
    AmplifierNumbers
        What could be measured.
    """
    overscan, noise = np.nan, np.nan
    if amplifier.overscan_section is not None:
        strip = section_pixels(frames["raw"][0], amplifier, amplifier.overscan_section).astype(np.float64)
        overscan, noise = float(np.nanmedian(strip)), pixel_noise(strip)
    if len(frames["bias"]) == 2:
        noise = pair_noise(*(light_of(planes, amplifier, level) for planes in frames["bias"]))
    known = noise if np.isfinite(noise) else amplifier.read_noise / amplifier.gain
    light = light_of(frames["raw"][0], amplifier, level)
    flats = [light_of(planes, amplifier, level) for planes in frames["flat"]]
    return AmplifierNumbers(
        overscan=overscan,
        noise=noise,
        level=float(np.nanmedian(light)),
        sky_gain=single_gain(light, known),
        flat_gain=pair_gain(*flats, known) if len(flats) == 2 else np.nan,
    )


def number_findings(detector, amplifier, numbers, *, has_level):
    """Compare an amplifier's numbers with the camera file.

    Parameters
    ----------
    detector : int
        The detector.
    amplifier : Amplifier
        What the file says.
    numbers : AmplifierNumbers
        What was measured.
    has_level : bool
        Whether the level without light is known; gains mean nothing otherwise.

    Returns
    -------
    list of Finding
        A gain from flats that is off by more than 10 %, read noise by more than a third, data below the overscan;
        a gain from the sky's noise as a hint.
    """
    findings = []

    def add(grade, text):
        findings.append(Finding(grade, detector, amplifier.name, text))

    if has_level and np.isfinite(numbers.flat_gain):
        if abs(amplifier.gain / numbers.flat_gain - 1) > GAIN_TOLERANCE:
            text = f"gain is {amplifier.gain:.3f} in the file, {numbers.flat_gain:.3f} electron/ADU from the flats"
            add(ODD, f"{text} ({amplifier.gain / numbers.flat_gain - 1:+.0%})")
    elif has_level and abs(amplifier.gain / numbers.sky_gain - 1) > GAIN_HINT_TOLERANCE:
        text = f"gain is {amplifier.gain:.3f} in the file, about {numbers.sky_gain:.2f} from the sky's noise"
        add(HINT, f"{text}: take two flats to know it")
    if amplifier.overscan_section is not None and numbers.level < -DARKER_SIGMA * numbers.noise:
        add(ODD, f"the data lie {-numbers.level:.0f} ADU below the overscan: are these the right sections?")
    measured = numbers.noise * amplifier.gain
    if np.isfinite(measured) and abs(measured / max(amplifier.read_noise, 1e-3) - 1) > NOISE_TOLERANCE:
        text = f"read noise is {amplifier.read_noise:.1f} electron in the file, {measured:.1f} measured"
        add(ODD if amplifier.read_noise > 0 else HINT, text)
    return findings
