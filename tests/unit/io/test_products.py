"""Products come back as they were written, and never come back changed."""

import os
from dataclasses import replace

import numpy as np
import pytest
from astropy import wcs as wcslib
from astropy.io import fits

import skyloom
from skyloom.core import mask_planes
from skyloom.core.errors import CorruptProductError, DataError, UpstreamFailure
from skyloom.core.images import Background, DifferenceImage, Exposure, ExposureInfo, MaskedImage
from skyloom.core.kernels import MatchingKernel
from skyloom.core.photo_calib import FieldPolynomial, ZeroPointFit, constant_field
from skyloom.core.psf import CellPsf, PixelPsf, gaussian_kernel
from skyloom.core.psf_colour import PsfColour
from skyloom.core.schemas import COADD_INPUT
from skyloom.core.tables import Column, TableSchema
from skyloom.core.wcs import Wcs, WcsFit
from skyloom.io.exposures import read_difference, read_exposure, write_difference, write_exposure
from skyloom.io.fits_files import read_fits, read_fits_status, read_provenance, write_fits_tombstone
from skyloom.io.integrity import atomic_path, write_bytes
from skyloom.io.provenance import Provenance
from skyloom.io.tables import read_table, read_table_status, write_table, write_table_tombstone

POSITIONS = TableSchema(
    "positions",
    (
        Column("id", "int64", "", "Identity."),
        Column("kind", "string", "", "What it is."),
        Column("x", "float64", "pixel", "Column."),
        Column("flux", "float64", "nJy", "Flux at that moment."),
    ),
)

PROVENANCE = Provenance("rule", {"visit": "3"}, "0.1", "abc", "h", "c", ("raw/3/1.fits",), {"numpy": "2"})


class ClearlyBadError(DataError):
    """A named error for the tests."""


def table_of(schema, rng, n_row):
    """Return a table of random values of a schema."""
    makers = {"string": lambda: [f"text {i}" for i in range(n_row)], "bool": lambda: rng.random(n_row) > 0.5}
    values = {
        c.name: makers.get(c.type, lambda: rng.integers(0, 100, n_row).astype(np.float64))()
        for c in schema.columns
    }
    return schema.table(values)


def make_exposure(seed=1, shape=(60, 70), psf_kind="polynomial", distorted=True):
    """Return an exposure that has every model."""
    rng = np.random.default_rng(seed)
    ny, nx = shape
    pixels = MaskedImage(
        rng.normal(size=shape).astype(np.float32),
        rng.integers(0, 1 << len(mask_planes.PLANES), shape).astype(np.uint32),
        rng.uniform(1, 2, shape).astype(np.float32),
    )
    pv = np.zeros((2, 10))
    pv[:, 1] = 1
    pv[:, 3:] = rng.normal(0, 1e-3, (2, 7))
    wcs = Wcs(
        np.array([150.0, 2.0]), np.array([30.2, 20.1]), np.array([[-5e-5, 1e-6], [1e-6, 5e-5]]), *pv, shape
    )
    if not distorted:
        wcs = Wcs(wcs.crval, wcs.crpix, wcs.cd, shape=shape)
    if psf_kind == "oversampled":
        fine = np.stack([gaussian_kernel(1.3, 49), *rng.normal(0, 1e-4, (5, 49, 49))]).astype(np.float32)
        psf = PixelPsf(fine, 2, (0.0, nx, 0.0, ny), 2)
    elif psf_kind == "polynomial":
        images = np.stack([gaussian_kernel(2.0, 25), *rng.normal(0, 1e-3, (5, 25, 25))]).astype(np.float32)
        psf = PixelPsf(images, 2, (0.0, nx, 0.0, ny))
    else:
        psf = CellPsf(rng.random((2, 3, 15, 15)).astype(np.float32), 30, (-5.0, 2.0))
    inputs = table_of(COADD_INPUT, rng, 2)
    return Exposure(
        pixels,
        ExposureInfo(
            visit=3, detector=1, band="r", mjd=60000.123456789, airmass=1.2, patch="1_0", origin=(5, -6)
        ),
        wcs,
        psf,
        FieldPolynomial(rng.normal(size=(2, 2)), (0.0, nx, 0.0, ny), np.eye(4)),
        Background(rng.normal(size=(2, 2)).astype(np.float32), 40, shape),
        constant_field(1.01, shape),
        WcsFit(rng.normal(size=(2, 10)), np.eye(10), 55, 0.01, 0.02, 0.03, 1e-7, -30.0),
        inputs,
        1.25,
        ZeroPointFit(321, 0.012, 0.004, 0.01),
        5.25,
    )


def make_table():
    """Return a small table."""
    return table_of(POSITIONS, np.random.default_rng(5), 50)


def assert_same(first, second):
    """Assert that two exposures hold the same numbers."""
    for plane in ("image", "mask", "variance"):
        assert np.array_equal(getattr(first.pixels, plane), getattr(second.pixels, plane))
        assert getattr(second.pixels, plane).dtype == getattr(first.pixels, plane).dtype
    assert first.info == second.info
    assert np.array_equal(first.wcs.cd, second.wcs.cd)
    assert np.array_equal(first.wcs.crpix, second.wcs.crpix)
    x, y = np.array([3.0, 60.0]), np.array([50.0, 2.0])
    assert np.allclose(first.wcs.pixel_to_sky(x, y), second.wcs.pixel_to_sky(x, y), atol=1e-13, rtol=0)
    assert np.array_equal(first.psf.kernels_at(x, y), second.psf.kernels_at(x, y), equal_nan=True)
    assert np.array_equal(first.psf.splines_at(x, y), second.psf.splines_at(x, y), equal_nan=True)
    assert np.array_equal(first.photo_calib.evaluate(x, y), second.photo_calib.evaluate(x, y))
    assert np.array_equal(first.photo_calib.error(x, y), second.photo_calib.error(x, y))
    assert np.array_equal(first.background.image(), second.background.image())
    assert second.ap_corr.covariance is None
    assert (second.zero_point_fit, second.wcs_fit.header_error_arcsec) == (first.zero_point_fit, 1e-7)
    assert np.array_equal(first.wcs_fit.covariance, second.wcs_fit.covariance)
    assert first.wcs_fit.n_matched == second.wcs_fit.n_matched
    assert second.inputs.equals(first.inputs)
    assert first.noise_correlation == second.noise_correlation
    assert first.detection_threshold == second.detection_threshold


@pytest.mark.parametrize("psf_kind", ["polynomial", "oversampled", "cell"])
@pytest.mark.parametrize("distorted", [True, False])
def test_an_exposure_comes_back_whole(tmp_path, psf_kind, distorted):
    exposure = make_exposure(psf_kind=psf_kind, distorted=distorted)
    write_exposure(tmp_path / "a.fits", exposure, PROVENANCE)
    assert_same(exposure, read_exposure(tmp_path / "a.fits"))
    assert read_provenance(tmp_path / "a.fits") == PROVENANCE


def test_a_threshold_that_nobody_knows_has_no_card(tmp_path):
    exposure = replace(make_exposure(), detection_threshold=float("nan"))
    write_exposure(tmp_path / "a.fits", exposure, PROVENANCE)
    assert np.isnan(read_exposure(tmp_path / "a.fits").detection_threshold)


@pytest.mark.parametrize(
    "remark", ["", "7 stars with a colour, needs 20", "no WCS: " + "nothing matches, " * 20 + "at all"]
)
def test_the_colour_of_a_psf_comes_back(tmp_path, remark):
    exposure = make_exposure()
    change = np.random.default_rng(1).normal(0, 1e-3, (25, 25)).astype(np.float32)
    known = PsfColour("flux_g - flux_i", change, 0.73, (-0.25, 2.5), 88)
    colour = PsfColour("", None, np.nan, (np.nan, np.nan), 7, remark) if remark else known
    exposure = replace(exposure, psf=replace(exposure.psf, colour=colour))

    write_exposure(tmp_path / "a.fits", exposure, PROVENANCE)

    psf = read_exposure(tmp_path / "a.fits").psf
    assert np.array_equal(psf.coefficients, exposure.psf.coefficients)
    assert repr(replace(psf.colour, image=None)) == repr(replace(colour, image=None))
    places = ([3.0, 60.0, 30.0], [50.0, 2.0, 30.0], [0.1, np.nan, 9.0])
    assert np.array_equal(psf.kernels_at(*places), exposure.psf.kernels_at(*places))
    assert psf.has_colour == (not remark)


def test_a_difference_comes_back_with_template_and_kernel(tmp_path):
    exposure = make_exposure(seed=2)
    rng = np.random.default_rng(2)
    background = constant_field(0.5, (60, 70), 0.1)
    kernel = MatchingKernel(
        rng.normal(size=(3, 11, 11)), 1, (0, 70, 0, 60), rng.normal(size=(3, 3)), "science", background
    )
    difference = DifferenceImage(exposure, exposure.pixels.image * 2, kernel)
    write_difference(tmp_path / "d.fits", difference, PROVENANCE, {"INTEMPL": (True, "in the template")})
    back = read_difference(tmp_path / "d.fits")
    assert_same(exposure, back.exposure)
    assert np.array_equal(back.template, difference.template)
    assert np.array_equal(back.kernel.kernel_at(5, 6), kernel.kernel_at(5, 6))
    assert back.kernel.convolved == "science"
    assert read_fits(tmp_path / "d.fits")[0].header["INTEMPL"] is True


def test_other_readers_see_a_right_wcs_named_planes_and_good_checksums(tmp_path):
    exposure = make_exposure(seed=3)
    write_exposure(tmp_path / "a.fits", exposure, PROVENANCE)
    with fits.open(tmp_path / "a.fits", checksum=True) as hdus:
        for name in ("IMAGE", "MASK", "VARIANCE"):
            ra, dec = wcslib.WCS(hdus[name].header).all_pix2world([3.0], [50.0], 0)
            assert np.allclose([ra, dec], exposure.wcs.pixel_to_sky([3.0], [50.0]), atol=1e-11)
        assert hdus["MASK"].header["MP_CR"] == mask_planes.PLANES.index("CR")
        assert hdus["MASK"].header["MP_DETECTED_NEGATIVE"] == mask_planes.PLANES.index("DETECTED_NEGATIVE")
        assert hdus["IMAGE"].header["BUNIT"] == "nJy"


def test_the_same_exposure_gives_the_same_bytes(tmp_path):
    for name in ("a.fits", "b.fits"):
        write_exposure(tmp_path / name, make_exposure(), PROVENANCE)
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()


def test_planes_that_are_not_copied_make_the_same_bytes(tmp_path, monkeypatch):
    exposure = make_exposure()
    write_exposure(tmp_path / "copied.fits", exposure, PROVENANCE)
    assert exposure.pixels.image.nbytes > 10_000
    monkeypatch.setattr("skyloom.io.fits_files.LARGE", 10_000)
    write_exposure(tmp_path / "kept.fits", exposure, PROVENANCE)
    assert (tmp_path / "kept.fits").read_bytes() == (tmp_path / "copied.fits").read_bytes()


def test_a_system_that_writes_a_little_at_a_time_writes_all(tmp_path, monkeypatch):
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda descriptor, parts: real(descriptor, [parts[0][:7]]))
    write_bytes(tmp_path / "file", b"", b"a" * 20, bytearray(b"bc"), b"", np.arange(9, dtype=np.uint8))
    assert (tmp_path / "file").read_bytes() == b"a" * 20 + b"bc" + bytes(range(9))


def test_a_table_comes_back_with_units_and_provenance(tmp_path):
    table = make_table()
    write_table(tmp_path / "t.parquet", table, PROVENANCE, {"zero_point": 31.4})
    back = read_table(tmp_path / "t.parquet")
    assert back.replace_schema_metadata(None).equals(table.replace_schema_metadata(None))
    assert back.schema.field("flux").metadata[b"unit"] == b"nJy"
    assert back.schema.metadata[b"zero_point"] == b"31.4"
    assert PROVENANCE.to_json().encode() == back.schema.metadata[b"skyloom.provenance"]
    assert read_table(tmp_path / "t.parquet", ["x"]).column_names == ["x"]


def test_tombstones_say_why_and_are_never_read_as_data(tmp_path):
    error = ClearlyBadError("3 stars, needs 10: see the focus log")
    write_fits_tombstone(tmp_path / "a.fits", error, PROVENANCE)
    write_table_tombstone(tmp_path / "a.parquet", POSITIONS, error, PROVENANCE)
    with pytest.raises(UpstreamFailure, match="3 stars, needs 10") as fits_failure:
        read_exposure(tmp_path / "a.fits")
    with pytest.raises(UpstreamFailure, match="3 stars, needs 10") as table_failure:
        read_table(tmp_path / "a.parquet")
    assert fits_failure.value.reason == table_failure.value.reason == "ClearlyBad"
    assert read_fits_status(tmp_path / "a.fits")[:2] == ("FAILED", "ClearlyBad")
    assert read_table_status(tmp_path / "a.parquet")[:2] == ("FAILED", "ClearlyBad")
    assert read_provenance(tmp_path / "a.fits") == PROVENANCE


def test_a_tombstone_of_nothing_being_there_says_so(tmp_path):
    error = ClearlyBadError("nothing there")
    error.status = "EMPTY"
    write_fits_tombstone(tmp_path / "a.fits", error, PROVENANCE)
    write_table_tombstone(tmp_path / "a.parquet", POSITIONS, error, PROVENANCE)
    for read, name in ((read_exposure, "a.fits"), (read_table, "a.parquet")):
        with pytest.raises(UpstreamFailure) as caught:
            read(tmp_path / name)
        assert caught.value.status == "EMPTY"
    assert read_fits_status(tmp_path / "a.fits")[0] == read_table_status(tmp_path / "a.parquet")[0] == "EMPTY"


def flipped_copies(path, n_copy, rng):
    """Yield paths of copies of a file with 1, 2 or 8 flipped bits."""
    original = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    copy = path.with_name("flipped" + path.suffix)
    for number in range(n_copy):
        data = original.copy()
        for bit in rng.choice(data.size * 8, (1, 2, 8)[number % 3], replace=False):
            data[bit // 8] ^= np.uint8(1 << (bit % 8))
        copy.write_bytes(data.tobytes())
        yield copy


@pytest.mark.parametrize("n_flipped", [60, pytest.param(300, marks=pytest.mark.bars)])
def test_flipped_bits_are_never_read_in_silence(tmp_path, n_flipped):
    rng = np.random.default_rng(9)
    write_exposure(tmp_path / "a.fits", make_exposure(), PROVENANCE)
    write_table(tmp_path / "t.parquet", make_table(), PROVENANCE)
    for path in flipped_copies(tmp_path / "a.fits", n_flipped, rng):
        with pytest.raises(CorruptProductError):
            read_exposure(path)
    for path in flipped_copies(tmp_path / "t.parquet", n_flipped, rng):
        with pytest.raises(CorruptProductError):
            read_table(path)


@pytest.mark.parametrize("cut", [0, 10, 2880, 5000])
def test_a_truncated_product_is_named(tmp_path, cut):
    write_exposure(tmp_path / "a.fits", make_exposure(), PROVENANCE)
    (tmp_path / "b.fits").write_bytes((tmp_path / "a.fits").read_bytes()[:cut])
    with pytest.raises(CorruptProductError, match=r"b\.fits"):
        read_exposure(tmp_path / "b.fits")
    write_table(tmp_path / "t.parquet", make_table(), PROVENANCE)
    table_bytes = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "u.parquet").write_bytes(table_bytes[: cut * len(table_bytes) // 6000])
    with pytest.raises(CorruptProductError, match=r"u\.parquet"):
        read_table(tmp_path / "u.parquet")


def test_a_foreign_fits_file_is_no_product(tmp_path):
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(tmp_path / "x.fits")
    with pytest.raises(CorruptProductError, match="carries no hash"):
        read_exposure(tmp_path / "x.fits")


def write_half_of(target):
    """Fail in the middle of a write."""
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("on the way")


def test_a_failed_write_leaves_the_old_product_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="on the way"):
        write_half_of(target)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_person_opens_any_product_by_its_path(tmp_path):
    exposure = make_exposure()
    kernel = MatchingKernel(np.ones((1, 3, 3)), 0, (0, 70, 0, 60), np.ones((1, 1)), "template")
    write_exposure(tmp_path / "a.fits", exposure, PROVENANCE)
    write_difference(
        tmp_path / "d.fits", DifferenceImage(exposure, exposure.pixels.image, kernel), PROVENANCE
    )
    write_table(tmp_path / "t.parquet", make_table(), PROVENANCE)
    assert_same(exposure, skyloom.open_product(tmp_path / "a.fits"))
    assert skyloom.open_product(tmp_path / "d.fits").kernel.background is None
    frame = skyloom.open_product(tmp_path / "t.parquet")
    assert len(frame) == 50
    assert frame.attrs["flux"]["unit"] == "nJy"
    with pytest.raises(AttributeError, match="no attribute 'close_product'"):
        skyloom.close_product  # noqa: B018
