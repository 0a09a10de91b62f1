"""A Slurm of this machine for the session, and the tiny survey."""

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "workflow"))

import tiny_survey  # noqa: E402 (needs the path)
from cluster_support import Slurm  # noqa: E402

import slurm as slurm_tool  # noqa: E402

simulated, finished = tiny_survey.simulated, tiny_survey.finished


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A Slurm of two nodes; the test is skipped where there is none to start."""
    if os.geteuid() != 0:
        pytest.skip("the daemons of a one-machine Slurm need root")
    if missing := slurm_tool.missing_programs():
        pytest.skip(f"no {', '.join(missing)} on PATH, see tools/slurm.py")
    folder = tmp_path_factory.mktemp("cluster") / "slurm"
    slurm_tool.start(folder)
    yield Slurm(folder)
    slurm_tool.stop(folder)
