#!/usr/bin/env bash
# The whole test suite in random order, then the kernels' unit tests again in plain Python, so that coverage sees the
# branches inside kernels, then the coverage of both together.
# Usage: tools/test.sh WORKERS MINIMUM [pytest's arguments; with them no minimum is asked for]
set -euo pipefail
cd "$(dirname "$0")/.."
workers=$1
minimum=$2
shift 2

coverage erase
pytest -n "$workers" --cov --cov-report= "$@"
if (($#)); then
    coverage report
    exit
fi
NUMBA_DISABLE_JIT=1 pytest tests/unit -m kernels --cov --cov-append --cov-report=
coverage report
echo "Library alone, at least $minimum % of lines and branches:"
coverage report --include='scripts/skyloom/*' --fail-under="$minimum" --format=total
