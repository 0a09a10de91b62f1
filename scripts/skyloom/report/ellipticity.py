"""Shapes on the sky: whiskers of the PSF over the focal plane, and correlation of its residuals (TE1, TE2)."""

from dataclasses import dataclass, replace

import numpy as np

from skyloom.core.tables import Column, TableSchema, column
from skyloom.core.wcs import tan_project
from skyloom.report.metrics import median_of

PSF_SHAPE = TableSchema(
    "psf_shape",
    (
        Column("visit", "int64", "", "Visit."),
        Column("detector", "int32", "", "Detector."),
        Column("xi", "float32", "arcmin", "East of the middle of the visit's first good detector."),
        Column("eta", "float32", "arcmin", "North of it."),
        Column("e1", "float32", "", "(Q_EE - Q_NN) / (Q_EE + Q_NN) of the PSF's second moments."),
        Column("e2", "float32", "", "2 Q_EN / (Q_EE + Q_NN)."),
    ),
)
CLOSE_ARCMIN = 1.0
FAR_ARCMIN = 5.0
# Cells along a detector's side, each of which has a whisker.
CELLS = 2
# More stars of a visit are thinned at even steps before all their pairs are formed.
MOST_STARS = 2000
FEWEST_SOURCES = 10


@dataclass(frozen=True, slots=True)
class SkyShapes:
    """Second moments of one detector's sources, turned to East and North.

    Attributes
    ----------
    xi, eta : ndarray, shape (n,)
        Where they are on the tangent plane [arcmin].
    star, psf : ndarray, shape (n,), complex
        Ellipticity e1 + i e2 of the source and of the PSF at it; NaN where there is none.
    is_psf_star : ndarray, shape (n,), bool
        Candidates for the PSF fit.
    """

    xi: np.ndarray
    eta: np.ndarray
    star: np.ndarray
    psf: np.ndarray
    is_psf_star: np.ndarray


def sky_shapes(src, centre):
    """Ellipticities of a detector's sources in the frame of the sky.

    Parameters
    ----------
    src : pyarrow.Table
        Schema SOURCE.
    centre : tuple of float
        Tangent point (ra, dec) [deg].

    Returns
    -------
    SkyShapes or None
        None where fewer than 10 sources tell how the pixels lie on the sky.
    """
    x, y, ra, dec = (column(src, name) for name in ("x", "y", "ra", "dec"))
    known = np.isfinite(x) & np.isfinite(y) & np.isfinite(ra) & np.isfinite(dec)
    if known.sum() < FEWEST_SOURCES:
        return None
    xi, eta = (60 * plane for plane in tan_project(ra[known], dec[known], *centre))
    design = np.stack([x[known], y[known], np.ones(known.sum())], axis=1)
    (to_sky, *_) = np.linalg.lstsq(design, np.stack([xi, eta], axis=1))
    star, psf = (
        ellipticity(*(column(src, f"{name}{suffix}")[known] for name in ("ixx", "iyy", "ixy")), to_sky[:2].T)
        for suffix in ("", "PSF")
    )
    return SkyShapes(xi, eta, star, psf, column(src, "calib_psf_candidate")[known])


def ellipticity(ixx, iyy, ixy, jacobian):
    """Ellipticity of second moments after a linear map.

    Parameters
    ----------
    ixx, iyy, ixy : ndarray, shape (n,)
        Second moments.
    jacobian : ndarray, shape (2, 2)
        Rows: East and North as linear functions of x and y.

    Returns
    -------
    ndarray, shape (n,), complex
        ((Q_EE - Q_NN) + 2 i Q_EN) / (Q_EE + Q_NN), LPM-17's definition; NaN where the moments are.
    """
    (a, b), (c, d) = jacobian
    east = a * a * ixx + 2 * a * b * ixy + b * b * iyy
    north = c * c * ixx + 2 * c * d * ixy + d * d * iyy
    mixed = a * c * ixx + (a * d + b * c) * ixy + b * d * iyy
    with np.errstate(invalid="ignore", divide="ignore"):
        return (east - north + 2j * mixed) / (east + north)


class ShapeCollector:
    """Gathers whiskers and residual ellipticities from one source table after the other.

    Parameters
    ----------
    summary : pyarrow.Table
        Schema VISIT_SUMMARY, whose first good detector of a visit is the origin of its picture.
    """

    def __init__(self, summary):
        visit, ra, dec = (column(summary, name) for name in ("visit", "ra", "dec"))
        rows = zip(visit.tolist(), ra.tolist(), dec.tolist(), strict=True)
        # Reversed, so that the first detector of each visit stays.
        self._centres = {v: (r, d) for v, r, d in reversed(list(rows)) if np.isfinite(r)}
        self._whiskers, self._stars = [], {}

    def add(self, src, visit, detector, band):
        """Take the shapes of one detector.

        Parameters
        ----------
        src : pyarrow.Table
            Schema SOURCE.
        visit, detector : int
            Which one.
        band : str
            Its band.
        """
        shapes = sky_shapes(src, self._centres[visit])
        if shapes is None:
            return
        self._whiskers += [(visit, detector, *cell) for cell in cells_of(shapes)]
        residual = shapes.star - shapes.psf
        used = shapes.is_psf_star & np.isfinite(residual)
        stars = self._stars.setdefault((band, visit), [])
        stars.append((shapes.xi[used], shapes.eta[used], residual[used]))

    def whiskers(self):
        """Return the PSF's shape over the focal plane (pyarrow.Table, schema PSF_SHAPE)."""
        return PSF_SHAPE.table_of_rows(self._whiskers)

    def measurements(self, band):
        """Return metrics TE1 and TE2 of a band (list of Measurement): medians over its visits.

        Parameters
        ----------
        band : str
            Band.
        """
        close, far = [], []
        for (of_band, _), parts in self._stars.items():
            if of_band == band:
                xi, eta, residual = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
                correlation = residual_correlations(xi, eta, residual)
                close.append(correlation[0])
                far.append(correlation[1])
        return [_absolute(median_of("TE1", band, close)), _absolute(median_of("TE2", band, far))]


def _absolute(measured):
    """The measurement with the absolute value, which the requirement limits."""
    return replace(measured, value=abs(measured.value))


def cells_of(shapes):
    """Median shape of the PSF in the cells of a detector.

    Parameters
    ----------
    shapes : SkyShapes
        Of the detector.

    Returns
    -------
    list of tuple of float
        xi, eta [arcmin], e1, e2 of each cell that holds a source with a PSF.
    """
    known = np.isfinite(shapes.psf)
    if not known.any():
        return []
    xi, eta, psf = shapes.xi[known], shapes.eta[known], shapes.psf[known]
    cell = 0
    for values in (xi, eta):
        side = np.ptp(values) * (1 + 1e-9) / CELLS or 1.0
        cell = cell * CELLS + ((values - values.min()) // side).astype(int)
    members = [cell == number for number in np.unique(cell)]
    return [tuple(float(np.median(values[m])) for values in (xi, eta, psf.real, psf.imag)) for m in members]


def residual_correlations(xi, eta, residual):
    """Correlation of residual ellipticities of close and of distant stars of one visit.

    Parameters
    ----------
    xi, eta : ndarray, shape (n,)
        Where the stars are [arcmin].
    residual : ndarray, shape (n,), complex
        Their ellipticity minus the PSF's.

    Returns
    -------
    close, far : float
        Mean of Re(e_i e_j*) over the pairs at most 1 arcmin apart, and of those at least 5 arcmin; NaN without a pair.
    """
    step = -(-len(xi) // MOST_STARS) or 1
    place, residual = (xi + 1j * eta)[::step], residual[::step]
    first, second = np.triu_indices(len(place), k=1)
    distance = np.abs(place[first] - place[second])
    product = (residual[first] * np.conj(residual[second])).real
    chosen = distance <= CLOSE_ARCMIN, distance >= FAR_ARCMIN
    return tuple(float(product[c].mean()) if c.any() else np.nan for c in chosen)
