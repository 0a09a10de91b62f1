"""Cosmic rays against truth: nearly all of their pixels are found, and no star's, by the passes of a visit's image."""

from dataclasses import replace

import numpy as np
import pytest
from bars import Bars
from pipeline_settings import run_passes, settings_of
from ray_scenes import Observation, draw_scene

from skyloom.core.mask_planes import bits

COMPLETE, FALSE = 0.95, 5e-5
SEEINGS = (0.6, 0.75, 0.9, 1.05, 1.2)
# Rays of every simulator, PSFs of every profile, trailed and undersampled ones, dark and bright skies.
OTHERS = {
    "muons, Moffat 0.6": Observation("moffat", 0.6, rays="muons"),
    "worms, Moffat 1.2": Observation("moffat", 1.2, rays="worms"),
    "spots, Kolmogorov 0.8": Observation(seeing=0.8, rays="spots"),
    "thin detector, Moffat 0.8": Observation("moffat", 0.8, rays="thin"),
    "survey's own, Kolmogorov 0.9": Observation(seeing=0.9, rays="survey"),
    "mixed, undersampled 0.5": Observation("gaussian", 0.5),
    "mixed, trailed": Observation(seeing=0.8, ellipticity=0.15),
    "mixed, sky of 40 electrons": Observation(seeing=0.7, sky=40, read_noise=5),
    "mixed, sky of 6,000 electrons": Observation(seeing=1.0, sky=6000, read_noise=10),
}


@pytest.fixture(scope="module")
def settings():
    """Section ``calibrate`` with its defaults."""
    return settings_of("calibrate")


def count(observation, seed, settings):
    """Ray pixels found and all, star-core pixels flagged and all, with the PSF and the sky of the pipeline's own."""
    scene = draw_scene(observation, seed)
    hit, core = scene.hit(), scene.far_core()
    is_ray = run_passes(scene.raw, settings, seed).pixels.is_masked(bits("CR"))
    return np.array([is_ray[hit].sum(), hit.sum(), is_ray[core].sum(), core.sum()])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixed, undersampled 0.5", "mixed, trailed", "muons, Moffat 0.6"])
def test_small_detectors_reach_the_bars(name, settings):
    found, n_hit, false, n_core = count(replace(OTHERS[name], side=512, n_star=250), 5, settings)
    assert n_hit > 200
    assert found / n_hit >= COMPLETE
    assert n_core > 1000
    assert false == 0


@pytest.mark.bars
@pytest.mark.timeout(3600)
def test_detectors_of_all_seeings_reach_the_bars(settings):
    bars = Bars("cosmic rays, 20 detectors of 2048 x 2048, mixed rays")
    total = np.zeros(4)
    for number in range(20):
        observation = Observation(
            ("kolmogorov", "moffat")[number % 2], SEEINGS[number % 5], ellipticity=0.01 * (1 + number % 4)
        )
        total += count(observation, 300 + number, settings)
    bars.note("pixels of rays above 5 sigma", total[1])
    bars.check("of them flagged", total[0] / total[1], low=COMPLETE)
    bars.note("star-core pixels", total[3])
    bars.check("of them flagged", total[2] / total[3], high=FALSE)
    bars.judge()


@pytest.mark.bars
@pytest.mark.timeout(3600)
def test_other_rays_and_psfs_reach_the_bars(settings):
    bars = Bars("cosmic rays, two detectors of 2048 x 2048 each")
    false = n_core = 0
    for number, (name, observation) in enumerate(OTHERS.items()):
        total = sum(count(observation, 400 + 2 * number + k, settings) for k in range(2))
        bars.check(f"{name}: ray pixels flagged", total[0] / total[1], low=COMPLETE)
        bars.note(f"{name}: star-core pixels flagged", total[2])
        false, n_core = false + total[2], n_core + total[3]
    bars.check("star-core pixels of all flagged", false / n_core, high=FALSE)
    bars.judge()
