"""Tests of skyloom.algorithms.background."""

import numpy as np
import pytest

from skyloom.algorithms.background import NoSkyPixelsError, _measure_cells, fit_background
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage


def settings(bin_size):
    return {"bin_size": bin_size, "shortest_wave": 8 * bin_size}


def image_of(values, mask=None):
    mask = np.zeros(values.shape, dtype=np.uint32) if mask is None else mask
    return MaskedImage(values.astype(np.float32), mask, np.ones(values.shape, dtype=np.float32))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_level_of_pure_noise_is_right_within_the_noise_of_its_cells(seed):
    rng = np.random.default_rng(seed)
    pixels = image_of(rng.normal(100.0, 10.0, (256, 256)))

    background = fit_background(pixels, settings(64), np.zeros((256, 256), dtype=bool)).background

    # 3x3 cells of 4096 pixels share the median, whose scatter is at most that of one cell.
    assert background.mesh == pytest.approx(100.0, abs=4 * 10 / 64)


def test_a_plane_passes_unchanged_up_to_the_edges():
    y, x = np.mgrid[:256, :256]
    plane = 50 + 0.1 * x - 0.05 * y

    background = fit_background(image_of(plane), settings(32), np.zeros(plane.shape, dtype=bool)).background

    assert background.image() == pytest.approx(plane, abs=1e-3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_masked_stars_do_not_lift_the_background(seed, stars):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 255, (2, 30))
    light = stars.light((256, 256), x, y, np.full(30, 3e4), 4.0)
    pixels = stars.observed(light, rng)

    without_mask = fit_background(pixels, settings(64)).background.image().mean()
    masked = fit_background(pixels, settings(64), light > 1.0).background.image().mean()

    noise = np.sqrt(325 / (256 * 256))
    # Starlight left outside the mask adds less than its mean there.
    assert masked - 300 == pytest.approx(light[light <= 1.0].mean(), abs=4 * noise)
    assert without_mask - 300 < 3.0


def test_cells_without_sky_take_the_level_of_their_neighbours():
    values = np.full((128, 128), 7.0)
    values[:64, :64] = 1e6
    mask = np.zeros(values.shape, dtype=np.uint32)
    mask[:64, :64] = mask_planes.SAT

    background = fit_background(
        image_of(values, mask), settings(32), np.zeros(values.shape, dtype=bool)
    ).background

    assert background.image() == pytest.approx(7.0, abs=1e-4)


def test_last_cells_may_be_cut_by_the_edge():
    background = fit_background(image_of(np.full((100, 70), 3.0)), settings(32)).background

    assert background.mesh.shape == (4, 3)
    assert background.image().shape == (100, 70)


def test_an_image_smaller_than_a_cell_has_one_level():
    background = fit_background(image_of(np.full((20, 30), 4.0)), settings(64)).background

    assert background.image() == pytest.approx(4.0)


def test_a_frame_without_sky_is_refused_with_its_numbers():
    mask = np.full((64, 64), mask_planes.NO_DATA, dtype=np.uint32)

    with pytest.raises(NoSkyPixelsError, match="0 of 4096 pixels are free") as caught:
        fit_background(image_of(np.zeros((64, 64)), mask), settings(32))

    assert caught.value.n_pixel == 4096


@pytest.mark.kernels
def test_clipping_removes_a_few_bright_pixels_in_both_modes():
    rng = np.random.default_rng(5)
    values = rng.normal(10.0, 1.0, (32, 32))
    values[::8, ::8] = 500.0

    assert fit_background(image_of(values), settings(16)).background.mesh == pytest.approx(
        10.0, abs=4 * 1.9 / 16
    )
    objects = np.zeros(values.shape, dtype=bool)
    assert fit_background(image_of(values), settings(16), objects).background.mesh == pytest.approx(
        10.0, abs=4 * 1.0 / 16
    )
    assert fit_background(image_of(np.full((32, 32), 2.0)), settings(16)).background.mesh == pytest.approx(
        2.0
    )


@pytest.mark.parametrize("n_good", [8, 14, 30, 60])
def test_a_cell_with_few_good_pixels_has_their_mean(n_good):
    rng = np.random.default_rng(n_good)
    objects = np.ones((128, 128), dtype=bool)
    for y, x in np.ndindex(8, 8):
        cell = np.ones(256, dtype=bool)
        cell[rng.permutation(256)[:n_good]] = False
        objects[16 * y : 16 * y + 16, 16 * x : 16 * x + 16] = cell.reshape(16, 16)
    mesh, number = np.empty((8, 8)), np.empty((8, 8))

    _measure_cells(rng.normal(50, 3, (128, 128)).astype(np.float32), ~objects, 16, False, mesh, number)

    assert (number == n_good).all()
    # The standard deviation of 64 values is known to a factor of 1 / sqrt(128).
    assert np.std(mesh) == pytest.approx(3 / np.sqrt(n_good), rel=4 / np.sqrt(128))
