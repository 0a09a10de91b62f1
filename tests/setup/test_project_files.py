"""What must hold for the project's files as a whole, and no linter knows."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import skyloom

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
READERS_OF_TRUTH = {"00_simulate.smk", "90_report.smk", "common.smk"}
RULES = sorted((ROOT / "rules").glob("*.smk"))


def tracked_files():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]

    assert skyloom.__version__ == citation["version"] == newest
    assert citation["license"] == PROJECT["license"] == "BSD-3-Clause"


def test_the_python_of_the_folder_is_one_that_the_project_takes():
    assert PROJECT["requires-python"] == ">=3.12,<3.14"
    assert (ROOT / ".python-version").read_text() == "3.12\n"


def test_no_file_names_a_folder_of_one_machine():
    places = re.compile(r"/(?:home|root|Users|work)/\w|[.]pyenv")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked_files()
        if path.suffix not in {".png", ".jpg", ".parquet", ".fits"} and path != Path(__file__)
        for match in places.finditer(path.read_text(encoding="utf-8"))
    ]

    assert found == []


def test_no_file_is_large():
    large = [path.name for path in tracked_files() if path.stat().st_size > 1_000_000]

    assert large == []


@pytest.mark.parametrize("path", [*RULES, ROOT / "Snakefile"], ids=lambda path: path.name)
def test_rules_files_do_no_work_of_their_own(path):
    text = path.read_text()

    assert (
        re.findall(r"^\s+run:|\beval\(|\bexec\(|\bpickle\b|\byaml\.load\(|\bcheckpoint\b", text, re.MULTILINE)
        == []
    )


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_only_the_simulation_and_the_report_know_the_truth(path):
    assert path.name in READERS_OF_TRUTH or "truth" not in path.read_text()


def test_a_stage_has_one_name_for_its_code_and_its_tests():
    stages = {path.name for path in (ROOT / "scripts/skyloom").iterdir() if (path / "__init__.py").is_file()}
    tested = {path.name for path in (ROOT / "tests/unit").iterdir() if any(path.glob("test_*.py"))}

    assert tested - stages == set()
    assert stages - tested == set()


@pytest.mark.parametrize(
    "name", ["tools/environment.sh", "tools/lint.sh", "tools/test.sh", "tools/lock.sh", ".ci/run"]
)
def test_shell_scripts_are_executable_and_parse(name):
    assert (ROOT / name).stat().st_mode & 0o111
    subprocess.run(["bash", "-n", ROOT / name], check=True)


def test_every_command_of_the_makefile_is_listed_with_what_it_does():
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()

    assert {line.split()[1] for line in listed.splitlines()} == set(phony)


@pytest.mark.parametrize("folder", [None, "no/such/frames"])
def test_bars_without_the_real_frames_end_at_once_with_what_to_set(folder):
    others = {
        name: value for name, value in os.environ.items() if name not in ("SKYLOOM_REALDATA", "MAKEFLAGS")
    }
    named = {"SKYLOOM_REALDATA": folder} if folder else {}

    done = subprocess.run(
        ["make", "--dry-run", "bars"], cwd=ROOT, env=others | named, capture_output=True, text=True
    )

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "set SKYLOOM_REALDATA to the folder that holds hatp32-raw-frames/" in done.stderr


def test_bars_with_the_real_frames_start(tmp_path):
    (tmp_path / "real frames/hatp32-raw-frames").mkdir(parents=True)

    done = subprocess.run(
        ["make", "--dry-run", "bars", f"SKYLOOM_REALDATA={tmp_path}/real frames"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.index("environment.sh .venv ") < done.stdout.index("pytest -m bars")
