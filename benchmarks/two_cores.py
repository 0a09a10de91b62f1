"""How much sooner the demo survey is done with two cores than with one: seconds by the clock, kernels compiled before.

The machine must have nothing else to do.
"""

import argparse
import statistics
import sys
import tempfile
import time

from snakemake_runs import run_snakemake

SPEEDUP_BAR = 1.7


def seconds_of_demo(cores):
    """Seconds by the clock of the whole demo survey but for the compilation of its kernels (float).

    Parameters
    ----------
    cores : int
        Cores.
    """
    with tempfile.TemporaryDirectory() as folder:
        run_snakemake(folder, "results/kernels.done", "--cores", str(cores))
        started = time.monotonic()
        run_snakemake(folder, "drp", "report", "--cores", str(cores))
        return time.monotonic() - started


def main():
    """Measure by turns and print; return 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each kind, of which the median counts")
    repeat = parser.parse_args().repeat
    rows = [(seconds_of_demo(1), seconds_of_demo(2)) for _ in range(repeat)]
    one, two = (statistics.median(column) for column in zip(*rows, strict=True))
    passed = one / two >= SPEEDUP_BAR
    sys.stdout.write(
        f"demo survey: {one:.0f} s on one core, {two:.0f} s on two: {one / two:.2f} times as fast, "
        f"bar {SPEEDUP_BAR}   {'pass' if passed else 'FAIL'}\n"
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
