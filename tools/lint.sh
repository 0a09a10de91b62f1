#!/usr/bin/env bash
# Every check of style and structure; all of them run, and the exit code says whether one failed.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=()

check() {
    printf 'lint: %s\n' "$*"
    "$@" || failed+=("$*")
}

check ruff check .
check ruff format --check .
check snakefmt --check Snakefile rules
check snakemake --lint
check lint-imports
check codespell

if ((${#failed[@]})); then
    printf 'lint failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
echo "lint: all clean"
