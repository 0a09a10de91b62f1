"""Tests of skyloom.calibrate.sky_objects."""

import numpy as np
import pytest

from skyloom.calibrate.pipeline import calibrate_image
from skyloom.calibrate.sky_objects import place_sky_objects
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.tables import column, without_sky_objects

SHAPE = (200, 240)
NO_PEAKS = (np.empty(0), np.empty(0))


def image_with(mask):
    return MaskedImage(np.zeros(SHAPE, np.float32), mask.astype(np.uint32), np.ones(SHAPE, np.float32))


def test_sky_objects_keep_away_from_sources_edges_and_each_other():
    mask = np.zeros(SHAPE)
    mask[:, :100] = mask_planes.DETECTED
    mask[120, 180] = mask_planes.BAD
    is_sky = np.ones(SHAPE, dtype=bool)
    is_sky[:50] = False

    peaks = (np.array([200.0, 140.0]), np.array([90.0, 70.0]))

    x, y = place_sky_objects(
        image_with(mask), is_sky, peaks, {"number": 30, "radius": 6}, np.random.default_rng(1)
    )

    assert len(x) == 30
    assert x.min() > 105
    assert x.max() < SHAPE[1] - 6
    assert y.min() >= 50
    assert y.max() < SHAPE[0] - 6
    assert np.hypot(x - 180, y - 120).min() > 6
    assert np.hypot(x - peaks[0][:, None], y - peaks[1][:, None]).min() > 6
    distance = np.hypot(x - x[:, None], y - y[:, None]) + 1e3 * np.eye(30)
    assert distance.min() > 12


def test_fewer_sky_objects_where_there_is_no_room():
    nowhere = image_with(np.full(SHAPE, mask_planes.DETECTED))
    rng, everywhere = np.random.default_rng(2), np.ones(SHAPE, dtype=bool)

    assert len(place_sky_objects(nowhere, everywhere, NO_PEAKS, {"number": 5, "radius": 3}, rng)[0]) == 0
    free = image_with(np.zeros(SHAPE))
    assert len(place_sky_objects(free, everywhere, NO_PEAKS, {"number": 5, "radius": 150}, rng)[0]) == 0
    assert 2 <= len(place_sky_objects(free, everywhere, NO_PEAKS, {"number": 99, "radius": 45}, rng)[0]) < 10


def test_sky_objects_are_rows_of_their_own_without_light(scene_of, settings):
    scene = scene_of(5)

    _, table = calibrate_image(scene.exposure, scene.references, scene.predicted, settings, scene.rng)

    is_sky = column(table, "sky_source")
    n = int(is_sky.sum())
    assert n == settings["sky_objects"]["number"]
    assert is_sky[-n:].all()
    assert without_sky_objects(table).num_rows == table.num_rows - n
    assert np.unique(column(table, "sourceId")).size == table.num_rows
    pull = (column(table, "psfFlux") / column(table, "psfFluxErr"))[is_sky]
    assert abs(pull.mean()) < 4 / np.sqrt(n)
    assert np.mean(pull**2) == pytest.approx(1.0, abs=4 * np.sqrt(2 / n) + 0.1)
    x, y = column(table, "x"), column(table, "y")
    assert np.all(x[is_sky] == np.rint(x[is_sky]))
    nearest = np.hypot(x[is_sky][:, None] - scene.x, y[is_sky][:, None] - scene.y).min(axis=1)
    assert nearest.min() > settings["sky_objects"]["radius"]
    for name in table.column_names:
        if name.startswith("calib_"):
            assert not column(table, name)[is_sky].any()
    assert not column(table, "parentSourceId")[is_sky].any()
    assert np.isfinite(column(table, "ra")[is_sky]).all()
    assert np.isfinite(column(table, "ap09Flux")[is_sky]).any()
    assert np.isfinite(column(table, "sky")[is_sky]).all()


def test_no_sky_objects_may_be_wanted(scene_of, settings):
    scene = scene_of(5)
    none = settings | {"sky_objects": settings["sky_objects"] | {"number": 0}}

    _, table = calibrate_image(scene.exposure, scene.references, scene.predicted, none, scene.rng)

    assert not column(table, "sky_source").any()
