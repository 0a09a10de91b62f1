"""Photometric calibration of one detector: measured and reference fluxes of stars -> zero point."""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import chebyshev

from skyloom.algorithms.robust import mad_sigma
from skyloom.calibrate.uniformity import CHANCE, MAP_SIDE, binned_residuals, chance_of, residual_range
from skyloom.core.errors import DataError, ImageShapeError
from skyloom.core.photo_calib import FieldPolynomial, ZeroPointFit
from skyloom.core.wcs import unit_coordinates

log = logging.getLogger(__name__)

CLIPPING_ROUNDS = 20
MAGNITUDES_PER_LOG = 2.5 / np.log(10)
# Magnitudes of scatter beyond the known errors that start the clipping: stars of unknown colour.
INITIAL_SCATTER = 0.05
# Floor of the relative scatter, so that stars without any error do not weigh infinitely much.
LEAST_SCATTER = 1e-4
BISECTIONS = 40
MEDIAN_OF_NORMAL = 0.6744897501960817
"""Median of the absolute value of a standard normal variable."""


class TooFewPhotometricStarsError(DataError):
    """Too few stars of known flux are left to set the zero point.

    Parameters
    ----------
    n_star, n_given, n_needed : int
        Usable stars after clipping, stars given, and how many are needed.
    """

    def __init__(self, n_star, n_given, n_needed):
        super().__init__(
            f"{n_star} of {n_given} matched stars can set the zero point, need {n_needed}: look at the "
            "reference catalogue's fluxes in this band, at saturation, and at calibrate.photometry"
        )
        self.n_star, self.n_given, self.n_needed = n_star, n_given, n_needed


class ZeroPointScatterError(DataError):
    """The stars do not agree on one zero point.

    Parameters
    ----------
    scatter_mag, max_scatter_mag : float
        Scatter of the stars about the fit, and the largest that is accepted [mag].
    n_star : int
        Stars behind it.
    """

    def __init__(self, scatter_mag, max_scatter_mag, n_star):
        super().__init__(
            f"zero points of {n_star} stars scatter by {scatter_mag:.3f} mag, need {max_scatter_mag:.3f} or "
            "less: look for clouds, a wrong flat, or a reference band far from this one"
        )
        self.scatter_mag, self.max_scatter_mag, self.n_star = scatter_mag, max_scatter_mag, n_star


class NoGivenZeroPointError(DataError):
    """The zero point is to be taken as given, and nobody gives one."""

    def __init__(self):
        super().__init__(
            "no zero point is given, calibrate.photometry.zero_point: given needs one: in the visit table's column "
            "zero_point, as calibrated.zero_point of the camera file, or by a unit of flux"
        )


@dataclass(frozen=True, slots=True)
class PhotometricStars:
    """Matched stars: what was measured and what the reference catalogue says.

    Attributes
    ----------
    x, y : ndarray, shape (n,), float64
        Positions [pixel].
    flux, flux_err : ndarray, shape (n,), float64
        Measured fluxes and errors [electron].
    reference_flux, reference_flux_err : ndarray, shape (n,), float64
        Fluxes and errors in the reference catalogue [nJy]; NaN where unknown.
    """

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    flux_err: np.ndarray
    reference_flux: np.ndarray
    reference_flux_err: np.ndarray

    def __post_init__(self):
        """Refuse columns of different lengths."""
        shapes = {name: getattr(self, name).shape for name in self.__slots__}
        if len(set(shapes.values())) != 1:
            raise ImageShapeError(shapes)

    def log_ratio(self):
        """Logarithm of reference over measured flux, and its error (ndarrays, shape (n,); NaN if unknown)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            positive = (self.flux > 0) & (self.reference_flux > 0)
            ratio = np.where(positive, np.log(self.reference_flux / self.flux), np.nan)
            error = np.hypot(self.flux_err / self.flux, self.reference_flux_err / self.reference_flux)
        return ratio, np.where(positive, error, np.nan)


@dataclass(frozen=True, slots=True)
class ZeroPointResult:
    """A detector's zero point and the stars that set it.

    Attributes
    ----------
    photo_calib : FieldPolynomial
        Zero point [nJy/electron] over the detector, with covariance.
    used : ndarray, shape (n,), bool
        True for the given stars that were used.
    fit : ZeroPointFit or None
        Its quality; None for a given zero point.
    """

    photo_calib: FieldPolynomial
    used: np.ndarray
    fit: ZeroPointFit | None


def fit_zero_point(stars, shape, settings):
    """Robust weighted zero point of matched stars, constant or a low-order map.

    Parameters
    ----------
    stars : PhotometricStars
        The matched stars.
    shape : tuple of int
        Shape (ny, nx) of the detector.
    settings : dict
        Section ``calibrate.photometry``.

    Returns
    -------
    ZeroPointResult
        Zero point, stars used and scatter.

    Raises
    ------
    TooFewPhotometricStarsError
        If fewer than ``min_stars`` are usable or survive the clipping.
    ZeroPointScatterError
        If the scatter is above ``max_scatter_mag``.

    Notes
    -----
    The fit is linear in the logarithm of reference over measured flux, as magnitudes are. Weights hold both
    flux errors and an intrinsic scatter that is estimated from the data, so that a few bright stars of odd
    colour do not rule the result. The map is a Chebyshev polynomial of the total degree of least AICc
    (Hurvich & Tsai 1989) among those that the number of stars allows, at most ``max_order``, and a constant where
    chance makes as much of a map on one uniform detector in a thousand. Its range over the detector, and what the
    stars still show in cells, are the detector's variation: clouds, or a wrong flat.
    """
    log_ratio, relative = stars.log_ratio()
    usable = np.isfinite(log_ratio) & np.isfinite(relative)
    usable &= stars.flux > settings["min_signal_to_noise"] * stars.flux_err
    if usable.sum() < settings["min_stars"]:
        raise TooFewPhotometricStarsError(int(usable.sum()), len(usable), settings["min_stars"])
    domain = (-0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5)
    places = unit_coordinates(stars.x, stars.y, domain)
    highest = _highest_order(int(usable.sum()), settings)
    solution = _fit_clipped(log_ratio, relative, map_terms(*places, highest), usable, settings)
    order = _best_order(log_ratio, map_terms(*places, highest), solution, highest)
    terms = map_terms(*places, order)
    if order < highest:
        solution = _fit_clipped(log_ratio, relative, terms, usable, settings)
    residual = log_ratio - terms @ solution.values
    scatter = float(mad_sigma(residual[solution.used]) * MAGNITUDES_PER_LOG)
    if scatter > settings["max_scatter_mag"]:
        raise ZeroPointScatterError(scatter, settings["max_scatter_mag"], int(solution.used.sum()))
    variation = _variation(places, residual, solution, order) * MAGNITUDES_PER_LOG
    fit = ZeroPointFit(int(solution.used.sum()), scatter, variation, settings["max_variation_mag"])
    log.info(
        "zero point %.5g nJy/electron from %d of %d stars, order %d, scatter %.4f mag, variation %.4f mag",
        np.exp(solution.values[0]), fit.n_star, usable.sum(), order, scatter, variation,
    )  # fmt: skip
    if fit.remark:
        log.warning(fit.remark)
    return ZeroPointResult(_zero_point_map(solution, domain, order), solution.used, fit)


@dataclass(frozen=True, slots=True)
class _Solution:
    """Coefficients of the logarithm and their covariance; the stars used, and the error of each star."""

    values: np.ndarray
    covariance: np.ndarray
    used: np.ndarray
    error: np.ndarray


def map_terms(u, v, order):
    """Chebyshev terms of total degree up to an order, at positions.

    Parameters
    ----------
    u, v : ndarray, shape (n,), float64
        Positions, from -1 to 1 over the detector.
    order : int
        Total degree.

    Returns
    -------
    ndarray, shape (n, m), float64
        One column a term, by falling degree in u within rising degree in v; the first is the constant.
    """
    u_terms, v_terms = chebyshev.chebvander(u, order), chebyshev.chebvander(v, order)
    return np.column_stack([v_terms[:, i] * u_terms[:, j] for i, j in _powers(order)])


def _powers(order):
    """Degrees (in v, in u) of the map's terms, those of total degree up to the order."""
    return [(i, j) for i in range(order + 1) for j in range(order + 1 - i)]


def _highest_order(n_star, settings):
    """Highest total degree with enough stars for each of its terms."""
    order = settings["max_order"]
    while order > 0 and n_star < settings["stars_per_term"] * (order + 1) * (order + 2) / 2:
        order -= 1
    return order


def _best_order(log_ratio, terms, solution, highest):
    """Order of the map, with the stars and errors of the highest one.

    Chance decides whether there is a map at all: AICc alone would follow noise on one uniform detector in six. Each
    of the orders tried had its own chance.
    Stars that are neither good nor clipped widen the residuals: chi2 is divided by the highest order's per degree of
    freedom where that is above 1.
    """
    error = solution.error[solution.used]
    scaled, wanted = terms[solution.used] / error[:, None], log_ratio[solution.used] / error
    n, chi2, n_term = len(wanted), [], []
    for order in range(highest + 1):
        columns = scaled[:, [k for k, (i, j) in enumerate(_powers(highest)) if i + j <= order]]
        n_term.append(columns.shape[1])
        fitted = columns @ np.linalg.lstsq(columns, wanted, rcond=None)[0]
        chi2.append(((wanted - fitted) ** 2).sum())
    n_term = np.array(n_term)
    chi2 = np.array(chi2) / max(chi2[-1] / max(n - n_term[-1], 1), 1.0)
    best = int(np.argmin(chi2 + 2 * n_term + 2 * n_term * (n_term + 1) / np.maximum(n - n_term - 1, 1)))
    is_chance = best > 0 and highest * chance_of(chi2[0] - chi2[best], n_term[best] - 1) > CHANCE
    return 0 if is_chance else best


def _fit_clipped(log_ratio, relative, terms, usable, settings):
    """Weighted least squares with clipping (_Solution)."""
    used = usable.copy()
    # A median start: the first clip must not depend on outliers.
    values = np.zeros(terms.shape[1])
    values[0] = np.median(log_ratio[usable])
    intrinsic = max(mad_sigma((log_ratio - values[0])[usable]), INITIAL_SCATTER / MAGNITUDES_PER_LOG)
    for _ in range(CLIPPING_ROUNDS):
        residual = log_ratio - terms @ values
        kept = usable & (np.abs(residual) <= settings["clip_sigma"] * np.hypot(relative, intrinsic))
        if kept.sum() < settings["min_stars"]:
            raise TooFewPhotometricStarsError(int(kept.sum()), len(log_ratio), settings["min_stars"])
        error = np.hypot(relative, intrinsic)
        scaled = terms[kept] / error[kept, None]
        values = np.linalg.lstsq(scaled, log_ratio[kept] / error[kept], rcond=None)[0]
        previous, intrinsic = (
            intrinsic,
            _intrinsic_scatter((log_ratio - terms @ values)[kept], relative[kept]),
        )
        is_settled = np.array_equal(kept, used) and abs(intrinsic - previous) < 1e-6
        used = kept
        if is_settled:
            break
    return _Solution(values, np.linalg.pinv(scaled.T @ scaled), used, error)


def _intrinsic_scatter(residual, relative):
    """Scatter beyond the known relative errors, such that the median of the normalised residuals is right."""
    low, high = 0.0, 2 * mad_sigma(residual) + LEAST_SCATTER
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        is_short = np.median(np.abs(residual) / np.hypot(relative, middle)) > MEDIAN_OF_NORMAL
        low, high = (middle, high) if is_short else (low, middle)
    return max(0.5 * (low + high), LEAST_SCATTER)


def _variation(places, residual, solution, order):
    """Range of the logarithm over the detector that chance does not explain; NaN with too few stars to say."""
    used = solution.used
    error = solution.error[used]
    error = error * max(np.sqrt(np.mean((residual[used] / error) ** 2)), 1.0)
    mean, error = binned_residuals(*(c[used] for c in places), residual[used], error)
    if len(mean) == 0:
        return np.nan
    nodes = (np.arange(MAP_SIDE) + 0.5) * 2 / MAP_SIDE - 1
    grid = map_terms(*(c.ravel() for c in np.meshgrid(nodes, nodes)), order) @ solution.values
    return float(np.hypot(np.ptp(grid), residual_range(mean, error)))


def _zero_point_map(solution, domain, order):
    """Field polynomial of the zero point from the fit of its logarithm."""
    values, covariance = solution.values, solution.covariance
    if order == 0:
        scale = np.exp(values[0])
        return FieldPolynomial(np.array([[scale]]), domain, covariance * scale**2)
    # exp of a low polynomial with an amplitude of a few per cent: its own degree holds it to second order.
    nodes = np.cos(np.pi * (np.arange(2 * order + 2) + 0.5) / (2 * order + 2))
    v, u = (grid.ravel() for grid in np.meshgrid(nodes, nodes, indexing="ij"))
    full = chebyshev.chebvander2d(v, u, [order, order])
    terms = map_terms(u, v, order)
    zero_point = np.exp(terms @ values)
    to_field = np.linalg.pinv(full)
    jacobian = to_field @ (terms * zero_point[:, None])
    coefficients = (to_field @ zero_point).reshape(order + 1, order + 1)
    return FieldPolynomial(coefficients, domain, jacobian @ covariance @ jacobian.T)
