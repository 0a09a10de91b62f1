"""The real Snakemake on a tiny simulated survey, made once a session and shared between the workers by hard links."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

import tiny_survey  # noqa: E402 (needs the path)
from workflow_support import TINY, Snakemake, copy_run, made_once  # noqa: E402

simulated, finished = tiny_survey.simulated, tiny_survey.finished


@pytest.fixture
def tiny(tmp_path):
    """Snakemake in a folder with the tiny survey's tables and nothing made."""
    shutil.copytree(TINY, tmp_path / "tiny")
    return Snakemake(tmp_path)


@pytest.fixture(scope="session")
def real_survey(tmp_path_factory, finished):
    """Folder of the finished tiny survey as one of real frames, with its report."""

    def make(folder):
        copy_run(finished, folder)
        survey = folder / "tiny" / "survey.yaml"
        text = survey.read_text(encoding="utf-8").split("simulate:")[0]
        reference = "reference: {path: results/refcat/reference.parquet}"
        survey.write_text(f"{text}raw_root: results\n{reference}\n", encoding="utf-8")
        Snakemake(folder).run("report", "--cores", "2")

    return made_once(tmp_path_factory, "real", make)


@pytest.fixture
def simulated_run(simulated, tmp_path):
    """Snakemake in a copy of the simulated survey."""
    copy_run(simulated, tmp_path)
    return Snakemake(tmp_path)
