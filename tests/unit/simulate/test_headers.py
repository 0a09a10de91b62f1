from dataclasses import replace

import numpy as np
import pytest

from skyloom.core.camera import RawLayout
from skyloom.simulate.headers import calibration_headers, named_planes, sky_headers

PRIMARY = "PRIMARY"


def test_the_header_tells_what_was_commanded_and_when_it_began(camera, visit):
    primary = sky_headers(visit, camera.detectors[1], camera)[PRIMARY]
    values = {keyword: value for keyword, (value, _) in primary.items()}
    assert (values["RA"], values["DEC"], values["ROTANG"]) == (150.0, 2.2, 20.0)
    assert (values["FILTER"], values["EXPTIME"], values["AIRMASS"]) == ("r", 30.0, 1.2)
    assert (values["OBSID"], values["DETECTOR"], values["IMGTYPE"]) == ("X7", 1, "science")
    assert values["MJD-OBS"] == pytest.approx(61354.2 - 15 / 86400, abs=1e-9)
    assert values["DATE-OBS"] == "2026-11-10T04:47:45.000"
    assert values["TIMESYS"] == "TAI"


def test_each_amplifier_has_its_extension_with_sections_from_one(camera, visit):
    cards = sky_headers(visit, camera.detectors[0], camera)["R"]
    assert cards["DATASEC"][0] == "[5:84,1:120]"
    assert cards["BIASSEC"][0] == "[85:100,1:120]"
    assert cards["DETSEC"][0] == "[81:160,1:120]"
    assert cards["GAIN"][0] == 1.5


def test_a_calibration_frame_points_nowhere(camera):
    frame = {"frame": 3, "kind": "flat", "band": "g", "exposure_time": 5.0, "mjd": 61353.9}
    primary = calibration_headers(frame, camera.detectors[0], camera)[PRIMARY]
    assert primary["IMGTYPE"][0] == "flat"
    assert primary["OBSID"][0] == "CAL-00003"
    assert "RA" not in primary


def test_a_camera_of_one_unit_puts_everything_into_the_primary(camera, visit):
    single = replace(camera, raw=RawLayout("single"))
    bare = replace(camera.detectors[0].amplifiers[0], extension=0, overscan_section=None)
    detector = replace(camera.detectors[0], amplifiers=(bare,))
    headers = sky_headers(visit, detector, single)
    assert list(headers) == [PRIMARY]
    assert headers[PRIMARY]["AMPNAME"][0] == "L"
    assert "BIASSEC" not in headers[PRIMARY]
    plane = np.zeros((2, 2))
    assert named_planes({0: plane}, single) == {PRIMARY: plane}
    assert named_planes({"L": plane}, camera) == {"L": plane}
