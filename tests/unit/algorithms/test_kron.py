"""Tests of skyloom.algorithms.kron."""

import numpy as np
import pytest

from skyloom.algorithms.kron import MIN_MOMENT, kron_photometry
from skyloom.algorithms.moments import adaptive_moments
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage

SIDE, OVER = 201, 5


def profile(index, radius, axis_ratio=1.0, angle=0.5, centre=(100.3, 99.8)):
    """Sersic galaxy of flux 1 within the image, integrated over pixels."""
    grid = (np.arange(SIDE * OVER) + 0.5) / OVER - 0.5
    dx, dy = grid[None, :] - centre[0], grid[:, None] - centre[1]
    along, across = dx * np.cos(angle) + dy * np.sin(angle), -dx * np.sin(angle) + dy * np.cos(angle)
    r = np.sqrt(along**2 * axis_ratio + across**2 / axis_ratio)
    b = 2 * index - 1 / 3 + 0.009876 / index
    light = np.exp(-b * (r / radius) ** (1 / index)).reshape(SIDE, OVER, SIDE, OVER).mean(axis=(1, 3))
    return light / light.sum()


def pixels_of(image, variance=1.0):
    return MaskedImage(
        image.astype(np.float32),
        np.zeros(image.shape, np.uint32),
        np.full(image.shape, variance, np.float32),
    )


def measured(pixels, x, y, psf_sigma=1.5):
    shape = adaptive_moments(pixels.image, np.atleast_1d(x), np.atleast_1d(y), 3.0)
    moments = (shape.ixx, shape.iyy, shape.ixy)
    return kron_photometry(
        pixels, np.atleast_1d(x), np.atleast_1d(y), moments, np.full(len(shape.x), psf_sigma)
    )


@pytest.mark.parametrize(
    ("index", "axis_ratio", "part"), [(0.5, 1.0, 0.99), (0.5, 0.5, 0.99), (1.0, 1.0, 0.94), (1.0, 0.4, 0.94)]
)
def test_the_ellipse_holds_the_part_of_a_galaxy_that_kron_says(index, axis_ratio, part):
    light = profile(index, 6.0, axis_ratio)

    flux, _, radius, is_limited = measured(pixels_of(1e6 * light), 100.3, 99.8)[:, 0]

    assert flux == pytest.approx(part * 1e6, rel=0.02)
    assert not is_limited
    # First moment of r: 2 scale lengths for a disc (the reach takes a few per cent of it), 1.2533 sigma for a Gaussian.
    expected = 2 * 6.0 / 1.678 if index == 1 else MIN_MOMENT * 6.0 / 1.1774
    assert radius == pytest.approx(expected, rel=0.08)


def test_an_elliptical_rim_holds_the_area_of_the_ellipse():
    ones = pixels_of(np.ones((SIDE, SIDE)), 4.0)
    x, y = 60 + np.random.default_rng(3).uniform(0, 1, (2, 50))

    # On even light the first moment is 2/3 of its reach, that is the limit of the radius.
    flux, error, radius, is_limited = kron_photometry(
        ones, x, y, (np.full(50, 16.0), np.full(50, 6.0), np.full(50, 3.0)), np.full(50, 1.0)
    )

    area = np.pi * (2.5 * radius) ** 2
    assert is_limited.all()
    assert flux == pytest.approx(area, rel=1e-3)
    assert error == pytest.approx(2 * np.sqrt(area), rel=1e-3)


def test_errors_are_the_scatter_of_faint_sources():
    rng = np.random.default_rng(4)
    light = 4e4 * profile(1.0, 4.0, 0.6)
    truth = measured(pixels_of(light), 100.3, 99.8)[0, 0]
    flux, error = np.array(
        [
            measured(pixels_of(light + rng.normal(0, 5.0, light.shape), 25.0), 100.3, 99.8)[:2, 0]
            for _ in range(60)
        ]
    ).T

    # The radius scatters too.
    assert flux.mean() == pytest.approx(truth, abs=4 * flux.std() / np.sqrt(60) + 0.01 * truth)
    assert flux.std() == pytest.approx(np.median(error), rel=0.6)


def test_stars_are_as_large_as_the_psf_and_cut_ones_have_no_flux():
    rng = np.random.default_rng(5)
    image = 3000 * profile(0.5, 1.5 * 1.1774) + rng.normal(0, 5.0, (SIDE, SIDE))
    pixels = pixels_of(image, 25.0)
    pixels.mask[104, 100] = mask_planes.NO_DATA
    unit = (np.full(4, 2.25), np.full(4, 2.25), np.zeros(4))

    flux, error, radius, _ = kron_photometry(
        pixels, np.r_[100.3, 2.0, 30.0, np.nan], np.r_[99.8, 90.0, 30.0, 30.0], unit, np.full(4, 1.5)
    )

    assert np.isnan(flux).tolist() == [True, True, False, True]
    assert np.isnan(error).tolist() == [True, True, False, True]
    assert np.isnan(radius).tolist() == [False, False, False, True]
    assert np.all(radius[:3] >= MIN_MOMENT * 1.5)


@pytest.mark.kernels
def test_the_kernel_measures_one_source_of_a_small_image_and_gives_up_others():
    rows, columns = np.mgrid[:32, :32]
    image = 900 * np.exp(-((columns - 16.0) ** 2 + (rows - 15.0) ** 2) / 2 / 1.5**2)
    pixels = pixels_of(image)
    pixels.mask[16, 16] = mask_planes.NO_DATA
    unit = (np.full(3, 2.25), np.full(3, 2.25), np.zeros(3))

    without_data = kron_photometry(
        pixels, np.r_[16.0, 1.0, np.nan], np.r_[15.0, 1.0, 9.0], unit, np.full(3, 1.5)
    )
    pixels.mask[:] = 0
    whole = kron_photometry(pixels, np.r_[16.0, 1.0, np.nan], np.r_[15.0, 1.0, 9.0], unit, np.full(3, 1.5))
    negative = kron_photometry(pixels_of(-image), [16.0], [15.0], [v[:1] for v in unit], np.r_[1.5])

    assert np.isnan(without_data[0]).all()
    assert np.isnan(whole[0]).tolist() == [False, True, True]
    assert whole[0, 0] == pytest.approx(0.99 * image.sum(), rel=0.01)
    assert negative[3, 0] == 1
