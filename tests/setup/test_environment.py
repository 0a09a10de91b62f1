"""tools/environment.sh, with a uv that only notes how it was called, and the real one for the hashes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = "requirements/demo.txt"
COMMANDS_OF_THE_SCRIPT = ("awk", "bash", "cat", "cmp", "dirname", "env", "rm", "sed")

NOTING_UV = """#!/usr/bin/env bash
echo "$*" >>"$UV_CALLS"
if [[ $* == "$UV_FAILS_AT"* && -n $UV_FAILS_AT ]]; then exit 1; fi
if [[ $1 == venv ]]; then
    folder=${!#}
    /bin/rm -rf "$folder"
    /bin/mkdir -p "$folder/bin"
    /bin/ln -s "$REAL_PYTHON" "$folder/bin/python"
fi
"""


@pytest.fixture
def project(tmp_path):
    """A copy of what the script reads, in a folder of its own."""
    folder = tmp_path / "clone"
    for name in ("tools/environment.sh", "requirements/demo.txt", "requirements/test.txt", "pyproject.toml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def tools_folder(tmp_path):
    """A PATH of its own: the few commands that the script needs, no Python and no uv."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in COMMANDS_OF_THE_SCRIPT:
        (folder / name).symlink_to(shutil.which(name))
    return folder


def write_command(path, text):
    path.write_text(text)
    path.chmod(0o755)


def add_python(folder, version):
    """A python3 that answers the script's question as the given version would."""
    verdict = 0 if version in ((3, 12), (3, 13)) else 1
    write_command(
        folder / "python3",
        f'#!/usr/bin/env bash\nif [[ $2 == *realpath* ]]; then echo "{sys.executable}"; exit; fi\n'
        f'if [[ $1 == --version ]]; then echo "Python {version[0]}.{version[1]}"; exit; fi\nexit {verdict}\n',
    )


def run_script(project, tools_folder, **environment):
    calls = project / "calls"
    calls.write_text("")
    done = subprocess.run(
        [project / "tools/environment.sh", ".venv", LOCK],
        env={
            "PATH": str(tools_folder),
            "UV_CALLS": str(calls),
            "UV_FAILS_AT": "",
            "REAL_PYTHON": sys.executable,
            **environment,
        },
        capture_output=True,
        text=True,
    )
    return done, calls.read_text().splitlines()


def test_without_a_fitting_python_one_line_says_what_to_install(project, tools_folder):
    add_python(tools_folder, (3, 11))

    done, calls = run_script(project, tools_folder)

    assert done.returncode == 2
    assert done.stderr.startswith("skyloom: no Python 3.12 or 3.13 found: install one")
    assert done.stderr.count("\n") == 1
    assert calls == []


def test_the_lock_is_installed_with_hashes_and_the_project_without_dependencies(project, tools_folder):
    add_python(tools_folder, (3, 12))
    write_command(tools_folder / "uv", NOTING_UV)

    done, calls = run_script(project, tools_folder)

    assert done.returncode == 0, done.stderr
    venv, sync, install = calls
    assert venv == f"venv --quiet --clear --python {sys.executable} .venv"
    assert sync.startswith("pip sync")
    assert "--require-hashes" in sync
    assert sync.endswith(LOCK)
    for option in ("--no-deps", "--no-index", "--no-build-isolation", "--editable ."):
        assert option in install


def test_a_current_environment_is_left_alone(project, tools_folder):
    add_python(tools_folder, (3, 12))
    write_command(tools_folder / "uv", NOTING_UV)
    run_script(project, tools_folder)

    done, calls = run_script(project, tools_folder)

    assert (done.returncode, done.stderr, calls) == (0, "", [])


@pytest.mark.parametrize("changed", [LOCK, "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed_anew(project, tools_folder, changed):
    add_python(tools_folder, (3, 12))
    write_command(tools_folder / "uv", NOTING_UV)
    run_script(project, tools_folder)
    path = project / changed
    path.write_text("# changed\n" + path.read_text())

    _, calls = run_script(project, tools_folder)

    assert len(calls) == 3


def test_a_changed_setting_of_a_style_tool_installs_nothing(project, tools_folder):
    add_python(tools_folder, (3, 12))
    write_command(tools_folder / "uv", NOTING_UV)
    run_script(project, tools_folder)
    path = project / "pyproject.toml"
    path.write_text(path.read_text().replace("line-length = 110", "line-length = 100"))

    _, calls = run_script(project, tools_folder)

    assert calls == []


def test_a_moved_clone_is_installed_anew(project, tools_folder):
    add_python(tools_folder, (3, 12))
    write_command(tools_folder / "uv", NOTING_UV)
    run_script(project, tools_folder)
    moved = project.rename(project.with_name("moved"))

    _, calls = run_script(moved, tools_folder)

    assert len(calls) == 3


def test_an_interrupted_installation_is_begun_again(project, tools_folder):
    add_python(tools_folder, (3, 12))
    write_command(tools_folder / "uv", NOTING_UV)
    failed, _ = run_script(project, tools_folder, UV_FAILS_AT="pip sync")

    done, calls = run_script(project, tools_folder)

    assert failed.returncode != 0
    assert done.returncode == 0
    assert len(calls) == 3


def test_a_corrupted_hash_of_the_lock_is_refused(project):
    """With the real uv, from its cache alone: `make environment-test` has filled it."""
    lock = project / LOCK
    text = lock.read_text()
    entry = re.search(r"^threadpoolctl==.*?(?=^\S)", text, re.DOTALL | re.MULTILINE)[0]
    wrong = re.sub(r"sha256:(.)", lambda match: "sha256:" + ("1" if match[1] == "0" else "0"), entry)
    lock.write_text(text.replace(entry, wrong))

    done = subprocess.run(
        [project / "tools/environment.sh", ".venv", LOCK],
        env={**os.environ, "UV_OFFLINE": "1", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )

    assert done.returncode != 0
    assert "Hash mismatch for `threadpoolctl==" in done.stderr
    assert not (project / ".venv/skyloom-recipe").exists()
