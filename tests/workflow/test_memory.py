"""What jobs ask for is what they need: no job over its memory, no rule that reserves blindly."""

import ast
import csv

import pytest
from bars import Bars
from workflow_support import Snakemake

LEAST_USED = 0.4


def benchmarks_of(root):
    """Rule, peak memory and reserved memory [MB] of each job (list of tuple)."""
    rows = []
    for path in sorted((root / "benchmarks").rglob("*.tsv")):
        with open(path, encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
                # Nights have rules of their own that differ by a number alone.
                rule = row["rule_name"].rstrip("0123456789").rstrip("_")
                rows.append((rule, float(row["max_rss"]), ast.literal_eval(row["resources"])["mem_mb"]))
    return rows


@pytest.mark.bars
@pytest.mark.timeout(3600)
def test_every_rule_of_the_demo_uses_what_it_reserves_and_no_more(tmp_path, monkeypatch):
    # Kernels that are there already would leave their rule nothing to do.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = Snakemake(tmp_path)
    run.run("report", "--cores", "2", "--benchmark-extended", config=None)

    used = {}
    for rule, peak, reserved in benchmarks_of(tmp_path / "results"):
        used.setdefault(rule, []).append(peak / reserved)
    bars = Bars("peak memory / reserved memory")
    for rule, fractions in sorted(used.items()):
        bars.check(f"{rule}, {len(fractions)} jobs", max(fractions), low=LEAST_USED, high=1)
    assert len(used) >= 14
    bars.judge()
