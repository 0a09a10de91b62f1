"""Rule associate_dia_sources: DIA sources of all visits -> DIA objects of a tract and their sources."""

import logging

from skyloom.association.pipeline import SOURCE_COLUMNS, associate_dia_sources
from skyloom.core.errors import UpstreamFailure
from skyloom.core.schemas import DIA_MATCH, dia_object_schema
from skyloom.core.sky_map import sky_map_from_settings
from skyloom.io.tables import read_table, write_table
from skyloom.workflow import run_job

log = logging.getLogger(__name__)


def main(job):
    tables = []
    for path in job.input.dia_sources:
        try:
            tables.append(read_table(path, list(SOURCE_COLUMNS)))
        except UpstreamFailure as failure:
            log.warning("skipped %s", failure)
    sky_map = sky_map_from_settings(job.params.sky_map)
    bands, settings = list(job.params.bands), job.params.settings["association"]
    objects, matches = associate_dia_sources(tables, int(job.wildcards.tract), sky_map, bands, settings)
    metadata = {"n_detector": len(tables), "n_skipped": len(job.input.dia_sources) - len(tables)}
    write_table(job.output.dia_object, objects, job.provenance, metadata)
    write_table(job.output.dia_match, matches, job.provenance, metadata)


if __name__ == "__main__":
    schemas = {"dia_object": dia_object_schema(snakemake.params.bands), "dia_match": DIA_MATCH}
    run_job(main, snakemake, schemas=schemas)
