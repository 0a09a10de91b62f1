"""Tests of skyloom.algorithms.regions: the same regions as SciPy's labels."""

import numpy as np
import pytest
from scipy.ndimage import label

from skyloom.algorithms.regions import connected_regions


@pytest.mark.kernels
@pytest.mark.parametrize("filling", [0.05, 0.3, 0.6])
def test_regions_are_those_of_scipy(filling):
    is_set = np.random.default_rng(int(100 * filling)).random((30, 27)) < filling
    expected, n = label(is_set, structure=np.ones((3, 3), dtype=int))

    regions = connected_regions(is_set)

    assert regions.n == n
    np.testing.assert_array_equal(regions.region + 1, expected[is_set])
    np.testing.assert_array_equal(regions.sizes, np.bincount(expected.ravel())[1:])
    y, x = np.indices(is_set.shape)
    np.testing.assert_array_equal(regions.at(x.ravel(), y.ravel()) + 1, expected.ravel())


def test_pixels_at_opposite_edges_do_not_touch():
    is_set = np.zeros((4, 5), dtype=bool)
    is_set[1, -1] = is_set[2, 0] = is_set[3, -1] = True

    assert connected_regions(is_set).n == 3


def test_an_empty_image_has_no_regions():
    regions = connected_regions(np.zeros((4, 5), dtype=bool))

    assert regions.n == len(regions.sizes) == 0
    assert regions.at(np.array([2.0]), np.array([1.0])).tolist() == [-1]
