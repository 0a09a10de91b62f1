from dataclasses import replace

import numpy as np
import pytest

from skyloom.simulate.electronics import draw_detector, focal_plane_grid, illumination
from skyloom.simulate.optics import optics_of


def test_detectors_differ_and_repeat_themselves(simulation):
    first, again = (draw_detector(simulation.camera.detectors[0], simulation) for _ in range(2))
    other = draw_detector(simulation.camera.detectors[1], simulation)
    assert first.gain == again.gain
    assert np.array_equal(first.response, again.response)
    assert first.gain != other.gain


def test_true_gains_and_read_noise_scatter_about_the_believed_ones_as_stated(simulation):
    gains, noises = [], []
    for seed in range(60):
        truth = draw_detector(simulation.camera.detectors[0], replace(simulation, seed=seed))
        gains += [g / 1.5 - 1 for g in truth.gain.values()]
        noises += [n / 5.0 - 1 for n in truth.read_noise.values()]
    # 120 draws: standard deviations are known to 6.5 %.
    assert np.std(gains) == pytest.approx(0.01, rel=0.26)
    assert np.std(noises) == pytest.approx(0.03, rel=0.26)


def test_pixels_respond_with_the_stated_scatter(simulation):
    truth = draw_detector(simulation.camera.detectors[0], simulation)
    good = truth.response[truth.response > 0.9]
    assert good.std() == pytest.approx(0.01, rel=0.03)
    assert truth.response.min() >= 0


def test_bad_columns_and_dead_pixels_see_little(simulation):
    detector = simulation.settings["detector"] | {"bad_columns": 2, "dead_pixel_fraction": 0.01}
    truth = draw_detector(
        simulation.camera.detectors[0],
        replace(simulation, settings=simulation.settings | {"detector": detector}),
    )
    low = truth.response < 0.5
    assert 1 <= np.sum(low.mean(axis=0) > 0.95) <= 2
    # Of 19200 pixels 192 are dead, plus two columns.
    assert 100 < low[:, low.mean(axis=0) < 0.5].sum() < 300


def test_hot_pixels_are_as_many_as_stated(simulation):
    detector = simulation.settings["detector"] | {"hot_pixel_fraction": 0.01}
    truth = draw_detector(
        simulation.camera.detectors[0],
        replace(simulation, settings=simulation.settings | {"detector": detector}),
    )
    n_hot = np.sum(truth.dark > 1.0)
    assert abs(n_hot - 192) < 5 * np.sqrt(192)
    assert np.median(truth.dark) == pytest.approx(0.05, rel=0.01)


def test_vignetting_takes_the_stated_light_at_the_edge(perfect):
    detector = perfect.settings["detector"] | {"vignetting": 0.1}
    simulation = replace(perfect, settings=perfect.settings | {"detector": detector})
    optics = optics_of(simulation.camera, simulation.settings["telescope"])
    edge = optics.field_radius
    both = [illumination(sign * edge, 0.0, "r", optics, simulation) for sign in (1, -1)]
    assert np.mean(both) == pytest.approx(0.9)
    assert illumination(0.0, 0.0, "r", optics, simulation) == 1.0


def test_filters_are_tilted_each_in_its_own_direction(simulation):
    optics = optics_of(simulation.camera, simulation.settings["telescope"])
    grid = focal_plane_grid(simulation.camera.detectors[0])
    green, red = (illumination(*grid, band, optics, simulation) for band in ("g", "r"))
    assert green.dtype == np.float32
    assert np.abs(green - red).max() > 1e-4
