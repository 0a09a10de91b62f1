"""Tests of skyloom.algorithms.smooth_mesh."""

import numpy as np
import pytest

from skyloom.algorithms.smooth_mesh import smooth_mesh

NOISE = 0.4


def mesh(shape=(32, 40)):
    return np.mgrid[: shape[0], : shape[1]].astype(float)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_is_averaged_and_a_bowl_passes(seed):
    y, x = mesh()
    true = 800 + 0.3 * x - 0.01 * (y - 10) ** 2
    levels = true + np.random.default_rng(seed).normal(0, NOISE, true.shape)

    surface, used = smooth_mesh(levels, np.ones_like(levels), 8.0)

    assert np.std(surface - true) < 0.3 * NOISE
    assert abs(np.mean(surface - true)) < 4 * NOISE / np.sqrt(true.size)
    assert used.mean() > 0.98


@pytest.mark.parametrize(("wave", "least", "most"), [(24.0, 0.95, 1.05), (8.0, 0.4, 0.6), (3.0, -0.05, 0.05)])
def test_long_waves_pass_and_short_ones_do_not(wave, least, most):
    _, x = mesh((48, 48))
    true = np.sin(2 * np.pi * x / wave)

    surface, _ = smooth_mesh(true, np.ones_like(true), 8.0)

    part = np.sum((surface * true)[:, 12:36]) / np.sum((true**2)[:, 12:36])
    assert least <= part <= most


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_object_is_left_out_with_its_faint_rim_and_bridged(seed):
    y, x = mesh()
    true = 800 + 0.1 * x
    light = 60 * np.exp(-np.hypot(x - 20, y - 15) / 1.2)
    levels = true + light + np.random.default_rng(seed).normal(0, NOISE, true.shape)
    weights = np.ones_like(levels)
    weights[14:17, 19:22] = 0
    levels[14:17, 19:22] = np.nan

    surface, used = smooth_mesh(levels, weights, 8.0)

    assert not used[light > 4 * NOISE].any()
    assert np.abs(surface - true)[light > 1].mean() < 1.5 * NOISE
    assert used[light < 0.1 * NOISE].mean() > 0.98


def test_cells_that_are_too_dark_are_left_out():
    levels = 5 + np.random.default_rng(4).normal(0, NOISE, (20, 20))
    levels[7, 7] = -30.0

    surface, used = smooth_mesh(levels, np.ones_like(levels), 8.0)

    assert not used[7, 7]
    assert surface[7, 7] == pytest.approx(5.0, abs=NOISE)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 3), (4, 4)])
def test_small_meshes_have_a_level(shape):
    surface, used = smooth_mesh(np.full(shape, 3.0), np.ones(shape), 8.0)

    assert surface == pytest.approx(3.0)
    assert used.all()


def test_uneven_weights_count_as_inverse_variances():
    rng = np.random.default_rng(5)
    weights = np.where(np.arange(900).reshape(30, 30) % 2 == 0, 1.0, 0.01)
    errors = [smooth_mesh(rng.normal(0, 1 / np.sqrt(weights)), weights, 10.0)[0].std() for _ in range(10)]

    # Half of the cells have all the weight: 1.4 times the noise of a mesh of good ones.
    even = [smooth_mesh(rng.normal(0, 1, (30, 30)), np.ones((30, 30)), 10.0)[0].std() for _ in range(10)]
    assert np.mean(errors) < 1.6 * np.mean(even)
