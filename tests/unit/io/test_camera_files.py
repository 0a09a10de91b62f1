"""The camera files of known cameras are what their tools make of the published geometry."""

from pathlib import Path

import numpy as np
import pytest

import decam_camera
import lsst_camera
from skyloom.io.cameras import read_camera
from skyloom.io.raws import read_raw, write_raw

CAMERAS = Path(__file__).parents[3] / "config" / "cameras"


@pytest.mark.parametrize("tool", [lsst_camera, decam_camera], ids=["lsst", "decam"])
def test_the_committed_file_is_what_its_tool_writes(tmp_path, tool):
    tool.main(["--output", str(tmp_path / "camera.yaml")])
    assert (tmp_path / "camera.yaml").read_text() == tool.OUTPUT.read_text()


def overlapping(camera):
    """Pairs of detectors whose outlines overlap on the focal plane; none is rotated."""
    detectors = list(camera.detectors.values())
    centres = np.array([detector.centre for detector in detectors])
    sizes = np.array([detector.shape[::-1] for detector in detectors])
    apart = np.abs(centres[:, None] - centres[None]) - (sizes[:, None] + sizes[None]) / 2
    is_overlap = np.all(apart < 0, axis=2) & ~np.eye(len(detectors), dtype=bool)
    return int(is_overlap.sum()) // 2


def test_lsst_has_its_189_detectors_of_two_makes_on_the_known_field():
    camera = read_camera(CAMERAS / "lsst.yaml")
    shapes = [detector.shape for detector in camera.detectors.values()]
    assert (len(shapes), shapes.count((4000, 4072)), shapes.count((4004, 4096))) == (189, 72, 117)
    assert {len(detector.amplifiers) for detector in camera.detectors.values()} == {16}
    assert camera.detectors[94].name == "R22_S11"
    assert camera.detectors[94].centre == (0, 0)
    assert camera.detectors[188].name == "R43_S22"
    assert camera.detectors[188].centre == pytest.approx((16925, 29625))
    assert overlapping(camera) == 0
    # 9.6 square degrees within a circle of 3.5 degrees: Ivezic et al. (2019), less the gaps.
    area = sum(ny * nx for ny, nx in shapes) * (camera.pixel_scale / 3600) ** 2
    assert area == pytest.approx(9.6, abs=0.1)


def test_decam_has_its_62_detectors_with_cards_for_each_amplifier():
    camera = read_camera(CAMERAS / "decam.yaml")
    names = {number: detector.name for number, detector in camera.detectors.items()}
    assert len(names) == len(set(names.values())) == 62
    # CCDNUM of headers of the Community Pipeline.
    assert {number: names[number] for number in (1, 9, 25, 33, 37, 57, 62)} == {
        1: "S29",
        9: "S21",
        25: "S1",
        33: "N2",
        37: "N6",
        57: "N26",
        62: "N31",
    }
    assert overlapping(camera) == 0
    for detector in camera.detectors.values():
        assert {a.extension for a in detector.amplifiers} == {detector.name}
        bounds = [
            section
            for a in detector.amplifiers
            for section in (a.prescan_section, a.overscan_section, a.parallel_overscan_section)
        ]
        # A raw extension has 2160 x 4146 pixels.
        assert (max(b[1] for b in bounds), max(a.data_section[3] for a in detector.amplifiers)) in {
            (2160, 4096),
            (2160, 4146),
        }
        assert {a.gain_keyword for a in detector.amplifiers} == {"GAINA", "GAINB"}


def test_a_frame_of_the_common_kind_is_read_with_its_gains(tmp_path):
    camera = read_camera(CAMERAS / "quad.yaml")
    planes = {f"IM{n}": np.full((2048, 2112), 1000 * n, np.uint16) for n in range(1, 5)}
    headers = {f"IM{n}": {"GAIN": 1 + 0.1 * n, "RDNOISE": 4.0} for n in range(1, 5)}
    write_raw(tmp_path / "x.fits", planes, headers)
    raw = read_raw(tmp_path / "x.fits", camera.detectors[0], camera.raw)
    assert [a.gain for a in raw.detector.amplifiers] == pytest.approx([1.1, 1.2, 1.3, 1.4])
    assert [(a.flip_x, a.flip_y) for a in raw.detector.amplifiers] == [
        (False, False),
        (True, False),
        (False, True),
        (True, True),
    ]
