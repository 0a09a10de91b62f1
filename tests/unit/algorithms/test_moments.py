"""Tests of skyloom.algorithms.moments."""

import math

import numpy as np
import pytest

from skyloom.algorithms.moments import adaptive_moments, kernel_moments, star_moments
from skyloom.core.splines import spline_coefficients


def gaussian(shape, x, y, ixx, iyy, ixy):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    determinant = ixx * iyy - ixy**2
    dx, dy = columns - x, rows - y
    return np.exp(-0.5 * (iyy * dx**2 - 2 * ixy * dx * dy + ixx * dy**2) / determinant).astype(np.float32)


@pytest.mark.kernels
def test_moments_of_a_gaussian_are_its_own():
    image = gaussian((32, 32), 15.3, 16.2, 4.0, 3.0, 0.7)

    moments = adaptive_moments(image, [15.0], [16.0], 1.5)

    # The iteration stops at relative steps of 1e-4 and halves its error each time.
    assert moments.x == pytest.approx([15.3], abs=2e-3)
    assert moments.y == pytest.approx([16.2], abs=2e-3)
    assert [moments.ixx[0], moments.iyy[0], moments.ixy[0]] == pytest.approx([4.0, 3.0, 0.7], rel=2e-3)
    assert moments.sigma == pytest.approx([(12 - 0.49) ** 0.25], rel=1e-3)


@pytest.mark.kernels
def test_moments_of_psf_images_are_centred_on_their_middle_pixel():
    kernels = np.stack([gaussian((25, 25), 12, 12, 2.5, 2.5, 0), gaussian((25, 25), 12.2, 12, 4, 3, -0.5)])

    moments = kernel_moments(kernels)

    assert moments.x == pytest.approx([0.0, 0.2], abs=2e-3)
    assert moments.ixx == pytest.approx([2.5, 4.0], rel=2e-3)
    assert moments.ixy == pytest.approx([0, -0.5], abs=2e-3)


def integrated(shape, x, y, sigma):
    """Star of a Gaussian profile, integrated over each pixel."""
    parts = []
    for size, centre in ((shape[0], y), (shape[1], x)):
        edges = (np.arange(size + 1) - 0.5 - centre) / (np.sqrt(2) * sigma)
        parts.append(np.diff([math.erf(edge) for edge in edges]) / 2)
    return np.outer(*parts).astype(np.float32)


@pytest.mark.parametrize(("sigma", "tolerance"), [(0.55, 0.08), (0.75, 0.03), (1.2, 0.01)])
def test_a_star_is_compared_with_the_psf_at_its_place_within_the_pixel(sigma, tolerance):
    kernel = integrated((25, 25), 12, 12, sigma)
    x, y = np.array([12.0, 12.5, 12.3, 11.6]), np.array([12.0, 12.5, 12.0, 12.2])
    stars = [integrated((25, 25), *place, sigma) for place in zip(x, y, strict=True)]

    expected = star_moments(spline_coefficients(np.repeat(kernel[None], 4, axis=0)).astype(np.float32), x, y)

    for star, trace in zip(stars, expected.ixx + expected.iyy, strict=True):
        shown = adaptive_moments(star, [12.0], [12.0], sigma)
        assert shown.ixx + shown.iyy == pytest.approx([trace], rel=tolerance)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_size_is_unbiased_and_scatters_as_its_signal_to_noise_allows(seed):
    rng = np.random.default_rng(seed)
    n, sigma, signal_to_noise = 200, 1.7, 50.0
    flux = signal_to_noise * np.sqrt(4 * np.pi) * sigma
    truth = gaussian((31, 31), 15, 15, sigma**2, sigma**2, 0) / (2 * np.pi * sigma**2) * flux
    stack = np.concatenate([truth + rng.normal(0, 1, truth.shape) for _ in range(n)]).astype(np.float32)

    moments = adaptive_moments(stack, np.full(n, 15.0), 31 * np.arange(n) + 15.0, sigma)

    trace = moments.ixx + moments.iyy
    # The error of T is 2 T / (S/N) (Bernstein & Jarvis 2002); its own scatter is 1 / sqrt(2 n).
    assert trace.std() / (2 * sigma**2) == pytest.approx(2 / signal_to_noise, rel=0.05 + 4 / np.sqrt(2 * n))
    assert trace.mean() / (2 * sigma**2) == pytest.approx(1, abs=4 * 2 / signal_to_noise / np.sqrt(n))


@pytest.mark.kernels
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_objects_without_light_have_no_moments(value):
    moments = adaptive_moments(np.full((20, 20), value, dtype=np.float32), [10.0], [10.0], 1.5)

    assert np.isnan(moments.ixx[0])
    assert np.isnan(moments.sigma[0])


@pytest.mark.kernels
def test_a_flat_image_grows_beyond_the_largest_size_and_is_given_up():
    moments = adaptive_moments(np.ones((32, 32), dtype=np.float32), [16.0], [16.0], 1.5, max_sigma=3.0)

    assert np.isnan(moments.ixx[0])


@pytest.mark.kernels
def test_a_position_far_from_the_object_or_off_the_image_has_no_moments():
    image = gaussian((32, 32), 16, 16, 3.0, 3.0, 0.0)

    moments = adaptive_moments(image, [21.0, 500.0], [16.0, 16.0], 1.5)

    assert np.isnan(moments.x).all()


@pytest.mark.parametrize("sigma", [0.6, 0.7, 0.8])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_an_undersampled_star_has_moments(sigma, offset):
    fine = (np.arange(15 * 20) + 0.5) / 20 - 7.5 - offset
    profile = np.exp(-0.5 * (fine / sigma) ** 2).reshape(15, 20).sum(axis=1)
    star = np.outer(profile, profile)
    moments = kernel_moments((star / star.sum())[None])
    # The sums over so few pixels are off by the square of the sampling, up to 15 % at 0.6 pixel.
    assert moments.sigma[0] == pytest.approx(np.sqrt(sigma**2 + 1 / 12), rel=0.16)


def test_a_single_pixel_has_no_moments():
    star = np.zeros((1, 15, 15))
    star[0, 7, 7] = 1
    assert np.isnan(kernel_moments(star).ixx).all()
