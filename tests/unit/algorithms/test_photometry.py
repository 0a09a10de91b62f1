"""Tests of skyloom.algorithms.photometry."""

import numpy as np
import pytest

from skyloom.algorithms.photometry import (
    FitSettings,
    SourceSplines,
    photometry_with_light,
    point_source_image,
    position_error_factor,
    psf_photometry,
    without_position_bias,
)
from skyloom.algorithms.point_fit import _are_near_new, on_image
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.psf import PixelPsf, gaussian_kernel

HALF, FWHM, SKY, READ_NOISE = 15, 3.5, 300.0, 5.0
VARIANCE = SKY + READ_NOISE**2
IN_ELECTRONS = FitSettings(photon_variance=1.0)


def grid(n, step, rng):
    x, y = (values.ravel() * step + step / 2 for values in np.meshgrid(np.arange(n), np.arange(n)))
    return x + rng.uniform(-0.5, 0.5, n * n), y + rng.uniform(-0.5, 0.5, n * n)


def true_psf(stars):
    profile = stars.moffat(0, 0, FWHM, HALF)
    return profile / profile.sum(), profile.sum()


def cramer_rao(kernel, flux):
    """Smallest possible errors of flux and x of a star with its own photon noise."""
    variance = VARIANCE + flux * kernel
    slope = np.gradient(kernel, axis=1)
    return np.sum(kernel**2 / variance) ** -0.5, np.sum((flux * slope) ** 2 / variance) ** -0.5


@pytest.mark.parametrize("flux", [1500.0, 1e4, 6e4])
def test_flux_and_position_of_stars_reach_the_cramer_rao_limit_with_right_errors(flux, stars):
    rng = np.random.default_rng(int(flux))
    n = 16
    x, y = grid(n, 34, rng)
    light = stars.light((n * 34, n * 34), x, y, np.full(n * n, flux), FWHM, half=HALF)
    pixels = stars.without_sky(stars.observed(light, rng, SKY, READ_NOISE), SKY)
    kernel, total = true_psf(stars)

    start = rng.normal(0, 0.2, (2, n * n))
    fit = psf_photometry(pixels, np.repeat(kernel[None], n * n, 0), x + start[0], y + start[1], IN_ELECTRONS)

    flux_limit, x_limit = cramer_rao(kernel, flux * total)
    spread = 4 / np.sqrt(2 * n * n)
    assert fit.flux.std() / flux_limit == pytest.approx(1.0, abs=spread + 0.03)
    assert (fit.x - x).std() / x_limit == pytest.approx(1.0, abs=spread + 0.1)
    assert ((fit.flux - flux * total) / fit.flux_err).std() == pytest.approx(1.0, abs=spread + 0.02)
    assert ((fit.y - y) / fit.y_err).std() == pytest.approx(1.0, abs=spread + 0.05)
    # A free position raises a flux by sigma^2 / F; the spline that moves the PSF errs by less than 1e-4.
    excess = flux_limit**2 / flux
    assert fit.flux.mean() - flux * total - excess == pytest.approx(0, abs=4 * flux_limit / n + 1e-4 * flux)
    assert fit.chi2.mean() / fit.n_pixel.mean() == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_forced_fluxes_of_empty_sky_are_unbiased_with_right_errors(seed):
    rng = np.random.default_rng(seed)
    shape = (320, 320)
    pixels = MaskedImage(
        rng.normal(0, 3.0, shape).astype(np.float32),
        np.zeros(shape, dtype=np.uint32),
        np.full(shape, 9.0, dtype=np.float32),
    )
    x, y = grid(16, 20, rng)
    psf = PixelPsf(gaussian_kernel(1.5, 15)[None].astype(np.float32), 0, (0, 319, 0, 319))

    fit = psf_photometry(pixels, psf, x, y, FitSettings(fit_position=False))

    pull = fit.flux / fit.flux_err
    assert pull.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * 256))
    assert pull.mean() == pytest.approx(0.0, abs=4 / 16)
    assert np.array_equal(fit.x, x)
    assert np.isnan(fit.x_err).all()
    correlated = psf_photometry(pixels, psf, x, y, FitSettings(fit_position=False, noise_correlation=4.0))
    assert correlated.flux_err == pytest.approx(2 * fit.flux_err)


def test_close_neighbours_do_not_take_each_others_light(stars):
    x, y, flux = np.r_[30.2, 36.1], np.r_[30.0, 31.3], np.r_[1e5, 2e4]
    light = stars.light((64, 64), x, y, flux, FWHM, half=HALF)
    pixels = MaskedImage(
        light.astype(np.float32), np.zeros(light.shape, np.uint32), np.full(light.shape, 300, np.float32)
    )
    kernel, total = true_psf(stars)

    fit = psf_photometry(
        pixels, np.repeat(kernel[None], 2, 0), x, y, FitSettings(photon_variance=1, n_sweep=12)
    )

    # The spline moves this PSF with errors of 1e-4 of the brighter star.
    assert fit.flux == pytest.approx(flux * total, abs=2e-4 * flux.max())
    assert fit.x == pytest.approx(x, abs=1e-2)


def test_masked_pixels_have_no_weight(stars):
    light = stars.light((50, 50), [25.3], [24.8], [2e4], FWHM, half=HALF)
    pixels = MaskedImage(
        light.astype(np.float32), np.zeros(light.shape, np.uint32), np.full(light.shape, 300, np.float32)
    )
    pixels.image[24, 26] = 1e6
    pixels.mask[24, 26] = mask_planes.CR
    pixels.image[28, 28] = np.nan
    kernel, total = true_psf(stars)

    fit = psf_photometry(pixels, kernel[None], [25.0], [25.0], IN_ELECTRONS)

    assert fit.flux == pytest.approx([2e4 * total], rel=2e-3)
    assert 0.8 < fit.usable_fraction[0] < 1


@pytest.mark.kernels
def test_a_source_without_usable_pixels_is_nan_and_harms_no_other():
    image = 1000 * np.pad(gaussian_kernel(1.5, 15), ((8, 8), (8, 8))).astype(np.float32)
    pixels = MaskedImage(image, np.zeros((31, 31), np.uint32), np.ones((31, 31), np.float32))
    pixels.mask[:, 24:] = mask_planes.SAT
    kernels = np.repeat(gaussian_kernel(1.5, 9)[None], 4, 0)

    fit = psf_photometry(pixels, kernels, [15.0, 29.0, -40.0, np.nan], [15.0, 15.0, 15.0, 15.0], IN_ELECTRONS)

    assert fit.flux[0] == pytest.approx(1000, rel=0.02)
    assert np.isnan(fit.flux[1:]).all()
    assert fit.select([0]).x == pytest.approx([15.0], abs=1e-3)


def test_light_without_some_sources_is_that_of_the_others(stars):
    rng = np.random.default_rng(4)
    kernel, _ = true_psf(stars)
    x, y = grid(6, 12, rng)
    flux = 10 ** rng.uniform(3, 6, x.size)
    image = point_source_image((72, 72), np.repeat(kernel[None], x.size, 0), x, y, flux)
    pixels = MaskedImage(image, np.zeros((72, 72), np.uint32), np.full((72, 72), VARIANCE, np.float32))
    coefficients = np.stack([kernel, 0.02 * np.gradient(kernel, axis=0), 0 * kernel]).astype(np.float32)
    psf = PixelPsf(coefficients, 1, (-0.5, 71.5, -0.5, 71.5))
    settings = FitSettings(whole_stamps=True)

    fit, light = photometry_with_light(pixels, psf, (np.rint(x), np.rint(y)), settings)
    unwanted = rng.random(x.size) < 0.5
    light.take_away_in_place(psf, fit, unwanted)

    kept = ~unwanted
    images = psf.kernels_at(np.rint(x[kept]), np.rint(y[kept]))
    expected = point_source_image((72, 72), images, fit.x[kept], fit.y[kept], fit.flux[kept])
    np.testing.assert_allclose(light.image, expected, atol=1e-6 * flux.max())


@pytest.mark.kernels
def test_a_point_source_image_is_the_psf_moved_and_scaled():
    kernel = gaussian_kernel(1.5, 15)

    image = point_source_image(
        (32, 32), np.repeat(kernel[None], 3, 0), [10.0, 20.4, np.nan], [12, 9, 3], [3, 5, 1]
    )

    assert image.sum() == pytest.approx(8.0, rel=1e-3)
    assert image[12, 10] == pytest.approx(3 * kernel.max(), rel=1e-3)
    rows, columns = np.mgrid[:32, :32]
    right = image[:, 16:]
    assert np.sum(right * columns[:, 16:]) / right.sum() == pytest.approx(20.4, abs=0.02)


def test_a_galaxy_that_fills_the_stamp_under_a_gain_that_is_off_has_a_flux_and_an_error():
    y, x = np.mgrid[:61, :61] - 30.0
    light = 5e5 * np.exp(-np.hypot(x, y) / 20)
    # The variance plane believes in 5 % more electrons than the pixels.
    variance = (light / 1.05 + SKY).astype(np.float32)
    pixels = MaskedImage(light.astype(np.float32), np.zeros(light.shape, dtype=np.uint32), variance)
    psf = PixelPsf(gaussian_kernel(1.5, 25)[None].astype(np.float32), 0, (0, 61, 0, 61))
    fit = psf_photometry(pixels, psf, [30.0], [30.0], IN_ELECTRONS)
    assert 0 < fit.flux[0] < light.sum()
    assert 1 < fit.flux_err[0] < fit.flux[0]
    assert np.isfinite(fit.chi2[0])


@pytest.mark.parametrize("distance", [3.5, 5.0, 9.0])
def test_a_fit_before_that_did_not_know_of_a_neighbour_changes_nothing(distance, stars):
    x, y, flux = np.r_[40.2, 40.2 + distance], np.r_[40.0, 40.3], np.r_[1e5, 5e3]
    light = stars.light((80, 80), x, y, flux, FWHM, half=HALF)
    pixels = stars.without_sky(stars.observed(light, np.random.default_rng(5), SKY, READ_NOISE), SKY)
    kernels = np.repeat(true_psf(stars)[0][None], 2, 0)
    alone = psf_photometry(pixels, kernels[:1], x[:1], y[:1], IN_ELECTRONS)
    start = tuple(np.r_[values, np.nan] for values in (alone.x, alone.y, alone.flux))

    cold = psf_photometry(pixels, kernels, x, y, FitSettings(photon_variance=1.0, n_sweep=12))
    warm = psf_photometry(pixels, kernels, x, y, FitSettings(photon_variance=1.0, n_sweep=12), start)

    assert np.all(np.abs(warm.flux - cold.flux) < 0.1 * cold.flux_err)
    assert np.all(np.abs(warm.x - cold.x) < 0.1 * cold.x_err)


@pytest.mark.kernels
def test_what_was_known_of_a_source_that_cannot_be_fitted_is_no_light():
    image = 1000 * np.pad(gaussian_kernel(1.5, 15), ((8, 8), (8, 8))).astype(np.float32)
    pixels = MaskedImage(image, np.zeros((31, 31), np.uint32), np.ones((31, 31), np.float32))
    pixels.mask[:, 20:] = mask_planes.SAT
    kernels = np.repeat(gaussian_kernel(1.5, 15)[None], 3, 0)
    start = (np.r_[15.0, 27.5, 90.0], np.r_[15.0, 15.0, 15.0], np.r_[900.0, 1e7, 1e7])

    fit = psf_photometry(pixels, kernels, [15.0, 27.5, 90.0], [15.0, 15.0, 15.0], IN_ELECTRONS, start)

    assert fit.flux[0] == pytest.approx(1000, rel=0.02)
    assert np.isnan(fit.flux[1:]).all()


@pytest.mark.kernels
def test_a_source_stays_near_its_peak_however_often_it_is_fitted():
    image = 1000 * np.pad(gaussian_kernel(1.5, 15), ((8, 8), (8, 8))).astype(np.float32)
    pixels = MaskedImage(image, np.zeros((31, 31), np.uint32), np.ones((31, 31), np.float32))
    kernels = gaussian_kernel(1.5, 15)[None]
    fit = psf_photometry(pixels, kernels, [12.0], [15.0], IN_ELECTRONS)
    for _ in range(3):
        fit = psf_photometry(pixels, kernels, [12.0], [15.0], IN_ELECTRONS, (fit.x, fit.y, fit.flux))
    assert fit.x == pytest.approx([13.5])


def test_fluxes_of_faint_stars_are_unbiased_once_the_free_position_is_accounted_for():
    rng = np.random.default_rng(11)
    n, sigma, noise = 40, 1.6, 5.0
    kernel = gaussian_kernel(sigma, 2 * HALF + 1)
    x, y = grid(n, 34, rng)
    flux = 8 * noise / np.sqrt(np.sum(kernel**2))
    image = point_source_image(
        (n * 34, n * 34), np.repeat(kernel[None], n * n, 0), x, y, np.full(n * n, flux)
    )
    pixels = MaskedImage(
        (image + rng.normal(0, noise, image.shape)).astype(np.float32),
        np.zeros(image.shape, np.uint32),
        np.full(image.shape, noise**2, np.float32),
    )
    psf = PixelPsf(kernel[None].astype(np.float32), 0, (0, n * 34 - 1, 0, n * 34 - 1))

    fit = psf_photometry(pixels, psf, x, y)
    corrected, error = without_position_bias(fit.flux, fit.flux_err)

    widened = position_error_factor(kernel, fit.flux, fit.flux_err)
    off = np.r_[(fit.x - x) / fit.x_err / widened, (fit.y - y) / fit.y_err / widened]
    assert off.std() == pytest.approx(1.0, abs=4 / np.sqrt(4) / n)
    # 1 + c / (2 nu^2) with c = 5 of a Gaussian.
    assert np.median(widened) == pytest.approx(1 + 5 / 2 / 64, abs=0.005)
    pulls = (corrected - flux) / error
    assert abs(np.mean(pulls)) < 4 / n
    assert np.std(pulls) == pytest.approx(1.0, abs=4 / np.sqrt(2) / n)
    assert np.mean(fit.flux - flux) == pytest.approx(
        np.mean(fit.flux_err) / 8, abs=4 * np.mean(fit.flux_err) / n
    )


def test_fluxes_that_are_not_significant_keep_sign_and_finite_errors():
    flux, error = without_position_bias(np.r_[-2.0, 0.0, 0.5, np.nan], np.r_[1.0, 1.0, 1.0, 1.0])

    assert (np.sign(flux[:3]) == [-1, 0, 1]).all()
    assert np.all(np.abs(flux[:3]) <= [2.0, 0.0, 0.5])
    assert np.all(error[:3] >= 1.0)
    assert np.isnan(flux[3])


def test_a_fit_that_walks_off_the_last_pixels_with_data_ends_there():
    rng = np.random.default_rng(1)
    image = rng.lognormal(5, 2, (300, 60)).astype(np.float32)
    image[:, :23] = np.nan
    pixels = MaskedImage(image, np.zeros(image.shape, np.uint32), np.ones_like(image))
    y = np.arange(6, 294, 8.0)
    v, u = np.mgrid[-12:13, -12:13]
    kernel = np.exp(-(u * u + v * v + 0.5 * u * v) / 1.8)
    kernels = np.broadcast_to(kernel / kernel.sum(), (y.size, 25, 25))

    fit = psf_photometry(pixels, kernels, np.full(y.size, 21.2), y)

    lost = np.isnan(fit.flux)
    assert 0 < lost.sum() < len(y)
    assert np.isfinite(fit.flux_err[~lost]).all()


@pytest.mark.kernels
def test_only_what_lies_far_from_new_sources_may_settle_at_once():
    x, y = np.array([10.0, 18.0, 60.0, 3.0]), np.array([10.0, 10.0, 60.0, 61.0])
    halves, is_known = np.array([4, 4, 4, 4]), np.array([False, True, True, True])

    near = _are_near_new(x, y, halves, is_known, (64, 64))

    assert near.tolist() == [True, True, False, False]
    assert not _are_near_new(x, y, halves, np.ones(4, dtype=bool), (64, 64)).any()


@pytest.mark.kernels
@pytest.mark.parametrize(
    ("corner", "expected"),
    [
        ((2, 3, 5), (2, 3, 0, 0, 5, 5)),
        ((-2, 7, 5), (0, 7, 2, 0, 3, 3)),
        ((-9, 3, 5), (0, 3, 9, 0, 0, 5)),
        ((30, 40, 5), (30, 40, 0, 0, 0, 0)),
    ],
)
def test_the_part_of_a_stamp_on_an_image_is_never_negative(corner, expected):
    assert on_image(corner, (20, 10)) == expected


@pytest.mark.parametrize("sampling", [1, 2])
def test_splines_that_are_at_hand_give_the_same_fits(sampling):
    side = 24 * sampling + 1
    psf = PixelPsf(
        gaussian_kernel(1.6 * sampling, side)[None].astype(np.float32), 0, (-0.5, 59.5, -0.5, 59.5), sampling
    )
    x, y = np.array([20.3, 40.1, 27.8]), np.array([30.2, 18.9, 33.0])
    light = point_source_image((60, 60), psf, x, y, np.array([5e3, 2e4, 8e3]))
    pixels = MaskedImage(light, np.zeros((60, 60), dtype=np.uint32), np.full((60, 60), 100, dtype=np.float32))

    fit = psf_photometry(pixels, psf, np.rint(x), np.rint(y))
    same = psf_photometry(
        pixels, SourceSplines(psf.splines_at(np.rint(x), np.rint(y))), np.rint(x), np.rint(y)
    )

    np.testing.assert_array_equal(same.flux, fit.flux)
    assert fit.flux == pytest.approx([5e3, 2e4, 8e3], rel=1e-3)
