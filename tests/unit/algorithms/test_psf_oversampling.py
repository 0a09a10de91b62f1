"""Tests of skyloom.algorithms.psf_oversampling: a PSF on a finer grid from stars that the pixels do not sample."""

import numpy as np
import pytest

from skyloom.algorithms.photometry import FitSettings, psf_photometry
from skyloom.algorithms.psf_model import PsfFitSettings, TooFewPsfStarsError, fit_psf
from skyloom.algorithms.psf_oversampling import fit_oversampled_psf, refine_oversampled_psf
from skyloom.core import mask_planes

SIDE, SIGMA = 300, 0.75
SETTINGS = PsfFitSettings(size=15, sampling=2)


def field_of(stars, seed, n=81, fwhm=1.5):
    rng = np.random.default_rng(seed)
    nodes = (np.arange(9) + 0.5) * SIDE / 9
    x, y = (grid.ravel()[:n] + rng.uniform(-3, 3, n) for grid in np.meshgrid(nodes, nodes))
    flux = np.exp(rng.uniform(*np.log((2e4, 2e5)), n))
    pixels = stars.observed(stars.light((SIDE, SIDE), x, y, flux, fwhm, half=12), rng, sky=100.0)
    return stars.without_sky(pixels, 100.0), x, y, flux, rng


def fitted(pixels, x, y, rng, reserved=None):
    reserved = np.zeros(len(x), dtype=bool) if reserved is None else reserved
    start = rng.normal(0, 0.1, (2, len(x)))
    return fit_oversampled_psf(pixels, (x + start[0], y + start[1], reserved), SIGMA, SETTINGS)


@pytest.mark.parametrize("seed", [1, 2])
def test_stars_that_made_no_psf_are_where_they_are(seed, stars):
    pixels, x, y, flux, rng = field_of(stars, seed)
    reserved = np.arange(len(x)) % 3 == 0

    fit = fitted(pixels, x, y, rng, reserved)

    assert fit.psf.sampling == 2
    assert fit.psf.size == 15
    assert not fit.used[reserved].any()
    settings = FitSettings(photon_variance=1.0, n_sweep=8)
    coarse = fit_psf(pixels, (x, y, reserved), SIGMA, PsfFitSettings(size=15)).psf
    errors = {}
    for psf in (fit.psf, coarse):
        found = psf_photometry(pixels, psf, np.rint(x), np.rint(y), settings)
        bright = reserved & (flux > 5e4)
        pulls = [(found.x - x) / found.x_err, (found.y - y) / found.y_err]
        errors[psf.sampling] = np.sqrt(np.mean(np.square(pulls)[:, bright]))
        centred = np.hypot(found.x - np.rint(x), found.y - np.rint(y))[bright] < 0.3
        ratio = (found.flux / flux)[bright]
        if psf.sampling == 2:
            # Half of these stars each, of S/N 200 to 450.
            assert np.mean(ratio[centred]) == pytest.approx(np.mean(ratio[~centred]), abs=4 * 0.004 / 3)
    # About 17 stars of two coordinates, with the PSF of 54.
    assert errors[2] < 1.1 + 4 / np.sqrt(2 * 34)
    assert errors[1] > 2 * errors[2]


def test_the_psf_sums_to_one_wherever_a_star_lies_and_is_centred(stars):
    pixels, x, y, _, rng = field_of(stars, 3)
    psf = fitted(pixels, x, y, rng).psf
    offset = np.array([0.0, 0.25, 0.5, 0.5, -0.4])
    sums = psf.stars_at(150 + offset, 150 + offset[::-1]).sum(axis=(1, 2))
    assert sums == pytest.approx(1, abs=2e-3)
    place = np.arange(psf.coefficients.shape[-1]) - psf.coefficients.shape[-1] // 2
    near = np.abs(place) <= 4
    core = psf.coefficients[0][np.ix_(near, near)].astype(float)
    centroid = [np.sum(core * axis) / core.sum() / 2 for axis in np.meshgrid(place[near], place[near])]
    assert np.abs(centroid).max() < 0.01


def test_a_second_fit_keeps_a_good_psf_and_the_same_data_give_the_same_one(stars):
    pixels, x, y, _, rng = field_of(stars, 4)
    none = np.zeros(len(x), dtype=bool)
    first = fitted(pixels, x, y, np.random.default_rng(7))
    again = fitted(pixels, x, y, np.random.default_rng(7))
    np.testing.assert_array_equal(first.psf.coefficients, again.psf.coefficients)

    refined = refine_oversampled_psf(pixels, (first.x, first.y, none), first.psf, SETTINGS)

    assert refined.psf.sampling == 2
    change = refined.psf.images[0] - first.psf.images[0]
    # The PSF of 81 stars of S/N 200 is known to 1e-3.
    assert np.abs(change).max() < 2e-3 * first.psf.images[0].max()


def test_spoilt_pixels_and_stars_do_not_enter(stars):
    pixels, x, y, _, rng = field_of(stars, 5)
    clean = fitted(pixels, x, y, np.random.default_rng(7)).psf
    for column, row in zip(np.rint(x).astype(int), np.rint(y).astype(int), strict=True):
        pixels.image[row + 3, column - 3 : column + 3] = 5e4
        pixels.mask[row + 3, column - 3 : column + 3] = mask_planes.SUSPECT
        pixels.image[row, column - 3] = np.nan
    extra = stars.light((SIDE, SIDE), x[:4] + 1.5, y[:4] + 1, np.full(4, 1e5), 2.5, half=12)
    pixels.image[:] += extra.astype(np.float32)

    fit = fitted(pixels, x, y, np.random.default_rng(7))

    assert not fit.used[:4].any()
    assert fit.used.sum() > 60
    difference = fit.psf.images[0] - clean.images[0]
    assert np.abs(difference).max() < 0.01 * clean.images[0].max()


def test_few_stars_make_a_constant_psf_and_too_few_are_refused(stars):
    pixels, x, y, flux, rng = field_of(stars, 6, n=9)
    assert fitted(pixels, x, y, rng).psf.order == 0
    with pytest.raises(TooFewPsfStarsError, match="3 stars are fit for a PSF model, needs 4"):
        fitted(pixels, x[:3], y[:3], rng)
