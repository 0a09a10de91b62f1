"""A survey of calibrated images: what it may leave out, and what it is refused."""

from types import SimpleNamespace

import pytest
import yaml

from skyloom.io.cameras import read_camera
from skyloom.workflow.calibrated import calibrated_problems
from skyloom.workflow.config import InvalidConfigurationError
from skyloom.workflow.start import Skyloom
from skyloom.workflow.survey import load_survey

CAMERA = {
    "name": "reduced",
    "pixel_scale": 0.4,
    "bands": ["r"],
    "raw": {"format": "single"},
    "calibrated": {
        "unit": "electron",
        "variance": {"form": "weight"},
        "mask": {"form": "codes", "planes": {1: "BAD"}},
    },
    "detectors": {0: {"shape": [100, 100], "extension": 0}},
}
TABLE = """visit,night,mjd,band,exposure_time,ra,dec,camera,raw,mask,variance,psf
1,n1,60000,r,30,150.0,2.2,reduced,i{visit}.fits,m{visit}.fits,w{visit}.fits,p{visit}.psf
2,n1,60001,r,30,150.0,2.2,reduced,i{visit}.fits,m{visit}.fits,w{visit}.fits,
"""
GIVEN = {"astrometry": {"wcs": "given"}, "photometry": {"zero_point": "given"}}


@pytest.fixture
def survey(tmp_path, monkeypatch, pytestconfig):
    """Build a survey of two calibrated images, its configuration changed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "skyloom.workflow.start.Fingerprints", lambda scripts: SimpleNamespace(kernels=lambda: "abc")
    )
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump(CAMERA), encoding="utf-8")
    (tmp_path / "visits.csv").write_text(TABLE, encoding="utf-8")
    for name in ("i1.fits", "i2.fits", "m1.fits", "m2.fits", "w1.fits", "w2.fits", "p1.psf"):
        (tmp_path / name).write_bytes(b"")
    tract = {"tract": 1, "ra": 150.0, "dec": 2.2, "patches": [1, 1]}
    sky_map = {"kind": "local", "pixel_scale": 0.4, "patch_inner": 150, "tracts": [tract]}
    base = {"survey": "s", "output_root": "results", "camera": "camera.yaml", "visits": "visits.csv"}
    base |= {
        "calibration_frames": None,
        "bands": ["r"],
        "raw_root": ".",
        "sky_map": sky_map,
        "calibrate": GIVEN,
    }

    def build(**changes):
        merged = base | changes
        return Skyloom(
            load_survey(merged, [("s.yaml", merged)], pytestconfig.rootpath), pytestconfig.rootpath
        )

    return build


def wildcards(visit):
    return SimpleNamespace(visit=str(visit), detector="0")


def test_what_belongs_to_an_image_is_an_input_of_its_job(survey):
    targets = survey().targets
    assert targets.companion_of("mask")(wildcards(1)) == "m1.fits"
    assert targets.companion_of("variance")(wildcards(2)) == "w2.fits"
    assert targets.companion_of("psf")(wildcards(1)) == "p1.psf"
    assert targets.companion_of("psf")(wildcards(2)) == []


def test_no_reference_catalogue_is_needed_where_nothing_is_fitted_to_it(survey):
    assert survey().targets.reference == []
    with pytest.raises(InvalidConfigurationError) as caught:
        survey(calibrate={"astrometry": {"wcs": "given"}})
    assert "reference.path: is not given" in str(caught.value)
    assert "calibrate.astrometry.wcs and calibrate.photometry.zero_point are given" in str(caught.value)


def test_a_mask_that_is_not_there_is_told_before_any_job(survey, tmp_path):
    (tmp_path / "m2.fits").unlink()
    with pytest.raises(InvalidConfigurationError, match="visit 2, detector 0: there is no mask file m2.fits"):
        survey()


def test_science_frames_of_calibrated_images_are_not_searched_for_defects(survey):
    with pytest.raises(
        InvalidConfigurationError, match="calibs.defects_from_science: is true, but the images of"
    ):
        survey(calibs={"defects_from_science": True})


def test_raw_frames_come_without_a_wcs_and_a_zero_point(survey, tmp_path, pytestconfig):
    home = pytestconfig.rootpath
    table = (
        TABLE.replace(",mask,variance,psf", "")
        .replace("reduced", "microobservatory")
        .replace(",r,", ",clear,")
    )
    table = table.replace(",m{visit}.fits,w{visit}.fits,p{visit}.psf", "").replace(
        ",m{visit}.fits,w{visit}.fits,", ""
    )
    (tmp_path / "visits.csv").write_text(table, encoding="utf-8")
    with pytest.raises(InvalidConfigurationError) as caught:
        survey(camera=str(home / "config/cameras/microobservatory.yaml"), bands=["clear"])
    told = "calibrate.astrometry.wcs: is given, but camera microobservatory takes raw frames; allowed: fitted"
    assert told in str(caught.value)


@pytest.mark.parametrize(("step", "refused"), [([2, 2], True), ([1, 1], False)])
def test_a_mosaic_of_filters_is_not_simulated(tmp_path, step, refused):
    amplifier = {"name": "A", "extension": 0, "data_section": [0, 100, 0, 100]}
    amplifier |= {"detector_section": [0, 100, 0, 100], "gain": 1.0, "read_noise": 5.0, "saturation": 60000}
    detector = {"name": "r", "band": "r", "shape": [100, 100], "pixel_step": step, "pixel_start": [0, 0]}
    detectors = {0: detector | {"centre": [0, 0], "amplifiers": [amplifier]}}
    content = {"name": "colours", "pixel_scale": 1.0, "bands": ["r"], "raw": {"format": "single"}}
    path = tmp_path / "colours.yaml"
    path.write_text(yaml.safe_dump(content | {"detectors": detectors}), encoding="utf-8")
    cameras = {"colours": SimpleNamespace(camera=read_camera(path))}
    settings = {"simulate": {}}
    problems = calibrated_problems(settings, cameras, [("s.yaml", settings)])
    found = "is there, but camera colours has a mosaic of filters"
    assert [(problem.key, problem.found) for problem in problems] == (
        [("simulate", found)] if refused else []
    )
