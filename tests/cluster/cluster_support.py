"""A one-machine Slurm as its users see it, and Snakemake that runs on it."""

import os
import subprocess
import time
from dataclasses import dataclass

import yaml
from workflow_support import HOME, Snakemake

import slurm as slurm_tool

# What a user's own file may say; here it asks Slurm often, and cuts groups so that two jobs of a kind run at once.
SITE = {
    "jobs": 4,
    "latency-wait": 20,
    "seconds-between-status-checks": 3,
    "slurm-init-seconds-before-status-checks": 3,
    "group-components": {
        "calibs": 1, "images": 3, "summaries": 9, "warps": 9, "coadds": 9, "objects": 9, "differences": 9,
        "tracts": 9,
    },
}  # fmt: skip


@dataclass(frozen=True)
class QueuedJob:
    """A line of squeue."""

    number: str
    state: str
    node: str
    comment: str


class Slurm:
    """The Slurm of one folder.

    Parameters
    ----------
    folder : Path
        Made by `slurm.start`.
    """

    def __init__(self, folder):
        self.folder = folder
        self.kill_node, self.start_node = slurm_tool.kill_node, slurm_tool.start_node

    def ask(self, program, *arguments, seconds=60):
        """Output of one of Slurm's clients, which must answer in time (str)."""
        command = [self.folder / "bin" / program, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds).stdout

    def queue(self):
        """Jobs that wait or run (list of QueuedJob)."""
        lines = self.ask("squeue", "--noheader", "--format=%i|%T|%N|%k").splitlines()
        return [QueuedJob(*line.split("|")) for line in lines]

    def running(self, rule):
        """Running jobs whose comment names a rule (list of QueuedJob)."""
        return [job for job in self.queue() if job.state == "RUNNING" and rule in job.comment]

    def nodes_in_service(self):
        """Names of the nodes that take jobs (set of str)."""
        return set(self.ask("sinfo", "-h", "-N", "-t", "idle,mixed,allocated", "-o", "%N").split())

    def records(self):
        """State and node of each job that ended, by its number, from Slurm's own record (dict of str to tuple)."""
        lines = self.ask("sacct", "-c", "-n", "-P", "-o", "jobid,state,nodelist").splitlines()
        return {number: (state.split()[0], node) for number, state, node in (one.split("|") for one in lines)}


class ClusterRun(Snakemake):
    """Snakemake on the tiny survey of one folder, its jobs on Slurm.

    Parameters
    ----------
    folder : Path
        Working folder.
    slurm : Slurm
        Where the jobs go.
    first_on_path : Path, optional
        Folder whose programs hide Slurm's.
    **site : object
        Keys of the user's own profile beside `SITE`.
    """

    def __init__(self, folder, slurm, first_on_path=None, **site):
        super().__init__(folder)
        self.path = [str(one) for one in (first_on_path, slurm.folder / "bin") if one is not None]
        (folder / "slurm").symlink_to(HOME / "profiles" / "slurm")
        keys = {name.replace("_", "-"): value for name, value in site.items()}
        (folder / "site.yaml").write_text(yaml.safe_dump({**SITE, **keys}), encoding="utf-8")

    def command(self, *arguments, **options):
        """Return the command line (list of str): a target, the cluster's profile, the user's own."""
        return super().command(*arguments, "--profile", "slurm", "--profile", "site.yaml", **options)

    def environment(self):
        """Return the environment of a user's shell (dict), Slurm's clients on its path."""
        inherited = super().environment()
        return inherited | {"PATH": os.pathsep.join([*self.path, inherited["PATH"]])}

    def text(self):
        """What the started run has printed (str)."""
        return (self.folder / "run.log").read_text(encoding="utf-8")


def wait_for(find, seconds=300, process=None):
    """Wait until a search finds something and return it; fail when it takes too long or the run ends before."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        assert process is None or process.poll() is None, "the run ended too early"
        time.sleep(0.3)
    return found
