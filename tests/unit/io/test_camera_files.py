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


def test_the_read_out_of_lsst_agrees_with_raw_headers():
    camera = read_camera(CAMERAS / "lsst.yaml")
    # DATASEC and DETSEC of Segment10: R01_S01 of MC_O_20250609_000578, R12_S10 of MC_C_20231125_000600.
    for number, name, data, on_detector in (
        (1, "R01_S01", (3, 512, 0, 2000), "[509:1,1:2000]"),
        (48, "R12_S10", (10, 522, 0, 2002), "[512:1,1:2002]"),
    ):
        detector = camera.detectors[number]
        lower = {amplifier.name: amplifier for amplifier in detector.amplifiers}["C10"]
        x0, x1, y0, y1 = lower.detector_section
        assert (detector.name, lower.extension, lower.data_section) == (name, "Segment10", data)
        assert f"[{x1}:{x0 + 1},{y0 + 1}:{y1}]" == on_detector
        assert (lower.flip_x, lower.flip_y) == (True, False)


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


def test_the_amplifiers_of_decam_lie_where_raw_headers_have_them():
    camera = read_camera(CAMERAS / "decam.yaml")
    # DATASECA, BIASSECA, PRESECA and POSTSECA of S1 (exposure 177764) and N1.
    for number, data, overscan, prescan, postscan in (
        (25, (1080, 2104, 50, 4146), (2104, 2154, 50, 4146), (2154, 2160, 50, 4146), (1080, 2104, 0, 50)),
        (32, (56, 1080, 0, 4096), (6, 56, 0, 4096), (0, 6, 0, 4096), (56, 1080, 4096, 4146)),
    ):
        first = {a.name: a for a in camera.detectors[number].amplifiers}["A"]
        assert first.gain_keyword == "GAINA"
        assert (first.data_section, first.overscan_section) == (data, overscan)
        assert (first.prescan_section, first.parallel_overscan_section) == (prescan, postscan)
    # Gaps of 201 pixels along the long edges and 153 along the short ones.
    centre = {number: np.array(camera.detectors[number].centre) for number in (28, 35, 36)}
    assert centre[35][0] - centre[28][0] - 2048 == pytest.approx(201, abs=1)
    assert centre[36][1] - centre[35][1] - 4096 == pytest.approx(153, abs=1)


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
