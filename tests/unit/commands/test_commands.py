"""The command `skyloom` compares runs and describes products."""

import shutil

import numpy as np
import pytest

from skyloom.commands.main import main
from skyloom.core.errors import DataError
from skyloom.core.images import Exposure, ExposureInfo, MaskedImage
from skyloom.core.tables import Column, TableSchema
from skyloom.core.wcs import Wcs
from skyloom.io.exposures import write_exposure
from skyloom.io.fits_files import write_fits_tombstone
from skyloom.io.provenance import Provenance
from skyloom.io.tables import write_table, write_table_tombstone

POSITIONS = TableSchema(
    "positions",
    (
        Column("id", "int64", "", "Identity."),
        Column("kind", "string", "", "What it is."),
        Column("x", "float64", "pixel", "Column."),
        Column("flux", "float64", "nJy", "Flux at that moment."),
    ),
)

PROVENANCE = Provenance(rule="make_it", inputs=("raw/1.fits",))


class VeryBadError(DataError):
    """A named error for the tests."""


@pytest.fixture
def root(tmp_path):
    """Return an output root with an image, a table and a log."""
    pixels = MaskedImage(
        np.ones((8, 8), np.float32), np.zeros((8, 8), np.uint32), np.ones((8, 8), np.float32)
    )
    wcs = Wcs(np.array([1.0, 2.0]), np.array([4.0, 4.0]), np.eye(2) * 1e-4, shape=(8, 8))
    write_exposure(tmp_path / "one/calexp/1/0.fits", Exposure(pixels, ExposureInfo(), wcs), PROVENANCE)
    write_table(tmp_path / "one/src/1/0.parquet", POSITIONS.empty(), PROVENANCE)
    (tmp_path / "one/logs").mkdir()
    (tmp_path / "one/logs/a.log").write_text("now")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    (tmp_path / "two/logs/a.log").write_text("later")
    return tmp_path


def test_equal_runs_are_equal_whatever_their_logs_say(root, capsys):
    assert main(["compare", str(root / "one"), str(root / "two")]) == 0
    assert capsys.readouterr().out == "2 equal, 0 not\n"


def test_one_flipped_bit_is_refused_and_named(root, capsys):
    path = root / "two/calexp/1/0.fits"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert main(["compare", str(root / "one"), str(root / "two")]) == 1
    assert capsys.readouterr().out == "differs: calexp/1/0.fits\n1 equal, 1 not\n"


def test_a_file_that_one_run_lacks_is_named(root, capsys):
    (root / "two/src/1/0.parquet").unlink()
    (root / "two/src/1/1.parquet").write_bytes(b"x")
    assert main(["compare", str(root / "one"), str(root / "two")]) == 1
    shown = capsys.readouterr().out
    assert "only in the first: src/1/0.parquet" in shown
    assert "only in the second: src/1/1.parquet" in shown


def test_a_root_without_products_is_no_equal_run(root, capsys):
    assert main(["compare", str(root / "one"), str(root / "none")]) == 2
    assert "holds no products" in capsys.readouterr().err


def test_a_product_tells_what_it_is_and_where_it_comes_from(root, capsys):
    assert main(["show", str(root / "one/calexp/1/0.fits")]) == 0
    shown = capsys.readouterr().out
    assert "0.fits: OK" in shown
    assert "IMAGE                8 x 8" in shown
    assert "rule: make_it" in shown
    assert main(["show", str(root / "one/src/1/0.parquet")]) == 0
    assert "flux [nJy]: Flux at that moment." in capsys.readouterr().out


def test_a_tombstone_tells_why(root, capsys):
    write_fits_tombstone(root / "t.fits", VeryBadError("half of it is missing"), PROVENANCE)
    write_table_tombstone(root / "t.parquet", POSITIONS, VeryBadError("half of it is missing"), PROVENANCE)
    for name in ("t.fits", "t.parquet"):
        assert main(["show", str(root / name)]) == 0
        assert f"{name}: FAILED: VeryBad: half of it is missing" in capsys.readouterr().out


def test_a_file_that_is_no_product_ends_with_its_name(root, capsys):
    (root / "x.fits").write_bytes(b"not at all")
    assert main(["show", str(root / "x.fits")]) == 2
    assert "x.fits: is no complete FITS file" in capsys.readouterr().err
