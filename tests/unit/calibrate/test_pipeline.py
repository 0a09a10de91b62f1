"""Tests of skyloom.calibrate.pipeline."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from skyloom.algorithms.background import NoSkyPixelsError
from skyloom.algorithms.psf_model import TooFewPsfStarsError
from skyloom.calibrate.detection_passes import NoSourcesError
from skyloom.calibrate.pipeline import calibrate_image, mask_invalid_pixels, reference_region
from skyloom.core import mask_planes
from skyloom.core.images import ExposureInfo, MaskedImage
from skyloom.core.schemas import SOURCE
from skyloom.core.tables import column, without_sky_objects

ZERO_POINT = 7.3


def calibrated(scene, settings):
    calexp, table = calibrate_image(scene.exposure, scene.references, scene.predicted, settings, scene.rng)
    return calexp, without_sky_objects(table)


def matched(scene, sources, radius=2.0):
    """Row of the nearest source of each true star, and whether it is within the radius."""
    tree = cKDTree(np.column_stack([column(sources, "x"), column(sources, "y")]))
    distance, row = tree.query(np.column_stack([scene.x, scene.y]))
    return row, distance < radius


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_detector_is_calibrated_to_its_truth(seed, scene_of, settings):
    scene = scene_of(seed)

    calexp, sources = calibrated(scene, settings)

    row, found = matched(scene, sources)
    area = column(sources, "psfFlux_area")[0]
    signal_to_noise = scene.flux / np.sqrt(scene.flux + 325 * area)
    assert sources.schema.equals(SOURCE.arrow_schema())
    assert found[signal_to_noise > 10].mean() > 0.95
    truth = cKDTree(np.column_stack([scene.x, scene.y]))
    distance, _ = truth.query(np.column_stack([column(sources, "x"), column(sources, "y")]))
    assert np.mean(distance < 3) > 0.98
    alone = truth.query(np.column_stack([scene.x, scene.y]), k=2)[0][:, 1] > 15
    saturated = column(sources, "pixelFlags_saturated")[row] | column(sources, "pixelFlags_edge")[row]
    good = found & alone & ~saturated & (signal_to_noise > 20)
    ratio = column(sources, "psfFlux")[row[good]] / scene.flux[good] / ZERO_POINT
    assert np.median(ratio) == pytest.approx(1.0, abs=0.01)
    # The median aperture of 3.5 FWHM holds 99.7 % of a star's light; its noise is half a per cent.
    assert calexp.photo_calib.evaluate(256.0, 256.0) == pytest.approx(ZERO_POINT, rel=0.02)
    ra, dec = scene.wcs.pixel_to_sky(scene.x, scene.y)
    residual = (column(sources, "dec")[row] - dec)[good & (signal_to_noise > 50)] * 3.6e6
    assert np.median(np.abs(residual)) < 10
    assert column(sources, "calib_psf_used").sum() > 15
    assert column(sources, "calib_psf_reserved").sum() >= 1
    assert column(sources, "calib_photometry_used").sum() > 15
    whole = good & ~column(sources, "psfFlux_flag")[row]
    assert whole.sum() > 0.9 * good.sum()
    assert not column(sources, "extendedness")[row[whole]].any()


def test_errors_of_flux_and_position_are_right(scene_of, settings):
    pulls = {"psfFlux": [], "x": []}
    for seed in (4, 5, 6):
        scene = scene_of(seed, faintest=1500.0, brightest=3e4)
        _, sources = calibrated(scene, settings)
        row, found = matched(scene, sources, 1.0)
        separation = cKDTree(np.column_stack([scene.x, scene.y])).query(
            np.column_stack([scene.x, scene.y]), k=2
        )
        good = found & (separation[0][:, 1] > 15) & ~column(sources, "pixelFlags_edge")[row]
        flux = column(sources, "psfFlux")[row] / (ZERO_POINT * scene.flux)
        scale = np.median(flux[good])
        error = column(sources, "psfFluxErr")[row] / (ZERO_POINT * scene.flux)
        pulls["psfFlux"].append(((flux - scale) / error)[good])
        pulls["x"].append(((column(sources, "x")[row] - scene.x) / column(sources, "xErr")[row])[good])
    for values in pulls.values():
        values = np.concatenate(values)
        width = (np.quantile(values, 0.84) - np.quantile(values, 0.16)) / 2
        # The median absolute deviation of n values scatters by 1.17 / sqrt(n); the PSF adds its own error.
        assert width == pytest.approx(1.0, abs=4 * 1.17 / np.sqrt(len(values)) + 0.1)


def test_image_variance_and_background_are_in_nanojansky(scene_of, settings):
    scene = scene_of(7)
    raw = deepcopy(scene.exposure.pixels)

    calexp, _ = calibrated(scene, settings)

    scale = calexp.photo_calib.image(scene.sky.shape)
    clean = (calexp.pixels.mask & mask_planes.bits("CR", "INTRP", "SAT")) == 0
    restored = (calexp.pixels.image + calexp.background.image()) / scale
    assert restored[clean] == pytest.approx(raw.image[clean], rel=1e-3, abs=0.5)
    assert (calexp.pixels.variance / scale**2)[clean] == pytest.approx(raw.variance[clean], rel=1e-4)
    # Starlight that no mask covers may lift the sky by a few tenths of an electron.
    assert (calexp.background.image() / scale - scene.sky).mean() == pytest.approx(0, abs=1.0)
    assert (calexp.pixels.mask[100, 200:206] & mask_planes.CR).any()
    assert (calexp.pixels.mask & mask_planes.DETECTED).any()


def test_the_same_seed_gives_the_same_table(scene_of, settings):
    first = calibrated(scene_of(8), settings)[1]
    second = calibrated(scene_of(8), settings)[1]

    for name in first.column_names:
        values = column(first, name), column(second, name)
        assert np.array_equal(*values, equal_nan=values[0].dtype.kind == "f"), name


def test_blocks_without_a_number_are_masked_and_the_rest_is_calibrated(scene_of, settings):
    scene = scene_of(9)
    scene.exposure.pixels.image[:60, :200] = np.nan

    calexp, sources = calibrated(scene, settings)

    assert np.isfinite(calexp.pixels.image).all()
    assert (calexp.pixels.mask[:60, :200] & mask_planes.NO_DATA).all()
    inside = (column(sources, "y") < 55) & (column(sources, "x") < 195)
    assert not inside.any()


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda pixels: np.full_like(pixels.image, np.nan), NoSkyPixelsError, "0 of 262144 pixels"),
        (lambda pixels: np.full_like(pixels.image, 300.0), NoSourcesError, "0 sources above 10 sigma"),
    ],
)
def test_frames_without_light_are_refused_with_their_reason(spoil, error, message, scene_of, settings):
    scene = scene_of(10)
    pixels = replace(scene.exposure.pixels, image=spoil(scene.exposure.pixels))
    scene.exposure = replace(scene.exposure, pixels=pixels)

    with pytest.raises(error, match=message):
        calibrated(scene, settings)


def test_a_frame_with_two_stars_has_too_few_for_a_psf(scene_of, settings):
    with pytest.raises(TooFewPsfStarsError, match="needs 4"):
        calibrated(scene_of(11, n=2, faintest=1e5, brightest=2e5), settings)


def test_good_pixels_are_passed_on_as_they_are():
    pixels = MaskedImage(
        np.ones((4, 4), np.float32), np.zeros((4, 4), np.uint32), np.ones((4, 4), np.float32)
    )

    assert mask_invalid_pixels(pixels) is pixels


def test_pixels_without_a_positive_variance_are_masked():
    variance = np.ones((4, 4), np.float32)
    variance[1, 2] = 0.0
    pixels = MaskedImage(np.ones((4, 4), np.float32), np.zeros((4, 4), np.uint32), variance)

    masked = mask_invalid_pixels(pixels)

    assert masked.mask[1, 2] == mask_planes.NO_DATA
    assert masked.mask.sum() == mask_planes.NO_DATA
    assert masked.variance[1, 2] == 1


def test_the_reference_region_holds_the_detector_and_the_reach_of_the_search(scene_of, settings):
    scene = scene_of(12)

    ra, dec, radius = reference_region(
        scene.predicted, ExposureInfo(pointing_uncertainty=300.0), settings["astrometry"]
    )

    expected = scene.predicted.pixel_to_sky(255.5, 255.5)
    assert (ra, dec) == pytest.approx((float(expected[0]), float(expected[1])))
    assert radius * 3600 == pytest.approx(300 + np.hypot(512, 512) / 2 * 0.2, rel=0.01)
