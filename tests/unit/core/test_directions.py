"""Positions on the sky as unit vectors."""

import numpy as np
import pytest

from skyloom.core.directions import unit_vectors


def test_axes_point_to_the_vernal_equinox_six_hours_and_the_pole():
    found = unit_vectors(np.array([0.0, 90.0, 123.0, 180.0]), np.array([0.0, 0.0, 90.0, 0.0]))
    assert found == pytest.approx(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0]]), abs=1e-15)


def test_the_angle_between_two_directions_is_that_of_the_sphere():
    ra, dec = np.random.default_rng(5).uniform([[0], [-90]], [[360], [90]], (2, 50))
    vectors = unit_vectors(ra, dec)
    a, d = np.radians(ra), np.radians(dec)
    cosine = np.sin(d[0]) * np.sin(d) + np.cos(d[0]) * np.cos(d) * np.cos(a - a[0])
    assert vectors @ vectors[0] == pytest.approx(cosine, abs=1e-14)


def test_positions_keep_their_shape():
    assert unit_vectors(np.zeros((2, 4)), np.zeros((2, 4))).shape == (2, 4, 3)
