"""Detectors with analytic stars and a patch to warp them on."""

from dataclasses import dataclass

import numpy as np
import pytest

from skyloom.core.images import Exposure, ExposureInfo, MaskedImage
from skyloom.core.photo_calib import FieldPolynomial
from skyloom.core.psf import PixelPsf, gaussian_kernel
from skyloom.core.sky_map import Patch
from skyloom.core.wcs import Wcs, tpv_powers

SCALE = 0.2 / 3600
RA, DEC = 150.0, 2.2
SIZE = 256
GAP = 10


@dataclass(frozen=True)
class Stars:
    """True stars: sky positions [degree] and fluxes [nJy]."""

    ra: np.ndarray
    dec: np.ndarray
    flux: np.ndarray


def make_patch(shape=(360, 400), tract=3):
    centre = np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    wcs = Wcs(np.array([RA, DEC]), centre, np.array([[-SCALE, 0.0], [0.0, SCALE]]), shape=shape)
    return Patch(tract, "0_0", 0, wcs, shape, (20, shape[1] - 20, 20, shape[0] - 20), (-20, -20))


def detector_wcs(index, rotation, offset=(0.0, 0.0), distortion_pixel=1.0):
    """Two detectors side by side about the boresight, `offset` pixels off the patch's centre."""
    cosine, sine = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    cd = SCALE * np.array([[-cosine, sine], [sine, cosine]])
    crpix = np.array([(SIZE - 1) / 2 - (index - 0.5) * (SIZE + GAP), (SIZE - 1) / 2]) + offset
    powers = tpv_powers(3)[1]
    pv = np.zeros(len(powers))
    pv[1] = 1.0
    for power in ((3, 0), (1, 2)):
        pv[powers.index(power)] = distortion_pixel / SIZE**3 / SCALE**2
    return Wcs(np.array([RA, DEC]), crpix, cd, pv, pv, (SIZE, SIZE))


def varying_psf(sigma, growth, size=29):
    """PSF that is a Gaussian whose size grows by `growth` along x, as a polynomial of order 2."""
    nodes = np.array([-1.0, 0.0, 1.0])
    images = np.array([gaussian_kernel(sigma * (1 + growth * u / 2), size) for u in nodes])
    constant, square = images[1], (images[0] + images[2]) / 2 - images[1]
    linear = (images[2] - images[0]) / 2
    zero = np.zeros_like(constant)
    coefficients = np.array([constant, linear, zero, square, zero, zero], dtype=np.float32)
    return PixelPsf(coefficients, 2, (-0.5, SIZE - 0.5, -0.5, SIZE - 0.5))


def make_calexp(
    index, stars=None, rng=None, rotation=3.0, offset=(0.0, 0.0), sigma=1.7, growth=0.1, visit=7, sky=100.0
):
    """Detector with Gaussian stars that follow the PSF; noiseless without `rng`."""
    wcs = detector_wcs(index, rotation, offset)
    image = np.zeros((SIZE, SIZE))
    rows, columns = np.mgrid[:SIZE, :SIZE]
    if stars is not None:
        for x, y, flux in zip(*wcs.sky_to_pixel(stars.ra, stars.dec), stars.flux, strict=True):
            if not (-20 < x < SIZE + 20 and -20 < y < SIZE + 20):
                continue
            width = sigma * (1 + growth * ((x + 0.5) / SIZE - 0.5))
            profile = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))
            image += flux / (2 * np.pi * width**2) * profile
    variance = np.full((SIZE, SIZE), sky) + image
    if rng is not None:
        image = image + rng.normal(size=image.shape) * np.sqrt(variance)
    pixels = MaskedImage(
        image.astype(np.float32), np.zeros(image.shape, np.uint32), variance.astype(np.float32)
    )
    domain = (-0.5, SIZE - 0.5, -0.5, SIZE - 0.5)
    return Exposure(
        pixels,
        ExposureInfo(
            visit=visit, detector=index, band="r", mjd=60000.0 + visit, exposure_time=30.0, camera="test"
        ),
        wcs=wcs,
        psf=varying_psf(sigma, growth),
        ap_corr=FieldPolynomial(np.array([[1.02, 0.01], [0.0, 0.0]]), domain),
    )


@pytest.fixture
def patch():
    return make_patch()


@pytest.fixture
def calexp():
    """Return the factory of detectors."""
    return make_calexp


@pytest.fixture
def star_grid(patch):
    """Return stars 44 pixels apart all over the patch, at random pixel phases."""
    rng = np.random.default_rng(11)
    x, y = (g.ravel() for g in np.meshgrid(np.arange(22, 400, 44.0), np.arange(22, 360, 44.0)))
    x, y = x + rng.uniform(-0.5, 0.5, x.size), y + rng.uniform(-0.5, 0.5, y.size)
    ra, dec = patch.wcs.pixel_to_sky(x, y)
    return Stars(ra, dec, np.full(x.size, 1e5))
