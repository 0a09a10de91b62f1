"""Comparison of the reports of two runs: what changed beyond the noise, what came and what went."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skyloom.core.errors import ConfigError
from skyloom.io.tables import read_table
from skyloom.workflow.paths import product_path

# A change counts when it is above so many standard errors of the difference.
SIGNIFICANT = 3.0
SURVEY = "survey"


class NoReportError(ConfigError):
    """An output root holds no report.

    Parameters
    ----------
    path : str
        The file that is missing.
    """

    def __init__(self, path):
        super().__init__(
            f"{path} is not there: name the output root of a run, such as results, after snakemake report"
        )
        self.path = path


@dataclass(frozen=True, slots=True)
class Change:
    """A metric that differs.

    Attributes
    ----------
    subject, name, band, unit : str
        Which metric of what.
    before, after : float
        Its values; NaN where nothing was measured.
    sigma : float
        Difference over its standard error; inf where the error is zero or unknown.
    """

    subject: str
    name: str
    band: str
    unit: str
    before: float
    after: float
    sigma: float

    def line(self):
        """Return the line that a person reads (str)."""
        size = "" if np.isinf(self.sigma) else f" ({self.sigma:.1f} sigma)"
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.subject}: {self.name} {self.band}: {self.before:.6g} -> {self.after:.6g}{unit}{size}"


@dataclass(frozen=True, slots=True)
class ReportComparison:
    """What two reports have in common.

    Attributes
    ----------
    n_common : int
        Metrics that both have.
    changed : tuple of Change
        Those that differ beyond the noise, the whole survey's first.
    only_first, only_second : tuple of str
        Metrics that the other lacks.
    """

    n_common: int
    changed: tuple[Change, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]

    @property
    def is_alike(self):
        """Whether nothing changed beyond the noise."""
        return not (self.changed or self.only_first or self.only_second)

    def lines(self):
        """Return the lines that a person reads (list of str)."""
        return [
            *(change.line() for change in self.changed),
            *(f"only in the first: {name}" for name in self.only_first),
            *(f"only in the second: {name}" for name in self.only_second),
            f"{self.n_common} metrics in both, {len(self.changed)} changed by more than {SIGNIFICANT:g} sigma",
        ]


def compare_reports(first, second):
    """Compare the metrics of two runs.

    Parameters
    ----------
    first, second : str or Path
        Output roots.

    Returns
    -------
    ReportComparison
        What changed.

    Raises
    ------
    NoReportError
        If a root has no metrics.

    Notes
    -----
    The errors of both runs are taken as independent, so that two runs of the same frames differ by less. A metric
    whose error is 0 (a count) or unknown changes by any difference.
    """
    before, after = _rows(first), _rows(second)
    common = [key for key in before if key in after]
    changes = [_change(before[key], after[key]) for key in common]
    changed = [change for change in changes if change.sigma > SIGNIFICANT]
    changed.sort(key=lambda change: (change.subject != SURVEY, -change.sigma))
    lacking = [
        [" ".join(key) for key in one if key not in other]
        for one, other in ((before, after), (after, before))
    ]
    return ReportComparison(len(common), tuple(changed), *(tuple(names) for names in lacking))


def _rows(root):
    """Rows of a run's metrics by subject, name and band."""
    path = Path(product_path(str(root), "metrics"))
    if not path.is_file():
        raise NoReportError(str(path))
    return {(row["subject"], row["name"], row["band"]): row for row in read_table(path).to_pylist()}


def _change(before, after):
    """Change of one metric."""
    values = before["value"], after["value"]
    named = (before[name] for name in ("subject", "name", "band", "unit"))
    return Change(*named, *values, _sigma(*values, float(np.hypot(before["error"], after["error"]))))


def _sigma(before, after, error):
    """Difference over its error; 0 for equal values, two that are missing included."""
    if before == after or (np.isnan(before) and np.isnan(after)):
        return 0.0
    return abs(after - before) / error if error > 0 and np.isfinite(after - before) else np.inf
