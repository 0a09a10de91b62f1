"""The commands of the README, CONTRIBUTING and the prompt flow: each is tried without doing its work, none left out."""

import os
import re
import shlex
import subprocess
import sys

import pytest
from documentation import ROOT, blocks_of

# Real frames are no part of a clone; the test of that survey runs its command.
NEEDS_FRAMES = "raw_root=/path/to/frames"


def commands_of(name):
    lines = [line for block in blocks_of(name, "bash") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


PAGES = ("README.md", "CONTRIBUTING.md", "docs/prompt.md", "docs/first-ten-minutes.md")
COMMANDS = [words for name in PAGES for words in commands_of(name)]


@pytest.fixture
def clone_after_the_demo(tmp_path):
    """Folder that has what the commands name: the clone's configuration, and the root of a finished data release."""
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "mine.yaml").write_text("dia: {threshold: 8}\n", encoding="utf-8")
    (tmp_path / "results" / "coadd").mkdir(parents=True)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_of_the_documentation_works(words, clone_after_the_demo):
    """Snakemake only says what it would do, make only prints its recipe."""
    if words[0] == "source":
        assert words[1:] == [".venv/bin/activate"]
        return
    if words[0] == "skyloom":
        assert words[1] == "show"
        return
    if words[0] == "make":
        folder, dry_run = ROOT, ["make", "--dry-run", *words[1:]]
    else:
        assert words[0] == "snakemake", f"no way to try {words[0]}: add one here"
        options = ["--snakefile", str(ROOT / "Snakefile"), "--quiet", "rules", "--dry-run"]
        folder, dry_run = clone_after_the_demo, [sys.executable, "-m", "snakemake", *options, *words[1:]]

    done = subprocess.run(dry_run, cwd=folder, capture_output=True, text=True, env=os.environ)

    if NEEDS_FRAMES in words:
        assert "/path/to/frames" in done.stdout + done.stderr
    else:
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_products_of_the_readme_are_those_of_the_workflow():
    from skyloom.workflow.paths import PATTERNS

    table = re.findall(r"^\| \w.*?\| (`.*?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    named = {
        re.sub(r"\{[a-z]+,[a-z_]+\}", "{kind}", path) for row in table for path in re.findall(r"`(.*?)`", row)
    }

    assert named
    assert named - set(PATTERNS.values()) == set()


@pytest.mark.parametrize("code", blocks_of("README.md", "python"))
def test_the_python_of_the_readme_uses_names_that_the_library_has(code):
    """The bar of a fresh clone runs it on the demo's products."""
    import skyloom

    compile(code, "README.md", "exec")

    assert re.findall(r"skyloom\.(\w+)", code)
    for name in re.findall(r"skyloom\.(\w+)", code):
        assert hasattr(skyloom, name)
