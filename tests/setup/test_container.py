"""The container's recipe, read line by line: CI builds no image."""

import fnmatch
import json
import re
import shlex
import subprocess

from documentation import ROOT

RECIPE = (ROOT / "Containerfile").read_text(encoding="utf-8")
LINES = [
    line.partition(" ")[::2]
    for line in re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", RECIPE, flags=re.M)).splitlines()
    if line
]


def arguments(instruction):
    """Return what follows an instruction, each time that it occurs (list of str)."""
    return [argument for word, argument in LINES if word == instruction]


def commands():
    """Return the commands of all RUN lines (list of list of str), variables before them left out."""
    parts = [shlex.split(part) for line in arguments("RUN") for part in line.split("&&")]
    return [words[1:] if re.match(r"[A-Z_]+=", words[0]) else words for words in parts]


def tracked():
    """Return the files of the project below its folder (list of str)."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


def test_every_instruction_is_one_that_these_tests_know():
    assert {word for word, _ in LINES} == {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "CMD"}


def test_the_base_image_is_pinned_to_the_python_of_the_project():
    (image,) = arguments("FROM")
    version = re.fullmatch(r"docker\.io/library/python:(3\.\d+)-slim-[a-z]+", image)[1]

    assert f"{version}\n" == (ROOT / ".python-version").read_text(encoding="utf-8")


def test_what_is_copied_is_the_project_without_what_runs_leave():
    """Docker and Podman both read .dockerignore; a pattern holds for the top folder."""
    sources = [words[:-1] for words in map(shlex.split, arguments("COPY"))]
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    left_out = {path for path in tracked() for p in patterns if fnmatch.fnmatch(path.partition("/")[0], p)}

    assert [source for words in sources for source in words if not (ROOT / source).exists()] == []
    assert left_out == set()
    assert all(
        any(fnmatch.fnmatch(name, p) for p in patterns) for name in (".git", ".venv", ".venv-test", "results")
    )


def test_every_command_is_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    installed = set()
    for program, *words in commands():
        if program == "apt-get":
            installed |= {word for word in words[1:] if not word.startswith("-")}
        elif program == "make":
            assert program in installed
            assert [word for word in words if not re.search(rf"^{word}:", makefile, re.M)] == []
        else:
            assert [program, *words] == ["rm", "-rf", "/var/lib/apt/lists/*"]

    assert ["make", "environment"] in commands()


def test_the_environment_that_is_made_comes_first_on_the_path():
    home = arguments("WORKDIR")[0]
    recipe = subprocess.run(
        ["make", "--dry-run", "environment"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    folder, lock = re.search(r"^tools/environment\.sh (\S+) (\S+)$", recipe, re.M).groups()

    assert arguments("ENV") == [f"PATH={home}/{folder}/bin:$PATH"]
    assert re.search(r"^snakemake==", (ROOT / lock).read_text(encoding="utf-8"), re.M)


def test_it_starts_snakemake_on_the_file_that_was_copied():
    home = arguments("WORKDIR")[0]
    program, option, path, _ = json.loads(arguments("CMD")[0])

    assert [program, option] == ["snakemake", "-s"]
    assert (ROOT / path.removeprefix(f"{home}/")).is_file()
    assert f"snakemake -s {path} drp" in RECIPE
