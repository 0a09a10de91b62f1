"""Tests of skyloom.isr.pipeline and skyloom.isr.variance."""

import re
from dataclasses import replace

import numpy as np
import pytest

from skyloom.core import mask_planes
from skyloom.core.calib_images import CalibImage, Calibs
from skyloom.core.images import ExposureInfo
from skyloom.isr.assembly import assemble_frame
from skyloom.isr.correction import subtract_bias_and_dark, usable_light
from skyloom.isr.pipeline import (
    CALIB_STEPS,
    CalibShapeError,
    remove_instrument_signature,
)
from skyloom.isr.repair import NO_DATA_VARIANCE, TooFewGoodPixelsError
from skyloom.isr.variance import expected_light

SHAPE = (128, 160)
INFO = ExposureInfo(visit=7, detector=1, band="r", exposure_time=30.0)
Y, X = np.mgrid[:128, :160]
BIAS = 5.0 + 0.02 * X
DARK = 0.2 + 0.001 * Y
FLAT = 1.0 - 0.2 * ((X - 80) / 80) ** 2


def calib(kind, image, *, variance=0.0, is_bad=False):
    image = np.broadcast_to(image, SHAPE).astype(np.float32)
    return CalibImage(kind, image, np.full(SHAPE, variance, np.float32), np.full(SHAPE, is_bad))


@pytest.fixture
def calibs():
    return Calibs(calib("bias", BIAS), calib("dark", DARK), calib("flat", FLAT), calib("defects", 0))


def exposed(readout, sky, rng):
    """Raw frame of light: flat, Poisson, dark, bias, read-out."""
    return readout.expose(rng.poisson(sky * FLAT + 30 * DARK) + BIAS, rng)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("sky", [50.0, 2_000.0])
def test_the_light_comes_back_with_the_variance_that_it_has(readout, calibs, settings, sky, seed):
    rng = np.random.default_rng(seed)

    pixels = remove_instrument_signature(exposed(readout, sky, rng), calibs, INFO, settings).pixels

    n = pixels.image.size
    # An error of a row's overscan median, 1.25 x 6 / sqrt(20) electron, is common to the row's 80 pixels.
    error = np.sqrt(float(pixels.variance.mean()) / n + 1.7**2 / 256)
    assert pixels.image.mean() == pytest.approx(sky, abs=4 * error)
    pulls = (pixels.image - sky) / np.sqrt(pixels.variance)
    assert pulls.var() == pytest.approx(1.0, abs=0.02 + 4 * np.sqrt(2 / n))
    corner = pixels.variance[:, :8].mean() / pixels.variance[:, 76:84].mean()
    expected = ((sky * 0.8 + 42) / 0.64) / (sky + 42)
    assert corner == pytest.approx(expected, rel=0.05)


def test_the_variance_does_not_follow_the_noise_of_the_sky_but_the_light_of_stars():
    rng = np.random.default_rng(4)
    star = 50_000 * np.exp(-((X - 80) ** 2 + (Y - 64) ** 2) / (2 * 1.5**2)) / (2 * np.pi * 1.5**2)
    image = rng.poisson(200 + star).astype(np.float32)
    read = np.full(SHAPE, 36, np.float32)

    signal = expected_light(image, np.zeros(SHAPE, bool), read)

    sky = star < 0.1
    assert abs(np.corrcoef(signal[sky], image[sky])[0, 1]) < 0.1
    assert signal[sky].mean() == pytest.approx(200, rel=0.01)
    core = star > 100
    np.testing.assert_array_equal(signal[core], image[core])


def test_a_negative_sky_has_the_variance_of_the_read_out_alone():
    image = np.random.default_rng(5).normal(-20, 6, SHAPE).astype(np.float32)
    assert expected_light(image, np.zeros(SHAPE, bool), np.full(SHAPE, 36, np.float32)).max() == 0


def test_every_step_can_be_left_out(readout, calibs, settings):
    raw = exposed(readout, 1_000.0, np.random.default_rng(6))
    everything = remove_instrument_signature(raw, calibs, INFO, settings).pixels.image
    nothing = remove_instrument_signature(raw, Calibs(), INFO, settings).pixels.image

    np.testing.assert_allclose(nothing, everything * FLAT + 30 * DARK + BIAS, rtol=1e-5)
    for step in ("bias", "dark", "flat"):
        without = remove_instrument_signature(raw, replace(calibs, **{step: None}), INFO, settings)
        switched_off = remove_instrument_signature(raw, calibs, INFO, {**settings, step: False})
        np.testing.assert_array_equal(without.pixels.image, switched_off.pixels.image)
        assert not np.allclose(without.pixels.image, everything)


def test_the_noise_of_the_calibrations_enters_the_variance(readout, settings):
    raw = exposed(readout, 1_000.0, np.random.default_rng(7))
    quiet = Calibs(calib("bias", 0), calib("dark", 0), calib("flat", 1))
    noisy = Calibs(
        calib("bias", 0, variance=3), calib("dark", 0, variance=0.01), calib("flat", 1, variance=1e-5)
    )

    added = (
        remove_instrument_signature(raw, noisy, INFO, settings).pixels.variance
        - remove_instrument_signature(raw, quiet, INFO, settings).pixels.variance
    )

    assert np.median(added) == pytest.approx(3 + 900 * 0.01 + 1e-5 * 1_000**2, rel=0.1)


def test_gain_and_read_noise_that_were_used_are_in_the_info(readout, calibs, settings):
    raw = exposed(readout, 100.0, np.random.default_rng(8))

    info = remove_instrument_signature(raw, calibs, INFO, settings).info

    assert info.gain == pytest.approx(np.mean([1.5, 1.6, 1.4, 1.55]))
    assert info.read_noise == pytest.approx(6.0, rel=0.05)
    assert (info.visit, info.band) == (7, "r")


def test_saturation_is_grown_and_not_filled_in(readout, calibs, settings):
    raw = exposed(readout, 100.0, np.random.default_rng(9))
    raw.planes["A"][20, 30] = 65_000

    pixels = remove_instrument_signature(raw, calibs, INFO, settings).pixels

    assert (pixels.mask[19:22, 25:28] & mask_planes.SAT).all()
    assert np.count_nonzero(pixels.mask & mask_planes.SAT) == 9
    assert not (pixels.mask & mask_planes.INTRP).any()
    assert pixels.image[20, 26] > 80_000
    settings["saturation_grow"] = 0
    pixels = remove_instrument_signature(raw, calibs, INFO, settings).pixels
    assert np.count_nonzero(pixels.mask & mask_planes.SAT) == 1


def test_small_defects_are_filled_in_and_large_ones_only_masked(readout, calibs, settings):
    rng = np.random.default_rng(10)
    is_bad = np.zeros(SHAPE, bool)
    is_bad[40, 50:52] = True
    is_bad[80:90, 20:30] = True
    raw = exposed(readout, 500.0, rng)
    raw.planes["A"][40, 54:56] += 5_000

    calibs = replace(calibs, defects=replace(calibs.defects, is_bad=is_bad))
    pixels = remove_instrument_signature(raw, calibs, INFO, settings).pixels

    both = mask_planes.bits("BAD", "INTRP")
    assert (pixels.mask[40, 50:52] == both).all()
    assert (pixels.mask[80:90, 20:30] == mask_planes.BAD).all()
    np.testing.assert_allclose(pixels.image[40, 50:52], 500, atol=5 * np.sqrt(600 / 16))
    settings["interpolate_defects"] = False
    pixels = remove_instrument_signature(raw, calibs, INFO, settings).pixels
    assert pixels.image[40, 50] > 5_000
    settings["defects"] = False
    assert not remove_instrument_signature(raw, calibs, INFO, settings).pixels.mask.any()


def test_a_bad_column_is_filled_in_whatever_its_length_up_to_its_width(readout, calibs, settings):
    is_bad = np.zeros(SHAPE, bool)
    is_bad[:, 50:52] = True
    is_bad[:, 100:103] = True
    calibs = replace(calibs, defects=replace(calibs.defects, is_bad=is_bad))

    raw = exposed(readout, 500.0, np.random.default_rng(13))
    pixels = remove_instrument_signature(raw, calibs, INFO, settings).pixels

    assert (pixels.mask[:, 50:52] == mask_planes.bits("BAD", "INTRP")).all()
    assert (pixels.mask[:, 100:103] == mask_planes.BAD).all()
    settings["max_interpolated_width"] = 3
    pixels = remove_instrument_signature(raw, calibs, INFO, settings).pixels
    assert (pixels.mask[:, 100:103] == mask_planes.bits("BAD", "INTRP")).all()


def test_pixels_without_a_number_are_finite_no_data_and_weigh_nothing(readout, calibs, settings):
    raw = exposed(readout, 500.0, np.random.default_rng(11))
    raw.planes["D"][10:40, 20:50] = np.nan
    dead = np.array(calibs.flat.image)
    dead[5, 5] = 0
    settings["interpolate_defects"] = False

    pixels = remove_instrument_signature(
        raw, replace(calibs, flat=replace(calibs.flat, image=dead)), INFO, settings
    ).pixels

    is_empty = (pixels.mask & mask_planes.NO_DATA) != 0
    assert is_empty.sum() == 901
    assert is_empty[5, 5]
    assert np.isfinite(pixels.image).all()
    assert (pixels.variance[is_empty] == NO_DATA_VARIANCE).all()
    np.testing.assert_allclose(pixels.image[is_empty], 500, atol=5)


@pytest.mark.parametrize(("n_row", "good", "saturated"), [(60, "4.7", "95.3"), (64, "0.0", "100.0")])
def test_a_frame_with_hardly_a_good_pixel_is_named(readout, calibs, settings, n_row, good, saturated):
    raw = exposed(readout, 500.0, np.random.default_rng(12))
    for plane in raw.planes.values():
        plane[:n_row, 4:84] = 65_000
    told = re.escape(f"{good}% of the pixels are good ({saturated}% are saturated)")
    with pytest.raises(TooFewGoodPixelsError, match=told):
        remove_instrument_signature(raw, calibs, INFO, settings)


@pytest.mark.parametrize("kind", CALIB_STEPS)
def test_a_calibration_of_another_detector_is_a_configuration_error(readout, calibs, settings, kind):
    plane = np.ones((4, 4), np.float32)
    small = CalibImage(kind, plane, plane, np.zeros((4, 4), bool))
    with pytest.raises(CalibShapeError, match=rf"the {kind} has shape \(4, 4\), the detector \(128, 160\)"):
        remove_instrument_signature(
            exposed(readout, 9.0, np.random.default_rng(14)), replace(calibs, **{kind: small}), INFO, settings
        )


def test_calibration_frames_lose_bias_and_dark_and_their_saturated_pixels(readout, calibs, settings):
    raw = exposed(readout, 500.0, np.random.default_rng(15))
    raw.planes["A"][20, 30] = 65_000
    frame = assemble_frame(raw, settings)

    light = usable_light(frame, calibs, 30.0)

    assert np.isnan(light[20, 26])
    assert np.isnan(light).sum() == 1
    assert np.nanmean(light / FLAT) == pytest.approx(500, abs=1)
    np.testing.assert_array_equal(subtract_bias_and_dark(frame, Calibs(), 30.0), frame.image)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_light_that_the_lamp_missed_comes_back_by_the_illumination(readout, calibs, settings, seed):
    lit = 1 + 0.05 * ((X - 80) / 80) ** 2
    wrong = replace(calibs, flat=calib("flat", FLAT / lit))
    raw = exposed(readout, 2_000.0, np.random.default_rng(seed))

    right, bent, mended = (
        remove_instrument_signature(raw, used, INFO, settings).pixels
        for used in (calibs, wrong, replace(wrong, illumination=calib("illumination", lit)))
    )

    assert np.abs(bent.image / right.image - 1).max() > 0.04
    np.testing.assert_allclose(mended.image, right.image, rtol=2e-6)
    np.testing.assert_allclose(mended.variance, right.variance, rtol=1e-5)


def test_an_illumination_without_its_flat_is_left_out(readout, calibs, settings):
    raw = exposed(readout, 2_000.0, np.random.default_rng(4))
    lit = calib("illumination", 1 + 0.001 * X)
    off = settings | {"flat": False}

    with_map, without = (
        remove_instrument_signature(raw, used, INFO, off).pixels.image
        for used in (replace(calibs, illumination=lit), calibs)
    )

    np.testing.assert_array_equal(with_map, without)


def test_an_illumination_of_another_detector_is_refused(readout, calibs, settings):
    plane = np.ones((20, 30), np.float32)
    other = CalibImage("illumination", plane, plane, plane > 2)
    raw = exposed(readout, 200.0, np.random.default_rng(4))
    with pytest.raises(CalibShapeError, match="the illumination has shape"):
        remove_instrument_signature(raw, replace(calibs, illumination=other), INFO, settings)
