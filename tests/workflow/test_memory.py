"""What jobs ask for is what they need: no job over its memory, no rule that reserves blindly."""

import ast
import csv

import pytest
from bars import Bars
from workflow_support import Snakemake

LEAST_USED = 0.4
LEAST_SEEN_S = 1.0
"""Snakemake looks at a job each second: of one that is over before, it sees the start of the interpreter or nothing."""


def benchmarks_of(root):
    """Rule, peak memory and reserved memory [MB], duration [s] of each job (list of tuple)."""
    rows = []
    for path in sorted((root / "benchmarks").rglob("*.tsv")):
        with open(path, encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
                # Nights have rules of their own that differ by a number alone.
                rule = row["rule_name"].rstrip("0123456789").rstrip("_")
                reserved = ast.literal_eval(row["resources"])["mem_mb"]
                rows.append((rule, float(row["max_rss"]), reserved, float(row["s"])))
    return rows


@pytest.mark.bars
@pytest.mark.timeout(3600)
def test_every_rule_of_the_demo_uses_what_it_reserves_and_no_more(tmp_path, monkeypatch):
    # Kernels that are there already would leave their rule nothing to do.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = Snakemake(tmp_path)
    run.run("report", "--cores", "2", "--benchmark-extended", config=None)

    used = {}
    for rule, peak, reserved, seconds in benchmarks_of(tmp_path / "results"):
        used.setdefault(rule, []).append((peak / reserved, seconds))
    bars = Bars("peak memory / reserved memory")
    for rule, jobs in sorted(used.items()):
        largest, longest = (max(values) for values in zip(*jobs, strict=True))
        least = LEAST_USED if longest > LEAST_SEEN_S else 0.0
        bars.check(f"{rule}, {len(jobs)} jobs, longest {longest:.1f} s", largest, low=least, high=1)
    assert len(used) >= 14
    bars.judge()
