"""Astrometric calibration of one detector: sources + reference stars + predicted WCS -> fitted TPV WCS."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from skyloom.algorithms.matching import PatternMatch, log10_chance, match_nearest
from skyloom.algorithms.plane_polynomial import MAX_CONDITION, wcs_from_polynomial
from skyloom.algorithms.robust import mad_sigma
from skyloom.calibrate.pattern import AstrometryMatchError, OutsideSearchError, find_similarity
from skyloom.calibrate.star_field import SourcePositions, prepare_field, search_region
from skyloom.calibrate.wcs_fit import AstrometryFitError, fit_clipped, match_stars
from skyloom.core.wcs import Wcs, WcsFit, tan_deproject, tan_project

__all__ = [
    "AstrometryMatchError",
    "AstrometryResult",
    "OutsideSearchError",
    "SourcePositions",
    "fit_astrometry",
    "match_by_given_wcs",
    "search_region",
    "solve_astrometry",
]

log = logging.getLogger(__name__)

ARCSEC = 3600.0
# Most rounds of matching and fitting; the pairs have settled after four or five.
MATCHING_ROUNDS = 8
# A match radius of this many sigma of the residuals loses one pair in 270,000 (two axes).
RADIUS_SIGMA = 5.0
# Points along each side of the detector at which the header's WCS is held against the fit.
CHECKED_SIDE = 33
# Displaced copies, and their distance in match radii, that measure how often chance gives a match.
CHANCE_COPIES = 12
CHANCE_DISPLACEMENTS = (6.0, 10.0, 15.0)


@dataclass(frozen=True, slots=True)
class AstrometryResult:
    """A WCS and the stars that it matches.

    Attributes
    ----------
    wcs : Wcs
        TPV, tangent at the detector's centre, or the one that was given.
    fit : WcsFit or None
        Coefficients, covariance, scatter and predicted error of the corners; None for a given one.
    source_index, reference_index : ndarray, shape (n,), int64
        Rows of the given sources and references that were used, pair by pair.
    """

    wcs: Wcs
    fit: WcsFit | None
    source_index: np.ndarray
    reference_index: np.ndarray


def fit_astrometry(sources, references, predicted_wcs, pointing_uncertainty_arcsec, settings):
    """Match the sources to the reference stars and fit the detector's WCS.

    Parameters
    ----------
    sources : SourcePositions
        Measured sources; false ones and galaxies may be among them.
    references : ReferenceStars
        Reference stars at the exposure's epoch, around the predicted place; any depth, gaps allowed.
    predicted_wcs : Wcs
        From camera and pointing, wrong by at most the search's limits.
    pointing_uncertainty_arcsec : float
        Largest error of the declared pointing.
    settings : dict
        Section ``calibrate.astrometry``.

    Returns
    -------
    AstrometryResult
        WCS, quality and matched rows.

    Raises
    ------
    TooFewAstrometricSourcesError, TooFewReferenceStarsError
        If there is nothing to match.
    AstrometryMatchError
        If no match is significant against chance: the wrong part of the sky, above all.
    OutsideSearchError
        If the stars match with another parity or rotation than the search allows.
    AstrometryFitError
        If too few stars survive the clipping, or they scatter too much.

    Notes
    -----
    The pattern match is `algorithms.matching.match_pattern`. Then stars are matched again with the fitted
    WCS in a radius that shrinks with the scatter; the polynomial's order is the one of least AICc among
    those that the number of stars allows. Weights are the inverse squares of centroid error, reference
    error and a systematic error in quadrature, which the residuals tell; outliers are clipped.
    """
    field = prepare_field(sources, references, predicted_wcs, pointing_uncertainty_arcsec, settings)
    similarity = find_similarity(field, settings).similarity
    place = tuple(offset / ARCSEC for offset in similarity.apply(*field.predicted))
    crval = field.centre
    radius, smallest = (settings[key] * field.scale for key in ("tolerance_pixel", "min_radius_pixel"))
    before = None
    for matching_round in range(MATCHING_ROUNDS):
        plane = tan_project(field.references.ra, field.references.dec, *crval)
        pairs = match_stars(field, place, plane, radius)
        order = 1 if matching_round == 0 else settings["max_order"]
        polynomial, used = fit_clipped(pairs, order, field.half_size, settings)
        radius = _next_radius(pairs.select(used), polynomial, radius, smallest)
        if matching_round == MATCHING_ROUNDS - 1 or (matching_round > 1 and pairs.is_same(before)):
            break
        before = pairs
        crval, place = _retangent(field, polynomial, crval)
    final = polynomial.evaluate(field.dx, field.dy)
    log10_false_alarm = require_significance(final, plane, radius, settings["max_false_alarm"])
    return _result(field, polynomial, pairs.select(used), (crval, log10_false_alarm), settings)


def solve_astrometry(sources, references, predicted_wcs, pointing_uncertainty_arcsec, settings):
    """WCS fitted to the stars or the given one, as the settings say, with the stars that it matches.

    Parameters
    ----------
    sources, references, predicted_wcs, pointing_uncertainty_arcsec, settings
        As for `fit_astrometry` and `match_by_given_wcs`.

    Returns
    -------
    AstrometryResult
        Of the one or the other.
    """
    if settings["wcs"] == "given":
        return match_by_given_wcs(sources, references, predicted_wcs, settings)
    return fit_astrometry(sources, references, predicted_wcs, pointing_uncertainty_arcsec, settings)


def match_by_given_wcs(sources, references, wcs, settings):
    """Match the sources to the reference stars by a WCS that stays as it is.

    Parameters
    ----------
    sources : SourcePositions
        Measured sources.
    references : ReferenceStars or None
        Reference stars at the exposure's epoch; None matches nothing.
    wcs : Wcs
        The image's.
    settings : dict
        Section ``calibrate.astrometry``: pairs within ``tolerance_pixel`` match.

    Returns
    -------
    AstrometryResult
        Without a fit.
    """
    if references is None:
        nothing = np.zeros(0, dtype=np.int64)
        return AstrometryResult(wcs, None, nothing, nothing)
    x, y = wcs.sky_to_pixel(references.ra, references.dec)
    index, reference_index = match_nearest(sources.x, sources.y, x, y, settings["tolerance_pixel"])[:2]
    if len(index):
        dx, dy = sources.x[index] - x[reference_index], sources.y[index] - y[reference_index]
        log.info(
            "given WCS: %d of %d sources match, median offset %.3f, %.3f pixel, scatter %.3f, %.3f pixel",
            *(len(index), len(sources.x), np.median(dx), np.median(dy), mad_sigma(dx), mad_sigma(dy)),
        )
    return AstrometryResult(wcs, None, index, reference_index)


def _next_radius(pairs, polynomial, radius, smallest):
    """Match radius of the next round [arcsec]: a few sigma of the residuals, never wider than now."""
    east, north = pairs.residuals(polynomial)
    sigma = np.hypot(mad_sigma(east), mad_sigma(north))
    return float(max(min(RADIUS_SIGMA * sigma, radius), smallest))


def _retangent(field, polynomial, crval):
    """Tangent point at the detector's centre, and the sources' places about it [degree].

    The axes turn with the tangent point (the meridians converge), so the old polynomial does not hold there.
    """
    ra, dec = tan_deproject(*polynomial.evaluate(field.dx, field.dy), *crval)
    xi, eta = polynomial.evaluate(np.zeros(1), np.zeros(1))
    centre = tuple(float(c[0]) for c in tan_deproject(xi, eta, *crval))
    return centre, tan_project(ra, dec, *centre)


def require_significance(place, plane, radius_arcsec, max_false_alarm):
    """Refuse a final match that displaced copies of the sources reach by chance.

    Parameters
    ----------
    place : tuple of ndarray, shape (n,)
        Sources (xi, eta) by the fitted WCS [degree].
    plane : tuple of ndarray, shape (m,)
        References (xi, eta) [degree].
    radius_arcsec : float
        Radius of the match.
    max_false_alarm : float
        Largest probability that chance gives as many matches.

    Returns
    -------
    float
        Decimal logarithm of that probability.

    Raises
    ------
    AstrometryMatchError
        If the probability is larger.
    """
    xi, eta = place
    radius = radius_arcsec / ARCSEC
    n_by_chance = 0
    for k in range(CHANCE_COPIES):
        angle = 2 * np.pi * k / CHANCE_COPIES
        distance = CHANCE_DISPLACEMENTS[k % len(CHANCE_DISPLACEMENTS)] * radius
        moved = xi + distance * np.cos(angle), eta + distance * np.sin(angle)
        n_by_chance += len(match_nearest(*moved, *plane, radius)[0])
    n_source, n_matched = len(xi), len(match_nearest(xi, eta, *plane, radius)[0])
    # One match more than seen in all copies together: none seen is no proof of none.
    probability = (n_by_chance + 1) / (CHANCE_COPIES * n_source)
    log10_false_alarm = float(log10_chance(n_matched, n_source, probability))
    needed = float(np.log10(max_false_alarm))
    if log10_false_alarm > needed:
        chance = probability * n_source
        match = PatternMatch(None, n_matched, n_source, chance, log10_false_alarm, CHANCE_COPIES)
        raise AstrometryMatchError(match, needed, f"final radius {radius_arcsec:.2f} arcsec")
    return log10_false_alarm


def _result(field, polynomial, pairs, solution, settings):
    """WCS and its quality from the final polynomial; refuses one that the stars do not fix."""
    crval, log10_false_alarm = solution
    rms_x, rms_y = (float(np.sqrt(np.mean(residual**2))) for residual in pairs.residuals(polynomial))
    rms_pixel = float(np.hypot(rms_x, rms_y) / np.sqrt(2) / field.scale)
    if rms_pixel > settings["max_rms_pixel"] or polynomial.condition > MAX_CONDITION:
        raise AstrometryFitError(len(pairs), settings["min_matched"], rms_pixel, settings["max_rms_pixel"])
    reduced = polynomial.chi2 / max(2 * len(pairs) - polynomial.coefficients.size, 1)
    polynomial = replace(polynomial, covariance=polynomial.covariance * max(reduced, 1.0))
    ny, nx = field.shape
    corner_x = np.array([-nx, nx, nx, -nx]) / 2
    corner_y = np.array([-ny, -ny, ny, ny]) / 2
    corner_error = float(polynomial.error(corner_x, corner_y).max() * ARCSEC)
    wcs = wcs_from_polynomial(polynomial.coefficients, crval, field.crpix, field.shape)
    header_error = _header_error(wcs, polynomial, field)
    log.info(
        "WCS of order %d from %d stars: rms %.4f, %.4f arcsec, chi2/dof %.2f, corner error %.4f arcsec, "
        "header error %.1e arcsec",
        polynomial.order, len(pairs), rms_x, rms_y, reduced, corner_error, header_error,
    )  # fmt: skip
    return AstrometryResult(
        wcs=wcs,
        fit=WcsFit(
            polynomial.coefficients, polynomial.covariance, len(pairs), rms_x, rms_y, corner_error,
            header_error, log10_false_alarm,
        ),
        source_index=field.source_row[pairs.index],
        reference_index=field.reference_row[pairs.reference_index],
    )  # fmt: skip


def _header_error(wcs, polynomial, field):
    """Largest distance of a WCS as its header gives it from the polynomial, on a grid over the detector [arcsec]."""
    ny, nx = field.shape
    y, x = (
        c.ravel()
        for c in np.meshgrid(*(np.linspace(0, n - 1, CHECKED_SIDE) for n in (ny, nx)), indexing="ij")
    )
    by_header = wcs.pixel_to_plane(x, y)
    by_fit = polynomial.evaluate(x - field.crpix[0], y - field.crpix[1])
    return float(np.hypot(*(a - b for a, b in zip(by_header, by_fit, strict=True))).max() * ARCSEC)
