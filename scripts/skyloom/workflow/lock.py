"""One living run a folder: our own lock, and the removal of the locks that a killed Snakemake left."""

import fcntl
import json
import os
import shutil
import socket
import sys
from pathlib import Path

from skyloom.core.errors import ConfigError

FOLDER = Path(".snakemake")
LOCK_FILE = FOLDER / "skyloom.lock"
# Options with which Snakemake only looks, so that it may do so beside a living run.
LOOKING_OPTIONS = (
    "--dry-run", "--dryrun", "--lint", "--unlock", "--summary", "--detailed-summary", "--dag", "--rulegraph",
    "--filegraph", "--d3dag", "--list-rules", "--list", "--list-target-rules", "--lt", "--list-changes",
    "--list-input-changes", "--list-params-changes", "--list-untracked", "--print-compilation", "--archive",
    "--containerize", "--list-conda-envs",
)  # fmt: skip
LOOKING_LETTERS = ("-S", "-D", "-l")
SWITCHES = frozenset("nkpfFq")


class RunIsAliveError(ConfigError):
    """Another Snakemake works in this folder.

    Parameters
    ----------
    owner : dict
        Its pid, host and command.
    """

    def __init__(self, owner):
        super().__init__(
            f"another run works in this folder: process {owner.get('pid', '?')} on host {owner.get('host', '?')} "
            f"({owner.get('command', '?')}); wait for its end, or end it there"
        )
        self.owner = owner


def is_only_looking(arguments):
    """Return whether a command line only looks at a workflow and runs no job.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``snakemake``.

    Returns
    -------
    bool
        True for dry runs, lint, reports, summaries, graphs and lists.
    """
    words = {argument.split("=")[0] for argument in arguments}
    if words & set(LOOKING_OPTIONS) or words & set(LOOKING_LETTERS):
        return True
    if "--report" in words and "--report-after-run" not in words:
        return True
    return any(word[:1] == "-" and "n" in word and set(word[1:]) <= SWITCHES for word in words)


def take_lock():
    """Become the one run of the working folder until this process ends.

    Returns
    -------
    int
        File descriptor that holds the lock; it must stay open. Children do not inherit it.

    Raises
    ------
    RunIsAliveError
        If another process holds it.

    Notes
    -----
    The kernel drops the lock when its process dies, whatever killed it, so whoever holds it knows that locks
    of Snakemake's in the folder are those of the dead, and removes them.
    """
    FOLDER.mkdir(exist_ok=True)
    descriptor = os.open(LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = _owner(descriptor)
        os.close(descriptor)
        raise RunIsAliveError(owner) from None
    text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "command": " ".join(sys.argv)[:200]})
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)
    _remove_stale_locks()
    return descriptor


def _owner(descriptor):
    """What the owner of the lock wrote into it; empty when it has not yet done so."""
    text = os.pread(descriptor, 4096, 0).decode(errors="replace")
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {}


def _remove_stale_locks():
    """Remove Snakemake's own locks; only for the holder of ours."""
    locks = FOLDER / "locks"
    if locks.is_dir():
        for path in locks.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
