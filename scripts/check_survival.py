"""Rule check_survival: visit summaries + DIA sources -> detectors lost, by reason; an error when too few survive."""

import json

from skyloom.io.tables import read_table, read_table_status, write_table
from skyloom.workflow import run_job
from skyloom.workflow.survival import COUNTS_KEY, check_survival, collect_failures

SUMMARY_COLUMNS = ["visit", "detector", "status", "reason", "message"]


def main(job):
    tables = [read_table(path, SUMMARY_COLUMNS) for path in job.input.visit_summaries]
    summaries = [row for table in tables for row in table.to_pylist()]
    pairs = [tuple(pair) for pair in job.params.dia_ids]
    statuses = dict(zip(pairs, map(read_table_status, job.input.dia_sources), strict=True))
    table, counts = collect_failures(summaries, statuses)
    check_survival(table, counts, job.params.settings["min_good_fraction"])
    write_table(job.output.failures, table, job.provenance, metadata={COUNTS_KEY: json.dumps(counts)})


if __name__ == "__main__":
    run_job(main, snakemake, has_tombstones=False)
