"""Rule summarize_visit: calexp and src of each detector -> a summary of the visit with a row a detector."""

from pathlib import Path

from skyloom.calibrate.visit_summary import failed_detector, summarize_detector, visit_summary
from skyloom.core.errors import UpstreamFailure
from skyloom.io.exposures import read_exposure
from skyloom.io.tables import read_table, write_table
from skyloom.workflow import run_job


def main(job):
    rows = []
    for calexp, src in zip(job.input.calexps, job.input.srcs, strict=True):
        try:
            rows.append(summarize_detector(read_exposure(calexp), read_table(src)))
        except UpstreamFailure as failure:
            # The file is named for its detector, which a tombstone does not hold.
            rows.append(failed_detector(int(Path(calexp).stem), failure.reason, failure.original_message))
    write_table(job.output.visit_summary, visit_summary(rows, job.params.visit), job.provenance)


if __name__ == "__main__":
    run_job(main, snakemake)
