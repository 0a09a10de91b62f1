import numpy as np
import pytest

from skyloom.simulate.colours import draw_magnitudes


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_counts_rise_with_the_stated_slope(seed):
    settings = {"magnitude_bright": 16.0, "magnitude_faint": 24.0, "count_slope": 0.3}
    magnitudes = draw_magnitudes(20000, settings, np.random.default_rng(seed))
    assert 16.0 <= magnitudes.min() < magnitudes.max() <= 24.0
    for limit in (20.0, 22.0, 23.0):
        expected = (10 ** (0.3 * limit) - 10**4.8) / (10**7.2 - 10**4.8)
        assert np.mean(magnitudes < limit) == pytest.approx(expected, abs=4 * np.sqrt(expected / 20000))


def test_a_slope_of_zero_is_uniform():
    settings = {"magnitude_bright": 20.0, "magnitude_faint": 22.0, "count_slope": 0.0}
    magnitudes = draw_magnitudes(10000, settings, np.random.default_rng(1))
    assert magnitudes.mean() == pytest.approx(21.0, abs=4 * 2 / np.sqrt(12 * 10000))
