"""Tests of skyloom.algorithms.robust."""

import numpy as np
import pytest

from skyloom.algorithms.robust import (
    block_median_background,
    clipped_combine,
    clipped_mean,
    clipped_statistics,
    mad_sigma,
)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mad_sigma_is_the_standard_deviation_whatever_a_few_outliers_say(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(5.0, 2.0, 20_000)
    values[:200] = 1e6
    values[200:220] = np.nan

    # The MAD's own scatter is 1.17 sigma / sqrt(n); 1 % of outliers raises it by 1.25 %.
    assert mad_sigma(values) == pytest.approx(2.0, rel=0.0125 + 4 * 1.17 / np.sqrt(20_000))


def test_statistics_of_nothing_are_nan_and_say_that_nothing_was_used():
    assert np.isnan(mad_sigma([np.nan, np.inf]))
    assert np.isnan(clipped_mean([]))
    assert clipped_statistics([np.nan]).n_used == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clipped_mean_ignores_outliers_and_is_as_good_as_the_mean(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(10.0, 1.0, 5_000)
    values[:50] += 100

    result = clipped_statistics(values)

    assert result.mean == pytest.approx(10.0, abs=4 / np.sqrt(5_000))
    assert result.sigma == pytest.approx(0.9866, rel=4 / np.sqrt(2 * 5_000))
    assert 4_850 < result.n_used <= 4_950


def test_an_outlier_among_five_values_is_clipped_although_it_spoils_their_standard_deviation():
    assert clipped_mean([1.0, 1.1, 0.9, 1.05, 50.0]) == pytest.approx(1.0125)


def test_equal_values_with_one_outlier_are_their_own_mean():
    assert clipped_mean([2.0] * 20 + [7.0]) == pytest.approx(2.0)
    assert clipped_mean([2.0, 2.0]) == 2.0


def test_weights_weigh_and_a_weight_of_zero_leaves_a_value_out():
    assert clipped_mean([1.0, 2.0, 900.0], weights=[3.0, 1.0, 0.0]) == pytest.approx(1.25)


@pytest.mark.kernels
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_combined_frames_lose_their_cosmic_rays_and_their_variance_is_that_of_a_mean(seed):
    rng = np.random.default_rng(seed)
    stack = rng.normal(100.0, 5.0, (7, 32, 30)).astype(np.float32)
    stack[2, 10, 10] = 5_000.0
    stack[:, 0, 0] = np.nan
    stack[1:, 0, 1] = np.nan

    mean, variance, n_used = clipped_combine(stack, n_sigma=4.0, sigma=np.full(7, 5.0))

    n = stack[0].size
    assert np.isnan(mean[0, 0])
    assert (n_used[0, 0], n_used[0, 1], n_used[10, 10]) == (0, 1, 6)
    assert np.nanmean(mean) == pytest.approx(100.0, abs=4 * 5 / np.sqrt(7 * n))
    assert np.nanvar(mean[1:]) == pytest.approx(25 / 7, rel=4 * np.sqrt(2 / n))
    assert variance[20, 20] == pytest.approx(25 / 7)
    assert abs(mean[10, 10] - 100) < 5 * 5 / np.sqrt(6)


@pytest.mark.kernels
def test_without_known_noise_the_scatter_of_the_pixel_itself_clips():
    rng = np.random.default_rng(4)
    stack = rng.normal(0.0, 1.0, (25, 32, 32)).astype(np.float32)
    stack[0] += 1_000

    mean, variance, n_used = clipped_combine(stack, n_sigma=4.0)

    assert n_used.max() <= 24
    assert mean.std() == pytest.approx(1 / np.sqrt(24), rel=4 / np.sqrt(2 * 1024))
    assert np.median(variance) == pytest.approx(1 / 24, rel=0.1)


@pytest.mark.kernels
def test_combining_in_strips_equals_combining_at_once(monkeypatch):
    stack = np.random.default_rng(5).normal(0.0, 1.0, (5, 31, 11)).astype(np.float32)
    whole = clipped_combine(stack)
    monkeypatch.setattr("skyloom.algorithms.robust.ROWS_PER_STRIP", 7)

    for one, other in zip(whole, clipped_combine(stack), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.kernels
def test_two_values_that_disagree_are_both_kept_since_nobody_knows_better():
    mean, _, n_used = clipped_combine(np.array([[[0.0]], [[100.0]]]), sigma=1.0)

    assert (mean[0, 0], n_used[0, 0]) == (50.0, 2)


@pytest.mark.kernels
def test_equal_values_with_one_outlier_combine_to_themselves():
    stack = np.full((6, 2, 2), 3.0)
    stack[2] = 90.0

    mean, variance, n_used = clipped_combine(stack, n_sigma=2.0)

    assert (mean[0, 0], variance[0, 0], n_used[0, 0]) == (3.0, 0.0, 5)


def test_block_medians_see_the_sky_between_the_stars():
    rng = np.random.default_rng(6)
    image = rng.normal(200.0, 10.0, (150, 130)).astype(np.float32)
    image[20:40, 20:40] += 10_000
    masked = np.zeros(image.shape, dtype=bool)
    masked[64:128, 64:128] = True
    image[masked] = np.nan

    background = block_median_background(image, masked, 64)

    assert background.mesh.shape == (3, 3)
    np.testing.assert_allclose(background.mesh, 200.0, atol=5.0)
    assert block_median_background(image, np.ones_like(masked), 64).mesh.max() == 0
