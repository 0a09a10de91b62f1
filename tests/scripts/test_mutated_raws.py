"""Damaged raw frames: each ends as a good product or as a named row of the visit summary, within limits."""

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

import mutated_raw_jobs
import numpy as np
import pytest
from pyarrow import parquet

from skyloom.core.errors import DataError

PROGRAM = Path(mutated_raw_jobs.__file__)
N_FORM = 7
# A frame that passes for good was hardly damaged: its zero point and seeing stay those of the simulation.
ZERO_POINT_MAG, SEEING_ARCSEC = (27.0, 37.0), (0.3, 3.0)


def environment():
    """Environment of the program: a job refuses libraries that are not pinned to its threads."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SKYLOOM_HEAD")}
    paths = (str(PROGRAM.parent), str(mutated_raw_jobs.SCRIPTS))
    return kept | mutated_raw_jobs.PINNED | {"PYTHONPATH": os.pathsep.join(paths)}


def outcomes_of(folder, first, count):
    """What became of the good frames and of damaged ones (two lists of dict)."""
    command = [sys.executable, str(PROGRAM), str(folder), str(first), str(count)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == N_FORM + count
    return lines[:N_FORM], lines[N_FORM:]


def known_reasons(family=DataError):
    """Reasons that a tombstone may give: the named errors of data."""
    names = {family.__name__.removesuffix("Error")}
    return names.union(*(known_reasons(member) for member in family.__subclasses__()))


def row_of(folder, outcome):
    """Row of the visit summary of one frame; the job must have come to its end."""
    assert not outcome["end"], f"seed {outcome['number'] - mutated_raw_jobs.FIRST_DAMAGED}: {outcome}"
    path = folder / "results" / "visit_summary" / f"{outcome['number']}.parquet"
    (row,) = parquet.read_table(path).to_pylist()
    assert row["visit"] == outcome["number"]
    return row


def check_row(row, outcome, reasons):
    """Whether a row is that of a good frame, or says what is wrong."""
    if row["status"] == "OK":
        # Few stars tell nothing of how the zero point varies, and no colour term is asked for.
        unknown = ("zeroPointVariation", "psfSizeColourSlope")
        known = {name: value for name, value in row.items() if name not in unknown}
        values = [value for value in known.values() if isinstance(value, float)]
        assert np.isfinite(values).all(), (outcome, row)
        assert ZERO_POINT_MAG[0] < row["zeroPoint"] < ZERO_POINT_MAG[1], (outcome, row)
        assert SEEING_ARCSEC[0] < row["seeing"] < SEEING_ARCSEC[1], (outcome, row)
    else:
        assert row["status"] == "FAILED", (outcome, row)
        assert row["reason"] in reasons, (outcome, row)
        assert len(row["message"]) > 20, (outcome, row)
        assert row["message"].isprintable(), (outcome, row)


def check_frames(folder, count):
    """Damage `count` frames and look at each of their rows."""
    good, damaged = outcomes_of(folder, 0, count)
    # What the jobs import defines the errors that they may name.
    for name in ("calibrate_image", "summarize_visit"):
        mutated_raw_jobs.script(name)
    reasons = known_reasons()
    assert [row_of(folder, outcome)["reason"] for outcome in good] == [""] * N_FORM
    rows = [row_of(folder, outcome) for outcome in damaged]
    for row, outcome in zip(rows, damaged, strict=True):
        check_row(row, outcome, reasons)
    assert not list(folder.rglob("*.part"))
    counts = collections.Counter(row["reason"] or "good" for row in rows)
    normal = max(outcome["peak_bytes"] for outcome in good)
    above = max(outcome["peak_bytes"] for outcome in damaged) - normal
    sys.stdout.write(f"{counts.most_common()}; {sum(outcome['cpu_s'] for outcome in damaged):.0f} CPU s, ")
    sys.stdout.write(f"at most {max(outcome['cpu_s'] for outcome in damaged):.1f} CPU s a job ")
    sys.stdout.write(f"and {above / 1024**2:.0f} MB above a good frame's\n")
    return counts


@pytest.mark.slow
def test_200_damaged_frames_are_good_or_named(tmp_path):
    counts = check_frames(tmp_path, 200)
    # The damage reaches every depth: file, structure, content of the pixels, and what comes after.
    assert {"good", "TruncatedRaw", "CorruptRaw", "MissingPlane", "AstrometryMatch"} <= set(counts)
    assert max(counts.values()) < 120


@pytest.mark.soak
@pytest.mark.timeout(7200)  # five minutes of an idle machine
def test_2000_damaged_frames_are_good_or_named(tmp_path):
    check_frames(tmp_path, 2000)


FAULTS = """
import json, os, sys
import mutated_raw_jobs as jobs
jobs.CPU_LIMIT_S = 1

class Faulty(jobs.Jobs):
    def __init__(self, folder):
        from pathlib import Path
        self.folder, self.memory_limit = Path(folder), 2 * 1024**3

    def run(self, number, layout, content):
        getattr(self, layout)()

    def nothing(self):
        pass

    def bug(self):
        {}["key"]

    def crash(self):
        os.abort()

    def memory(self):
        bytearray(2 * 1024**3)

    def hang(self):
        while True:
            pass

faulty = Faulty(sys.argv[1])
for fault in ("nothing", "bug", "crash", "memory", "hang"):
    print(json.dumps(faulty.forked(0, fault, b"")["end"]))
"""


def test_a_bug_a_crash_a_hang_and_a_full_memory_are_each_found(tmp_path):
    command = [sys.executable, "-c", FAULTS, str(tmp_path)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    nothing, bug, crash, memory, hang = (json.loads(line) for line in done.stdout.splitlines())
    assert nothing == ""
    assert bug.startswith("exit 1")
    assert "KeyError: 'key'" in bug
    assert crash.startswith("signal SIGABRT")
    assert memory.startswith("exit 1")
    assert "MemoryError" in memory
    assert hang.startswith(("signal SIGKILL", "signal SIGXCPU"))
