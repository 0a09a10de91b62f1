"""Trails of satellites against truth: found from a stated brightness on, and never where there are none."""

from dataclasses import replace

import numpy as np
import pytest
from bars import Bars
from pipeline_settings import settings_of
from ray_scenes import Observation, draw_scene
from single_visit import run_visit

from skyloom.calibrate.detection_passes import first_pass
from skyloom.core import mask_planes
from skyloom.core.tables import column
from skyloom.simulate.stray_light import add_trail_in_place

SEEINGS = (0.6, 0.75, 0.9, 1.05, 1.2)
# Brightness of a trail: electrons per pixel of its length over the noise of a sky pixel, from which on it is found.
BRIGHTNESS = 3.0
COMPLETE = 0.95


@pytest.fixture(scope="module")
def settings():
    """Section ``calibrate`` with its defaults."""
    return settings_of("calibrate")


def visit_with_trail(observation, seed, brightness):
    """Pixels with the sky, and expected electrons of the trail over the noise of a sky pixel."""
    scene = draw_scene(observation, seed)
    rng = np.random.default_rng(seed + 10_000)
    noise = np.sqrt(observation.sky + observation.read_noise**2)
    trail = np.zeros(scene.pixels.shape, np.float32)
    middle = rng.uniform(0.25, 0.75, 2) * observation.side
    line = (*middle, rng.uniform(0, np.pi))
    add_trail_in_place(trail, line, brightness * noise, rng.uniform(1.7, 5.0))
    image = scene.raw.image + rng.poisson(trail)
    return replace(scene.raw, image=image.astype(np.float32)), trail / noise


def masked(raw, settings):
    """Pixels that the first pass masks STREAK."""
    return (first_pass(raw, settings).pixels.mask & mask_planes.STREAK) != 0


@pytest.mark.slow
@pytest.mark.parametrize("brightness", [5.0, 300.0])
def test_a_trail_on_a_small_detector_is_masked(brightness, settings):
    raw, trail = visit_with_trail(Observation(side=768, n_star=280), 1, brightness)
    is_streak = masked(raw, settings)
    assert is_streak[trail > 0.5 * trail.max()].mean() > 0.98
    assert not is_streak[trail < 1e-4].any()


@pytest.mark.slow
def test_a_visit_with_satellites_and_aureoles_is_masked_and_has_no_rows_of_sources(tmp_path):
    simulate = {
        "satellites": {"per_exposure": 6.0, "magnitude": [5.0, 7.0]},
        "telescope": {"aureole_fraction": 0.03, "aureole_radius": 60.0},
        "stars": {"magnitude_bright": 14.0},
    }
    visit = run_visit(tmp_path, seed=3, side=768, simulate=simulate)
    n_streak = n_halo = n_on_streak = n_source = n_pixel = 0
    for detector, calexp in visit.calexps.items():
        mask, sources = calexp.pixels.mask, visit.sources[detector]
        row, col = (np.rint(column(sources, axis)).astype(int) for axis in ("y", "x"))
        n_on_streak += np.count_nonzero(mask[row, col] & mask_planes.STREAK)
        n_source, n_pixel = n_source + len(row), n_pixel + mask.size
        n_streak += np.count_nonzero(mask & mask_planes.STREAK)
        n_halo += np.count_nonzero(mask & mask_planes.HALO)
    assert n_streak > 5_000
    assert n_halo > 500
    # Only stars below a rim leave a peak there: fewer than elsewhere, where a trail that is searched gives hundreds.
    assert n_on_streak <= n_source * n_streak / n_pixel


@pytest.mark.bars
@pytest.mark.timeout(3600)
def test_trails_are_found_and_clean_detectors_have_none(settings):
    bars = Bars("satellite trails, 20 detectors of 2048 x 2048 each")
    false, parts = 0, []
    for number in range(20):
        observation = Observation(("kolmogorov", "moffat")[number % 2], SEEINGS[number % 5])
        raw, _ = visit_with_trail(observation, 600 + number, 0.0)
        false += masked(raw, settings).any()
        raw, trail = visit_with_trail(observation, 600 + number, BRIGHTNESS)
        parts.append(masked(raw, settings)[trail > 0.5 * trail.max()].mean())
    parts = np.array(parts)
    bars.check("clean detectors with a trail", false, high=0)
    bars.check(f"trails of {BRIGHTNESS:g} sigma per pixel of length found", np.mean(parts > 0), low=COMPLETE)
    bars.check("their core masked, where found", parts[parts > 0].mean(), low=COMPLETE)
    bars.judge()
