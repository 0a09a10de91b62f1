"""Tests of skyloom.algorithms.colour_term and psf_colour."""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from coloured_stars import MEAN_COLOUR, SIZE, SPREAD, coloured_scene, true_moments

from skyloom.algorithms import colour_term
from skyloom.algorithms.colour_term import MAX_CHANCE, chance_of_change, fit_colour_term
from skyloom.algorithms.moments import kernel_moments
from skyloom.algorithms.psf_colour import size_slope
from skyloom.algorithms.psf_model import PsfFitSettings, fit_psf, refine_psf

SETTINGS = PsfFitSettings(size=31)
SEEDS = range(1, 7)
NAME = "g - i"
COLOURS = (MEAN_COLOUR - SPREAD, MEAN_COLOUR + SPREAD)


@pytest.fixture(scope="module")
def fitted(stars):
    """Function that draws a scene and fits its PSF without regard to colour, then with."""

    @cache
    def fit(seed, change):
        scene = coloured_scene(stars, seed, change)
        pixels = stars.without_sky(scene.exposure.pixels)
        reserved = np.random.default_rng(seed).random(len(scene.x)) < 0.3
        grey = fit_psf(pixels, (scene.x, scene.y, reserved), 1.8, SETTINGS)
        grey = refine_psf(pixels, (grey.x, grey.y, reserved), grey.psf, SETTINGS)
        coloured = fit_colour_term(pixels, grey, reserved, (NAME, scene.colour), SETTINGS)
        return SimpleNamespace(scene=scene, pixels=pixels, reserved=reserved, grey=grey, coloured=coloured)

    return fit


def slope(values, colour):
    """Slope of values with colour."""
    return np.polyfit(colour, values, 1)[0]


def slope_error(case):
    """Error of a relative slope of T that the photons of the used stars leave: 2 / (S/N) a star."""
    used = case.coloured.used
    area = 4 * np.pi * 1.85**2
    signal_to_noise = case.scene.flux / np.sqrt(case.scene.flux + 325 * area)
    offset = case.scene.colour - case.scene.colour[used].mean()
    return 1 / np.sqrt(np.sum((offset * signal_to_noise / 2)[used] ** 2))


def residual_slopes(psf, case, stars):
    """Slopes with colour of relative T, e1 and e2 of a PSF minus the true ones, at the reserved stars."""
    scene = case.scene
    low, high = case.coloured.psf.colour.limits
    some = case.reserved & (scene.colour > low) & (scene.colour < high)
    x, y, colour = scene.x[some], scene.y[some], scene.colour[some]
    found = kernel_moments(psf.kernels_at(x, y, colour))
    size = found.ixx + found.iyy
    e1, e2 = (found.ixx - found.iyy) / size, 2 * found.ixy / size
    true_size, true_e1, true_e2 = true_moments(stars, x, y, colour, scene.change)
    return [slope(difference, colour) for difference in (size / true_size - 1, e1 - true_e1, e2 - true_e2)]


def test_reserved_stars_of_each_colour_have_the_size_and_shape_of_the_model(fitted, stars):
    cases = [fitted(seed, 1.0) for seed in SEEDS]

    without = np.array([residual_slopes(case.grey.psf, case, stars) for case in cases])
    left = np.array([residual_slopes(case.coloured.psf, case, stars) for case in cases])

    # The mean of the seeds' errors; 1.3 for the modes that are fitted beside the size (the scatter of 24 seeds).
    error = 1.3 * np.sqrt(np.mean([slope_error(case) ** 2 for case in cases]) / len(cases))
    assert error < 0.001
    assert np.all(np.abs(without.mean(axis=0)) > [15 * error, 4 * error, 4 * error])
    assert np.all(np.abs(left.mean(axis=0)) < 3.5 * error)


def test_the_change_of_the_size_is_told(fitted, stars):
    found = [size_slope(fitted(seed, 1.0).coloured.psf, SIZE / 2, SIZE / 2) for seed in SEEDS]
    size, _, _ = true_moments(stars, *np.full((2, 2), SIZE / 2), COLOURS, 1.0)
    true = np.log(size[1] / size[0]) / np.diff(COLOURS)[0]

    error = 1.3 * np.sqrt(np.mean([slope_error(fitted(seed, 1.0)) ** 2 for seed in SEEDS]) / len(SEEDS))
    assert true == pytest.approx(-0.02, abs=0.002)
    assert np.mean(found) == pytest.approx(true, abs=3.5 * error)
    assert np.isnan(size_slope(fitted(1, 1.0).grey.psf, SIZE / 2, SIZE / 2))


def test_what_refraction_moves_is_in_the_position_and_not_in_the_psf(fitted):
    slopes = []
    for seed in SEEDS:
        case = fitted(seed, 1.0)
        found = kernel_moments(case.coloured.psf.kernels_at([50, 400], [600, 300], COLOURS))
        assert np.hypot(found.x, found.y).max() < 1e-3
        bright = case.scene.flux > 3e4
        errors = [(case.coloured.x - case.scene.x)[bright], (case.coloured.y - case.scene.y)[bright]]
        slopes.append([slope(error, case.scene.colour[bright]) for error in errors])
    # 0.25 pixel a magnitude were put in; a star of S/N 160 and sigma 1.8 has an error of 0.011 pixel, of six times a
    # hundred stars with a spread of 0.4 mag.
    assert np.all(np.abs(np.mean(slopes, axis=0)) < 4 * 0.011 / SPREAD / np.sqrt(6 * 100))


def test_stars_that_do_not_change_with_colour_get_no_term_and_the_same_psf(fitted):
    chances = []
    for seed in SEEDS:
        case = fitted(seed, 0.0)
        offsets = case.scene.colour - MEAN_COLOUR
        chances.append(chance_of_change(case.pixels, case.grey, offsets, SETTINGS))
        colour = case.coloured.psf.colour
        assert not case.coloured.psf.has_colour
        assert colour.remark.startswith("no change with colour")
        assert (colour.name, colour.n_star) == (NAME, case.grey.used.sum())
        assert np.array_equal(case.coloured.psf.coefficients, case.grey.psf.coefficients)
        assert np.array_equal(case.coloured.x, case.grey.x)
    # Six draws between 0 and 1 of a probability that is one: all are below a half one time in 64.
    assert min(chances) > MAX_CHANCE
    assert max(chances) > 0.5


def test_a_term_where_there_is_none_does_not_make_the_psf_noisier(fitted, stars, monkeypatch):
    cases = [fitted(seed, 0.0) for seed in SEEDS]
    monkeypatch.setattr(colour_term, "MAX_CHANCE", 1.1)
    errors, slopes, expected = [], [], []
    for seed, case in zip(SEEDS, cases, strict=True):
        scene = case.scene
        forced = fit_colour_term(case.pixels, case.grey, case.reserved, (NAME, scene.colour), SETTINGS)
        x, y = np.random.default_rng(seed).uniform(40, SIZE - 40, (2, 30))
        true, _, _ = true_moments(stars, x, y, np.full(30, MEAN_COLOUR), 0.0)
        found = [kernel_moments(psf.kernels_at(x, y)) for psf in (case.grey.psf, forced.psf)]
        errors.append([(moments.ixx + moments.iyy) / true - 1 for moments in found])
        slopes.append(size_slope(forced.psf, SIZE / 2, SIZE / 2))
        expected.append(slope_error(case))
    grey, coloured = np.sqrt(np.mean(np.square(errors), axis=(0, 2)))
    assert coloured < 1.1 * grey
    assert abs(np.mean(slopes)) < 3.5 * 1.3 * np.sqrt(np.mean(np.square(expected)) / len(SEEDS))


@pytest.mark.parametrize(
    ("spoil", "remark"),
    [
        (lambda colour: np.where(np.arange(len(colour)) < 15, colour, np.nan), "needs 20"),
        (lambda colour: np.full_like(colour, np.nan), "0 stars with a colour"),
        (lambda colour: MEAN_COLOUR + 0.1 * (colour - MEAN_COLOUR), "mag about the median, needs 0.1"),
    ],
)
def test_few_or_like_colours_make_no_term(spoil, remark, fitted):
    case = fitted(1, 1.0)

    found = fit_colour_term(case.pixels, case.grey, case.reserved, (NAME, spoil(case.scene.colour)), SETTINGS)

    assert remark in found.psf.colour.remark
    assert not found.psf.has_colour
    assert np.array_equal(found.psf.coefficients, case.grey.psf.coefficients)


def test_stars_without_a_colour_and_one_of_a_wrong_colour_change_little(fitted):
    case = fitted(2, 1.0)
    colour = case.scene.colour.copy()
    colour[::5] = np.nan
    colour[3] = 12.0

    found = fit_colour_term(case.pixels, case.grey, case.reserved, (NAME, colour), SETTINGS)

    assert found.psf.colour.limits[1] < MEAN_COLOUR + 5 * SPREAD
    slopes = [size_slope(psf, SIZE / 2, SIZE / 2) for psf in (found.psf, case.coloured.psf)]
    assert slopes[0] == pytest.approx(slopes[1], abs=3 * slope_error(case))


def test_a_fit_that_fails_leaves_the_psf_without_a_term(fitted):
    case = fitted(1, 1.0)
    # As many as there are: the first star that is dropped is one too many.
    strict = replace(SETTINGS, min_stars=len(case.scene.x) + 1)

    found = fit_colour_term(case.pixels, case.grey, case.reserved, (NAME, case.scene.colour), strict)

    assert "are fit for a PSF model" in found.psf.colour.remark
    assert np.array_equal(found.psf.coefficients, case.grey.psf.coefficients)
