"""The real Snakemake on a tiny simulated survey, made once a session and shared between the workers by hard links."""

import shutil
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from workflow_support import TINY, Snakemake, copy_run, made_once  # noqa: E402 (needs the path)


@pytest.fixture
def tiny(tmp_path):
    """Snakemake in a folder with the tiny survey's tables and nothing made."""
    shutil.copytree(TINY, tmp_path / "tiny")
    return Snakemake(tmp_path)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """Folder of the tiny survey with its raw frames and compiled kernels."""

    def make(folder):
        shutil.copytree(TINY, folder / "tiny")
        targets = ["results/kernels.done", *(f"results/raw/{visit}/0.fits" for visit in (11, 21))]
        Snakemake(folder).run(*targets, "--cores", "2")

    return made_once(tmp_path_factory, "simulated", make)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, simulated):
    """Folder of the tiny survey with the whole data release, undisturbed."""

    def make(folder):
        copy_run(simulated, folder)
        start = time.monotonic()
        Snakemake(folder).run("drp", "--cores", "2")
        (folder / "tiny" / "duration").write_text(str(time.monotonic() - start), encoding="utf-8")

    return made_once(tmp_path_factory, "finished", make)


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
