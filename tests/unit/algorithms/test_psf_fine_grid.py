"""Tests of skyloom.algorithms.psf_fine_grid and psf_profile: the equations of a PSF that pixels do not sample."""

import numpy as np
import pytest

from skyloom.algorithms.psf_fine_grid import (
    LARGEST_STEPS,
    smooth_change,
    stamp_maps,
    star_equations,
    without_own,
)
from skyloom.algorithms.psf_profile import fitted_moffat, moffat_image, start_parameters
from skyloom.core.psf import PixelPsf
from skyloom.core.splines import spline_coefficients

SIZE, SAMPLING = 9, 2
SIDE = SAMPLING * (SIZE - 1) + 1
PARAMETERS = np.array([np.log(1.5), np.log(3.0), 0.05, -0.03])


def stars(n=12, seed=1):
    """Maps of stars, their images and slopes, and random residuals and weights."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(20, 80, (2, n))
    maps = stamp_maps(x, y, SIZE, SAMPLING)
    coefficients = spline_coefficients(moffat_image(PARAMETERS, SIZE, SAMPLING)[None])
    own = np.stack([maps.images(coefficients), *maps.slopes(coefficients)], axis=1)
    weights = rng.uniform(0.5, 2.0, (n, SIZE, SIZE)) * 1e4
    weights[rng.random(weights.shape) < 0.1] = 0
    return maps, own, coefficients[0], (rng.normal(0, 0.01, weights.shape), weights), (x, y)


def design(maps, i):
    """Matrix from all coefficients to the pixels of one star, by hand."""
    return np.einsum("kp,lq->klpq", maps.rows[i], maps.columns[i]).reshape(SIZE**2, SIDE**2)


def test_maps_give_the_image_that_the_psf_draws():
    maps, own, coefficients, _, (x, y) = stars()
    image = moffat_image(PARAMETERS, SIZE, SAMPLING)
    psf = PixelPsf(image[None].astype(np.float32), 0, (0, 99, 0, 99), SAMPLING)

    shown = maps.images(coefficients[None]) / psf.images[0].sum()

    assert shown == pytest.approx(psf.stars_at(x, y), abs=1e-6)
    step = 1e-3
    moved = stamp_maps(x + step, y, SIZE, SAMPLING).images(coefficients[None])
    stays = np.rint(x + step) == np.rint(x)
    assert own[stays, 1] == pytest.approx(((moved - maps.images(coefficients[None])) / step)[stays], abs=5e-3)


@pytest.mark.kernels
def test_equations_are_those_of_least_squares_with_free_fluxes_and_places():
    maps, own, _, (residuals, weights), _ = stars(4)

    found = star_equations(maps, own, (residuals, weights))

    n, n_own = SIDE**2, 3 * len(residuals)
    full, right = np.zeros((n + n_own, n + n_own)), np.zeros(n + n_own)
    for i in range(len(residuals)):
        columns = np.zeros((SIZE**2, n + n_own))
        columns[:, :n] = design(maps, i)
        columns[:, n + 3 * i : n + 3 * i + 3] = own[i].reshape(3, -1).T
        full += columns.T @ (weights[i].ravel()[:, None] * columns)
        right += columns.T @ (weights[i] * residuals[i]).ravel()
    full[range(n, n + n_own), range(n, n + n_own)] += np.tile(1 / np.square(LARGEST_STEPS), len(residuals))
    inner, mixed = np.linalg.inv(full[n:, n:]), full[:n, n:]
    scale = np.abs(full[:n, :n]).max()
    assert found.matrix == pytest.approx(full[:n, :n] - mixed @ inner @ mixed.T, abs=1e-9 * scale)
    assert found.right == pytest.approx(right[:n] - mixed @ inner @ right[n:], abs=1e-9 * scale)


def test_what_a_flux_or_a_place_can_hide_is_taken_out():
    _, own, _, (residuals, weights), _ = stars()
    weights = 100 * weights
    remaining = without_own(own, weights)
    hidden = remaining(own)
    # What is left is what the prior of the steps holds back: 25 of an information of 5e4 for a position.
    assert np.abs(hidden).max() < 1e-3 * np.abs(own).max()
    left = remaining(residuals[:, None])[:, 0]
    along = np.einsum("nkl,nikl,nkl->ni", weights, own, left)
    before = np.einsum("nkl,nikl,nkl->ni", weights, own, residuals)
    assert np.abs(along).max() < 1e-3 * np.abs(before).max()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_profile_of_stars_is_found(seed):
    true = np.array([np.log(1.7), np.log(4.0), -0.04, 0.06])
    maps, own, present, (_, weights), _ = stars(60, seed)
    light = maps.images(spline_coefficients(moffat_image(true, SIZE, SAMPLING)[None]))
    noise = np.random.default_rng(seed).normal(0, 1, weights.shape) / np.sqrt(np.maximum(weights, 1)) / 10
    residuals = light - own[:, 0] + noise

    equations = star_equations(maps, own, (residuals, 100 * weights))
    found = fitted_moffat(equations, present, start_parameters(1.5), SIZE, SAMPLING)

    expected = spline_coefficients(moffat_image(true, SIZE, SAMPLING)[None])[0]
    # 60 stars of S/N 300; fluxes and places take their part, and equations of the first order a per cent of the change.
    assert np.abs(found - expected).max() < 0.01 * expected.max()


def test_a_change_is_found_where_stars_show_it_and_stays_away_where_there_is_none():
    maps, own, _, (_, weights), _ = stars(80, 3)
    offset = (np.arange(SIDE) - SIDE // 2) / SAMPLING
    image = moffat_image(PARAMETERS, SIZE, SAMPLING)
    change = image * 0.2 * np.sin(1.2 * offset[None, :] + 0.4 * offset[:, None] ** 2)
    noise = np.random.default_rng(3).normal(0, 1, weights.shape) / np.sqrt(np.maximum(100 * weights, 1))
    found = {}
    for is_there in (True, False):
        residuals = is_there * maps.images(spline_coefficients(change[None])) + noise
        equations = star_equations(maps, own, (residuals, 100 * weights))
        found[is_there], part = smooth_change(equations, image, 3.0, 0.2)
        # One step of the search for a prior that started at 0.2.
        assert part > 0.15 if is_there else part < 0.1
    shown, true = (
        without_own(own, weights)(maps.images(values)[:, None])
        for values in (found[True][None], spline_coefficients(change[None]))
    )
    # At most one unit of noise for each coefficient; the change itself is 25 times that.
    assert np.sum(100 * weights[:, None] * (shown - true) ** 2) < SIDE**2
    assert np.sum(100 * weights[:, None] * true**2) > 25 * SIDE**2
    assert np.abs(found[False]).max() < 0.01 * image.max()


@pytest.mark.parametrize("sampling", [1, 2, 3])
def test_a_profile_has_its_light_wherever_it_lies_within_its_pixel(sampling):
    image = moffat_image([np.log(1.5), np.log(6.0), 0.1, 0.0], 15, sampling)
    for row in range(sampling):
        for column in range(sampling):
            assert image[row::sampling, column::sampling].sum() == pytest.approx(1, abs=5e-4)
    assert image == pytest.approx(image[::-1, ::-1])
