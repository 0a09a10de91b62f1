from dataclasses import replace

import numpy as np
import pytest

from skyloom.simulate.electronics import amplifier_bounds, draw_detector
from skyloom.simulate.readout import charge_in_read_out_order, plane_shapes, read_out


def read(simulation, electrons, detector=0, seed=1):
    layout = simulation.camera.detectors[detector]
    truth = draw_detector(layout, simulation)
    return read_out(
        electrons, layout, truth, simulation.settings["detector"], np.random.default_rng(seed)
    ), truth


@pytest.mark.parametrize(
    ("x", "y", "plane", "raw_x", "raw_y"),
    [
        # Left amplifier: rows upside down. Right amplifier: columns mirrored. Data begin at column 4.
        (0, 0, "L", 4, 119),
        (79, 5, "L", 83, 114),
        (80, 0, "R", 83, 0),
        (159, 119, "R", 4, 119),
    ],
)
def test_a_bright_pixel_lands_where_the_flips_say(perfect, x, y, plane, raw_x, raw_y):
    electrons = np.zeros((120, 160), np.float32)
    electrons[y, x] = 30000
    planes, _ = read(perfect, electrons)
    found = {name: np.unravel_index(p.argmax(), p.shape) for name, p in planes.items() if p.max() > 10000}
    assert found == {plane: (raw_y, raw_x)}


def test_planes_hold_data_prescan_and_overscans(simulation):
    assert plane_shapes(simulation.camera.detectors[0]) == {"L": (126, 100), "R": (126, 100)}
    planes, _ = read(simulation, np.full((120, 160), 5000.0, np.float32))
    for plane in planes.values():
        assert plane.dtype == np.uint16
        assert plane[:120, 4:84].mean() > 3000
        assert plane[:120, 84:].mean() < 1300
        assert plane[:120, :4].mean() < 1300
        assert plane[120:].mean() < 1300


def test_overscan_has_the_bias_level_and_the_read_noise(perfect):
    planes, truth = read(perfect, np.zeros((120, 160), np.float32))
    overscan = planes["L"][:120, 84:].astype(float)
    sigma = np.hypot(truth.read_noise["L"] / truth.gain["L"], 1 / np.sqrt(12))
    n = overscan.size
    assert overscan.mean() == pytest.approx(truth.bias_level["L"], abs=4 * sigma / np.sqrt(n))
    assert overscan.std() == pytest.approx(sigma, rel=4 / np.sqrt(2 * n))


def test_charge_becomes_adu_by_the_true_gain_not_the_believed_one(simulation):
    planes, truth = read(simulation, np.full((120, 160), 40000.0, np.float32))
    dark, _ = read(simulation, np.zeros((120, 160), np.float32))
    step = planes["R"][:120, 4:84].mean() - dark["R"][:120, 4:84].mean()
    assert step == pytest.approx(40000 / truth.gain["R"], rel=1e-4)
    assert truth.gain["R"] != 1.5


def test_the_bias_pattern_of_the_rows_is_in_the_overscan_and_that_of_the_columns_is_not(simulation):
    zero = np.zeros((120, 160), np.float32)
    stack = np.mean([read(simulation, zero, seed=s)[0]["L"] for s in range(30)], axis=0)
    _, truth = read(simulation, zero)
    rows = stack[:120, 84:].mean(axis=1)
    assert np.corrcoef(rows, truth.bias_rows["L"][:120])[0, 1] > 0.98
    columns = stack[:120].mean(axis=0) - stack[:120].mean()
    pattern = truth.bias_columns["L"].copy()
    pattern[84:] = 0
    assert np.corrcoef(columns, pattern)[0, 1] > 0.98


def test_the_level_drifts_from_frame_to_frame(simulation):
    zero = np.zeros((120, 160), np.float32)
    levels = [read(simulation, zero, seed=s)[0]["L"][:120, 84:].mean() for s in range(30)]
    # The standard deviation of 30 numbers is known to 13 %.
    assert np.std(levels) == pytest.approx(simulation.settings["detector"]["bias_drift"], rel=0.5)


def test_a_pixel_holds_no_more_than_the_full_well(perfect):
    electrons = np.full((120, 160), 1e6, np.float32)
    planes, truth = read(perfect, electrons)
    highest = perfect.settings["detector"]["full_well"] / truth.gain["L"] + truth.bias_level["L"]
    assert planes["L"][:120, 4:84].mean() == pytest.approx(highest, abs=1.0)


def test_digits_end_at_sixteen_bits(perfect):
    settings = perfect.settings["detector"] | {"full_well": 1e6}
    layout = perfect.camera.detectors[0]
    truth = draw_detector(layout, perfect)
    planes = read_out(np.full((120, 160), 1e6, np.float32), layout, truth, settings, np.random.default_rng(1))
    assert planes["L"].max() == 65535


def test_an_amplifier_without_flips_keeps_its_pixels_in_order(simulation):
    electrons = np.arange(120 * 160, dtype=float).reshape(120, 160)
    left, right = simulation.camera.detectors[0].amplifiers
    assert np.array_equal(charge_in_read_out_order(electrons, left), electrons[::-1, :80])
    assert np.array_equal(charge_in_read_out_order(electrons, right), electrons[:, :79:-1])


def test_bounds_enclose_all_sections(simulation):
    assert amplifier_bounds(simulation.camera.detectors[0].amplifiers[0]) == (0, 100, 0, 126)


def with_detector(simulation, **changes):
    detector = simulation.settings["detector"] | changes
    return replace(simulation, settings=simulation.settings | {"detector": detector})


def data_of(planes, name):
    """Data section of an amplifier as electrons over the bias, nearly."""
    return planes[name][:120, 4:84].astype(float)


def test_a_bright_amplifier_shows_in_the_other_at_the_mirrored_pixel(perfect):
    simulation = with_detector(perfect, crosstalk=3e-3)
    electrons = np.zeros((120, 160), np.float32)
    electrons[30:40, 10:20] = 80_000
    planes, truth = read(simulation, electrons)
    clean, _ = read(perfect, electrons)
    ghost = (data_of(planes, "R") - data_of(clean, "R")).round()
    aggressor = data_of(clean, "L") - truth.bias_level["L"]
    expected = truth.crosstalk[1, 0] * aggressor[aggressor > 10_000].mean()
    assert abs(expected) > 20
    # Read at the same moment: the same pixel of the raw section, whatever the flips.
    assert ghost[aggressor > 10_000].mean() == pytest.approx(expected, abs=1)
    assert np.abs(ghost[aggressor < 10_000]).max() <= 1
    assert truth.crosstalk[0, 0] == truth.crosstalk[1, 1] == 0


def test_the_signal_falls_short_at_full_well_by_the_nonlinearity(perfect):
    simulation = with_detector(perfect, nonlinearity=0.04)
    missing = []
    for level in (22_500.0, 45_000.0):
        electrons = np.full((120, 160), level, np.float32)
        straight, truth = read(perfect, electrons)
        bent, _ = read(simulation, electrons)
        loss = (data_of(straight, "L") - data_of(bent, "L")).mean()
        missing.append(loss * truth.gain["L"] / level)
    assert missing == pytest.approx([0.01, 0.02], rel=0.01)


def test_a_dead_amplifier_shows_bias_and_noise_alone(perfect):
    dead = [{"detector": 0, "amplifier": "L"}]
    electrons = np.full((120, 160), 20_000.0, np.float32)
    planes, truth = read(with_detector(perfect, dead_amplifiers=dead), electrons)
    assert data_of(planes, "L").mean() == pytest.approx(truth.bias_level["L"], abs=1)
    assert data_of(planes, "R").mean() > 10_000
    other, _ = read(with_detector(perfect, dead_amplifiers=dead), electrons, detector=1)
    assert data_of(other, "L").mean() > 10_000


def test_a_saturated_star_bleeds_only_when_told(perfect):
    electrons = np.zeros((120, 160), np.float32)
    electrons[60, 40] = 900_000.0
    lengths = [
        int(np.count_nonzero(data_of(read(with_detector(perfect, bleeding=b), electrons)[0], "L") > 30_000))
        for b in (False, True)
    ]
    assert lengths == [1, 10]
