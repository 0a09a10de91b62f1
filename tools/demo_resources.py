"""Compares disk and memory that the demo needs with what is free: before the installation and before its first job.

``python tools/demo_resources.py --cores 2`` needs no package: tools/environment.sh starts it with the Python that is to
make .venv, before it fetches anything.
"""

import argparse
import re
import sys
from pathlib import Path

from free_resources import folder_bytes, free_disk_bytes, free_memory_bytes, is_same_disk, resource_lines

CONFIGURATION = Path("config/config.yaml")
ENVIRONMENT = Path(".venv")

# What the demo needs, measured on it: its products and its environment with a tenth to spare, memory with a third.
DISK_BYTES = 1_600_000_000
ENVIRONMENT_BYTES = 1_400_000_000
MEMORY_BYTES = 1_000_000_000
MEMORY_BYTES_PER_CORE = 1_000_000_000


def check_resources(say, output_root, n_core, environment=None):
    """Whether there is enough of everything; says what is needed and what is free.

    Parameters
    ----------
    say : callable
        Takes a line of text.
    output_root : Path
        Folder of the products; what an earlier run has written there is not needed again.
    n_core : int
        Cores that the demo will use.
    environment : Path, optional
        Folder of an environment that is still to be installed.

    Returns
    -------
    bool
        False when there is too little of something.
    """
    needed = {
        "disk": max(DISK_BYTES - folder_bytes(output_root), 0),
        "memory": MEMORY_BYTES + n_core * MEMORY_BYTES_PER_CORE,
    }
    free = {"disk": free_disk_bytes(output_root), "memory": free_memory_bytes()}
    if environment is not None:
        # A broken or outdated environment is removed first.
        to_install = max(ENVIRONMENT_BYTES - folder_bytes(environment), 0)
        if is_same_disk(output_root, environment):
            needed["disk"] += to_install
        else:
            needed["disk of .venv"], free["disk of .venv"] = to_install, free_disk_bytes(environment)
    for line in resource_lines(needed, free):
        say(line)
    return all(free[name] >= needed[name] for name in needed)


def configured_output_root(text):
    """Folder of the products in a configuration's text; a Python without packages reads no YAML."""
    found = re.search(r"^output_root:[ \t]*([^\s#]+)", text, re.MULTILINE)
    return Path(found[1].strip("\"'") if found else "results")


def main():
    """Check for the demo of this folder, its environment included, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cores", type=int, default=2, help="cores that the demo will use (%(default)s)")
    arguments = parser.parse_args()
    output_root = configured_output_root(CONFIGURATION.read_text(encoding="utf-8"))
    return 0 if check_resources(print, output_root, arguments.cores, ENVIRONMENT) else 1


if __name__ == "__main__":
    sys.exit(main())
