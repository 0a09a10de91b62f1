"""Each rule's scripts run with what their conda environment names, and with nothing else."""

import json
import subprocess
from pathlib import Path

import conda_stand_in
import pytest
from environment_support import CondaSnakemake
from test_conda_environments import (
    ENVIRONMENTS,
    EXTRAS,
    ROOT,
    pinned,
    scripts_with_environment,
    third_party_imports,
)
from workflow_support import copy_project

from skyloom.io.tables import PROVENANCE_KEY, read_table_metadata

pytestmark = [pytest.mark.environments, pytest.mark.slow]

IMPORT_ALL = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"


def packages_wanted(name):
    """Packages that a yaml names, with their versions (tuple of str)."""
    return tuple(conda_stand_in.requirements_of(ROOT / f"envs/{name}.yaml"))


def python_of(run, name):
    """Python of the environment that was made from one yaml; those of extras are made here."""
    wanted = packages_wanted(name)
    if name in EXTRAS:
        folder = Path(run.prefix) / f"extra-{name}"
        conda_stand_in.make_venv(folder, wanted)
        return folder / "bin" / "python"
    return run.environments()[wanted] / "bin" / "python"


def packages_of(table):
    """Versions that a Parquet product says it was made with."""
    return json.loads(read_table_metadata(table)[2][PROVENANCE_KEY])["packages"]


def test_the_survey_runs_with_each_rule_in_its_own_environment(conda_run, machine):
    run = CondaSnakemake(conda_run, machine)

    # Other tests make environments of their own beside them.
    made = set(run.environments())
    assert {packages_wanted(name) for name in ENVIRONMENTS if name not in EXTRAS} <= made
    assert not {packages_wanted(name) for name in EXTRAS} & made
    assert "Nothing to be done" in run.run("drp", "report", "-n")


def test_products_say_that_they_come_from_their_environment(conda_run):
    """Versions are those of the packages that a job can find: the simulator's has no Numba."""
    truth = packages_of(conda_run / "results" / "truth" / "object.parquet")
    source = packages_of(next((conda_run / "results" / "src").glob("*/0.parquet")))

    assert "numba" not in truth
    assert source["numba"] == pinned("science")["numba"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_environment_alone_has_every_import_of_its_scripts(name, conda_run, machine):
    """Also those that Snakemake brings along: a job's path ends with Snakemake's own packages."""
    python = python_of(CondaSnakemake(conda_run, machine), name)
    scripts = [script for script, environment in scripts_with_environment() if environment == name]
    imports = sorted(set().union(*(third_party_imports(script, name) for script in scripts)))

    done = subprocess.run(
        [python, "-I", "-c", IMPORT_ALL, *imports], capture_output=True, text=True, check=False
    )

    assert imports
    assert done.returncode == 0, done.stderr


def test_an_import_that_the_yaml_lacks_fails_its_job_by_name(copied_run, machine, tmp_path_factory):
    project = copy_project(tmp_path_factory.mktemp("project") / "skyloom")
    environment = project / "envs" / "science.yaml"
    lines = environment.read_text(encoding="utf-8").splitlines(keepends=True)
    environment.write_text("".join(line for line in lines if "- numba" not in line), encoding="utf-8")
    product = next((copied_run / "results" / "src").glob("*/0.parquet")).relative_to(copied_run)
    (copied_run / product).unlink()

    told = CondaSnakemake(copied_run, machine, project).run(str(product), "--cores", "1", succeeds=False)

    assert "No module named 'numba'" in told
    assert not (copied_run / product).exists()
