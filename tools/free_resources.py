"""Compares the disk and memory that a run needs with what is free, before its first job."""

import shutil
from pathlib import Path

import psutil

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
REMEDIES = {
    "disk": "free some, or set another output_root in config/config.yaml",
    "memory": "close other programs, or run with fewer cores (make demo CORES=1)",
}
CGROUP_USED = Path("/sys/fs/cgroup/memory.current")


def folder_bytes(folder):
    """Bytes of the files below `folder` (a path); 0 when it is not there."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def free_disk_bytes(folder):
    """Free bytes of the file system that holds, or will hold, `folder`."""
    folder = Path(folder).absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def free_memory_bytes():
    """Memory that new processes can have without swapping [byte]; a container's limit counts."""
    free = psutil.virtual_memory().available
    if CGROUP_LIMIT.exists() and (limit := CGROUP_LIMIT.read_text().strip()) != "max":
        free = min(free, int(limit) - int(CGROUP_USED.read_text()))
    return free


def resource_lines(needed, free):
    """What is needed beside what is free, in words.

    Parameters
    ----------
    needed, free : dict of str to int
        Bytes needed and bytes free for the same names, such as ``disk`` and ``memory``.

    Returns
    -------
    list of str
        One line for each name; it says what to do where less is free than needed.
    """
    lines = []
    for name in needed:
        line = f"{name}: {format_bytes(needed[name])} needed, {format_bytes(free[name])} free"
        lines.append(line if free[name] >= needed[name] else f"{line}: TOO LITTLE, {REMEDIES[name]}")
    return lines


def format_bytes(n_bytes):
    """A size for people: ``0.4 GB``."""
    return f"{n_bytes / 1e9:.1f} GB"
