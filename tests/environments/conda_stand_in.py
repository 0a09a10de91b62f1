"""Stands in for the command conda where no channel can be reached: an environment becomes a venv of the same packages.

Answers what Snakemake asks of conda, and no more. ``conda env create`` makes the venv from the yaml's packages, which
PyPI has too (one under another name), and what these need at the versions of the demo's lock. What conda's solver would
say of the yaml, and whether its channel has these builds, stays untested.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

HOME = Path(__file__).resolve().parents[2]
LOCK = HOME / "requirements" / "demo.txt"
PYPI_NAMES = {"python-xxhash": "xxhash"}
BASE_VARIABLE = "CONDA_STAND_IN"
"""Environment variable: folder that holds ``bin/conda`` and ``bin/activate``."""
ACTIVATE = 'export CONDA_PREFIX="$1"\nexport PATH="$1/bin:$PATH"\n'


def variables(folder):
    """Environment variables that lead Snakemake to the stand-in of a folder (dict)."""
    return {BASE_VARIABLE: str(folder), "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def install(folder):
    """Write ``bin/conda`` and ``bin/activate`` into a folder."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    (programs / "activate").write_text(ACTIVATE, encoding="utf-8")
    conda = programs / "conda"
    conda.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" "$@"\n', encoding="utf-8")
    conda.chmod(0o755)


def requirements_of(environment_file):
    """Packages of an environment's yaml, in PyPI's words (list of str)."""
    dependencies = yaml.safe_load(Path(environment_file).read_text(encoding="utf-8"))["dependencies"]
    pairs = [line.split(maxsplit=1) for line in dependencies]
    return [
        f"{PYPI_NAMES.get(name, name)}=={version.removeprefix('=')}"
        for name, version in pairs
        if name != "python"
    ]


def make_venv(folder, requirements):
    """Make a venv with some packages, and what they need at the lock's versions."""
    # Warnings that are errors in the tests are none of the packages that are built here.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    command = ["uv", "venv", "--quiet", "--python", sys.executable, str(folder)]
    subprocess.run(command, check=True, env=environment)
    command = ["uv", "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    subprocess.run([*command, "--constraints", str(LOCK), *requirements], check=True, env=environment)


def answer(content):
    """Print JSON."""
    sys.stdout.write(json.dumps(content) + "\n")


def main():
    """Answer one call of conda."""
    parser = argparse.ArgumentParser(prog="conda", description=__doc__)
    parser.add_argument("--version", action="version", version="conda 26.9.0")
    commands = parser.add_subparsers(required=True, dest="command")
    commands.add_parser("info").add_argument("--json", action="store_true", required=True)
    clean = commands.add_parser("clean")
    for flag in ("-y", "--tarballs"):
        clean.add_argument(flag, action="store_true")
    config = commands.add_parser("config")
    config.add_argument("--get", choices=["channel_priority"], required=True)
    config.add_argument("--json", action="store_true", required=True)
    create = commands.add_parser("env").add_subparsers(required=True).add_parser("create")
    for flag in ("--quiet", "--no-default-packages"):
        create.add_argument(flag, action="store_true")
    create.add_argument("--file", required=True)
    create.add_argument("--prefix", type=Path, required=True)
    options = parser.parse_args()
    if options.command == "info":
        answer({"conda_prefix": os.environ[BASE_VARIABLE], "platform": "linux-64"})
    elif options.command == "config":
        answer({"get": {"channel_priority": "strict"}})
    elif options.command == "env":
        make_venv(options.prefix, requirements_of(options.file))


if __name__ == "__main__":
    main()
