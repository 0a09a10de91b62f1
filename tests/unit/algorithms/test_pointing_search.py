"""The search for a pointing: found anywhere on the sky, at any rotation and parity; chance is not taken for stars."""

import numpy as np
import pytest

from skyloom.algorithms.pointing_search import PointingLimits, ReferenceSky, find_pointing
from skyloom.algorithms.sky_triangles import (
    brightest_per_field,
    longest_side,
    tangent_places,
    triangles_of_frame,
    triangles_on_sky,
    vectors_at,
)
from skyloom.core.directions import unit_vectors
from skyloom.core.wcs import tan_project

PIXEL = 2.0 / 3600
SIDE_PIXEL = 1000
SIDE = SIDE_PIXEL * PIXEL
CENTROID_PIXEL = 0.3
LIMITS = PointingLimits(side=SIDE, tolerance=3 * PIXEL, scale_tolerance=0.05)


def stars_near(rng, ra, dec, radius_deg, n_star):
    """Positions of stars spread evenly over a circle."""
    distance = radius_deg * np.sqrt(rng.uniform(size=n_star))
    angle = rng.uniform(0, 2 * np.pi, n_star)
    z = np.radians(distance) * np.exp(1j * angle)
    centre = unit_vectors(np.array([ra]), np.array([dec]))
    _, east, north = tangent_places(centre, centre[None])
    vectors = vectors_at(z[None], (centre, east, north))[0]
    return np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0])) % 360, np.degrees(np.arcsin(vectors[:, 2]))


def frame_of(rng, sky, pointing, *, is_mirrored=False, scale=1.0):
    """Sources (x East, y North before the turn, degree) of a frame: a fifth of the stars missing, a third false."""
    ra, dec, rotation = pointing
    xi, eta = tan_project(sky.ra, sky.dec, ra, dec)
    cosine = np.cos(np.radians(dec)) * np.cos(np.radians(sky.dec)) * np.cos(np.radians(sky.ra - ra))
    z = (xi + 1j * eta) * np.exp(1j * np.radians(rotation)) / scale
    z = np.conj(z) if is_mirrored else z
    ahead = cosine + np.sin(np.radians(dec)) * np.sin(np.radians(sky.dec)) > 0
    seen = (
        ahead & (np.abs(z.real) < SIDE / 2) & (np.abs(z.imag) < SIDE / 2) & (rng.uniform(size=len(z)) > 0.2)
    )
    z = z[seen][:60]
    false = rng.uniform(-SIDE / 2, SIDE / 2, len(z) // 2) + 1j * rng.uniform(-SIDE / 2, SIDE / 2, len(z) // 2)
    places = np.arange(len(z)), np.sort(rng.uniform(0, len(z), len(false)))
    order = np.argsort(np.concatenate(places), kind="stable")
    z = np.concatenate([z, false])[order]
    return tuple(part + CENTROID_PIXEL * PIXEL * rng.normal(size=len(z)) for part in (z.real, z.imag))


def check(found, pointing, n_star):
    """The pointing is right to four sigma of the mean of the centroids, the rotation likewise."""
    ra, dec, rotation = pointing
    assert found.is_sure
    xi, eta = tan_project(np.array([found.ra]), np.array([found.dec]), ra, dec)
    # The references within a tolerance of a source by chance pull the fit: twice the centroids' own error.
    error = 2 * CENTROID_PIXEL * PIXEL / np.sqrt(n_star)
    assert np.hypot(xi, eta)[0] < 5 * error
    turn = (found.rotation - rotation + 180) % 360 - 180
    # About the pole a rotation is only as good as the right ascension.
    if abs(dec) < 89:
        assert abs(np.radians(turn)) < 5 * error / (SIDE / 4)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "pointing", [(150.0, 2.2, 20.0), (0.05, -45.0, 200.0), (120.0, 89.8, -90.0), (300.0, -89.9, 130.0)]
)
def test_a_frame_is_found_in_a_list_of_many_fields(seed, pointing):
    rng = np.random.default_rng(seed)
    ra, dec, _ = pointing
    sky = ReferenceSky(*stars_near(rng, ra, dec, 6 * SIDE, 6000))
    x, y = frame_of(rng, sky, pointing)

    found = find_pointing(x, y, sky, LIMITS)

    assert not found.is_mirrored
    check(found, pointing, 40)


@pytest.mark.parametrize("scale", [0.96, 1.04])
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_scale_and_parity_come_out(scale, is_mirrored):
    rng = np.random.default_rng(4)
    pointing = (30.0, 40.0, 0.0)
    sky = ReferenceSky(*stars_near(rng, *pointing[:2], 4 * SIDE, 3000))
    x, y = frame_of(rng, sky, pointing, is_mirrored=is_mirrored, scale=scale)

    found = find_pointing(x, y, sky, LIMITS)

    assert found.is_mirrored == is_mirrored
    assert found.scale == pytest.approx(scale, rel=1e-3)
    # What was mirrored in y has its +y to the South.
    check(found, (*pointing[:2], 180.0 if is_mirrored else 0.0), 40)


def test_the_whole_sky_is_searched():
    rng = np.random.default_rng(5)
    pointing = (211.0, -33.0, 77.0)
    n_star = 60_000
    sky = ReferenceSky(rng.uniform(0, 360, n_star), np.degrees(np.arcsin(rng.uniform(-1, 1, n_star))))
    wide = PointingLimits(side=5.0, tolerance=0.02, scale_tolerance=0.05)
    xi, eta = tan_project(sky.ra, sky.dec, *pointing[:2])
    towards = unit_vectors(np.array(pointing[:1]), np.array(pointing[1:2]))[0]
    z = (xi + 1j * eta) * np.exp(1j * np.radians(pointing[2]))
    seen = (unit_vectors(sky.ra, sky.dec) @ towards > 0) & (abs(z.real) < 2.5) & (abs(z.imag) < 2.5)
    z = z[seen]

    found = find_pointing(z.real, z.imag, sky, wide)

    assert found.is_sure
    assert (found.ra, found.dec, found.rotation) == pytest.approx(pointing, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_stars_of_another_place_are_not_matched(seed):
    rng = np.random.default_rng(seed)
    sky = ReferenceSky(*stars_near(rng, 150.0, 2.2, 4 * SIDE, 3000))
    elsewhere = ReferenceSky(*stars_near(rng, 10.0, -30.0, SIDE, 200))
    x, y = frame_of(rng, elsewhere, (10.0, -30.0, 0.0))

    found = find_pointing(x, y, sky, LIMITS)

    assert not found.is_sure
    assert found.match.log10_false_alarm > -9


def test_a_place_beyond_the_search_radius_is_not_taken():
    rng = np.random.default_rng(6)
    pointing = (150.0, 2.2, 20.0)
    sky = ReferenceSky(*stars_near(rng, *pointing[:2], 6 * SIDE, 6000))
    x, y = frame_of(rng, sky, pointing)
    for offset, is_found in ((0.5, True), (2.0, False)):
        near = PointingLimits(SIDE, 3 * PIXEL, 0.05, centre=(150.0, 2.2 + offset), radius=1.0)
        assert find_pointing(x, y, sky, near).is_sure == is_found


@pytest.mark.parametrize("n_source", [0, 1, 4])
def test_too_few_stars_are_no_match(n_source):
    rng = np.random.default_rng(7)
    sky = ReferenceSky(*stars_near(rng, 150.0, 2.2, SIDE, 500))
    found = find_pointing(rng.uniform(size=n_source), rng.uniform(size=n_source), sky, LIMITS)
    assert not found.is_sure
    assert found.match.n_tested == n_source


def test_each_field_keeps_its_brightest_stars():
    rng = np.random.default_rng(8)
    ra, dec = rng.uniform(0, 360, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    chosen = brightest_per_field(ra, dec, 10.0, 5)
    # 412.5 fields of 100 square degrees; each has 48 stars on average, so that none lacks five.
    assert len(chosen) == pytest.approx(5 * 41253 / 100, rel=0.05)
    assert np.all(np.diff(chosen) > 0)
    assert np.median(chosen) < 20_000 * 0.1


def test_triangles_of_sky_and_frame_have_the_same_shape():
    from scipy.spatial import cKDTree

    rng = np.random.default_rng(9)
    ra, dec = stars_near(rng, 40.0, 20.0, 0.2, 12)
    vectors = unit_vectors(ra, dec)
    on_sky = triangles_on_sky(vectors, cKDTree(vectors), (0.0, 1.0))
    assert len(on_sky) == 12 * 11 * 10 // 6
    assert np.all(np.diff(on_sky.short) >= 0)
    xi, eta = tan_project(ra, dec, 40.0, 20.0)
    for corner, (a, b, c) in triangles_of_frame(np.radians(xi) + 1j * np.radians(eta), (0.0, 1.0), 1000):
        # Chord, tangent and arc differ by the square of 0.4 degrees, 5e-5.
        same = on_sky.alike(np.log(a), b / a, c / a, (1e-4, 1e-4))
        assert tuple(corner) in {tuple(on_sky.corner[k]) for k in same}


def test_a_deep_catalogue_gets_shorter_triangles():
    assert longest_side(1000, 20, 0.5) == 0.5
    assert longest_side(500_000, 40, 0.5) < 0.3
