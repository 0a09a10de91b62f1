from dataclasses import replace

import numpy as np
import pytest
from scipy.special import bdtrc

from skyloom.algorithms.matching import (
    PatternSearch,
    Similarity,
    log10_chance,
    match_nearest,
    match_pattern,
)

NARROW = PatternSearch(
    offset=60.0, rotation=1.5, scale_tolerance=0.015, any_parity=False, tolerance=1.0, max_false_alarm=1e-6
)
ANY = PatternSearch(
    offset=60.0, rotation=180.0, scale_tolerance=0.03, any_parity=True, tolerance=1.0, max_false_alarm=1e-6
)


def make_sky(rng, n_star=60, half_size=100.0, reach=160.0):
    """Star positions over a wide square, brightest first, and which of them lie in the frame."""
    n = int(n_star * (reach / half_size) ** 2)
    x, y = rng.uniform(-reach, reach, (2, n))
    return x, y, (np.abs(x) < half_size) & (np.abs(y) < half_size)


def seen_through(similarity, x, y):
    """Where the frame shows stars that the similarity takes to (x, y)."""
    z = (x + 1j * y - similarity.offset) / similarity.factor
    z = np.conj(z) if similarity.mirrored else z
    return z.real, z.imag


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_shifted_and_rotated_pattern_is_found_to_the_centroid_error(seed):
    rng = np.random.default_rng(seed)
    x, y, inside = make_sky(rng)
    truth = Similarity(1.01 * np.exp(1j * np.radians(-1.0)), 40.0 - 35.0j)
    source_x, source_y = seen_through(truth, x[inside], y[inside])
    source_x, source_y = (c + rng.normal(0, 0.1, c.size) for c in (source_x, source_y))

    match = match_pattern(source_x, source_y, x, y, NARROW)

    n = min(inside.sum(), 30)
    assert match.log10_false_alarm < -6
    assert abs(match.similarity.offset - truth.offset) < 5 * 0.1 * np.sqrt(2 / n)
    assert abs(match.similarity.factor - truth.factor) < 5 * 0.1 / 57.7 / np.sqrt(n)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0.0, 77.0, 180.0, -150.0])
def test_any_rotation_and_either_parity_are_found_when_asked_for(degrees, mirrored):
    rng = np.random.default_rng(4)
    x, y, inside = make_sky(rng)
    truth = Similarity(0.98 * np.exp(1j * np.radians(degrees)), -30.0 + 20.0j, mirrored)
    source_x, source_y = seen_through(truth, x[inside], y[inside])

    match = match_pattern(source_x, source_y, x, y, ANY)

    assert match.similarity.mirrored is mirrored
    assert abs(match.similarity.factor - truth.factor) < 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_half_of_the_references_missing_and_a_third_of_the_sources_false_still_match(seed):
    rng = np.random.default_rng(seed)
    x, y, inside = make_sky(rng)
    truth = Similarity(np.exp(1j * np.radians(0.7)), 25.0 + 30.0j)
    source_x, source_y = seen_through(truth, x[inside], y[inside])
    is_false = rng.random(source_x.size) < 0.33
    source_x[is_false], source_y[is_false] = rng.uniform(-100, 100, (2, is_false.sum()))
    known = rng.random(x.size) < 0.5

    match = match_pattern(source_x, source_y, x[known], y[known], NARROW)

    assert match.log10_false_alarm < -6
    assert abs(match.similarity.offset - truth.offset) < 0.5


def test_sources_whose_brightest_stars_are_not_in_the_catalogue_match_by_the_fainter_ones():
    rng = np.random.default_rng(8)
    x, y, inside = make_sky(rng, n_star=120)
    truth = Similarity(1.0 + 0j, 10.0 - 5.0j)
    source_x, source_y = seen_through(truth, x[inside], y[inside])
    missing = np.flatnonzero(inside)[:40]
    known = np.setdiff1d(np.arange(x.size), missing)

    match = match_pattern(source_x, source_y, x[known], y[known], NARROW)

    assert match.log10_false_alarm < -6
    assert abs(match.similarity.offset - truth.offset) < 1e-9


@pytest.mark.parametrize("seed", range(10))
def test_unrelated_patterns_are_never_significant(seed):
    rng = np.random.default_rng(seed)
    x, y, inside = make_sky(rng, n_star=40)
    other_x, other_y, _ = make_sky(rng, n_star=40)

    match = match_pattern(x[inside], y[inside], other_x, other_y, NARROW)

    assert match.log10_false_alarm > -4
    assert match.n_trials > 100
    assert match.n_matched < 0.5 * match.n_tested


@pytest.mark.parametrize("limit", ["offset", "rotation"])
def test_a_pattern_beyond_the_limits_of_the_search_is_not_found(limit):
    rng = np.random.default_rng(5)
    x, y, inside = make_sky(rng, reach=250.0)
    truth = {
        "offset": Similarity(1.0 + 0j, 90.0 + 0j),
        "rotation": Similarity(np.exp(1j * np.radians(10.0)), 0j),
    }[limit]
    source_x, source_y = seen_through(truth, x[inside], y[inside])

    match = match_pattern(source_x, source_y, x, y, NARROW)

    assert match.log10_false_alarm > -4


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_than_three_sources_give_no_similarity(n):
    rng = np.random.default_rng(6)
    x, y, _ = make_sky(rng)

    match = match_pattern(x[:n], y[:n], x, y, NARROW)

    assert match.similarity is None
    assert match.log10_false_alarm == 0


@pytest.mark.parametrize("is_related", [True, False])
def test_a_wide_search_of_any_rotation_decides_in_the_same_way(is_related):
    rng = np.random.default_rng(9)
    wide = replace(ANY, offset=500.0)
    x, y, _ = make_sky(rng, n_star=20, reach=500.0)
    source_x, source_y = seen_through(Similarity(np.exp(2j), 300.0 + 100.0j, True), x, y)
    seen = (np.abs(source_x) < 100) & (np.abs(source_y) < 100)
    if not is_related:
        source_x, source_y = rng.uniform(-100, 100, (2, x.size))

    match = match_pattern(source_x[seen], source_y[seen], x, y, wide)

    assert (match.log10_false_alarm < -6) is is_related
    assert match.n_trials > 1000


def test_sources_on_one_spot_give_no_similarity():
    rng = np.random.default_rng(7)
    x, y, _ = make_sky(rng)

    match = match_pattern(np.zeros(20), np.zeros(20), x, y, NARROW)

    assert match.similarity is None


def test_nearest_matches_are_mutual_and_within_the_radius():
    x, y = np.array([0.0, 10.0, 10.4, 50.0]), np.zeros(4)
    reference_x, reference_y = np.array([10.1, 0.3, 52.0]), np.zeros(3)

    index, reference_index, distance = match_nearest(x, y, reference_x, reference_y, 1.0)

    assert index.tolist() == [0, 1]
    assert reference_index.tolist() == [1, 0]
    assert distance == pytest.approx([0.3, 0.1])


def test_an_empty_list_matches_nothing():
    index, reference_index, distance = match_nearest(np.zeros(0), np.zeros(0), np.ones(3), np.ones(3), 5.0)

    assert len(index) == len(reference_index) == len(distance) == 0


def test_the_chance_bound_is_above_the_exact_binomial_tail():
    for n, k, p in ((30, 6, 0.03), (30, 25, 0.3), (100, 9, 0.01)):
        exact = np.log10(bdtrc(k - 1, n, p))
        assert exact <= log10_chance(k, n, p) < exact + 1.5


def test_counts_at_or_below_expectation_have_no_significance():
    assert log10_chance(3, 100, 0.03) == 0
    assert log10_chance(0, 100, 0.03) == 0
