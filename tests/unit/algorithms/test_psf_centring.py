"""Tests of skyloom.algorithms.psf_centring."""

import numpy as np
import pytest

from skyloom.algorithms.moments import kernel_moments
from skyloom.algorithms.psf_centring import centred_psf
from skyloom.core.psf import PixelPsf, gaussian_kernel

DOMAIN = (-0.5, 511.5, -0.5, 511.5)


@pytest.fixture
def places():
    """Positions over the image that are not those at which the PSF is moved."""
    return tuple(c.ravel() for c in np.meshgrid(np.linspace(10, 500, 7), np.linspace(10, 500, 7)))


def wandering_psf():
    """A PSF of order 2 whose centre is a fifth of a pixel off, and turns with the position."""
    image = gaussian_kernel(1.7, 25)
    slope_y, slope_x = np.gradient(image)
    terms = [
        image - 0.2 * slope_x,
        -0.1 * slope_x,
        0.15 * slope_y,
        -0.05 * slope_y,
        0 * image,
        0.08 * slope_x,
    ]
    return PixelPsf(np.array(terms, dtype=np.float32), 2, DOMAIN)


def test_a_wandering_centre_is_put_back_and_the_shape_kept(places):
    psf = wandering_psf()

    centred = centred_psf(psf)

    before, after = (kernel_moments(p.kernels_at(*places)) for p in (psf, centred))
    assert np.hypot(before.x, before.y).max() > 0.2
    assert np.hypot(after.x, after.y).max() < 0.02
    assert (
        np.hypot(*(getattr(kernel_moments(centred_psf(centred).kernels_at(*places)), c) for c in "xy")).max()
        < 1e-3
    )
    # A move of 0.2 pixel is right to first order: 0.2^2 over the variance of 2.9 pixel^2 is missing.
    assert after.ixx == pytest.approx(before.ixx, rel=0.02)
    assert centred.kernels_at(*places).sum(axis=(1, 2)) == pytest.approx(1)


def test_a_centred_psf_stays_as_it_is(places):
    image = gaussian_kernel(1.7, 25)
    psf = PixelPsf(np.array([image, 0.1 * image, -0.1 * image], dtype=np.float32), 1, DOMAIN)

    assert centred_psf(psf).kernels_at(*places) == pytest.approx(psf.kernels_at(*places), abs=2e-6)


def test_without_a_centroid_nothing_is_moved():
    hole = 2 / 15**2 - gaussian_kernel(1.7, 15)
    psf = PixelPsf(hole[None].astype(np.float32), 0, DOMAIN)

    assert centred_psf(psf) is psf
