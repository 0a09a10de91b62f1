"""Tests of skyloom.algorithms.spline_surface."""

import numpy as np
import pytest
from scipy.sparse.linalg import spsolve

from skyloom.algorithms.spline_surface import SplineGrid, grid_over, roughness_weight

GRID = SplineGrid((-1.0, 2.0), 0.5, (7, 9))


def positions(n, rng):
    return rng.uniform(-1, 2, n), rng.uniform(2, 4, n)


def coefficients_of(function, grid, rng):
    """Coefficients of a function that the splines hold."""
    x, y = positions(2000, rng)
    return np.linalg.lstsq(grid.design(x, y).toarray(), function(x, y), rcond=None)[0]


def cubic(x, y):
    return 3 - 2 * x + 0.3 * y**2 + 0.1 * x**3 - 0.2 * x * y**2


def test_splines_hold_cubic_polynomials_up_to_the_edges():
    rng = np.random.default_rng(1)
    c = coefficients_of(cubic, GRID, rng)
    x, y = np.array([-1.0, 2.0, 0.1]), np.array([2.0, 4.0, 4.0])

    assert GRID.design(x, y) @ c == pytest.approx(cubic(x, y))
    assert GRID.design(x, y).sum(axis=1) == pytest.approx(1)


def test_roughness_is_the_integral_of_the_squared_derivatives():
    c = coefficients_of(lambda x, y: x**3 / 6 + x * y**2, GRID, np.random.default_rng(2))

    # Third derivatives: xxx is 1, xyy is 2, three times; the area is 3 x 2.
    assert c @ GRID.roughness(3) @ c == pytest.approx(6 * (1 + 3 * 4))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_polynomials_below_the_order_have_no_roughness(order):
    rng = np.random.default_rng(3)
    matrix = GRID.roughness(order)
    below = coefficients_of(lambda x, y: (1 + x + y) ** (order - 1), GRID, rng)
    of_order = coefficients_of(lambda x, y: (1 + x + y) ** order, GRID, rng)

    assert below @ matrix @ below < 1e-9 * (of_order @ matrix @ of_order)


def test_a_grid_holds_its_positions_even_a_single_one():
    x, y = np.array([3.0, 9.0]), np.array([1.0, 1.0])
    grid = grid_over(x, y, 2.0)

    assert grid.shape == (4, 6)
    assert grid.origin[0] <= 3.0
    assert grid.origin[0] + 3 * grid.spacing >= 9.0
    assert grid_over(x[:1], y[:1], 2.0).shape == (4, 4)


@pytest.mark.parametrize(("wave", "least", "most"), [(6.0, 0.99, 1.001), (2.0, 0.42, 0.53), (1.0, 0, 0.03)])
def test_long_waves_pass_and_short_ones_do_not(wave, least, most):
    rng = np.random.default_rng(4)
    x, y = rng.uniform(0, 12, (2, 20_000))
    true = np.sin(2 * np.pi * x / wave)
    grid = grid_over(x, y, 0.5)
    design = grid.design(x, y)
    penalty = roughness_weight(len(x) / 144, 2.0, 3) * grid.roughness(3)

    found = design @ spsolve((design.T @ design + penalty).tocsc(), design.T @ true)

    inside = np.abs(x - 6) < 3
    assert least < np.sum(found[inside] * true[inside]) / np.sum(true[inside] ** 2) < most
