"""Calibrated images of an observatory as exposures in electrons."""

import numpy as np
import pytest

from skyloom.core import mask_planes
from skyloom.core.calibrated_layout import CalibratedFrame, calibrated_layout
from skyloom.core.images import ExposureInfo
from skyloom.isr.assembly import AllPixelsBadError, ConstantImageError
from skyloom.isr.calibrated import (
    StatedQuantityError,
    UnknownMaskValueError,
    WrongUnitError,
    exposure_of_calibrated,
)
from skyloom.isr.header_wcs import MissingWcsError, UnsupportedWcsError
from skyloom.isr.repair import NO_DATA_VARIANCE, TooFewGoodPixelsError

SHAPE = (128, 160)
SKY, GAIN, READ_NOISE = 400.0, 4.0, 6.0
NAN = float("nan")


@pytest.fixture
def counts():
    """A sky of 400 ADU with its noise: 1600 electron, read noise 6."""
    rng = np.random.default_rng(20)
    electrons = rng.poisson(SKY * GAIN, SHAPE) + rng.normal(0, READ_NOISE, SHAPE)
    return (electrons / GAIN).astype(np.float32)


def expose(
    image, settings, *, noise=None, flags=None, header=None, zero_point=NAN, needs_wcs=False, **section
):
    """Exposure of an image under a layout of ADU and gain."""
    described = {
        "unit": "ADU",
        "gain": GAIN,
        "read_noise": READ_NOISE,
        "variance": {"form": "gain"},
    } | section
    layout = calibrated_layout("c", {k: v for k, v in described.items() if v is not None}, ("g", "r"))
    flags = None if flags is None else flags.astype(np.uint64)
    frame = CalibratedFrame(layout, image, noise, flags, header or {})
    info = ExposureInfo(visit=1, detector=0, band="r", exposure_time=10.0)
    return exposure_of_calibrated(frame, info, zero_point, settings, needs_wcs=needs_wcs)


def test_the_variance_by_gain_is_that_of_the_pixels(counts, settings):
    exposure = expose(counts + 1000, settings, pedestal="SOFTBIAS", header={"SOFTBIAS": 1000})
    pixels = exposure.pixels
    np.testing.assert_allclose(pixels.image, counts * GAIN, rtol=2e-6)
    # 20,480 pixels: the variance of the sample is known to 1 %.
    assert pixels.variance.mean() == pytest.approx(np.var(pixels.image), rel=0.04)
    assert pixels.variance.mean() == pytest.approx(SKY * GAIN + READ_NOISE**2, rel=0.01)
    assert (exposure.info.gain, exposure.info.read_noise) == (GAIN, READ_NOISE)
    assert exposure.wcs is exposure.photo_calib is exposure.psf is None
    assert not pixels.mask.any()


@pytest.mark.parametrize(
    ("form", "plane"),
    [("variance", lambda v: v), ("weight", lambda v: 1 / v), ("error", np.sqrt)],
)
def test_a_noise_plane_is_taken_in_its_form_and_unit(counts, settings, form, plane):
    variance = np.full(SHAPE, 101.0, dtype=np.float32)
    exposure = expose(counts, settings, noise=plane(variance), variance={"form": form})
    np.testing.assert_allclose(exposure.pixels.variance, variance * GAIN**2, rtol=1e-5)


def test_a_pixel_without_weight_has_no_data(counts, settings):
    weight = np.full(SHAPE, 0.01, dtype=np.float32)
    weight[20:60, 20:60] = 0
    weight[5, 5], counts[90, 100] = -1, np.nan
    settings["interpolate_defects"] = False
    pixels = expose(counts, settings, noise=weight, variance={"form": "weight"}).pixels
    is_empty = pixels.is_masked(mask_planes.NO_DATA)
    assert is_empty.sum() == 40 * 40 + 2
    assert is_empty[5, 5]
    assert is_empty[90, 100]
    assert np.isfinite(pixels.image).all()
    assert (pixels.variance[is_empty] == NO_DATA_VARIANCE).all()


def test_the_noise_of_an_image_without_sky_is_measured_in_it(settings):
    rng = np.random.default_rng(21)
    image = rng.normal(0, 0.5, SHAPE).astype(np.float32)
    image[40:52, 50:62] += 100
    pixels = expose(image, settings, variance={"form": "measured"}).pixels
    sky = (0.5 * GAIN) ** 2
    assert np.median(pixels.variance) == pytest.approx(sky, rel=0.04)
    # The object's own photons.
    assert pixels.variance[46, 56] == pytest.approx(sky + 100 * GAIN, rel=0.05)


def test_the_sky_that_is_still_in_the_image_counts_once_where_its_noise_is_measured(counts, settings):
    pixels = expose(counts, settings, variance={"form": "measured"}).pixels
    assert np.median(pixels.variance) == pytest.approx(SKY * GAIN + READ_NOISE**2, rel=0.04)


@pytest.mark.parametrize(
    ("form", "flags", "planes"),
    [
        ("bits", (1, 4 + 8, 2**40), {0: "BAD", 2: "SAT", 3: ["SUSPECT", "HALO"], 40: []}),
        ("codes", (1, 12, 3), {1: "BAD", 12: ["SAT", "SUSPECT", "HALO"], 3: []}),
    ],
)
def test_the_observatory_s_mask_becomes_ours(counts, settings, form, flags, planes):
    values = np.zeros(SHAPE, dtype=np.uint64)
    values[2, 3], values[4:12, 5:13], values[6, 90] = flags
    mask = {"form": form, "planes": planes}
    settings["interpolate_defects"] = False
    found = expose(counts, settings, flags=values, mask=mask).pixels.mask
    assert found[2, 3] == mask_planes.BAD
    assert (found[4:12, 5:13] == mask_planes.bits("SAT", "SUSPECT", "HALO")).all()
    assert (found != 0).sum() == 65


@pytest.mark.parametrize(
    ("form", "value", "told"),
    [
        (
            "bits",
            1 + 32,
            r"3 pixels of the mask have bit 5, calibrated.mask.planes of the camera file knows \[0\]",
        ),
        (
            "codes",
            7,
            r"3 pixels of the mask have code 7, calibrated.mask.planes of the camera file knows \[1\]",
        ),
    ],
)
def test_what_the_camera_file_does_not_translate_is_named(counts, settings, form, value, told):
    flags = np.zeros(SHAPE, dtype=np.uint64)
    flags[5, 5:8] = value
    mask = {"form": form, "planes": {0 if form == "bits" else 1: "BAD"}}
    with pytest.raises(UnknownMaskValueError, match=told):
        expose(counts, settings, flags=flags, mask=mask)


def test_a_level_of_saturation_masks(counts, settings):
    counts[50, 60] = 60_000
    mask = expose(
        counts, settings, saturation={"g": 100, "r": "SATURATE"}, header={"SATURATE": "55000."}
    ).pixels.mask
    assert mask[50, 60] == mask_planes.SAT
    assert (mask != 0).sum() == 1


@pytest.mark.parametrize(
    ("unit", "gain", "zero_point", "scale", "nano_jansky"),
    [
        ("ADU", GAIN, 25.0, GAIN, 10 ** (0.4 * 6.4) / GAIN),
        ("electron", None, 31.4, 1.0, 1.0),
        # 10 s of exposure: ten electrons are counted for one a second.
        ("electron/s", None, 25.0, 10.0, 10 ** (0.4 * 6.4) / 10),
        ("ADU/s", GAIN, 25.0, 10 * GAIN, 10 ** (0.4 * 6.4) / (10 * GAIN)),
        ("nJy", 0.5, NAN, 0.5, 2.0),
        ("nanomaggy", 800.0, NAN, 800.0, 3630.78 / 800),
    ],
)
def test_units_become_electrons_and_the_zero_point_goes_with_them(
    counts, settings, unit, gain, zero_point, scale, nano_jansky
):
    exposure = expose(counts, settings, unit=unit, gain=gain, zero_point=zero_point)
    np.testing.assert_allclose(exposure.pixels.image, counts * scale, rtol=1e-5)
    assert exposure.photo_calib.evaluate(10, 20) == pytest.approx(nano_jansky, rel=1e-5)


def test_the_zero_point_of_the_visit_table_counts_before_that_of_the_camera_file(settings, counts):
    header = {"MAGZERO": 26.0}

    def zero_point(given):
        layout = calibrated_layout(
            "c", {"unit": "electron", "zero_point": "MAGZERO", "variance": {"form": "gain"}}, ("r",)
        )
        frame = CalibratedFrame(layout, counts, None, None, header)
        exposure = exposure_of_calibrated(frame, ExposureInfo(band="r"), given, settings)
        return 31.4 - 2.5 * np.log10(exposure.photo_calib.evaluate(0, 0))

    assert zero_point(NAN) == pytest.approx(26.0)
    assert zero_point(27.5) == pytest.approx(27.5)


@pytest.mark.parametrize("text", ["adu", "DNs", "counts", "bananas", "", " ADU "])
def test_a_unit_spelt_otherwise_or_unknown_is_let_in(counts, settings, text):
    assert expose(counts, settings, header={"BUNIT": text}).pixels.shape == SHAPE


@pytest.mark.parametrize("text", ["electrons", "e-/s", "ADU/s", "nanomaggy"])
def test_another_unit_is_refused(counts, settings, text):
    with pytest.raises(WrongUnitError, match="BUNIT is .*, the camera file's calibrated.unit is ADU"):
        expose(counts, settings, header={"BUNIT": text})


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({}, "card EGAIN is missing, the image's gain needs a usable number"),
        ({"EGAIN": "high"}, "card EGAIN is 'high'"),
        ({"EGAIN": 0}, "card EGAIN is 0"),
    ],
)
def test_a_card_that_is_missing_or_no_number_is_named(counts, settings, header, told):
    with pytest.raises(StatedQuantityError, match=told):
        expose(counts, settings, gain="EGAIN", header=header)


def test_images_without_data_are_refused(counts, settings):
    with pytest.raises(AllPixelsBadError):
        expose(np.full(SHAPE, np.nan, dtype=np.float32), settings)
    with pytest.raises(ConstantImageError):
        expose(np.full(SHAPE, 5, dtype=np.float32), settings)
    bad = np.ones(SHAPE, dtype=np.uint64)
    with pytest.raises(TooFewGoodPixelsError):
        expose(counts, settings, flags=bad, mask={"form": "codes", "planes": {1: "BAD"}})


def test_the_header_s_wcs_comes_along(counts, settings):
    header = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0}
    header |= {"CRPIX1": 80.0, "CRPIX2": 64.0, "CD1_1": -1e-4, "CD2_2": 1e-4}
    wcs = expose(counts, settings, header=header).wcs
    np.testing.assert_allclose(wcs.pixel_to_sky(79.0, 63.0), (10.0, 20.0), atol=1e-12)


@pytest.mark.parametrize(
    ("header", "error"), [({}, MissingWcsError), ({"CTYPE1": "RA---SIN", "CRVAL1": 1.0}, UnsupportedWcsError)]
)
def test_a_wcs_is_refused_only_where_it_is_needed(counts, settings, header, error):
    assert expose(counts, settings, header=header).wcs is None
    with pytest.raises(error):
        expose(counts, settings, header=header, needs_wcs=True)
