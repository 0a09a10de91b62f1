"""tools/environment.sh, with a uv that only notes how it was called, and the real one for the hashes."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCK = "requirements/demo.txt"
COMMANDS_OF_THE_SCRIPT = ("awk", "bash", "cat", "cmp", "dirname", "env", "rm", "sed")

NOTING_UV = """#!/usr/bin/env bash
if [[ $* == "venv --help" ]]; then echo "  -c, --clear"; exit; fi
echo "$*" >>"$UV_CALLS"
if [[ $* == "$UV_FAILS_AT"* && -n $UV_FAILS_AT ]]; then exit 1; fi
if [[ $1 == venv ]]; then
    folder=${!#}
    /bin/rm -rf "$folder"
    /bin/mkdir -p "$folder/bin"
    /bin/ln -s "$REAL_PYTHON" "$folder/bin/python"
fi
"""

OLD_UV = """#!/usr/bin/env bash
if [[ $* == "venv --help" ]]; then echo "      --seed"; exit; fi
echo "error: unexpected argument '--clear' found" >&2
exit 2
"""

# A Python that makes environments and installs uv, without a network.
FETCHING_PYTHON = """#!/usr/bin/env bash
case $* in
    *realpath*) echo "$0" ;;
    --version) echo "Python 3.12.0" ;;
    "-m venv .uv") /bin/mkdir -p .uv/bin && /bin/cp "$0" .uv/bin/python ;;
    *"pip install"*"--require-hashes -r .uv/uv.txt")
        echo "fetched uv" >>"$UV_CALLS"
        [[ -z $NO_NETWORK ]] && /bin/cp "$NOTING_UV" .uv/bin/uv ;;
esac
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


def run_script(project, tools_folder, *check, **environment):
    calls = project / "calls"
    calls.write_text("")
    write_command(project.parent / "noting_uv", NOTING_UV)
    done = subprocess.run(
        [project / "tools/environment.sh", ".venv", LOCK, *check],
        env={
            "PATH": str(tools_folder),
            "UV_CALLS": str(calls),
            "UV_FAILS_AT": "",
            "NOTING_UV": str(project.parent / "noting_uv"),
            "NO_NETWORK": "",
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


def test_a_check_that_fails_is_before_everything_that_is_fetched(project, tools_folder):
    write_command(
        tools_folder / "python3", FETCHING_PYTHON.replace("case", "[[ $1 == few.py ]] && exit 1\ncase")
    )

    failed, calls = run_script(project, tools_folder, "few.py", "--cores", "2")

    assert (failed.returncode, calls) == (1, [])
    assert not (project / ".uv").exists()
    assert not (project / ".venv").exists()

    done, calls = run_script(project, tools_folder, "enough.py", "--cores", "2")

    assert done.returncode == 0, done.stderr
    assert len(calls) == 4


def test_a_current_environment_is_not_checked_again(project, tools_folder):
    add_python(tools_folder, (3, 12))
    write_command(tools_folder / "uv", NOTING_UV)
    run_script(project, tools_folder)
    (tools_folder / "python3").unlink()

    done, calls = run_script(project, tools_folder, "any.py")

    assert (done.returncode, calls) == (0, [])


@pytest.mark.parametrize("found", [None, OLD_UV], ids=["no uv", "an old uv"])
def test_without_a_uv_that_knows_the_options_ours_is_fetched_once(project, tools_folder, found):
    write_command(tools_folder / "python3", FETCHING_PYTHON)
    if found:
        write_command(tools_folder / "uv", found)

    done, calls = run_script(project, tools_folder)

    assert done.returncode == 0, done.stderr
    assert [call.split(" --")[0] for call in calls] == ["fetched uv", "venv", "pip sync", "pip install"]
    assert "fetching uv" in done.stderr
    (wanted,) = re.findall(r"^uv==\S+", (ROOT / "requirements/test.txt").read_text(), re.MULTILINE)
    first, *hashes = (project / ".uv/uv.txt").read_text().splitlines()
    assert first.startswith(wanted)
    assert hashes
    assert all(line.strip().startswith("--hash=sha256:") for line in hashes)

    shutil.rmtree(project / ".venv")
    _, calls = run_script(project, tools_folder)

    assert [call.split(" --")[0] for call in calls] == ["venv", "pip sync", "pip install"]


def test_a_uv_that_cannot_be_fetched_is_told_in_words(project, tools_folder):
    write_command(tools_folder / "python3", FETCHING_PYTHON)

    done, calls = run_script(project, tools_folder, NO_NETWORK="1")

    assert done.returncode == 2
    assert "uv could not be fetched" in done.stderr
    assert calls == ["fetched uv"]


def write_wheel(folder):
    """A wheel of one module, and its hash."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    files = {
        "tiny.py": "",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "tiny-1.0.dist-info/RECORD"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in (files | {record: "".join(f"{name},,\n" for name in (*files, record))}).items():
            wheel.writestr(name, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("is_corrupted", [False, True])
def test_a_corrupted_hash_of_the_lock_is_refused(project, tmp_path, is_corrupted):
    """With the real uv, and a package that a folder holds: neither a network nor a cache."""
    right = write_wheel(tmp_path)
    wrong = ("1" if right[0] == "0" else "0") + right[1:]
    (project / LOCK).write_text(f"tiny==1.0 --hash=sha256:{wrong if is_corrupted else right}\n")
    alone = {"UV_OFFLINE": "1", "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(tmp_path)}

    done = subprocess.run(
        [project / "tools/environment.sh", ".venv", LOCK],
        env={
            **os.environ,
            **alone,
            "UV_CACHE_DIR": str(tmp_path / "cache"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
    )

    # The project itself cannot be installed: this lock has no setuptools.
    assert done.returncode != 0
    assert not (project / ".venv/skyloom-recipe").exists()
    assert ("Hash mismatch for `tiny==1.0`" in done.stderr) == is_corrupted
    assert bool(list(project.glob(".venv/lib/python*/site-packages/tiny.py"))) != is_corrupted
