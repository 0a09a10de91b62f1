"""What Snakemake's benchmark files say of the jobs that ran: time and memory."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class JobCost:
    """Time and memory of one job.

    Attributes
    ----------
    rule : str
        Its rule.
    job : str
        Its benchmark file, relative to the output root and without suffix.
    wall_s, cpu_s : float
        Time by the clock and of all its cores [s]; NaN where Snakemake could not measure it.
    peak_mb : float
        Largest resident memory [MB]; NaN likewise, as in jobs of less than a sampling step.
    """

    rule: str
    job: str
    wall_s: float
    cpu_s: float
    peak_mb: float


def read_benchmarks(root, patterns):
    """Read the benchmark files of a run.

    Parameters
    ----------
    root : str or Path
        Output root.
    patterns : dict of str to list of str
        Files of each rule, relative to the root, with ``*`` for wildcards.

    Returns
    -------
    list of JobCost
        One a file, by rule and name; jobs that ran on another machine count like others.
    """
    root = Path(root)
    costs = []
    for rule, names in patterns.items():
        for path in sorted({path for name in names for path in root.glob(name)}):
            with open(path, encoding="utf-8", newline="") as stream:
                row = next(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
            job = path.relative_to(root / "benchmarks").with_suffix("").as_posix()
            costs.append(JobCost(rule, job, *(_number(row[name]) for name in ("s", "cpu_time", "max_rss"))))
    return costs


def _number(text):
    """Number of a cell; NaN for the words that Snakemake writes where it has none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
