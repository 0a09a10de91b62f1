"""What scripts import before they do anything: a job of a few seconds must not pay for what it does not use."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
SLOW_PACKAGES = ("pandas", "astropy.wcs", "matplotlib", "scipy.optimize", "reproject", "galsim")
TABLE_SCRIPTS = ("associate_dia_sources", "check_survival")
# They run once a night or once a survey, and GalSim is what they are for.
SIMULATION_SCRIPTS = ("simulate_sky", "simulate_night")
PROGRAM = """
import json, runpy, sys
folder, names, forbidden = json.loads(sys.argv[1])
sys.path.append(folder)
found = {}
for name in names:
    runpy.run_path(f"{folder}/{name}.py")
    for package in forbidden:
        if package in sys.modules:
            found.setdefault(package, name)
print(json.dumps(found))
"""


def imported(names, forbidden):
    """Forbidden packages that were imported, each with the first of the scripts that did (dict of str to str)."""
    argument = json.dumps([str(SCRIPTS), list(names), list(forbidden)])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, argument], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_no_script_but_the_simulation_imports_a_slow_package_at_its_top():
    names = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.stem not in SIMULATION_SCRIPTS)

    assert imported(names, SLOW_PACKAGES) == {}


@pytest.mark.parametrize("name", TABLE_SCRIPTS)
def test_scripts_that_read_only_tables_import_neither_fits_nor_numba(name):
    assert imported([name], ("astropy", "numba", "scipy", "yaml")) == {}


def test_an_import_of_a_slow_package_would_be_found():
    assert imported(["simulate_sky"], SLOW_PACKAGES)["galsim"] == "simulate_sky"
