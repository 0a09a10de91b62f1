"""Coadds of a small patch in several bands, with Gaussian stars and galaxies."""

import numpy as np
import pytest

from skyloom.core.images import Exposure, ExposureInfo, MaskedImage
from skyloom.core.psf import CellPsf, gaussian_kernel
from skyloom.core.sky_map import SkyMap, Tract

CELL = 50
TRACT = Tract(4, 150.0, 2.2, (2, 1), 0.2, 200, 40)


def make_coadd(patch, ra, dec, flux, rng, band="r", sigma=1.6, object_sigma=None, variance=4.0):
    """Coadd of Gaussian objects at sky positions; `object_sigma` is their size after the PSF."""
    ny, nx = patch.shape
    rows, columns = np.mgrid[:ny, :nx]
    image = np.zeros(patch.shape)
    widths = np.full(len(ra), sigma) if object_sigma is None else object_sigma
    for x, y, one, width in zip(*patch.wcs.sky_to_pixel(ra, dec), flux, widths, strict=True):
        if -30 < x < nx + 30 and -30 < y < ny + 30:
            image += (
                one
                / (2 * np.pi * width**2)
                * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))
            )
    image += rng.normal(size=image.shape) * np.sqrt(variance)
    images = np.tile(gaussian_kernel(sigma, 21).astype(np.float32), (-(-ny // CELL), -(-nx // CELL), 1, 1))
    return Exposure(
        MaskedImage(
            image.astype(np.float32),
            np.zeros(patch.shape, np.uint32),
            np.full(patch.shape, variance, np.float32),
        ),
        ExposureInfo(band=band, mjd=60010.0, tract=patch.tract, patch=patch.name, kind="deep"),
        wcs=patch.wcs,
        psf=CellPsf(images, CELL),
    )


def grid_of_objects(rng, step=26.0):
    """Sky positions on a jittered grid over the whole tract and beyond."""
    wcs = TRACT.wcs()
    x, y = (g.ravel() for g in np.meshgrid(np.arange(-30, 430, step), np.arange(-30, 230, step)))
    x, y = x + rng.uniform(-4, 4, x.size), y + rng.uniform(-4, 4, y.size)
    return wcs.pixel_to_sky(x, y)


@pytest.fixture
def sky_map():
    return SkyMap([TRACT])


@pytest.fixture
def patch(sky_map):
    return sky_map.patch(4, "0_0")


@pytest.fixture
def coadd():
    """Return the factory of coadds."""
    return make_coadd


@pytest.fixture
def positions():
    """Return the factory of sky positions."""
    return grid_of_objects


@pytest.fixture
def settings():
    """Return the section `objects` with the schema's defaults."""
    return {
        "band_priority": ["i", "r", "z", "y", "g", "u"],
        "reference_snr": 10.0,
        "detection": {"threshold": 5.0, "min_prominence": 4.0, "relative_prominence": 0.05},
        "merging": {"new_radius_arcsec": 1.0, "same_radius_arcsec": 0.3},
        "measurement": {"min_usable_fraction": 0.5, "extended_size_excess": 0.05, "extended_sigma": 3.0},
    }
