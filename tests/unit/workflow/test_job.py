"""A job: dies with its parent, checks its library and threads, turns bad data into tombstones and bugs into records."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from named import Named

import skyloom
from skyloom.core.errors import DataError, UpstreamFailure
from skyloom.core.tables import Column, TableSchema
from skyloom.io.fits_files import read_fits_status
from skyloom.io.tables import read_table_status
from skyloom.workflow.fingerprint import Fingerprints
from skyloom.workflow.job import (
    FAILURE_FOLDER,
    PACKAGES,
    THREAD_VARIABLES,
    LibraryPathError,
    ThreadPinningError,
    make_job,
    provenance_of,
    run_job,
)
from skyloom.workflow.rule_names import night_rule

SCRIPTS = Path(skyloom.__file__).resolve().parents[1]
SCHEMA = TableSchema("src", (Column("visit", "int64", "", "Visit."),))


class NoStarsError(DataError):
    """Bad exposure of the tests."""


@pytest.fixture
def snakemake(tmp_path, monkeypatch):
    """What Snakemake gives to a script, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for variable in THREAD_VARIABLES:
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("SKYLOOM_HEAD", str(os.getppid()))
    monkeypatch.setattr("skyloom.workflow.job.die_with_parent", lambda: None)
    return SimpleNamespace(
        rule="calibrate_image",
        scriptdir=str(SCRIPTS),
        input=Named(raw="results/raw/11/0.fits", reference="/data/cat.parquet"),
        output=Named(calexp="results/calexp/11/0.fits", src="results/src/11/0.parquet"),
        params=Named(settings={"isr": {"a": 1}}, code="abc"),
        wildcards=Named(visit="11", detector="0"),
        log=["results/logs/calexp/11/0.log"],
        threads=1,
        config={"output_root": "results", "raw_root": "."},
    )


def raising(error):
    """Return a main function that raises."""

    def main(job):
        raise error

    return main


def test_main_gets_the_job_and_the_log_file_its_messages(snakemake):
    seen = []
    run_job(seen.append, snakemake)
    (job,) = seen
    assert job.input.raw == "results/raw/11/0.fits"
    assert job.wildcards.visit == "11"
    assert Path(job.log).is_file()


def test_a_data_error_becomes_the_tombstone_of_every_output(snakemake, capsys):
    run_job(raising(NoStarsError("found 2 stars, needs 10")), snakemake, schemas={"src": SCHEMA})
    assert read_fits_status("results/calexp/11/0.fits") == ("FAILED", "NoStars", "found 2 stars, needs 10")
    assert read_table_status("results/src/11/0.parquet") == ("FAILED", "NoStars", "found 2 stars, needs 10")
    lines = capsys.readouterr().err.splitlines()
    told = "NoStars: found 2 stars, needs 10 (see docs/errors.md#nostars)"
    assert f"skyloom: tombstone results/calexp/11/0.fits: {told}" in lines
    assert not FAILURE_FOLDER.exists()


def test_nothing_being_there_is_told_as_that(snakemake, capsys):
    error = UpstreamFailure("results/raw/11/0.fits", "NoOverlap", "0 pixels", status="EMPTY")
    run_job(raising(error), snakemake, schemas={"src": SCHEMA})
    assert read_fits_status("results/calexp/11/0.fits")[:2] == ("EMPTY", "NoOverlap")
    err = capsys.readouterr().err
    assert "skyloom: empty results/calexp/11/0.fits: NoOverlap: 0 pixels" in err
    assert "tombstone" not in err


def test_a_tombstone_upstream_keeps_the_first_reason(snakemake):
    error = UpstreamFailure("results/raw/11/0.fits", "TruncatedRaw", "file ends early")
    run_job(raising(error), snakemake, schemas={"src": SCHEMA})
    assert read_fits_status("results/calexp/11/0.fits")[1] == "TruncatedRaw"


def test_calibrations_fail_loudly(snakemake):
    with pytest.raises(NoStarsError):
        run_job(raising(NoStarsError("x")), snakemake, has_tombstones=False)
    assert not Path("results/calexp/11/0.fits").exists()


@pytest.mark.parametrize("error", [KeyError("fwhm"), OSError(28, "No space left on device")])
def test_a_bug_or_an_io_error_fails_the_job_and_leaves_a_record(snakemake, error):
    with pytest.raises(type(error)):
        run_job(raising(error), snakemake)
    (path,) = FAILURE_FOLDER.iterdir()
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["rule"] == "calibrate_image"
    assert record["wildcards"] == {"visit": "11", "detector": "0"}
    assert record["exception"].startswith(type(error).__name__)
    assert record["log"] == "results/logs/calexp/11/0.log"
    assert "in main" in record["where"]
    assert "Traceback" in Path(record["log"]).read_text(encoding="utf-8")
    run_job(lambda job: None, snakemake)
    assert list(FAILURE_FOLDER.iterdir()) == []


def test_temporary_files_of_a_killed_job_are_removed_and_no_others(snakemake):
    folder = Path("results/calexp/11")
    folder.mkdir(parents=True)
    for name in (".0.fits.123.part", ".1.fits.123.part", "1.fits"):
        (folder / name).touch()
    run_job(lambda job: None, snakemake)
    assert sorted(path.name for path in folder.iterdir()) == [".1.fits.123.part", "1.fits"]


def test_a_library_from_elsewhere_is_refused(snakemake, tmp_path):
    snakemake.scriptdir = str(tmp_path)
    with pytest.raises(LibraryPathError, match="needs to be below"):
        run_job(lambda job: None, snakemake)


@pytest.mark.parametrize("variable", THREAD_VARIABLES)
def test_unpinned_threads_are_refused(snakemake, monkeypatch, variable):
    monkeypatch.setenv(variable, "8")
    with pytest.raises(ThreadPinningError, match=f"{variable} is '8', needs 1"):
        run_job(lambda job: None, snakemake)


def test_provenance_is_relative_to_the_roots_and_knows_no_time(snakemake):
    first, second = provenance_of(snakemake), provenance_of(snakemake)
    assert first.to_json() == second.to_json()
    assert first.inputs == ("raw/11/0.fits", "cat.parquet")
    assert first.code == "abc"
    assert "numpy" in first.packages


def test_the_packages_of_a_product_are_those_that_a_job_imports():
    prints = Fingerprints(SCRIPTS, cache=None)
    rules = [path.stem for path in SCRIPTS.glob("*.py")]
    modules = {module for rule in rules for module in prints.modules_of(rule)}
    paths = [SCRIPTS.joinpath(*module.split(".")).with_suffix(".py") for module in modules]
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths if path.is_file())
    assert [
        name for name in PACKAGES if not re.search(rf"^\s*(import|from) {name}\b", text, re.MULTILINE)
    ] == []


def test_the_settings_hash_is_that_of_the_rule_alone(snakemake):
    before = provenance_of(snakemake).settings_hash
    snakemake.config["visit"] = 11
    assert provenance_of(snakemake).settings_hash == before
    snakemake.params = Named(settings={"isr": {"a": 2}}, code="abc")
    assert provenance_of(snakemake).settings_hash != before


def test_a_stand_in_job_has_the_names_that_a_script_asks_for():
    job = make_job("warp_visit", input={"calexps": ["a"]}, output={"warp": "b"}, threads=1)
    assert job.input.calexps == ["a"]
    assert job.output.warp == "b"
    assert job.provenance.rule == "warp_visit"


CHILD = """
import os, sys, time
os.environ["SKYLOOM_HEAD"] = sys.argv[1]
from skyloom.workflow.job import die_with_parent
die_with_parent()
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys, time
command = [sys.executable, "-c", sys.argv[1], str(os.getpid())]
command = ["sh", "-c", '"$@"; true', "sh", *command] if sys.argv[2] == "shell" else command
subprocess.Popen(command)
time.sleep(60)
"""


def is_running(pid):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("between", ["direct", "shell"])
def test_a_job_dies_with_its_snakemake_also_behind_a_shell(between):
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    command = [sys.executable, "-c", PARENT, CHILD, between]
    parent = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert is_running(child)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(child)


def test_a_job_that_starts_after_its_snakemake_died_leaves_at_once():
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(dead.pid)],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""


def test_the_rules_of_all_nights_have_one_name_in_the_provenance(snakemake):
    assert provenance_of(snakemake).rule == "calibrate_image"
    snakemake.rule = night_rule("n1")
    assert snakemake.rule == "simulate_night_n1"
    assert provenance_of(snakemake).rule == "simulate_night"
    snakemake.rule = "simulate_sky"
    assert provenance_of(snakemake).rule == "simulate_sky"
