import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import j0

from skyloom.simulate.random_field import draw_field

SCALE = 500.0
POINTS = np.random.default_rng(0).uniform(0, 20_000, (2, 400))


def expected_correlation(distance):
    """Correlation of von Karman's spectrum at a distance, by quadrature."""
    k0 = 2 * np.pi / SCALE

    def integrand(k):
        return 5 / 3 * k * k0 ** (5 / 3) * (k**2 + k0**2) ** (-11 / 6) * j0(k * distance)

    return quad(integrand, 0, 60 * k0, limit=400)[0]


@pytest.mark.parametrize("distance", [20.0, 80.0, 250.0])
def test_the_field_has_the_variance_and_the_correlation_of_von_karmans_spectrum(distance):
    rng = np.random.default_rng(1)
    variances, products = [], []
    for _ in range(60):
        field = draw_field(4.0, SCALE, rng)
        here = field.value_at(*POINTS)
        variances.append(np.mean(here**2))
        products.append(np.mean(here * field.value_at(POINTS[0] + distance, POINTS[1])))
    error = 4 * np.std(products) / np.sqrt(60)
    assert np.mean(variances) == pytest.approx(4.0, abs=4 * np.std(variances) / np.sqrt(60))
    assert np.mean(products) == pytest.approx(4.0 * expected_correlation(distance), abs=error)


def test_the_vector_field_has_no_curl_and_half_the_variance_along_each_axis():
    rng = np.random.default_rng(2)
    squares = []
    for _ in range(60):
        field = draw_field(2.0, SCALE, rng)
        squares.append([np.mean(v**2) for v in field.gradient_like_at(*POINTS)])
    step = 0.05
    x, y = POINTS
    right, up = field.gradient_like_at(x + step, y), field.gradient_like_at(x, y + step)
    here = field.gradient_like_at(x, y)
    curl = (right[1] - here[1]) - (up[0] - here[0])
    divergence = (right[0] - here[0]) + (up[1] - here[1])
    assert np.mean(squares, axis=0) == pytest.approx(1.0, abs=4 * np.std(squares) / np.sqrt(60))
    assert np.std(curl) < 0.02 * np.std(divergence)


def test_a_plane_holds_the_values_at_its_crossings_and_long_waves_are_smooth():
    field = draw_field(1.0, SCALE, np.random.default_rng(3))
    x, y = np.arange(40.0, 70.0), np.arange(10.0, 50.0)
    grid_x, grid_y = np.meshgrid(x, y)
    np.testing.assert_allclose(
        field.plane(x, y).ravel(), field.value_at(grid_x.ravel(), grid_y.ravel()), atol=1e-4
    )
    smooth = field.waves_below(2 * np.pi / SCALE)
    assert 0 < len(smooth.phase) < len(field.phase)
    assert np.abs(np.diff(smooth.plane(x, y), axis=1)).max() < 2 * np.pi / SCALE * 20
