"""Rule fit_visit_sky: calexps of a visit -> one sky of all its detectors, to be subtracted in place of their own."""

import logging

from skyloom.core.errors import UpstreamFailure
from skyloom.io.exposures import read_exposure
from skyloom.io.visit_sky import write_visit_sky
from skyloom.visit_sky.pipeline import fit_visit_sky, measure_cells
from skyloom.workflow import run_job

log = logging.getLogger(__name__)


def main(job):
    settings = job.params.settings["visit_sky"]
    detectors, failures = [], []
    for path in job.input.calexps:
        try:
            detectors.append(measure_cells(read_exposure(path), settings))
        except UpstreamFailure as failure:
            log.warning("skipped %s", failure)
            failures.append(failure)
    if not detectors:
        raise failures[0]
    sky = fit_visit_sky(detectors, settings)
    write_visit_sky(job.output.visit_sky, sky, job.provenance)


if __name__ == "__main__":
    run_job(main, snakemake)
