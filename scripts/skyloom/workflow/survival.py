"""Which detectors a flow lost, by step and reason, whether enough are left, and which had no template."""

from skyloom.core.errors import SkyloomError
from skyloom.core.tables import Column, TableSchema

FAILURES = TableSchema(
    "failures",
    (
        Column("step", "string", "", "Rule that could not use the detector."),
        Column("visit", "int64", "", "Visit."),
        Column("detector", "int32", "", "Detector."),
        Column("reason", "string", "", "Name of the cause."),
        Column("message", "string", "", "What was found, what is needed, what to look at."),
    ),
)
COUNTS_KEY = "skyloom.counts"


class TooFewSurvivorsError(SkyloomError):
    """Too many detectors were lost for the products to mean anything.

    Parameters
    ----------
    survived, total : int
        Detectors.
    needed : float
        Fraction that must survive.
    reasons : str
        Reasons with their numbers.
    """

    def __init__(self, survived, total, needed, reasons):
        super().__init__(
            f"{survived} of {total} detectors survived, needs a fraction of {needed} (min_good_fraction); "
            f"reasons: {reasons}; look at visit_summary/"
        )
        self.survived, self.total, self.needed, self.reasons = survived, total, needed, reasons


def collect_failures(summaries, dia_statuses):
    """Gather what failed.

    Parameters
    ----------
    summaries : sequence of dict
        Rows of all visit summaries with visit, detector, status, reason and message.
    dia_statuses : dict of (int, int) to (str, str, str)
        Status, reason and message of the DIA sources of each (visit, detector); EMPTY where the survey has no
        template, which loses nothing.

    Returns
    -------
    table : pyarrow.Table
        Columns `FAILURES`, one row for each detector lost, at the step that lost it.
    counts : dict of str to int
        Numbers of detectors: ``survived`` nothing bad, ``total``, and ``without_template`` among the survivors.
    """
    calibrated = {(row["visit"], row["detector"]): row for row in summaries}
    rows = []
    for pair, row in sorted(calibrated.items()):
        if row["status"] != "OK":
            rows.append(("calibrate_image", *pair, row["reason"], row["message"]))
    lost = {row[1:3] for row in rows}
    for pair, (status, reason, message) in sorted(dia_statuses.items()):
        if status == "FAILED" and pair not in lost:
            rows.append(("subtract_template", *pair, reason, message))
    table = FAILURES.table_of_rows(rows)
    total = len(calibrated.keys() | dia_statuses.keys())
    n_empty = sum(status == "EMPTY" for status, _, _ in dia_statuses.values())
    return table, {"survived": total - len(rows), "total": total, "without_template": n_empty}


def check_survival(table, counts, needed):
    """Raise when too few detectors survived.

    Parameters
    ----------
    table : pyarrow.Table
        Columns `FAILURES`.
    counts : dict of str to int
        From `collect_failures`.
    needed : float
        Fraction that must survive.

    Raises
    ------
    TooFewSurvivorsError
        With the reasons.
    """
    survived, total = counts["survived"], counts["total"]
    if survived >= needed * total:
        return
    reasons = {}
    for reason in table.column("reason").to_pylist():
        reasons[reason] = reasons.get(reason, 0) + 1
    listed = ", ".join(f"{reason} {number}" for reason, number in sorted(reasons.items()))
    raise TooFewSurvivorsError(survived, total, needed, listed)
