"""Tests of skyloom.algorithms.psf_model."""

import numpy as np
import pytest

from skyloom.algorithms import psf_model
from skyloom.algorithms.moments import kernel_moments
from skyloom.algorithms.psf_model import PsfFitFailedError, PsfFitSettings, TooFewPsfStarsError, fit_psf
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.psf import PixelPsf

SIZE = 500
SETTINGS = PsfFitSettings(size=27)


def fwhm_at(x, y):
    return 3.6 * (1 + 0.12 * (np.asarray(x) / SIZE - 0.5) + 0.06 * (np.asarray(y) / SIZE - 0.5) ** 2)


def star_field(stars, seed, n=60, flux=(2e4, 3e5)):
    rng = np.random.default_rng(seed)
    side = int(np.ceil(np.sqrt(n)))
    x, y = (grid.ravel()[:n] for grid in np.meshgrid(*2 * [(np.arange(side) + 0.5) * SIZE / side]))
    x, y = x + rng.uniform(-8, 8, n), y + rng.uniform(-8, 8, n)
    flux = np.exp(rng.uniform(*np.log(flux), n))
    pixels = stars.observed(stars.light((SIZE, SIZE), x, y, flux, fwhm_at(x, y), half=18), rng)
    return stars.without_sky(pixels), x, y, flux, rng


def size_errors(psf, stars):
    x, y = (grid.ravel() for grid in np.meshgrid(*2 * [np.linspace(30, SIZE - 30, 6)]))
    half = psf.size // 2
    true = kernel_moments(np.stack([stars.moffat(0, 0, fwhm, half) for fwhm in fwhm_at(x, y)]))
    model = kernel_moments(psf.kernels_at(x, y))
    return (model.ixx + model.iyy) / (true.ixx + true.iyy) - 1, model


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_psf_follows_the_field_within_the_noise_of_its_stars(seed, stars):
    pixels, x, y, _, rng = star_field(stars, seed)
    start = rng.normal(0, 0.1, (2, len(x)))

    fit = fit_psf(pixels, (x + start[0], y + start[1], np.zeros(len(x), dtype=bool)), 1.7, SETTINGS)

    error, model = size_errors(fit.psf, stars)
    assert fit.psf.order == 3
    # 60 stars of S/N ~200 and ten terms, most of which the prior keeps small: 2 / 200 sqrt(10 / 60) = 0.4 %.
    assert abs(error.mean()) < 0.004
    assert error.std() < 0.006
    assert np.hypot(model.x, model.y).max() < 1e-3
    assert np.median(np.abs(fit.x - x)) < 0.02
    assert fit.psf.kernel_at(100, 100).sum() == pytest.approx(1)


def test_without_noise_the_size_of_a_star_is_kept(stars):
    x, y = (grid.ravel() for grid in np.meshgrid(*2 * [np.arange(40.0, 470.0, 53.7)]))
    light = stars.light((SIZE, SIZE), x, y, np.full(x.size, 1e5), 3.6, half=18)
    pixels = MaskedImage(
        light.astype(np.float32), np.zeros(light.shape, np.uint32), (light + 300).astype(np.float32)
    )

    fit = fit_psf(pixels, (x, y, np.zeros(x.size, dtype=bool)), 1.7, SETTINGS)

    true, model = (
        kernel_moments(kernel[None]) for kernel in (stars.moffat(0, 0, 3.6, 13), fit.psf.kernel_at(250, 250))
    )
    # The scatter of the pixel's phases; an interpolation with errors of 0.3 % would widen the model by 0.2 %.
    assert (model.ixx + model.iyy) / (true.ixx + true.iyy) == pytest.approx(1.0, abs=2e-4)


def test_a_constant_model_misses_the_variation_that_the_polynomial_finds(stars):
    pixels, x, y, _, _ = star_field(stars, 4)
    none = np.zeros(len(x), dtype=bool)

    constant = fit_psf(pixels, (x, y, none), 1.7, PsfFitSettings(size=27, max_order=0, mode_order=0))
    varying = fit_psf(pixels, (x, y, none), 1.7, SETTINGS)

    assert size_errors(constant.psf, stars)[0].std() > 4 * size_errors(varying.psf, stars)[0].std()


def test_few_stars_get_a_lower_order(stars):
    pixels, x, y, _, _ = star_field(stars, 5, n=16)

    assert fit_psf(pixels, (x, y, np.zeros(16, dtype=bool)), 1.7, SETTINGS).psf.order == 1


@pytest.mark.parametrize("seed", [6, 7])
def test_contaminated_stars_are_dropped(seed, stars):
    pixels, x, y, _, _ = star_field(stars, seed)
    spoilt = np.zeros(len(x), dtype=bool)
    spoilt[:5] = True
    extra = stars.light((SIZE, SIZE), x[:5] + 3, y[:5] + 2, np.full(5, 1e5), 5.0, half=18)
    pixels.image[:] += extra.astype(np.float32)

    fit = fit_psf(pixels, (x, y, np.zeros(len(x), dtype=bool)), 1.7, SETTINGS)

    assert not fit.used[spoilt].any()
    assert fit.used.sum() > 40
    assert abs(size_errors(fit.psf, stars)[0].mean()) < 0.006


def test_reserved_stars_are_measured_but_not_used(stars):
    pixels, x, y, flux, _ = star_field(stars, 8)
    reserved = np.arange(len(x)) % 10 == 0

    fit = fit_psf(pixels, (x, y, reserved), 1.7, SETTINGS)

    assert not fit.used[reserved].any()
    assert np.median(fit.flux[reserved] / flux[reserved]) == pytest.approx(0.99, abs=0.02)


def test_light_masked_as_suspect_and_bad_pixels_do_not_enter(stars):
    pixels, x, y, _, _ = star_field(stars, 9)
    for column, row in zip(np.rint(x).astype(int), np.rint(y).astype(int), strict=True):
        pixels.image[row + 5, column - 5 : column + 5] = 5e4
        pixels.mask[row + 5, column - 5 : column + 5] = mask_planes.SUSPECT
        pixels.image[row, column - 3] = np.nan

    fit = fit_psf(pixels, (x, y, np.zeros(len(x), dtype=bool)), 1.7, SETTINGS)

    assert abs(size_errors(fit.psf, stars)[0].mean()) < 0.006


def test_too_few_stars_are_refused_with_their_number(stars):
    pixels, x, y, _, _ = star_field(stars, 10, n=16)

    with pytest.raises(TooFewPsfStarsError, match="2 stars are fit for a PSF model, needs 4") as caught:
        fit_psf(pixels, (x[:2], y[:2], np.zeros(2, dtype=bool)), 1.7, SETTINGS)

    assert (caught.value.n_star, caught.value.n_needed) == (2, 4)


def test_a_model_with_its_peak_off_centre_is_refused():
    kernel = np.zeros((1, 25, 25), dtype=np.float32)
    kernel[0, 2, 2] = 1
    with pytest.raises(PsfFitFailedError, match="peak 14.1 pixels off centre"):
        psf_model.check_psf(PixelPsf(kernel, 0, (0, 1, 0, 1)))
    with pytest.raises(PsfFitFailedError, match="not finite"):
        psf_model.check_psf(PixelPsf(kernel * np.float32(np.nan), 0, (0, 1, 0, 1)))
