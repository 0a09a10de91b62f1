"""Tests of skyloom.algorithms.cosmic_rays: tracks are found, stars are not."""

from copy import deepcopy

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from skyloom.algorithms.cosmic_rays import find_cosmic_rays, repair_cosmic_rays_in_place
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.psf import gaussian_kernel

SETTINGS = {"min_sigma": 4.0, "contrast_sigma": 5.0, "psf_margin": 0.2, "grow_sigma": 2.0, "n_grow": 2}
SKY, READ_NOISE = 800.0, 7.0
OVERSAMPLING = 4


def moffat(x, y, fwhm):
    """Pixel values of a star of flux 1 (Moffat, beta 3.5) centred on (x, y), at 41x41 points around."""
    scale = fwhm / 2 / np.sqrt(2 ** (1 / 3.5) - 1)
    step = (np.arange(OVERSAMPLING) - 1.5) / OVERSAMPLING
    total = 0
    grid = np.arange(-20, 21)
    for dy in step:
        for dx in step:
            r2 = (grid[:, None] + dy - y) ** 2 + (grid[None, :] + dx - x) ** 2
            total = total + (1 + r2 / scale**2) ** -3.5
    return total * 2.5 / (np.pi * scale**2) / OVERSAMPLING**2


def tracks(rng, shape, n_track):
    """Charge of straight tracks of random length, direction, density and diffusion."""
    charge = np.zeros(shape)
    for _ in range(n_track):
        length, angle = rng.exponential(10.0), rng.uniform(0, 2 * np.pi)
        t = np.linspace(0, length, max(int(20 * length), 20))
        x = rng.uniform(0, shape[1]) + t * np.cos(angle) + rng.normal(0, rng.uniform(0, 0.45), t.size)
        y = rng.uniform(0, shape[0]) + t * np.sin(angle) + rng.normal(0, rng.uniform(0, 0.45), t.size)
        density = 10 ** rng.uniform(2.0, 3.7) * max(length, 1) / t.size
        inside = (x > 0) & (x < shape[1] - 1) & (y > 0) & (y < shape[0] - 1)
        np.add.at(charge, (np.rint(y[inside]).astype(int), np.rint(x[inside]).astype(int)), density)
    return charge


def trailed_psf():
    """PSF with a sharp end on the right of its peak, 15x15."""
    broad = np.pad(gaussian_kernel(1.6, 15)[:, :12], ((0, 0), (0, 3)))
    trailed = 0.5 * gaussian_kernel(0.9, 15) + 0.5 * np.roll(broad, -2, axis=1)
    return trailed / trailed.sum()


def scene(seed, fwhm, *, size=400, n_star=120, n_track=25):
    """Stars, tracks, the image of both, and the core pixels of stars above S/N 10."""
    rng = np.random.default_rng(seed)
    stars, core = np.zeros((size, size)), np.zeros((size, size), bool)
    area = 1 / np.sum(moffat(0, 0, fwhm) ** 2)
    for _ in range(n_star):
        x, y = rng.uniform(22, size - 23, 2)
        column, row = int(round(x)), int(round(y))
        flux = 10 ** rng.uniform(3.0, 5.5)
        box = np.s_[row - 20 : row + 21, column - 20 : column + 21]
        stars[box] += flux * moffat(x - column, y - row, fwhm)
        if flux / np.sqrt(flux + area * (SKY + READ_NOISE**2)) > 10:
            core[row - 2 : row + 3, column - 2 : column + 3] = True
    charge = tracks(rng, stars.shape, n_track)
    image = rng.poisson(stars + SKY + charge) + rng.normal(0, READ_NOISE, stars.shape)
    variance = np.where(image - SKY > 90, image, SKY) + READ_NOISE**2
    mask = np.zeros(stars.shape, np.uint32)
    return stars, charge, MaskedImage(image.astype(np.float32), mask, variance.astype(np.float32)), core


@pytest.mark.parametrize("fwhm", [3.0, 4.5, 6.0])
def test_tracks_are_found_and_star_cores_are_not(fwhm):
    n_found = n_hit = n_false = n_core = 0
    for seed in range(4):
        stars, charge, pixels, core = scene(seed, fwhm)
        is_ray = find_cosmic_rays(pixels, moffat(0, 0, fwhm), SETTINGS)
        hit = charge > 5 * np.sqrt(SKY + READ_NOISE**2 + stars)
        far = core & ~binary_dilation(charge > 1, np.ones((7, 7)))
        n_found, n_hit = n_found + is_ray[hit].sum(), n_hit + hit.sum()
        n_false, n_core = n_false + is_ray[far].sum(), n_core + far.sum()
    assert n_hit > 800
    assert n_found / n_hit >= 0.95
    assert n_core > 8_000
    assert n_false <= 1


@pytest.mark.kernels
def test_a_single_hot_pixel_is_a_ray_and_a_star_of_the_same_height_is_none():
    rng = np.random.default_rng(1)
    image = rng.normal(0, 1, (32, 32)).astype(np.float32)
    image[8, 8] += 200
    image[2:31, 2:31] += (200 / 0.14) * gaussian_kernel(1.28, 29).astype(np.float32)
    pixels = MaskedImage(image, np.zeros((32, 32), np.uint32), np.ones((32, 32), np.float32))

    is_ray = find_cosmic_rays(pixels, gaussian_kernel(1.28, 15), SETTINGS)

    assert is_ray[8, 8]
    assert is_ray.sum() < 4
    assert not is_ray[12:20, 12:20].any()


@pytest.mark.kernels
def test_a_ray_through_a_star_is_found_without_the_star():
    image = 3_000 * gaussian_kernel(2.0, 31).astype(np.float32) / gaussian_kernel(2.0, 31).max()
    image[15, 8:24] += 2_000
    pixels = MaskedImage(image, np.zeros(image.shape, np.uint32), np.maximum(image, 0) + 100)

    is_ray = find_cosmic_rays(pixels, gaussian_kernel(2.0, 15), {**SETTINGS, "n_grow": 0})

    assert is_ray[15, 8:24].all()
    assert is_ray.sum() == 16


@pytest.mark.kernels
def test_growth_reaches_the_faint_end_of_a_track_and_stops_at_the_given_number_of_rounds():
    image = np.zeros((32, 32), np.float32)
    image[16, 8] = 100
    image[16, 9:15] = 3
    pixels = MaskedImage(image, np.zeros(image.shape, np.uint32), np.ones(image.shape, np.float32))

    for n_grow in (0, 2, 6):
        is_ray = find_cosmic_rays(pixels, gaussian_kernel(1.3, 15), {**SETTINGS, "n_grow": n_grow})
        assert np.flatnonzero(is_ray[16]).tolist() == list(range(8, 9 + n_grow))


@pytest.mark.kernels
def test_a_pixel_between_two_of_a_ray_is_part_of_it():
    image = np.zeros((9, 9), np.float32)
    image[4, 2], image[4, 3], image[4, 4] = 100, 30, 100
    image[3, 3] = image[5, 3] = image[3, 2] = image[5, 4] = image[3, 4] = image[5, 2] = 60
    pixels = MaskedImage(image, np.zeros(image.shape, np.uint32), np.ones(image.shape, np.float32))

    assert find_cosmic_rays(pixels, gaussian_kernel(1.0, 15), SETTINGS)[4, 3]


@pytest.mark.kernels
def test_masked_and_empty_pixels_are_neither_rays_nor_evidence():
    image = np.zeros((32, 32), np.float32)
    image[5, 5] = image[0, 0] = 500
    image[20, 20] = np.nan
    image[20, 21] = 500
    image[25, 25] = 500
    variance = np.ones(image.shape, np.float32)
    variance[25, 25] = 0
    mask = np.zeros(image.shape, np.uint32)
    mask[5, 5] = mask_planes.SAT
    # A saturated column beside a bright one: only pairs that avoid it may speak.
    image[:, 15], image[:, 16] = 300, 9_000
    mask[:, 16] = mask_planes.SAT

    is_ray = find_cosmic_rays(MaskedImage(image, mask, variance), gaussian_kernel(1.3, 15), SETTINGS)

    assert np.argwhere(is_ray).tolist() == [[20, 21]]


@pytest.mark.kernels
def test_a_sky_that_slopes_makes_no_ray():
    y, x = np.mgrid[:32, :32]
    image = (1_000 + 20 * x + 10 * y).astype(np.float32)
    pixels = MaskedImage(image, np.zeros(image.shape, np.uint32), image)
    assert not find_cosmic_rays(pixels, gaussian_kernel(1.3, 15), SETTINGS).any()


def test_no_star_of_a_trailed_psf_is_a_ray_wherever_its_peak_is():
    trailed = trailed_psf()
    for roll in (-1, 0, 1):
        image = np.zeros((31, 31), np.float32)
        image[8:23, 8:23] = 1e5 * trailed
        pixels = MaskedImage(image, np.zeros(image.shape, np.uint32), np.maximum(image, 0) + 100)
        assert not find_cosmic_rays(pixels, np.roll(trailed, roll, axis=1), SETTINGS).any()


@pytest.mark.parametrize("seed", [1, 2])
def test_repaired_stars_keep_their_flux(seed):
    stars, _, pixels, _ = scene(seed, 4.0, n_track=60)
    kernel = moffat(0, 0, 4.0)
    is_ray = find_cosmic_rays(pixels, kernel, SETTINGS)

    repaired = deepcopy(pixels)
    former = repair_cosmic_rays_in_place(repaired, is_ray, kernel)

    both = mask_planes.bits("CR", "INTRP")
    assert ((repaired.mask & both)[is_ray] == both).all()
    assert not repaired.mask[~is_ray].any()
    pulls = ((repaired.image - SKY - stars) / np.sqrt(repaired.variance))[is_ray]
    assert abs(pulls.mean()) < 0.2
    # Halos of rays below the threshold of growth bias some neighbours; none is far off.
    assert pulls.std() < 1.2
    np.testing.assert_array_equal(repaired.image[~is_ray], pixels.image[~is_ray])

    repaired.mask[is_ray] |= mask_planes.STREAK
    former.add_in_place(slice(0, len(pixels.image)), np.full_like(pixels.image, 2))
    former.restore(repaired, mask_planes.STREAK)
    np.testing.assert_array_equal(repaired.image[is_ray], pixels.image[is_ray] + 2)
    np.testing.assert_array_equal(repaired.variance, pixels.variance)
    np.testing.assert_array_equal(repaired.mask, np.where(is_ray, mask_planes.STREAK, 0))
