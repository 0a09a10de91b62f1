"""A small camera, the schema's defaults, and simulations made of both."""

from dataclasses import replace
from pathlib import Path

import pytest

from skyloom.core.camera import camera_from_dict
from skyloom.simulate.simulation import Simulation
from skyloom.workflow.config import fill_defaults, load_yaml

CONFIG = Path(__file__).parents[3] / "config"
NX, NY = 160, 120


def amplifier(name, column, flip_x, flip_y):
    return {
        "name": name,
        "extension": name,
        "prescan_section": [0, 4, 0, NY],
        "data_section": [4, 4 + NX // 2, 0, NY],
        "overscan_section": [4 + NX // 2, 20 + NX // 2, 0, NY],
        "parallel_overscan_section": [4, 4 + NX // 2, NY, NY + 6],
        "detector_section": [column, column + NX // 2, 0, NY],
        "flip_x": flip_x,
        "flip_y": flip_y,
        "gain": 1.5,
        "read_noise": 5.0,
        "saturation": 50000,
    }


@pytest.fixture
def camera():
    amplifiers = [amplifier("L", 0, False, True), amplifier("R", NX // 2, True, False)]
    return camera_from_dict(
        {
            "name": "small",
            "pixel_scale": 0.2,
            "parity": 1,
            "bands": ["g", "r"],
            "raw": {"format": "extensions"},
            "detectors": {
                0: {"shape": [NY, NX], "centre": [-90, 0], "orientation": 0, "amplifiers": amplifiers},
                1: {"shape": [NY, NX], "centre": [90, 3], "orientation": 180, "amplifiers": amplifiers},
                2: {"shape": [NY, NX], "centre": [90, 200], "orientation": 90, "amplifiers": amplifiers},
            },
        }
    )


@pytest.fixture
def settings():
    return fill_defaults(load_yaml(CONFIG / "schema" / "simulate.yaml"), {})


@pytest.fixture
def simulation(settings, camera):
    return Simulation(settings, ("g", "r"), 1, camera)


@pytest.fixture
def visit():
    return {
        "visit": 7,
        "exposure_name": "X7",
        "night": "n1",
        "mjd": 61354.2,
        "band": "r",
        "exposure_time": 30.0,
        "ra": 150.0,
        "dec": 2.2,
        "rotation": 20.0,
        "airmass": 1.2,
        "use": "science",
    }


@pytest.fixture
def perfect(simulation):
    """A simulation whose optics, pointing and electronics do what they should."""
    telescope = simulation.settings["telescope"] | {
        "distortion": 0.0,
        "pointing_error": 0.0,
        "rotation_error": 0.0,
    }
    detector = simulation.settings["detector"] | {
        "gain_error": 0.0,
        "read_noise_error": 0.0,
        "bias_structure": 0.0,
        "bias_drift": 0.0,
        "dark_current": 0.0,
        "hot_pixel_fraction": 0.0,
        "dead_pixel_fraction": 0.0,
        "bad_columns": 0,
        "pixel_response": 0.0,
        "vignetting": 0.0,
        "cosmic_ray_rate": 0.0,
    }
    return replace(simulation, settings=simulation.settings | {"telescope": telescope, "detector": detector})
