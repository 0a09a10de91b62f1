"""The conda environments of the rules: versions of the lock, and all that a rule's script can import."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from skyloom.workflow.fingerprint import Fingerprints

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
IMPORT_NAMES = {"pyerfa": "erfa", "pyyaml": "yaml", "python-xxhash": "xxhash"}
ENVIRONMENTS = tuple(sorted(path.stem for path in (ROOT / "envs").glob("*.yaml")))
# Given by whoever runs the script: Snakemake puts itself on the script's path.
GIVEN = {"skyloom", "snakemake"}
# What the environment alone has, for the one module that imports it.
EXTRAS = {"piff": "skyloom.calibrate.piff_psf"}
RULE = re.compile(r"^ *rule \w+:\n(.*?)(?=^ *(?:use )?rule |\Z)", re.DOTALL | re.MULTILINE)
ENVIRONMENT = re.compile(r'"\.\./envs/(\w+)\.yaml"')
SCRIPT = re.compile(r'"\.\./scripts/(\w+)\.py"')


def pinned(name):
    """Package -> version of one environment."""
    content = yaml.safe_load((ROOT / f"envs/{name}.yaml").read_text())
    return dict(re.fullmatch(r"([\w.-]+) =?(.+)", line).groups() for line in content["dependencies"])


def scripts_with_environment():
    """(script, environment) of each rule that has both."""
    found = set()
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for rule in RULE.findall(path.read_text()):
            found.update(
                (script, name) for script in SCRIPT.findall(rule) for name in ENVIRONMENT.findall(rule)
            )
    return sorted(found)


def third_party_imports(script, environment):
    """Packages that a script, or any library module that it can reach in an environment, imports anywhere."""
    beyond = {module for name, module in EXTRAS.items() if name != environment}
    modules = [
        module for module in Fingerprints(SCRIPTS, cache=None).modules_of(script) if module not in beyond
    ]
    paths = [SCRIPTS / f"{script}.py"]
    for module in modules:
        base = SCRIPTS.joinpath(*module.split("."))
        paths.append(base.with_suffix(".py") if base.with_suffix(".py").is_file() else base / "__init__.py")
    names = set()
    for node in (node for path in paths for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - GIVEN


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_versions_are_those_of_the_lock(name):
    lock = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements/test.txt").read_text(), re.MULTILINE))
    found = pinned(name)

    assert found.pop("python") == ">=3.12,<3.14"
    # conda-forge puts a word before the name of a package that wraps a C library of that name.
    assert {package: lock.get(package) or lock[IMPORT_NAMES[package]] for package in found} == found


@pytest.mark.parametrize(("script", "name"), scripts_with_environment())
def test_a_script_finds_all_that_it_imports_in_its_environment(script, name):
    available = {IMPORT_NAMES.get(package, package) for package in pinned(name)}

    assert third_party_imports(script, name) - available == set()


def test_every_script_has_a_rule_with_an_environment():
    assert {script for script, _ in scripts_with_environment()} == {
        path.stem for path in SCRIPTS.glob("*.py")
    }


@pytest.mark.parametrize(
    ("name", "package"),
    [(name, package) for name in ENVIRONMENTS for package in pinned(name) if package != "python"],
)
def test_a_package_taken_out_of_a_yaml_is_missed_by_a_script(name, package):
    """So no yaml holds a package that nothing needs, and the comparison above sees each that is gone."""
    available = {IMPORT_NAMES.get(other, other) for other in pinned(name) if other != package}
    missed = {
        script
        for script, environment in scripts_with_environment()
        if environment == name and third_party_imports(script, name) - available
    }

    assert missed
