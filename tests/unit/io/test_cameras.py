"""Camera files are read, and refused by name when they hold nothing."""

from pathlib import Path

import pytest
import yaml

from skyloom.core.camera import CameraFileError, camera_from_dict
from skyloom.io.cameras import read_camera

CAMERAS = sorted((Path(__file__).parents[3] / "config" / "cameras").glob("*.yaml"))


@pytest.mark.parametrize("path", CAMERAS, ids=lambda path: path.stem)
def test_every_camera_that_comes_with_skyloom_is_sound(path):
    camera = read_camera(path)
    assert camera.name == path.stem
    assert camera.detectors


def test_a_camera_file_without_keys_is_refused(tmp_path):
    (tmp_path / "c.yaml").write_text("just words\n")
    with pytest.raises(CameraFileError, match="holds no keys"):
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
