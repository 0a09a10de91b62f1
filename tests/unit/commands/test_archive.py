"""Products by name, cut-outs by position, light curves of one object."""

from dataclasses import replace

import numpy as np
import pytest

import skyloom
from skyloom.commands.archive import NothingThereError, UnknownProductError, crop
from skyloom.core.errors import DataError
from skyloom.core.images import Exposure, ExposureInfo, MaskedImage
from skyloom.core.photo_calib import FieldPolynomial
from skyloom.core.psf import CellPsf, PixelPsf
from skyloom.core.schemas import SOURCE, VISIT_SUMMARY
from skyloom.core.wcs import Wcs
from skyloom.io.exposures import write_exposure
from skyloom.io.fits_files import write_fits_tombstone
from skyloom.io.provenance import Provenance
from skyloom.io.tables import write_table, write_table_tombstone

SIZE, SCALE = 60, 0.2 / 3600
RA, DEC = 150.0, 2.0
PROVENANCE = Provenance(rule="make_it")
FILL = {"int64": 0, "int32": 0, "float64": 0.0, "float32": 0.0, "string": "", "bool": False}


def wcs_at(ra, dec):
    """Plain WCS whose middle is at a position."""
    cd = SCALE * np.array([[-1.0, 0.0], [0.0, 1.0]])
    return Wcs(np.array([ra, dec]), np.array([29.5, 29.5]), cd, shape=(SIZE, SIZE))


def image_at(ra, dec, **info):
    """Exposure whose pixels count themselves."""
    image = np.arange(SIZE * SIZE, dtype=np.float32).reshape(SIZE, SIZE)
    pixels = MaskedImage(image, np.zeros_like(image, dtype=np.uint32), np.ones_like(image))
    return Exposure(pixels, ExposureInfo(**info), wcs_at(ra, dec))


def rows_of(schema, **columns):
    """Table with these columns and nothing in the others."""
    n = len(next(iter(columns.values())))
    values = {c.name: [FILL[c.type]] * n for c in schema.columns}
    return schema.table(values | {name: list(column) for name, column in columns.items()})


def corners(ra, dec):
    """Corners of a detector in the summary's columns."""
    corner_ra, corner_dec = wcs_at(ra, dec).corners()
    names = ("llc", "lrc", "urc", "ulc")
    return {f"{c}ra": [corner_ra[i]] for i, c in enumerate(names)} | {
        f"{c}dec": [corner_dec[i]] for i, c in enumerate(names)
    }


@pytest.fixture
def root(tmp_path):
    """Two patches, and four visits: two with a source, one without, one that failed; one more looks elsewhere."""
    for patch, shift in (("0_0", 0.0), ("1_0", 50 * SCALE)):
        coadd = image_at(RA + shift, DEC, band="r", tract=1, patch=patch, kind="deep")
        cells = np.zeros((2, 2, 5, 5), np.float32)
        cells[..., 2, 2] = 1
        coadd = replace(coadd, psf=CellPsf(cells, 30))
        write_exposure(tmp_path / f"coadd/deep/r/1/{patch}.fits", coadd, PROVENANCE)
    write_fits_tombstone(tmp_path / "coadd/deep/r/1/2_0.fits", DataError("nothing"), PROVENANCE)
    for visit, (mjd, dx, away, status) in enumerate(
        [(61002.0, 0.1, 0, "OK"), (61001.0, -0.2, 0, "OK"), (61003.0, 5.0, 0, "OK"), (61004.0, 0, 0, "FAILED"),
         (61005.0, 0, 1, "OK")]
    ):  # fmt: skip
        summary = rows_of(
            VISIT_SUMMARY,
            visit=[visit], detector=[3], status=[status], expMidptMJD=[mjd], **corners(RA + away, DEC),
        )  # fmt: skip
        write_table(tmp_path / f"visit_summary/{visit}.parquet", summary, PROVENANCE)
        source = rows_of(
            SOURCE,
            visit=[visit] * 2, detector=[3] * 2, band=["r"] * 2, dec=[DEC, DEC],
            ra=[RA + dx / 3600 / np.cos(np.radians(DEC)), RA + 0.003], psfFlux=[1000.0 + visit, 5.0],
        )  # fmt: skip
        write_table(tmp_path / f"src/{visit}/3.parquet", source, PROVENANCE)
    return tmp_path


def test_a_product_is_opened_by_its_name_and_data_id(root):
    coadd = skyloom.open_product("coadd", root=root, kind="deep", band="r", tract=1, patch="1_0")
    assert coadd.info.patch == "1_0"
    assert len(skyloom.open_product("src", root=root, visit=0, detector=3)) == 2
    assert len(skyloom.open_product(root / "src" / "0" / "3.parquet")) == 2


def test_an_unknown_name_and_a_missing_data_id_are_told_with_what_there_is(root):
    with pytest.raises(UnknownProductError, match="calxp: no such product; there are .*calexp"):
        skyloom.open_product("calxp", visit=1)
    with pytest.raises(UnknownProductError, match="src: needs detector: its path is src/"):
        skyloom.open_product("src", root=root, visit=0)


def test_a_cutout_comes_from_the_patch_that_holds_most_of_it_with_the_right_sky(root):
    # 20 pixels East of the first patch's middle is 30 West of the second's: near the first's centre.
    ra = RA + 5 * SCALE / np.cos(np.radians(DEC))
    stamp = skyloom.cutout((ra, DEC), size=4.0, band="r", root=root)
    assert stamp.info.patch == "0_0"
    assert stamp.pixels.shape == (21, 21)
    x, y = stamp.wcs.sky_to_pixel([ra], [DEC])
    assert (x[0], y[0]) == pytest.approx((10, 10), abs=0.51)
    whole = wcs_at(RA, DEC).sky_to_pixel([ra], [DEC])
    assert stamp.pixels.image[10, 10] == round(whole[1][0]) * SIZE + round(whole[0][0])
    assert stamp.psf.kernel_at(0, 0)[2, 2] == 1
    assert stamp.info.origin == (round(whole[0][0]) - 10, round(whole[1][0]) - 10)


def test_a_cutout_at_the_edge_is_smaller_and_one_beyond_is_refused(root):
    ra = RA - 27.7 * SCALE / np.cos(np.radians(DEC))
    assert skyloom.cutout((ra, DEC), size=4.0, band="r", root=root).pixels.shape == (21, 13)
    with pytest.raises(NothingThereError, match="no image among .* holds ra 151"):
        skyloom.cutout((151.0, DEC), size=4.0, band="r", root=root)


def test_the_models_of_a_crop_are_those_of_the_same_sky():
    exposure = image_at(RA, DEC)
    domain = (-0.5, 59.5, -0.5, 59.5)
    coefficients = np.random.default_rng(1).uniform(0, 1, (3, 5, 5)).astype(np.float32)
    field = FieldPolynomial(np.array([[1.0, 0.1], [0.2, 0.0]]), domain)
    exposure = replace(exposure, psf=PixelPsf(coefficients, 1, domain), photo_calib=field, ap_corr=field)
    part = crop(exposure, np.s_[10:40, 20:50])
    np.testing.assert_allclose(part.psf.kernel_at(5, 7), exposure.psf.kernel_at(25, 17))
    np.testing.assert_allclose(part.photo_calib.evaluate(5, 7), field.evaluate(25, 17))
    np.testing.assert_allclose(part.wcs.pixel_to_sky([5], [7]), exposure.wcs.pixel_to_sky([25], [17]))
    part.pixels.image[:] = 0
    assert exposure.pixels.image[12, 22] != 0


def test_a_light_curve_has_the_nearest_source_of_each_visit_in_order_of_time(root):
    curve = skyloom.light_curve((RA, DEC), root=root)
    assert curve.visit.tolist() == [1, 0]
    assert curve.psfFlux.tolist() == [1001.0, 1000.0]
    assert curve.distance.tolist() == pytest.approx([0.2, 0.1], abs=1e-3)
    assert curve.mjd.is_monotonic_increasing


def test_differences_without_tables_or_that_failed_leave_an_empty_light_curve(root):
    write_table_tombstone(root / "dia_source/0/3.parquet", SOURCE, DataError("no template"), PROVENANCE)
    write_table(root / "dia_source/2/3.parquet", SOURCE.empty(), PROVENANCE)
    curve = skyloom.light_curve((RA, DEC), product="dia_source", root=root)
    assert len(curve) == 0
    assert "psfFlux" in curve.columns
    with pytest.raises(NothingThereError, match="the visits of"):
        skyloom.light_curve((10.0, 10.0), root=root)
