"""From collected electrons to the planes of a raw file: full well, amplifiers, flips, bias, noise, digits."""

import numpy as np

from skyloom.simulate.electronics import amplifier_bounds

HIGHEST_ADU = 65535


def read_out(electrons, detector, truth, settings, rng):
    """Read a detector out through its amplifiers.

    Parameters
    ----------
    electrons : ndarray, shape (ny, nx), float
        Collected charge, on the assembled detector [electron].
    detector : Detector
        Layout: sections and flips.
    truth : DetectorTruth
        True gains, read noise and bias.
    settings : dict
        Section `simulate.detector`: `full_well` [electron], `bias_drift` [ADU].
    rng : numpy.random.Generator
        Source of randomness: drift of the bias level and read noise.

    Returns
    -------
    dict of (int or str) to ndarray, shape (ny, nx), uint16
        Raw planes by extension, as the electronics deliver them [ADU].

    Notes
    -----
    A pixel holds the full well at most and the surplus is lost: no bleeding. The serial overscan shows the
    level and the row pattern, so that subtracting it leaves the column pattern for the bias frame.
    """
    collected = np.minimum(electrons, settings["full_well"])
    planes = {name: np.zeros(shape, np.uint16) for name, shape in plane_shapes(detector).items()}
    for amplifier in detector.amplifiers:
        x0, x1, y0, y1 = amplifier_bounds(amplifier)
        name = amplifier.name
        level = truth.bias_level[name] + settings["bias_drift"] * rng.standard_normal()
        noise = truth.read_noise[name] / truth.gain[name]
        signal = np.float32(noise) * rng.standard_normal((y1 - y0, x1 - x0), dtype=np.float32)
        signal += (level + truth.bias_rows[name]).astype(np.float32)[:, None]
        pattern = truth.bias_columns[name].astype(np.float32)
        if amplifier.overscan_section is not None:
            pattern[amplifier.overscan_section[0] - x0 : amplifier.overscan_section[1] - x0] = 0
        signal += pattern
        data_x0, data_x1, data_y0, data_y1 = amplifier.data_section
        signal[data_y0 - y0 : data_y1 - y0, data_x0 - x0 : data_x1 - x0] += (
            charge_in_read_out_order(collected, amplifier) / truth.gain[name]
        )
        planes[amplifier.extension][y0:y1, x0:x1] = np.clip(np.rint(signal), 0, HIGHEST_ADU)
    return planes


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
    """Shape (ny, nx) of each raw plane of a detector, by extension."""
    shapes = {}
    for amplifier in detector.amplifiers:
        _, x1, _, y1 = amplifier_bounds(amplifier)
        ny, nx = shapes.get(amplifier.extension, (0, 0))
        shapes[amplifier.extension] = (max(ny, y1), max(nx, x1))
    return shapes
