"""Bars: each prints its value beside what is asked for, and all are judged together at the end."""

import sys

import numpy as np


class Bars:
    """Collects values and bars.

    Parameters
    ----------
    title : str
        Printed above them.
    """

    def __init__(self, title):
        self.failed = []
        sys.stdout.write(f"{title}\n")

    def check(self, name, value, low=-np.inf, high=np.inf):
        """Print a value beside its bar; one that is NaN or outside is remembered as failed."""
        passed = bool(low <= value <= high)
        bar = f">= {low:g}" if np.isinf(high) else f"<= {high:g}" if np.isinf(low) else f"{low:g} to {high:g}"
        line = f"  {name:55s} {value:12.5g}   {bar:18s} {'pass' if passed else 'FAIL'}"
        sys.stdout.write(line + "\n")
        if not passed:
            self.failed.append(line)

    def note(self, name, value):
        """Print a value that has no bar."""
        sys.stdout.write(f"  {name:55s} {value:12.5g}\n")

    def judge(self):
        """Fail with all lines that did not reach their bar."""
        assert not self.failed, "\n".join(["bars not reached:", *self.failed])
