"""The only code that knows Snakemake: paths, tables of visits, targets, fingerprints, jobs and locks."""

from skyloom.workflow.job import make_job, run_job

__all__ = ["make_job", "run_job"]
