"""Rule compile_kernels: library -> compiled kernels in the user's cache + marker."""

from skyloom.workflow import run_job
from skyloom.workflow.kernel_cache import fill_kernel_cache, write_marker


def main(job):
    write_marker(job.output.done, fill_kernel_cache())


if __name__ == "__main__":
    run_job(main, snakemake, has_tombstones=False)
