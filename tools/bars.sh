#!/usr/bin/env bash
# The full-size bars, all of them whatever fails on the way: benchmarks beside the peers, then the tests marked `bars`.
# A bar whose peer is missing was not measured: it counts as missed.
# Usage: tools/bars.sh PYTHON, the interpreter of the demo's environment; the tests' environment comes first on PATH.
set -euo pipefail
cd "$(dirname "$0")/.."

lean=$1
# CPU seconds are those of one thread.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
missed=()

measure() {
    echo "bars: ${*: -1}"
    local code=0
    "$@" || code=$?
    case $code in
        0) ;;
        2) missed+=("${*: -1} (not measured)") ;; # NOT_MEASURED of benchmarks/peers.py
        *) missed+=("${*: -1}") ;;
    esac
}

for name in start_and_imports dag_resolution simulation_cost astrometry single_visit two_cores; do
    measure "$lean" "benchmarks/$name.py"
done
for name in cosmic_rays psf_model; do
    measure python "benchmarks/$name.py"
done
SKYLOOM_REQUIRE=bars,realdata pytest -m bars -rA || missed+=("pytest -m bars")

if ((${#missed[@]})); then
    printf 'bars not reached in: %s\n' "${missed[@]}"
    exit 1
fi
