"""Metrics as rows: of what, a name, a band, a value with its error and bounds, and what it says."""

from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.robust import MAD_TO_SIGMA, MEDIAN_ERROR, mad_sigma
from skyloom.core.tables import Column, TableSchema
from skyloom.report.definitions import DEFINITIONS

SURVEY = "survey"
# Standard errors of a median and of a scatter from the median deviation, over sigma / sqrt(n), of Gaussian noise.
SCATTER_ERROR = 1.1664

METRIC = TableSchema(
    "metric",
    (
        Column("name", "string", "", "Name of the metric."),
        Column(
            "subject", "string", "", "What was measured: survey, or one visit, coadd, calibration, reason."
        ),
        Column("band", "string", "", "Band, or all."),
        Column("value", "float64", "", "Value in the metric's unit; NaN when nothing could be measured."),
        Column("error", "float64", "", "Standard error of the value; 0 for counts, NaN when unknown."),
        Column("unit", "string", "", "Unit of value, error, bounds and specifications."),
        Column("low", "float64", "", "Smallest acceptable value; -inf for none."),
        Column("high", "float64", "", "Largest acceptable value; inf for none."),
        Column("ok", "bool", "", "Whether the value lies within its bounds."),
        Column("n", "int64", "", "Number of measurements behind the value."),
        Column("design", "float64", "", "Design specification of LPM-17, not to be exceeded; NaN for none."),
        Column("minimum", "float64", "", "Minimum specification of LPM-17; NaN for none."),
        Column("basis", "string", "", "truth, or products when only the run's own products were compared."),
        Column("description", "string", "", "What it says."),
    ),
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A metric's value.

    Attributes
    ----------
    name : str
        A key of `DEFINITIONS`.
    band : str
        Band, or ``all``.
    value : float
        In the metric's unit; NaN when nothing could be measured.
    n : int
        Number of measurements behind it.
    error : float
        Standard error; 0 for counts, NaN when unknown.
    subject : str
        What was measured.
    """

    name: str
    band: str
    value: float
    n: int
    error: float = np.nan
    subject: str = SURVEY


def counted(name, band, number, subject=SURVEY):
    """Measurement of a number of things, which has no error.

    Parameters
    ----------
    name, band, subject : str
        See `Measurement`.
    number : int
        How many.

    Returns
    -------
    Measurement
        With the number as its own n.
    """
    return Measurement(name, band, float(number), int(number), 0.0, subject)


def median_of(name, band, values, subject=SURVEY):
    """Measurement of a median.

    Parameters
    ----------
    name, band, subject : str
        See `Measurement`.
    values : array_like, shape (n,)
        Values; NaN are left out.

    Returns
    -------
    Measurement
        NaN without a value; its error is unknown below two.
    """
    values = _finite(values)
    value = float(np.median(values)) if values.size else np.nan
    error = MEDIAN_ERROR * mad_sigma(values) / np.sqrt(values.size) if values.size > 1 else np.nan
    return Measurement(name, band, value, values.size, float(error), subject)


def scatter_of(name, band, values, subject=SURVEY):
    """Measurement of a robust scatter about zero.

    Parameters
    ----------
    name, band, subject : str
        See `Measurement`.
    values : array_like, shape (n,)
        Residuals in the metric's unit; NaN are left out.

    Returns
    -------
    Measurement
        `MAD_TO_SIGMA` times the median absolute value; NaN below two values.
    """
    values = _finite(values)
    if values.size < 2:
        return Measurement(name, band, np.nan, values.size, np.nan, subject)
    value = float(np.median(np.abs(values)) * MAD_TO_SIGMA)
    return Measurement(name, band, value, values.size, SCATTER_ERROR * value / np.sqrt(values.size), subject)


def fraction_of(name, band, number, total, scale=1.0):
    """Measurement of a part of many things.

    Parameters
    ----------
    name, band : str
        See `Measurement`.
    number, total : int
        How many of how many.
    scale : float
        What the whole is: 100 for per cent.

    Returns
    -------
    Measurement
        NaN of nothing; its error is the standard deviation of the fraction given the counts and a flat prior, so that
        it is no 0 where all or nothing was counted.
    """
    if total == 0:
        return Measurement(name, band, np.nan, 0)
    mean = (number + 1) / (total + 2)
    error = np.sqrt(mean * (1 - mean) / (total + 3))
    return Measurement(name, band, scale * number / total, total, float(scale * error))


def tab_separated(table):
    """Table as text that spreadsheets and awk read.

    Parameters
    ----------
    table : pyarrow.Table
        Any.

    Returns
    -------
    str
        A line of names and one a row; numbers as Python writes them, which gives them back as they were.
    """
    rows = [
        table.column_names,
        *zip(*(table.column(name).to_pylist() for name in table.column_names), strict=True),
    ]
    return "".join("\t".join(str(value) for value in row) + "\n" for row in rows)


def _finite(values):
    """Values that are numbers (ndarray of float64)."""
    values = np.asarray(values, dtype=np.float64)
    return values[np.isfinite(values)]


def metrics_table(measurements):
    """Build the table of metrics.

    Parameters
    ----------
    measurements : list of Measurement
        Values.

    Returns
    -------
    pyarrow.Table
        Schema METRIC; a value of NaN is never ok.
    """
    rows = {c.name: [] for c in METRIC.columns}
    for measurement in measurements:
        definition = DEFINITIONS[measurement.name]
        rows["ok"].append(bool(definition.low <= measurement.value <= definition.high))
        for name in ("name", "subject", "band", "value", "error", "n"):
            rows[name].append(getattr(measurement, name))
        for name in ("unit", "low", "high", "basis", "description"):
            rows[name].append(getattr(definition, name))
        for name in ("design", "minimum"):
            rows[name].append(definition.specification(name, measurement.band))
    return METRIC.table(rows)
