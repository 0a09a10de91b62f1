import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from skyloom.calibrate.visit_summary import (
    failed_detector,
    limiting_magnitude,
    summarize_detector,
    visit_summary,
)
from skyloom.core import mask_planes
from skyloom.core.images import Background, Exposure, ExposureInfo, MaskedImage
from skyloom.core.photo_calib import ZeroPointFit, constant_field
from skyloom.core.psf import PixelPsf, gaussian_kernel
from skyloom.core.psf_colour import PsfColour, no_colour
from skyloom.core.schemas import SOURCE, VISIT_SUMMARY
from skyloom.core.tables import column
from skyloom.core.wcs import Wcs, WcsFit

SHAPE = (80, 100)
SCALE = 0.2 / 3600
VISIT = {"visit": 102, "band": "r", "mjd": 61000.5, "exposure_time": 30.0, "airmass": 1.1}


def make_exposure(angle=0.0, noise=20.0):
    """A calexp with a Gaussian PSF of 2 pixels, a sky of 500 nJy and known noise."""
    turn = np.radians(angle)
    # +y of the detector points `angle` East of North.
    matrix = SCALE * np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    pixels = MaskedImage(
        np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.uint32), np.full(SHAPE, noise**2, np.float32)
    )
    pixels.mask[:4] = mask_planes.BAD
    return Exposure(
        pixels,
        ExposureInfo(visit=102, detector=1, band="r"),
        Wcs(np.array([150.0, 2.0]), np.array([49.5, 39.5]), matrix, shape=SHAPE),
        PixelPsf(gaussian_kernel(2.0, 25)[None].astype(np.float32), 0, (0, 100, 0, 80)),
        constant_field(2.5, SHAPE, 0.0025),
        Background(np.full((2, 2), 500.0, np.float32), 50, SHAPE),
        constant_field(1.02, SHAPE),
        WcsFit(np.zeros((2, 3)), np.eye(3), 42, 0.003, 0.004, 0.002, 1e-7, -30.0),
        detection_threshold=5.4,
    )


def make_sources(n=20, star_size=1.02):
    """Source table whose first 12 rows are PSF stars, wider than the PSF by a factor."""
    makers = {"string": lambda: ["r"] * n, "bool": lambda: np.zeros(n, bool)}
    values = {c.name: makers.get(c.type, lambda: np.zeros(n))() for c in SOURCE.columns}
    values["calib_psf_used"][:12] = True
    values["calib_photometry_used"][:9] = True
    for name in ("ixx", "iyy"):
        values[name][:] = 4.0 * star_size**2
        values[f"{name}PSF"][:] = 4.0
    values["ixx"][3] = np.nan
    return SOURCE.table(values)


def test_a_calibrated_detector_is_summarised_with_its_own_numbers():
    row = summarize_detector(make_exposure(), make_sources())

    assert row["status"] == "OK"
    assert row["detector"] == 1
    assert (row["xSize"], row["ySize"]) == (100, 80)
    assert (row["ra"], row["dec"]) == pytest.approx((150.0, 2.0))
    assert row["pixelScale"] == pytest.approx(0.2, rel=1e-6)
    assert row["psfSigma"] == pytest.approx(2.0, rel=0.01)
    assert row["seeing"] == pytest.approx(2.0 * 2.3548 * 0.2, rel=0.01)
    assert row["psfArea"] == pytest.approx(4 * np.pi * 4.0, rel=0.03)
    assert row["detectionThreshold"] == 5.4
    assert row["skyBg"] == pytest.approx(500.0, rel=1e-5)
    assert row["skyNoise"] == pytest.approx(20.0, rel=1e-5)
    assert row["zeroPoint"] == pytest.approx(31.4 - 2.5 * np.log10(2.5))
    assert row["zeroPointErr"] == pytest.approx(0.001 * 1.0857, rel=1e-3)
    assert (row["nPsfStar"], row["nPhotometryStar"], row["nAstrometryStar"], row["nSource"]) == (
        12,
        9,
        42,
        20,
    )
    assert (row["astromRmsRa"], row["astromRmsDec"]) == (0.003, 0.004)
    assert (row["wcsCornerError"], row["wcsHeaderError"], row["astromLogFalseAlarm"]) == (0.002, 1e-7, -30.0)
    assert np.isnan([row["zeroPointScatter"], row["zeroPointVariation"]]).all()
    assert row["maskedFraction"] == pytest.approx(4 / 80)
    assert row["psfStarDeltaSizeMedian"] == pytest.approx(0.04, rel=1e-6)
    assert row["psfStarDeltaE1Median"] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(("variation", "varies"), [(0.004, False), (0.032, True), (np.nan, False)])
def test_a_zero_point_that_varies_is_remarked_with_its_numbers(variation, varies):
    exposure = replace(make_exposure(), zero_point_fit=ZeroPointFit(250, 0.02, variation, 0.01))

    row = summarize_detector(exposure, make_sources())

    assert row["status"] == "OK"
    assert row["zeroPointVaries"] is varies
    assert row["remark"].startswith("zero point varies by 0.032 mag" if varies else "")
    assert bool(row["remark"]) == varies
    assert row["zeroPointScatter"] == 0.02


def test_a_detector_half_of_which_is_dead_is_remarked_beside_its_zero_point():
    exposure = replace(make_exposure(), zero_point_fit=ZeroPointFit(250, 0.02, 0.032, 0.01))
    exposure.pixels.mask[:40] = mask_planes.BAD
    exposure.pixels.mask[40:44] = mask_planes.NO_DATA

    row = summarize_detector(exposure, make_sources())

    assert row["maskedFraction"] == pytest.approx(44 / 80)
    assert row["remark"].startswith("zero point varies by 0.032 mag")
    assert "; 55.0% of the pixels are of no use (BAD 50.0%, SAT 0.0%, CR 0.0%, NO_DATA 5.0%)" in row["remark"]


def test_offsets_of_the_matches_follow_from_the_scatter_per_axis():
    rng = np.random.default_rng(1)
    distance = np.hypot(*rng.normal(0, 0.005 / np.sqrt(2), (2, 200_000)))

    row = summarize_detector(make_exposure(), make_sources())

    assert row["astromOffsetMean"] == pytest.approx(distance.mean(), rel=0.01)
    assert row["astromOffsetStd"] == pytest.approx(distance.std(), rel=0.01)


@pytest.mark.parametrize("angle", [0.0, 30.0, 200.0])
def test_corners_and_rotation_are_those_of_the_wcs(angle):
    row = summarize_detector(make_exposure(angle), make_sources())

    assert row["skyRotation"] == pytest.approx(angle, abs=1e-6)
    exposure = make_exposure(angle)
    for name, x, y in (("llc", -0.5, -0.5), ("ulc", -0.5, 79.5), ("urc", 99.5, 79.5), ("lrc", 99.5, -0.5)):
        ra, dec = exposure.wcs.pixel_to_sky(x, y)
        assert (row[f"{name}ra"], row[f"{name}dec"]) == pytest.approx((float(ra), float(dec)), abs=1e-12)


def test_the_depth_is_where_the_signal_is_five_times_its_noise():
    variance, area, zero_point = 400.0, 50.0, 2.5

    flux = 10 ** (0.4 * (31.4 - limiting_magnitude(variance, area, zero_point)))

    assert flux / np.sqrt(flux * zero_point + variance * area) == pytest.approx(5.0)


def test_an_image_that_is_wholly_masked_still_has_a_noise():
    exposure = make_exposure()
    exposure.pixels.mask[:] = mask_planes.SAT

    row = summarize_detector(exposure, make_sources())

    assert row["maskedFraction"] == 1.0
    assert row["skyNoise"] == pytest.approx(20.0, rel=1e-5)


def test_a_detector_without_psf_stars_has_no_residuals():
    sources = make_sources()
    blank = sources.set_column(
        sources.column_names.index("calib_psf_used"), sources.field("calib_psf_used"), [[False] * 20]
    )

    row = summarize_detector(make_exposure(), blank)

    assert row["nPsfStar"] == 0
    assert np.isnan(row["psfStarDeltaE1Median"])


def test_a_visit_has_a_row_for_each_detector_good_or_bad_in_order():
    rows = [
        summarize_detector(make_exposure(), make_sources()),
        failed_detector(0, "NoSources", "no source found"),
    ]

    table = visit_summary(rows, VISIT)

    assert table.schema.names == [c.name for c in VISIT_SUMMARY.columns]
    assert column(table, "detector").tolist() == [0, 1]
    assert column(table, "status").tolist() == ["FAILED", "OK"]
    assert column(table, "reason").tolist() == ["NoSources", ""]
    assert column(table, "message").tolist() == ["no source found", ""]
    assert column(table, "visit").tolist() == [102, 102]
    assert np.isnan(column(table, "seeing")[0])
    assert column(table, "nSource").tolist() == [0, 20]
    assert column(table, "band").tolist() == ["r", "r"]


def test_columns_that_rubin_publishes_have_its_types_and_units():
    found = importlib.util.find_spec("lsst.sdm.schemas")
    if found is None:
        pytest.skip("the extra rubin (lsst-sdm-schemas) is not installed")
    text = (Path(found.origin).parent / "drp_base.yaml").read_text(encoding="utf-8")
    tables = yaml.safe_load(text)["tables"]
    published = {c["name"]: c for t in tables if t["name"] == "VisitDetector" for c in t["columns"]}
    types = {"double": "float64", "float": "float32", "int": "int32", "long": "int64", "char": "string"}
    # Our detector is as wide as in the source tables, and pixels are in nJy.
    ours_alone = {("detector", "type"), ("skyBg", "unit"), ("skyNoise", "unit")}
    shared = [c for c in VISIT_SUMMARY.columns if c.name in published]
    assert len(shared) > 30
    for c in shared:
        if (c.name, "type") not in ours_alone:
            assert c.type == types[published[c.name]["datatype"]], c.name
        if (c.name, "unit") not in ours_alone:
            assert c.unit == published[c.name].get("fits:tunit", published[c.name].get("ivoa:unit", "")), (
                c.name
            )


def test_the_colour_term_of_the_psf_is_told():
    exposure = make_exposure()
    kernel, wider = gaussian_kernel(2.0, 25), gaussian_kernel(2.02, 25)
    colour = PsfColour("g - i", (wider - kernel).astype(np.float32), 0.7, (0.2, 1.2), 60)

    def row(colour):
        return summarize_detector(replace(exposure, psf=replace(exposure.psf, colour=colour)), make_sources())

    # A size that grows by 1 % a magnitude is a T that grows by twice as much.
    assert row(colour)["psfColour"] == "g - i"
    assert row(colour)["psfSizeColourSlope"] == pytest.approx(0.02, rel=0.02)
    assert row(no_colour("clouds"))["psfColour"] == "none: clouds"
    assert np.isnan(row(no_colour("clouds"))["psfSizeColourSlope"])
    assert row(None)["psfColour"] == ""
