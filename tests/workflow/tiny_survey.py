"""The tiny survey's states that tests start from, each made once a session."""

import shutil
import time

import pytest
from workflow_support import TINY, Snakemake, copy_run, made_once


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
