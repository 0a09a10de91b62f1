"""Tests of skyloom.calibrate.halos: what bright stars shed, by the simulator that draws it."""

from dataclasses import replace

import numpy as np
import pytest

from skyloom.calibrate.halos import mask_halos_in_place, measure_stray_light
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.psf import PixelPsf, gaussian_kernel
from skyloom.simulate.stray_light import add_aureole_in_place, add_spikes_in_place

SIDE, CORE = 500, 4.0
LIGHT = {
    "aureole_fraction": 0.02, "aureole_radius": 300.0, "core": CORE,
    "spike_fraction": 0.02, "spike_length": 200.0, "spike_angle": 30.0,
}  # fmt: skip
PSF = PixelPsf(gaussian_kernel(1.7, 25)[None].astype(np.float32), 0, (0.0, SIDE - 1.0, 0.0, SIDE - 1.0))
SETTINGS = {"level": 0.5, "max_radius": 400}
NORM = LIGHT["aureole_fraction"] / (np.pi * np.log(1 + (LIGHT["aureole_radius"] / CORE) ** 2))


@pytest.fixture(scope="module")
def stars():
    """x, y and flux: a dozen bright ones among two hundred."""
    rng = np.random.default_rng(1)
    flux = np.concatenate([10 ** rng.uniform(5.0, 6.3, 12), 10 ** rng.uniform(2, 4, 200)])
    return (*rng.uniform(5, SIDE - 5, (2, flux.size)), flux)


def observed(stars, aureole=True, spikes=True, noise=5.0, seed=2):
    """Image of stars with what they shed."""
    image = np.zeros((SIDE, SIDE), np.float32)
    grid = np.arange(SIDE)
    for x, y, flux in zip(*stars, strict=True):
        image += np.float32(flux / (2 * np.pi * 1.7**2)) * np.outer(
            np.exp(-0.5 * ((grid - y) / 1.7) ** 2), np.exp(-0.5 * ((grid - x) / 1.7) ** 2)
        ).astype(np.float32)
        if aureole:
            add_aureole_in_place(image, (x, y), flux, LIGHT, 0.01)
        if spikes:
            add_spikes_in_place(image, (x, y), flux, LIGHT, 0.01)
    image += np.random.default_rng(seed).normal(0, noise, image.shape).astype(np.float32)
    variance = np.full(image.shape, noise**2, np.float32)
    return MaskedImage(image, np.zeros(image.shape, np.uint32), variance)


def test_aureole_and_spikes_are_measured(stars):
    light = measure_stray_light(observed(stars), stars, 12.5)
    assert light.aureole == pytest.approx(NORM, rel=0.3)
    found = np.sort(np.degrees(light.angles))
    np.testing.assert_allclose(found, [30, 120, 210, 300], atol=1.5)


def mask_with_halos(pixels, stars, **changes):
    """Mask of a copy of the pixels after its halos were masked."""
    copy = replace(pixels, mask=pixels.mask.copy())
    mask_halos_in_place(copy, stars, PSF, SETTINGS | changes)
    return copy.mask


@pytest.mark.parametrize("seed", range(2, 8))
def test_an_image_without_stray_light_has_none(stars, seed):
    pixels = observed(stars, aureole=False, spikes=False, seed=seed)
    light = measure_stray_light(pixels, stars, 12.5)
    assert light.aureole < 0.1 * NORM
    assert len(light.spikes) == 0
    assert not mask_with_halos(pixels, stars).any()


def test_masks_end_where_the_light_is_the_stated_fraction_of_the_noise(stars):
    pixels = observed(stars, spikes=False)
    is_halo = (mask_with_halos(pixels, stars) & mask_planes.HALO) != 0
    x, y, flux = (values[np.argmax(stars[2])] for values in stars)
    radius = np.sqrt(NORM * flux / (SETTINGS["level"] * 5.0))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    distance = np.hypot(columns - x, rows - y)
    assert is_halo[distance < 0.8 * radius].all()
    others = np.zeros_like(is_halo)
    for x, y, flux in zip(*stars, strict=True):
        reach = 1.25 * np.sqrt(NORM * flux / (SETTINGS["level"] * 5.0))
        others |= np.hypot(columns - x, rows - y) < reach
    assert not is_halo[~others].any()


def test_stars_off_the_image_count_and_reach_is_limited(stars):
    x, y, flux = (np.append(values, extra) for values, extra in zip(stars, (-30.0, 250.0, 1e7), strict=True))
    pixels = observed((x, y, flux), spikes=False)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    near = np.hypot(columns + 30, rows - 250) < 42
    for limit, is_reached in ((400, True), (20, False)):
        mask = mask_with_halos(pixels, (x, y, flux), max_radius=limit)
        assert ((mask & mask_planes.HALO) != 0)[near].all() == is_reached


def test_spikes_are_masked_along_their_arms(stars):
    pixels = observed(stars, aureole=False)
    is_halo = (mask_with_halos(pixels, stars) & mask_planes.HALO) != 0
    brightest = np.argsort(-stars[2])[:3]
    angles = np.radians([30, 120, 210, 300])
    rows = np.rint(stars[1][brightest, None] + 35 * np.sin(angles)).astype(int)
    columns = np.rint(stars[0][brightest, None] + 35 * np.cos(angles)).astype(int)
    inside = (rows >= 0) & (rows < SIDE) & (columns >= 0) & (columns < SIDE)
    assert inside.sum() >= 6
    assert is_halo[rows[inside], columns[inside]].all()
    assert is_halo.mean() < 0.1


def test_bleeds_of_catalogue_stars_are_masked_and_other_saturated_pixels_are_not(stars):
    pixels = observed(stars, aureole=False, spikes=False)
    x, y = (int(round(values[0])) for values in stars[:2])
    pixels.mask[max(y - 40, 0) : y + 40, x] = mask_planes.SAT
    pixels.mask[3:9, 490:494] = mask_planes.SAT
    stars = tuple(np.where(np.hypot(stars[0] - 492, stars[1] - 6) < 20, np.nan, values) for values in stars)

    mask = mask_with_halos(pixels, stars)

    assert (mask[max(y - 40, 0) : y + 40, x] & mask_planes.HALO).all()
    assert mask[max(y - 40, 0), x + 2] & mask_planes.HALO
    assert not (mask[:12, 480:] & mask_planes.HALO).any()


def test_too_few_stars_say_nothing():
    one = tuple(np.array([v]) for v in (250.0, 250.0, 1e6))
    light = measure_stray_light(observed(one), one, 12.5)
    assert light.aureole == 0.0
    assert len(light.angles) == 0
