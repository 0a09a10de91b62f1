from dataclasses import replace

import numpy as np
import pytest
from astropy.wcs import WCS

from skyloom.core.geometry import predicted_wcs
from skyloom.simulate.exposing import View, galaxy_matrices, pixels_of, view_of
from skyloom.simulate.optics import (
    Optics,
    detector_to_focal_plane,
    draw_visit,
    focal_plane_to_detector,
    optics_of,
    psf_at,
    sky_axes,
    sky_to_focal_plane,
)


def star_at(ra, dec):
    ra, dec = np.atleast_1d(ra), np.atleast_1d(dec)
    names = ("pmra", "pmdec", "parallax", "rate_ra", "rate_dec", "rate_mjd", "colour_gr")
    zeros = {name: np.zeros(ra.size) for name in names}
    return zeros | {"ra": ra, "dec": dec, "kind": np.full(ra.size, "star")}


def test_the_true_boresight_is_off_by_the_stated_error_in_many_directions(simulation, visit):
    angles, turns = [], []
    for number in range(40):
        truth = draw_visit({**visit, "visit": number}, simulation)
        east = (truth.ra - visit["ra"]) * np.cos(np.radians(truth.dec)) * 3600
        north = (truth.dec - visit["dec"]) * 3600
        assert np.hypot(east, north) == pytest.approx(30.0, rel=1e-6)
        angles.append(np.arctan2(north, east))
        turns.append(truth.rotation - visit["rotation"])
    assert np.allclose(np.abs(turns), 0.2)
    assert 0 < np.sum(np.array(turns) > 0) < 40
    # The mean of 40 random unit vectors is longer than 0.5 once in e^10 draws (Rayleigh).
    assert np.abs(np.mean(np.exp(1j * np.array(angles)))) < 0.5


def test_distortion_moves_the_edge_of_the_field_by_the_stated_pixels_and_inverts():
    optics = Optics(0.2, 1, 1000.0, 3.0)
    x, y = np.array([0.0, 1000.0, 300.0, -600.0]), np.array([0.0, 0.0, -400.0, 800.0])
    ideal_x, ideal_y = optics.undistort(x, y)
    assert np.hypot(x - ideal_x, y - ideal_y) == pytest.approx([0.0, 3.0, 0.375, 3.0])
    back_x, back_y = optics.distort(ideal_x, ideal_y)
    assert np.abs(np.hypot(back_x - x, back_y - y)).max() < 1e-9


def test_a_pixel_s_area_is_the_determinant_of_the_distortion():
    optics = Optics(0.2, 1, 1000.0, 30.0)
    x, y, h = 500.0, -300.0, 1e-3
    columns = [
        (np.array(optics.undistort(x + h, y)) - optics.undistort(x - h, y)) / (2 * h),
        (np.array(optics.undistort(x, y + h)) - optics.undistort(x, y - h)) / (2 * h),
    ]
    assert optics.pixel_area(x, y) == pytest.approx(np.linalg.det(np.array(columns)), rel=1e-6)


@pytest.mark.parametrize("detector", [0, 1, 2])
def test_the_detector_and_the_focal_plane_convert_into_each_other(camera, detector):
    x, y = np.array([0.0, 159.0, 20.0]), np.array([0.0, 119.0, 77.0])
    focal = detector_to_focal_plane(camera.detectors[detector], x, y)
    assert np.allclose(focal_plane_to_detector(camera.detectors[detector], *focal), (x, y), atol=1e-9)


@pytest.mark.parametrize("parity", [1, -1])
@pytest.mark.parametrize("rotation", [0.0, 35.0, -130.0])
@pytest.mark.parametrize("detector", [0, 1, 2])
def test_without_errors_stars_fall_where_the_pipeline_predicts(perfect, visit, parity, rotation, detector):
    camera = replace(perfect.camera, parity=parity)
    view = view_of(
        {**visit, "rotation": rotation}, camera.detectors[detector], replace(perfect, camera=camera)
    )
    wcs = predicted_wcs(camera, detector, visit["ra"], visit["dec"], rotation)
    x, y = np.array([3.0, 150.0, 80.0]), np.array([10.0, 100.0, 60.0])
    ra, dec = wcs.pixel_to_sky(x, y)
    found_x, found_y, _, _ = pixels_of(view, star_at(ra, dec), 57388.5)
    assert np.abs(found_x - x).max() < 1e-6
    assert np.abs(found_y - y).max() < 1e-6


@pytest.mark.parametrize("rotation", [0.0, 70.0])
def test_without_distortion_the_projection_is_the_gnomonic_one_of_astropy(perfect, visit, rotation):
    truth = draw_visit({**visit, "dec": -62.0, "rotation": rotation}, perfect)
    optics = optics_of(perfect.camera, perfect.settings["telescope"])
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [150.0, -62.0]
    wcs.wcs.crpix = [1.0, 1.0]
    cosine, sine = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    wcs.wcs.cd = np.array([[-cosine, sine], [sine, cosine]]) * 0.2 / 3600
    x, y = np.array([0.0, 500.0, -3000.0]), np.array([0.0, 700.0, 2000.0])
    ra, dec = wcs.all_pix2world(x, y, 0)
    focal = sky_to_focal_plane(truth, optics, ra, dec)
    assert np.allclose(focal, (x, y), atol=1e-5)


def test_the_far_side_of_the_sky_is_nowhere_on_the_focal_plane(perfect, visit):
    optics = optics_of(perfect.camera, perfect.settings["telescope"])
    x, y = sky_to_focal_plane(draw_visit(visit, perfect), optics, np.array([330.0]), np.array([-2.2]))
    assert np.isnan(x[0])
    assert np.isnan(y[0])


@pytest.mark.parametrize("detector", [0, 1, 2])
def test_a_galaxy_s_major_axis_points_along_its_position_angle(perfect, visit, detector):
    view = view_of(visit, perfect.camera.detectors[detector], perfect)
    angle = np.radians(50.0)
    step = 1.0 / 3600
    ra = np.array([150.0, 150.0 + step * np.sin(angle) / np.cos(np.radians(2.2))])
    x, y, _, _ = pixels_of(view, star_at(ra, np.array([2.2, 2.2 + step * np.cos(angle)])), 57388.5)
    shape = {
        "position_angle": np.array([50.0]),
        "half_light_radius": np.array([1.0]),
        "axis_ratio": np.array([0.4]),
    }
    matrix = galaxy_matrices(shape, view)[0]
    assert np.allclose(matrix[:, 0], [x[1] - x[0], y[1] - y[0]], atol=1e-3)
    assert abs(np.linalg.det(matrix)) == pytest.approx(0.4 * 25, rel=1e-9)
    assert matrix[:, 0] @ matrix[:, 1] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_point_spread_function_varies_by_more_than_a_tenth_over_the_field(simulation, visit, seed):
    simulation = replace(simulation, seed=seed)
    optics = optics_of(simulation.camera, simulation.settings["telescope"])
    truth = draw_visit(visit, simulation)
    edge = np.linspace(-1, 1, 21) * optics.field_radius / np.sqrt(2)
    grid = np.meshgrid(edge, edge)
    fwhm, e1, e2 = psf_at(truth, optics, grid[0].ravel(), grid[1].ravel())
    assert fwhm.max() / fwhm.min() > 1.1
    assert np.hypot(e1, e2).max() < 0.3
    low, high = simulation.settings["atmosphere"]["seeing"]
    assert low <= truth.fwhm <= high


def test_seeing_and_throughput_differ_from_visit_to_visit(simulation, visit):
    truths = [draw_visit({**visit, "visit": number}, simulation) for number in range(20)]
    assert len({t.fwhm for t in truths}) == 20
    assert len({t.electrons_per_njy for t in truths}) == 20


def test_a_magnitude_of_the_zero_point_gives_one_electron_a_second(simulation, visit):
    atmosphere = simulation.settings["atmosphere"] | {"cloud_extinction": 0.0}
    simulation = replace(simulation, settings=simulation.settings | {"atmosphere": atmosphere})
    truth = draw_visit({**visit, "airmass": 1.0}, simulation)
    zero_point = simulation.settings["telescope"]["zero_point"]["r"]
    flux = 10 ** (0.4 * (31.4 - zero_point))
    assert truth.electrons_per_njy * flux == pytest.approx(visit["exposure_time"], rel=1e-12)


def test_axes_of_the_sky_are_mirrored_for_a_standard_image(perfect, visit):
    optics = optics_of(perfect.camera, perfect.settings["telescope"])
    axes = sky_axes(draw_visit({**visit, "rotation": 0.0}, perfect), optics)
    assert np.allclose(axes, [[-5, 0], [0, 5]])


def test_a_view_knows_its_visit(simulation, visit):
    view = view_of(visit, simulation.camera.detectors[0], simulation)
    assert isinstance(view, View)
    assert view.visit["visit"] == 7
