"""A stand-in for conda, and a Snakemake that has nothing beside itself, for the session."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "workflow"))

import conda_stand_in  # noqa: E402 (needs the path)
from environment_support import CondaSnakemake  # noqa: E402 (needs the path)
from workflow_support import TINY, copy_run, made_once  # noqa: E402

# What the Snakefile imports before any job; a job must find all else in its own environment.
HEAD = ("snakemake", "numpy", "pyarrow", "pyyaml", "jsonschema", "xxhash")


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    """Folder of the stand-in for conda and of Snakemake's own environment."""

    def make(folder):
        conda_stand_in.install(folder / "conda")
        conda_stand_in.make_venv(folder / "head", HEAD)
        found = subprocess.run(
            [folder / "head" / "bin" / "python", "-c", "import numba"], capture_output=True, check=False
        )
        assert found.returncode != 0, "the test would not see what an environment lacks"

    return made_once(tmp_path_factory, "machine", make)


@pytest.fixture(scope="session")
def conda_run(tmp_path_factory, machine):
    """Folder of the tiny survey, made with each rule in its own environment."""

    def make(folder):
        (folder / "tiny").symlink_to(TINY)
        CondaSnakemake(folder, machine).run("drp", "report", "--cores", "2")

    return made_once(tmp_path_factory, "conda", make)


@pytest.fixture
def copied_run(tmp_path, conda_run):
    """Folder with a copy of the finished survey."""
    copy_run(conda_run, tmp_path)
    return tmp_path
