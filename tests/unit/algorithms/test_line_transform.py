"""Tests of skyloom.algorithms.line_transform."""

import numpy as np
import pytest

from skyloom.algorithms.line_transform import QUADRANTS, line_ends, line_sums


@pytest.mark.kernels
@pytest.mark.parametrize("shape", [(16, 16), (12, 20), (20, 9)])
@pytest.mark.parametrize("quadrant", range(4))
def test_every_pixel_of_an_image_counts_once_for_each_rise(shape, quadrant):
    image = np.random.default_rng(1).random(shape).astype(np.float32)
    sums = line_sums(image)[quadrant]
    np.testing.assert_allclose(sums.sum(axis=1), image.sum(), rtol=1e-5)


@pytest.mark.kernels
@pytest.mark.parametrize("slope", [-3.0, -0.6, -0.1, 0.0, 0.4, 1.0, 2.5])
def test_the_highest_sum_lies_on_the_line_that_was_drawn(slope):
    ny, nx = 24, 32
    y, x = np.mgrid[:ny, :nx]
    normal = np.hypot(1, slope)
    image = np.exp(-0.5 * (((y - 11) - slope * (x - 17)) / normal) ** 2).astype(np.float32)
    sums = line_sums(image)
    quadrant = int(np.argmax([s.max() for s in sums]))
    ends = line_ends(quadrant, np.unravel_index(np.argmax(sums[quadrant]), sums[quadrant].shape), (ny, nx))
    offsets = ((ends[:, 1] - 11) - slope * (ends[:, 0] - 17)) / normal
    inside = np.abs(offsets)
    assert inside.max() < 2.0
    assert QUADRANTS[quadrant][0] == (abs(slope) > 1) or abs(slope) == 1
