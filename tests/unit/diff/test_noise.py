"""The noise of resampled images, as the library expects it, against noise that was resampled here."""

import numpy as np
import pytest

from skyloom.diff.noise import (
    correlation_after_warp,
    noise_shape,
    resampled_power,
    tile_medians,
    white_equivalent_correlation,
)


def lanczos_shift(rows, shifts, order=3):
    """Return rows of noise interpolated at a steady slope of sub-pixel shifts."""
    n = rows.shape[1]
    x = np.arange(n) + shifts
    taps = np.arange(1 - order, order + 1)
    distance = (x - np.floor(x))[None, :] - taps[:, None]
    weights = np.sinc(distance) * np.sinc(distance / order)
    weights /= weights.sum(axis=0)
    index = (np.floor(x).astype(int)[None, :] + taps[:, None]) % n
    return sum(weights[k] * rows[:, index[k]] for k in range(2 * order))


@pytest.mark.parametrize("n_resampling", [1, 2])
def test_the_power_of_interpolated_white_noise_is_the_expected_one(n_resampling):
    rng = np.random.default_rng(n_resampling)
    rows = rng.normal(size=(1000, 2048))
    # A slope of some whole pixels over the row mixes all phases and keeps the row periodic.
    for slope in (3, 5)[:n_resampling]:
        rows = lanczos_shift(rows, np.linspace(0, slope, 2048, endpoint=False))
    measured = np.mean(np.abs(np.fft.rfft(rows, axis=1)) ** 2, axis=0) / 2048

    expected = resampled_power(np.fft.rfftfreq(2048), n_resampling)

    # Neighbouring frequencies are averaged; the scatter of 1000 rows and 8 frequencies is 1.1 %.
    averages = (values[1:1025].reshape(128, 8).mean(axis=1) for values in (measured, expected))
    np.testing.assert_allclose(*averages, rtol=0.05, atol=0.01)


def test_white_noise_has_a_flat_spectrum_and_no_correlation():
    assert white_equivalent_correlation(0) == pytest.approx(1.0)
    np.testing.assert_allclose(noise_shape(1.0, 32, 2), 1.0)


@pytest.mark.parametrize("correlation", [1.1, 1.27, 1.6, 2.5])
def test_the_mean_of_a_noise_spectrum_is_the_inverse_of_its_correlation(correlation):
    shape = noise_shape(correlation, 64, 1)
    assert shape[0, 0] == pytest.approx(1.0)
    # The stretched spectrum folds back a little at the band's edge.
    assert shape.mean() == pytest.approx(1 / correlation, rel=0.02)


def test_one_more_interpolation_of_equal_pixels_gives_the_correlation_of_two():
    once, twice = white_equivalent_correlation(1), white_equivalent_correlation(2)
    assert correlation_after_warp(once, 1.0) == pytest.approx(twice, rel=1e-6)
    assert correlation_after_warp(1.0, 1.0) == pytest.approx(once, rel=1e-6)
    assert correlation_after_warp(1.0, 9.0) == 1.0


def test_tile_medians_leave_bad_pixels_out_and_fill_tiles_without_good_ones():
    plane = np.ones((20, 30), np.float32)
    plane[:10, :10] = 3.0
    plane[2, 2] = np.nan
    good = np.isfinite(plane)
    good[10:, 20:] = False
    plane[10:, 20:] = 1e9

    medians = tile_medians(plane, good, 10)

    np.testing.assert_array_equal(medians, [[3, 1, 1], [1, 1, 1]])
