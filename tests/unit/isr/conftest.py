"""A small camera, frames with everything an amplifier does to the light, and the default settings."""

from dataclasses import dataclass

import numpy as np
import pytest

from skyloom.core.camera import Amplifier, Detector, RawFrame

NY, NX = 128, 160
HALF = NX // 2
OVERSCAN = 24


def quadrant(name, x0, y0, gain, *, flip_x, flip_y):
    return Amplifier(
        name=name,
        extension=name,
        prescan_section=(0, 4, 0, NY // 2),
        data_section=(4, 4 + HALF, 0, NY // 2),
        overscan_section=(4 + HALF, 4 + HALF + OVERSCAN, 0, NY // 2),
        detector_section=(x0, x0 + HALF, y0, y0 + NY // 2),
        flip_x=flip_x,
        flip_y=flip_y,
        gain=gain,
        read_noise=6.0,
        saturation=60_000.0,
    )


@dataclass
class Readout:
    """Reads charge out: the inverse of the assembly, written without it."""

    detector: Detector

    def expose(self, charge, rng, *, noise=6.0, level=1_000.0, drift=30.0):
        """Raw frame of a charge [electron]; the level drifts along the rows by `drift` ADU."""
        planes = {}
        for amplifier in self.detector.amplifiers:
            x0, x1, y0, y1 = amplifier.detector_section
            part = charge[y0:y1, x0:x1]
            part = part[:, ::-1] if amplifier.flip_x else part
            part = part[::-1] if amplifier.flip_y else part
            plane = np.zeros((NY // 2, 4 + HALF + OVERSCAN))
            plane[:, 4 : 4 + HALF] = part
            plane += rng.normal(0, noise, plane.shape)
            plane = plane / amplifier.gain + level + drift * np.linspace(0, 1, NY // 2)[:, None] ** 2
            planes[amplifier.extension] = np.clip(np.round(plane), 0, 65_535).astype(np.float32)
        return RawFrame(self.detector, planes, {})


@pytest.fixture
def readout():
    amplifiers = (
        quadrant("A", 0, 0, 1.5, flip_x=False, flip_y=False),
        quadrant("B", HALF, 0, 1.6, flip_x=True, flip_y=False),
        quadrant("C", 0, NY // 2, 1.4, flip_x=False, flip_y=True),
        quadrant("D", HALF, NY // 2, 1.55, flip_x=True, flip_y=True),
    )
    return Readout(Detector(1, "S1", (NY, NX), (0.0, 0.0), 0.0, amplifiers))


@pytest.fixture
def settings():
    return {
        "overscan": {"method": "median_per_row", "skip_leading": 2, "skip_trailing": 2, "level": 0},
        "bias": True,
        "dark": True,
        "flat": True,
        "defects": True,
        "exposure_time_tolerance": 0.02,
        "measure_read_noise": True,
        "max_noise_ratio": 5,
        "suspect_fraction": 0.95,
        "saturation_grow": 1,
        "min_good_fraction": 0.3,
        "interpolate_defects": True,
        "max_interpolated_area": 25,
        "max_interpolated_width": 2,
        "interpolation_sigma": 1.3,
    }
