"""Tests of skyloom.isr.assembly and skyloom.isr.overscan."""

from dataclasses import replace

import numpy as np
import pytest

from skyloom.core import mask_planes
from skyloom.core.camera import RawFrame
from skyloom.isr.assembly import AllAmplifiersBadError, AllPixelsBadError, ConstantImageError, assemble_frame
from skyloom.isr.overscan import OverscanSectionError, measure_overscan


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_amplifiers_with_flips_gains_and_a_drifting_level_give_the_charge_back(readout, settings, seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:128, :160]
    charge = 500.0 + 3 * x + 7 * y

    frame = assemble_frame(readout.expose(charge, rng), settings)

    residual = frame.image - charge
    assert (frame.mask == 0).all()
    assert residual.mean() == pytest.approx(0, abs=4 * 6.1 / np.sqrt(residual.size) + 0.05)
    assert residual.var() == pytest.approx(frame.read_variance.mean(), rel=0.03)


@pytest.mark.parametrize("method", ["median_per_row", "mean_per_row", "constant"])
def test_the_read_variance_is_that_of_empty_frames_for_every_method(readout, settings, method):
    settings["overscan"]["method"] = method
    rng = np.random.default_rng(4)
    empty = np.zeros((128, 160))

    frames = [assemble_frame(readout.expose(empty, rng, drift=0), settings) for _ in range(8)]

    measured = np.mean([f.image.var() for f in frames])
    expected = np.mean([f.read_variance.mean() for f in frames])
    # The noise of both: of the image's variance, and of that measured in 20 overscan columns.
    tolerance = 4 * np.sqrt(2 / (8 * empty.size) + 3 / (8 * 4 * 64 * 20))
    assert measured == pytest.approx(expected, rel=0.01 + tolerance)


def test_the_measured_read_noise_is_the_true_one_and_can_be_switched_off(readout, settings):
    raw = readout.expose(np.zeros((128, 160)), np.random.default_rng(5), noise=8.0)

    n_difference = 4 * 64 * 19
    quantised = np.sqrt(64 + np.mean([1.5**2, 1.6**2, 1.4**2, 1.55**2]) / 12)
    tolerance = 4 * np.sqrt(0.75 / n_difference)
    assert assemble_frame(raw, settings).read_noise == pytest.approx(quantised, rel=tolerance)
    settings["measure_read_noise"] = False
    assert assemble_frame(raw, settings).read_noise == 6.0


def test_an_amplifier_without_overscan_gets_the_configured_level(readout, settings):
    amplifier = replace(readout.detector.amplifiers[0], overscan_section=None)
    settings["overscan"]["level"] = 320.0

    level = measure_overscan(np.zeros((64, 108), dtype=np.float32), amplifier, settings["overscan"])

    assert (level.rows == 320.0).all()
    assert np.isnan(level.noise)
    settings["overscan"]["method"] = "none"
    assert (measure_overscan(np.zeros((64, 108)), amplifier, settings["overscan"]).rows == 0).all()


def test_a_cosmic_ray_in_the_overscan_moves_no_row(readout, settings):
    rng = np.random.default_rng(6)
    raw = readout.expose(np.zeros((128, 160)), rng, drift=0)
    hit = {name: plane.copy() for name, plane in raw.planes.items()}
    hit["A"][30, 92:95] += 20_000

    for method in ("median_per_row", "mean_per_row"):
        settings["overscan"]["method"] = method
        clean = assemble_frame(raw, settings).image[30, :80].mean()
        dirty = assemble_frame(replace(raw, planes=hit), settings).image[30, :80].mean()
        assert abs(dirty - clean) < 2 * 6 / np.sqrt(17)


@pytest.mark.parametrize("section", [(84, 108, 5, 64), (84, 89, 0, 64)])
def test_an_overscan_that_cannot_serve_the_data_is_a_configuration_error(readout, settings, section):
    amplifier = replace(readout.detector.amplifiers[0], overscan_section=section)
    with pytest.raises(OverscanSectionError, match="must cover the rows of data_section"):
        measure_overscan(np.zeros((64, 108)), amplifier, settings["overscan"])


def test_levels_set_saturated_suspect_and_empty_bits(readout, settings):
    raw = readout.expose(np.full((128, 160), 100.0), np.random.default_rng(7))
    raw.planes["A"][10, 14] = 61_000
    raw.planes["A"][10, 15] = 58_000
    raw.planes["A"][10, 16] = np.nan

    mask = assemble_frame(raw, settings).mask

    assert mask[10, 10] == mask_planes.SAT
    assert mask[10, 11] == mask_planes.SUSPECT
    assert mask[10, 12] == mask_planes.NO_DATA
    assert np.count_nonzero(mask) == 3


def test_dead_and_noisy_amplifiers_are_masked_and_do_not_enter_the_means(readout, settings, caplog):
    raw = readout.expose(np.full((128, 160), 100.0), np.random.default_rng(8))
    raw.planes["A"][:] = 0
    raw.planes["B"] += np.random.default_rng(9).normal(0, 200, raw.planes["B"].shape).astype(np.float32)

    frame = assemble_frame(raw, settings)

    assert (frame.mask[:64] == mask_planes.BAD).all()
    assert (frame.mask[64:] == 0).all()
    assert frame.gain == pytest.approx(np.mean([1.4, 1.55]))
    assert "amplifier A masked BAD: reads 0 ADU everywhere" in caplog.text
    assert "amplifier B masked BAD: has a read noise of 3" in caplog.text


def test_an_amplifier_whose_overscan_has_no_noise_is_dead(readout, settings, caplog):
    raw = readout.expose(np.full((128, 160), 100.0), np.random.default_rng(12))
    raw.planes["C"][:, 84:] = 1e-39

    frame = assemble_frame(raw, settings)

    assert ((frame.mask & mask_planes.BAD) != 0).sum() == 64 * 80
    assert "amplifier C masked BAD: has a read noise of 0 electron, at least 1.2 is needed" in caplog.text
    settings["measure_read_noise"] = False
    assert (assemble_frame(raw, settings).mask & mask_planes.BAD == 0).all()


def test_an_amplifier_of_nan_is_dead(readout, settings):
    raw = readout.expose(np.full((128, 160), 100.0), np.random.default_rng(10))
    raw.planes["D"][:, 4:84] = np.nan

    frame = assemble_frame(raw, settings)

    assert (frame.mask[64:, 80:] == mask_planes.bits("BAD", "NO_DATA")).all()


@pytest.mark.parametrize("method", ["median_per_row", "mean_per_row", "constant"])
def test_a_row_without_overscan_has_no_level_and_an_amplifier_without_is_dead(readout, settings, method):
    settings["overscan"]["method"] = method
    raw = readout.expose(np.full((128, 160), 100.0), np.random.default_rng(11))
    raw.planes["A"][30, 84:] = np.nan
    raw.planes["A"][31, 84:] = np.nan
    raw.planes["A"][31, [90, 91]] = (0.0, 9000.0)
    raw.planes["D"][:, 84:] = np.nan

    frame = assemble_frame(raw, settings)

    lost = np.zeros(80, dtype=bool) if method == "constant" else np.ones(80, dtype=bool)
    np.testing.assert_array_equal((frame.mask[30, :80] & mask_planes.NO_DATA) != 0, lost)
    assert np.isfinite(frame.image[31, :80]).all()
    assert (frame.mask[64:, 80:] == mask_planes.bits("BAD", "NO_DATA")).all()


def test_frames_without_content_are_named(readout, settings):
    shape = (64, 108)
    names = "ABCD"
    for value, error, message in (
        (np.nan, AllPixelsBadError, "none of 20480 pixels is finite"),
        (0.0, ConstantImageError, "every pixel is 0 ADU"),
    ):
        planes = {name: np.full(shape, value, dtype=np.float32) for name in names}
        with pytest.raises(error, match=message):
            assemble_frame(RawFrame(readout.detector, planes, {}), settings)


def test_a_frame_whose_every_amplifier_is_dead_is_named_with_what_is_wrong(readout, settings):
    planes = {name: np.full((64, 108), i, dtype=np.float32) for i, name in enumerate("ABCD")}
    with pytest.raises(AllAmplifiersBadError, match="A reads 0 ADU everywhere, B reads 1 ADU everywhere"):
        assemble_frame(RawFrame(readout.detector, planes, {}), settings)
