"""The commands of all pages of the documentation: each is tried without doing its work, none left out."""

import os
import re
import shlex
import subprocess
import sys

import pytest
from documentation import ROOT, blocks_of
from snakemake.cli import get_argument_parser

from skyloom.commands.main import command_parser
from skyloom.workflow.paths import PATTERNS


def commands_of(name):
    """Commands of a page's blocks (list of list of str), settings of the environment before them left out."""
    lines = [line for block in blocks_of(name, "bash") for line in block.replace("\\\n", " ").splitlines()]
    commands = [words for line in lines if (words := shlex.split(line, comments=True))]
    return [words[1:] if re.match(r"[A-Z_]+=", words[0]) else words for words in commands]


PAGES = ("README.md", "CONTRIBUTING.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md")))
# A command that several pages have is tried once.
COMMANDS = list({tuple(words): words for name in PAGES for words in commands_of(name)}.values())


@pytest.fixture
def clone_after_the_demo(tmp_path):
    """Folder that has what the commands name: parts of a clone, a user's files, the root of a data release."""
    for name in ("config", "slurm"):
        (tmp_path / name).symlink_to(ROOT / name)
    # The survey of a user's own frames stands on the demo's: those frames are no part of a clone.
    (tmp_path / "myfield").mkdir()
    for name in ("mine.yaml", "myfield/survey.yaml"):
        (tmp_path / name).write_text("dia: {threshold: 8}\n", encoding="utf-8")
    (site,) = [text for text in blocks_of("docs/cluster.md", "yaml") if "slurm_partition" in text]
    (tmp_path / "mycluster.yaml").write_text(site, encoding="utf-8")
    (tmp_path / "results" / "coadd").mkdir(parents=True)
    return tmp_path


def dry_run_of(words, clone):
    """Folder, and the command that only says what it would do."""
    if words[0] == "make":
        return ROOT, ["make", "--dry-run", *words[1:]]
    if words[0] == "python":
        return ROOT, [sys.executable, words[1], "--help"]
    assert words[0] == "snakemake", f"no way to try {words[0]}: add one here"
    options = ["--snakefile", str(ROOT / "Snakefile"), "--quiet", "rules", "--dry-run"]
    return clone, [sys.executable, "-m", "snakemake", *options, *words[1:]]


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_of_the_documentation_works(words, clone_after_the_demo):
    """Skyloom's own are parsed, Snakemake only says what it would do, make only prints its recipe."""
    if words[0] == "source":
        assert words[1:] == [".venv/bin/activate"]
        return
    if words[0] == "skyloom":
        assert callable(command_parser().parse_args(words[1:]).run)
        return
    if words[0] == "rm":
        (folder,) = words[2:]
        assert any(pattern.startswith(folder.removeprefix("results/") + "/") for pattern in PATTERNS.values())
        return
    if words[0] == "tmux":
        assert words[1:3] == ["new", "-s"]
        return
    folder, dry_run = dry_run_of(words, clone_after_the_demo)
    # Raw frames are no part of a clone; the tests of those surveys run their commands.
    missing = [word.partition("=")[2] for word in words if word.startswith("raw_root=")]

    done = subprocess.run(dry_run, cwd=folder, capture_output=True, text=True, env=os.environ)

    if missing:
        assert missing[0] in done.stdout + done.stderr
    else:
        assert done.returncode == 0, done.stdout + done.stderr


RULES = {
    name
    for path in [ROOT / "Snakefile", *ROOT.glob("rules/*.smk")]
    for name in re.findall(r"^rule (\w+):", path.read_text(), re.M)
}
MAKE_TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))


def exists(words, capsys):
    """Whether a command that a sentence names, with its options if it has any, is there."""
    options = [word for word in words if word.startswith("-")]
    if words[0] == "make":
        return words[1] in MAKE_TARGETS
    if words[0] == "skyloom":
        with pytest.raises(SystemExit):
            command_parser().parse_args([words[1], "--help"])
        usage = re.findall(r"[\w-]+", capsys.readouterr().out)
        return words[1] in usage and set(options) <= set(usage)
    targets = get_argument_parser().parse_args(words[1:]).targets
    # Capitals stand for any target; a product's path is known by its pattern.
    return all(target in RULES or target.isupper() or target.startswith("results/") for target in targets)


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_that_sentences_name_exist(name, capsys):
    text = re.sub(r"^ *```.*?^ *```$", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.S | re.M)
    named = re.findall(r"`((?:make|skyloom|snakemake) [^`]+)`", text)

    assert [command for command in named if not exists(shlex.split(command), capsys)] == []
    assert not re.search(r"^(?: {4}|\t) *(?:make|skyloom|snakemake) ", text, re.M), (
        "no block of bash: not tried"
    )


@pytest.mark.parametrize(
    "command", ["make coffee", "skyloom show --loudly FILE", "snakemake everything", "skyloom telescope"]
)
def test_a_command_that_is_not_there_is_found(command, capsys):
    assert not exists(command.split(), capsys)


def test_the_products_of_the_readme_are_those_of_the_workflow():
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
