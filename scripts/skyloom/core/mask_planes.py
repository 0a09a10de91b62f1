"""Mask planes of every image, bit by bit; a bit is set where the statement holds for the pixel."""

import numpy as np

PLANE_MEANINGS = {
    "BAD": "defect of the detector (hot, dead or unstable pixel)",
    "SAT": "saturated, or grown from a saturated pixel",
    "INTRP": "value interpolated from its neighbours",
    "CR": "hit by a cosmic ray",
    "EDGE": "too near the image's edge for a complete measurement kernel",
    "DETECTED": "part of a positive detection",
    "DETECTED_NEGATIVE": "part of a negative detection",
    "SUSPECT": "near full well, where linearity is doubtful",
    "NO_DATA": "no input covers this pixel",
    "STREAK": "on a satellite or aeroplane trail",
    "HALO": "in the halo, spike or bleed of a bright star",
    "CLIPPED": "an input was clipped as an artifact in this coadd pixel",
    "REJECTED": "an input was left out here because its pixel was masked",
    "SENSOR_EDGE": "an input ends within reach of this coadd pixel",
    "INEXACT_PSF": "inputs differ from those of the cell's PSF",
    "SAT_TEMPLATE": "saturated in the template of a difference",
    "HIGH_VARIANCE": "template much noisier here than elsewhere",
    "INJECTED": "a synthetic source was added here",
}
"""What a pixel of each plane is; the order is that of the bits."""

PLANES = tuple(PLANE_MEANINGS)

_BIT = {name: np.uint32(1 << index) for index, name in enumerate(PLANES)}

BAD = _BIT["BAD"]
SAT = _BIT["SAT"]
INTRP = _BIT["INTRP"]
CR = _BIT["CR"]
EDGE = _BIT["EDGE"]
DETECTED = _BIT["DETECTED"]
DETECTED_NEGATIVE = _BIT["DETECTED_NEGATIVE"]
SUSPECT = _BIT["SUSPECT"]
NO_DATA = _BIT["NO_DATA"]
STREAK = _BIT["STREAK"]
HALO = _BIT["HALO"]
CLIPPED = _BIT["CLIPPED"]
REJECTED = _BIT["REJECTED"]
SENSOR_EDGE = _BIT["SENSOR_EDGE"]
INEXACT_PSF = _BIT["INEXACT_PSF"]
SAT_TEMPLATE = _BIT["SAT_TEMPLATE"]
HIGH_VARIANCE = _BIT["HIGH_VARIANCE"]
INJECTED = _BIT["INJECTED"]


def bits(*names):
    """Return the union of named planes as one mask value.

    Parameters
    ----------
    *names : str
        Names out of `PLANES`.

    Returns
    -------
    numpy.uint32
        The bits, or 0 without names.

    Raises
    ------
    KeyError
        For a name that is no plane.
    """
    value = np.uint32(0)
    for name in names:
        value |= _BIT[name]
    return value
