"""A survey on Slurm ends in the products of a local run, whatever is lost on the way."""

import re
import signal
from pathlib import Path

import pytest
from cluster_support import ClusterRun, wait_for
from workflow_support import assert_same_products, copy_run

MOST_JOBS = 15


def two_on_two_nodes(slurm, rule):
    """Find two running jobs of a rule on two nodes (list of QueuedJob, by node; empty before that)."""
    jobs = slurm.running(rule)
    return sorted(jobs, key=lambda job: job.node) if len({job.node for job in jobs}) == 2 else []


@pytest.mark.cluster
@pytest.mark.timeout(3600)
def test_a_lost_job_a_lost_node_and_a_lost_head_change_no_product(slurm, simulated, finished, tmp_path):
    copy_run(simulated, tmp_path)
    run = ClusterRun(tmp_path, slurm)

    earlier = slurm.records()
    head = run.start("drp")
    try:
        killed, on_dead_node = wait_for(lambda: two_on_two_nodes(slurm, "combine_bias"), 600, head)
        slurm.ask("scancel", "--signal=KILL", "--full", killed.number)
        slurm.kill_node(slurm.folder, on_dead_node.node)
        wait_for(lambda: slurm.records().get(on_dead_node.number, [""])[0] == "NODE_FAIL", 120, head)
        slurm.start_node(slurm.folder, on_dead_node.node)
        wait_for(lambda: slurm.running("calibrate_image"), 600, head)
    finally:
        head.send_signal(signal.SIGKILL)
        head.wait()
    queued, before = slurm.queue(), run.text()
    wait_for(lambda: slurm.nodes_in_service() == {"n1", "n2"}, 300)
    after = run.run("drp")

    assert_same_products(finished, tmp_path)
    records = {number: record for number, record in slurm.records().items() if number not in earlier}
    assert re.search(rf"Slurm job {killed.number}, calibs_\S+ \(3 jobs\): .*attempt 1 of 4: .* again", before)
    assert re.search(rf"Slurm job {on_dead_node.number}, .*node failure.*attempt 1 of 4: .* again", before)
    assert re.search(r"cancelling \d Slurm job\(s\) of a dead run", after)
    assert "CANCELLED" in {records[job.number][0] for job in queued}
    completed = [node for state, node in records.values() if state == "COMPLETED"]
    assert set(completed) == {"n1", "n2"}
    assert 9 <= len(completed) <= len(records) <= MOST_JOBS, records
    assert slurm.queue() == []


@pytest.mark.cluster
@pytest.mark.timeout(600)
def test_log_files_are_where_the_profile_says(slurm, finished, tmp_path):
    copy_run(finished, tmp_path)
    target = "results/dia_object/1.parquet"
    (tmp_path / target).unlink()
    run = ClusterRun(tmp_path, slurm, slurm_keep_successful_logs=True)
    run.run(target)
    (log,) = (tmp_path / "slurm_logs").rglob("*.log")
    assert log.parent.name == "group_tracts_associate_dia_sources"
    assert log.stem in slurm.records()
    assert Path(tmp_path, "results/logs/dia_object/1.log").is_file()
