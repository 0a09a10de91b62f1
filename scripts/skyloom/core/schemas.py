"""Columns of every table that Skyloom writes; names, units and types are Rubin's wherever published."""

from skyloom.core.tables import Column, TableSchema

TRUTH_OBJECT = TableSchema(
    "truth_object",
    (
        Column("id", "int64", "", "Identity in the simulation."),
        Column("kind", "string", "", "star, galaxy, transient or mover."),
        Column("ra", "float64", "deg", "Right ascension at the epoch (ICRS)."),
        Column("dec", "float64", "deg", "Declination at the epoch (ICRS)."),
        Column("epoch", "float64", "yr", "Epoch of the position (Julian year, TCB)."),
        Column("pm_ra", "float64", "mas/yr", "Proper motion in right ascension times cos(dec)."),
        Column("pm_dec", "float64", "mas/yr", "Proper motion in declination."),
        Column("band", "string", "", "Band of the flux: one row a band."),
        Column("flux", "float64", "nJy", "Mean flux in the band."),
    ),
)

TRUTH_SOURCE = TableSchema(
    "truth_source",
    (
        Column("visit", "int64", "", "Visit."),
        Column("detector", "int32", "", "Detector."),
        Column("id", "int64", "", "Identity in the simulation."),
        Column("kind", "string", "", "star, galaxy, transient or mover."),
        Column("x", "float64", "pixel", "Column, pixel centres at integers from 0."),
        Column("y", "float64", "pixel", "Row, pixel centres at integers from 0."),
        Column("ra", "float64", "deg", "Right ascension at that moment (ICRS)."),
        Column("dec", "float64", "deg", "Declination at that moment (ICRS)."),
        Column("flux", "float64", "nJy", "Flux at that moment."),
    ),
)

COADD_INPUT = TableSchema(
    "coadd_input",
    (
        Column("visit", "int64", "", "Visit of the warp."),
        Column("detectors", "string", "", "Its detectors on the patch, separated by blanks."),
        Column("mjd", "float64", "d", "Mid-exposure (MJD TAI)."),
        Column("exposureTime", "float64", "s", "Open-shutter time."),
        Column(
            "weight",
            "float64",
            "nJy-2",
            "Weight of the warp in the mean: inverse of its clipped mean variance.",
        ),
        Column("psfSigma", "float64", "pixel", "PSF size (determinant radius), median over the cells."),
        Column("skyNoise", "float64", "nJy", "Root of the warp's clipped mean variance."),
        Column(
            "zeroOffset", "float64", "nJy", "Median of warp minus coadd on blank sky; told, not subtracted."
        ),
        Column(
            "noiseCorrelation", "float64", "", "Noise power at zero frequency over the mean pixel variance."
        ),
        Column("coveredFraction", "float64", "", "Fraction of the patch that the warp covers."),
        Column("used", "bool", "", "False when a selection left it out."),
        Column("reason", "string", "", "Why it was left out."),
    ),
)
