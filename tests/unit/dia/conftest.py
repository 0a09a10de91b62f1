"""White difference images with sources of known flux, made without the differencing code."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from skyloom.core.images import DifferenceImage, Exposure, ExposureInfo, MaskedImage
from skyloom.core.kernels import MatchingKernel
from skyloom.core.photo_calib import constant_field
from skyloom.core.psf import PixelPsf
from skyloom.core.wcs import Wcs

SIGMA = 1.9
NOISE = 50.0
PSF_SIZE = 25
SCHEMA = Path(__file__).parents[3] / "config" / "schema" / "dia.yaml"


@pytest.fixture
def settings():
    """Return the default settings of section dia."""

    def walk(node):
        if "default" in node:
            return node["default"]
        return {key: walk(child) for key, child in node["properties"].items()}

    return walk(yaml.safe_load(SCHEMA.read_text(encoding="utf-8")))


def gaussian_source(shape, x, y, flux, sigma=SIGMA):
    """Return the image of one Gaussian source."""
    dy, dx = np.arange(shape[0])[:, None] - y, np.arange(shape[1])[None, :] - x
    return flux * np.exp(-0.5 * (dx**2 + dy**2) / sigma**2) / (2 * np.pi * sigma**2)


@dataclass(frozen=True)
class Pair:
    """A difference, its science exposure, and what one more source adds to both."""

    difference: DifferenceImage
    science: Exposure

    def with_source(self, x, y, flux, sigma=SIGMA, in_template=0.0):
        """Return a pair with a source of `flux` on the difference and `in_template` on the static sky."""
        shape = self.science.pixels.shape
        new = gaussian_source(shape, x, y, 1.0, sigma)
        static = gaussian_source(shape, x, y, in_template)
        return self.with_images(flux * new, static)

    def with_images(self, new, static):
        """Return a pair with images added to the difference and to the static sky."""
        difference, science = self.difference, self.science
        pixels = add_to(difference.exposure.pixels, new)
        exposure = replace(difference.exposure, pixels=pixels)
        template = (difference.template + static).astype(np.float32)
        changed = replace(difference, exposure=exposure, template=template)
        return Pair(changed, replace(science, pixels=add_to(science.pixels, new + static)))

    def with_mask(self, rows, columns, bits):
        """Return a pair with mask bits set on the difference and the science image."""
        parts = []
        for pixels in (self.difference.exposure.pixels, self.science.pixels):
            mask = pixels.mask.copy()
            mask[rows, columns] |= bits
            parts.append(replace(pixels, mask=mask))
        exposure = replace(self.difference.exposure, pixels=parts[0])
        return Pair(replace(self.difference, exposure=exposure), replace(self.science, pixels=parts[1]))


def add_to(pixels, image):
    """Return pixels with an image added."""
    return replace(pixels, image=(pixels.image + image).astype(np.float32))


def delta_kernel(shape, convolved):
    """Return a matching kernel that changes nothing."""
    basis = np.zeros((1, 15, 15))
    basis[0, 7, 7] = 1.0
    domain = (-0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5)
    return MatchingKernel(basis, 0, domain, np.ones((1, 1)), convolved, constant_field(0.0, shape))


def blank_pair(seed=1, size=200, convolved="template", noise=NOISE):
    """Return a pair of white noise; the science image carries all of it."""
    rng = np.random.default_rng(seed)
    shape = (size, size)
    cd = np.array([[-0.2, 0.0], [0.0, 0.2]]) / 3600
    wcs = Wcs(np.array([30.0, -60.0]), np.array([size / 2.0, size / 2.0]), cd, shape=shape)
    psf_image = gaussian_source((PSF_SIZE, PSF_SIZE), PSF_SIZE // 2, PSF_SIZE // 2, 1.0)
    psf = PixelPsf(psf_image[None].astype(np.float32), 0, (-0.5, size - 0.5, -0.5, size - 0.5))
    pixels = MaskedImage(
        rng.normal(0, noise, shape).astype(np.float32),
        np.zeros(shape, np.uint32),
        np.full(shape, noise**2, np.float32),
    )
    info = ExposureInfo(visit=12, detector=3, band="r", mjd=60001.25, exposure_time=30.0)
    exposure = Exposure(pixels, info, wcs, psf)
    difference = DifferenceImage(exposure, np.zeros(shape, np.float32), delta_kernel(shape, convolved))
    return Pair(difference, exposure)


@pytest.fixture
def make_pair():
    """Return the function that makes a blank pair."""
    return blank_pair
