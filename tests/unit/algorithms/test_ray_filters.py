"""Tests of skyloom.algorithms.ray_filters: they answer to rays and to no star."""

import numpy as np
import pytest

from skyloom.algorithms.ray_filters import ray_filters, ray_shapes, star_contrasts
from skyloom.core.psf import gaussian_kernel

MARGIN = 0.2


def star(x, y, sigma):
    """Gaussian star centred on (x, y) in a window of 5x5 around (0, 0)."""
    grid = np.arange(-2, 3)
    return np.exp(-0.5 * ((grid[:, None] - y) ** 2 + (grid[None, :] - x) ** 2) / sigma**2)


@pytest.mark.parametrize("sigma", [1.06, 1.9, 2.6])
def test_no_sum_of_stars_is_answered_to(sigma):
    filters = ray_filters(gaussian_kernel(sigma, 25)[None], MARGIN)
    rng = np.random.default_rng(1)
    for _ in range(200):
        blend = sum(
            rng.exponential() * star(*rng.uniform(-3, 3, 2), sigma) for _ in range(rng.integers(1, 4))
        )
        assert (filters * blend).sum(axis=(1, 2)).max() < 0
    assert (filters.sum(axis=(1, 2)) < 1e-12).all()


def test_a_psf_that_is_a_tenth_sharper_than_the_model_is_answered_to_only_without_a_margin():
    psf = gaussian_kernel(1.9, 25)[None]
    sharper = star(0, 0, 1.9 * 0.93)

    assert (ray_filters(psf, 0.0) * sharper).sum(axis=(1, 2)).max() > 0
    assert (ray_filters(psf, MARGIN) * sharper).sum(axis=(1, 2)).max() < 0


@pytest.mark.parametrize("sigma", [1.06, 1.9])
def test_filters_have_unit_noise_and_keep_most_of_the_signal(sigma):
    filters, shapes = ray_filters(gaussian_kernel(sigma, 25)[None], MARGIN), ray_shapes()
    np.testing.assert_allclose((filters**2).sum(axis=(1, 2)), 1.0, rtol=1e-12)
    # A perfect matched filter would answer with the norm of the shape.
    kept = (filters * shapes).sum(axis=(1, 2)) / np.sqrt((shapes**2).sum(axis=(1, 2)))
    assert kept[0] > 0.8
    assert kept.min() > 0.3


def test_the_sharpest_of_several_psfs_rules():
    sharp, broad = gaussian_kernel(1.2, 25), gaussian_kernel(2.0, 25)
    filters = ray_filters(np.array([broad, sharp]), 0.0)
    assert (filters * star(0.2, -0.3, 1.2)).sum(axis=(1, 2)).max() < 1e-3
    assert (ray_filters(broad[None], 0.0) * star(0.2, -0.3, 1.2)).sum(axis=(1, 2)).max() > 0.1


@pytest.mark.parametrize("distance", [1, 2])
def test_contrasts_of_a_symmetric_psf_are_those_of_a_star_centred_on_the_pixel(distance):
    sigma = 1.5
    expected = np.exp(distance**2 * np.array([1, 1, 2, 2]) / (2 * sigma**2))
    np.testing.assert_allclose(
        star_contrasts(gaussian_kernel(sigma, 21)[None], distance), expected, rtol=5e-3
    )


def test_contrasts_of_a_trailed_psf_are_those_of_its_sharp_end():
    broad = np.pad(gaussian_kernel(1.6, 15)[:, :12], ((0, 0), (0, 3)))
    trailed = 0.5 * gaussian_kernel(0.9, 15) + 0.5 * np.roll(broad, -2, axis=1)
    c = 7
    centre = trailed[c, c - 1] / (0.5 * (trailed[c, c] + trailed[c, c - 2]))
    assert star_contrasts(np.roll(trailed, 1, axis=1)[None])[0] > 1.1 * centre


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_psf_without_light_makes_no_filters(value):
    with pytest.raises(ValueError, match="rays cannot be told from stars"):
        ray_filters(np.full((1, 21, 21), value), 0.15)
