"""Binary tables of products."""

import io

import numpy as np
import pytest
from astropy.io import fits

from skyloom.io.fits_files import table_hdu


@pytest.mark.parametrize("n_row", [0, 3])
def test_a_table_has_the_bytes_that_astropy_gives_it(n_row):
    def columns():
        return [
            fits.Column("key", "5A", array=np.array(["one", "two", "three"][:n_row], dtype="U5")),
            fits.Column("value", "D", unit="pixel", array=np.arange(n_row, dtype=np.float64)),
            fits.Column("images", "4E", array=np.ones((n_row, 4), dtype=np.float32)),
            fits.Column("flag", "L", array=np.arange(n_row) > 0),
        ]

    written = []
    for hdu in (table_hdu("TABLE", columns()), fits.BinTableHDU.from_columns(columns(), name="TABLE")):
        stream = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(stream)
        written.append(stream.getvalue())

    assert written[0] == written[1]
