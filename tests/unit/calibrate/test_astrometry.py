import numpy as np
import pytest

from skyloom.algorithms.plane_polynomial import wcs_from_polynomial
from skyloom.calibrate.astrometry import (
    AstrometryMatchError,
    SourcePositions,
    fit_astrometry,
    require_significance,
    search_region,
)
from skyloom.calibrate.star_field import TooFewAstrometricSourcesError, TooFewReferenceStarsError
from skyloom.calibrate.wcs_fit import AstrometryFitError, MatchedStars, fit_best_order, fit_clipped
from skyloom.core.errors import ImageShapeError
from skyloom.core.reference import ReferenceStars
from skyloom.core.wcs import Wcs, tan_deproject, tan_project

SIDE = 1024
SHAPE = (SIDE, SIDE)
SCALE = 0.2 / 3600
CENTRE = np.array([(SIDE - 1) / 2] * 2)
RA, DEC = 150.0, 2.2
REFERENCE_ERROR = 0.005


def make_settings(**changes):
    """Section calibrate.astrometry with the schema's defaults, some of them changed."""
    search = {"min_offset_arcsec": 120.0, "rotation_deg": 1.5, "scale_tolerance": 0.015, "parity": "camera"}
    settings = {
        "tolerance_pixel": 6.0,
        "min_radius_pixel": 1.0,
        "max_order": 3,
        "clip_sigma": 4.0,
        "floor_arcsec": 0.003,
        "min_matched": 5,
        "max_false_alarm": 1e-6,
        "max_rms_pixel": 1.0,
    }
    search |= {key: changes.pop(key) for key in list(changes) if key in search}
    return settings | {"search": search} | changes


def predicted():
    """The WCS that camera and pointing promise."""
    return Wcs(np.array([RA, DEC]), CENTRE, np.diag([-SCALE, SCALE]), shape=SHAPE)


def make_truth(
    rng, offset_arcsec=60.0, rotation=1.0, distortion=3.0, scale_error=0.0, dec=DEC, mirrored=False
):
    """True WCS: off in pointing, rotation and scale, with a cubic distortion of a few pixels at the edge."""
    half, scale = SIDE / 2, SCALE * (1 + scale_error)
    turn = np.radians(rotation)
    coefficients = rng.normal(0, distortion / 3, (2, 10)) * scale
    coefficients[:, 3:6] /= half**2
    coefficients[:, 6:] /= half**3
    coefficients[:, 0] = 0
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    coefficients[:, 1:3] = matrix @ np.diag([scale if mirrored else -scale, scale])
    direction = rng.uniform(0, 2 * np.pi)
    offset = offset_arcsec / 3600
    crval = tan_deproject(offset * np.cos(direction), offset * np.sin(direction), RA, dec)
    return wcs_from_polynomial(coefficients, [float(c) for c in crval], CENTRE, SHAPE)


def make_sky(rng, wcs, n_star=120, reach=2.0):
    """Stars around a detector, brightest first: ra, dec, flux."""
    n = rng.poisson(n_star * reach**2)
    dx, dy = rng.uniform(-SIDE / 2 * reach, SIDE / 2 * reach, (2, n))
    flux = np.sort(1e3 * (1 - rng.random(n)) ** -1.3)[::-1]
    ra, dec = tan_deproject(*(wcs.cd @ np.array([dx, dy])), *wcs.crval)
    return ra, dec, flux


def observe(rng, wcs, sky, n_false=60):
    """Sources as measured: stars of the sky on the detector with noise, and false ones."""
    with np.errstate(invalid="ignore"):
        x, y = wcs.sky_to_pixel(sky[0], sky[1])
        on_detector = (x > 0) & (x < SIDE) & (y > 0) & (y < SIDE)
    x, y, flux = x[on_detector], y[on_detector], sky[2][on_detector]
    error = np.maximum(1.7 / (flux / 1e3 * 15), 0.004)
    false_flux = rng.choice(flux, n_false)
    return SourcePositions(
        x=np.concatenate([x + rng.normal(0, error), rng.uniform(0, SIDE, n_false)]),
        y=np.concatenate([y + rng.normal(0, error), rng.uniform(0, SIDE, n_false)]),
        x_err=np.concatenate([error, np.full(n_false, 0.1)]),
        y_err=np.concatenate([error, np.full(n_false, 0.1)]),
        flux=np.concatenate([flux, false_flux]),
    )


def catalogue(rng, sky, complete=0.8, n_false_per_star=0.3):
    """Reference stars: part of the sky with errors, and false ones of the same brightness."""
    known = rng.random(len(sky[0])) < complete
    ra, dec, flux = (c[known] for c in sky)
    n_false = int(n_false_per_star * len(ra))
    ra = np.concatenate([ra, rng.uniform(ra.min(), ra.max(), n_false)])
    dec = np.concatenate([dec, rng.uniform(dec.min(), dec.max(), n_false)])
    flux = np.concatenate([flux, rng.choice(flux, n_false)])
    n = len(ra)
    error = np.full(n, REFERENCE_ERROR)
    ra = ra + rng.normal(0, error) / 3600 / np.cos(np.radians(dec))
    dec = dec + rng.normal(0, error) / 3600
    return ReferenceStars(np.arange(n), ra, dec, error, error, flux * 2.5, flux * 0.02)


def grid_errors(truth, wcs):
    """Distance of two WCS at a grid of pixels, East and North [arcsec]."""
    x, y = (c.ravel() for c in np.meshgrid(np.linspace(0, SIDE - 1, 9), np.linspace(0, SIDE - 1, 9)))
    ra, dec = truth.pixel_to_sky(x, y)
    xi, eta = tan_project(*wcs.pixel_to_sky(x, y), *truth.crval)
    true_xi, true_eta = tan_project(ra, dec, *truth.crval)
    return (xi - true_xi) * 3600, (eta - true_eta) * 3600


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_field_off_by_an_arcminute_and_a_degree_is_solved_to_a_few_mas(seed):
    rng = np.random.default_rng(seed)
    truth = make_truth(rng)
    sky = make_sky(rng, truth)

    result = fit_astrometry(observe(rng, truth, sky), catalogue(rng, sky), predicted(), 60.0, make_settings())

    east, north = grid_errors(truth, result.wcs)
    # Ten coefficients of about 90 stars with 5 mas references and centroids of some 10 mas.
    assert np.median(np.abs(east)) < 0.010
    assert np.median(np.abs(north)) < 0.010
    assert result.fit.n_matched > 60
    assert np.hypot(east, north).max() < 6 * result.fit.corner_error_arcsec + 0.005


def test_an_offset_of_three_arcminutes_and_a_scale_error_of_one_per_cent_are_solved():
    rng = np.random.default_rng(5)
    truth = make_truth(rng, offset_arcsec=180.0, scale_error=0.01)
    sky = make_sky(rng, truth, reach=3.5)

    result = fit_astrometry(
        observe(rng, truth, sky), catalogue(rng, sky), predicted(), 190.0, make_settings()
    )

    assert np.hypot(*grid_errors(truth, result.wcs)).max() < 0.1


def test_near_the_pole_the_turn_of_the_meridians_is_followed():
    rng = np.random.default_rng(6)
    truth = make_truth(rng, offset_arcsec=150.0, dec=85.0)
    sky = make_sky(rng, truth, reach=3.0)
    wcs = Wcs(np.array([RA, 85.0]), CENTRE, np.diag([-SCALE, SCALE]), shape=SHAPE)

    settings = make_settings(rotation_deg=3.0)
    result = fit_astrometry(observe(rng, truth, sky), catalogue(rng, sky), wcs, 160.0, settings)

    assert np.hypot(*grid_errors(truth, result.wcs)).max() < 0.1


def test_an_unknown_rotation_and_parity_are_found_when_asked_for():
    rng = np.random.default_rng(7)
    truth = make_truth(rng, rotation=140.0, mirrored=True)
    sky = make_sky(rng, truth)
    settings = make_settings(rotation_deg=180.0, parity="any", scale_tolerance=0.03)

    result = fit_astrometry(observe(rng, truth, sky), catalogue(rng, sky), predicted(), 60.0, settings)

    assert np.hypot(*grid_errors(truth, result.wcs)).max() < 0.1


@pytest.mark.parametrize("n_star", [20, 40, 1500])
def test_sparse_and_crowded_fields_are_solved(n_star):
    rng = np.random.default_rng(n_star)
    truth = make_truth(rng, distortion=0.5)
    sky = make_sky(rng, truth, n_star=n_star)
    sources = observe(rng, truth, sky, n_false=n_star // 2)

    result = fit_astrometry(sources, catalogue(rng, sky), predicted(), 60.0, make_settings())

    assert np.median(np.hypot(*grid_errors(truth, result.wcs))) < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_a_wrong_part_of_the_sky_is_refused_with_the_numbers(seed):
    rng = np.random.default_rng(seed)
    truth = make_truth(rng)
    sources = observe(rng, truth, make_sky(rng, truth))
    other = catalogue(rng, make_sky(rng, truth))

    with pytest.raises(
        AstrometryMatchError, match=r"matches \d+ of \d+ sources where chance gives"
    ) as caught:
        fit_astrometry(sources, other, predicted(), 60.0, make_settings())

    assert caught.value.reason == "AstrometryMatch"
    assert caught.value.log10_false_alarm > caught.value.needed
    assert caught.value.n_matched <= caught.value.n_tested


def test_used_rows_are_those_of_the_given_tables():
    rng = np.random.default_rng(9)
    truth = make_truth(rng)
    sky = make_sky(rng, truth)
    sources, references = observe(rng, truth, sky), catalogue(rng, sky)

    result = fit_astrometry(sources, references, predicted(), 60.0, make_settings())

    ra, dec = result.wcs.pixel_to_sky(sources.x[result.source_index], sources.y[result.source_index])
    xi, eta = tan_project(
        references.ra[result.reference_index], references.dec[result.reference_index], *result.wcs.crval
    )
    xi_source, eta_source = tan_project(ra, dec, *result.wcs.crval)
    assert (
        len(np.unique(result.source_index)) == len(np.unique(result.reference_index)) == result.fit.n_matched
    )
    assert np.sqrt(np.mean((xi - xi_source) ** 2)) * 3600 == pytest.approx(result.fit.rms_x_arcsec, rel=1e-6)
    assert np.sqrt(np.mean((eta - eta_source) ** 2)) * 3600 == pytest.approx(
        result.fit.rms_y_arcsec, rel=1e-6
    )


def test_false_rows_and_rows_without_value_change_nothing():
    rng = np.random.default_rng(10)
    truth = make_truth(rng)
    sky = make_sky(rng, truth)
    sources, references = observe(rng, truth, sky), catalogue(rng, sky)
    dirty = SourcePositions(
        *(np.concatenate([getattr(sources, name), [np.nan, 5.0]]) for name in sources.__slots__)
    )
    dirty.flux[-1] = -3.0

    clean_result = fit_astrometry(sources, references, predicted(), 60.0, make_settings())
    result = fit_astrometry(dirty, references, predicted(), 60.0, make_settings())

    assert np.array_equal(result.source_index, clean_result.source_index)
    assert np.array_equal(result.wcs.pv1, clean_result.wcs.pv1)


def test_references_without_flux_can_be_matched():
    rng = np.random.default_rng(11)
    truth = make_truth(rng)
    sky = make_sky(rng, truth, n_star=40, reach=1.5)
    references = catalogue(rng, sky, n_false_per_star=0.0)
    blank = np.full(len(references), np.nan)
    names = ("id", "ra", "dec", "ra_err", "dec_err")
    references = ReferenceStars(*(getattr(references, name) for name in names), blank, blank)

    result = fit_astrometry(observe(rng, truth, sky, 20), references, predicted(), 60.0, make_settings())

    assert np.median(np.hypot(*grid_errors(truth, result.wcs))) < 0.1


def test_a_detector_without_stars_is_refused():
    empty = np.zeros(0)
    references = catalogue(np.random.default_rng(1), make_sky(np.random.default_rng(1), predicted()))

    with pytest.raises(TooFewAstrometricSourcesError, match="0 sources .* need 5"):
        fit_astrometry(
            SourcePositions(empty, empty, empty, empty, empty), references, predicted(), 60.0, make_settings()
        )


def test_a_catalogue_that_ends_before_the_field_is_refused():
    rng = np.random.default_rng(12)
    truth = make_truth(rng)
    sky = make_sky(rng, truth)
    references = catalogue(rng, (sky[0] + 20.0, sky[1], sky[2]))

    with pytest.raises(TooFewReferenceStarsError, match=r"0 reference stars within \d+ arcsec of ra 150.0"):
        fit_astrometry(observe(rng, truth, sky), references, predicted(), 60.0, make_settings())


def test_a_fit_that_scatters_too_much_is_refused():
    rng = np.random.default_rng(13)
    truth = make_truth(rng)
    sky = make_sky(rng, truth)

    with pytest.raises(AstrometryFitError, match="has a scatter of 0.0"):
        fit_astrometry(
            observe(rng, truth, sky),
            catalogue(rng, sky),
            predicted(),
            60.0,
            make_settings(max_rms_pixel=0.01),
        )


def test_a_fit_without_enough_stars_left_is_refused():
    n = 4
    rng = np.random.default_rng(14)
    pairs = MatchedStars(*rng.uniform(-1, 1, (4, n)), np.ones(n), np.arange(n), np.arange(n))

    with pytest.raises(AstrometryFitError, match=r"WCS fit of 4 stars \(need 5\)"):
        fit_clipped(pairs, 1, 512.0, make_settings())


def test_a_final_match_that_displaced_copies_reach_too_is_refused():
    rng = np.random.default_rng(16)
    sources, dense = rng.uniform(0, 0.05, (2, 100)), rng.uniform(-0.05, 0.1, (2, 18000))

    with pytest.raises(AstrometryMatchError, match="final radius 5.00 arcsec"):
        require_significance(tuple(sources), tuple(dense), 5.0, 1e-6)
    require_significance(tuple(sources), tuple(sources + 1e-6), 1.0, 1e-6)


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ImageShapeError, match="x_err"):
        SourcePositions(np.zeros(3), np.zeros(3), np.zeros(2), np.zeros(3), np.zeros(3))


@pytest.mark.parametrize(("distortion", "order"), [(0.0, 1), (20.0, 3)])
def test_the_order_follows_the_data(distortion, order):
    rng = np.random.default_rng(15)
    truth = make_truth(rng, offset_arcsec=0.0, rotation=0.0, distortion=distortion)
    n = 60
    dx, dy = rng.uniform(-512, 512, (2, n))
    xi, eta = truth.pixel_to_plane(dx + CENTRE[0], dy + CENTRE[1])
    error = np.full(n, 0.01 / 3600)
    rows = np.arange(n)
    pairs = MatchedStars(dx, dy, xi + rng.normal(0, error), eta + rng.normal(0, error), error, rows, rows)

    fit = fit_best_order(pairs, 3, 512.0)

    assert fit.order == order
    assert fit_best_order(pairs.select(rows[:5]), 3, 512.0).order == 1


def test_the_search_region_holds_the_detector_and_the_lever_arm_of_the_rotation():
    wcs = predicted().shifted(-10000.0, 0.0)

    ra, dec, radius = search_region(wcs, 30.0, make_settings(rotation_deg=1.0))

    centre = wcs.pixel_to_sky(*CENTRE)
    assert (ra, dec) == pytest.approx((float(centre[0]), float(centre[1])))
    half_diagonal = np.hypot(512, 512) * 0.2 * 1.015
    lever = 10000 * 0.2 * np.radians(1.0)
    assert radius * 3600 == pytest.approx(half_diagonal + 120.0 + lever, rel=1e-3)
