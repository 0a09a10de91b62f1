"""Simulated stars for the unit tests of the pixel algorithms, made with NumPy alone."""

import numpy as np
import pytest

from skyloom.core.images import MaskedImage

OVERSAMPLING = 5


def moffat(dx, dy, fwhm, half, beta=3.5):
    """Moffat profile integrated over pixels, flux 1 in all, centred at (half + dx, half + dy)."""
    radius = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
    size = 2 * half + 1
    grid = (np.arange(size * OVERSAMPLING) + 0.5) / OVERSAMPLING - 0.5 - half
    profile = (1 + ((grid[None, :] - dx) ** 2 + (grid[:, None] - dy) ** 2) / radius**2) ** -beta
    profile = profile.reshape(size, OVERSAMPLING, size, OVERSAMPLING).mean(axis=(1, 3))
    return profile * (beta - 1) / np.pi / radius**2


def star_light(shape, x, y, flux, fwhm, half=20):
    """Noiseless image of stars; `fwhm` is a number or one for each star."""
    light = np.zeros((shape[0] + 2 * half, shape[1] + 2 * half))
    fwhm = np.broadcast_to(fwhm, np.shape(x))
    for star in zip(x, y, flux, fwhm, strict=True):
        column, row = round(star[0]), round(star[1])
        stamp = star[2] * moffat(star[0] - column, star[1] - row, star[3], half)
        light[row : row + 2 * half + 1, column : column + 2 * half + 1] += stamp
    return light[half:-half, half:-half]


def observed(light, rng, sky=300.0, read_noise=5.0):
    """Image in electrons with the sky still in, as after the removal of the instrument's signature."""
    counts = rng.poisson(light + sky) + rng.normal(0, read_noise, light.shape)
    variance = np.maximum(counts, 1) + read_noise**2
    return MaskedImage(
        counts.astype(np.float32), np.zeros(light.shape, dtype=np.uint32), variance.astype(np.float32)
    )


def without_sky(pixels, sky=300.0):
    """Image with a known sky taken off."""
    return MaskedImage((pixels.image - sky).astype(np.float32), pixels.mask, pixels.variance)


class Stars:
    """The functions above, for tests that ask for the fixture `stars`."""

    moffat = staticmethod(moffat)
    light = staticmethod(star_light)
    observed = staticmethod(observed)
    without_sky = staticmethod(without_sky)


@pytest.fixture(scope="session")
def stars():
    """Makes images of stars."""
    return Stars
