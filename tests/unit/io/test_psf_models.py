"""PSF models of PSFEx, written by the test as PSFEx writes them."""

import numpy as np
import pytest
from astropy.io import fits

from skyloom.core.psf import psf_moments
from skyloom.io.psf_models import PsfModelError, read_psfex

SIZE = 25
ZERO, STEP = (500.5, 400.25), (480.0, 390.0)


def gaussian(sigma, size=SIZE, sampling=1.0, centre=(0.0, 0.0)):
    """Image of a star of this width [pixel of the image] on a grid of PSFEx."""
    y, x = (np.mgrid[:size, :size] - size // 2) * sampling
    return np.exp(-0.5 * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / sigma**2)


def terms_of_width(size, sampling, widths):
    """PSF_MASK of degree 2 whose width is one of six at six positions (x, y) in PSFEx's unit."""
    places = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1)]
    design = np.array([[1, x, x**2, y, x * y, y**2] for x, y in places], dtype=float)
    images = np.stack([gaussian(w, size, sampling).ravel() for w in widths])
    return places, np.linalg.solve(design, images).reshape(6, size, size)


def cards(sampling, degree=2, names=("X_IMAGE", "Y_IMAGE")):
    values = {"POLNAXIS": 2, "POLNGRP": 1, "POLDEG1": degree, "PSF_SAMP": sampling, "PSFNAXIS": 3}
    for axis in (1, 2):
        values |= {f"POLNAME{axis}": names[axis - 1], f"POLZERO{axis}": ZERO[axis - 1]}
        values[f"POLSCAL{axis}"] = STEP[axis - 1]
    return values


def write(path, mask, header):
    column = fits.Column("PSF_MASK", f"{mask.size}E", dim=str(mask.shape[::-1]), array=mask[None])
    table = fits.BinTableHDU.from_columns([column], name="PSF_DATA")
    table.header.update(header)
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)
    return path


@pytest.mark.parametrize(("sampling", "size"), [(1.0, 25), (0.5, 51), (0.7, 37)])
def test_the_width_at_a_place_is_what_the_model_says(tmp_path, sampling, size):
    widths = (2.0, 2.3, 1.9, 2.2, 1.8, 2.5)
    places, mask = terms_of_width(size, sampling, widths)
    psf = read_psfex(write(tmp_path / "x.psf", mask, cards(sampling)))
    for (x, y), width in zip(places, widths, strict=True):
        # PSFEx counts pixels from 1.
        kernel = psf.kernel_at(ZERO[0] + x * STEP[0] - 1, ZERO[1] + y * STEP[1] - 1)
        assert kernel.sum() == pytest.approx(1)
        sigma, e1, e2 = psf_moments(kernel)
        assert sigma == pytest.approx(width, rel=2e-3)
        assert (e1, e2) == pytest.approx((0, 0), abs=1e-5)
    half = psf.size // 2
    assert np.unravel_index(np.argmax(psf.coefficients[0]), psf.coefficients[0].shape) == (half, half)
    assert psf.size <= size * sampling + 1


def test_a_constant_model_has_no_positions(tmp_path):
    psf = read_psfex(write(tmp_path / "x.psf", gaussian(2.0)[None], {"POLNAXIS": 0, "PSF_SAMP": 1.0}))
    assert psf.order == 0
    np.testing.assert_allclose(psf.kernel_at(3, 900), gaussian(2.0) / gaussian(2.0).sum(), atol=1e-7)


def test_a_table_of_one_row_with_the_cards_as_columns_is_read(tmp_path):
    mask = terms_of_width(SIZE, 1.0, (2.0, 2.3, 1.9, 2.2, 1.8, 2.5))[1]
    header = cards(1.0)
    write(tmp_path / "cards.psf", mask, header)
    columns = [fits.Column("psf_mask", f"{mask.size}E", dim=str(mask.shape[::-1]), array=mask[None])]
    for name, value in header.items():
        form = "20A" if isinstance(value, str) else "D"
        columns.append(fits.Column(name.lower(), form, array=[value]))
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(tmp_path / "c.fits")
    a, b = read_psfex(tmp_path / "cards.psf"), read_psfex(tmp_path / "c.fits")
    np.testing.assert_array_equal(a.coefficients, b.coefficients)
    assert a.domain == b.domain == pytest.approx((19.5, 979.5, 9.25, 789.25))


def test_what_is_no_model_of_psfex_is_named(tmp_path):
    mask = terms_of_width(SIZE, 1.0, (2.0, 2.3, 1.9, 2.2, 1.8, 2.5))[1]
    wrong = [
        (
            write(tmp_path / "1", mask, cards(1.0, names=("X_IMAGE", "MAG_AUTO"))),
            "degree 2 in X_IMAGE, MAG_AUTO",
        ),
        (write(tmp_path / "2", mask, cards(1.0, degree=3)), "is of degree 3 .* with 6 terms"),
        (write(tmp_path / "3", mask[:, 1:, 1:], cards(1.0)), r"images of shape \(24, 24\)"),
        (write(tmp_path / "4", mask, {"POLNAXIS": 2}), "has POLDEG1 None, needs a number"),
    ]
    (tmp_path / "5").write_bytes(b"no FITS file")
    fits.PrimaryHDU(mask).writeto(tmp_path / "6")
    wrong += [(tmp_path / "5", "cannot be read"), (tmp_path / "6", "has no table, needs one")]
    for path, told in wrong:
        with pytest.raises(PsfModelError, match=told):
            read_psfex(path)


def test_a_model_sharper_than_the_pixels_sample_keeps_its_half_pixels(tmp_path):
    image = gaussian(0.7, 51, 0.5)[None]
    psf = read_psfex(write(tmp_path / "x.psf", image, {"POLNAXIS": 0, "PSF_SAMP": 0.5}))
    assert (psf.sampling, psf.size) == (2, 25)
    norm = gaussian(0.7).sum()
    moved = psf.stars_at([30.5], [29.75])[0]
    assert moved == pytest.approx(gaussian(0.7, centre=(0.5, -0.25)) / norm, abs=2e-4)
    wide = read_psfex(
        write(tmp_path / "y.psf", gaussian(1.2, 51, 0.5)[None], {"POLNAXIS": 0, "PSF_SAMP": 0.5})
    )
    assert wide.sampling == 1
