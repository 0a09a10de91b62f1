"""Tests of skyloom.workflow.process_memory."""

import subprocess
import sys
from pathlib import Path

import pytest

# Page faults of the last of some planes of 64 MB that come and go, in pages of 4 kB.
PROGRAM = """
import resource, sys
import numpy as np
from skyloom.workflow.process_memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    plane = np.empty((4096, 4096), dtype=np.float32)
    plane[::1, ::512] = 1
    del plane
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how):
    environment = {"PYTHONPATH": str(Path(__file__).parents[3] / "scripts"), "NUMPY_MADVISE_HUGEPAGE": "0"}
    command = [sys.executable, "-c", PROGRAM, how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has the choice")
def test_a_plane_takes_the_memory_of_the_one_before():
    assert page_faults("give back") > 10_000
    assert page_faults("keep") < 100
