"""Rule measure_objects: deep coadds of all bands of a patch -> table of its objects."""

import logging

from skyloom.core.errors import UpstreamFailure, worst_of
from skyloom.core.schemas import object_schema
from skyloom.core.sky_map import sky_map_from_settings
from skyloom.io.exposures import read_exposure
from skyloom.io.tables import write_table
from skyloom.objects.pipeline import measure_objects
from skyloom.workflow import run_job

log = logging.getLogger(__name__)


def main(job):
    sky_map = sky_map_from_settings(job.params.sky_map)
    patch = sky_map.patch(int(job.wildcards.tract), job.wildcards.patch)
    coadds, failures = {}, []
    for band, path in zip(job.params.coadd_bands, job.input.coadds, strict=True):
        try:
            coadds[band] = read_exposure(path)
        except UpstreamFailure as failure:
            log.warning("skipped %s", failure)
            failures.append(failure)
    if failures and not coadds:
        raise worst_of(failures)
    table = measure_objects(coadds, patch, sky_map, list(job.params.bands), job.params.settings["objects"])
    metadata = {"n_coadd": len(coadds), "n_skipped": len(failures)}
    write_table(job.output.object, table, job.provenance, metadata=metadata)


if __name__ == "__main__":
    run_job(main, snakemake, schemas={"object": object_schema(snakemake.params.bands)})
