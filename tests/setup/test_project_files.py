"""What must hold for the project's files as a whole, and no linter knows."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

import skyloom
from skyloom.workflow.config import load_schema

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
READERS_OF_TRUTH = {"00_simulate.smk", "90_report.smk", "common.smk"}
# Packages that serve all stages; a part of a stage with a page of its own; settings that several stages share.
NO_STAGES = {"algorithms", "commands", "core", "io", "workflow"}
PAGES_OF_PARTS = {"astrometry"}
SECTIONS_OF_ALL_STAGES = {"reference", "sky_map", "template"}
BANNED = re.compile(r"\b(?:eval|exec)\(|\bpickle\b|\ballow_pickle=True|\byaml\.load\(")
BANNED_IN_RULES = re.compile(r"^\s+run:|\bcheckpoint\b", re.MULTILINE)
PYTHON_FILES = sorted(
    path
    for folder in ("benchmarks", "scripts", "tests", "tools")
    for path in (ROOT / folder).rglob("*.py")
    if path != Path(__file__)
)
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

    assert BANNED.findall(text) + BANNED_IN_RULES.findall(text) == []


def test_no_python_file_runs_text_or_reads_objects_that_run():
    found = {
        str(path.relative_to(ROOT)): words
        for path in PYTHON_FILES
        if (words := BANNED.findall(path.read_text(encoding="utf-8")))
    }

    assert len(PYTHON_FILES) > 200
    assert found == {}


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_only_the_simulation_and_the_report_know_the_truth(path):
    assert path.name in READERS_OF_TRUTH or "truth" not in path.read_text()


def test_a_stage_has_one_name_for_its_code_tests_page_and_settings():
    packages = {
        path.name for path in (ROOT / "scripts/skyloom").iterdir() if (path / "__init__.py").is_file()
    }
    tested = {path.name for path in (ROOT / "tests/unit").iterdir() if any(path.glob("test_*.py"))}
    pages = {path.stem for path in (ROOT / "docs/stages").glob("*.md")}
    sections = {
        name
        for name, part in load_schema(ROOT / "config/schema")["properties"].items()
        if "properties" in part
    }

    assert tested == packages
    assert pages == packages - NO_STAGES | PAGES_OF_PARTS
    assert sections == packages - NO_STAGES | SECTIONS_OF_ALL_STAGES
    assert {path.stem for path in (ROOT / "config/schema").glob("*.yaml")} >= sections


def test_the_readme_links_the_page_of_every_stage():
    linked = re.findall(r"\[(\w+)\]\(docs/stages/(\w+)\.md\)", (ROOT / "README.md").read_text())

    assert [name for name, page in linked if name != page] == []
    assert {page for _, page in linked} == {path.stem for path in (ROOT / "docs/stages").glob("*.md")}


def test_every_reason_of_a_tombstone_is_explained():
    """What the commands raise is told to a person, who sees no tombstone."""
    paths = [
        path
        for path in (ROOT / "scripts/skyloom").rglob("*.py")
        if "commands" not in path.relative_to(ROOT).parts
    ]
    reasons = {
        reason
        for path in paths
        for reason in re.findall(r"^class (\w+)Error\(DataError\)", path.read_text(), re.MULTILINE)
    }
    table = (ROOT / "docs/products.md").read_text().partition("## Tombstones")[2]
    first_cells = re.findall(r"^\| (.*?) \|", table, re.MULTILINE)

    assert len(reasons) > 20
    assert reasons - {name for cell in first_cells for name in cell.split(", ")} == set()


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
        ["make", "--no-print-directory", "--dry-run", "bars"],
        cwd=ROOT,
        env=others | named,
        capture_output=True,
        text=True,
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
    assert done.stdout.index("environment.sh .venv ") < done.stdout.index("tools/bars.sh")


def test_bars_run_every_benchmark():
    script = (ROOT / "tools" / "bars.sh").read_text(encoding="utf-8")
    named = {
        name
        for names in re.findall(r"^for name in (.*); do$", script, re.MULTILINE)
        for name in names.split()
    }
    programs = {path.stem for path in (ROOT / "benchmarks").glob("*.py") if "def main(" in path.read_text()}
    assert named == programs
