import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from skyloom.algorithms.plane_polynomial import fit_plane_polynomial, wcs_from_polynomial
from skyloom.core.wcs import tan_deproject, tpv_powers
from skyloom.io.exposures import header_from_wcs

SHAPE = (2048, 2048)
CENTRE = (1023.5, 1023.5)


def make_coefficients(rng, order, distortion_pixel=3.0, scale=0.2 / 3600):
    """Polynomial with a rotation and a distortion of a few pixels at the edge."""
    powers = tpv_powers(order)[1]
    half = SHAPE[0] / 2
    size = [distortion_pixel * scale * half ** -(a + b) for a, b in powers]
    coefficients = rng.normal(0, 1, (2, len(powers))) * size
    angle = np.radians(rng.uniform(-180, 180))
    coefficients[:, 1:3] += scale * np.array(
        [[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    return coefficients


def make_grid(n=15):
    x, y = np.meshgrid(np.linspace(0, SHAPE[1] - 1, n), np.linspace(0, SHAPE[0] - 1, n))
    return x.ravel(), y.ravel()


@pytest.mark.parametrize("order", [1, 2, 3, 5, 7])
def test_the_tpv_form_is_the_polynomial_itself(order):
    coefficients = make_coefficients(np.random.default_rng(order), order)
    x, y = make_grid()
    wcs = wcs_from_polynomial(coefficients, (150.0, 2.2), CENTRE, SHAPE)

    xi, eta = wcs.pixel_to_plane(x, y)

    u, v = x - CENTRE[0], y - CENTRE[1]
    direct = [
        sum(c * u**a * v**b for c, (a, b) in zip(row, tpv_powers(order)[1], strict=True))
        for row in coefficients
    ]
    pixel = 0.2 / 3600
    assert np.abs(xi - direct[0]).max() < 1e-9 * pixel
    assert np.abs(eta - direct[1]).max() < 1e-9 * pixel


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("dec", [2.2, -75.0])
def test_astropy_reads_the_written_header_as_the_same_wcs_to_a_millionth_of_a_pixel(order, dec):
    coefficients = make_coefficients(np.random.default_rng(10 + order), order)
    wcs = wcs_from_polynomial(coefficients, (359.99, dec), CENTRE, SHAPE)
    header = fits.Header()
    header["NAXIS"], header["NAXIS1"], header["NAXIS2"] = 2, SHAPE[1], SHAPE[0]
    header.update(header_from_wcs(wcs))
    x, y = make_grid()

    astropy_ra, astropy_dec = WCS(header).all_pix2world(x, y, 0)

    ra, dec = wcs.pixel_to_sky(x, y)
    difference = np.hypot(((ra - astropy_ra + 180) % 360 - 180) * np.cos(np.radians(dec)), dec - astropy_dec)
    assert difference.max() * 3600 / 0.2 < 1e-6


@pytest.mark.parametrize("order", [1, 3, 5])
def test_a_noiseless_polynomial_is_recovered(order):
    rng = np.random.default_rng(order)
    coefficients = make_coefficients(rng, order)
    dx, dy = rng.uniform(-1024, 1024, (2, 200))
    terms = np.array([dx**a * dy**b for a, b in tpv_powers(order)[1]])

    fit = fit_plane_polynomial((dx, dy), tuple(coefficients @ terms), np.full(200, 1e-6), order, 1024.0)

    xi, eta = fit.evaluate(dx, dy)
    assert np.abs(xi - coefficients[0] @ terms).max() < 1e-12
    assert np.abs(eta - coefficients[1] @ terms).max() < 1e-12
    assert fit.order == order


def test_the_covariance_predicts_the_scatter_of_the_fit_at_a_corner():
    rng = np.random.default_rng(3)
    coefficients = make_coefficients(rng, 3)
    dx, dy = rng.uniform(-1024, 1024, (2, 100))
    error = rng.uniform(2e-6, 2e-5, 100)
    truth = coefficients @ np.array([dx**a * dy**b for a, b in tpv_powers(3)[1]])
    corner = (np.array([1024.0]), np.array([-1024.0]))
    n_run = 300
    values = []
    for _ in range(n_run):
        plane = tuple(truth + rng.normal(0, error, (2, 100)))
        fit = fit_plane_polynomial((dx, dy), plane, error, 3, 1024.0)
        values.append(fit.evaluate(*corner)[0][0])

    assert np.std(values) == pytest.approx(fit.error(*corner)[0], rel=4 / np.sqrt(2 * n_run))


def test_stars_on_a_line_show_in_the_condition_number():
    t = np.linspace(-1000, 1000, 30)
    plane = (t * 1e-5, t * 1e-5)

    fit = fit_plane_polynomial((t, t), plane, np.full(30, 1e-6), 1, 1024.0)

    assert fit.condition > 1e6


def test_the_tangent_point_is_where_the_constants_say():
    coefficients = make_coefficients(np.random.default_rng(5), 2)
    coefficients[:, 0] = [1e-3, -2e-3]
    wcs = wcs_from_polynomial(coefficients, (10.0, 60.0), CENTRE, SHAPE)

    ra, dec = wcs.pixel_to_sky(*CENTRE)

    assert (ra, dec) == pytest.approx(tan_deproject(1e-3, -2e-3, 10.0, 60.0), abs=1e-12)
