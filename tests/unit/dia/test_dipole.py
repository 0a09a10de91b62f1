"""The dipole fit finds both lobes, and says when there are none."""

import numpy as np
import pytest

from skyloom.core.psf import gaussian_kernel
from skyloom.dia.dipole import fit_dipole

SIGMA = 1.9
PSF = gaussian_kernel(SIGMA, 25)


def stamp_of(rng, sources, noise=1.0, half=9):
    """Return a stamp of Gaussian sources (x, y, flux) around its middle."""
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
    image = rng.normal(0, noise, x.shape)
    for px, py, flux in sources:
        image += flux * np.exp(-0.5 * ((x - px) ** 2 + (y - py) ** 2) / SIGMA**2) / (2 * np.pi * SIGMA**2)
    return image


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_separate_lobes_are_found_with_their_fluxes(seed):
    rng = np.random.default_rng(seed)
    image = stamp_of(rng, [(2.2, 0.3, 500.0), (-2.1, -0.4, -450.0)])
    fit = fit_dipole(image, np.ones(image.shape), PSF, (2.0, 0.0), (-2.0, 0.0))
    assert fit.positive_flux == pytest.approx(500, abs=40)
    assert fit.negative_flux == pytest.approx(-450, abs=40)
    assert (fit.positive_x, fit.negative_x) == pytest.approx((2.2, -2.1), abs=0.15)
    assert (fit.positive_y, fit.negative_y) == pytest.approx((0.3, -0.4), abs=0.15)
    assert fit.lobe_fraction == pytest.approx(500 / 950, abs=0.03)
    assert fit.snr > 50
    assert fit.chi2 == pytest.approx(fit.n_pixel, rel=5 * np.sqrt(2 / fit.n_pixel))


def test_close_lobes_keep_their_ratio_though_not_their_fluxes():
    image = stamp_of(np.random.default_rng(4), [(0.25, 0.0, 5000.0), (-0.25, 0.0, -5000.0)])
    fit = fit_dipole(image, np.ones(image.shape), PSF, (1.5, 0.0), (-1.5, 0.0))
    assert fit.lobe_fraction == pytest.approx(0.5, abs=0.05)
    moment = fit.positive_flux * (fit.positive_x - fit.negative_x)
    assert moment == pytest.approx(2500, rel=0.15)


def test_masked_pixels_do_not_count():
    image = stamp_of(np.random.default_rng(5), [(2.0, 0.0, 500.0), (-2.0, 0.0, -500.0)])
    weight = np.ones(image.shape)
    image[4, 4], weight[4, 4] = 1e9, 0.0
    fit = fit_dipole(image, weight, PSF, (2.0, 0.0), (-2.0, 0.0))
    assert fit.n_pixel == image.size - 1
    assert fit.positive_flux == pytest.approx(500, abs=50)


def test_two_sources_of_one_sign_are_no_dipole():
    image = stamp_of(np.random.default_rng(6), [(2.5, 0.0, 500.0), (-2.5, 0.0, 400.0)])
    fit = fit_dipole(image, np.ones(image.shape), PSF, (2.5, 0.0), (-2.5, 0.0))
    assert fit.lobe_fraction == 1.0


def test_a_stamp_larger_than_the_psf_is_fitted_too():
    image = stamp_of(np.random.default_rng(7), [(8.0, 6.0, 900.0), (-8.0, -6.0, -900.0)], half=16)
    fit = fit_dipole(image, np.ones(image.shape), PSF, (8.0, 6.0), (-8.0, -6.0))
    assert fit.positive_flux == pytest.approx(900, abs=40)
