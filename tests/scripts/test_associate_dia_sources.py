"""Script associate_dia_sources: tables of DIA sources on disk become objects and matches."""

import numpy as np
from stage_jobs import PROVENANCE, dia_sources_of, run

from skyloom.core.errors import DataError
from skyloom.core.schemas import DIA_SOURCE
from skyloom.core.tables import column
from skyloom.io.tables import read_table, write_table, write_table_tombstone


def test_objects_and_matches_are_written_and_tombstones_skipped(tmp_path):
    paths = [str(tmp_path / f"{visit}.parquet") for visit in (1, 2, 3)]
    for visit in (1, 2):
        write_table(paths[visit - 1], dia_sources_of(visit), PROVENANCE)
    write_table_tombstone(paths[2], DIA_SOURCE, DataError("no template"), PROVENANCE)
    outputs = {name: str(tmp_path / f"{name}.parquet") for name in ("dia_object", "dia_match")}

    run("associate_dia_sources", {"dia_sources": paths}, outputs, bands=["r"])

    objects, matches = (read_table(outputs[name]) for name in ("dia_object", "dia_match"))
    assert column(objects, "nDiaSources").tolist() == [2]
    np.testing.assert_array_equal(column(matches, "diaObjectId"), column(objects, "diaObjectId")[[0, 0]])
