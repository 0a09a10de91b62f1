"""Time and memory of a run: by rule, and its slowest jobs."""

import numpy as np

from skyloom.core.tables import Column, TableSchema

MOST_JOBS = 10
MACHINE = TableSchema(
    "machine",
    (
        Column("subject", "string", "", "A rule, or one of the slowest jobs by its products' name."),
        Column("n_job", "int64", "", "Jobs."),
        Column("wall_s", "float64", "s", "Time by the clock, all jobs together."),
        Column("longest_s", "float64", "s", "Time by the clock of the longest job."),
        Column("cpu_s", "float64", "s", "Time of the cores, all jobs together."),
        Column("peak_mb", "float64", "MB", "Largest resident memory of a job."),
    ),
)


def machine_table(costs):
    """Table of what the jobs cost.

    Parameters
    ----------
    costs : list of JobCost
        One a job.

    Returns
    -------
    pyarrow.Table
        Schema MACHINE: ``rule NAME`` from the dearest to the cheapest, then ``job NAME`` of the ten longest.
    """
    groups = {}
    for cost in costs:
        groups.setdefault(f"rule {cost.rule}", []).append(cost)
    rows = sorted(
        (_row(name, members) for name, members in groups.items()), key=lambda row: (-row[2], row[0])
    )
    longest = sorted(costs, key=lambda cost: (-np.nan_to_num(cost.wall_s), cost.job))[:MOST_JOBS]
    rows += [_row(f"job {cost.job}", [cost]) for cost in longest]
    return MACHINE.table_of_rows(rows)


def _row(subject, costs):
    """Row of some jobs; what could not be measured adds nothing."""
    wall, cpu, peak = (
        np.nan_to_num([getattr(c, name) for c in costs]) for name in ("wall_s", "cpu_s", "peak_mb")
    )
    return subject, len(costs), float(wall.sum()), float(wall.max()), float(cpu.sum()), float(peak.max())
