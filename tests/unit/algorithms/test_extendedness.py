"""Point-like or extended."""

import numpy as np
import pytest

from skyloom.algorithms.extendedness import classify_by_size
from skyloom.algorithms.moments import AdaptiveMoments


def moments(trace):
    half, zero = np.asarray(trace, dtype=float) / 2, np.zeros(len(trace))
    return AdaptiveMoments(zero, zero, half, half, zero, zero + 1)


def classify(trace, signal_to_noise, excess=0.05, n_sigma=3.0):
    n = len(trace)
    return classify_by_size(moments(trace), moments([6.0] * n), np.array(signal_to_noise), excess, n_sigma)


def test_a_source_is_extended_only_beyond_the_error_of_its_size():
    # The error of the trace 9 is 18 over the signal to noise; the excess over 6.3 is 2.7.
    assert classify([9.0, 9.0], [19.0, 21.0]).extended.tolist() == [0.0, 1.0]


def test_a_wrong_psf_makes_no_bright_star_extended():
    assert classify([6.2, 6.4], [1e6, 1e6]).extended.tolist() == [0.0, 1.0]


def test_a_negative_flux_is_point_like():
    assert classify([20.0], [-5.0]).extended.tolist() == [0.0]


def test_without_a_shape_nothing_is_said():
    classes = classify([np.nan], [100.0])
    assert np.isnan(classes.extended).all()
    assert np.isnan(classes.size).all()


def test_the_size_is_rubins():
    assert classify([9.0], [100.0]).size[0] == pytest.approx((3.0 / 6.0**0.5) ** 2)
