"""From detectors through warps to a coadd: the noise of pixels and of PSF fluxes is the stated one."""

import numpy as np
import pytest

from skyloom.algorithms.photometry import FitSettings, psf_photometry
from skyloom.coadd.pipeline import assemble_coadd
from skyloom.core.images import Exposure, ExposureInfo, MaskedImage
from skyloom.core.psf import PixelPsf, gaussian_kernel
from skyloom.core.wcs import Wcs
from skyloom.warp.pipeline import warp_visit

SIDE = 240
SCALE = 0.2 / 3600


def noise_calexp(visit, rotation, offset, sigma, variance, rng):
    """Detector of white noise, with a Gaussian PSF."""
    cosine, sine = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    wcs = Wcs(
        np.array([150.0, 2.2]),
        np.array([SIDE / 2, SIDE / 2]) + offset,
        SCALE * np.array([[-cosine, sine], [sine, cosine]]),
        shape=(SIDE, SIDE),
    )
    image = rng.normal(0, np.sqrt(variance), (SIDE, SIDE)).astype(np.float32)
    pixels = MaskedImage(image, np.zeros(image.shape, np.uint32), np.full(image.shape, variance, np.float32))
    psf = PixelPsf(gaussian_kernel(sigma, 25)[None].astype(np.float32), 0, (0.0, SIDE, 0.0, SIDE))
    return Exposure(pixels, ExposureInfo(visit=visit, detector=0, band="r"), wcs=wcs, psf=psf)


def noise_coadd(patch, settings, seed):
    rng = np.random.default_rng(seed)
    visits = [(0.0, (0.3, 0.2), 1.5, 90.0), (3.0, (-5.0, 8.0), 1.9, 120.0), (-3.0, (6.5, -4.0), 1.7, 100.0)]
    warps = [
        warp_visit([noise_calexp(number, *visit, rng)], patch, {"node_step": 32, "cell_size": 40})
        for number, visit in enumerate(visits)
    ]
    return assemble_coadd(warps, patch, "deep", settings)


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 6])
def test_blank_pixels_of_a_coadd_scatter_as_stated_within_a_few_per_cent(patch, settings, seed):
    coadd = noise_coadd(patch, settings, seed)
    pulls = (coadd.pixels.image / np.sqrt(coadd.pixels.variance))[np.isfinite(coadd.pixels.image)]
    # About half of the pixels are independent.
    assert pulls.std() == pytest.approx(1.0, abs=4 * np.sqrt(1 / pulls.size))
    assert 1.15 < coadd.noise_correlation < 1.30


def test_psf_fluxes_of_blank_sky_have_unit_pulls_and_would_not_without_the_correlation(patch, settings):
    pulls = []
    for seed in range(8):
        coadd = noise_coadd(patch, settings, 100 + seed)
        x, y = (grid.ravel() for grid in np.meshgrid(np.arange(14, 170, 13.0), np.arange(14, 150, 13.0)))
        options = FitSettings(fit_position=False, noise_correlation=coadd.noise_correlation, n_sweep=1)
        for start in range(4):
            # Positions of one call are 26 pixels apart, so that stamps of 25 pixels do not meet.
            own = (np.rint(x / 13).astype(int) % 2 == start % 2) & (
                np.rint(y / 13).astype(int) % 2 == start // 2
            )
            fit = psf_photometry(coadd.pixels, coadd.psf, x[own] + 0.3, y[own] - 0.4, options)
            pulls.append(fit.flux / fit.flux_err)
    pulls = np.concatenate(pulls)
    width = pulls.std()
    # Neighbouring positions share a part of their noise: about two thirds are independent.
    assert width == pytest.approx(1.0, abs=4 / np.sqrt(2 * len(pulls) * 0.67) + 0.02)
    assert width * np.sqrt(coadd.noise_correlation) > 1.05
