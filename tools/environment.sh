#!/usr/bin/env bash
# Makes one Python environment from one lock, or does nothing when it is there and up to date.
# Usage: tools/environment.sh FOLDER LOCK [CHECK ...]       (for example .venv requirements/demo.txt)
#
# CHECK, a Python program that needs no package, and its arguments: runs before anything is fetched; when it fails,
# nothing is.
# Needs a Python 3.12 or 3.13 with its venv module, nothing else. uv is taken from PATH if it is new enough, or fetched
# once into .uv/.
# Only this script uses the network; every downloaded file must have the hash that the lock names.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1
lock=$2
shift 2
export UV_PYTHON_DOWNLOADS=never # the interpreter is the user's choice; a download would come from elsewhere
readonly FITS='import sys; sys.exit(not (3, 12) <= sys.version_info[:2] < (3, 14))'

say() { printf 'skyloom: %s\n' "$*" >&2; }

# What the environment was made from: its folder (an environment cannot be moved), the lock, the project's metadata
# (pyproject.toml without the settings of the style and test tools, which install nothing) and this script.
recipe() { pwd && cat "$lock" tools/environment.sh && sed '/^\[tool\.ruff\]/,$d' pyproject.toml; }

is_current() {
    [[ -x $folder/bin/python ]] && "$folder/bin/python" -c "$FITS" && recipe | cmp -s - "$folder/skyloom-recipe"
}

# A fitting interpreter: one on PATH, one of pyenv's that its shims hide in this folder, or one that uv knows.
find_python() {
    local candidate
    local candidates=(python3.12 python3.13 python3 python)
    if command -v pyenv >/dev/null; then
        candidates+=("$(pyenv root)"/versions/3.1[23].*/bin/python)
    fi
    for candidate in "${candidates[@]}"; do
        if "$candidate" -c "$FITS" 2>/dev/null; then
            # Not the link inside an activated environment, which may be the one that is made anew.
            "$candidate" -c 'import os, sys; print(os.path.realpath(sys.executable))'
            return
        fi
    done
    if command -v uv >/dev/null && uv python find '>=3.12,<3.14' 2>/dev/null; then
        return
    fi
    say "no Python 3.12 or 3.13 found: install one (Debian, Ubuntu: python3.12-venv; pyenv install 3.12; conda" \
        "create -n py312 python=3.12) and have its python3.12 on PATH"
    return 2
}

# Whether a uv knows the options that are used below; `venv --clear` is the youngest of them (uv 0.8).
knows_options() { [[ $("$1" venv --help 2>/dev/null) == *--clear* ]]; }

# uv's command: the user's, or one of our own at the version and hashes that the test lock names.
find_uv() {
    if command -v uv >/dev/null && knows_options uv; then
        command -v uv
        return
    fi
    if ! knows_options .uv/bin/uv; then
        say "fetching uv from PyPI into .uv/"
        rm -rf .uv
        "$1" -m venv .uv >&2 || {
            say "$1 cannot make environments: install its venv module (Debian, Ubuntu: python3.12-venv)"
            return 2
        }
        awk '/^uv==/ { found = 1 } found { print } found && !/\\$/ { exit }' requirements/test.txt >.uv/uv.txt
        .uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .uv/uv.txt >&2 || {
            say "uv could not be fetched: this needs the network once, or a uv on PATH that knows venv --clear"
            return 2
        }
    fi
    printf '%s\n' "$PWD/.uv/bin/uv"
}

if is_current; then
    exit 0
fi
python=$(find_python)
if (($#)); then
    "$python" "$@"
fi
uv=$(find_uv "$python")
say "installing $folder from $lock ($("$python" --version))"
"$uv" venv --quiet --clear --python "$python" "$folder"
VIRTUAL_ENV=$PWD/$folder "$uv" pip sync --quiet --require-hashes --compile-bytecode "$lock"
VIRTUAL_ENV=$PWD/$folder "$uv" pip install --quiet --no-deps --no-index --no-build-isolation --editable .
recipe >"$folder/skyloom-recipe"
