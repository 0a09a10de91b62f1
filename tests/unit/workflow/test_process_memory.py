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

# Searches for cycles while a job makes 20,000 objects, and what becomes of one that it leaves.
COLLECTING_PROGRAM = """
import gc, sys, weakref
from skyloom.workflow.process_memory import NEW_OBJECTS, spare_the_collector

class Node:
    pass

if sys.argv[1] == "spare":
    spare_the_collector()
before = gc.get_stats()[0]["collections"]
made = [Node() for _ in range(20_000)]
print(gc.get_stats()[0]["collections"] - before)
if sys.argv[1] == "spare":
    node = Node()
    node.itself = node
    left = weakref.ref(node)
    del node
    made = [Node() for _ in range(2 * NEW_OBJECTS)]
    assert left() is None
"""


def run_program(program, how):
    environment = {"PYTHONPATH": str(Path(__file__).parents[3] / "scripts"), "NUMPY_MADVISE_HUGEPAGE": "0"}
    command = [sys.executable, "-c", program, how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has the choice")
def test_a_plane_takes_the_memory_of_the_one_before():
    assert run_program(PROGRAM, "give back") > 10_000
    assert run_program(PROGRAM, "keep") < 100


def test_cycles_are_looked_for_rarely_and_found_all_the_same():
    assert run_program(COLLECTING_PROGRAM, "leave") > 10
    assert run_program(COLLECTING_PROGRAM, "spare") == 0
