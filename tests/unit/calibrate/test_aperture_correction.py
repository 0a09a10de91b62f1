"""Tests of skyloom.calibrate.aperture_correction."""

import numpy as np
import pytest

from skyloom.calibrate.aperture_correction import fit_aperture_correction

SHAPE = (1000, 1200)


def simulated(rng, n, error=0.01, slope=0.0):
    x, y = rng.uniform(0, 1200, n), rng.uniform(0, 1000, n)
    truth = 1.02 + slope * (x / 600 - 1)
    return (x, y), truth + rng.normal(0, error, n), np.full(n, error)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_correction_and_its_error_are_right(seed, settings):
    positions, ratio, ratio_err = simulated(np.random.default_rng(seed), 60)

    ap_corr = fit_aperture_correction(positions, ratio, ratio_err, SHAPE, settings["measurement"])

    x, y = np.array([100.0, 600.0, 1100.0]), np.array([900.0, 500.0, 50.0])
    assert np.all(np.abs(ap_corr.evaluate(x, y) - 1.02) < 4 * ap_corr.error(x, y))
    assert ap_corr.error(600.0, 500.0)[0] == pytest.approx(0.01 / np.sqrt(60), rel=0.2)


def test_a_gradient_is_followed_when_the_stars_show_it(settings):
    positions, ratio, ratio_err = simulated(np.random.default_rng(4), 400, slope=0.01)

    ap_corr = fit_aperture_correction(positions, ratio, ratio_err, SHAPE, settings["measurement"])

    assert ap_corr.evaluate(1199.5, 500.0) - ap_corr.evaluate(-0.5, 500.0) == pytest.approx(0.02, abs=0.007)


def test_few_noisy_stars_give_a_constant(settings):
    positions, ratio, ratio_err = simulated(np.random.default_rng(5), 5, error=0.05)

    ap_corr = fit_aperture_correction(positions, ratio, ratio_err, SHAPE, settings["measurement"])

    assert np.ptp(ap_corr.image((100, 120))) < 0.01


def test_stars_with_a_neighbour_are_clipped(settings):
    positions, ratio, ratio_err = simulated(np.random.default_rng(6), 60)
    ratio[:6] += 0.3
    ratio[6] = np.nan

    ap_corr = fit_aperture_correction(positions, ratio, ratio_err, SHAPE, settings["measurement"])

    assert ap_corr.evaluate(600.0, 500.0) == pytest.approx(1.02, abs=4 * 0.01 / np.sqrt(53))


def test_two_stars_that_disagree_are_both_kept(settings):
    positions = (np.r_[100.0, 900.0], np.r_[100.0, 900.0])

    ap_corr = fit_aperture_correction(
        positions, np.r_[1.0, 2.0], np.r_[1e-3, 1e-3], SHAPE, settings["measurement"]
    )

    assert ap_corr.evaluate(500.0, 500.0) == pytest.approx(1.5, abs=0.1)


def test_without_stars_the_correction_is_one_with_its_prior_as_error(settings):
    none = np.zeros(0)

    ap_corr = fit_aperture_correction((none, none), none, none, SHAPE, settings["measurement"])

    assert ap_corr.evaluate(3.0, 4.0) == 1.0
    assert ap_corr.error(3.0, 4.0)[0] == settings["measurement"]["aperture_correction_variation"]
