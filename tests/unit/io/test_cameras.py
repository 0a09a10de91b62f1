"""Camera files are read, and refused by name when they hold nothing."""

from pathlib import Path

import pytest
import yaml

from skyloom.core.camera import camera_from_dict
from skyloom.core.camera_keys import CameraFileError
from skyloom.io.cameras import read_camera
from skyloom.io.yaml_files import YamlFileError

CAMERAS = sorted((Path(__file__).parents[3] / "config" / "cameras").glob("*.yaml"))


@pytest.mark.parametrize("path", CAMERAS, ids=lambda path: path.stem)
def test_every_camera_that_comes_with_skyloom_is_sound(path):
    camera = read_camera(path)
    assert camera.name == path.stem
    assert camera.detectors


def test_a_camera_file_without_keys_is_refused(tmp_path):
    (tmp_path / "c.yaml").write_text("just words\n")
    with pytest.raises(YamlFileError, match="only the text 'just words' at the top of the file"):
        read_camera(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"site": {"latitude": 95, "longitude": 0}}, "site is latitude 95"),
        ({"site": {"latitude": 10}}, "site: keys longitude are missing"),
        ({"raw": {"format": "extensions", "filters": {"SDSS g": "gg"}}}, "raw.filters: 'SDSS g' is 'gg'"),
        ({"raw": {"format": "extensions", "image_types": {"OBJ": "light"}}}, "needs one of bias, dark"),
    ],
)
def test_a_site_or_a_choice_that_makes_no_sense_is_refused(change, message):
    description = yaml.safe_load(CAMERAS[-1].read_text())
    with pytest.raises(CameraFileError, match=message):
        camera_from_dict(description | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"band": "violet"}, "detector 1: band is 'violet', needs one of bands: red, green, blue"),
        ({"band": None}, "detector 1 has no band while others have: give all of them one, or none"),
        ({"pixel_step": [2]}, "pixel_step is .2., needs .x, y."),
        ({"pixel_step": [0, 2]}, "pixel_step is .0, 2., needs numbers from 1 to 16"),
        ({"pixel_start": [2, 0]}, "pixel_start is .2, 0., needs numbers below pixel_step .2, 2."),
    ],
)
def test_a_mosaic_that_makes_no_sense_is_refused(change, message):
    content = yaml.safe_load((CAMERAS[0].parent / "panoptes.yaml").read_text(encoding="utf-8"))
    content["detectors"][1] |= change
    with pytest.raises(CameraFileError, match=message):
        camera_from_dict(content)


def test_the_colours_of_a_mosaic_share_a_file_and_see_a_band_each():
    camera = read_camera(CAMERAS[0].parent / "panoptes.yaml")
    assert camera.has_all_detectors_in_a_file
    assert camera.fixed_bands == ("red", "green", "blue")
    assert [number for number, detector in camera.detectors.items() if detector.sees("green")] == [0, 3]
    # All four colours of a cell together are the raw file's pixels, each a quarter pixel from the cell's middle.
    assert {tuple(d.pixel_start) for d in camera.detectors.values()} == {(0, 0), (1, 0), (0, 1), (1, 1)}
    for detector in camera.detectors.values():
        raw_centre = [
            2 * (n - 1) / 2 + start for n, start in zip((350, 350), detector.pixel_start, strict=True)
        ]
        assert [2 * c for c in detector.centre] == pytest.approx([r - (700 - 1) / 2 for r in raw_centre])
    plain = read_camera(CAMERAS[0].parent / "microobservatory.yaml")
    assert plain.fixed_bands == ()
    assert plain.detectors[0].sees("anything")


def description():
    """Content of the demo's camera file."""
    return yaml.safe_load((CAMERAS[-1].parent / "simcam.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("gain", 0, "gain is 0, needs a number above 0"),
        ("gain", -1.6, "gain is -1.6, needs a number above 0"),
        ("gain", float("nan"), "gain is nan, needs a number"),
        ("gain", "high", "gain is 'high', needs a number"),
        ("gain", True, "gain is True, needs a number"),
        ("read_noise", -6, "read_noise is -6, needs a number above 0"),
        ("saturation", 0, "saturation is 0, needs a number above 0"),
        ("saturation", float("inf"), "saturation is inf, needs a number"),
        ("flip_x", "false", "flip_x is 'false', needs true or false"),
        ("flip_y", 1, "flip_y is 1, needs true or false"),
        ("extension", -1, "extension is -1, needs a name, or a number from 0"),
        ("extension", 1.5, "extension is 1.5, needs a name"),
        ("extension", True, "extension is True, needs a name"),
        ("data_section", [8, float("nan"), 0, 512], "data_section is nan, needs a number"),
    ],
)
def test_an_amplifier_that_lies_is_named_with_its_key(tmp_path, key, value, told):
    camera = description()
    camera["amplifier_sets"]["quadrants"][1][key] = value
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(camera), encoding="utf-8")
    with pytest.raises(CameraFileError, match="camera simcam: detector 0: amplifier B") as caught:
        read_camera(tmp_path / "c.yaml")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"exposure_tme": "EXPTIME"}, "raw.header: unknown key 'exposure_tme'.*nearest: exposure_time"),
        ({"ra": 5}, "raw.header.ra is 5, needs the keyword of a card"),
        ({"ra": " "}, "raw.header.ra is ' ', needs the keyword of a card"),
    ],
)
def test_a_header_map_that_nothing_would_look_up_is_refused(tmp_path, header, told):
    camera = description() | {"raw": {"format": "extensions", "header": header}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(camera), encoding="utf-8")
    with pytest.raises(CameraFileError, match=told):
        read_camera(tmp_path / "c.yaml")


def test_a_detector_beyond_all_sensors_and_numbers_is_refused_before_it_is_allocated(tmp_path):
    camera = description()
    camera["detectors"][0]["shape"] = [10**9, 10**9]
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(camera), encoding="utf-8")
    with pytest.raises(CameraFileError, match="needs sides of at most 20000 pixels"):
        read_camera(tmp_path / "c.yaml")
    camera = description()
    camera["detectors"][512] = camera["detectors"].pop(1)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(camera), encoding="utf-8")
    with pytest.raises(CameraFileError, match="detectors has 512, needs numbers from 0 to 511"):
        read_camera(tmp_path / "c.yaml")


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", "a b", "-x", ".."])
def test_a_camera_s_name_leads_nowhere(tmp_path, name):
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(description() | {"name": name}), encoding="utf-8")
    with pytest.raises(CameraFileError, match="name stands in file names, needs letters, digits, _ and -"):
        read_camera(tmp_path / "c.yaml")
