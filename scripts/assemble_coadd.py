"""Rule assemble_coadd: warps of a patch in one band -> coadd of one kind."""

import logging

from skyloom.coadd.pipeline import assemble_coadd
from skyloom.core.errors import UpstreamFailure, worst_of
from skyloom.core.sky_map import sky_map_from_settings
from skyloom.io.exposures import read_exposure, write_exposure
from skyloom.workflow import run_job

log = logging.getLogger(__name__)


def main(job):
    patch = sky_map_from_settings(job.params.sky_map).patch(int(job.wildcards.tract), job.wildcards.patch)
    warps, failures = [], []
    for path in job.input.warps:
        try:
            warps.append(read_exposure(path))
        except UpstreamFailure as failure:
            log.warning("skipped %s", failure)
            failures.append(failure)
    if failures and not warps:
        raise worst_of(failures)
    coadd = assemble_coadd(warps, patch, job.wildcards.kind, job.params.settings["coadd"])
    cards = {"NSKIPPED": (len(failures), "warps that were tombstones")}
    write_exposure(job.output.coadd, coadd, job.provenance, cards)


if __name__ == "__main__":
    run_job(main, snakemake)
