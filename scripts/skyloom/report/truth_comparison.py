"""Sources and DIA sources compared with the simulator's truth, one detector at a time."""

from dataclasses import dataclass

import numpy as np

from skyloom.core.images import pixels_at
from skyloom.core.tables import column

MATCH_RADIUS_PIXEL = 3.0
LEAST_FLUX_PART = 0.3
EDGE_PIXEL = 10.0
FOUND_SNR = 10.0
ASTROMETRY_SNR = 50.0
PHOTOMETRY_SNR = 100.0
MAS_PER_DEGREE = 3.6e6
REAL_DIFFERENCES = ("transient", "mover")
CHANGED_SNR = 3.0


@dataclass(frozen=True, slots=True)
class SourceComparison:
    """What truth says of one detector's sources.

    Attributes
    ----------
    n_star, n_star_found : int
        True stars of S/N above 10 away from the edge, and those with a source.
    n_source, n_source_true : int
        Sources of S/N above 10, and those with a true object.
    residual_ra, residual_dec : ndarray, shape (n,), float64
        Source minus truth of stars of S/N above 50, times cos(dec) [mas].
    x, y : ndarray, shape (n,), float64
        Where those stars are [pixel].
    flux_ratio : ndarray, shape (n,), float64
        Measured over true flux of those stars.
    is_bright : ndarray, shape (n,), bool
        Those of S/N above 100.
    """

    n_star: int
    n_star_found: int
    n_source: int
    n_source_true: int
    residual_ra: np.ndarray
    residual_dec: np.ndarray
    x: np.ndarray
    y: np.ndarray
    flux_ratio: np.ndarray
    is_bright: np.ndarray


def nearest(from_x, from_y, to_x, to_y, radius):
    """For each point the nearest one of another set.

    Parameters
    ----------
    from_x, from_y : ndarray, shape (n,)
        Points.
    to_x, to_y : ndarray, shape (m,)
        Candidates.
    radius : float
        Largest distance.

    Returns
    -------
    ndarray, shape (n,), int64
        Index of the candidate; -1 without one within the radius.
    """
    from scipy.spatial import cKDTree

    if len(to_x) == 0 or len(from_x) == 0:
        return np.full(len(from_x), -1, dtype=np.int64)
    distance, index = cKDTree(np.column_stack([to_x, to_y])).query(np.column_stack([from_x, from_y]))
    return np.where(distance <= radius, index, -1)


def compare_sources(src, truth, shape):
    """Compare a detector's sources with truth.

    Parameters
    ----------
    src : pyarrow.Table
        Schema SOURCE.
    truth : pyarrow.Table
        The rows of this detector in truth/source.
    shape : tuple of int
        Shape (ny, nx) of the detector.

    Returns
    -------
    SourceComparison
        Counts and residuals. A true star's S/N is its flux over the typical error of a faint PSF flux.
    """
    x, y, flux, error = (column(src, name) for name in ("x", "y", "psfFlux", "psfFluxErr"))
    true = {name: column(truth, name) for name in ("x", "y", "ra", "dec", "flux", "kind")}
    noise = faint_flux_error(flux, error)
    inside = _inside(true["x"], true["y"], shape)
    is_star = (true["kind"] == "star") & inside & (true["flux"] > FOUND_SNR * noise)
    of_source = nearest(true["x"][is_star], true["y"][is_star], x, y, MATCH_RADIUS_PIXEL)

    good = (flux > FOUND_SNR * error) & _inside(x, y, shape)
    is_true = _has_light(x[good], y[good], flux[good], true)

    star = np.flatnonzero(is_star)[of_source >= 0]
    source = of_source[of_source >= 0]
    bright = (true["flux"][star] > ASTROMETRY_SNR * noise) & ~column(src, "pixelFlags_saturatedCenter")[
        source
    ]
    star, source = star[bright], source[bright]
    offset_ra = (column(src, "ra")[source] - true["ra"][star] + 180.0) % 360.0 - 180.0
    return SourceComparison(
        n_star=int(is_star.sum()),
        n_star_found=int(np.sum(of_source >= 0)),
        n_source=int(good.sum()),
        n_source_true=int(is_true.sum()),
        residual_ra=offset_ra * np.cos(np.radians(true["dec"][star])) * MAS_PER_DEGREE,
        residual_dec=(column(src, "dec")[source] - true["dec"][star]) * MAS_PER_DEGREE,
        x=x[source],
        y=y[source],
        flux_ratio=flux[source] / true["flux"][star],
        is_bright=true["flux"][star] > PHOTOMETRY_SNR * noise,
    )


def _has_light(x, y, flux, true):
    """Whether true objects near each source hold a fair part of its flux: a faint one beside it proves nothing."""
    from scipy.spatial import cKDTree

    if len(true["x"]) == 0:
        return np.zeros(len(x), dtype=bool)
    near = cKDTree(np.column_stack([true["x"], true["y"]])).query_ball_point(
        np.column_stack([x, y]), MATCH_RADIUS_PIXEL
    )
    light = np.array([true["flux"][members].sum() for members in near], dtype=np.float64)
    return light > LEAST_FLUX_PART * flux


def faint_flux_error(flux, error):
    """Typical error of the PSF flux of a faint source [nJy] (float; NaN without sources).

    Parameters
    ----------
    flux, error : ndarray, shape (n,)
        PSF fluxes and their errors [nJy].
    """
    with np.errstate(invalid="ignore"):
        faint = np.isfinite(error) & (flux < 2 * FOUND_SNR * error)
    chosen = error[faint] if faint.any() else error[np.isfinite(error)]
    return float(np.median(chosen)) if chosen.size else np.nan


def _inside(x, y, shape):
    """Whether points are away from the edge."""
    ny, nx = shape
    return (x > EDGE_PIXEL) & (x < nx - 1 - EDGE_PIXEL) & (y > EDGE_PIXEL) & (y < ny - 1 - EDGE_PIXEL)


@dataclass(frozen=True, slots=True)
class DifferenceComparison:
    """What truth says of one detector's DIA sources.

    Attributes
    ----------
    n_transient, n_transient_found : int
        True transients of S/N above 10 on good pixels, and those with a DIA source.
    n_false : int
        DIA sources without a true transient, mover, or object that is brighter or fainter than in the template.
    n_pixel : int
        Pixels with data.
    """

    n_transient: int
    n_transient_found: int
    n_false: int
    n_pixel: int


def compare_dia_sources(dia_sources, truth, template_flux, flux_error, usable):
    """Compare a detector's DIA sources with truth.

    Parameters
    ----------
    dia_sources : pyarrow.Table
        Schema DIA_SOURCE.
    truth : pyarrow.Table
        The rows of this detector in truth/source.
    template_flux : dict of int to float
        Mean flux of each object in the template's visits [nJy], by its id.
    flux_error : float
        Error of a faint PSF flux on the difference [nJy].
    usable : ndarray, shape (ny, nx), bool
        Pixels of the difference that have data.

    Returns
    -------
    DifferenceComparison
        Counts.
    """
    x, y = column(dia_sources, "x"), column(dia_sources, "y")
    true = {name: column(truth, name) for name in ("id", "x", "y", "flux", "kind")}
    real = np.isin(true["kind"], REAL_DIFFERENCES) | _has_changed(true, template_flux, flux_error)
    wanted = (
        (true["kind"] == "transient")
        & (true["flux"] > FOUND_SNR * flux_error)
        & usable[pixels_at(true["x"], true["y"], usable.shape)]
        & _inside(true["x"], true["y"], usable.shape)
    )
    found = nearest(true["x"][wanted], true["y"][wanted], x, y, MATCH_RADIUS_PIXEL)
    # Movers trail and a faint transient has a wide error, hence the wider radius for what counts as real.
    of_truth = nearest(x, y, true["x"][real], true["y"][real], 2 * MATCH_RADIUS_PIXEL)
    return DifferenceComparison(
        int(wanted.sum()), int(np.sum(found >= 0)), int(np.sum(of_truth < 0)), int(usable.sum())
    )


def _has_changed(true, template_flux, flux_error):
    """Whether objects differ from their template by more than noise, as variable stars do."""
    before = np.array([template_flux.get(number, np.nan) for number in true["id"].tolist()], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        return np.abs(true["flux"] - before) > CHANGED_SNR * flux_error


def magnitude_residuals(flux_ratio):
    """Flux ratios as magnitudes about their median.

    Parameters
    ----------
    flux_ratio : ndarray, shape (n,)
        Measured over true flux; those that are not positive are left out.

    Returns
    -------
    ndarray, shape (m,), float64
        [mmag].
    """
    magnitudes = -2500.0 * np.log10(flux_ratio[flux_ratio > 0])
    return magnitudes - np.median(magnitudes) if magnitudes.size else magnitudes
