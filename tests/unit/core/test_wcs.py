"""The WCS agrees with wcslib and inverts itself."""

import numpy as np
import pytest
from astropy import wcs as wcslib

from skyloom.core.geometry import predicted_wcs
from skyloom.core.wcs import Wcs, order_of, polynomial_terms, tan_deproject, tan_project, tpv_powers


def distorted_wcs(seed, order=5, size=1e-3):
    """Return a WCS with a random distortion of every term, in degrees, and a rotated CD matrix."""
    rng = np.random.default_rng(seed)
    numbers, _ = tpv_powers(order)
    pv1, pv2 = rng.normal(0, size, (2, len(numbers)))
    pv1[1] += 1
    pv2[1] += 1
    angle = rng.uniform(0, 2 * np.pi)
    cd = 5.5e-5 * np.array([[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return Wcs(np.array([350.0, -35.2]), np.array([512.3, 300.1]), cd, pv1, pv2, (900, 1000))


def astropy_wcs(wcs):
    """Return the same WCS for wcslib."""
    other = wcslib.WCS(naxis=2)
    other.wcs.ctype = ["RA---TPV", "DEC--TPV"]
    other.wcs.crval, other.wcs.crpix, other.wcs.cd = wcs.crval, wcs.crpix + 1, wcs.cd
    numbers, _ = tpv_powers(order_of(len(wcs.pv1)))
    other.wcs.set_pv(
        [(1, n, v) for n, v in zip(numbers, wcs.pv1, strict=True)]
        + [(2, n, v) for n, v in zip(numbers, wcs.pv2, strict=True)]
    )
    other.wcs.set()
    return other


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6, 7])
def test_the_tpv_polynomial_of_every_order_is_wcslibs(order):
    wcs = distorted_wcs(order, order)
    x, y = np.random.default_rng(order).uniform(0, 1000, (2, 500))
    ra, dec = wcs.pixel_to_sky(x, y)
    ra_astropy, dec_astropy = astropy_wcs(wcs).all_pix2world(x, y, 0)
    assert np.abs(ra - ra_astropy).max() * 3.6e6 < 1e-5
    assert np.abs(dec - dec_astropy).max() * 3.6e6 < 1e-5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_position_comes_back_through_the_distortion(seed):
    wcs = distorted_wcs(seed)
    x, y = np.random.default_rng(seed).uniform(-50, 1050, (2, 500))
    x_back, y_back = wcs.sky_to_pixel(*wcs.pixel_to_sky(x, y))
    assert np.abs(x_back - x).max() < 1e-6
    assert np.abs(y_back - y).max() < 1e-6


def test_a_position_on_the_other_side_of_the_sky_has_no_pixel():
    wcs = distorted_wcs(1)
    x, y = wcs.sky_to_pixel([170.0], [35.2])
    assert np.isnan(x).all()
    assert np.isnan(y).all()


def test_the_jacobian_is_the_derivative():
    wcs = distorted_wcs(4)
    x, y = np.random.default_rng(4).uniform(0, 1000, (2, 50))
    step = 1e-2
    matrix = wcs.jacobian(x, y)
    for axis, (dx, dy) in enumerate([(step, 0), (0, step)]):
        ahead, behind = wcs.pixel_to_plane(x + dx, y + dy), wcs.pixel_to_plane(x - dx, y - dy)
        for coordinate in (0, 1):
            difference = (ahead[coordinate] - behind[coordinate]) / (2 * step)
            assert np.allclose(difference, matrix[coordinate, axis], rtol=1e-7, atol=1e-12)


def test_the_pixel_area_is_the_solid_angle_of_the_pixels_corners():
    wcs = distorted_wcs(5)
    x, y = np.array([10.0, 500.0, 990.0]), np.array([20.0, 400.0, 880.0])
    vectors = []
    for dx, dy in [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)]:
        ra, dec = np.radians(wcs.pixel_to_sky(x + dx, y + dy))
        vectors.append(np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1))
    diagonals = np.cross(vectors[2] - vectors[0], vectors[3] - vectors[1])
    area = 0.5 * np.linalg.norm(diagonals, axis=-1) * np.degrees(3600) ** 2
    assert np.allclose(wcs.pixel_area(x, y), area, rtol=1e-4)


def test_a_shifted_wcs_gives_the_same_sky():
    wcs = distorted_wcs(6)
    assert np.allclose(
        wcs.shifted(100, 50).pixel_to_sky([10], [20]), wcs.pixel_to_sky([110], [70]), atol=1e-12
    )


def test_projection_and_deprojection_are_inverse_near_a_pole():
    rng = np.random.default_rng(7)
    ra, dec = rng.uniform(0, 360, 200), rng.uniform(86, 90, 200)
    ra_back, dec_back = tan_deproject(*tan_project(ra, dec, 40.0, 89.5), 40.0, 89.5)
    offset = (ra_back - ra + 180) % 360 - 180
    assert np.abs(offset * np.cos(np.radians(dec))).max() < 1e-10
    assert np.abs(dec_back - dec).max() < 1e-10


def test_terms_come_in_the_order_of_the_convention():
    terms = polynomial_terms(np.array([2.0]), np.array([3.0]), 3)[:, 0]
    assert terms.tolist() == [1, 2, 3, 4, 6, 9, 8, 12, 18, 27]
    assert tpv_powers(3)[0] == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]


def test_a_number_of_terms_of_no_full_polynomial_is_refused():
    with pytest.raises(ValueError, match="5 is not the number"):
        order_of(5)


def test_the_pixel_scale_is_the_cameras(camera):
    wcs = predicted_wcs(camera, 0, 10.0, 20.0, 33.0)
    assert wcs.pixel_scale() == pytest.approx(0.2, rel=1e-6)
