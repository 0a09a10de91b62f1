"""Camera files are read, and refused by name when they hold nothing."""

from pathlib import Path

import pytest

from skyloom.core.camera import CameraFileError
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
