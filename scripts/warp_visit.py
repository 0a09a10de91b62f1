"""Rule warp_visit: calexps of a visit -> the visit on the pixels of a patch."""

from skyloom.core.errors import UpstreamFailure
from skyloom.core.sky_map import sky_map_from_settings
from skyloom.io.exposures import read_exposure, write_exposure
from skyloom.io.visit_sky import read_visit_sky
from skyloom.warp.pipeline import warp_visit
from skyloom.workflow import run_job


def main(job):
    patch = sky_map_from_settings(job.params.sky_map).patch(int(job.wildcards.tract), job.wildcards.patch)
    visit_sky = read_visit_sky(job.input.visit_sky) if job.input.visit_sky else None
    calexps, failures = [], []
    for path in job.input.calexps:
        try:
            calexps.append(read_exposure(path, visit_sky))
        except UpstreamFailure as failure:
            failures.append(failure)
    if not calexps:
        raise failures[0]
    warp = warp_visit(calexps, patch, job.params.settings["warp"])
    write_exposure(job.output.warp, warp, job.provenance)


if __name__ == "__main__":
    run_job(main, snakemake)
