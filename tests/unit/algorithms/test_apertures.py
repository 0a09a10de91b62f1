"""Tests of skyloom.algorithms.apertures."""

import numpy as np
import pytest

from skyloom.algorithms.apertures import aperture_photometry
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage


@pytest.mark.kernels
def test_apertures_of_a_flat_image_hold_their_areas():
    pixels = MaskedImage(
        np.full((32, 32), 2.0, np.float32), np.zeros((32, 32), np.uint32), np.full((32, 32), 0.25, np.float32)
    )

    flux, flux_err = aperture_photometry(pixels, [15.3, 3.0, np.nan], [15.8, 16.0, 3.0], (1.0, 3.0, 9.0))

    area = np.pi * np.array([1.0, 9.0, 81.0])
    assert flux[0] == pytest.approx(2 * area, rel=1e-6)
    assert flux_err[0] == pytest.approx(0.5 * np.sqrt(area), rel=2e-3)
    assert flux[1, :2] == pytest.approx(2 * area[:2], rel=2e-3)
    assert np.isnan(flux[1, 2])
    assert np.isnan(flux[2]).all()


def test_apertures_agree_with_sep():
    sep = pytest.importorskip("sep")
    rng = np.random.default_rng(1)
    image = rng.normal(10, 3, (200, 200)).astype(np.float32)
    pixels = MaskedImage(image, np.zeros(image.shape, np.uint32), np.ones_like(image))
    x, y = rng.uniform(60, 140, (2, 20))

    flux, _ = aperture_photometry(pixels, x, y, (3.0, 12.0, 50.0))

    for i, radius in enumerate((3.0, 12.0, 50.0)):
        expected, _, _ = sep.sum_circle(image, x, y, radius, subpix=0)
        assert flux[:, i] == pytest.approx(expected, rel=1e-5 if radius < 10 else 1e-4)


def test_wide_apertures_have_their_areas_wherever_they_lie():
    ones = np.ones((80, 80), dtype=np.float32)
    x, y = np.random.default_rng(2).uniform(30, 50, (2, 100))
    radii = np.array([15.0, 17.0, 22.0, 29.0])

    flux, _ = aperture_photometry(MaskedImage(ones, np.zeros((80, 80), np.uint32), ones), x, y, radii)

    assert flux == pytest.approx(np.tile(np.pi * radii**2, (100, 1)), rel=1e-5)
    assert flux.mean(axis=0) == pytest.approx(np.pi * radii**2, rel=1e-6)


def test_an_aperture_over_a_pixel_without_data_has_no_flux():
    pixels = MaskedImage(
        np.ones((40, 40), np.float32), np.zeros((40, 40), np.uint32), np.ones((40, 40), np.float32)
    )
    pixels.mask[20, 26] = mask_planes.NO_DATA

    flux, flux_err = aperture_photometry(pixels, [20.0], [20.0], (3.0, 9.0))

    assert flux[0, 0] == pytest.approx(9 * np.pi, rel=2e-3)
    assert np.isnan(flux[0, 1])
    assert np.isnan(flux_err[0, 1])


def test_a_pixel_without_a_value_spoils_no_aperture_but_those_that_hold_it():
    image = np.ones((40, 90), dtype=np.float32)
    image[20, 15] = np.nan
    pixels = MaskedImage(image, np.zeros((40, 90), np.uint32), np.ones((40, 90), np.float32))

    flux, _ = aperture_photometry(pixels, [17.0, 60.0], [20.0, 20.0], [1.0, 3.0])

    assert flux[0] == pytest.approx([np.pi, np.nan], nan_ok=True)
    assert flux[1] == pytest.approx([np.pi, 9 * np.pi])


def test_a_wide_aperture_has_no_flux_where_its_rim_has_no_data():
    ones = np.ones((60, 60), dtype=np.float32)
    mask = np.zeros((60, 60), dtype=np.uint32)
    mask[30, 42] = mask_planes.NO_DATA

    flux, _ = aperture_photometry(MaskedImage(ones, mask, ones), [30.0], [30.0], [10.0, 11.0, 12.0, 14.0])

    assert flux[0, :2] == pytest.approx([np.pi * 100, np.pi * 121], rel=1e-4)
    assert np.isnan(flux[0, 2:]).all()
