"""Clusters are a function of the set of detections, not of their order."""

import numpy as np
import pytest

from skyloom.association.clustering import cluster_detections

ARCSEC = 1 / 3600


def scattered(rng, n_object, n_visit, scatter_arcsec, dec=10.0):
    """Return detections of objects at least 20 arcsec apart: ra, dec, visit, truth."""
    truth = np.repeat(np.arange(n_object), n_visit)
    visit = np.tile(np.arange(n_visit), n_object)
    column, row = truth % 20, truth // 20
    east = column * 20 * ARCSEC + rng.normal(0, scatter_arcsec * ARCSEC, truth.size)
    north = row * 20 * ARCSEC + rng.normal(0, scatter_arcsec * ARCSEC, truth.size)
    return 359.99 + east / np.cos(np.radians(dec)), dec + north, visit, truth


def same_partition(a, b):
    """Return whether two labelings put the same detections together."""
    pairs = np.unique(np.stack([a, b]), axis=1)
    return pairs.shape[1] == len(np.unique(a)) == len(np.unique(b))


@pytest.mark.parametrize("seed", [1, 2])
def test_detections_of_an_object_are_joined_and_objects_kept_apart(seed):
    ra, dec, visit, truth = scattered(np.random.default_rng(seed), 60, 8, 0.1)
    labels = cluster_detections(ra % 360, dec, visit, 1.0)
    assert same_partition(labels, truth)
    assert sorted(set(labels)) == list(range(60))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_of_detections_changes_nothing_even_in_a_crowd(seed):
    rng = np.random.default_rng(seed)
    n = 300
    ra, dec = 120 + rng.uniform(0, 12, n) * ARCSEC, -30 + rng.uniform(0, 12, n) * ARCSEC
    visit = rng.integers(0, 40, n)
    first = cluster_detections(ra, dec, visit, 1.0)
    shuffled = rng.permutation(n)
    second = np.empty_like(first)
    second[shuffled] = cluster_detections(ra[shuffled], dec[shuffled], visit[shuffled], 1.0)
    np.testing.assert_array_equal(first, second)


def test_no_member_is_beyond_the_radius_and_no_visit_twice():
    rng = np.random.default_rng(4)
    n = 400
    ra, dec, visit = rng.uniform(0, 10, n) * ARCSEC, rng.uniform(0, 10, n) * ARCSEC, rng.integers(0, 30, n)
    labels = cluster_detections(ra, dec, visit, 1.0)
    for label in range(labels.max() + 1):
        members = labels == label
        distance = np.hypot(ra[members] - ra[members].mean(), dec[members] - dec[members].mean())
        assert distance.max() <= 1.0001 * ARCSEC
        assert len(np.unique(visit[members])) == members.sum()


def test_a_chain_of_detections_is_cut():
    # A mover: eight detections 0.8 arcsec apart are no single object of radius 1 arcsec.
    ra, dec = 10 + np.arange(8) * 0.8 * ARCSEC, np.zeros(8)
    labels = cluster_detections(ra, dec, np.arange(8), 1.0)
    assert len(np.unique(labels)) >= 3


def test_clusters_are_numbered_by_declination_and_right_ascension():
    ra, dec = np.array([10.0, 20.0, 10.0, 5.0]), np.array([1.0, 1.0, -1.0, 2.0])
    np.testing.assert_array_equal(cluster_detections(ra, dec, np.arange(4), 1.0), [1, 2, 0, 3])


def test_nothing_gives_nothing():
    assert cluster_detections(np.empty(0), np.empty(0), np.empty(0, int), 1.0).size == 0
