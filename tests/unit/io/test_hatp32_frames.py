"""Tests of the visit table and the camera file of the real frames, and of reading these frames."""

from pathlib import Path

import numpy as np
import pytest

import hatp32_visit_table
from skyloom.io.cameras import read_camera
from skyloom.io.raws import read_raw
from skyloom.workflow.survey import CameraFile
from skyloom.workflow.visits import VISIT_COLUMNS, raw_path, read_table_of, reference_problems

CONFIG = Path(__file__).parents[3] / "config"
TABLE = CONFIG / "surveys" / "hatp32_visits.csv"


@pytest.fixture(scope="module")
def camera():
    return read_camera(CONFIG / "cameras" / "microobservatory.yaml")


@pytest.fixture(scope="module")
def visits():
    rows, problems = read_table_of(TABLE, VISIT_COLUMNS, "visit")
    assert problems == []
    return rows


def test_the_committed_table_is_a_valid_visit_table_of_the_camera(visits, camera):
    assert len(visits) == 71
    cameras = {camera.name: CameraFile("microobservatory.yaml", camera, "")}
    assert reference_problems("table", visits, cameras, camera.bands) == []
    minutes = np.diff([row["mjd"] for row in visits.values()]) * 1440
    np.testing.assert_allclose(minutes, 6, atol=0.6)
    # The header of the first frame: 01:33:43.317 UT, 60 s; TAI is 37 s ahead.
    begin = 58107 + (1 * 3600 + 33 * 60 + 43.317) / 86400
    assert visits[1]["mjd"] == pytest.approx(begin + (30 + 37) / 86400, abs=1e-6)


def test_the_tool_refuses_a_folder_without_frames(tmp_path, capsys):
    with pytest.raises(SystemExit):
        hatp32_visit_table.main([str(tmp_path)])
    assert "no frame matches" in capsys.readouterr().err


@pytest.mark.realdata
def test_the_committed_table_is_what_the_frames_say(realdata, tmp_path):
    again = tmp_path / "visits.csv"
    hatp32_visit_table.main([str(realdata / "hatp32-raw-frames"), "--output", str(again)])
    assert again.read_text() == TABLE.read_text()


@pytest.mark.realdata
def test_real_frames_with_sloppy_headers_are_read(realdata, visits, camera):
    detector = camera.detectors[0]
    for number in (1, 36, 71):
        path = realdata / "hatp32-raw-frames" / raw_path(visits[number], 0)
        raw = read_raw(path, detector, camera.raw)
        (plane,) = raw.planes.values()
        assert plane.shape == (500, 650)
        assert plane.max() <= 4095
        assert 340 < np.median(plane) < 380
        assert raw.header["exposure_time"] == visits[number]["exposure_time"]
