"""The sky of a visit: cells of all its calexps -> what is to be subtracted from each."""

import logging

import numpy as np

from skyloom.algorithms.robust import mad_sigma
from skyloom.core.errors import DataError
from skyloom.core.images import Background
from skyloom.core.visit_sky import DetectorSky, VisitSky
from skyloom.visit_sky.cells import measure_cells
from skyloom.visit_sky.factors import fit_factors
from skyloom.visit_sky.focal_plane import focal_plane_of
from skyloom.visit_sky.surface import fit_sky

__all__ = ["fit_visit_sky", "measure_cells"]

log = logging.getLogger(__name__)

# The first pass knows no objects yet.
N_PASS = 2
# A factor this many errors of its prior from 1 is no error of a zero point: a person should look.
REMARKABLE_SIGMA = 5.0


class NoVisitSkyError(DataError):
    """No calexp of a visit shows the sky.

    Parameters
    ----------
    visit : int
        The visit.
    detectors : list of int
        Detectors that were looked at.
    grow_sigma : float
        Growth of the detections [PSF sigma].
    """

    def __init__(self, visit, detectors, grow_sigma):
        super().__init__(
            f"visit {visit}: no cell of detectors {detectors} has sky between the masks, needs one; are the fields "
            f"that crowded, or is visit_sky.grow_sigma ({grow_sigma:g}) too large?"
        )
        self.visit, self.detectors, self.grow_sigma = visit, detectors, grow_sigma


class MixedVisitsError(DataError):
    """Calexps of several visits were given for the sky of one.

    Parameters
    ----------
    found : list of tuple of int
        (visit, detector) of each calexp.
    """

    def __init__(self, found):
        listed = ", ".join(f"{visit}/{detector}" for visit, detector in found)
        super().__init__(
            f"calexps of visit/detector {listed}, needs each detector once and all of one visit: was a file of "
            "another visit put in the place of a calexp?"
        )
        self.found = found


def fit_visit_sky(detectors, settings):
    """Fit one sky to all detectors of a visit.

    Parameters
    ----------
    detectors : list of DetectorCells
        From `measure_cells`, each detector once, at least one.
    settings : dict
        Section ``visit_sky``.

    Returns
    -------
    VisitSky
        What is to be subtracted from each calexp in place of its own background.

    Raises
    ------
    MixedVisitsError
        If they are not of one visit.
    NoVisitSkyError
        If none has a cell of sky.

    Notes
    -----
    Wings of sources beyond the masks lift the levels. The calexps' own backgrounds were freed of that light: what
    the cells of sky still show above them, in the median of the visit, is taken off.
    """
    _check(detectors, settings)
    plane = focal_plane_of(detectors)
    objects = np.zeros(plane.level.shape)
    for _ in range(N_PASS):
        factors, errors = fit_factors(plane, objects)
        sky, is_sky = fit_sky(plane, factors, settings["shortest_wave"])
        excess = plane.level / factors[plane.owner] - sky.evaluate(plane.x, plane.y)
        objects = np.where(is_sky, 0.0, np.maximum(excess, 0.0))
    lift = float(np.median(plane.left[is_sky]))
    residuals = plane.level - factors[plane.owner] * sky.evaluate(plane.x, plane.y)
    log.info("%d of %d cells are sky, lifted by %.3g nJy", is_sky.sum(), (plane.weight > 0).sum(), lift)
    found = {}
    for number, cells in enumerate(detectors):
        level = factors[number] * sky.evaluate(*plane.mesh_places[number]) - lift
        own = plane.owner == number
        found[cells.detector] = DetectorSky(
            change=_change(cells.own, level),
            factor=float(factors[number]),
            factor_error=float(errors[number]),
            n_cell=int(np.count_nonzero(plane.weight[own])),
            n_sky=int(np.count_nonzero(is_sky[own])),
            rms=mad_sigma(residuals[own & is_sky]),
        )
        _report(cells, found[cells.detector])
    return VisitSky(detectors[0].visit, found)


def _check(detectors, settings):
    """Refuse cells that are not those of one visit, or that show no sky at all."""
    found = [(cells.visit, cells.detector) for cells in detectors]
    if len({visit for visit, _ in found}) != 1 or len(set(found)) != len(found):
        raise MixedVisitsError(found)
    if not any(cells.weight.any() for cells in detectors):
        raise NoVisitSkyError(found[0][0], [detector for _, detector in found], settings["grow_sigma"])


def _change(own, level):
    """Level minus a calexp's own background, on its mesh."""
    mesh = level.reshape(own.mesh.shape) - own.mesh
    return Background(mesh.astype(np.float32), own.bin_size, own.shape)


def _report(cells, sky):
    """Say what was found of a detector."""
    off = (sky.factor - 1) / cells.factor_prior
    level = logging.WARNING if abs(off) > REMARKABLE_SIGMA else logging.INFO
    log.log(
        level,
        "detector %d: factor %.5f +- %.5f, %.1f times what its zero point and flat allow; %d of %d cells, rms %.3g nJy",
        *(cells.detector, sky.factor, sky.factor_error, off, sky.n_sky, sky.n_cell, sky.rms),
    )
