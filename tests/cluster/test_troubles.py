"""Slurm's troubles end in a retry or in a message; none hangs."""

import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from cluster_support import ClusterRun, wait_for
from workflow_support import copy_run

import slurm as slurm_tool

# A job of half a second, and one of three.
QUICK = "results/dia_object/1.parquet"
IMAGE = "results/calexp/11/0.fits"
# Beside the 2 minutes that a message may take: the start of Snakemake on a busy machine.
PATIENCE_S = 240


@pytest.fixture
def run_without(slurm, finished, tmp_path):
    """Give a run on Slurm in a copy of the finished survey that lacks one product."""

    def give(product, **site):
        copy_run(finished, tmp_path)
        (tmp_path / product).unlink()
        return ClusterRun(tmp_path, slurm, **site)

    return give


@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_what_sbatch_refuses_ends_the_run_with_its_words(run_without):
    run = run_without(QUICK, default_resources={"slurm_partition": "nowhere"})
    start = time.monotonic()
    text = run.run(QUICK, succeeds=False)
    assert time.monotonic() - start < PATIENCE_S
    assert "invalid partition specified: nowhere" in text
    assert "attempt 4 of 4: no attempt is left" in text
    assert "invalid partition specified: nowhere" in text.rpartition("skyloom: a job failed")[2]


@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_an_accounting_that_never_answers_is_not_waited_for(run_without, tmp_path):
    hanging = tmp_path / "hanging"
    hanging.mkdir()
    for program in ("sacct", "sacctmgr", "sshare"):
        (hanging / program).write_text("#!/bin/sh\nexec sleep 3600\n", encoding="utf-8")
        (hanging / program).chmod(0o755)
    start = time.monotonic()
    run = run_without(QUICK, first_on_path=hanging)
    run.run(QUICK)
    assert time.monotonic() - start < PATIENCE_S


@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_a_head_inside_a_slurm_job_submits_its_own(run_without, slurm, tmp_path):
    run = run_without(QUICK)
    command = " ".join(run.command(QUICK))
    program = tmp_path / "head.sh"
    program.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
    environment = run.environment()
    slurm.ask(
        "sbatch", "--wait", "--mem=500", "--chdir", str(tmp_path), "--output", str(tmp_path / "run.log"),
        f"--export=ALL,PATH={environment['PATH']}", str(program), seconds=PATIENCE_S,
    )  # fmt: skip
    assert (tmp_path / QUICK).is_file(), run.text()
    assert "has been submitted with SLURM jobid" in run.text()


@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_a_controller_that_comes_back_finds_the_run_waiting(run_without, slurm):
    run = run_without(IMAGE)
    head = run.start(IMAGE)
    try:
        wait_for(lambda: slurm.running("calibrate_image"), PATIENCE_S, head)
        slurm_tool.end_daemon(slurm.folder / "slurmctld.pid")
        wait_for(lambda: "Slurm does not say how its jobs are" in run.text(), PATIENCE_S, head)
        slurm_tool.start_controller(slurm.folder)
        assert head.wait(PATIENCE_S) == 0, run.text()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGKILL)
    assert (run.folder / IMAGE).is_file()


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_job_over_its_memory_is_killed_and_gets_more(run_without, slurm):
    run = run_without(IMAGE, set_resources={"calibrate_image": {"mem_mb": "200 * attempt"}})
    before = set(slurm.records())
    text = run.run(IMAGE)
    states = [state for number, (state, _) in slurm.records().items() if number not in before]
    assert states[0] == "FAILED"
    assert states[-1] == "COMPLETED"
    assert re.search(r"Slurm job \d+, images_calibrate_image \(1 jobs\): .*attempt 1 of 4: .* again", text)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_job_over_its_time_is_killed_and_gets_more(run_without, slurm):
    run = run_without(IMAGE, set_resources={"calibrate_image": {"runtime": "attempt"}})
    head = run.start(IMAGE)
    try:
        (job,) = wait_for(lambda: slurm.running("calibrate_image"), PATIENCE_S, head)
        stop_processes(job.number)
        wait_for(lambda: slurm.records().get(job.number, [""])[0] == "TIMEOUT", PATIENCE_S, head)
        assert head.wait(3 * PATIENCE_S) == 0, run.text()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGKILL)
    assert re.search(rf"Slurm job {job.number}, .*'TIMEOUT'.*attempt 1 of 4: .* again", run.text())


def stop_processes(job):
    """Let the processes of a Slurm job stand still, so that it runs into its limit of time."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"SLURM_JOB_ID={job}".encode() in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGSTOP)
