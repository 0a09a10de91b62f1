"""Least squares without negative weights."""

import numpy as np
import pytest
from scipy.optimize import nnls

from skyloom.algorithms.nonnegative_fit import unexplained_part


@pytest.mark.parametrize("seed", range(8))
def test_the_rest_is_that_of_the_best_positive_sum(seed):
    rng = np.random.default_rng(seed)
    vectors = np.maximum(rng.normal(size=(25, 2000)), 0)
    vectors[:, 1000:] = vectors[:, :1000] + 1e-6 * rng.random((25, 1000))
    target = rng.normal(size=25)

    rest = unexplained_part(vectors, target)

    weights, distance = nnls(vectors, target)
    np.testing.assert_allclose(rest, target - vectors @ weights, atol=1e-9 * np.linalg.norm(target))
    assert np.linalg.norm(rest) == pytest.approx(distance, rel=1e-9)
    assert (rest @ vectors).max() < 1e-9


def test_a_sum_of_the_vectors_leaves_nothing():
    rng = np.random.default_rng(1)
    vectors = rng.random((25, 300))

    assert np.linalg.norm(unexplained_part(vectors, vectors @ rng.random(300))) < 1e-9


def test_what_points_away_from_all_vectors_is_left_whole():
    vectors = np.random.default_rng(2).random((25, 300))

    np.testing.assert_array_equal(unexplained_part(vectors, -np.ones(25)), -np.ones(25))


def test_equal_vectors_share_without_an_end():
    vectors = np.ones((4, 3))

    np.testing.assert_allclose(
        unexplained_part(vectors, np.array([1.0, 2.0, 3.0, 4.0])), [-1.5, -0.5, 0.5, 1.5], atol=1e-12
    )


@pytest.mark.parametrize("scale", [1e-15, 1e12])
def test_the_rest_scales_with_the_target(scale):
    rng = np.random.default_rng(5)
    vectors, target = np.maximum(rng.normal(size=(25, 500)), 0), rng.normal(size=25)

    scaled = unexplained_part(vectors, scale * target)

    np.testing.assert_allclose(scaled / scale, unexplained_part(vectors, target), atol=1e-9)
