"""The simulated sky as a table: which columns an object has, and the arithmetic to join and select rows."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

STAR, GALAXY, TRANSIENT, MOVING = "star", "galaxy", "transient", "mover"
KINDS = (STAR, GALAXY, TRANSIENT, MOVING)
REFERENCE_MJD = 57388.5
"""J2016.0, the epoch of positions and proper motions (that of Gaia DR3)."""
TEXT = "U12"
"""NumPy's type of columns of text: as long as the longest word in them."""


@dataclass(frozen=True, slots=True)
class TruthColumn:
    """Name, Arrow type, unit and meaning of a column of the truth."""

    name: str
    kind: str
    unit: str
    description: str


OBJECT_COLUMNS = (
    TruthColumn("id", "int64", "", "Unique identifier, the same in every visit."),
    TruthColumn("kind", "string", "", "star, galaxy, transient or mover."),
    TruthColumn("ra", "float64", "deg", "Right ascension ICRS at J2016.0 (mover: at rate_mjd)."),
    TruthColumn("dec", "float64", "deg", "Declination ICRS at J2016.0 (mover: at rate_mjd)."),
    TruthColumn("pmra", "float64", "mas/yr", "Proper motion in right ascension times cos(dec)."),
    TruthColumn("pmdec", "float64", "mas/yr", "Proper motion in declination."),
    TruthColumn("parallax", "float64", "mas", "Annual parallax."),
    TruthColumn(
        "colour_gr", "float64", "mag", "AB magnitude in g minus that in r: the slope of the spectrum."
    ),
    TruthColumn(
        "half_light_radius", "float64", "arcsec", "Half-light radius along the major axis; 0 for points."
    ),
    TruthColumn("axis_ratio", "float64", "", "Minor over major axis; 1 for points."),
    TruthColumn("position_angle", "float64", "deg", "Position angle of the major axis, East of North."),
    TruthColumn("bulge_fraction", "float64", "", "Fraction of the flux with a de Vaucouleurs profile."),
    TruthColumn("host_id", "int64", "", "Galaxy in which a transient explodes; 0 without one."),
    TruthColumn("peak_mjd", "float64", "d", "Time of a transient's maximum, MJD TAI; 0 for other kinds."),
    TruthColumn(
        "duration", "float64", "d", "Standard deviation of a transient's light curve; 0 for other kinds."
    ),
    TruthColumn(
        "rate_mjd", "float64", "d", "Time at which a moving object is at ra, dec; 0 for other kinds."
    ),
    TruthColumn(
        "rate_ra", "float64", "deg/d", "Motion in right ascension times cos(dec) of a moving object."
    ),
    TruthColumn("rate_dec", "float64", "deg/d", "Motion in declination of a moving object."),
    TruthColumn("redshift", "float64", "", "Redshift of a galaxy or supernova; 0 without one."),
    TruthColumn("ebv", "float64", "mag", "Reddening E(B-V) of the fluxes by the dust in front."),
    TruthColumn("bulge_colour", "float64", "mag", "Colour g - r of the bulge minus that of the disc."),
    TruthColumn(
        "variability",
        "string",
        "",
        "Light curve: sine, rr_lyrae, eclipsing, irregular, gaussian, supernova_ia; empty for constant.",
    ),
    TruthColumn("period", "float64", "d", "Period, or damping time of an irregular star; 0 for others."),
    TruthColumn(
        "phase_mjd", "float64", "d", "MJD TAI of maximum light, or of the middle of primary eclipse."
    ),
    TruthColumn(
        "amplitude", "float64", "mag", "Range in r of a variable star; standard deviation if irregular."
    ),
    TruthColumn("light_seed", "int64", "", "Seed of the light curve of an irregular star."),
    TruthColumn("stretch", "float64", "", "Stretch in time of a supernova's light curve; 0 for others."),
)
"""Columns of truth/object beside one flux a band."""

ORBIT_COLUMNS = (
    TruthColumn("id", "int64", "", "Identifier in truth/object."),
    TruthColumn("population", "string", "", "main_belt, near_earth or tno."),
    TruthColumn("epoch_mjd", "float64", "d", "Time of the elements, MJD TDB."),
    TruthColumn("semimajor_axis", "float64", "au", "Semimajor axis of the heliocentric ellipse."),
    TruthColumn("eccentricity", "float64", "", "Eccentricity, below 1."),
    TruthColumn("inclination", "float64", "deg", "Inclination to the ecliptic of J2000."),
    TruthColumn("node", "float64", "deg", "Longitude of the ascending node."),
    TruthColumn("perihelion", "float64", "deg", "Argument of the perihelion."),
    TruthColumn("mean_anomaly", "float64", "deg", "Mean anomaly at epoch_mjd."),
    TruthColumn(
        "absolute_magnitude", "float64", "mag", "H: AB magnitude in r, 1 au from Sun and Earth, at phase 0."
    ),
    TruthColumn("slope_parameter", "float64", "", "G of the phase function."),
)
"""Columns of truth/orbit, of moving objects with an orbit; in memory columns of every object, 0 without one."""

SOURCE_COLUMNS = (
    TruthColumn("visit", "int64", "", "Visit."),
    TruthColumn("detector", "int32", "", "Detector."),
    TruthColumn("id", "int64", "", "Identifier in truth/object."),
    TruthColumn("kind", "string", "", "star, galaxy, transient or mover."),
    TruthColumn("x", "float64", "pixel", "Column on the detector, centre of the first pixel 0."),
    TruthColumn("y", "float64", "pixel", "Row on the detector, centre of the first pixel 0."),
    TruthColumn("ra", "float64", "deg", "Right ascension ICRS at the exposure's middle."),
    TruthColumn("dec", "float64", "deg", "Declination ICRS at the exposure's middle."),
    TruthColumn("flux", "float64", "nJy", "Flux above the atmosphere at the exposure's middle."),
    TruthColumn(
        "electrons_per_njy",
        "float64",
        "electron/nJy",
        "Electrons of the exposure per nJy where response is 1.",
    ),
    TruthColumn(
        "response", "float64", "", "Vignetting and filter response at x, y, without the pixels' own."
    ),
    TruthColumn("sky", "float64", "electron", "Expected sky and dark electrons of the pixel at x, y."),
    TruthColumn("psf_fwhm", "float64", "arcsec", "Width of the point spread function at x, y."),
    TruthColumn("psf_e1", "float64", "", "Stretch of the point spread function along the detector's x."),
    TruthColumn(
        "psf_e2", "float64", "", "Stretch of the point spread function along the detector's diagonal."
    ),
)
"""Columns of truth/source."""

REFERENCE_COLUMNS = (
    TruthColumn(
        "id", "int64", "", "Identifier in truth/object; a false entry's is in no table of the truth."
    ),
    TruthColumn("ra", "float64", "deg", "Right ascension ICRS at J2016.0."),
    TruthColumn("dec", "float64", "deg", "Declination ICRS at J2016.0."),
    TruthColumn("ra_error", "float64", "mas", "Standard error of ra times cos(dec)."),
    TruthColumn("dec_error", "float64", "mas", "Standard error of dec."),
    TruthColumn("pmra", "float64", "mas/yr", "Proper motion in right ascension times cos(dec)."),
    TruthColumn("pmdec", "float64", "mas/yr", "Proper motion in declination."),
    TruthColumn("pmra_error", "float64", "mas/yr", "Standard error of pmra."),
    TruthColumn("pmdec_error", "float64", "mas/yr", "Standard error of pmdec."),
    TruthColumn("parallax", "float64", "mas", "Annual parallax."),
    TruthColumn("parallax_error", "float64", "mas", "Standard error of the parallax."),
)
"""Columns of the reference catalogue beside a flux and its error a band."""


def flux_name(band):
    """Name of the flux column of a band.

    Parameters
    ----------
    band : str
        The band.

    Returns
    -------
    str
        Column of truth/object and of the reference catalogue.
    """
    return f"flux_{band}"


def object_columns(bands):
    """Columns of truth/object for a survey's bands.

    Parameters
    ----------
    bands : sequence of str
        The bands.

    Returns
    -------
    tuple of TruthColumn
        In the order of the file.
    """
    fluxes = tuple(
        TruthColumn(
            flux_name(b),
            "float64",
            "nJy",
            f"Mean flux in {b}; of a transient at its maximum, of a mover at rate_mjd.",
        )
        for b in bands
    )
    return OBJECT_COLUMNS + fluxes


def reference_columns(bands):
    """Columns of the reference catalogue for a survey's bands.

    Parameters
    ----------
    bands : sequence of str
        The bands.

    Returns
    -------
    tuple of TruthColumn
        In the order of the file.
    """
    fluxes = []
    for band in bands:
        fluxes.append(TruthColumn(flux_name(band), "float64", "nJy", f"Flux in {band}; NaN if not measured."))
        fluxes.append(
            TruthColumn(
                f"{flux_name(band)}_error", "float64", "nJy", f"Standard error of the flux in {band}."
            )
        )
    return REFERENCE_COLUMNS + tuple(fluxes)


def empty_objects(n, bands):
    """`n` point objects that neither move nor shine, to be filled in.

    Parameters
    ----------
    n : int
        Number of objects.
    bands : sequence of str
        Bands of the survey.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The columns of `object_columns` and `ORBIT_COLUMNS`; `axis_ratio` is 1, texts are empty, the rest 0.
    """
    types = {"int64": np.int64, "float64": np.float64, "string": TEXT}
    objects = {c.name: np.zeros(n, types[c.kind]) for c in (*object_columns(bands), *ORBIT_COLUMNS)}
    objects["axis_ratio"][:] = 1.0
    return objects


def select(objects, keep):
    """Rows of a dict of columns.

    Parameters
    ----------
    objects : dict of str to ndarray, shape (n,)
        As from `empty_objects`.
    keep : ndarray, shape (n,), bool, or shape (m,), int
        Rows to keep, or their indices in the order wanted.

    Returns
    -------
    dict of str to ndarray, shape (m,)
        The same columns.
    """
    return {name: values[keep] for name, values in objects.items()}


def join(parts, bands):
    """Rows of several dicts of columns, one after the other.

    Parameters
    ----------
    parts : iterable of dict of str to ndarray
        As from `empty_objects`; none gives no row.
    bands : sequence of str
        Bands of the survey.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The same columns.
    """
    parts = [empty_objects(0, bands), *parts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def join_sources(parts):
    """Rows of several dicts of `SOURCE_COLUMNS`, one after the other.

    Parameters
    ----------
    parts : sequence of dict of str to ndarray
        At least one.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The same columns.
    """
    return {column.name: np.concatenate([part[column.name] for part in parts]) for column in SOURCE_COLUMNS}


def to_table(columns, arrays):
    """Arrow table with unit and description in each field's metadata.

    Parameters
    ----------
    columns : sequence of TruthColumn
        Wanted columns, in order.
    arrays : dict of str to ndarray, shape (n,)
        Their values.

    Returns
    -------
    pyarrow.Table
        `n` rows.
    """
    types = {"int64": pa.int64(), "int32": pa.int32(), "float64": pa.float64(), "string": pa.string()}
    fields = [
        pa.field(c.name, types[c.kind], False, {"unit": c.unit, "description": c.description})
        for c in columns
    ]
    values = [
        pa.array(arrays[c.name].tolist() if c.kind == "string" else arrays[c.name], types[c.kind])
        for c in columns
    ]
    return pa.Table.from_arrays(values, schema=pa.schema(fields))


def from_tables(table, orbits):
    """Objects of the truth tables that were read back.

    Parameters
    ----------
    table : pyarrow.Table
        Columns of `object_columns`.
    orbits : pyarrow.Table
        Columns of `ORBIT_COLUMNS`, a row for each moving object that has an orbit.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        As from `empty_objects`.
    """
    objects = _arrays(table)
    elements = _arrays(orbits)
    order = np.argsort(objects["id"], kind="stable")
    rows = order[np.searchsorted(objects["id"], elements["id"], sorter=order)]
    for column in ORBIT_COLUMNS[1:]:
        values = elements[column.name]
        objects[column.name] = np.zeros(len(order), values.dtype)
        objects[column.name][rows] = values
    return objects


def has_orbit(objects):
    """Whether objects move on an ellipse about the Sun.

    Parameters
    ----------
    objects : dict of str to ndarray, shape (n,)
        As from `empty_objects`.

    Returns
    -------
    ndarray, shape (n,), bool
        False for stars, galaxies, transients and objects of a fixed motion.
    """
    return objects["semimajor_axis"] > 0


def _arrays(table):
    """Columns of a truth table as NumPy arrays."""
    return {
        field.name: np.array(table[field.name].to_pylist(), TEXT)
        if pa.types.is_string(field.type)
        else table[field.name].to_numpy()
        for field in table.schema
    }
