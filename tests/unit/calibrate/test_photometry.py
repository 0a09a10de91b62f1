import numpy as np
import pytest

from skyloom.calibrate.photometry import (
    PhotometricStars,
    TooFewPhotometricStarsError,
    ZeroPointScatterError,
    fit_zero_point,
)
from skyloom.core.errors import ImageShapeError

SHAPE = (1024, 1024)
ZERO_POINT = 2.5


def make_settings(**changes):
    """Section calibrate.photometry with the schema's defaults, some of them changed."""
    return {
        "max_order": 3,
        "stars_per_term": 20,
        "min_stars": 5,
        "min_signal_to_noise": 10.0,
        "clip_sigma": 3.5,
        "max_scatter_mag": 0.25,
        "max_variation_mag": 0.01,
    } | changes


def make_stars(rng, n=150, n_outlier=0, colour_scatter=0.0, tilt=0.0):
    """Matched stars with photon noise; the first `n_outlier` of them are wrong by up to a factor of 3."""
    x, y = rng.uniform(0, SHAPE[1], n), rng.uniform(0, SHAPE[0], n)
    reference = 10 ** rng.uniform(3.5, 6, n)
    zero_point = ZERO_POINT * (1 + tilt * (x / 512 - 1))
    error = np.hypot(60.0, np.sqrt(reference / zero_point))
    flux = reference / zero_point * np.exp(rng.normal(0, colour_scatter, n)) + rng.normal(0, error)
    flux[:n_outlier] *= rng.uniform(0.3, 3.0, n_outlier)
    reference_error = 0.005 * reference
    return PhotometricStars(x, y, flux, error, reference + rng.normal(0, reference_error), reference_error)


@pytest.mark.parametrize("n_outlier", [0, 30])
def test_a_constant_zero_point_is_right_within_its_error_with_and_without_outliers(n_outlier):
    pulls = []
    for seed in range(40):
        stars = make_stars(np.random.default_rng(seed), n_outlier=n_outlier)
        result = fit_zero_point(stars, SHAPE, make_settings())
        value = float(result.photo_calib.evaluate(500.0, 500.0))
        pulls.append((value - ZERO_POINT) / result.photo_calib.error(500.0, 500.0)[0])

    assert abs(np.mean(pulls)) < 4 / np.sqrt(len(pulls))
    assert 0.6 < np.std(pulls) < 1.3


def test_outliers_are_named_as_not_used():
    stars = make_stars(np.random.default_rng(1), n_outlier=20)
    stars.flux[:20] *= 5.0

    result = fit_zero_point(stars, SHAPE, make_settings())

    assert not result.used[:20].any()
    assert result.used[20:].mean() > 0.9
    assert result.fit.n_star == result.used.sum()


def test_scatter_beyond_the_errors_is_measured_and_keeps_bright_stars_from_ruling():
    errors, scatters = [], []
    for seed in range(20):
        stars = make_stars(np.random.default_rng(seed), colour_scatter=0.05)
        result = fit_zero_point(stars, SHAPE, make_settings())
        errors.append(float(result.photo_calib.evaluate(512.0, 512.0)) / ZERO_POINT - 1)
        scatters.append(result.fit.scatter_mag)

    assert np.std(errors) < 1.5 * 0.05 / np.sqrt(150)
    assert np.mean(scatters) == pytest.approx(0.05 * 1.0857, rel=0.2)


def test_a_map_follows_a_tilt_when_there_are_stars_enough():
    stars = make_stars(np.random.default_rng(2), n=300, tilt=0.05)

    result = fit_zero_point(stars, SHAPE, make_settings())

    assert result.photo_calib.coefficients.shape[0] > 1
    for x in (100.0, 500.0, 900.0):
        truth = ZERO_POINT * (1 + 0.05 * (x / 512 - 1))
        error = result.photo_calib.error(x, 500.0)[0]
        assert float(result.photo_calib.evaluate(x, 500.0)) == pytest.approx(truth, abs=4 * error)
        assert error < 0.01 * truth


@pytest.mark.parametrize(("n", "side"), [(30, 1), (70, 2), (130, 3)])
def test_the_order_of_the_map_is_limited_by_the_number_of_stars(n, side):
    stars = make_stars(np.random.default_rng(3), n=n)
    # A bump needs more than the order that so few stars may have.
    bump = np.exp(-((stars.x - 250) ** 2 + (stars.y - 700) ** 2) / 300**2)
    stars.flux[:] *= 1 + 0.2 * bump

    result = fit_zero_point(stars, SHAPE, make_settings(max_order=4))

    assert result.photo_calib.coefficients.shape == (side, side)


def test_a_uniform_detector_mostly_keeps_a_constant_zero_point_and_no_remark():
    results = [
        fit_zero_point(make_stars(np.random.default_rng(seed), n=250), SHAPE, make_settings())
        for seed in range(20)
    ]

    assert np.mean([result.photo_calib.coefficients.size == 1 for result in results]) > 0.6
    assert [result.fit.remark for result in results if result.fit.remark] == []
    assert all(result.fit.variation_mag < 0.01 for result in results)


def test_a_zero_point_that_varies_is_told_with_its_range():
    stars = make_stars(np.random.default_rng(2), n=300, tilt=0.02)

    result = fit_zero_point(stars, SHAPE, make_settings())

    assert result.fit.variation_mag == pytest.approx(0.04 * 1.0857, abs=0.012)
    assert "zero point varies by 0.0" in result.fit.remark
    assert "expected at most 0.010: clouds" in result.fit.remark


def test_what_the_map_cannot_follow_is_told_from_the_residuals_in_cells():
    stars = make_stars(np.random.default_rng(9), n=1500)
    stars.flux[:] *= 1 + 0.02 * np.sign(np.sin(stars.x / 80) * np.sin(stars.y / 80))

    result = fit_zero_point(stars, SHAPE, make_settings(max_order=0))

    assert result.fit.variation_mag > 0.01


def test_too_few_stars_do_not_say_whether_the_zero_point_varies():
    result = fit_zero_point(make_stars(np.random.default_rng(10), n=40), SHAPE, make_settings())

    assert np.isnan(result.fit.variation_mag)
    assert result.fit.remark == ""


def test_stars_without_a_usable_flux_are_left_out():
    stars = make_stars(np.random.default_rng(4), n=40)
    stars.reference_flux[:5] = np.nan
    stars.flux[5:8] = -10.0
    stars.flux[8:10] = 0.0

    result = fit_zero_point(stars, SHAPE, make_settings())

    assert not result.used[:10].any()
    assert np.isfinite(result.photo_calib.evaluate(0.0, 0.0))


def test_too_few_stars_are_refused_with_their_number():
    stars = make_stars(np.random.default_rng(5), n=4)

    with pytest.raises(TooFewPhotometricStarsError, match="4 of 4 matched stars .* need 5"):
        fit_zero_point(stars, SHAPE, make_settings())


def test_stars_that_disagree_beyond_clipping_are_refused():
    stars = make_stars(np.random.default_rng(6), n=6)
    stars.flux[:] *= np.array([1.0, 10.0, 100.0, 1e3, 1e4, 1e5])

    with pytest.raises((TooFewPhotometricStarsError, ZeroPointScatterError)):
        fit_zero_point(stars, SHAPE, make_settings(clip_sigma=2.0))


def test_clipping_below_the_least_number_is_refused():
    stars = make_stars(np.random.default_rng(8), n=7)
    stars.flux[:3] *= 20.0

    with pytest.raises(TooFewPhotometricStarsError, match="4 of 7 matched stars"):
        fit_zero_point(stars, SHAPE, make_settings())


def test_a_large_scatter_is_refused_with_its_size():
    stars = make_stars(np.random.default_rng(7), colour_scatter=0.5)

    with pytest.raises(ZeroPointScatterError, match=r"stars scatter by 0\.[3-7]"):
        fit_zero_point(stars, SHAPE, make_settings())


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ImageShapeError, match="flux_err"):
        PhotometricStars(*(np.zeros(3) for _ in range(3)), np.zeros(2), np.zeros(3), np.zeros(3))
