"""Weighted planes through scattered values."""

import numpy as np
import pytest

from skyloom.algorithms.field_plane import fit_field_plane

DOMAIN = (-0.5, 99.5, -0.5, 199.5)


def test_a_plane_is_recovered_whatever_the_weights():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 99, 30), rng.uniform(0, 199, 30)
    field = fit_field_plane((x, y), 1 + 0.001 * x - 0.002 * y, rng.uniform(1, 5, 30), DOMAIN)
    assert field.evaluate(20.0, 150.0) == pytest.approx(1 + 0.02 - 0.3)


def test_one_point_gives_a_constant():
    field = fit_field_plane((np.array([10.0]), np.array([20.0])), np.array([1.5]), np.array([2.0]), DOMAIN)
    assert field.evaluate(90.0, 190.0) == pytest.approx(1.5)


def test_points_on_a_line_give_no_slope_across_it():
    x = np.linspace(0, 99, 10)
    field = fit_field_plane((x, np.full(10, 30.0)), 0.01 * x, np.ones(10), DOMAIN)
    assert field.evaluate(50.0, 190.0) == pytest.approx(0.5)


def test_heavier_values_count_more():
    points = (np.full(2, 50.0), np.full(2, 50.0))
    field = fit_field_plane(points, np.array([1.0, 2.0]), np.array([3.0, 1.0]), DOMAIN)
    assert field.evaluate(50.0, 50.0) == pytest.approx(1.25)
