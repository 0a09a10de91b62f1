"""Jobs that a dead run has left in Slurm: remembered when they are submitted, cancelled by the next run."""

import subprocess
import sys
import time
from pathlib import Path

from skyloom.core.errors import ConfigError

RECORD = Path(".snakemake") / "skyloom" / "slurm_runs"
ANSWER_S = 60
# Slurm gives a cancelled job KillWait (30 s) to end by itself.
END_S = 100
POLL_S = 1


class SlurmRunsError(ConfigError):
    """The jobs of a dead run could not be cancelled.

    Parameters
    ----------
    names : list of str
        Slurm job names of the runs.
    problem : str
        What went wrong.
    """

    def __init__(self, names, problem):
        super().__init__(
            f"an earlier run here gave Slurm jobs named {','.join(names)}, and what is left of them must end before "
            f"a new run starts, but {problem}; look with squeue --name {','.join(names)} on the cluster's login node. "
            f"If none is left, delete {RECORD}"
        )
        self.names, self.problem = names, problem


def remember_run(name):
    """Write down under which name this run's Slurm jobs go; before the first is submitted.

    Parameters
    ----------
    name : str
        Job name of all its jobs.
    """
    names = _remembered()
    if name not in names:
        RECORD.parent.mkdir(parents=True, exist_ok=True)
        RECORD.write_text("".join(f"{one}\n" for one in [*names, name]), encoding="utf-8")


def cancel_remembered_runs():
    """Cancel what earlier runs of this folder still have in Slurm, and wait for its end; for the lock's holder.

    Returns
    -------
    int
        Jobs that were cancelled.

    Raises
    ------
    SlurmRunsError
        When Slurm does not answer, or the jobs do not end.

    Notes
    -----
    Also running jobs are cancelled: they and their successors would write the same products.
    """
    names = _remembered()
    if not names:
        return 0
    jobs = _jobs(names)
    if jobs:
        sys.stderr.write(f"skyloom: cancelling {len(jobs)} Slurm job(s) of a dead run: {' '.join(jobs)}\n")
        _ask(names, "scancel", *jobs)
        deadline = time.monotonic() + END_S
        while left := _jobs(names):
            if time.monotonic() > deadline:
                raise SlurmRunsError(names, f"job(s) {' '.join(left)} have not ended {END_S} s after scancel")
            time.sleep(POLL_S)
    RECORD.unlink()
    return len(jobs)


def _remembered():
    """Names of the runs that submitted jobs and were not looked after since (list of str)."""
    return RECORD.read_text(encoding="utf-8").split() if RECORD.is_file() else []


def _jobs(names):
    """Numbers of the jobs of these names that wait, run or end (list of str)."""
    return _ask(names, "squeue", "--noheader", "--format=%i", "--name", ",".join(names)).split()


def _ask(names, *command):
    """Output of one of Slurm's commands."""
    try:
        done = subprocess.run(  # noqa: S603 (fixed words and Slurm's own numbers)
            command, capture_output=True, text=True, timeout=ANSWER_S, check=False
        )
    except FileNotFoundError:
        raise SlurmRunsError(names, f"there is no {command[0]} on this machine") from None
    except subprocess.TimeoutExpired:
        raise SlurmRunsError(names, f"{command[0]} gives no answer within {ANSWER_S} s") from None
    if done.returncode != 0:
        raise SlurmRunsError(names, f"{command[0]} says: {done.stderr.strip()}")
    return done.stdout
