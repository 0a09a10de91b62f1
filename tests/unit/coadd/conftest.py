"""Warps of a small patch with Gaussian PSFs, made without resampling anything."""

import numpy as np
import pytest

from skyloom.core import mask_planes
from skyloom.core.images import Exposure, ExposureInfo, MaskedImage
from skyloom.core.psf import CellPsf, gaussian_kernel
from skyloom.core.schemas import COADD_INPUT
from skyloom.core.sky_map import Patch
from skyloom.core.wcs import Wcs

SHAPE = (160, 180)
CELL = 40
PSF_SIZE = 21


def add_stars(image, stars, sigma, origin=(0, 0)):
    """Add Gaussian stars (x, y, flux) in patch pixels to an array that starts at `origin`."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    for x, y, flux in stars:
        squared = (columns + origin[0] - x) ** 2 + (rows + origin[1] - y) ** 2
        image += flux / (2 * np.pi * sigma**2) * np.exp(-squared / (2 * sigma**2))


def make_warp(
    visit,
    box=None,
    stars=(),
    sigma=1.6,
    variance=4.0,
    level=0.0,
    rng=None,
    correlation=1.0,
    psf_size=PSF_SIZE,
):
    """Warp that covers `box` = (x0, x1, y0, y1) of the patch; noiseless without `rng`."""
    x0, x1, y0, y1 = box or (0, SHAPE[1], 0, SHAPE[0])
    shape = (y1 - y0, x1 - x0)
    image = np.full(shape, level, dtype=np.float64)
    add_stars(image, stars, sigma, (x0, y0))
    full_variance = variance + (image - level) * 0.0
    if rng is not None:
        image = image + rng.normal(size=shape) * np.sqrt(full_variance)
    pixels = MaskedImage(
        image.astype(np.float32), np.zeros(shape, np.uint32), full_variance.astype(np.float32)
    )
    first = (x0 // CELL, y0 // CELL)
    n_cell = (-(-y1 // CELL) - first[1], -(-x1 // CELL) - first[0])
    images = np.tile(gaussian_kernel(sigma, psf_size).astype(np.float32), (*n_cell, 1, 1))
    row = {
        "visit": np.array([visit]),
        "detectors": ["0"],
        "mjd": np.array([60000.0 + visit]),
        "exposureTime": np.array([30.0]),
        "weight": np.array([1 / variance]),
        "psfSigma": np.array([sigma]),
        "skyNoise": np.array([variance**0.5]),
        "zeroOffset": np.array([0.0]),
        "noiseCorrelation": np.array([correlation]),
        "coveredFraction": np.array([np.prod(shape) / np.prod(SHAPE)]),
        "used": np.array([True]),
        "reason": [""],
    }
    return Exposure(
        pixels,
        ExposureInfo(
            visit=visit, band="r", mjd=60000.0 + visit, exposure_time=30.0, airmass=1.2, tract=3, patch="1_0",
            kind="warp", origin=(x0, y0),
        ),
        wcs=patch_of_tests().wcs.shifted(x0, y0, shape=shape),
        psf=CellPsf(images, CELL, (float(first[0] * CELL - x0), float(first[1] * CELL - y0))),
        inputs=COADD_INPUT.table(row),
        noise_correlation=correlation,
    )  # fmt: skip


def patch_of_tests():
    scale = 0.2 / 3600
    centre = np.array([(SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2])
    wcs = Wcs(np.array([150.0, 2.2]), centre, np.array([[-scale, 0.0], [0.0, scale]]), shape=SHAPE)
    return Patch(3, "1_0", 1, wcs, SHAPE, (10, 170, 10, 150), (150, -10))


@pytest.fixture
def patch():
    return patch_of_tests()


@pytest.fixture
def warp():
    """Return the factory of warps."""
    return make_warp


@pytest.fixture
def settings():
    """Return the section `coadd` with the schema's defaults."""
    return {
        "rejected_planes": ["BAD", "SAT", "CR", "SUSPECT", "STREAK"],
        "saturated_fraction": 0.1,
        "sensor_edge_width": 8,
        "good_seeing": {"fraction": 1.0, "minimum": 3},
        "artifacts": {"minimum_inputs": 3, "n_sigma": 6.0, "gradient_fraction": 0.5, "grow": 4.0},
    }


@pytest.fixture
def flagged():
    """Return a function: where a plane is set on an exposure or MaskedImage."""

    def where(image, plane):
        pixels = getattr(image, "pixels", image)
        return (pixels.mask & mask_planes.bits(plane)) != 0

    return where
