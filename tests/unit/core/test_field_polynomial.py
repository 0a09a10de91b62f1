"""Smooth functions over a detector, strip by strip."""

import numpy as np
import pytest

from skyloom.core.images import strips
from skyloom.core.photo_calib import FieldPolynomial


@pytest.mark.parametrize("n_row", [0, 1, 63, 64, 65, 200])
def test_strips_have_every_row_once(n_row):
    rows = [row for part in strips(n_row) for row in range(n_row)[part]]

    assert rows == list(range(n_row))
    assert all(part.stop - part.start <= 7 for part in strips(n_row, 7))


def test_rows_of_a_polynomial_are_its_values_at_their_pixels():
    rng = np.random.default_rng(1)
    field = FieldPolynomial(rng.normal(size=(4, 4)), (-0.5, 99.5, -0.5, 79.5))

    found = field.rows(slice(30, 47), 100)

    y, x = np.mgrid[30:47, :100]
    np.testing.assert_allclose(found, field.evaluate(x, y), rtol=1e-12)
    np.testing.assert_allclose(field.image((80, 100))[30:47], found, rtol=1e-6)
