"""What each script costs before it does anything: CPU seconds of Python's start and of its imports, beside the bar.

Scripts that read only tables must not pay for FITS and Numba.
"""

import argparse
import resource
import statistics
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
TABLE_SCRIPTS = ("associate_dia_sources", "check_survival")
TABLE_BAR_S = 0.6
FITS_BAR_S = 1.7


def cpu_of_start(script):
    """CPU seconds (float) of a fresh interpreter that runs a script's imports and definitions.

    Parameters
    ----------
    script : Path
        The script; its main function is not called.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = f"import runpy, sys; sys.path.append({str(SCRIPTS)!r}); runpy.run_path({str(script)!r})"
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 (fixed words)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    """Print a line a script; 1 when one is over its bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--repeat", type=int, default=3, help="starts of each script, of which the median counts"
    )
    repeat = parser.parse_args().repeat
    n_over = 0
    for script in sorted(SCRIPTS.glob("*.py")):
        cpu = statistics.median(cpu_of_start(script) for _ in range(repeat))
        bar = TABLE_BAR_S if script.stem in TABLE_SCRIPTS else FITS_BAR_S
        n_over += cpu > bar
        verdict = "pass" if cpu <= bar else "FAIL"
        sys.stdout.write(f"{script.stem:<24} {cpu:6.2f} CPU s   bar {bar:.1f}   {verdict}\n")
    return int(n_over > 0)


if __name__ == "__main__":
    sys.exit(main())
