"""Tests of skyloom.algorithms.alone."""

import numpy as np
import pytest

from skyloom.algorithms.alone import ANNULUS, _gather_ring, measure_alone
from skyloom.algorithms.photometry import FitSettings, psf_photometry
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.psf import PixelPsf, gaussian_kernel

SIGMA, HALF, SIDE = 1.7, 12, 240
PSF = PixelPsf(gaussian_kernel(SIGMA, 2 * HALF + 1)[None].astype(np.float32), 0, (0, SIDE - 1, 0, SIDE - 1))
RADIUS = 6.0
UNUSABLE = int(mask_planes.bits("BAD", "NO_DATA"))


def scene(x, y, flux, rng=None, sky=100.0):
    """Gaussian stars with their photon noise."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    light = sum(
        f * np.exp(-((columns - a) ** 2 + (rows - b) ** 2) / 2 / SIGMA**2) / (2 * np.pi * SIGMA**2)
        for a, b, f in zip(x, y, flux, strict=True)
    )
    variance = light + sky
    noise = 0 if rng is None else rng.standard_normal(light.shape) * np.sqrt(variance)
    mask = np.zeros(light.shape, np.uint32)
    return MaskedImage((light + noise).astype(np.float32), mask, variance.astype(np.float32))


def blended_light(x, y, flux):
    """Light of all stars within the aperture of each, whose photons make its noise."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    light = scene(x, y, flux).image
    return np.array(
        [light[np.hypot(columns - a, rows - b) < RADIUS].sum() for a, b in zip(x, y, strict=True)]
    )


def measured(pixels, x, y, flux):
    n = len(x)
    moments = (np.full(n, SIGMA**2), np.full(n, SIGMA**2), np.zeros(n), np.full(n, SIGMA))
    places = tuple(np.array(values, dtype=float) for values in (x, y, flux))
    return measure_alone(pixels, PSF.splines_at(x, y), places, moments, (UNUSABLE, RADIUS))


def test_a_blend_is_measured_as_if_each_star_were_alone():
    x, y, flux = np.r_[60.2, 66.0, 150.7], np.r_[60.0, 62.5, 149.6], np.r_[2e4, 1e4, 3e4]

    blended = measured(scene(x, y, flux), x, y, flux)
    alone = [measured(scene(x[[i]], y[[i]], flux[[i]]), x[[i]], y[[i]], flux[[i]]) for i in range(3)]

    for name in ("uniform_flux", "x", "y", "kron_flux", "kron_radius", "aperture_flux"):
        single = np.concatenate([getattr(one, name) for one in alone])
        assert getattr(blended, name) == pytest.approx(single, rel=2e-3)
    assert blended.x == pytest.approx(x, abs=2e-3)
    assert blended.uniform_flux == pytest.approx(flux, rel=2e-3)
    assert blended.aperture_flux == pytest.approx(flux * (1 - np.exp(-0.5 * (RADIUS / SIGMA) ** 2)), rel=2e-3)
    assert blended.aperture_flux_err**2 == pytest.approx(
        np.pi * RADIUS**2 * 100 + blended_light(x, y, flux), rel=0.06
    )
    overlap = np.exp(-((5.8**2 + 2.5**2) / 4 / SIGMA**2))
    assert blended.blendedness[0] == pytest.approx(overlap / (2 + overlap), rel=0.02)
    assert blended.blendedness[1] == pytest.approx(2 * overlap / (1 + 2 * overlap), rel=0.02)
    assert blended.blendedness[2] == pytest.approx(0, abs=1e-3)
    assert np.all(np.abs(blended.sky) < 0.1)


def test_unweighted_fluxes_have_right_errors_which_exceed_those_of_the_weighted_ones_of_bright_stars():
    rng = np.random.default_rng(2)
    grid = np.arange(7) * 32.0 + 24
    pulls, ratios = [], []
    for _ in range(8):
        x, y = (axis.ravel() + rng.uniform(-0.5, 0.5, 49) for axis in np.meshgrid(grid, grid))
        flux = np.full(49, 3e4)
        pixels = scene(x, y, flux, rng)
        fit = psf_photometry(pixels, PSF, x, y, FitSettings(photon_variance=1.0))
        alone = measured(pixels, fit.x, fit.y, fit.flux)
        pulls.append((alone.uniform_flux - flux) / alone.uniform_flux_err)
        ratios.append(alone.uniform_flux_err / fit.flux_err)
        assert np.all(np.abs(alone.sky) < 5 * alone.sky_err)
        assert alone.sky_err == pytest.approx(np.sqrt(100 / (np.pi * (15**2 - 7**2) * SIGMA**2)), rel=0.1)

    pulls = np.concatenate(pulls)
    assert pulls.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * len(pulls)))
    assert np.mean(ratios) > 1.03


def test_what_could_not_be_fitted_is_not_subtracted_and_bad_pixels_tell_nothing():
    x, y, flux = np.r_[60.0, 100.0, 160.0], np.r_[60.0, 100.0, 160.0], np.r_[2e4, 1e4, 1e4]
    pixels = scene(x, y, flux)
    pixels.image[100, 101] = 1e6
    pixels.mask[100, 101] = mask_planes.BAD
    pixels.mask[120:200, 120:200] = mask_planes.BAD

    alone = measured(pixels, x, y, np.r_[np.nan, 1e4, 1e4])

    assert alone.uniform_flux[:2] == pytest.approx(flux[:2], rel=2e-3)
    assert np.isnan(alone.blendedness).tolist() == [True, False, True]
    assert np.isnan(alone.uniform_flux).tolist() == [False, False, True]
    assert np.isnan(alone.sky).tolist() == [False, False, True]


def test_no_source_is_no_trouble():
    assert len(measured(scene([60.0], [60.0], [1e4]), [], [], []).sky) == 0


@pytest.mark.kernels
def test_the_kernels_measure_one_source_of_a_small_image():
    rows, columns = np.mgrid[:32, :32]
    light = 900 * np.exp(-((columns - 16.2) ** 2 + (rows - 15.1) ** 2) / 2)
    pixels = MaskedImage(
        light.astype(np.float32), np.zeros((32, 32), np.uint32), np.ones((32, 32), np.float32)
    )
    pixels.mask[15, 17] = mask_planes.BAD
    pixels.image[0, 0] = 1e4
    psf = PixelPsf(gaussian_kernel(1.0, 11)[None].astype(np.float32), 0, (0, 31, 0, 31))
    x, y, flux = np.r_[16.2, 30.0], np.r_[15.1, 30.0], np.r_[2 * np.pi * 900, 0.0]
    shapes = (np.ones(2), np.ones(2), np.zeros(2), np.r_[1.0, 0.0])

    alone = measure_alone(pixels, psf.splines_at(x, y), (x, y, flux), shapes, (UNUSABLE, 3.0))

    assert alone.uniform_flux[0] == pytest.approx(flux[0], rel=1e-2)
    assert np.isnan(alone.sky).tolist() == [False, True]
    pixels.mask[:] = mask_planes.BAD
    bad = measure_alone(pixels, psf.splines_at(x, y), (x, y, flux), shapes, (UNUSABLE, 3.0))
    assert np.isnan(bad.uniform_flux).all()
    assert np.isnan(bad.sky).all()


@pytest.mark.parametrize("x", [30.0, 30.3, 0.0, 63.0, -20.0, 80.0])
@pytest.mark.parametrize("y", [30.0, 30.2, 1.0, -10.0])
@pytest.mark.parametrize("sigma", [0.4, 1.5])
def test_the_ring_around_a_source_has_every_pixel_between_its_circles_once(x, y, sigma):
    rng = np.random.default_rng(3)
    image = rng.normal(size=(60, 64)).astype(np.float32)
    mask = (rng.random(image.shape) < 0.1).astype(np.uint32)
    variance = rng.uniform(1, 2, image.shape).astype(np.float32)
    variance[20, 30:40] = np.nan
    circles = (x, y, ANNULUS[0] * sigma, ANNULUS[1] * sigma)
    ring = np.full((2, 4000), np.float32(7))

    n = _gather_ring((image, mask, variance, image), np.uint32(1), circles, ring)

    rows, columns = np.indices(image.shape)
    distance = np.hypot(rows - y, columns - x)
    between = (distance >= circles[2]) & (distance <= circles[3])
    used = between & (mask == 0) & np.isfinite(variance)
    assert n == between.sum()
    np.testing.assert_array_equal(ring[0, :n][np.isfinite(ring[0, :n])], image[used])
    np.testing.assert_array_equal(ring[1, :n][np.isfinite(ring[1, :n])], variance[used])
    assert (ring[:, n:] == 7).all()
