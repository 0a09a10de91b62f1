"""One living run a folder: the second is refused by name, the locks of the dead are removed."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from skyloom.workflow.lock import LOCK_FILE, RunIsAliveError, is_only_looking, take_lock

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
HOLDER = """
import time
from skyloom.workflow.lock import take_lock
descriptor = take_lock()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def holder(folder):
    """Another process that holds the lock of the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_a_second_run_is_refused_with_process_and_host(holder):
    with pytest.raises(
        RunIsAliveError, match=f"process {holder.pid} on host {socket.gethostname()}"
    ) as caught:
        take_lock()
    assert caught.value.owner["pid"] == holder.pid


def test_the_locks_of_a_killed_run_are_removed(holder, folder):
    locks = folder / ".snakemake" / "locks"
    (locks / "deeper").mkdir(parents=True)
    (locks / "0.input.lock").write_text("results/a\n", encoding="utf-8")
    with pytest.raises(RunIsAliveError):
        take_lock()
    assert (locks / "0.input.lock").exists()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    descriptor = take_lock()
    assert list(locks.iterdir()) == []
    assert json.loads(LOCK_FILE.read_text(encoding="utf-8"))["pid"] == os.getpid()
    os.close(descriptor)


def test_an_owner_that_has_not_yet_written_its_name_is_told_as_unknown(holder):
    LOCK_FILE.write_text("", encoding="utf-8")
    with pytest.raises(RunIsAliveError, match=r"process \? on host \?"):
        take_lock()


def test_children_do_not_inherit_the_lock(folder):
    descriptor = take_lock()
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)


@pytest.mark.parametrize(
    "line",
    [
        "drp -n",
        "drp -np",
        "-nk drp",
        "--dry-run",
        "--dryrun drp",
        "--lint",
        "--unlock",
        "--summary",
        "--dag",
        "--report r.html",
        "-S",
        "--list-rules",
    ],
)
def test_looking_needs_no_lock(line):
    assert is_only_looking(line.split())


@pytest.mark.parametrize(
    "line",
    [
        "drp",
        "drp -c1",
        "--cores 2 -k drp",
        "-p drp",
        "--configfile n",
        "--report r.html --report-after-run",
        "-Rnight",
    ],
)
def test_running_needs_the_lock(line):
    assert not is_only_looking(line.split())
