"""Metrics as rows: a name, a band, a value, its bounds, and what it says."""

from dataclasses import dataclass

import numpy as np

from skyloom.core.tables import Column, TableSchema

METRIC = TableSchema(
    "metric",
    (
        Column("name", "string", "", "Name of the metric."),
        Column("band", "string", "", "Band, or all."),
        Column("value", "float64", "", "Value in the metric's unit; NaN when nothing could be measured."),
        Column("unit", "string", "", "Unit of value, low and high."),
        Column("low", "float64", "", "Smallest acceptable value; -inf for none."),
        Column("high", "float64", "", "Largest acceptable value; inf for none."),
        Column("ok", "bool", "", "Whether the value lies within its bounds."),
        Column("n", "int64", "", "Number of measurements behind the value."),
        Column("basis", "string", "", "truth, or products when only the run's own products were compared."),
        Column("description", "string", "", "What it says."),
    ),
)


@dataclass(frozen=True, slots=True)
class Definition:
    """What a metric means, whatever its value.

    Attributes
    ----------
    unit : str
        Unit of the value and its bounds.
    low, high : float
        Acceptable range.
    basis : str
        ``truth`` or ``products``.
    description : str
        One sentence.
    """

    unit: str
    low: float
    high: float
    basis: str
    description: str


ANY = (-np.inf, np.inf)

DEFINITIONS = {
    "n_detector": Definition("", *ANY, "products", "Detectors that were to be calibrated."),
    "n_failed": Definition("", *ANY, "products", "Detectors that could not be calibrated."),
    "seeing": Definition("arcsec", *ANY, "products", "Median FWHM of the PSF."),
    "depth": Definition("mag", *ANY, "products", "Median 5-sigma AB depth of a point source in one visit."),
    "coadd_depth": Definition(
        "mag", *ANY, "products", "Median 5-sigma AB depth of a point source in the deep coadds."
    ),
    "coadd_noise_ratio": Definition(
        "", 0.95, 1.05, "products", "Pixel noise of blank sky in the deep coadds over the propagated one."
    ),
    "diff_noise_ratio": Definition(
        "", 0.9, 1.1, "products", "Pixel noise of blank sky in the differences over the propagated one."
    ),
    "star_completeness": Definition(
        "", 0.95, np.inf, "truth", "Fraction of the stars of S/N above 10 that are in src."
    ),
    "source_purity": Definition(
        "",
        0.98,
        np.inf,
        "truth",
        "Fraction of the sources of S/N above 10 whose light is that of true objects.",
    ),
    "astrometric_residual_ra": Definition(
        "mas",
        -np.inf,
        10.0,
        "truth",
        "Median distance in right ascension of stars of S/N above 50 from truth.",
    ),
    "astrometric_residual_dec": Definition(
        "mas", -np.inf, 10.0, "truth", "Median distance in declination of stars of S/N above 50 from truth."
    ),
    "photometric_scatter": Definition(
        "mmag",
        -np.inf,
        20.0,
        "truth",
        "Robust scatter of the PSF fluxes of stars of S/N above 100 about truth.",
    ),
    "zero_point_error": Definition(
        "",
        -np.inf,
        0.01,
        "truth",
        "Largest relative error of a detector's zero point (its stars of S/N above 50).",
    ),
    "transient_completeness": Definition(
        "", 0.9, np.inf, "truth", "Fraction of the transients of S/N above 10 that are in dia_source."
    ),
    "false_dia_sources": Definition(
        "", -np.inf, 15.0, "truth", "DIA sources without a true transient or mover per 2048 x 2048 pixels."
    ),
}


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
    """

    name: str
    band: str
    value: float
    n: int


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
        for name in ("name", "band", "value", "n"):
            rows[name].append(getattr(measurement, name))
        for name in ("unit", "low", "high", "basis", "description"):
            rows[name].append(getattr(definition, name))
    return METRIC.table(rows)
