"""The fitted WCS against truth, beside the limit set by reference and centroid errors; pulls of its stated error."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from bars import Bars
from blind_fields import CENTRE, REFERENCE_ERROR, SCALE, SHAPE, SIDE, Kind, astrometry_settings, make_field

from skyloom.calibrate.astrometry import fit_astrometry
from skyloom.core.wcs import order_of, polynomial_terms, tan_project
from skyloom.io.exposures import header_from_wcs

SETTINGS = {"rotation_deg": 180.0, "scale_tolerance": 0.03, "parity": "any"}
RICH, POOR = Kind(3000, false=0.1), Kind(450, false=0.1)
LIMIT_FACTOR = 1.3
ASTROPY_ERROR_ARCSEC = 1e-6


def compare(seed, kind):
    """Compare the fit of a field with truth.

    Returns
    -------
    error : ndarray, shape (2, 400)
        Error of the WCS at places all over the detector [arcsec].
    limit : float
        sqrt(p / N) sigma [arcsec]; sigma is that of the average weight.
    pull : ndarray, shape (2, 4)
        Error at the corners over the stated one.
    result : AstrometryResult
        The fit.
    """
    field = make_field(seed, kind)
    result = fit_astrometry(
        field.sources, field.references, field.predicted, 30.0, astrometry_settings(**SETTINGS)
    )
    fit, used = result.fit, result.source_index
    variance = (field.sources.x_err[used] * SCALE) ** 2 + REFERENCE_ERROR**2
    limit = np.sqrt(fit.coefficients.shape[1] / np.sum(1 / variance))
    places = (np.arange(20) + 0.5) * SIDE / 20 - 0.5
    x, y = (c.ravel() for c in np.meshgrid(places, places))
    corner = np.array([-1.0, 1.0, 1.0, -1.0]) * SIDE / 2, np.array([-1.0, -1.0, 1.0, 1.0]) * SIDE / 2
    terms = polynomial_terms(*corner, order_of(fit.coefficients.shape[1]))
    stated = np.sqrt(np.einsum("in,ij,jn->n", terms, fit.covariance, terms)) * 3600
    assert stated.max() == pytest.approx(fit.corner_error_arcsec, rel=1e-6)
    at_corners = _errors(field, result.wcs, corner[0] + CENTRE[0], corner[1] + CENTRE[1])
    return _errors(field, result.wcs, x, y), limit, at_corners / stated, result


def _errors(field, wcs, x, y):
    """East and North errors of a WCS [arcsec]."""
    there = tan_project(*wcs.pixel_to_sky(x, y), *field.truth.crval)
    true = tan_project(*field.truth.pixel_to_sky(x, y), *field.truth.crval)
    return (np.array(there) - np.array(true)) * 3600


def header_error(wcs):
    """Largest distance of a header's WCS, as astropy reads it, from ours [arcsec]."""
    header = fits.Header()
    for key, (value, comment) in header_from_wcs(wcs).items():
        header[key] = (value, comment)
    header["NAXIS"], header["NAXIS1"], header["NAXIS2"] = 2, SHAPE[1], SHAPE[0]
    x, y = (c.ravel() for c in np.meshgrid(*[np.linspace(0, SIDE - 1, 21)] * 2))
    read = WCS(fits.Header.fromstring(header.tostring())).all_pix2world(x, y, 0)
    here, there = tan_project(*read, *wcs.crval), tan_project(*wcs.pixel_to_sky(x, y), *wcs.crval)
    return np.hypot(*(np.array(here) - np.array(there))).max() * 3600


def check(kind, seeds, bars):
    """Hold several fields of a kind, pooled, against the bars."""
    errors, limits, pulls, results = zip(*(compare(seed, kind) for seed in seeds), strict=True)
    limit = np.sqrt(np.mean(np.square(limits)))
    n_star = np.median([result.fit.n_matched for result in results])
    bars.note("stars of a detector, median", n_star)
    bars.note("limit sqrt(p / N) sigma [mas]", 1e3 * limit)
    for axis, name in enumerate(("East", "North")):
        rms = np.sqrt(np.mean([error[axis] ** 2 for error in errors]))
        bars.check(f"rms error of the WCS over the limit, {name}", rms / limit, high=LIMIT_FACTOR)
        if n_star >= 1000:
            bars.check(f"rms error of the WCS, {name} [mas]", 1e3 * rms, high=1.5)
    # Eight values a detector, of which the four corners share some coefficients: about six independent ones.
    spread = 1 / np.sqrt(2 * 6 * len(seeds))
    width = np.sqrt(np.mean(np.square(pulls)))
    bars.check("width of the pulls at the corners", width, low=1 - 3 * spread, high=1 + 3 * spread)
    stated = max(result.fit.header_error_arcsec for result in results)
    read = max(header_error(result.wcs) for result in results)
    bars.check("header's error against the fit, stated [mas]", 1e3 * stated, high=1.0)
    bars.check("header's WCS read by astropy against ours [mas]", 1e3 * read, high=1e3 * ASTROPY_ERROR_ARCSEC)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [RICH, POOR])
def test_the_wcs_is_as_good_as_its_stars_and_says_so(kind):
    bars = Bars(f"WCS of detectors of {kind.n_star} stars")
    check(kind, range(6), bars)
    bars.judge()


@pytest.mark.bars
@pytest.mark.parametrize("kind", [RICH, POOR])
def test_the_wcs_reaches_the_bars_over_many_seeds(kind):
    bars = Bars(f"WCS of 30 detectors of {kind.n_star} stars")
    check(kind, range(300, 330), bars)
    bars.judge()
