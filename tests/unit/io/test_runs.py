"""A finished run is read product by product, and tombstones count as missing."""

import numpy as np

from skyloom.core.calib_images import CalibImage
from skyloom.core.errors import DataError
from skyloom.core.images import Exposure, ExposureInfo, MaskedImage
from skyloom.core.psf import PixelPsf, gaussian_kernel
from skyloom.core.tables import Column, TableSchema
from skyloom.core.wcs import Wcs
from skyloom.io.calibs import write_calib
from skyloom.io.exposures import write_exposure
from skyloom.io.fits_files import write_fits_tombstone
from skyloom.io.provenance import Provenance
from skyloom.io.runs import RunReader
from skyloom.io.tables import write_table, write_table_tombstone

SCHEMA = TableSchema("table", (Column("a", "int64", "", "A."), Column("b", "int64", "", "B.")))


class LostError(DataError):
    """A named error for the test."""


def calib_file(root, kind, detector=0):
    path = root / "calib" / "e1" / kind / "none" / f"{detector}.fits"
    image = np.full((4, 4), 2.0, np.float32)
    calib = CalibImage(kind, image, np.ones_like(image), np.zeros((4, 4), bool), {"n_frame": 3})
    write_calib(path, calib, Provenance(rule=f"combine_{kind}"))
    return path


def object_files(root):
    """Return two object tables, of which the first is a tombstone."""
    lost, good = root / "object/1/0_0.parquet", root / "object/1/1_0.parquet"
    write_table_tombstone(lost, SCHEMA, LostError("gone"), Provenance(rule="measure_objects", version="old"))
    table = SCHEMA.table({"a": np.arange(3), "b": np.arange(3)})
    write_table(good, table, Provenance(rule="measure_objects", version="new"))
    return [lost, good]


def test_calibrations_are_named_by_their_path(tmp_path):
    run = RunReader(calibs=[calib_file(tmp_path, "bias"), calib_file(tmp_path, "dark", 1)])
    found = dict(run.calibs())
    assert list(found) == ["e1/bias/none/0", "e1/dark/none/1"]
    assert found["e1/dark/none/1"].info == {"n_frame": 3}
    assert list(RunReader().calibs()) == []


def test_objects_come_with_the_columns_that_are_asked_for(tmp_path):
    (table,) = RunReader(objects=object_files(tmp_path)).objects(["b"])
    assert table.column_names == ["b"]
    assert table.num_rows == 3


def test_each_rule_tells_its_provenance_once_and_tombstones_do_not(tmp_path):
    lost = tmp_path / "coadd/deep/r/1/0_0.fits"
    write_fits_tombstone(lost, LostError("gone"), Provenance(rule="assemble_coadd"))
    calibs = [calib_file(tmp_path, kind) for kind in ("bias", "dark")] + [calib_file(tmp_path, "bias", 1)]
    found = RunReader(calibs=calibs, objects=object_files(tmp_path), coadds=[lost]).provenances()
    assert [(record.rule, record.version) for record in found] == [
        ("combine_bias", ""), ("combine_dark", ""), ("measure_objects", "new"),
    ]  # fmt: skip


def test_coadds_are_named_by_their_path_without_those_that_are_lost(tmp_path):
    paths = [tmp_path / f"coadd/deep/{name}.fits" for name in ("r/2/1_0", "g/10/0_1", "g/2/0_0", "r/2/0_0")]
    write_fits_tombstone(paths[0], LostError("gone"), Provenance(rule="assemble_coadd"))
    for path in paths[1:]:
        pixels = MaskedImage(*(np.ones((6, 6), kind) for kind in (np.float32, np.uint32, np.float32)))
        psf = PixelPsf(gaussian_kernel(1.0, 5)[None].astype(np.float32), 0, (0, 6, 0, 6))
        wcs = Wcs(np.array([10.0, 20.0]), np.zeros(2), np.eye(2) * 1e-4)
        info = ExposureInfo(band=path.parts[-3])
        write_exposure(path, Exposure(pixels, info, wcs=wcs, psf=psf), Provenance())
    run = RunReader(coadds=paths)

    assert run.coadds() == [("g", 2, "0_0"), ("g", 10, "0_1"), ("r", 2, "0_0")]
    assert run.coadd("g", 10, "0_1").info.band == "g"
