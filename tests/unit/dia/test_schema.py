"""Our DIA tables carry Rubin's names, units and kinds wherever Rubin publishes the column."""

from pathlib import Path

import pytest
import yaml

from skyloom.core.schemas import DIA_SOURCE, dia_object_schema

# Rubin's type, and ours that hold its values.
KINDS = {
    "long": {"int64"},
    "short": {"int32"},
    "int": {"int32"},
    "float": {"float32", "float64"},
    "double": {"float64"},
    "boolean": {"bool"},
    "char": {"string"},
    "string": {"string"},
}
OWN_SOURCE = {
    f"pixelFlags_{name}"
    for name in ("sat_template", "sat_templateCenter", "high_variance", "inexact_psf", "halo")
}
OWN_OBJECT = {"tract"}


def published(table):
    """Return Rubin's columns of a table of apdb.yaml, by name."""
    schemas = pytest.importorskip("lsst.sdm.schemas", reason="the extra `rubin` is not installed")
    text = (Path(schemas.__file__).parent / "apdb.yaml").read_text(encoding="utf-8")
    tables = {t["name"]: t for t in yaml.safe_load(text)["tables"]}
    return {column["name"]: column for column in tables[table]["columns"]}


@pytest.mark.parametrize(
    ("ours", "theirs", "own"),
    [(DIA_SOURCE, "DiaSource", OWN_SOURCE), (dia_object_schema(["g", "r"]), "DiaObject", OWN_OBJECT)],
)
def test_columns_are_those_of_the_apdb(ours, theirs, own):
    columns = published(theirs)
    assert {c.name for c in ours.columns} - set(columns) == own
    for column in ours.columns:
        if column.name in own:
            continue
        rubin = columns[column.name]
        assert column.type in KINDS[rubin["datatype"]], column.name
        unit = rubin.get("fits:tunit") or rubin.get("ivoa:unit")
        assert unit in (None, column.unit), column.name
