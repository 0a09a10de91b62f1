"""Starts Snakemake on a survey in a folder, for the benchmarks of whole runs."""

import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]


def run_snakemake(folder, *arguments):
    """Run Snakemake on this clone's Snakefile; what it says when it fails ends the benchmark.

    Parameters
    ----------
    folder : Path
        Working folder.
    *arguments : str
        Targets and options.

    Returns
    -------
    str
        What it printed.
    """
    command = [sys.executable, "-m", "snakemake", "-s", str(HOME / "Snakefile"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return done.stdout + done.stderr
