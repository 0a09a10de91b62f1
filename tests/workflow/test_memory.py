"""What jobs ask for is what they need: no job over its memory, no rule that reserves blindly."""

import json

import pytest
from bars import Bars
from workflow_support import Snakemake

LEAST_USED = 0.4
AT_EXIT = """
import atexit


def write_peak():
    import json, os, re, sys

    snakemake = getattr(sys.modules["__main__"], "snakemake", None)
    if snakemake is not None:
        with open("/proc/self/status", encoding="utf-8") as status:
            peak = int(re.search(r"VmHWM:\\s+(\\d+)", status.read()).group(1)) / 1024
        row = {"rule": snakemake.rule, "peak": peak, "reserved": snakemake.resources.mem_mb}
        with open(os.path.join(os.environ["PEAKS"], f"{os.getpid()}.json"), "w", encoding="utf-8") as stream:
            json.dump(row, stream)


atexit.register(write_peak)
"""
"""Module that Python runs first: each job writes the largest memory that it ever held, which no look at it can miss."""


class Measured(Snakemake):
    """Snakemake whose jobs write their peaks.

    Parameters
    ----------
    folder : Path
        Working folder.
    """

    def __init__(self, folder):
        super().__init__(folder)
        self.peaks, self.path = folder / "peaks", folder / "path"
        for made in (self.peaks, self.path):
            made.mkdir()
        (self.path / "sitecustomize.py").write_text(AT_EXIT, encoding="utf-8")

    def environment(self):
        """Return the environment of a user's shell (dict), whose Python measures."""
        return super().environment() | {"PYTHONPATH": str(self.path), "PEAKS": str(self.peaks)}

    def used(self):
        """Return peak over reserved memory of each job, by rule (dict of str to list of float)."""
        found = {}
        for path in self.peaks.iterdir():
            row = json.loads(path.read_text(encoding="utf-8"))
            # Nights have rules of their own that differ by a number alone.
            rule = row["rule"].rstrip("0123456789").rstrip("_")
            found.setdefault(rule, []).append(row["peak"] / row["reserved"])
        return found


@pytest.mark.bars
@pytest.mark.timeout(3600)
def test_every_rule_of_the_demo_uses_what_it_reserves_and_no_more(tmp_path, monkeypatch):
    # Kernels that are there already would leave their rule nothing to do.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = Measured(tmp_path)
    run.run("report", "--cores", "2", config=None)

    used = run.used()
    bars = Bars("peak memory / reserved memory")
    for rule, parts in sorted(used.items()):
        bars.check(f"{rule}, {len(parts)} jobs, largest", max(parts), low=LEAST_USED, high=1)
    assert len(used) >= 14
    bars.judge()
