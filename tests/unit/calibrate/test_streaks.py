"""Tests of skyloom.calibrate.streaks: trails are found and masked, nothing else is."""

import numpy as np
import pytest

from skyloom.calibrate.streaks import find_streaks, mask_streaks_in_place
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.psf import gaussian_kernel

SIDE = 640
SETTINGS = {"min_sigma": 7.0, "min_length": 384, "min_continuity": 0.75, "mask_level": 0.1}


def distance(line, side=SIDE):
    """Distance of each pixel from a line (x, y, angle)."""
    x0, y0, angle = line
    y, x = np.mgrid[:side, :side]
    return (y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)


def image(seed, *parts):
    """Noise of 1 with some light, and no footprint."""
    rng = np.random.default_rng(seed)
    light = rng.standard_normal((SIDE, SIDE)) + sum(parts)
    plane = np.zeros((SIDE, SIDE))
    pixels = MaskedImage(light.astype(np.float32), plane.astype(np.uint32), np.ones_like(plane, np.float32))
    return pixels, plane.astype(np.int32)


def trail(line, height, width):
    return height * np.exp(-0.5 * (distance(line) / width) ** 2)


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.8, 1.5, np.pi / 2, 2.0, 2.9])
def test_a_trail_in_any_direction_is_masked_to_its_rims(angle):
    line = (330.0, 300.0, angle)
    pixels, labels = image(1, trail(line, 1.0, 3.0))

    mask_streaks_in_place(pixels, labels, SETTINGS)
    masked = (pixels.mask & mask_planes.STREAK) != 0

    assert masked[np.abs(distance(line)) < 5].mean() > 0.99
    assert not masked[np.abs(distance(line)) > 14].any()


def test_two_trails_that_cross_are_both_found():
    lines = ((300.0, 300.0, 0.5), (350.0, 320.0, 2.2))
    pixels, labels = image(2, *(trail(line, 2.0, 2.5) for line in lines))

    streaks = find_streaks(pixels, labels, SETTINGS)

    assert len(streaks) == 2
    for streak in streaks:
        assert streak.brightness > 1.0
        middle = streak.ends.mean(axis=0)
        assert min(abs(distance(line)[tuple(np.rint(middle[::-1]).astype(int))]) for line in lines) < 2


@pytest.mark.parametrize("pitch", [40, 64])
def test_rows_of_stars_on_a_grid_are_no_trails(pitch):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    middle = pitch / 2 - 0.3
    square = ((rows % pitch) - middle) ** 2 + ((columns % pitch) - middle) ** 2
    pixels, _ = image(6, 300 * (1 + square / 3.5**2) ** -3)
    labels = (square < 5**2) * (1 + rows // pitch * SIDE + columns // pitch)

    assert find_streaks(pixels, labels.astype(np.int32), SETTINGS) == []
    # One across them is found.
    crossed, _ = image(7, 300 * (1 + square / 3.5**2) ** -3, trail((330.0, 300.0, 0.3), 1.0, 3.0))
    assert len(find_streaks(crossed, labels.astype(np.int32), SETTINGS)) == 1


def test_noise_stars_spikes_and_galaxies_are_no_trails():
    rng = np.random.default_rng(3)
    stars = np.zeros((SIDE, SIDE))
    for _ in range(300):
        x, y = rng.integers(10, SIDE - 10, 2)
        stars[y - 7 : y + 8, x - 7 : x + 8] += 10 ** rng.uniform(1, 4) * gaussian_kernel(1.8, 15)
    y, x = np.mgrid[:SIDE, :SIDE]
    r2 = (x - 200) ** 2 + (y - 260) ** 2 + 4
    spike = np.where((np.abs(x - 200) < 3) | (np.abs(y - 260) < 3), 2e4 / r2, 0)
    galaxy = 30 * np.exp(-np.abs(distance((400, 400, 0.7))) / 4 - np.hypot(x - 400, y - 400) / 40)
    for parts in ((0,), (stars,), (stars, spike), (stars, galaxy)):
        pixels, labels = image(4, *parts)
        assert find_streaks(pixels, labels, SETTINGS) == []
        mask_streaks_in_place(pixels, labels, SETTINGS)
        assert not np.any(pixels.mask & mask_planes.STREAK)


def test_a_trail_that_ends_halfway_and_one_that_cuts_a_corner_are_left():
    half = trail((320.0, 320.0, 0.3), 2.0, 2.5)
    half[:, 320:] = 0
    corner = trail((40.0, 40.0, 3 * np.pi / 4), 2.0, 2.5)
    for part in (half, corner):
        assert find_streaks(*image(5, part), SETTINGS) == []


def test_masked_pixels_do_not_count_and_a_long_footprint_is_no_obstacle():
    line = (320.0, 320.0, 0.4)
    pixels, labels = image(6, trail(line, 20.0, 3.0))
    labels[np.abs(distance(line)) < 8] = 1
    labels[50:60, 50:60] = 2
    pixels.mask[:, 200:220] = mask_planes.NO_DATA
    pixels.image[:, 200:220] = 1e4

    (streak,) = find_streaks(pixels, labels, SETTINGS)

    assert 10 < streak.high - streak.low < 30
    pixels.mask[:] = mask_planes.NO_DATA
    assert find_streaks(pixels, labels, SETTINGS) == []
