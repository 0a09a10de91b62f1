"""Detectors, tracts and patches lie where they should, each position in exactly one inner region."""

from dataclasses import asdict

import numpy as np
import pytest

from skyloom.core.geometry import (
    detector_corners,
    focal_plane_position,
    focal_plane_to_sky_matrix,
    predicted_wcs,
)
from skyloom.core.sky_map import (
    SkyMap,
    UnknownTractError,
    needed_settings,
    rings_tracts,
    sky_map_from_settings,
)
from skyloom.core.wcs import tan_deproject, tan_project

GRID = {
    "kind": "grid",
    "pixel_scale": 0.2,
    "patch_inner": 1400,
    "patch_border": 50,
    "tracts": [
        {"tract": 7, "ra": 150.10, "dec": 2.2, "patches": [2, 1]},
        {"tract": 8, "ra": 149.96, "dec": 2.2, "patches": [2, 2]},
    ],
}


@pytest.fixture
def grid():
    """Return two overlapping tracts."""
    return sky_map_from_settings(GRID)


def test_north_is_up_and_east_is_left_without_rotation(camera):
    wcs = predicted_wcs(camera, 0, 10.0, 20.0, 0.0)
    x0, y0 = wcs.sky_to_pixel([10.0], [20.0])
    x_north, y_north = wcs.sky_to_pixel([10.0], [20.001])
    x_east, y_east = wcs.sky_to_pixel([10.001], [20.0])
    assert y_north > y0
    assert x_east < x0
    assert x_north == pytest.approx(x0, abs=1e-3)
    assert y_east == pytest.approx(y0, abs=1e-3)


def test_a_mirrored_camera_has_east_on_the_right(mirrored_camera):
    wcs = predicted_wcs(mirrored_camera, 0, 10.0, 20.0, 0.0)
    assert wcs.sky_to_pixel([10.001], [20.0])[0] > wcs.sky_to_pixel([10.0], [20.0])[0]


def test_rotation_is_the_position_angle_of_plus_y(camera):
    wcs = predicted_wcs(camera, 0, 10.0, 0.0, 30.0)
    xi, eta = wcs.pixel_to_plane(*(wcs.crpix + [0, 100])[:, None])
    assert np.degrees(np.arctan2(xi, eta))[0] == pytest.approx(30.0, abs=1e-9)


@pytest.mark.parametrize("rotation", [0.0, 77.0, 200.0])
@pytest.mark.parametrize("detector", [0, 1])
def test_the_predicted_wcs_follows_the_focal_plane(camera, mirrored_camera, detector, rotation):
    for chosen in (camera, mirrored_camera):
        wcs = predicted_wcs(chosen, detector, 10.0, -40.0, rotation)
        x, y = np.array([0.0, 199.0, 30.0]), np.array([0.0, 10.0, 79.0])
        focal_plane = np.array(focal_plane_position(chosen.detectors[detector], x, y))
        expected = focal_plane_to_sky_matrix(chosen, rotation) @ focal_plane
        assert np.allclose(wcs.pixel_to_plane(x, y), expected, atol=1e-14)


def test_corners_of_many_visits_are_those_of_the_wcs(camera):
    ra, dec, rotation = np.array([10.0, 200.0]), np.array([-40.0, 88.0]), np.array([0.0, 33.0])
    corners = np.array(detector_corners(camera, 1, ra, dec, rotation))
    for row in range(2):
        expected = predicted_wcs(camera, 1, ra[row], dec[row], rotation[row]).corners()
        assert np.allclose(corners[:, row], expected, atol=1e-10)


def test_a_patch_and_its_tract_agree_on_the_sky(grid):
    patch = grid.patch(8, "1_1")
    ra, dec = patch.wcs.pixel_to_sky([100.0], [200.0])
    x, y = grid.tract(8).wcs().sky_to_pixel(ra, dec)
    assert x[0] == pytest.approx(100 + patch.origin[0], abs=1e-6)
    assert y[0] == pytest.approx(200 + patch.origin[1], abs=1e-6)
    assert patch.index == 3
    assert grid.patches(8) == ["0_0", "1_0", "0_1", "1_1"]


def test_a_position_belongs_to_one_patch_of_one_tract(grid):
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(149.85, 150.2, 3000), rng.uniform(2.1, 2.3, 3000)
    tract = grid.inner_tract(ra, dec)
    owners = np.zeros(len(ra), dtype=int)
    for number in grid.tract_ids:
        names = grid.inner_patch(number, ra, dec)
        for name in grid.patches(number):
            patch = grid.patch(number, name)
            x, y = patch.wcs.sky_to_pixel(ra, dec)
            x0, x1, y0, y1 = patch.inner
            inside = (x >= x0 - 0.5) & (x < x1 - 0.5) & (y >= y0 - 0.5) & (y < y1 - 0.5)
            assert np.array_equal(inside, names == name)
            owners += inside & (tract == number)
    assert np.array_equal(owners, (tract >= 0).astype(int))
    assert set(tract) == {-1, 7, 8}


@pytest.mark.parametrize("seed", range(5))
def test_overlaps_miss_no_patch_that_holds_a_point_of_the_detector(camera, grid, seed):
    rng = np.random.default_rng(seed)
    n = 60
    ra, dec = rng.uniform(149.8, 150.3, n), rng.uniform(2.1, 2.3, n)
    rotation = rng.uniform(0, 360, n)
    corners = detector_corners(camera, 1, ra, dec, rotation)
    found = grid.overlaps(*corners, np.zeros(n))
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(-0.5, 199.5, 21), np.linspace(-0.5, 79.5, 9)))
    for row in range(n):
        sky = predicted_wcs(camera, 1, ra[row], dec[row], rotation[row]).pixel_to_sky(x, y)
        truly = []
        for tract in grid.tract_ids:
            for name in grid.patches(tract):
                patch = grid.patch(tract, name)
                px, py = patch.wcs.sky_to_pixel(*sky)
                ny, nx = patch.shape
                if np.any((px > -0.5) & (px < nx - 0.5) & (py > -0.5) & (py < ny - 0.5)):
                    truly.append((tract, name))
        assert set(truly) <= set(found[row])
        wide = grid.overlaps(corners[0][row : row + 1], corners[1][row : row + 1], [20.0])[0]
        assert set(found[row]) <= set(wide)


def test_overlaps_far_away_are_none_and_of_a_local_map_all(camera):
    corners = detector_corners(camera, 0, np.array([33.0]), np.array([-50.0]), np.array([0.0]))
    assert sky_map_from_settings(GRID).overlaps(*corners, [60.0]) == [[]]
    local = sky_map_from_settings(GRID | {"kind": "local", "tracts": GRID["tracts"][:1]})
    assert local.overlaps(*corners, [60.0]) == [[(7, "0_0"), (7, "1_0")]]


def test_a_tract_of_a_sky_map_needs_the_settings_of_its_kind_and_no_other_tract():
    given = GRID | {"n_ring": 120, "overlap_degree": 0.01}
    assert needed_settings(given) == GRID
    first, second = GRID["tracts"][:2]
    alone = needed_settings(given, second["tract"])
    assert alone == GRID | {"tracts": [second]}
    whole, cut = sky_map_from_settings(given), sky_map_from_settings(alone)
    np.testing.assert_equal(*(asdict(map_.patch(second["tract"], "0_0")) for map_ in (cut, whole)))
    with pytest.raises(UnknownTractError):
        cut.patch(first["tract"], "0_0")
    rings = needed_settings(given | {"kind": "rings"}, 5)
    assert rings == {k: v for k, v in given.items() if k != "tracts"} | {"kind": "rings"}


def test_rings_cover_the_whole_sky_with_the_promised_overlap():
    tracts = rings_tracts(30, 2.0, 3000, 100, 1 / 60)
    sky_map = SkyMap(tracts)
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(0, 360, 5000), np.degrees(np.arcsin(rng.uniform(-1, 1, 5000)))
    assert np.all(sky_map.inner_tract(ra, dec) >= 0)
    poles = sky_map.inner_tract([0.0, 0.0], [-90.0, 90.0])
    assert poles.tolist() == [0, len(tracts) - 1]


def test_a_tract_or_patch_that_is_not_there_is_named(grid):
    with pytest.raises(UnknownTractError, match="tract 9 is not in the sky map, which has 2 tracts, 7 to 8"):
        grid.patch(9, "0_0")
    with pytest.raises(UnknownTractError, match="patch 5_0 of tract 7"):
        grid.patch(7, "5_0")


def test_projecting_the_far_side_gives_nan():
    xi, eta = tan_project([180.0], [0.0], 0.0, 0.0)
    assert np.isnan(xi).all()
    assert np.isnan(eta).all()
    assert tan_deproject([0.0], [0.0], 12.0, -3.0)[0][0] == pytest.approx(12.0)
