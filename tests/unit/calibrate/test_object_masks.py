"""Tests of skyloom.calibrate.object_masks."""

from types import SimpleNamespace

import numpy as np
import pytest

from skyloom.algorithms.detection import Detections
from skyloom.calibrate.object_masks import LEAST_FREE, MAX_WINGS, object_mask, wing_reach
from skyloom.core.psf import PixelPsf

SIDE = 300


def detections(radii, step=100.0):
    """Round footprints of some radii along the diagonal."""
    y, x = np.mgrid[:SIDE, :SIDE]
    labels = np.zeros((SIDE, SIDE), dtype=np.int32)
    centres = step / 2 + step * np.arange(len(radii))
    for number, (centre, radius) in enumerate(zip(centres, radii, strict=True)):
        labels[np.hypot(x - centre, y - centre) <= radius] = number + 1
    n = len(radii)
    ones = np.ones(n, dtype=np.int32)
    return Detections(centres, centres, np.full(n, 9.0), np.arange(n, dtype=np.int32), ones, labels)


def points(flux):
    flux = np.asarray(flux, dtype=float)
    return SimpleNamespace(flux=flux, is_subtracted=np.isfinite(flux))


def reach_of(mask, centre):
    """How far the mask reaches from a centre along a row."""
    return np.flatnonzero(mask[int(centre), int(centre) :]).max()


def test_footprints_grow_by_a_disc_where_nothing_is_known_of_them():
    found = detections([5.0, 10.0])

    mask = object_mask(found, 6.0)

    assert [reach_of(mask, c) for c in found.x] == [11, 16]


def test_a_galaxy_grows_by_its_own_radius_and_a_subtracted_star_does_not():
    found = detections([20.0, 20.0])

    mask = object_mask(found, 6.0, points([np.nan, 1e4]), (0.1, 15))

    assert reach_of(mask, found.x[0]) == pytest.approx(40, abs=1)
    assert reach_of(mask, found.x[1]) == 26


def test_only_what_shines_is_masked():
    found = detections([5.0, 5.0, 5.0])
    found.significance[:] = 4.5, 4.5, 5.5

    mask = object_mask(found, 6.0, points([100.0, np.nan, 120.0]), (0.1, 15), faint=5.0)

    assert [bool(mask[int(c), int(c)]) for c in found.x] == [False, True, True]


def test_the_wings_of_a_bright_star_are_masked_beyond_the_image_of_the_psf():
    found = detections([10.0, 10.0, 10.0])

    mask = object_mask(found, 6.0, points([1e3, 64e3, 1e12]), (0.5, 5))

    assert [reach_of(mask, c) for c in found.x[:2]] == [16, 30]
    assert mask[250, 250 - 10 - int(MAX_WINGS * 5) + 1]


def test_masks_grow_less_in_a_crowded_field():
    y, x = np.mgrid[:SIDE, :SIDE]
    labels = ((y % 30 < 10) & (x % 30 < 10)).astype(np.int32)
    found = Detections(*(np.zeros(1) for _ in range(3)), np.zeros(1, np.int32), np.ones(1, np.int32), labels)

    mask = object_mask(found, 20.0)

    assert LEAST_FREE / 2 < 1 - mask.mean() < 0.5
    assert mask[labels > 0].all()


def test_a_field_without_room_between_the_footprints_has_no_mask():
    labels = np.ones((SIDE, SIDE), dtype=np.int32)
    found = Detections(*(np.zeros(1) for _ in range(3)), np.zeros(1, np.int32), np.ones(1, np.int32), labels)

    assert object_mask(found, 5.0) is None


def test_wings_reach_where_they_fall_below_the_noise():
    y, x = np.mgrid[-15:16, -15:16]
    profile = 1 / (1 + (np.hypot(x, y) / 2) ** 3)
    psf = PixelPsf((profile / profile.sum())[None].astype(np.float32), 0, (0, 99, 0, 99))

    reach, edge = wing_reach(psf.kernel_at(50, 50), 28.0)

    flux = 1e6
    beyond = flux * 8 / (reach * flux ** (1 / 3)) ** 3 / profile.sum()
    assert edge == 15
    assert beyond == pytest.approx(0.03 * 28.0, rel=0.25)
