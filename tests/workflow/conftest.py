"""The real Snakemake on a tiny simulated survey, made once a session and shared between the workers by hard links."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

import tiny_survey  # noqa: E402 (needs the path)
from workflow_support import TINY, Snakemake, copy_run  # noqa: E402

simulated, finished = tiny_survey.simulated, tiny_survey.finished


@pytest.fixture
def tiny(tmp_path):
    """Snakemake in a folder with the tiny survey's tables and nothing made."""
    shutil.copytree(TINY, tmp_path / "tiny")
    return Snakemake(tmp_path)


@pytest.fixture
def simulated_run(simulated, tmp_path):
    """Snakemake in a copy of the simulated survey."""
    copy_run(simulated, tmp_path)
    return Snakemake(tmp_path)
