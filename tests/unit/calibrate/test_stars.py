"""Tests of skyloom.calibrate.stars."""

import numpy as np
import pytest

from skyloom.calibrate.stars import (
    StarCandidates,
    half_sample_mode,
    reserve_stars,
    select_stars,
    stellar_size,
)

SHAPE = (1000, 1000)


def field(rng, n_star=60, n_galaxy=120, gradient=0.1):
    n = n_star + n_galaxy
    x, y = rng.uniform(0, 1000, (2, n))
    signal_to_noise = 10 ** rng.uniform(1.2, 3, n)
    sigma = 1.6 * (1 + gradient * (x / 1000 - 0.5)) * np.exp(rng.normal(0, 0.01, n))
    sigma[n_star:] *= rng.uniform(1.1, 3.0, n_galaxy)
    is_star = np.arange(n) < n_star
    return StarCandidates(x, y, signal_to_noise, sigma, np.ones(n, dtype=bool)), is_star


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mode_is_the_densest_place_whatever_the_tail(seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(1.0, 0.02, 100), rng.uniform(1.2, 4.0, 150)])

    assert half_sample_mode(values) == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize(
    ("values", "mode"), [([2.0], 2.0), ([1.0, 2.0], 1.5), ([0.0, 4.0, 5.0], 4.5), ([0.0, 1.0, 5.0], 0.5)]
)
def test_mode_of_a_few_values(values, mode):
    assert half_sample_mode(np.array(values)) == pytest.approx(mode)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_stars_are_chosen_among_twice_as_many_galaxies_though_their_size_varies(seed, settings):
    candidates, is_star = field(np.random.default_rng(seed))

    chosen = select_stars(candidates, SHAPE, settings["psf"] | {"isolation_fwhm": 0.0})

    bright = is_star & (candidates.signal_to_noise > 50)
    assert chosen[bright].mean() > 0.9
    # A galaxy of 1.1 times the size may hide among stars whose size varies by 10 %.
    assert chosen[~is_star].sum() <= 0.2 * chosen.sum()


def test_few_bright_stars_lower_the_limit(settings):
    candidates, _ = field(np.random.default_rng(4), n_star=10, n_galaxy=0)
    candidates.signal_to_noise[:] = 30.0

    chosen = select_stars(candidates, SHAPE, settings["psf"])

    assert chosen.sum() >= 8


def test_only_the_brightest_are_kept_in_a_rich_field(settings):
    candidates, _ = field(np.random.default_rng(5), n_star=60, n_galaxy=0)

    chosen = select_stars(candidates, SHAPE, settings["psf"] | {"max_stars": 10})

    assert chosen.sum() == 10
    assert candidates.signal_to_noise[chosen].min() > np.median(candidates.signal_to_noise)


def test_stars_with_a_bright_neighbour_or_a_bad_pixel_are_left_out(settings):
    candidates, _ = field(np.random.default_rng(6), n_star=40, n_galaxy=0, gradient=0)
    candidates.signal_to_noise[:] = 100.0
    candidates.x[1], candidates.y[1] = candidates.x[0] + 5, candidates.y[0]
    candidates.x[3], candidates.y[3] = candidates.x[2] + 5, candidates.y[2]
    candidates.signal_to_noise[3] = 1.0
    candidates.is_clean[4] = False

    chosen = select_stars(candidates, SHAPE, settings["psf"])

    assert not chosen[[0, 1, 3, 4]].any()
    assert chosen[2]


def test_nothing_measured_means_no_star(settings):
    nothing = StarCandidates(*(np.full(3, np.nan) for _ in range(4)), np.ones(3, dtype=bool))

    assert np.isnan(stellar_size(nothing, 50.0))
    assert not select_stars(nothing, SHAPE, settings["psf"]).any()


def test_two_faint_detections_still_have_a_size():
    two = StarCandidates(np.r_[1.0, 2], np.r_[1.0, 2], np.r_[7.0, 8], np.r_[1.5, 1.5], np.ones(2, dtype=bool))

    assert stellar_size(two, 50.0) == pytest.approx(1.5)


def test_a_tenth_is_reserved_but_never_below_what_the_fit_needs():
    chosen = np.ones(50, dtype=bool)
    chosen[::5] = False

    reserved = reserve_stars(chosen, 0.1, 8, np.random.default_rng(1))

    assert reserved.sum() == 4
    assert not reserved[~chosen].any()
    assert not reserve_stars(chosen, 0.1, 40, np.random.default_rng(1)).any()
    assert np.array_equal(reserved, reserve_stars(chosen, 0.1, 8, np.random.default_rng(1)))
