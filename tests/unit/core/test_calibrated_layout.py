"""The section of a camera file that describes calibrated images."""

import pytest

from skyloom.core.calibrated_layout import NANO_JANSKY, MaskLayout, VarianceLayout
from skyloom.core.camera import camera_from_dict
from skyloom.core.camera_keys import CameraFileError


def description(**section):
    """Camera file of one detector with a section calibrated."""
    return {
        "name": "reduced",
        "pixel_scale": 0.4,
        "bands": ["g", "r"],
        "raw": {"format": "single"},
        "calibrated": {"unit": "ADU", "gain": 2.0, "variance": {"form": "gain"}} | section,
        "detectors": {0: {"shape": [100, 120], "extension": "SCI"}},
    }


def test_a_camera_of_calibrated_images_has_no_amplifiers():
    mask = {"form": "bits", "planes": {0: "BAD", 3: ["SAT", "SUSPECT"], 7: []}, "extension": "DQ"}
    camera = camera_from_dict(description(mask=mask, gain={"g": "GAIN", "r": 4}, pedestal="SOFTBIAS"))
    detector, layout = camera.detectors[0], camera.calibrated
    assert (detector.extension, detector.amplifiers, detector.shape) == ("SCI", (), (100, 120))
    assert (layout.gain, layout.pedestal, layout.read_noise) == ({"g": "GAIN", "r": 4.0}, "SOFTBIAS", 0.0)
    assert layout.mask == MaskLayout("bits", {0: ("BAD",), 3: ("SAT", "SUSPECT"), 7: ()}, "DQ")
    assert layout.variance == VarianceLayout("gain")
    assert (layout.saturation, layout.zero_point) == (None, None)


def test_electrons_are_one_electron_and_a_nanomaggy_is_22_5_mag():
    camera = camera_from_dict(description(unit="electron/s", gain=None))
    assert camera.calibrated.gain == 1.0
    assert NANO_JANSKY["nanomaggy"] == pytest.approx(3631, rel=1e-4)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"unit": "counts"}, "calibrated.unit is 'counts', needs one of ADU, electron"),
        ({"unit": None}, "calibrated: keys unit are missing"),
        ({"gain": None}, "calibrated.gain is missing, needs the electrons of one ADU"),
        ({"gain": 0}, "calibrated.gain is 0, needs a number above 0"),
        ({"gain": {"g": 1.0}}, "calibrated.gain: keys r are missing"),
        ({"gain": {"g": 1.0, "r": -1}}, "calibrated.gain.r is -1, needs a number above 0"),
        ({"gain": [1, 2]}, "calibrated.gain is .1, 2., needs a number"),
        ({"read_noise": -1}, "calibrated.read_noise is -1, needs a number above 0"),
        ({"unit": "nJy", "zero_point": 31.4}, "zero_point is given, but nJy says it already"),
        ({"pedstal": 5}, "unknown key 'pedstal'.*nearest: pedestal"),
        ({"variance": {"form": "map"}}, "variance.form is 'map', needs one of gain, measured"),
        ({"variance": {"form": "weight", "extension": -1}}, "variance.extension is -1, needs a name"),
        ({"mask": {"form": "bits"}}, "calibrated.mask: keys planes are missing"),
        ({"mask": {"form": "flags", "planes": {}}}, "mask.form is 'flags', needs one of bits, codes"),
        (
            {"mask": {"form": "bits", "planes": {1: "COSMIC"}}},
            "planes.1 is 'COSMIC', needs planes out of BAD",
        ),
        (
            {"mask": {"form": "bits", "planes": {64: "BAD"}}},
            "planes has 64, needs whole numbers from 0 to 63",
        ),
        ({"mask": {"form": "codes", "planes": {0: "BAD"}}}, "planes has 0, needs whole numbers from 1"),
        ({"mask": {"form": "codes", "planes": {"1": "BAD"}}}, "planes has '1', needs whole numbers"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused_with_its_key(section, told):
    with pytest.raises(CameraFileError, match=told):
        camera_from_dict(description(**section))


@pytest.mark.parametrize(
    ("detector", "told"),
    [
        ({"shape": [10, 10]}, "detector 0: keys extension are missing"),
        ({"shape": [10, 10], "extension": 1.5}, "detector 0: extension is 1.5, needs a name, or a number"),
        ({"shape": [10, 10], "extension": 0, "amplifiers": []}, "detector 0: unknown key 'amplifiers'"),
    ],
)
def test_a_detector_of_calibrated_images_says_where_its_image_is(detector, told):
    with pytest.raises(CameraFileError, match=told):
        camera_from_dict(description() | {"detectors": {0: detector}})
