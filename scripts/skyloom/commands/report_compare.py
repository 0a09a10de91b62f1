"""Comparison of the reports of two runs: what changed beyond the noise, what came and what went."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skyloom.commands.compare import lines_of_lacking
from skyloom.core.errors import ConfigError
from skyloom.io.tables import read_table
from skyloom.workflow.paths import product_path

# A change counts when it is above so many standard errors of the difference.
SIGNIFICANT = 3.0
# A value of unknown error must change by this part of itself.
UNKNOWN_ERROR = 1e-3
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
    error : float
        Standard error of the difference; 0 for what is counted, NaN where it is unknown.
    """

    subject: str
    name: str
    band: str
    unit: str
    before: float
    after: float
    error: float

    @property
    def sigma(self):
        """Difference over its standard error; inf where that is 0 or unknown."""
        difference = abs(self.after - self.before)
        return difference / self.error if self.error > 0 and np.isfinite(difference) else np.inf

    @property
    def is_beyond_noise(self):
        """Whether a person should hear of it; two values that are missing are equal."""
        if self.before == self.after or (np.isnan(self.before) and np.isnan(self.after)):
            return False
        if np.isnan(self.error) and np.isfinite(self.after - self.before):
            return not np.isclose(self.after, self.before, rtol=UNKNOWN_ERROR, atol=0)
        return self.sigma > SIGNIFICANT

    def line(self):
        """Return the line that a person reads (str)."""
        size = f" ({self.sigma:.1f} sigma)" if np.isfinite(self.sigma) else ""
        if np.isnan(self.error) and np.isfinite(self.after - self.before):
            size = " (error unknown)"
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
            *lines_of_lacking(self),
            f"{self.n_common} metrics in both, {len(self.changed)} changed beyond their noise",
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
    The errors of both runs are taken as independent, so that two runs of the same frames differ by less. A change is
    above three standard errors; of what is counted it is any, of a value whose error is unknown above 0.1 %.
    """
    before, after = _rows(first), _rows(second)
    common = [key for key in before if key in after]
    changes = [_change(before[key], after[key]) for key in common]
    changed = [change for change in changes if change.is_beyond_noise]
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
    return Change(*named, *values, float(np.hypot(before["error"], after["error"])))
