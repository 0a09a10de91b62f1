"""Tests of skyloom.calibrate.piff_psf; they need the extra piff."""

from dataclasses import replace

import numpy as np
import pytest

from skyloom.algorithms.psf_model import PsfFitFailedError, PsfFitSettings, fit_psf, refit_stars
from skyloom.calibrate.piff_psf import fit_piff_psf
from skyloom.core.psf import PixelPsf, psf_moments

piff = pytest.importorskip("piff", reason="the extra piff is not installed")

SIZE, N_STAR = 400, 36
SETTINGS = PsfFitSettings(size=27, max_order=1)


def fwhm_at(x, y):
    return 3.6 * (1 + 0.10 * (np.asarray(x) / SIZE - 0.5) - 0.06 * (np.asarray(y) / SIZE - 0.5))


def star_field(stars, seed):
    """Pixels above the sky and the places of stars of S/N 150 to 700 in a PSF that varies linearly."""
    rng = np.random.default_rng(seed)
    x, y = (grid.ravel() for grid in np.meshgrid(*2 * [(np.arange(6) + 0.5) * SIZE / 6]))
    x, y = x + rng.uniform(-8, 8, N_STAR), y + rng.uniform(-8, 8, N_STAR)
    flux = np.exp(rng.uniform(*np.log([4e4, 6e5]), N_STAR))
    pixels = stars.observed(stars.light((SIZE, SIZE), x, y, flux, fwhm_at(x, y), half=18), rng)
    return stars.without_sky(pixels), x, y


def sizes(psf, stars):
    """Sizes of the model and of the true PSF at places on a grid, shape (2, n)."""
    x, y = (grid.ravel() for grid in np.meshgrid(*2 * [np.linspace(40, SIZE - 40, 4)]))
    half = psf.size // 2
    true = [psf_moments(stars.moffat(0, 0, fwhm, half))[0] for fwhm in fwhm_at(x, y)]
    return np.array([[psf_moments(kernel)[0] for kernel in psf.kernels_at(x, y)], true])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_piff_finds_the_psf_between_its_stars_and_our_basis_holds_it(stars, seed):
    pixels, x, y = star_field(stars, seed)
    reserved = np.arange(N_STAR) % 9 == 0
    ours = fit_psf(pixels, (x, y, reserved), 1.7, SETTINGS)
    # A star that is reserved may hold anything.
    spoilt = replace(pixels, image=pixels.image.copy())
    spoilt.image[round(y[0]), round(x[0]) + 2] += 1e5

    fit = refit_stars(pixels, ours, fit_piff_psf(spoilt, ours, SETTINGS), SETTINGS)

    assert isinstance(fit.psf, PixelPsf)
    assert (fit.psf.order, fit.psf.size) == (1, 25)
    np.testing.assert_array_equal(fit.used, ours.used)
    model, true = sizes(fit.psf, stars)
    # 32 stars of S/N 300 and three terms of 625 free pixels: 1 / 300 sqrt(3 / 32) = 0.1 % for a known shape.
    assert np.mean(model / true - 1) == pytest.approx(0, abs=0.004)
    assert np.std(model / true - 1) < 0.006
    assert np.ptp(true / true.mean()) > 0.1
    assert np.hypot(fit.x - x, fit.y - y).max() < 0.03
    assert np.median(fit.residual[ours.used]) == pytest.approx(1.0, abs=0.15)


def test_an_error_of_piff_is_named(stars, monkeypatch):
    def fail(*_):
        raise RuntimeError("all stars are flagged")

    pixels, x, y = star_field(stars, 3)
    ours = fit_psf(pixels, (x, y, np.zeros(N_STAR, dtype=bool)), 1.7, SETTINGS)
    monkeypatch.setattr(piff.SimplePSF, "fit", fail)
    with pytest.raises(PsfFitFailedError, match=r"an error of Piff \(all stars are flagged\)"):
        fit_piff_psf(pixels, ours, SETTINGS)
