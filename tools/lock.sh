#!/usr/bin/env bash
# Writes requirements/demo.txt, test.txt and site.txt: every version and hash, for every platform, and no index.
# The other two take the demo lock's versions, so that what is tested and shown is what people run.
# Usage: tools/lock.sh [uv pip compile's options, such as --upgrade or --upgrade-package numpy]
set -euo pipefail
cd "$(dirname "$0")/.."

options=(--universal --python-version 3.12 --generate-hashes --no-emit-index-url --quiet
    --custom-compile-command "make lock")
uv pip compile "${options[@]}" "$@" pyproject.toml requirements/demo.in --output-file requirements/demo.txt
uv pip compile "${options[@]}" "$@" pyproject.toml requirements/test.in --extra piff --extra rubin --extra slurm \
    --constraints requirements/demo.txt --output-file requirements/test.txt
uv pip compile "${options[@]}" "$@" pyproject.toml requirements/site.in \
    --constraints requirements/demo.txt --output-file requirements/site.txt
