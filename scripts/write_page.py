"""Rule write_page: metrics, failures, shapes, pictures, methods and benchmarks -> the page and the costs as a table."""

from pathlib import Path

from skyloom.io.benchmarks import read_benchmarks
from skyloom.io.integrity import write_bytes
from skyloom.io.tables import read_table
from skyloom.report.machine import machine_table
from skyloom.report.metrics import tab_separated
from skyloom.report.page import PageParts, write_page
from skyloom.workflow.job import run_job
from skyloom.workflow.paths import PICTURES


def main(job):
    root = Path(job.output.page).parents[1]
    machine = machine_table(read_benchmarks(root, job.params.benchmarks))
    metrics, psf_shapes, failures = (
        read_table(getattr(job.input, name)) for name in ("metrics", "psf_shapes", "failures")
    )
    parts = PageParts(
        job.params.survey,
        metrics,
        psf_shapes,
        failures,
        machine,
        Path(job.input.methods).read_text(encoding="utf-8"),
        {name: Path(getattr(job.input, name)).read_bytes() for name in PICTURES},
    )
    write_bytes(job.output.page, write_page(parts).encode())
    write_bytes(job.output.machine, tab_separated(machine).encode())


if __name__ == "__main__":
    run_job(main, snakemake, has_tombstones=False)
