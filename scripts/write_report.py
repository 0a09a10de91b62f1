"""Rule write_report: products (+ truth) -> metrics and pictures."""

import logging

from skyloom.io.integrity import write_bytes
from skyloom.io.runs import RunReader
from skyloom.io.tables import write_table
from skyloom.report.pipeline import failure_lines, report
from skyloom.workflow.job import run_job

log = logging.getLogger(__name__)


def main(job):
    """Read, measure, write."""
    kinds = ("visit_summaries", "srcs", "calexps", "coadds", "diffs", "dia_sources", "truth_sources")
    run = RunReader(**{kind: getattr(job.input, kind) for kind in kinds})
    for line in failure_lines(run.visit_summary()):
        log.warning(line)
    metrics, pictures = report(
        run, job.params.bands, job.params.settings["report"], job.params.template_visits
    )
    for name, data in pictures.items():
        write_bytes(getattr(job.output, name), data)
    write_table(job.output.metrics, metrics, job.provenance)


if __name__ == "__main__":
    run_job(main, snakemake, has_tombstones=False)
