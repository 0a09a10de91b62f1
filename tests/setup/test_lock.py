"""The lock files: hashes, no index, the same versions for users and tests, what pyproject.toml asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "requirements/demo.txt"
TEST = ROOT / "requirements/test.txt"
SITE = ROOT / "requirements/site.txt"
NOT_LOCKED = {"headers"}
"""Extras that neither the demo nor the tests install."""
ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(.*?)(?=^[A-Za-z]|\Z)", re.DOTALL | re.MULTILINE)


def entries(lock):
    """Name -> (version, rest of the entry) of a lock."""
    return {
        canonicalize_name(name): (version, rest) for name, version, rest in ENTRY.findall(lock.read_text())
    }


@pytest.mark.parametrize("lock", [DEMO, TEST, SITE], ids=lambda path: path.name)
def test_every_entry_has_hashes(lock):
    found = entries(lock)

    assert len(found) > 50
    assert [name for name, (_, rest) in found.items() if "--hash=sha256:" not in rest] == []


@pytest.mark.parametrize("lock", [DEMO, TEST, SITE], ids=lambda path: path.name)
def test_no_index_and_no_folder_of_a_machine_is_named(lock):
    text = lock.read_text()

    assert re.findall(r"--\S*index\S*|--find-links|\w+://\S+|file:\S+| @ ", text) == []


@pytest.mark.parametrize("lock", [TEST, SITE], ids=lambda path: path.name)
def test_tests_and_notebooks_run_on_the_versions_that_users_get(lock):
    others = entries(lock)

    assert {name: version for name, (version, _) in entries(DEMO).items() if others[name][0] != version} == {}


def test_the_locks_hold_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {
        name: wanted for name, wanted in project["optional-dependencies"].items() if name not in NOT_LOCKED
    }
    extras = [text for wanted in locked.values() for text in wanted]

    for lock, wanted in [
        (DEMO, project["dependencies"]),
        (SITE, project["dependencies"]),
        (TEST, [*project["dependencies"], *extras]),
    ]:
        found = entries(lock)
        for requirement in map(Requirement, wanted):
            version = found[canonicalize_name(requirement.name)][0]
            assert requirement.specifier.contains(version), f"{lock.name}: {requirement}"


def test_the_demo_has_no_development_tool_and_no_gpl_package():
    unwanted = {
        "pytest",
        "ruff",
        "reproject",
        "lsst-felis",
        "lsst-sdm-schemas",
        "snakemake-executor-plugin-slurm",
    }

    assert unwanted & set(entries(DEMO)) == set()
