"""A small camera for the geometry's tests."""

import pytest

from skyloom.core.camera import camera_from_dict


def camera_description(parity=1):
    """Return the content of a camera file with two detectors, one of them turned."""
    amplifiers = [
        {
            "name": "A",
            "extension": 0,
            "data_section": [0, 100, 0, 80],
            "overscan_section": [100, 110, 0, 80],
            "detector_section": [0, 100, 0, 80],
            "gain": 1.5,
            "read_noise": 5.0,
        },
        {
            "name": "B",
            "extension": 0,
            "data_section": [110, 210, 0, 80],
            "detector_section": [100, 200, 0, 80],
            "flip_x": True,
        },
    ]
    return {
        "name": "test",
        "pixel_scale": 0.2,
        "parity": parity,
        "bands": ["g", "r"],
        "raw": {"format": "single", "header": {"exposure_time": "EXPTIME"}},
        "amplifier_sets": {"pair": amplifiers},
        "detectors": {
            0: {"name": "left", "shape": [80, 200], "centre": [-110.0, 0.0], "amplifiers": "pair"},
            1: {"shape": [80, 200], "centre": [110.0, 5.0], "orientation": 90.0, "amplifiers": "pair"},
        },
    }


@pytest.fixture
def description():
    """Return the content of the camera file."""
    return camera_description()


@pytest.fixture
def camera():
    """Return the camera."""
    return camera_from_dict(camera_description())


@pytest.fixture
def mirrored_camera():
    """Return the same camera behind one more mirror."""
    return camera_from_dict(camera_description(parity=-1))
