from dataclasses import replace

import numpy as np
import pytest

from skyloom.simulate.electronics import (
    amplifier_steps,
    detector_tonight,
    draw_detector,
    focal_plane_grid,
    fringes,
    illumination,
)
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


def with_detector(simulation, **changes):
    detector = simulation.settings["detector"] | changes
    return replace(simulation, settings=simulation.settings | {"detector": detector})


def test_gains_drift_from_night_to_night_as_stated_and_stay_within_one(simulation):
    drifting = with_detector(simulation, gain_drift=0.02)
    detector = simulation.camera.detectors[0]
    mean = draw_detector(detector, simulation).gain["L"]
    nights = [detector_tonight(detector, 61000 + n + 0.3, drifting).gain["L"] for n in range(80)]
    assert np.std(nights) / mean == pytest.approx(0.02, rel=4 / np.sqrt(160))
    assert np.mean(nights) == pytest.approx(mean, rel=4 * 0.02 / np.sqrt(80))
    assert detector_tonight(detector, 61000.9, drifting).gain["L"] == nights[0]
    assert detector_tonight(detector, 61000.3, simulation).gain["L"] == mean


def test_amplifiers_differ_in_sensitivity_as_stated_and_not_unless_told(simulation):
    detector = simulation.camera.detectors[0]
    assert (amplifier_steps(detector, simulation) == 1).all()
    levels = []
    for seed in range(60):
        steps = amplifier_steps(
            detector, replace(with_detector(simulation, amplifier_response=0.05), seed=seed)
        )
        assert np.ptp(steps[:, :80]) == np.ptp(steps[:, 80:]) == 0
        levels += [steps[0, 0], steps[0, 159]]
    assert np.std(levels) == pytest.approx(0.05, rel=4 / np.sqrt(240))


def test_fringes_have_their_amplitude_change_smoothly_and_differ_between_detectors(simulation):
    fringed = with_detector(simulation, fringing=simulation.settings["detector"]["fringing"] | {"r": 0.03})
    detectors = fringed.camera.detectors
    pattern = fringes(detectors[0], "r", fringed)
    assert np.abs(pattern).max() == pytest.approx(0.03, rel=0.01)
    assert pattern.std() == pytest.approx(0.03 / np.sqrt(2), rel=0.25)
    # The steepest phase: five standard deviations of 6 pi, over the shortest of its waves.
    assert np.abs(np.diff(pattern, axis=1)).max() < 0.03 * 5 * 6 * np.pi * 8 * np.pi / 160
    assert abs(np.corrcoef(pattern.ravel(), fringes(detectors[1], "r", fringed).ravel())[0, 1]) < 0.5
    assert fringes(detectors[0], "g", fringed) is None
    assert fringes(detectors[0], "r", simulation) is None
