"""Tests of skyloom.algorithms.occupancy_map."""

import numpy as np
import pytest

from skyloom.algorithms.occupancy_map import FIRST_COUNT, FIRST_LOOK, MANY, OccupancyMap


def plane_points(rng, n):
    return rng.uniform(0, 1000, n) + 1j * rng.uniform(0, 1000, n)


def count_near(points, references, tolerance):
    return int((np.abs(points[:, None] - references).min(axis=1) < tolerance).sum())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_transformation_with_the_most_points_on_references_is_found(seed):
    rng = np.random.default_rng(seed)
    references, tolerance = plane_points(rng, 40), 8.0
    factor, offset = np.exp(1j * rng.uniform(0, 6, 50)), plane_points(rng, 50)
    points = (references[:20] - offset[17]) / factor[17] + rng.normal(0, 1, 20)

    number, count = OccupancyMap.of(references, tolerance).best_transformation(points, factor, offset, 3)

    counts = [count_near(a * points + b, references, tolerance) for a, b in zip(factor, offset, strict=True)]
    assert number == int(np.argmax(counts)) == 17
    # Cells of half a tolerance: near its rim a point may count or not.
    assert abs(count - counts[17]) <= 1


def test_too_few_points_on_references_are_no_match():
    rng = np.random.default_rng(4)
    references = plane_points(rng, 5)
    points = references[:2].copy()
    chart = OccupancyMap.of(references, 5.0)
    one, zero = np.ones(1, dtype=complex), np.zeros(1, dtype=complex)

    assert chart.best_transformation(points, one, zero, 2) == (0, 2)
    assert chart.best_transformation(points, one, zero, 3) == (-1, 0)


def test_among_many_a_transformation_must_show_in_the_first_look():
    references = np.arange(12) * 100.0 + 0j
    n = MANY // 12 + 1
    chart, factor = OccupancyMap.of(references, 5.0), np.ones(n, dtype=complex)
    offset = np.full(n, 5e4 + 0j)
    offset[n // 2] = 0
    assert chart.best_transformation(references, factor, offset, 3) == (n // 2, 12)

    hidden = references.copy()
    hidden[np.flatnonzero(np.arange(12) % FIRST_LOOK == 0)[FIRST_COUNT - 1 :]] += 50j
    assert chart.best_transformation(hidden, factor, offset, 3) == (-1, 0)
    assert chart.best_transformation(hidden, factor[:1], offset[n // 2 :][:1], 3) == (0, 10)
