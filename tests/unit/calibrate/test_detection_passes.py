"""Tests of skyloom.calibrate.detection_passes, companions and psf_stars."""

from dataclasses import replace

import numpy as np
import pytest

from skyloom.algorithms.detection import DetectionSettings, detect
from skyloom.algorithms.psf_model import TooFewPsfStarsError
from skyloom.calibrate.companions import add_companions
from skyloom.calibrate.detection_passes import (
    NoSourcesError,
    _rough_background,
    final_pass,
    first_pass,
    one_peak_per_saturated_region,
    second_pass,
    without_border_peaks,
)
from skyloom.calibrate.psf_stars import fit_psf_to_stars, refine_psf_of_stars
from skyloom.calibrate.residual_variance import PSF_STAR_SIGNAL_TO_NOISE
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.psf import PixelPsf, gaussian_kernel

FWHM, HALF = 3.5, 13
SIGMA = 1.67  # adaptive moments of a Moffat profile of this FWHM


def psf_of(stars, shape):
    profile = stars.moffat(0, 0, FWHM, HALF)
    domain = (-0.5, shape[1] - 0.5, -0.5, shape[0] - 0.5)
    return PixelPsf((profile / profile.sum())[None].astype(np.float32), 0, domain)


def field(stars, seed, x, y, flux, fwhm=FWHM, shape=(160, 160)):
    rng = np.random.default_rng(seed)
    return stars.without_sky(stars.observed(stars.light(shape, x, y, flux, fwhm, half=25), rng))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_companion_in_the_light_of_a_bright_star_is_found_after_subtraction(seed, stars):
    x, y = np.r_[80.2, 87.0, 40.0], np.r_[80.0, 81.0, 120.0]
    pixels = field(stars, seed, x, y, np.r_[1e5, 4e3, 3e4])
    psf = psf_of(stars, pixels.shape)
    settings = DetectionSettings()

    first = detect(pixels, psf, 5.0, settings=settings)
    all_found, _ = add_companions(pixels, psf, first, SIGMA, (5.0, settings))

    assert len(first) == 2
    assert len(all_found) == 3
    assert np.hypot(all_found.x - 87.0, all_found.y - 81.0).min() < 1.5
    assert np.all(np.diff(all_found.significance) <= 0)
    companion = np.hypot(all_found.x - 87.0, all_found.y - 81.0).argmin()
    assert all_found.footprint[companion] == all_found.footprint[0]
    assert all_found.n_peak.tolist().count(2) == 2


def test_where_no_star_is_bright_enough_for_a_psf_companions_are_found_all_the_same(stars):
    x, y = np.r_[80.2, 86.5, 30.0, 30.0, 130.0, 130.0], np.r_[80.0, 81.0, 30.0, 130.0, 30.0, 130.0]
    pixels = field(stars, 4, x, y, np.r_[7e3, 1.6e3, 7e3, 7e3, 7e3, 7e3])
    psf = psf_of(stars, pixels.shape)
    settings = DetectionSettings()
    first = detect(pixels, psf, 5.0, settings=settings)

    all_found, _ = add_companions(pixels, psf, first, SIGMA, (5.0, settings))

    assert first.significance.max() < PSF_STAR_SIGNAL_TO_NOISE
    assert len(first) == 5
    assert np.hypot(all_found.x - 86.5, all_found.y - 81.0).min() < 1.5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_stars_and_galaxies_alone_get_no_companions(seed, stars):
    x, y = np.r_[40.0, 120.3, 80.0], np.r_[40.0, 40.0, 120.0]
    pixels = field(stars, seed, x, y, np.r_[2e5, 2e4, 5e4], np.r_[FWHM, FWHM, 1.8 * FWHM])
    psf = psf_of(stars, pixels.shape)
    settings = DetectionSettings()
    first = detect(pixels, psf, 5.0, settings=settings)

    assert len(add_companions(pixels, psf, first, SIGMA, (5.0, settings))[0]) == len(first) == 3


def test_a_saturated_star_is_one_source(stars):
    pixels = field(stars, 5, [80.0], [80.0], [3e5])
    pixels.mask[78:83, 60:100] = mask_planes.SAT
    pixels.image[78:83, 60:100] = 3e4
    pixels.image[80, [65, 80, 95]] = 9e4
    psf = psf_of(stars, pixels.shape)

    many = detect(pixels, psf, 5.0, settings=DetectionSettings(min_prominence=1.0, relative_prominence=0.0))
    one = one_peak_per_saturated_region(many, pixels.mask)

    assert len(many) > 1
    assert len(one) == 1
    assert one.n_peak.tolist() == [1]
    unsaturated = np.zeros_like(pixels.mask)
    assert one_peak_per_saturated_region(many, unsaturated) is many


def test_peaks_on_the_border_are_left_out():
    image = np.zeros((40, 40), np.float32)
    image[0, 20] = image[20, 20] = 500
    pixels = MaskedImage(image, np.zeros((40, 40), np.uint32), np.ones((40, 40), np.float32))
    found = detect(pixels, gaussian_kernel(1.5, 9), 5.0)

    assert len(found) == 2
    assert without_border_peaks(found).y == pytest.approx([20.0], abs=0.1)


def test_both_passes_find_the_stars_and_the_sky(stars, settings):
    rng = np.random.default_rng(6)
    x, y = rng.uniform(10, 246, (2, 25))
    light = stars.light((256, 256), x, y, np.full(25, 2e4), FWHM, half=25)
    raw = stars.observed(light, rng)

    first = first_pass(raw, settings)
    second, points = second_pass(first, psf_of(stars, raw.shape), settings)
    detections, start, threshold = final_pass(second.pixels, psf_of(stars, raw.shape), points.peaks, settings)
    assert threshold == settings["detection"]["threshold"]
    assert np.isfinite(start[2]).mean() > 0.9
    assert np.hypot(start[0] - detections.x, start[1] - detections.y).max() < 2

    assert len(detections) >= len(first.detections) >= 20
    assert points.is_subtracted.sum() >= 20
    assert second.background.image().mean() == pytest.approx(300, abs=1.5)
    assert (second.pixels.mask[np.rint(y).astype(int), np.rint(x).astype(int)] & mask_planes.DETECTED).all()


def final_detections(stars, settings, variance_factor, largest):
    """Final detections of a grid of stars whose variance is off by a factor, and the threshold they needed."""
    rng = np.random.default_rng(16)
    x, y = (grid.ravel() * 64.0 + 32 for grid in np.meshgrid(np.arange(8), np.arange(8)))
    raw = stars.observed(stars.light((512, 512), x, y, np.full(64, 2e4), FWHM, half=25), rng)
    raw = replace(raw, variance=raw.variance * np.float32(variance_factor))
    settings = settings | {"detection": settings["detection"] | {"max_threshold_factor": largest}}
    psf = psf_of(stars, raw.shape)
    second, points = second_pass(first_pass(raw, settings), psf, settings)
    detections, _, threshold = final_pass(second.pixels, psf, points.peaks, settings)
    return detections, threshold


def test_a_variance_that_is_too_small_raises_the_threshold_and_no_noise_is_found(stars, settings):
    kept, threshold = final_detections(stars, settings, 1 / 2.25, 1.0)
    assert threshold == settings["detection"]["threshold"]
    assert len(kept) > 70

    raised, threshold = final_detections(stars, settings, 1 / 2.25, 4.0)
    assert threshold == pytest.approx(1.5 * settings["detection"]["threshold"], rel=0.06)
    assert 60 <= len(raised) <= 66


def test_a_right_variance_leaves_every_detection_as_it_is(stars, settings):
    kept, _ = final_detections(stars, settings, 1.0, 1.0)
    adapted, threshold = final_detections(stars, settings, 1.0, 4.0)

    assert threshold == settings["detection"]["threshold"]
    for name in ("x", "y", "significance", "footprint", "n_peak", "labels"):
        np.testing.assert_array_equal(getattr(adapted, name), getattr(kept, name))


def test_the_sky_is_freed_of_sources_that_are_too_faint_for_the_table(stars, settings):
    rng = np.random.default_rng(14)
    x, y = (grid.ravel() * 27.0 + 20 for grid in np.meshgrid(np.arange(18), np.arange(18)))
    # Every tenth makes the PSF; the others have a S/N of 4.8.
    flux = np.where(np.arange(x.size) % 10, 4.8 * 18 * np.sqrt(28), 5e4)
    raw = stars.observed(stars.light((512, 512), x, y, flux, FWHM, half=24), rng)
    lift = flux[flux < 1e3].sum() / raw.image.size

    first = first_pass(raw, settings)
    second, _ = second_pass(first, psf_of(stars, raw.shape), settings)

    noise = 18 / np.sqrt(second.is_sky.sum())
    assert second.background.image().mean() - 300 < 0.7 * lift + 2 * noise


def ring_errors(stars, settings, seed):
    """Light that the first PSF of a crowded field has too much beyond 1.5 FWHM, and the refined one."""
    rng = np.random.default_rng(seed)
    x, y = (grid.ravel() * 48.0 + 30 for grid in np.meshgrid(np.arange(10), np.arange(10)))
    # Too faint to be PSF stars themselves, on three sides.
    angle = rng.uniform(0, 2 * np.pi / 3, x.size) + 2 * np.pi / 3 * np.arange(3)[:, None]
    x, y = np.r_[x, (x + 11 * np.cos(angle)).ravel()], np.r_[y, (y + 11 * np.sin(angle)).ravel()]
    flux = np.r_[np.full(100, 5e4), np.full(300, 3e3)]
    raw = stars.observed(stars.light((512, 512), x, y, flux, FWHM, half=24), rng)

    first = first_pass(raw, settings)
    rough = fit_psf_to_stars(first.pixels, first.detections, settings["psf"], rng)
    second, points = second_pass(first, rough.fit.psf, settings)
    refined = refine_psf_of_stars(rough, second.pixels, second.detections, points, settings["psf"])

    assert points.is_subtracted.mean() > 0.9
    true = stars.moffat(0, 0, FWHM, refined.fit.psf.size // 2)
    ring = np.hypot(*(np.indices(true.shape) - true.shape[0] // 2)) > 1.5 * FWHM
    in_ring = [fit.psf.kernel_at(256, 256)[ring].sum() for fit in (rough.fit, refined.fit)]
    return np.array(in_ring) - true[ring].sum() / true.sum()


def test_neighbours_do_not_widen_the_refined_psf(stars, settings):
    # A tenth of the field is sky: its level, and with it the wings of one field, is not known better than to a few
    # tenths of an electron, which is half of what the neighbours add.
    errors = np.array([ring_errors(stars, settings, seed) for seed in range(11, 19)])

    rough, refined = np.sqrt(np.mean(errors**2, axis=0))
    assert refined < 0.5 * rough
    assert abs(errors[:, 1].mean()) < 0.25 * rough


def test_empty_sky_is_refused_with_its_noise(stars, settings):
    raw = stars.observed(np.zeros((128, 128)), np.random.default_rng(7))

    with pytest.raises(NoSourcesError, match="pixel noise 18.0 electron") as caught:
        first_pass(raw, settings)

    assert caught.value.threshold == 10


def test_psf_stars_are_flagged_in_the_table(stars, settings):
    rng = np.random.default_rng(8)
    x, y = (grid.ravel() * 40.0 + 25 for grid in np.meshgrid(np.arange(6), np.arange(6)))
    raw = stars.observed(stars.light((256, 256), x, y, np.full(36, 5e4), FWHM, half=18), rng)
    first = first_pass(raw, settings)

    psf_stars = fit_psf_to_stars(first.pixels, first.detections, settings["psf"], rng)
    flags = psf_stars.flags(np.r_[x, 5.0], np.r_[y, 5.0])

    assert flags["calib_psf_candidate"][:36].sum() > 25
    assert not flags["calib_psf_candidate"][36]
    assert flags["calib_psf_reserved"].sum() >= 2
    assert not (flags["calib_psf_reserved"] & flags["calib_psf_used"]).any()


def test_detections_without_a_shape_make_no_psf(stars, settings):
    pixels = field(stars, 9, [80.0], [80.0], [5e4])
    detections = detect(pixels, psf_of(stars, pixels.shape), 5.0)
    pixels.mask[:] = mask_planes.BAD

    with pytest.raises(TooFewPsfStarsError, match="0 stars"):
        fit_psf_to_stars(pixels, detections, settings["psf"], np.random.default_rng(1))


@pytest.mark.parametrize("bin_size", [65, 20])
def test_the_first_sky_belongs_to_all_pixels(bin_size, settings):
    rng = np.random.default_rng(15)
    y, x = np.mgrid[:201, :203]
    image = (100 + 0.1 * x - 0.05 * y + rng.normal(0, 2, x.shape)).astype(np.float32)
    pixels = MaskedImage(image, np.zeros(image.shape, np.uint32), np.full(image.shape, 4, np.float32))

    background = _rough_background(pixels, settings["background"] | {"bin_size": bin_size})

    assert background.shape == image.shape
    assert background.image() == pytest.approx(100 + 0.1 * x - 0.05 * y, abs=1.0)
