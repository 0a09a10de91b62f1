"""Script associate_dia_sources: tables of DIA sources on disk become objects and matches."""

import importlib.util
from pathlib import Path

import numpy as np

from skyloom.core.errors import DataError
from skyloom.core.ids import source_ids
from skyloom.core.schemas import DIA_SOURCE
from skyloom.core.tables import column
from skyloom.io.provenance import Provenance
from skyloom.io.tables import read_table, write_table, write_table_tombstone
from skyloom.workflow.job import make_job

SCRIPT = Path(__file__).parents[2] / "scripts" / "associate_dia_sources.py"
SKY_MAP = {
    "kind": "grid",
    "pixel_scale": 0.2,
    "patch_inner": 1000,
    "patch_border": 50,
    "tracts": [{"tract": 1, "ra": 150.0, "dec": 2.0, "patches": [1, 1]}],
}


def sources_of(visit):
    """Return one DIA source of a visit."""
    kinds = {"bool": [False], "string": ["r"], "int32": [0], "int64": [0], "float32": [1.0], "float64": [1.0]}
    values = {c.name: kinds[c.type] for c in DIA_SOURCE.columns}
    values |= {"ra": [150.0], "dec": [2.0], "raErr": [1e-5], "decErr": [1e-5], "visit": [visit]}
    return DIA_SOURCE.table(values | {"diaSourceId": source_ids(visit, 0, 1)})


def test_objects_and_matches_are_written_and_tombstones_skipped(tmp_path):
    spec = importlib.util.spec_from_file_location("associate_dia_sources", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    paths = [str(tmp_path / f"{visit}.parquet") for visit in (1, 2, 3)]
    for visit in (1, 2):
        write_table(paths[visit - 1], sources_of(visit), Provenance("test"))
    write_table_tombstone(paths[2], DIA_SOURCE, DataError("no template"), Provenance("test"))
    outputs = {name: str(tmp_path / f"{name}.parquet") for name in ("dia_object", "dia_match")}

    script.main(
        make_job(
            "associate_dia_sources",
            input={"dia_sources": paths},
            output=outputs,
            wildcards={"tract": "1"},
            params={"settings": {"association": {"radius_arcsec": 1.0}}, "sky_map": SKY_MAP, "bands": ["r"]},
        )
    )

    objects, matches = (read_table(outputs[name]) for name in ("dia_object", "dia_match"))
    assert column(objects, "nDiaSources").tolist() == [2]
    np.testing.assert_array_equal(column(matches, "diaObjectId"), column(objects, "diaObjectId")[[0, 0]])
