"""From collected electrons to the planes of a raw file: full well, amplifiers, flips, bias, noise, digits."""

import numpy as np

from skyloom.simulate.electronics import amplifier_bounds
from skyloom.simulate.silicon import overflow, repel

HIGHEST_ADU = 65535


def read_out(electrons, detector, truth, settings, rng):
    """Read a detector out through its amplifiers.

    Parameters
    ----------
    electrons : ndarray, shape (ny, nx), float
        Charge that the light made, on the assembled detector [electron].
    detector : Detector
        Layout: sections and flips.
    truth : DetectorTruth
        True gains, read noise, bias, crosstalk and dead amplifiers.
    settings : dict
        Section `simulate.detector`: `full_well` [electron], `bleeding`, `brighter_fatter` [1/electron],
        `nonlinearity`, `bias_drift` [ADU].
    rng : numpy.random.Generator
        Source of randomness: drift of the bias level and read noise.

    Returns
    -------
    dict of (int or str) to ndarray, shape (ny, nx), uint16
        Raw planes by extension, as the electronics deliver them [ADU].

    Notes
    -----
    The serial overscan shows the level and the row pattern, so that subtracting it leaves the column pattern for
    the bias frame. Crosstalk adds to an amplifier what the others read at the same moment.
    """
    collected = repel(electrons, settings["brighter_fatter"])
    collected = overflow(collected, settings["full_well"], settings["bleeding"])
    video = [_video_signal(collected, amplifier, truth, settings) for amplifier in detector.amplifiers]
    planes = {name: np.zeros(shape, np.uint16) for name, shape in plane_shapes(detector).items()}
    for number, amplifier in enumerate(detector.amplifiers):
        x0, x1, y0, y1 = amplifier_bounds(amplifier)
        signal = _bias_signal(amplifier, truth, settings["bias_drift"], rng)
        data_x0, data_x1, data_y0, data_y1 = amplifier.data_section
        data = signal[data_y0 - y0 : data_y1 - y0, data_x0 - x0 : data_x1 - x0]
        data += video[number]
        _add_crosstalk_in_place(data, video, truth.crosstalk[number])
        planes[amplifier.extension][y0:y1, x0:x1] = np.clip(np.rint(signal), 0, HIGHEST_ADU)
    return planes


def _video_signal(collected, amplifier, truth, settings):
    """What an amplifier makes of its charge, in the order of the read-out [ADU], float32."""
    charge = charge_in_read_out_order(collected, amplifier)
    if amplifier.name in truth.dead:
        return np.zeros(charge.shape, np.float32)
    deficit = np.float32(settings["nonlinearity"] / settings["full_well"])
    linear = 1 - deficit * charge if deficit else np.float32(1)
    return (charge * linear / np.float32(truth.gain[amplifier.name])).astype(np.float32)


def _bias_signal(amplifier, truth, drift, rng):
    """Bias and read noise over an amplifier's box of the raw plane [ADU], float32."""
    x0, x1, y0, y1 = amplifier_bounds(amplifier)
    name = amplifier.name
    level = truth.bias_level[name] + drift * rng.standard_normal()
    noise = truth.read_noise[name] / truth.gain[name]
    signal = np.float32(noise) * rng.standard_normal((y1 - y0, x1 - x0), dtype=np.float32)
    signal += (level + truth.bias_rows[name]).astype(np.float32)[:, None]
    pattern = truth.bias_columns[name].astype(np.float32)
    if amplifier.overscan_section is not None:
        pattern[amplifier.overscan_section[0] - x0 : amplifier.overscan_section[1] - x0] = 0
    return signal + pattern


def _add_crosstalk_in_place(data, video, coefficients):
    """Add the other amplifiers' signals to one's data; shorter ones end early."""
    for signal, coefficient in zip(video, coefficients, strict=True):
        if coefficient != 0:
            ny, nx = (min(n) for n in zip(data.shape, signal.shape, strict=True))
            data[:ny, :nx] += np.float32(coefficient) * signal[:ny, :nx]


def charge_in_read_out_order(electrons, amplifier):
    """An amplifier's part of the detector, turned so that it lies as in the raw file.

    Parameters
    ----------
    electrons : ndarray, shape (ny, nx)
        The assembled detector.
    amplifier : Amplifier
        `detector_section`, `flip_x` and `flip_y`.

    Returns
    -------
    ndarray
        A view of the shape of the amplifier's data section.
    """
    x0, x1, y0, y1 = amplifier.detector_section
    part = electrons[y0:y1, x0:x1]
    if amplifier.flip_x:
        part = part[:, ::-1]
    if amplifier.flip_y:
        part = part[::-1, :]
    return part


def plane_shapes(detector):
    """Shape of each raw plane of a detector.

    Parameters
    ----------
    detector : Detector
        Its amplifiers.

    Returns
    -------
    dict of (str or int) to tuple of int
        (ny, nx) by extension.
    """
    shapes = {}
    for amplifier in detector.amplifiers:
        _, x1, _, y1 = amplifier_bounds(amplifier)
        ny, nx = shapes.get(amplifier.extension, (0, 0))
        shapes[amplifier.extension] = (max(ny, y1), max(nx, x1))
    return shapes
