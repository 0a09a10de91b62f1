"""A small camera whose detectors have a file each, one whose file holds all, and frames with headers to order."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from skyloom.io.raws import write_raw

ROOT = Path(__file__).parents[3]


def description(n_detector=1, **keys):
    """Content of a camera file: detectors of 8x8 pixels; with several, each has an extension of its own."""
    detectors = {
        number: {
            "name": f"N{number}",
            "shape": [8, 8],
            "centre": [10 * number, 0],
            "amplifiers": [
                {
                    "name": "A",
                    "extension": 0 if n_detector == 1 else f"N{number}",
                    "data_section": [0, 8, 0, 8],
                    "detector_section": [0, 8, 0, 8],
                }
            ],
        }
        for number in range(1, n_detector + 1)
    }
    return {
        "name": "tiny",
        "pixel_scale": 1.0,
        "bands": ["g", "r"],
        "raw": {"format": "single" if n_detector == 1 else "extensions"},
        "detectors": detectors,
    } | keys


class Night:
    """A folder of raw frames that a test fills."""

    def __init__(self, folder):
        self.folder, self.frames = folder, folder / "frames"

    def camera(self, content):
        path = self.folder / "camera.yaml"
        path.write_text(yaml.safe_dump(content))
        return str(path)

    def frame(self, name, planes=("PRIMARY",), **cards):
        cards = {key.replace("_", "-"): value for key, value in cards.items() if value is not None}
        path = self.frames / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_raw(path, {plane: np.ones((8, 8), np.uint16) for plane in planes}, {"PRIMARY": cards})

    def science(self, name, minute=0, **cards):
        usual = {
            "IMAGETYP": "object",
            "OBJECT": "M 67",
            "EXPTIME": 60.0,
            "FILTER": "r",
            "DATE_OBS": f"2026-11-24T03:{minute:02}:00",
            "RA": "08:51:18.0",
            "DEC": "-11:48:00",
        }
        self.frame(name, **(usual | cards))


@pytest.fixture
def night(tmp_path):
    return Night(tmp_path)


@pytest.fixture
def tiny():
    return description
