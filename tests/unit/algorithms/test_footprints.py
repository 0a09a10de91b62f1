"""Tests of skyloom.algorithms.footprints."""

import numpy as np
import pytest

from skyloom.algorithms.footprints import (
    flood_footprints,
    grow_labels,
    grow_mask,
    paint_discs_in_place,
    regions_beyond,
)


def two_hills(saddle):
    values = np.zeros((16, 24), dtype=np.float32)
    values[8, 4:20] = saddle
    values[8, 6], values[8, 16] = 20.0, 15.0
    return values


@pytest.mark.kernels
def test_two_hills_above_a_deep_saddle_are_two_peaks_of_one_footprint():
    labels, y, x, footprint = flood_footprints(two_hills(8.0), 5.0, 4.0, 0.0)

    assert list(zip(x, y, strict=True)) == [(6, 8), (16, 8)]
    assert list(footprint) == [0, 0]
    assert np.array_equal(labels > 0, two_hills(8.0) > 5.0)


@pytest.mark.kernels
def test_a_shallow_saddle_leaves_one_peak():
    _, _, x, _ = flood_footprints(two_hills(12.0), 5.0, 4.0, 0.0)

    assert list(x) == [6]


def test_prominence_may_be_asked_as_a_fraction_of_the_saddle():
    _, _, x, _ = flood_footprints(two_hills(8.0), 5.0, 0.0, 0.9)

    assert list(x) == [6]


def test_separate_regions_are_separate_footprints_and_corners_touch():
    values = np.zeros((8, 8), dtype=np.float32)
    values[1, 1] = values[2, 2] = 9.0
    values[6, 6] = 7.0

    labels, y, _, footprint = flood_footprints(values, 5.0, 1.0, 0.0)

    assert list(y) == [1, 6]
    assert labels[1, 1] == labels[2, 2] != labels[6, 6]
    assert list(footprint) == [labels[1, 1] - 1, labels[6, 6] - 1]


def test_nothing_above_the_threshold_gives_nothing():
    values = np.full((5, 5), np.nan, dtype=np.float32)

    labels, y, x, footprint = flood_footprints(values, 5.0, 1.0, 0.0)

    assert not labels.any()
    assert len(y) == len(x) == len(footprint) == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_labels_are_the_connected_regions_that_scipy_finds(seed):
    from scipy.ndimage import label

    values = np.random.default_rng(seed).normal(0, 1, (60, 80)).astype(np.float32)

    labels, *_ = flood_footprints(values, 1.0, 0.0, 0.0)
    expected, n_expected = label(values > 1.0, structure=np.ones((3, 3), dtype=int))

    assert labels.max() == n_expected
    pairs = np.unique(np.stack([labels.ravel(), expected.ravel()]), axis=1)
    assert pairs.shape[1] == n_expected + 1


@pytest.mark.kernels
@pytest.mark.parametrize("radius", [0.0, 1.0, 2.5])
def test_grown_mask_holds_all_pixels_within_the_radius(radius):
    mask = np.zeros((20, 20), dtype=bool)
    mask[0, 0] = mask[10, 9] = True
    mask[14:18, 14:18] = True

    y, x = np.mgrid[:20, :20]
    rows, columns = np.nonzero(mask)
    distance = np.hypot(y[..., None] - rows, x[..., None] - columns).min(axis=2)

    assert np.array_equal(grow_mask(mask, radius), distance <= radius)


@pytest.mark.kernels
@pytest.mark.parametrize("radius", [0.0, 1.5, 3.0])
def test_labels_grow_by_radii_of_their_own(radius):
    from scipy.ndimage import distance_transform_edt

    labels = np.zeros((24, 30), dtype=np.int32)
    labels[4:7, 4:9], labels[12:20, 14:16], labels[0, 29] = 1, 2, 3
    distance = [distance_transform_edt(labels != number) for number in (1, 3)]

    grown = grow_labels(labels, [9.0, radius, -1.0, 2.0])

    assert np.array_equal(grown, (distance[0] <= radius) | (distance[1] <= 2.0))


@pytest.mark.kernels
def test_regions_that_reach_out_of_discs_are_chosen_whole():
    labels = np.zeros((12, 20), dtype=np.int32)
    labels[5, 4:7], labels[5, 11:17] = 1, 2
    inside = np.zeros(labels.shape, dtype=bool)

    paint_discs_in_place(np.array([5, 5]), np.array([5, 12]), 1.5, inside)

    assert inside.sum() == 2 * 9
    np.testing.assert_array_equal(regions_beyond(labels, inside), labels == 2)
