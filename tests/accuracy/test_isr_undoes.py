"""Each effect of the camera that instrument signature removal undoes: what is left with its step, and without it.

The truth of the effect is the simulator's own; the residual is its part that is still in the image, by projection.
"""

import copy

import numpy as np
import pytest
from bars import Bars
from pipeline_settings import settings_of
from single_visit import VisitRun, write_camera

from skyloom.calibs.illumination import sky_shape
from skyloom.core import mask_planes
from skyloom.core.images import VISIT_FIELDS, ExposureInfo
from skyloom.io.calibs import read_calibs
from skyloom.io.cameras import read_camera
from skyloom.io.raws import read_raw
from skyloom.isr.pipeline import remove_instrument_signature
from skyloom.simulate.electronics import draw_detector, focal_plane_grid, illumination
from skyloom.simulate.optics import optics_of
from skyloom.simulate.pipeline import field_radius
from skyloom.simulate.simulation import Simulation
from skyloom.simulate.twilight import twilight

SIDE = 256
SECONDS = 30.0
N_SKY = 6
NOTHING = {
    "gain_error": 0.0, "read_noise_error": 0.0, "bias_structure": 0.0, "bias_drift": 0.0, "dark_current": 0.0,
    "hot_pixel_fraction": 0.0, "dead_pixel_fraction": 0.0, "bad_columns": 0, "pixel_response": 0.0, "vignetting": 0.0,
    "cosmic_ray_rate": 0.0,
}  # fmt: skip
BLANK_SKY = {
    "stars": {"density": 0.0}, "galaxies": {"density": 0.0}, "transients": {"density": 0.0},
    "moving_objects": {"per_night": 0}, "atmosphere": {"sky_gradient": 0.0},
}  # fmt: skip
EFFECTS = {
    "overscan level": ({"bias_drift": 30.0}, {"overscan": {"method": "none"}}),
    "bias rows": ({"bias_structure": 20.0}, {"overscan": {"method": "constant"}, "bias": False}),
    "bias columns": ({"bias_structure": 20.0}, {"bias": False}),
    "dark current": ({"dark_current": 30.0}, {"dark": False}),
    "hot pixels": ({"hot_pixel_fraction": 0.002}, {"dark": False, "defects": False}),
    "pixel response": ({"pixel_response": 0.05}, {"flat": False}),
    "vignetting": ({"vignetting": 0.4}, {"flat": False}),
    "amplifier response": ({"amplifier_response": 0.1}, {"flat": False}),
    "gain error": ({"gain_error": 0.1}, {"flat": False}),
}
NOT_PATTERNS = ("NO_DATA", "SAT")


def run_of(folder, effect):
    """A visit of blank sky whose camera has one effect alone, with its combined calibrations."""
    write_camera(folder / "camera.yaml", SIDE)
    camera = read_camera(folder / "camera.yaml")
    return processed(folder, camera, BLANK_SKY | {"detector": NOTHING | EFFECTS[effect][0]})


def processed(folder, camera, simulate):
    """A simulated visit with the combined calibrations of detector 0."""
    defaults = settings_of(simulate=simulate)
    visit = {
        "visit": 301, "exposure_name": "A1", "night": "n1", "mjd": 61384.2, "band": "r", "exposure_time": SECONDS,
        "ra": 150.0, "dec": 2.2, "rotation": 3.0, "airmass": 1.2, "pointing_uncertainty": 32.0, "camera": camera.name,
        "raw": "", "use": "science",
    }  # fmt: skip
    run = VisitRun(folder, camera, visit, defaults, 1)
    run.simulate()
    run.combine(0)
    return run


def corrected(run, changes):
    """Image and mask of detector 0 after instrument signature removal with some settings changed."""
    settings = copy.deepcopy(run.params["settings"]["isr"])
    for key, value in changes.items():
        settings[key] = settings[key] | value if isinstance(value, dict) else value
    raw = read_raw(run.path("raw", 0), run.camera.detectors[0], run.camera.raw)
    calibs = read_calibs({kind: run.path(kind, 0) for kind in ("bias", "dark", "flat", "defects")})
    info = ExposureInfo(visit=301, detector=0, band="r", exposure_time=SECONDS)
    pixels = remove_instrument_signature(raw, calibs, info, settings).pixels
    return pixels.image.astype(float), pixels.mask


def pattern_of(run, effect):
    """What the effect does to a frame of even sky, shape of the detector, in any unit."""
    detector, camera = run.camera.detectors[0], run.camera
    simulation = Simulation(run.defaults["simulate"], ("r",), 1, camera)
    truth = draw_detector(detector, simulation)
    pattern = np.zeros(detector.shape)
    if effect in ("pixel response", "amplifier response"):
        return truth.response - 1
    if effect == "vignetting":
        focal = focal_plane_grid(detector)
        return illumination(*focal, "r", optics_of(camera, run.defaults["simulate"]["telescope"]), simulation)
    if effect in ("dark current", "hot pixels"):
        return truth.dark
    for amplifier in detector.amplifiers:
        x0, x1, y0, y1 = amplifier.detector_section
        data_x0, data_x1, data_y0, data_y1 = amplifier.data_section
        gain = truth.gain[amplifier.name]
        part = np.full((y1 - y0, x1 - x0), 1.0)
        if effect == "bias rows":
            part = part * (truth.bias_rows[amplifier.name][data_y0:data_y1] * gain)[:, None]
        elif effect == "bias columns":
            part = part * (truth.bias_columns[amplifier.name][data_x0:data_x1] * gain)[None, :]
        elif effect == "overscan level":
            part = part * truth.bias_level[amplifier.name] * gain
        elif effect == "gain error":
            part = part / (gain / amplifier.gain)
        part = part[:, ::-1] if amplifier.flip_x else part
        pattern[y0:y1, x0:x1] = part[::-1] if amplifier.flip_y else part
    return pattern


def part_left(image, mask, pattern):
    """Part of a pattern that is in an image: its slope on the pattern, over usable pixels."""
    usable = (mask & mask_planes.bits(*NOT_PATTERNS, "BAD")) == 0
    shape = pattern[usable] - pattern[usable].mean()
    if np.ptp(shape) == 0:
        return 0.0
    return float(np.sum(shape * image[usable]) / np.sum(shape**2))


@pytest.mark.slow
@pytest.mark.parametrize("effect", EFFECTS)
def test_a_step_takes_away_more_than_nine_tenths_of_its_effect(tmp_path, effect):
    run = run_of(tmp_path, effect)
    pattern = pattern_of(run, effect)
    left = {}
    for name, changes in (("on", {}), ("off", EFFECTS[effect][1])):
        image, mask = corrected(run, changes)
        if effect == "hot pixels":
            # The step masks and fills them in: what counts is the light that stays in the image.
            mask = mask & mask_planes.bits(*NOT_PATTERNS)
        left[name] = abs(part_left(image, mask, pattern))
    bars = Bars(effect)
    bars.note("part of the pattern with the step", left["on"])
    bars.note("part of the pattern without it", left["off"])
    bars.check("without over with", left["off"] / left["on"], low=10.0)
    bars.judge()


@pytest.mark.slow
def test_stars_in_twilight_flats_do_not_enter_the_combined_flat(tmp_path):
    write_camera(tmp_path / "camera.yaml", SIDE)
    camera = read_camera(tmp_path / "camera.yaml")
    crowd = {
        "stars": {"density": 10.0, "magnitude_bright": 12.0, "magnitude_faint": 17.0},
        "telescope": {"twilight_epochs": ["e1"], "distortion": 0.0},
    }
    run = processed(tmp_path, camera, BLANK_SKY | crowd | {"detector": NOTHING | {"pixel_response": 0.01}})
    detector = camera.detectors[0]
    simulation = Simulation(run.defaults["simulate"], ("r",), 1, camera)
    telescope = run.defaults["simulate"]["telescope"]
    response = illumination(*focal_plane_grid(detector), "r", optics_of(camera, telescope), simulation)
    truth = draw_detector(detector, simulation).response * response
    flat = read_calibs({"flat": run.path("flat", 0)}).flat
    frame = next(frame for frame in run.frames if frame["kind"] == "flat")
    _, stars = twilight(frame, detector, simulation, field_radius(simulation))
    level = run.defaults["simulate"]["detector"]["flat_level"]
    noise = np.sqrt(flat.variance)
    pull = (flat.image - truth / np.median(truth)) / noise
    bars = Bars("stars in twilight flats")
    bars.check("brightest star in one frame over its noise", stars.max() / np.sqrt(level), low=50.0)
    bars.check("rms of the combined flat over its noise", np.std(pull), high=1.05)
    bars.check("largest error over noise", np.abs(pull).max(), high=6.0)
    bars.judge()


@pytest.mark.slow
def test_the_sky_of_science_frames_takes_the_error_of_a_lamp_away(tmp_path):
    """Six visits, each with a slope of the sky of its own; the error is 3 % at the edge of the field."""
    write_camera(tmp_path / "camera.yaml", 2 * SIDE)
    camera = read_camera(tmp_path / "camera.yaml")
    lamp = {
        "telescope": {"flat_illumination_error": 0.03, "distortion": 0.0},
        "atmosphere": {"sky_gradient": 0.01},
    }
    run = processed(tmp_path, camera, lamp)
    visits = [run.visit | {"visit": 400 + k, "mjd": run.visit["mjd"] + 0.001 * k} for k in range(N_SKY)]
    for visit in visits:
        raws = [run.path("sky", visit["visit"], detector) for detector in run.detectors]
        truth = {name: run.path(f"{name}.parquet") for name in ("truth_object", "truth_orbit")}
        sources = [run.path("truth", visit["visit"])]
        run.call("simulate_night", truth, {"raw": raws, "truth_source": sources}, params={"visits": [visit]})
    calibs = {kind: run.path(kind, 0) for kind in ("bias", "dark", "flat", "defects")}
    frames = [
        {"raw": run.path("sky", v["visit"], 0), "visit": {n: v[n] for n in VISIT_FIELDS}, "calibs": calibs}
        for v in visits
    ]
    made = {"illumination": run.path("illumination", 0)}
    run.call("combine_illumination", {}, made, params={"frames": frames}, detector=0)

    found = read_calibs(made).illumination
    telescope = run.defaults["simulate"]["telescope"]
    x, y = focal_plane_grid(camera.detectors[0])
    error = 1 / (1 + 0.03 * (x**2 + y**2) / optics_of(camera, telescope).field_radius ** 2)
    left = found.image / (error / np.median(error)) - 1
    bars = Bars("illumination of the sky")
    bars.note("stated error of the map", np.sqrt(found.variance.mean()))
    bars.check("rms of the lamp's error", np.std(error), low=0.004)
    bars.check("rms of it that is left", np.std(left), high=0.3 * np.std(error))
    bars.check("the same over the stated error", np.std(left) / np.sqrt(found.variance.mean()), high=2.0)
    # An independent frame, which made neither flat nor map.
    raw = read_raw(run.path("raw", 0), camera.detectors[0], camera.raw)
    info = ExposureInfo(visit=301, detector=0, band="r", exposure_time=SECONDS)
    settings = run.params["settings"]["isr"]
    with_map, without = (
        sky_shape(remove_instrument_signature(raw, read_calibs(kinds), info, settings).pixels).std()
        for kinds in (calibs | made, calibs)
    )
    bars.check("rms of an independent sky without over with the map", without / with_map, low=1.3)
    bars.judge()
