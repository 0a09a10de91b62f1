"""Tests of skyloom.calibrate.sources and flux_scale."""

import numpy as np
import pytest

from skyloom.algorithms.detection import Detections
from skyloom.calibrate.flux_scale import (
    apply_aperture_correction,
    calibrate_fluxes,
    scale_background,
    scale_in_place,
    sky_columns,
)
from skyloom.calibrate.sources import (
    PsfWithoutSizeError,
    halo_flags,
    is_centred_on,
    is_good_star,
    measure_sources,
    pixel_flags,
    source_table,
)
from skyloom.core import mask_planes
from skyloom.core.ids import source_ids
from skyloom.core.images import Background, ExposureInfo, MaskedImage
from skyloom.core.photo_calib import constant_field
from skyloom.core.psf import PixelPsf, gaussian_kernel
from skyloom.core.schemas import SOURCE
from skyloom.core.tables import column
from skyloom.core.wcs import Wcs

FWHM, HALF = 3.5, 13


def detections_at(x, y, footprint):
    footprint = np.asarray(footprint, dtype=np.int32)
    n_peak = np.bincount(footprint)[footprint].astype(np.int32)
    labels = np.zeros((200, 200), dtype=np.int32)
    for column_, row, number in zip(x, y, footprint, strict=True):
        labels[round(row) - 2 : round(row) + 3, round(column_) - 2 : round(column_) + 3] = 1 + number
    significance = np.linspace(100, 50, len(x))
    return Detections(np.asarray(x, float), np.asarray(y, float), significance, footprint, n_peak, labels)


def measured_from_peaks(pixels, psf, detections, settings):
    start = (detections.x, detections.y, np.full(len(detections), np.nan))
    return measure_sources(pixels, psf, detections, settings, start)


@pytest.fixture(scope="module")
def measured(stars, settings):
    rng = np.random.default_rng(1)
    x, y, flux = np.r_[40.2, 120.0, 150.6, 60.0], np.r_[50.0, 60.3, 150.0, 140.0], np.r_[3e4, 5e3, 8e4, 3e4]
    light = stars.light((200, 200), x, y, flux, np.r_[FWHM, FWHM, FWHM, 1.6 * FWHM], half=25)
    pixels = stars.without_sky(stars.observed(light, rng))
    pixels.mask[150, 150] = mask_planes.SAT
    profile = stars.moffat(0, 0, FWHM, HALF)
    psf = PixelPsf((profile / profile.sum())[None].astype(np.float32), 0, (0, 199, 0, 199))
    detections = detections_at(x, y, [0, 1, 2, 2])
    return measured_from_peaks(pixels, psf, detections, settings["measurement"]), detections, flux


def test_a_psf_that_looks_like_no_star_is_named(stars, settings):
    pixels = stars.without_sky(stars.observed(np.zeros((200, 200)), np.random.default_rng(2)))
    ring = np.full((1, 25, 25), 1e-3, dtype=np.float32)
    ring[0, 11:14, 11:14] = -0.05
    psf = PixelPsf(ring, 0, (0, 199, 0, 199))
    with pytest.raises(PsfWithoutSizeError, match="no size at any of 2 sources"):
        measured_from_peaks(
            pixels, psf, detections_at([50.0, 120.0], [60.0, 80.0], [0, 1]), settings["measurement"]
        )


def test_fluxes_positions_and_classes_of_stars_and_a_galaxy(measured):
    columns, _, flux = measured

    point = [0, 1]
    assert np.all(
        np.abs(columns["psfFlux"] - 0.99 * flux)[point]
        < 4 * columns["psfFluxErr"][point] + 0.01 * flux[point]
    )
    assert np.all(np.abs(columns["x"] - [40.2, 120.0, 150.6, 60.0])[point] < 5 * columns["xErr"][point])
    assert columns["extendedness"][[0, 1, 3]].tolist() == [0, 0, 1]
    assert columns["pixelFlags_saturatedCenter"].tolist() == [False, False, True, False]
    assert columns["ap17Flux"][0] == pytest.approx(3e4, abs=4 * columns["ap17FluxErr"][0] + 0.003 * 3e4)
    assert np.isnan(columns["ap50Flux"][0])
    assert columns["ap50Flux_flag"][0]
    assert is_good_star(columns).tolist() == [True, True, False, False]


def test_other_fluxes_and_the_windowed_centroid_agree_with_truth(measured):
    columns, _, flux = measured
    point, galaxy = [0, 1], 3

    # The PSF's image holds 99 % of a star's light, which the aperture correction gives back.
    for name in ("uniformPsfFlux", "gaussianFlux"):
        error = 4 * columns[f"{name}Err"] + 0.01 * flux
        assert np.all(np.abs(columns[name] - 0.99 * flux)[point] < error[point])
        assert not columns[f"{name}_flag"][point].any()
    whole = [0, 1, galaxy]
    assert np.all(
        np.abs(columns["kronFlux"] - flux)[whole] < (4 * columns["kronFluxErr"] + 0.025 * flux)[whole]
    )
    assert columns["kronRad"][galaxy] > 1.3 * columns["kronRad"][0]
    for name, true in (("x", [40.2, 120.0]), ("y", [50.0, 60.3])):
        off = (columns[f"{name}Win"][point] - true) / columns[f"{name}WinErr"][point]
        assert np.all(np.abs(off) < 4.5)
    assert np.all(columns["blendedness_abs"][point] < 0.02)
    assert columns["variance_value"] == pytest.approx(325, rel=0.3)
    assert np.all(np.abs(columns["localBackground"]) < 5 * columns["skyErr"] + 2)


def test_a_bright_star_hardly_wider_than_a_pixel_is_a_star_wherever_it_lies_in_its_pixel(stars, settings):
    rng = np.random.default_rng(2)
    profile = gaussian_kernel(1.75 / 2.3548, 25)
    x, y = np.array([40.0, 80.5, 120.0, 150.25]), np.array([40.0, 80.5, 120.5, 150.25])
    rows, columns = np.mgrid[:200, :200]
    light = sum(
        1e5 * profile.max() * np.exp(-0.5 * ((columns - a) ** 2 + (rows - b) ** 2) / (1.75 / 2.3548) ** 2)
        for a, b in zip(x, y, strict=True)
    )
    pixels = stars.without_sky(stars.observed(light, rng))
    psf = PixelPsf(profile[None].astype(np.float32), 0, (0, 199, 0, 199))

    measured = measured_from_peaks(pixels, psf, detections_at(x, y, [0, 1, 2, 3]), settings["measurement"])

    assert measured["extendedness"].tolist() == [0, 0, 0, 0]
    assert is_good_star(measured).all()


def test_the_table_has_the_schema_and_tells_who_shares_a_footprint(measured):
    columns, detections, _ = measured
    n = len(detections)
    wcs = Wcs(np.r_[150.0, 60.0], np.r_[100.0, 100.0], np.array([[-5e-5, 0], [0, 5e-5]]), shape=(200, 200))
    complete = columns | sky_columns(columns, wcs)
    complete |= apply_aperture_correction(complete, constant_field(1.1, (200, 200), 0.01))
    background = Background(np.full((2, 2), 300, np.float32), 128, (200, 200))
    complete |= calibrate_fluxes(complete, background, constant_field(2.0, (200, 200)))
    flags = ("psf_candidate", "psf_used", "psf_reserved", "astrometry_used", "photometry_used")
    complete |= {f"calib_{name}": np.zeros(n, dtype=bool) for name in flags}
    complete |= halo_flags(complete, np.full((200, 200), mask_planes.HALO))
    complete |= {"sky_source": np.zeros(n, dtype=bool)}

    table = source_table(complete, detections, ExposureInfo(visit=7, detector=2, band="g"))

    identifiers = source_ids(7, 2, n)
    assert table.schema.equals(SOURCE.arrow_schema())
    assert column(table, "sourceId").tolist() == identifiers.tolist()
    assert column(table, "parentSourceId").tolist() == [0, 0, 0, identifiers[2]]
    assert column(table, "deblend_nChild").tolist() == [0, 0, 1, 0]
    assert column(table, "deblend_nPeaks").tolist() == [1, 1, 2, 2]
    assert column(table, "footprintArea_value").tolist() == [25, 25, 50, 50]
    share = np.maximum(columns["psfFlux"][2:], 0)
    assert column(table, "deblend_fluxFraction") == pytest.approx([1, 1, *(share / share.sum())], rel=1e-6)
    assert column(table, "band").tolist() == ["g"] * 4
    assert column(table, "psfFlux") == pytest.approx(2.2 * columns["psfFlux"])
    assert column(table, "psfFlux_apCorrErr") == pytest.approx(0.01)
    for name in ("uniformPsfFlux", "gaussianFlux"):
        assert column(table, name) == pytest.approx(2.2 * columns[name], nan_ok=True)
    for name in ("ap12Flux", "kronFlux", "calibFlux"):
        assert column(table, name) == pytest.approx(complete[name], nan_ok=True)
    assert column(table, "variance_value") == pytest.approx(4 * columns["variance_value"])
    assert column(table, "sky") == pytest.approx(600.0)


def test_sources_in_stray_light_are_flagged(measured):
    columns, _, _ = measured
    mask = np.zeros((200, 200), dtype=np.uint32)
    mask[:, 100:] = mask_planes.HALO

    flag = halo_flags(columns, mask)["pixelFlags_halo"]

    assert flag.tolist() == (columns["x"] > 100).tolist()
    assert 0 < flag.sum() < len(flag)


def test_a_table_without_sources_has_the_schema_too():
    columns = {c.name: np.zeros(0) for c in SOURCE.columns}

    table = source_table(columns, detections_at([], [], []), ExposureInfo(visit=7, detector=2, band="g"))

    assert table.num_rows == 0
    assert table.schema.equals(SOURCE.arrow_schema())


def test_sky_errors_turn_with_the_image_and_ignore_the_declination():
    scale, angle = 5e-5, np.radians(30)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wcs = Wcs(np.r_[10.0, 80.0], np.r_[50.0, 50.0], scale * rotation, shape=(100, 100))
    covariance = np.diag([0.01**2, 0.03**2])

    sky = sky_columns(
        {"x": np.r_[50.0], "y": np.r_[50.0], "xErr": np.r_[0.01], "yErr": np.r_[0.03], "xyCov": np.r_[0.0]},
        wcs,
    )

    expected = scale**2 * rotation @ covariance @ rotation.T
    assert (sky["ra"][0], sky["dec"][0]) == pytest.approx((10.0, 80.0))
    assert sky["raErr"][0] ** 2 == pytest.approx(expected[0, 0])
    assert sky["decErr"][0] ** 2 == pytest.approx(expected[1, 1])
    assert sky["ra_dec_Cov"][0] == pytest.approx(expected[0, 1])


def test_pixels_and_background_are_scaled_alike():
    pixels = MaskedImage(
        np.ones((8, 8), np.float32), np.zeros((8, 8), np.uint32), np.ones((8, 8), np.float32)
    )

    scale_in_place(pixels, constant_field(3.0, (8, 8)))
    background = scale_background(
        Background(np.ones((2, 2), np.float32), 4, (8, 8)), constant_field(3.0, (8, 8))
    )

    assert pixels.image[0, 0] == 3
    assert pixels.variance[0, 0] == 9
    assert pixels.image.dtype == background.mesh.dtype == np.float32
    assert background.image() == pytest.approx(3.0)


def test_flags_tell_core_from_centre_and_edge():
    mask = np.zeros((50, 50), dtype=np.uint32)
    mask[20, 23] = mask_planes.CR
    mask[30, 30] = mask_planes.bits("INTRP", "BAD")

    flags = pixel_flags(mask, np.r_[20.0, 30.4, 1.0], np.r_[20.0, 30.0, 25.0], 3.0)

    assert flags["pixelFlags_cr"].tolist() == [True, False, False]
    assert flags["pixelFlags_crCenter"].tolist() == [False, False, False]
    assert flags["pixelFlags_interpolatedCenter"].tolist() == [False, True, False]
    assert flags["pixelFlags_bad"].tolist() == [False, True, False]
    assert flags["pixelFlags_edge"].tolist() == [False, False, True]


def test_sources_on_the_outermost_pixels_are_not_centred_on_the_image():
    columns = {"x": np.r_[0.2, 10.0, 48.9], "y": np.r_[10.0, 10.0, 10.0]}

    assert is_centred_on(columns, (50, 50)).tolist() == [False, True, False]
