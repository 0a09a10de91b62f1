"""The contracts of import-linter catch what they are there for, tried on an empty library."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
MODULES_OF_CORE = ("errors", "images", "random", "settings", "wcs")
MODULES_OF_IO = ("exposures", "raws", "tables")

# Which contract must break when a module of the library holds the statement.
BREACHES = {
    "core/wcs.py: import skyloom.algorithms": "Imports go down only",
    "algorithms/fit.py: import skyloom.diff": "Imports go down only",
    "diff/fit.py: import skyloom.dia": "Imports go down only",
    "warp/fit.py: from skyloom.io import exposures": "Imports go down only",
    "calibrate/fit.py: import skyloom.workflow": "Imports go down only",
    "newcomer/fit.py: import numpy": "Imports go down only",
    "io/exposures.py: import skyloom.algorithms": "io knows the products",
    "simulate/sky.py: from skyloom.core import wcs": "The simulator shares nothing",
    "simulate/sky.py: from skyloom.io.exposures import read": "The simulator shares nothing",
    "simulate/sky.py: import skyloom.isr": "The simulator shares nothing",
    "coadd/stack.py: import snakemake": "Only workflow and commands",
    "objects/fit.py: from astropy.table import Table": "The science is NumPy",
    "core/images.py: import pandas": "The science is NumPy",
    "io/tables.py: import lsst.sdm": "No GPL package",
}
ALLOWED = (
    "diff/fit.py: import skyloom.algorithms",
    "simulate/sky.py: from skyloom.core.random import generator",
    "simulate/sky.py: from skyloom.io import raws, tables",
    "io/exposures.py: from astropy.io import fits",
    "report/pictures.py: import matplotlib",
    "workflow/start.py: import snakemake",
)


@pytest.fixture
def library(tmp_path):
    """An empty library with the layers of the first contract."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    names = [name for layer in CONTRACTS[0]["layers"] for name in re.split(r" \| ", layer)]
    for name in ("", *names):
        folder = tmp_path / "scripts/skyloom" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    for name, modules in {"core": MODULES_OF_CORE, "io": MODULES_OF_IO}.items():
        for module in modules:
            (tmp_path / f"scripts/skyloom/{name}/{module}.py").touch()
    return tmp_path


def add(library, breach):
    name, statement = breach.split(": ")
    path = library / "scripts/skyloom" / name
    path.parent.mkdir(exist_ok=True)
    (path.parent / "__init__.py").touch()
    path.write_text(statement + "\n")


def lint(library):
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=library,
        env={**os.environ, "PYTHONPATH": str(library / "scripts"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("breach", "contract"), BREACHES.items())
def test_a_breach_is_named(library, breach, contract):
    add(library, breach)

    done = lint(library)

    assert done.returncode == 1
    assert re.findall(r"^(.*) BROKEN", done.stdout, re.MULTILINE)[0].startswith(contract)


@pytest.mark.slow
def test_what_is_allowed_passes(library):
    for statement in ALLOWED:
        add(library, statement)

    done = lint(library)

    assert done.returncode == 0, done.stdout
