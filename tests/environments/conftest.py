"""A stand-in for conda, and a Snakemake that has nothing beside itself, for the session."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "workflow"))

import conda_stand_in  # noqa: E402 (needs the path)
from workflow_support import HOME, TINY, Snakemake, copy_run, made_once  # noqa: E402

# What the Snakefile imports before any job; a job must find all else in its own environment.
HEAD = ("snakemake", "numpy", "pyarrow", "pyyaml", "jsonschema")


class CondaSnakemake(Snakemake):
    """Snakemake of an environment without the science, with the stand-in as its conda.

    Parameters
    ----------
    folder : Path
        Working folder.
    machine : Path
        Folder of the stand-in, of Snakemake's environment and of the rules' ones.
    home : Path
        Folder of the Snakefile.
    """

    def __init__(self, folder, machine, home=HOME):
        super().__init__(folder, home)
        self.machine = machine

    def command(self, *arguments, **options):
        """Return the command line (list of str), jobs in their environments."""
        _, *words = super().command(*arguments, "--sdm", "conda", "--conda-prefix", self.prefix, **options)
        return [str(self.machine / "head" / "bin" / "python"), *words]

    def environment(self):
        """Return the environment of the user's shell (dict), the stand-in first on PATH."""
        return super().environment() | conda_stand_in.variables(self.machine / "conda")

    @property
    def prefix(self):
        """Folder of the rules' environments (str)."""
        return str(self.machine / "environments")

    def environments(self):
        """Return the made environments: packages of the yaml -> folder (dict of tuple to Path)."""
        return {
            tuple(conda_stand_in.requirements_of(path)): path.with_suffix("")
            for path in Path(self.prefix).glob("*.yaml")
        }


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
