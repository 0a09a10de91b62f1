"""Tests of skyloom.isr.calib_rows."""

import numpy as np
import pytest

from skyloom.isr.calib_rows import native_rows


@pytest.mark.kernels
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("is_writeable", [True, False])
def test_rows_are_the_same_numbers_in_any_byte_order(order, is_writeable):
    values = np.random.default_rng(5).normal(size=(7, 5)).astype(np.float32)
    values[2, 3], values[3, 1] = np.nan, np.inf
    plane = values.astype(np.dtype(np.float32).newbyteorder(order))
    plane.flags.writeable = is_writeable

    rows = native_rows(plane, slice(2, 6))

    np.testing.assert_array_equal(rows, values[2:6])
    assert rows.dtype == np.dtype(np.float32)
    assert rows.dtype.isnative
    assert rows.flags.c_contiguous
