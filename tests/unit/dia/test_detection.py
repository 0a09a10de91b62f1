"""The score counts static sources' errors as noise; peaks of both signs are paired."""

import numpy as np
import pytest

from skyloom.core.psf import gaussian_kernel
from skyloom.dia.detection import find_candidates, matched_template, score_images, static_errors

PSF = gaussian_kernel(1.9, 25)


def test_the_score_of_white_noise_has_unit_variance(make_pair):
    pair = make_pair(1)
    pixels = pair.difference.exposure.pixels
    none = static_errors(
        np.zeros(pixels.shape, np.float32), PSF, np.zeros(pixels.shape, bool), errors_of(0, 0, 0)
    )
    score, significance = score_images(pixels, PSF, none)
    np.testing.assert_array_equal(score, significance)
    # 40,000 pixels hold about 900 independent ones.
    assert score.std() == pytest.approx(1.0, abs=0.1)


def errors_of(relative, inexact, position):
    """Return a settings section."""
    return {"relative": relative, "relative_inexact": inexact, "position_pixel": position}


def test_static_errors_are_those_of_flux_and_position():
    y, x = np.mgrid[:61, :61] - 30.0
    star = (1e5 * np.exp(-0.5 * (x**2 + y**2) / 1.9**2) / (2 * np.pi * 1.9**2)).astype(np.float32)
    inexact = np.zeros(star.shape, bool)
    inexact[:, 40:] = True

    relative = static_errors(star, PSF, inexact, errors_of(0.01, 0.05, 0.0)).variance
    position = static_errors(star, PSF, inexact, errors_of(0.0, 0.0, 0.1)).variance

    assert np.sqrt(relative[30, 30]) == pytest.approx(1e3, rel=1e-3)
    assert np.sqrt(relative[30, 40]) == pytest.approx(5 * np.sqrt(relative[30, 20]), rel=1e-3)
    assert position[30, 30] < 1e-6 * position.max()
    # The matched-filter flux is a Gaussian of sigma 1.9 sqrt(2), steepest at that distance; the slope over
    # two pixels is 5 % less.
    width = 1.9 * np.sqrt(2)
    assert np.sqrt(position.max()) == pytest.approx(0.1 * 1e5 / width * np.exp(-0.5), rel=0.07)


def test_peaks_of_one_source_are_one_and_lobes_are_paired():
    y, x = np.mgrid[:100, :100].astype(float)

    def bump(px, py, height, sigma=2.7):
        return height * np.exp(-0.5 * ((x - px) ** 2 + (y - py) ** 2) / sigma**2)

    score = bump(30, 30, 20) - bump(36, 30, 12) + bump(70, 70, -9) + bump(70, 20, 4)
    score = score.astype(np.float32)
    candidates = find_candidates(score, score, 5.0, 1.9)

    assert len(candidates.x) == 2
    np.testing.assert_allclose(candidates.x, [29.6, 70], atol=0.7)
    assert candidates.score[0] > 15
    assert candidates.score[1] == pytest.approx(-9, abs=0.1)
    assert candidates.lobe_x[0] == pytest.approx(36.5, abs=1)
    assert np.isnan(candidates.lobe_x[1])


def test_peaks_are_placed_where_the_light_is_not_where_the_errors_end():
    y, x = np.mgrid[:60, :60].astype(float)
    significance = (40 * np.exp(-0.5 * ((x - 30) ** 2 + (y - 30) ** 2) / 2.7**2)).astype(np.float32)
    # Static errors leave a third of the score on the right of column 28.
    score = np.where(x > 28, significance / 3, significance).astype(np.float32)
    candidates = find_candidates(score, significance, 5.0, 1.9)
    assert len(candidates.x) == 1
    assert candidates.x[0] == pytest.approx(30, abs=0.6)


def test_a_score_without_peaks_gives_no_candidates():
    nothing = np.zeros((30, 30), np.float32)
    candidates = find_candidates(nothing, nothing, 5.0, 1.9)
    assert len(candidates.x) == len(candidates.lobe_x) == 0


def test_the_matched_template_is_convolved_only_when_the_template_was(make_pair):
    pair = make_pair(2).with_source(100.0, 100.0, 0.0, in_template=1e5)
    static = matched_template(pair.difference)
    np.testing.assert_allclose(static, pair.difference.template, atol=0.01)
    other = make_pair(2, convolved="science").with_source(100.0, 100.0, 0.0, in_template=1e5)
    np.testing.assert_array_equal(matched_template(other.difference), other.difference.template)
