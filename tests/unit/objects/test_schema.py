"""The object table has the names, types and units that Rubin publishes, where it publishes them."""

from pathlib import Path

import pytest
import yaml

from skyloom.core.schemas import object_schema

TYPES = {
    "double": "float64",
    "float": "float32",
    "long": "int64",
    "int": "int32",
    "boolean": "bool",
    "char": "string",
}
OURS = {"patchName", "detect_isPrimary"}


def test_columns_have_rubins_name_type_and_unit():
    schemas = pytest.importorskip("lsst.sdm.schemas", reason="the extra `rubin` is not installed")
    published = yaml.safe_load((Path(schemas.__path__[0]) / "dp1.yaml").read_text(encoding="utf-8"))
    (table,) = (table for table in published["tables"] if table["name"] == "Object")
    rubin = {column["name"]: column for column in table["columns"]}
    for column in object_schema(["r"]).columns:
        if column.name in OURS:
            continue
        theirs = rubin[column.name]
        assert (column.name, column.type) == (column.name, TYPES[theirs["datatype"]])
        assert (column.name, column.unit) == (
            column.name,
            theirs.get("fits:tunit") or theirs.get("ivoa:unit") or "",
        )


def test_every_band_has_the_same_columns_with_a_description():
    columns = object_schema(["g", "z"]).columns
    names = [column.name for column in columns]
    assert len(set(names)) == len(names)
    assert [name[2:] for name in names if name.startswith("g_")] == [
        name[2:] for name in names if name.startswith("z_")
    ]
    assert all(column.description for column in columns)
