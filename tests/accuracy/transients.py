"""DIA sources of a difference against the transients that truly shone on it."""

from dataclasses import dataclass, fields

import numpy as np
from scipy.spatial import cKDTree

from skyloom.core.tables import column
from skyloom.io.exposures import read_difference
from skyloom.io.tables import read_table

EDGE_PIXEL = 10.0
MATCH_RADIUS_PIXEL = 3.0
# A mover trails by two pixels, and a faint source's position is uncertain.
TRUE_RADIUS_PIXEL = 6.0
FOUND_SNR = 10.0


@dataclass(frozen=True, slots=True)
class TransientComparison:
    """DIA sources of one or more differences against truth.

    Attributes
    ----------
    found : ndarray of bool
        For each transient of S/N > 10 that lies where the difference has data, whether there is a DIA source.
    x, y, snr : ndarray
        Where these are [pixel], and their true signal to noise.
    flux_ratio, pull : ndarray
        Of the found ones: measured over true flux, and its difference over the stated error.
    position_pull : ndarray
        Their offsets along x and y over the stated errors.
    n_false : ndarray of int
        DIA sources of each difference without a true transient or mover.
    false_x, false_y : ndarray
        Where those are [pixel].
    n_pixel : ndarray of int
        Pixels of each difference with data.
    """

    found: np.ndarray
    x: np.ndarray
    y: np.ndarray
    snr: np.ndarray
    flux_ratio: np.ndarray
    pull: np.ndarray
    position_pull: np.ndarray
    n_false: np.ndarray
    false_x: np.ndarray
    false_y: np.ndarray
    n_pixel: np.ndarray

    @property
    def false_per_reference(self):
        """False DIA sources per 2048 x 2048 pixels."""
        return self.n_false.sum() * 2048**2 / self.n_pixel.sum()


def compare_transients(survey, visit, detector, paths=None):
    """Compare one difference with truth.

    Parameters
    ----------
    survey : PartSurvey
        The survey.
    visit, detector : int
        The difference.
    paths : tuple of Path, optional
        Difference and DIA sources when they are not the survey's own.

    Returns
    -------
    TransientComparison
        The signal to noise is that of photons, sky, read noise and template of the truth.
    """
    data_id = {"visit": visit, "detector": detector}
    diff, table = paths or (survey.product(name, **data_id) for name in ("diff", "dia_source"))
    usable = read_difference(diff).exposure.pixels.variance > 0
    sources, rows = read_table(table), survey.truth(visit, detector)
    snr = true_signal_to_noise(survey, visit, rows)
    row, col = (
        np.clip(np.rint(rows[n]).astype(int), 0, size - 1) for n, size in zip("yx", usable.shape, strict=True)
    )
    wanted = (
        (rows["kind"] == "transient") & (snr > FOUND_SNR) & _inside(rows, usable.shape) & usable[row, col]
    )
    measured = np.column_stack([column(sources, "x"), column(sources, "y")]).astype(float)
    true = np.column_stack([rows["x"], rows["y"]])
    nearest, found = _nearest(true[wanted], measured, MATCH_RADIUS_PIXEL)
    real = np.isin(rows["kind"], ("transient", "mover"))
    _, is_true = _nearest(measured, true[real], TRUE_RADIUS_PIXEL)
    match, flux = nearest[found], rows["flux"][wanted][found]
    psf_flux, error = (column(sources, name)[match].astype(float) for name in ("psfFlux", "psfFluxErr"))
    offset = measured[match] - true[wanted][found]
    stated = np.column_stack([column(sources, name)[match] for name in ("xErr", "yErr")])
    return TransientComparison(
        found=found,
        x=true[wanted, 0],
        y=true[wanted, 1],
        snr=snr[wanted],
        flux_ratio=psf_flux / flux,
        pull=(psf_flux - flux) / error,
        position_pull=(offset / stated).ravel(),
        n_false=np.array([np.sum(~is_true)]),
        false_x=measured[~is_true, 0],
        false_y=measured[~is_true, 1],
        n_pixel=np.array([usable.sum()]),
    )


def pooled(parts):
    """One comparison of several (TransientComparison)."""
    names = [field.name for field in fields(TransientComparison)]
    return TransientComparison(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in names})


def true_signal_to_noise(survey, visit, rows):
    """S/N on the difference of each true object as a point source; 0 where no template exposure looked.

    Parameters
    ----------
    survey : PartSurvey
        The survey.
    visit : int
        Visit.
    rows : dict of str to ndarray
        Its truth on one detector.

    Returns
    -------
    ndarray, shape (n,)
        The template's noise is that at the nearest static object.
    """
    template = survey.static_power(survey.visits_of(survey.visits[visit]["band"], "template"))
    static = np.flatnonzero(np.isin(rows["kind"], ("star", "galaxy")))
    power = np.array([template.get(key, (np.inf,))[0] for key in rows["id"][static].tolist()])
    tree = cKDTree(np.column_stack([rows["x"][static], rows["y"][static]]))
    nearest = tree.query(np.column_stack([rows["x"], rows["y"]]))[1]
    photons = rows["flux"] / (rows["electrons_per_njy"] * rows["response"])
    area = survey.area_of_fwhm(rows["psf_fwhm"])
    return rows["flux"] / np.sqrt(area * (rows["variance"] + power[nearest]) + photons)


def _inside(rows, shape):
    """Whether objects are away from the detector's edge."""
    x, y = rows["x"], rows["y"]
    return (np.minimum(x, shape[1] - 1 - x) > EDGE_PIXEL) & (np.minimum(y, shape[0] - 1 - y) > EDGE_PIXEL)


def _nearest(points, others, radius):
    """Index of the nearest other point, and whether it lies within the radius."""
    if len(points) == 0 or len(others) == 0:
        return np.zeros(len(points), dtype=int), np.zeros(len(points), dtype=bool)
    distance, index = cKDTree(others).query(points)
    return index, distance < radius
