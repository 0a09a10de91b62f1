"""PSFs that are sampled finer than the pixels: what they give at the pixels, and what they are between them."""

import numpy as np
import pytest
from scipy.special import erf

from skyloom.algorithms.moments import star_moments
from skyloom.algorithms.photometry import FitSettings, point_source_image, psf_photometry
from skyloom.algorithms.stamp_moves import move_stamp, working_space
from skyloom.core.images import MaskedImage
from skyloom.core.psf import PixelPsf
from skyloom.core.splines import phase_stamps

SIZE, SIDE = 15, 41


def star(sigma, dx, dy, place=None):
    """Gaussian integrated over pixels about places, the star off by (dx, dy)."""
    place = np.arange(SIZE) - SIZE // 2 if place is None else place

    def along(offset):
        edges = (place - offset)[:, None] + np.array([-0.5, 0.5])
        return np.diff(erf(edges / np.sqrt(2) / sigma), axis=1)[:, 0] / 2

    return np.outer(along(dy), along(dx))


def psf_of(sigmas, sampling):
    """PSF of one width at x = 0 and another at x = 100."""
    fine = (np.arange(sampling * (SIZE - 1) + 1) - sampling * (SIZE // 2)) / sampling
    left, right = (star(sigma, 0, 0, fine) for sigma in sigmas)
    terms = [(left + right) / 2, (right - left) / 2, 0 * left]
    return PixelPsf(np.array(terms, dtype=np.float32), 1, (0.0, 100.0, 0.0, 100.0), sampling)


@pytest.mark.parametrize("sampling", [1, 2, 3])
def test_images_at_pixels_are_those_of_the_star(sampling):
    psf = psf_of((0.6, 0.8), sampling)

    assert psf.size == SIZE
    for x, sigma in ((0, 0.6), (100, 0.8)):
        assert psf.kernel_at(x, 30) == pytest.approx(star(sigma, 0, 0), abs=1e-6)
        assert psf.areas_at([x], [30]) == pytest.approx(1 / np.sum(star(sigma, 0, 0) ** 2), rel=1e-5)


# Splines of degree 7 on half pixels: a Gaussian of 0.6 pixel errs by 2e-4 of its peak, between pixels by 0.03.
@pytest.mark.kernels
@pytest.mark.parametrize(("sampling", "tolerance"), [(2, 3e-4), (3, 5e-6)])
@pytest.mark.parametrize("shift", [(0.5, 0.5), (-0.5, 0.25), (0.2, -0.4), (0.0, 0.0)])
def test_a_star_anywhere_within_its_pixel_is_drawn(sampling, tolerance, shift):
    psf = psf_of((0.6, 0.6), sampling)
    x, y = 20 + 0.999 * shift[0], 18 + 0.999 * shift[1]
    expected = np.zeros((SIDE, SIDE))
    expected[11:26, 13:28] = star(0.6, x - 20, y - 18)

    drawn = point_source_image((SIDE, SIDE), psf, [x], [y], [1.0])

    assert np.abs(drawn - expected).max() < tolerance * expected.max()
    assert psf.stars_at(x, y)[0] == pytest.approx(drawn[11:26, 13:28], abs=1e-6)


@pytest.mark.kernels
@pytest.mark.parametrize("sampling", [2, 3])
def test_slopes_are_those_of_the_moved_images(sampling):
    stamps = psf_of((0.7, 0.7), sampling).splines_at([50.0], [50.0])
    half, step = 5, 1e-2

    def moved(dx, dy, n_plane=1):
        work = working_space(SIZE, sampling**2)
        return move_stamp(stamps[0], half, (dx, dy), work, n_plane)[:, :, : 2 * half + 1].astype(float)

    planes = moved(0.2, -0.3, 3)

    assert planes[0] == pytest.approx(moved(0.2, -0.3)[0], abs=1e-7)
    by_x = (moved(0.2 + step, -0.3)[0] - moved(0.2 - step, -0.3)[0]) / (2 * step)
    by_y = (moved(0.2, -0.3 + step)[0] - moved(0.2, -0.3 - step)[0]) / (2 * step)
    # The third derivative of such a star is 3 at most, single precision 1e-5 over the step.
    assert planes[1] == pytest.approx(by_x, abs=1e-4)
    assert planes[2] == pytest.approx(by_y, abs=1e-4)


def test_parts_of_the_fine_grid_are_every_nth_value():
    fine = np.arange(25.0).reshape(5, 5)
    parts = phase_stamps(fine, 2)
    assert parts.shape == (4, 3, 3)
    np.testing.assert_array_equal(parts[0], fine[::2, ::2])
    np.testing.assert_array_equal(parts[1], [[1, 3, 0], [11, 13, 0], [21, 23, 0]])
    np.testing.assert_array_equal(parts[2, 2], 0)


def test_fluxes_and_places_do_not_depend_on_the_place_within_the_pixel():
    rng = np.random.default_rng(1)
    x, y = (
        25.0 * (1 + np.arange(16)[k] % 4) + rng.uniform(-0.5, 0.5, 16) for k in (slice(None), slice(None))
    )
    y = 25.0 * (1 + np.arange(16) // 4) + (y - np.rint(y))
    light = np.zeros((126, 126))
    for a, b in zip(x, y, strict=True):
        column, row = round(a), round(b)
        light[row - 7 : row + 8, column - 7 : column + 8] += 1000 * star(0.6, a - column, b - row)
    image = light.astype(np.float32)
    pixels = MaskedImage(image, np.zeros(image.shape, dtype=np.uint32), np.ones_like(image))
    errors = []
    for sampling in (1, 2):
        fit = psf_photometry(
            pixels, psf_of((0.6, 0.6), sampling), np.rint(x), np.rint(y), FitSettings(n_sweep=8)
        )
        errors.append([np.hypot(fit.x - x, fit.y - y).max(), np.abs(fit.flux / 1000 - 1).max()])
    assert errors[1][0] < 3e-4
    assert errors[1][1] < 3e-4
    # What one sample a pixel costs.
    assert errors[0][0] > 0.01


def test_moments_of_a_star_are_those_that_its_pixels_show():
    psf = psf_of((0.6, 0.6), 2)
    offsets = np.array([0.0, 0.25, 0.5])
    shown = star_moments(
        psf.splines_at(20 + 0.99 * offsets, 20 + 0 * offsets), 20 + 0.99 * offsets, 20 + 0 * offsets
    )
    expected = star_moments(
        np.stack([_splines(star(0.6, 0.99 * d, 0)) for d in offsets]).astype(np.float32),
        0 * offsets,
        0 * offsets,
    )
    assert shown.ixx == pytest.approx(expected.ixx, rel=2e-3)
    assert shown.ixx[2] > 1.1 * shown.ixx[0]


def _splines(image):
    """Spline coefficients of an image, by solving for them."""
    from skyloom.core.splines import spline_coefficients

    return spline_coefficients(image[None])[0]
