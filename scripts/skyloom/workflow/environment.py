"""What every job inherits from the Snakemake that starts it: threads, kernel cache, commit, and whom to die with."""

import os
import subprocess
from pathlib import Path

from skyloom.workflow.job import COMMIT_VARIABLE, HEAD_VARIABLE
from skyloom.workflow.kernel_cache import VARIABLE as KERNEL_CACHE_VARIABLE
from skyloom.workflow.kernel_cache import kernel_cache_folder

KERNEL_ENVIRONMENT = Path("envs") / "science.yaml"
"""Conda environment of the rules that have kernels, below the Snakefile's folder."""


def set_environment(home, kernel_fingerprint, *, in_conda=False):
    """Set the environment variables of this Snakemake's jobs.

    Parameters
    ----------
    home : str or Path
        Folder of the Snakefile.
    kernel_fingerprint : str
        From `Fingerprints.kernels`.
    in_conda : bool
        Whether the jobs run in their conda environments (``--sdm conda``).

    Notes
    -----
    Each Snakemake that reads the Snakefile, also those that a cluster starts for single jobs, sets them for
    its own children. Snakemake itself sets the other thread variables to the rule's threads; Numba reads its
    number once and no kernel is parallel, so it is one for all.
    """
    os.environ[HEAD_VARIABLE] = str(os.getpid())
    conda_environment = Path(home) / KERNEL_ENVIRONMENT if in_conda else None
    os.environ[KERNEL_CACHE_VARIABLE] = str(kernel_cache_folder(kernel_fingerprint, conda_environment))
    os.environ[COMMIT_VARIABLE] = git_commit(home)
    os.environ["NUMBA_NUM_THREADS"] = "1"
    os.environ["MPLBACKEND"] = "Agg"


def git_commit(home):
    """Return the git commit of a clone (str; empty outside one or without git).

    Parameters
    ----------
    home : str or Path
        The clone's folder.
    """
    if not (Path(home) / ".git").exists():
        return ""
    command = ["git", "-C", str(home), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (fixed words)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
