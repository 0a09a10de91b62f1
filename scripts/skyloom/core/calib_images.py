"""Combined calibration images in memory: bias, dark, flat, defects and illumination of one detector."""

from dataclasses import dataclass, field

import numpy as np

from skyloom.core.errors import ImageShapeError

KINDS = ("bias", "dark", "flat", "defects", "illumination")
KINDS_OF_A_BAND = ("flat", "illumination")
"""Kinds that there is one of for each band."""


@dataclass(frozen=True, slots=True)
class CalibImage:
    """One calibration of one detector, assembled and trimmed; arrays are indexed ``[y, x]``, in any byte order.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    image : ndarray, shape (ny, nx), float32
        bias: [electron] above the overscan; dark: [electron/s]; flat: response relative to the detector's
        median; illumination: light of the sky after the flat, relative to its median; defects: by how much the
        pixel stands out, in the unit of what it was found from.
    variance : ndarray, shape (ny, nx), float32
        Variance of `image`.
    is_bad : ndarray, shape (ny, nx), bool
        True where the pixel is not to be used for science.
    info : dict of str to (int, float or str)
        What it was made from: detector, band, n_frame, exposure_time and the like.
    """

    kind: str
    image: np.ndarray
    variance: np.ndarray
    is_bad: np.ndarray
    info: dict = field(default_factory=dict)

    def __post_init__(self):
        """Refuse planes of different shapes."""
        shapes = {name: getattr(self, name).shape for name in ("image", "variance", "is_bad")}
        if len(set(shapes.values())) != 1:
            raise ImageShapeError(shapes)


@dataclass(frozen=True, slots=True)
class Calibs:
    """The calibrations that apply to one exposure; None switches a step off.

    Attributes
    ----------
    bias, dark, flat, defects, illumination : CalibImage or None
        Of the exposure's detector (and band).
    """

    bias: CalibImage | None = None
    dark: CalibImage | None = None
    flat: CalibImage | None = None
    defects: CalibImage | None = None
    illumination: CalibImage | None = None
