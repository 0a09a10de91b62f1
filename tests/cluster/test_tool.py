"""tools/slurm.py says what is missing, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import slurm as slurm_tool

TOOL = Path(slurm_tool.__file__)


def run_tool(*arguments, **variables):
    """Run the tool (CompletedProcess)."""
    return subprocess.run(
        [sys.executable, TOOL, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_missing_programs_are_told_with_the_packages_to_install(tmp_path):
    done = run_tool("start", str(tmp_path / "slurm"), PATH=str(tmp_path))
    assert done.returncode == 1
    assert "no munged, slurmctld, slurmd, sacct" in done.stderr
    assert "apt-get install --no-install-recommends munge slurmctld slurmd" in done.stderr
    assert not (tmp_path / "slurm").exists()


def test_a_folder_of_other_things_is_not_removed(tmp_path):
    (tmp_path / "thesis.tex").touch()
    done = run_tool("stop", str(tmp_path))
    assert done.returncode == 1
    assert "holds no Slurm of tools/slurm.py" in done.stderr
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.cluster
def test_what_start_made_stop_removes_whole_with_jobs_that_run(slurm, tmp_path):
    # The fixture `slurm` has seen that it can be started; this one stands beside it.
    folder = tmp_path / "second"
    assert run_tool("start", str(folder)).returncode == 0
    assert "there already" in run_tool("start", str(folder)).stderr
    pids = [int(path.read_text()) for path in folder.glob("*.pid")]
    subprocess.run(
        [folder / "bin" / "sbatch", "--mem=50", "--wrap=sleep 600", "--output=/dev/null"],
        check=True,
        capture_output=True,
    )
    assert run_tool("stop", str(folder)).returncode == 0
    assert not folder.exists()
    assert len(pids) == 4
    living = [pid for pid in pids if Path(f"/proc/{pid}/stat").exists()]
    assert all("Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2] for pid in living)
