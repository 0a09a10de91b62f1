"""Fits the polynomial from pixels to the tangent plane to matched stars: order chosen, outliers clipped."""

from dataclasses import dataclass, replace

import numpy as np

from skyloom.algorithms.matching import match_nearest
from skyloom.algorithms.plane_polynomial import fit_plane_polynomial
from skyloom.algorithms.robust import mad_sigma
from skyloom.core.errors import DataError

ARCSEC = 3600.0
CLIPPING_ROUNDS = 10
# The systematic error has settled when it changes by less than this part of the typical error.
SETTLED = 0.01
# The configured systematic error counts like so many pairs beside those that measure it.
PRIOR_PAIRS = 20
BISECTIONS = 50
# Stars for each coefficient of a coordinate before an order is tried.
STARS_PER_TERM = 2
# Median of a Rayleigh distribution over its sigma.
RAYLEIGH_MEDIAN = 1.1774100225154747
# A pair is refused when its flux ratio is off by so many magnitudes and so many sigma.
FLUX_RATIO_LIMIT = 1.0
FLUX_RATIO_SIGMA = 5.0


class AstrometryFitError(DataError):
    """The matched stars do not fix a WCS.

    Parameters
    ----------
    n_matched, n_needed : int
        Stars left after clipping, and how many are needed.
    rms_pixel, max_rms_pixel : float
        Scatter of the fit and the largest that is accepted; NaN when there was no fit.
    """

    def __init__(self, n_matched, n_needed, rms_pixel, max_rms_pixel):
        super().__init__(
            f"WCS fit of {n_matched} stars (need {n_needed}) has a scatter of {rms_pixel:.2f} pixel (at most "
            f"{max_rms_pixel:.2f}): look at the image quality (trailing, focus) and at the reference errors"
        )
        self.n_matched, self.n_needed = n_matched, n_needed
        self.rms_pixel, self.max_rms_pixel = rms_pixel, max_rms_pixel


@dataclass(frozen=True, slots=True)
class MatchedStars:
    """Pairs of a source and a reference.

    Attributes
    ----------
    dx, dy : ndarray, shape (n,), float64
        Pixel offsets of the sources from the detector's centre.
    xi, eta : ndarray, shape (n,), float64
        Tangent-plane places of the references [degree].
    error : ndarray, shape (n,), float64
        Expected error of one coordinate [degree]: centroid and reference.
    index, reference_index : ndarray, shape (n,), int64
        Rows in the star field.
    """

    dx: np.ndarray
    dy: np.ndarray
    xi: np.ndarray
    eta: np.ndarray
    error: np.ndarray
    index: np.ndarray
    reference_index: np.ndarray

    def __len__(self):
        """Return the number of pairs."""
        return len(self.dx)

    def select(self, chosen):
        """Return some of the pairs (MatchedStars).

        Parameters
        ----------
        chosen : ndarray, shape (n,), bool, or shape (m,), int
            Pairs to keep, or their indices in the order wanted.
        """
        return MatchedStars(*(getattr(self, name)[chosen] for name in self.__slots__))

    def is_same(self, other):
        """Return whether these are the same pairs as the other ones (bool).

        Parameters
        ----------
        other : MatchedStars
            The other ones.
        """
        return np.array_equal(self.index, other.index) and np.array_equal(
            self.reference_index, other.reference_index
        )

    def residuals(self, polynomial):
        """Return reference - fit of each pair.

        Parameters
        ----------
        polynomial : PlanePolynomial
            The fit.

        Returns
        -------
        residual_xi, residual_eta : ndarray, shape (n,), float64
            East and North [arcsec].
        """
        xi, eta = polynomial.evaluate(self.dx, self.dy)
        return (self.xi - xi) * ARCSEC, (self.eta - eta) * ARCSEC


def match_stars(field, place, plane, radius_arcsec):
    """Pairs of sources and references that are each other's nearest and have the common flux ratio.

    Parameters
    ----------
    field : StarField
        Sources and references.
    place : tuple of ndarray, shape (n,)
        Where the present solution puts the sources (xi, eta) [degree].
    plane : tuple of ndarray, shape (m,)
        Where the references are (xi, eta) [degree].
    radius_arcsec : float
        Largest distance.

    Returns
    -------
    MatchedStars
        The pairs with their expected errors: centroid and reference in quadrature.
    """
    index, reference_index, _ = match_nearest(*place, *plane, radius_arcsec / ARCSEC)
    kept = _has_common_flux_ratio(field.flux[index], field.references.flux[reference_index])
    index, reference_index = index[kept], reference_index[kept]
    references = field.references.select(reference_index)
    variance = (field.error[index] * field.scale) ** 2 + (references.ra_err**2 + references.dec_err**2) / 2
    return MatchedStars(
        dx=field.dx[index],
        dy=field.dy[index],
        xi=plane[0][reference_index],
        eta=plane[1][reference_index],
        error=np.sqrt(variance) / ARCSEC,
        index=index,
        reference_index=reference_index,
    )


def _has_common_flux_ratio(flux, reference_flux):
    """True unless a pair's flux ratio is far from the median: chance pairs, variables, saturated stars."""
    with np.errstate(invalid="ignore", divide="ignore"):
        difference = 2.5 * np.log10(flux / reference_flux)
    known = np.isfinite(difference)
    if not known.any():
        return np.ones(len(flux), dtype=bool)
    off = np.abs(difference - np.median(difference[known]))
    limit = max(FLUX_RATIO_SIGMA * mad_sigma(difference[known]), FLUX_RATIO_LIMIT)
    return ~known | (off <= limit)


def fit_clipped(pairs, max_order, half_size, settings):
    """Polynomial of the pairs, outliers clipped; order and systematic error are found anew in each round.

    Parameters
    ----------
    pairs : MatchedStars
        The pairs.
    max_order : int
        Highest order that may be chosen.
    half_size : float
        Half the detector's longer side [pixel].
    settings : dict
        Section ``calibrate.astrometry``.

    Returns
    -------
    polynomial : PlanePolynomial
        The fit.
    used : ndarray, shape (n,), bool
        Pairs that were not clipped.

    Raises
    ------
    AstrometryFitError
        If fewer than ``min_matched`` pairs are left.
    """
    used = np.ones(len(pairs), dtype=bool)
    prior = floor = settings["floor_arcsec"] / ARCSEC
    for _ in range(CLIPPING_ROUNDS):
        if used.sum() < settings["min_matched"]:
            raise AstrometryFitError(
                int(used.sum()), settings["min_matched"], float("nan"), settings["max_rms_pixel"]
            )
        fitted = used
        error = np.hypot(pairs.error, floor)
        polynomial = fit_best_order(replace(pairs, error=error).select(fitted), max_order, half_size)
        distance = np.hypot(*pairs.residuals(polynomial)) / ARCSEC
        scatter = max(np.median((distance / error)[fitted]) / RAYLEIGH_MEDIAN, 1.0)
        used = distance / error <= settings["clip_sigma"] * scatter
        n_free = 2 * fitted.sum() - polynomial.coefficients.size
        before, floor = floor, systematic_error(distance[fitted], pairs.error[fitted], n_free, prior)
        if np.array_equal(used, fitted) and abs(floor - before) <= SETTLED * np.median(error):
            break
    return polynomial, fitted


def systematic_error(distance, error, n_free, prior):
    """Error of a coordinate beyond the known ones, such that the distances are what they should be.

    Parameters
    ----------
    distance : ndarray, shape (n,), float64
        Distances of pairs from the fit, on two axes.
    error : ndarray, shape (n,), float64
        Known error of one coordinate of each, in the same unit; positive.
    n_free : int
        Degrees of freedom of the fit.
    prior : float
        What is expected; it counts like `PRIOR_PAIRS` pairs, so that a few stars do not make it zero or large.

    Returns
    -------
    float
        In the same unit; 0 when the known errors are enough.
    """
    typical = np.median(error) ** 2
    n_prior = 2 * PRIOR_PAIRS
    wanted = n_free + n_prior
    square = distance**2

    def chi2(variance):
        return (square / (error**2 + variance)).sum() + n_prior * (typical + prior**2) / (typical + variance)

    if chi2(0.0) <= wanted:
        return 0.0
    # Without known errors this variance would be right: with them it is too large.
    low, high = 0.0, (square.sum() + n_prior * (typical + prior**2)) / wanted
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if chi2(middle) > wanted else (low, middle)
    return float(np.sqrt(0.5 * (low + high)))


def fit_best_order(pairs, max_order, half_size):
    """Polynomial of least AICc among the orders that the number of stars allows.

    Parameters
    ----------
    pairs : MatchedStars
        Pairs without outliers.
    max_order : int
        Highest order tried; 1 is always tried.
    half_size : float
        Half the detector's longer side [pixel].

    Returns
    -------
    PlanePolynomial
        The fit.

    Notes
    -----
    Hurvich & Tsai (1989), with chi2 in place of -2 log L. Errors that are too small would always ask for the
    highest order, so chi2 is divided by the highest order's chi2 per degree of freedom where that is above 1.
    """
    n_value = 2 * len(pairs)
    fits = [
        fit_plane_polynomial((pairs.dx, pairs.dy), (pairs.xi, pairs.eta), pairs.error, order, half_size)
        for order in range(1, max_order + 1)
        if order == 1 or len(pairs) >= STARS_PER_TERM * (order + 1) * (order + 2) / 2
    ]
    inflation = max(fits[-1].chi2 / max(n_value - fits[-1].coefficients.size, 1), 1.0)

    def criterion(fit):
        n = fit.coefficients.size
        return fit.chi2 / inflation + 2 * n + 2 * n * (n + 1) / max(n_value - n - 1, 1)

    return min(fits, key=criterion)
