"""Compares the disk and memory that a run needs with what is free, before its first job."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

try:
    import psutil
except ImportError:  # the Python that makes the environment has no packages
    psutil = None


@dataclass(frozen=True, slots=True)
class MemoryCgroup:
    """Files by which Linux tells the memory limit of a container or a batch job.

    Attributes
    ----------
    folder : Path
        Where they are.
    limit, used : str
        Files of one number [byte].
    reclaimable : tuple of str
        Lines of ``memory.stat`` [byte] that count as used but are given back as soon as a process needs them.
    """

    folder: Path
    limit: str
    used: str
    reclaimable: tuple[str, ...]


CGROUPS = (
    MemoryCgroup(
        Path("/sys/fs/cgroup"), "memory.max", "memory.current", ("inactive_file", "slab_reclaimable")
    ),
    MemoryCgroup(
        Path("/sys/fs/cgroup/memory"),
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        ("total_inactive_file",),
    ),
)
"""Version 2, then version 1, whose limit is a huge number where there is none."""
MEMINFO = Path("/proc/meminfo")
REMEDIES = {
    "disk": "free some, or set another output_root in config/config.yaml",
    "disk of .venv": "free some, or clone to another disk",
    "memory": "close other programs, or run with fewer cores (make demo CORES=1)",
}


def folder_bytes(folder):
    """Bytes of the files below `folder` (a path); 0 when it is not there."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def existing_parent(folder):
    """`folder`, or the nearest folder above it that is there."""
    folder = Path(folder).absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def free_disk_bytes(folder):
    """Free bytes of the file system that holds, or will hold, `folder`."""
    return shutil.disk_usage(existing_parent(folder)).free


def is_same_disk(folder, other):
    """Whether one file system holds, or will hold, both folders."""
    return existing_parent(folder).stat().st_dev == existing_parent(other).stat().st_dev


def free_memory_bytes():
    """Memory that new processes can have without swapping [byte]; a container's limit counts."""
    limits = [cgroup_free_bytes(cgroup) for cgroup in CGROUPS]
    return min([machine_free_bytes(), *(free for free in limits if free is not None)])


def machine_free_bytes():
    """Available memory of the machine [byte]; without psutil and /proc (macOS) all that it has."""
    if psutil is not None:
        return psutil.virtual_memory().available
    if MEMINFO.exists():
        return 1024 * numbers_of(MEMINFO)["MemAvailable:"]
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def cgroup_free_bytes(cgroup):
    """Bytes below a limit, reclaimable ones included; None where there is none."""
    limit_file = cgroup.folder / cgroup.limit
    if not limit_file.exists() or (limit := limit_file.read_text().strip()) == "max":
        return None
    stat_file = cgroup.folder / "memory.stat"
    counts = numbers_of(stat_file) if stat_file.exists() else {}
    reclaimable = sum(counts.get(name, 0) for name in cgroup.reclaimable)
    used = int((cgroup.folder / cgroup.used).read_text()) - reclaimable
    return int(limit) - max(used, 0)


def numbers_of(path):
    """Lines of a name and a number as a dict; a unit after them is left out."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {words[0]: int(words[1]) for words in lines}


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
