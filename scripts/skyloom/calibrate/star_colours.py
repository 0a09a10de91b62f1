"""Colours of a detector's stars, taken from the reference stars that a first WCS puts on them."""

import logging
from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.matching import match_nearest
from skyloom.calibrate.astrometry import SourcePositions, solve_astrometry
from skyloom.core.errors import DataError

log = logging.getLogger(__name__)

# Of the WCS's residuals along both axes: loses one star in 270,000, as the astrometry's own radius.
RADIUS_SIGMA = 5.0


@dataclass(frozen=True, slots=True)
class StarColours:
    """Reference stars on the pixels of a detector, with their colours; none where there is a remark.

    Attributes
    ----------
    name : str
        The colour: columns of the reference catalogue.
    x, y : ndarray, shape (n,), float64
        Where the first WCS puts them [pixel].
    colour : ndarray, shape (n,), float64
        [mag], NaN where unknown.
    radius : float
        Within which a source is one of them [pixel].
    remark : str
        Why there are no colours.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: np.ndarray
    radius: float
    remark: str = ""

    def at(self, x, y):
        """Colours of sources (ndarray, shape (m,), float64): NaN for those that are no reference star [mag].

        Parameters
        ----------
        x, y : ndarray, shape (m,), float64
            Positions [pixel]; may be NaN.
        """
        colours = np.full(len(x), np.nan)
        known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        index, star, _ = match_nearest(x[known], y[known], self.x, self.y, self.radius)
        colours[known[index]] = self.colour[star]
        return colours


def star_colours(points, exposure, references, predicted_wcs, settings):
    """Colours of the stars that a colour term of the PSF is fitted to.

    Parameters
    ----------
    points : PointSources
        Bright detections fitted as points.
    exposure : Exposure
        It may bring its PSF; its pointing's uncertainty counts.
    references : ReferenceStars or None
        Reference stars, with colours if the catalogue has them.
    predicted_wcs : Wcs
        As for `fit_astrometry`.
    settings : dict
        Section ``calibrate``.

    Returns
    -------
    StarColours
        With a remark where there is no such term to be fitted or nothing matches: the final astrometry decides
        whether that is an error.
    """
    remark = _hindrance(exposure, references, settings["psf"])
    if not remark:
        try:
            return _matched(points, exposure.info, references, predicted_wcs, settings)
        except DataError as error:
            remark = f"no WCS for the stars' colours: {error}"
    log.info("PSF without a colour term: %s", remark)
    nothing = np.zeros(0)
    return StarColours("", nothing, nothing, nothing, 0.0, remark)


def _hindrance(exposure, references, settings):
    """Return why no colour term is fitted, empty if one is (str)."""
    if exposure.psf is not None:
        return "the PSF is given"
    if settings["model"] != "pixels":
        return f"the PSF is that of {settings['model']}"
    if references is None or references.colour is None:
        return "no colours in a reference catalogue: see reference.colour"
    return ""


def _matched(points, info, references, predicted_wcs, settings):
    """Reference stars where a WCS of the stars among the points puts them."""
    fit, astrometry = points.fit, settings["astrometry"]
    with np.errstate(invalid="ignore"):
        is_bright = fit.flux > settings["measurement"]["calibration_signal_to_noise"] * fit.flux_err
    stars = fit.select(points.is_subtracted & is_bright)
    sources = SourcePositions(stars.x, stars.y, stars.x_err, stars.y_err, stars.flux)
    result = solve_astrometry(sources, references, predicted_wcs, info.pointing_uncertainty, astrometry)
    x, y = result.wcs.sky_to_pixel(references.ra, references.dec)
    is_near = np.isfinite(x) & np.isfinite(y)
    radius = _radius(result, astrometry)
    return StarColours(references.colour_name, x[is_near], y[is_near], references.colour[is_near], radius)


def _radius(result, settings):
    """Within which sources match [pixel] (float): what the fitted WCS scatters by; a given one is not known so well."""
    if result.fit is None:
        return float(settings["tolerance_pixel"])
    scatter = np.hypot(result.fit.rms_x_arcsec, result.fit.rms_y_arcsec) / result.wcs.pixel_scale()
    return float(max(settings["min_radius_pixel"], RADIUS_SIGMA * scatter))
