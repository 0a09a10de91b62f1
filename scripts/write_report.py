"""Rule write_report: products (+ truth) -> metrics, shapes of the PSF, pictures, methods and papers."""

import json
import logging

from skyloom.io.integrity import write_bytes
from skyloom.io.runs import RunReader
from skyloom.io.tables import read_table, read_table_metadata, write_table
from skyloom.report.methods import citations_text, methods_text
from skyloom.report.metrics import tab_separated
from skyloom.report.pipeline import SurveyFacts, failure_lines, report
from skyloom.workflow.job import run_job
from skyloom.workflow.survival import COUNTS_KEY

log = logging.getLogger(__name__)

KINDS = (
    "calibs", "visit_summaries", "srcs", "calexps", "coadds", "objects", "diffs", "dia_sources", "dia_objects",
    "truth_sources",
)  # fmt: skip


def main(job):
    """Read, measure, write."""
    run = RunReader(**{kind: getattr(job.input, kind) for kind in KINDS})
    for line in failure_lines(run.visit_summary()):
        log.warning(line)
    counts = json.loads(read_table_metadata(job.input.failures)[2][COUNTS_KEY.encode()])
    facts = SurveyFacts(job.params.bands, job.params.template_visits, job.params.calib_ages)
    made = report(run, (read_table(job.input.failures), counts), facts, job.params.settings["report"])
    for name, data in made.pictures.items():
        write_bytes(getattr(job.output, name), data)
    write_table(job.output.metrics, made.metrics, job.provenance)
    write_bytes(job.output.metrics_text, tab_separated(made.metrics).encode())
    write_table(job.output.psf_shapes, made.psf_shapes, job.provenance)
    provenances = [*run.provenances(), job.provenance]
    write_bytes(job.output.methods, methods_text(provenances).encode())
    write_bytes(job.output.citations, citations_text(provenances).encode())


if __name__ == "__main__":
    run_job(main, snakemake, has_tombstones=False)
