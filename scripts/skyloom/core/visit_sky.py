"""The sky of a visit, of all of its detectors at once, and what it changes of each calexp."""

from dataclasses import dataclass, replace

import numpy as np

from skyloom.core.errors import DataError
from skyloom.core.images import Background


class ForeignVisitSkyError(DataError):
    """The sky of a visit was not made from this calexp.

    Parameters
    ----------
    found : str
        What the calexp is.
    needed : str
        What the sky was made from.
    """

    def __init__(self, found, needed):
        super().__init__(
            f"calexp of {found}, needs to be one that the visit's sky was made from: {needed}; "
            "are both files of one run? Delete the sky of the visit and let Snakemake make it again"
        )
        self.found, self.needed = found, needed


@dataclass(frozen=True, slots=True)
class DetectorSky:
    """The sky of a visit on one detector.

    Attributes
    ----------
    change : Background
        Level to be subtracted from the calexp's image [nJy], on the mesh of its own background: the visit's sky minus
        that.
    factor : float
        What this detector sees of the visit's sky, beside 1.
    factor_error : float
        Its standard error.
    n_cell : int
        Cells with enough pixels of sky.
    n_sky : int
        Cells that no object lifts: those that made the sky.
    rms : float
        Robust standard deviation of these cells about the sky [nJy]; NaN where there are none.
    """

    change: Background
    factor: float
    factor_error: float
    n_cell: int
    n_sky: int
    rms: float


@dataclass(frozen=True, slots=True)
class VisitSky:
    """The sky of a visit.

    Attributes
    ----------
    visit : int
        The visit.
    detectors : dict of int to DetectorSky
        By detector.
    """

    visit: int
    detectors: dict


def subtract_visit_sky_in_place(exposure, sky):
    """Exposure with the sky of its visit subtracted instead of its own background.

    Parameters
    ----------
    exposure : Exposure
        A calexp as it was read; its image is changed.
    sky : VisitSky
        Of its visit.

    Returns
    -------
    Exposure
        With the new background.

    Raises
    ------
    ForeignVisitSkyError
        If the sky was made without this calexp.
    """
    info, own = exposure.info, exposure.background
    found = f"visit {info.visit}, detector {info.detector}"
    if info.visit != sky.visit or info.detector not in sky.detectors:
        raise ForeignVisitSkyError(found, f"visit {sky.visit}, detectors {sorted(sky.detectors)}")
    change = sky.detectors[info.detector].change
    meshes = [(b.mesh.shape, b.bin_size, b.shape) for b in (own, change)]
    if meshes[0] != meshes[1]:
        named = [f"a mesh of {mesh} cells of {side} pixels on {shape}" for mesh, side, shape in meshes]
        raise ForeignVisitSkyError(f"{found}, {named[0]}", named[1])
    image = exposure.pixels.image
    np.subtract(image, change.image(), out=image)
    return replace(exposure, background=replace(own, mesh=own.mesh + change.mesh))
