"""Reads a reference catalogue of any common format and brings its stars to an exposure's epoch and band."""

import io as text_streams
from pathlib import Path

import numpy as np

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.reference import ReferenceStars
from skyloom.io.raws import BLOCK, scan_unit
from skyloom.io.tables import read_table

PARQUET_SUFFIXES = (".parquet", ".pq")
FITS_SUFFIXES = (".fits", ".fit", ".fits.gz", ".fit.gz")
CSV_SUFFIXES = (".csv", ".ecsv")
# Beginning of a FITS file that is looked at for the columns of its first table.
HEADER_BYTES = 4_000_000
SUFFIXES = (*PARQUET_SUFFIXES, *FITS_SUFFIXES, *CSV_SUFFIXES)
# Keys of Skyloom's own files stand in the footer: several, so that a few flipped bits cannot hide them all.
OWN_KEY, FOOTER_BYTES = b"skyloom.", 65536

MAS_PER_RADIAN = np.degrees(1.0) * 3.6e6
FLUX_UNITS_NJY = {"nJy": 1.0, "uJy": 1e3, "mJy": 1e6, "Jy": 1e9}
AB_ZERO_POINT = 31.4
"""AB magnitude of 1 nJy (Oke & Gunn 1983, rounded as Rubin does)."""
J2000_MJD = 51544.5
DAYS_PER_YEAR = 365.25
UNKNOWN_MOTION_ERROR = 5.0
"""Error of a star's place for each year since the catalogue's epoch when its motion is unknown [mas/yr]."""


class ReferenceCatalogMissingError(ConfigError):
    """There is no reference catalogue at the configured place.

    Parameters
    ----------
    path : str
        The place.
    """

    def __init__(self, path):
        super().__init__(
            f"{path}: no reference catalogue there; needs a file or a folder of files "
            f"({', '.join(SUFFIXES)}): look at reference.path"
        )
        self.path = path


class ReferenceKindError(ConfigError):
    """The reference catalogue's name does not tell what kind of file it is.

    Parameters
    ----------
    path : str
        The file.
    """

    def __init__(self, path):
        super().__init__(f"{path}: a reference catalogue's name must end in {', '.join(SUFFIXES)}")
        self.path = path


class ReferenceColumnError(ConfigError):
    """A configured column is not in the reference catalogue.

    Parameters
    ----------
    path : str
        The catalogue's file.
    key, column : str
        Key of the configuration and the column that it names.
    available : sequence of str
        Columns of the file.
    """

    def __init__(self, path, key, column, available):
        super().__init__(
            f"{path}: no column {column!r} for {key}; the file has {', '.join(sorted(available))}: "
            "look at the section reference of the configuration"
        )
        self.path, self.key, self.column = path, key, column
        self.available = tuple(available)


class ReferenceValueError(ConfigError):
    """A column that should hold numbers holds something else.

    Parameters
    ----------
    path : str
        The catalogue's file.
    key, column : str
        Key of the configuration and the column that it names.
    value : object
        The first value that is no number.
    """

    def __init__(self, path, key, column, value):
        super().__init__(
            f"{path}: column {column!r} for {key} holds {value!r}, needs numbers: "
            "look at the section reference of the configuration"
        )
        self.path, self.key, self.column, self.value = path, key, column, value


class ReferenceUnreadableError(ConfigError):
    """A file of the reference catalogue cannot be read.

    Parameters
    ----------
    path : str
        The file.
    problem : str
        What the reader says.
    """

    def __init__(self, path, problem):
        super().__init__(f"{path}: the reference catalogue cannot be read ({problem}): fetch it again")
        self.path, self.problem = path, problem


class ReferenceBandError(ConfigError):
    """Vega magnitudes of a band cannot be turned into fluxes.

    Parameters
    ----------
    band : str
        The band.
    known : sequence of str
        Bands with an AB magnitude of Vega.
    """

    def __init__(self, band, known):
        super().__init__(
            f"no AB magnitude of Vega for band {band!r}, given for {', '.join(known) or 'none'}: "
            "look at reference.vega_ab_magnitudes"
        )
        self.band, self.known = band, tuple(known)


def read_reference_catalog(path, settings, band, region, mjd):
    """Reference stars of a region at an exposure's epoch, with fluxes in its band.

    Parameters
    ----------
    path : str or Path
        Parquet, FITS or CSV file, or a folder of such shards.
    settings : dict
        Section ``reference`` of the configuration.
    band : str
        Band of the fluxes.
    region : tuple of float
        (ra, dec, radius) of a circle [degree, ICRS].
    mjd : float
        Time of the exposure [MJD TAI].

    Returns
    -------
    ReferenceStars
        Stars within the circle, shard by shard in the order of the files' names. A flux is NaN where the
        catalogue has none.

    Raises
    ------
    ReferenceCatalogMissingError
        If there is no such file, or the folder holds no catalogue.
    ReferenceKindError
        If the file's name has none of the known endings.
    ReferenceColumnError
        If a configured column is missing.
    ReferenceValueError
        If a column of numbers holds text.
    ReferenceUnreadableError
        If a file is damaged.
    ReferenceBandError
        If Vega magnitudes have no zero point.
    CorruptProductError
        If the catalogue is one of Skyloom's own files and a byte was changed.

    Notes
    -----
    Stars move uniformly on great circles (no radial velocity); the parallax is that seen from the Earth's
    barycentric place (erfa's ``epv00``, 1e-7 au). Errors of the motion enter those of the place.
    """
    names = _columns(settings, band)
    shards = [_read_shard(shard, names, settings, region) for shard in _shards(path)]
    columns = {key: np.concatenate([shard[key] for shard in shards]) for key in shards[0]}
    ra, dec, ra_err, dec_err = _at_epoch(columns, settings, mjd)
    flux, flux_err = _fluxes(columns, settings, band)
    n = len(ra)
    identity = columns.get("id")
    if identity is None or identity.dtype.kind not in "iu":
        identity = np.arange(n)
    return ReferenceStars(identity.astype(np.int64), ra, dec, ra_err, dec_err, flux, flux_err)


def missing_reference_columns(path, settings, bands):
    """Find the configured columns that a catalogue lacks, from the header of its first file alone.

    Parameters
    ----------
    path : str or Path
        Parquet, FITS or CSV file, or a folder of such shards.
    settings : dict
        Section ``reference`` of the configuration.
    bands : sequence of str
        Bands that fluxes are wanted in.

    Returns
    -------
    missing : list of (str, str)
        Key below ``reference`` and the column that it names.
    available : list of str
        Columns of the file.

    Raises
    ------
    ReferenceCatalogMissingError
        If there is no such file, or the folder holds no catalogue.
    ReferenceKindError
        If the file's name has none of the known endings.
    ReferenceUnreadableError
        If the file cannot be read.
    """
    first = _shards(path)[0]
    try:
        available = _header(first)
    except (OSError, ValueError, DataError) as error:
        raise ReferenceUnreadableError(str(first), str(error).splitlines()[0]) from error
    wanted = {}
    for band in bands:
        for key, name in _columns(settings, band).items():
            section = {"flux": f"fluxes.{band}", "flux_error": f"flux_errors.{band}"}
            wanted[section.get(key, f"columns.{key}")] = name
    return [(key, name) for key, name in wanted.items() if name not in available], available


def _header(path):
    """Columns of a Parquet, FITS or CSV file."""
    if _has_suffix(path, PARQUET_SUFFIXES):
        import pyarrow.parquet as pq

        return pq.read_schema(path).names
    if _has_suffix(path, FITS_SUFFIXES):
        return _fits_columns(path)
    with open(path, encoding="utf-8") as stream:
        lines = (line.rstrip("\n") for line in stream)
        first = next((line for line in lines if line and not line.startswith("#")), None)
    return [] if first is None else _csv_columns(first)[0]


def _fits_columns(path):
    """Columns of the first table of a FITS file, from its headers alone: Snakemake's head does not import Astropy."""
    import gzip

    with (gzip.open if path.name.lower().endswith(".gz") else open)(path, "rb") as stream:
        content = stream.read(HEADER_BYTES)
    offset, index = 0, 0
    while offset < len(content):
        unit = scan_unit(content, offset, index)
        if str(unit.cards.get("XTENSION", "")).strip() in ("BINTABLE", "TABLE"):
            return [str(value).strip() for key, value in unit.cards.items() if key.startswith("TTYPE")]
        offset = unit.data_offset + -(-unit.data_bytes // BLOCK) * BLOCK
        index += 1
    return []


def _has_suffix(path, suffixes):
    """Whether a file's name ends so, in letters of either size."""
    return path.name.lower().endswith(suffixes)


def _csv_columns(line):
    """Columns that the header line of a CSV file names, and what separates them."""
    delimiter = "," if "," in line else " "
    return [name.strip().strip('"') for name in line.split(delimiter)], delimiter


def _columns(settings, band):
    """Name in the file of each quantity that is configured."""
    names = {key: name for key, name in settings["columns"].items() if name is not None}
    names["flux"] = settings["fluxes"].get(band, f"flux_{band}")
    error = settings["flux_errors"].get(band, None if settings["fluxes"] else f"flux_{band}_error")
    if error is not None:
        names["flux_error"] = error
    return names


def _shards(path):
    """Files of a catalogue in the order of their names."""
    path = Path(path)
    if path.is_file():
        if not _has_suffix(path, SUFFIXES):
            raise ReferenceKindError(str(path))
        return [path]
    shards = [p for p in sorted(path.iterdir()) if _has_suffix(p, SUFFIXES)] if path.is_dir() else []
    if not shards:
        raise ReferenceCatalogMissingError(str(path))
    return shards


def _read_shard(path, names, settings, region):
    """Columns of one file's stars within the region, by quantity; positions in degrees."""
    try:
        if _has_suffix(path, PARQUET_SUFFIXES):
            columns = _read_parquet(path, names, _declinations(settings, region))
        elif _has_suffix(path, FITS_SUFFIXES):
            columns = _read_fits(path, names)
        else:
            columns = _read_csv(path, names)
    except (OSError, ValueError) as error:
        raise ReferenceUnreadableError(str(path), str(error).splitlines()[0]) from error
    for key in columns.keys() - {"id"}:
        columns[key] = _require_numbers(path, key, names[key], columns[key])
    to_degree = _degrees_per_unit(settings)
    columns["ra"], columns["dec"] = columns["ra"] * to_degree, columns["dec"] * to_degree
    inside = _within(columns["ra"], columns["dec"], region)
    return {key: values[inside] for key, values in columns.items()}


def _degrees_per_unit(settings):
    """Degrees in the catalogue's unit of angles."""
    return np.degrees(1.0) if settings["angle_unit"] == "radian" else 1.0


def _declinations(settings, region):
    """Least and greatest declination of a region (ra, dec, radius) [degree] in the catalogue's unit."""
    return tuple((region[1] + sign * region[2]) / _degrees_per_unit(settings) for sign in (-1, 1))


def _require_columns(path, names, available):
    """Raise for the first configured column that a file lacks."""
    for key, name in names.items():
        if name not in available:
            raise ReferenceColumnError(str(path), key, name, available)


def _require_numbers(path, key, column, values):
    """Numbers of a column; raises for the first value that is none."""
    if values.dtype.kind in "iuf":
        return values
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        raise ReferenceValueError(str(path), key, column, _first_text(values)) from None


def _first_text(values):
    """First value that is no number."""
    for value in values.tolist():
        try:
            float(value if value is not None else "nan")
        except (TypeError, ValueError):
            return value
    return values.dtype.name


def _read_parquet(path, names, declinations):
    """Columns of a Parquet file, of the row groups that may reach a range of declinations.

    The hash is compared when the file is Skyloom's own.
    """
    import pyarrow.parquet as pq

    with open(path, "rb") as stream:
        stream.seek(max(path.stat().st_size - FOOTER_BYTES, 0))
        is_own = OWN_KEY in stream.read()
    if is_own:
        table = read_table(path)
        _require_columns(path, names, table.column_names)
    else:
        file = pq.ParquetFile(path)
        _require_columns(path, names, file.schema_arrow.names)
        groups = _row_groups(file.metadata, names["dec"], declinations)
        table = file.read_row_groups(groups, columns=sorted(set(names.values())), use_threads=False)
    return {key: _numbers(table.column(name).to_numpy(zero_copy_only=False)) for key, name in names.items()}


def _row_groups(metadata, column, limits):
    """Row groups of a Parquet file whose statistics do not exclude values of a column between two limits."""
    position = metadata.schema.names.index(column)
    groups = []
    for group in range(metadata.num_row_groups):
        statistics = metadata.row_group(group).column(position).statistics
        # Text in the column is reported by whoever reads it.
        is_known = (
            statistics is not None and statistics.has_min_max and isinstance(statistics.min, int | float)
        )
        if not is_known or (statistics.min <= limits[1] and statistics.max >= limits[0]):
            groups.append(group)
    return groups


def _read_fits(path, names):
    """Columns of the first table of a FITS file."""
    from astropy.io import fits

    with fits.open(path, memmap=False) as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        available = tables[0].columns.names if tables else []
        _require_columns(path, names, available)
        return {key: _numbers(np.array(tables[0].data[name])) for key, name in names.items()}


def _read_csv(path, names):
    """Columns of a CSV file; lines that start with # are comments, and ECSV's blanks may separate."""
    from pyarrow import csv

    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    available, delimiter = _csv_columns(lines[0]) if lines else ([], ",")
    _require_columns(path, names, available)
    table = csv.read_csv(
        text_streams.BytesIO("\n".join(lines).encode()),
        read_options=csv.ReadOptions(column_names=available, skip_rows=1, use_threads=False),
        parse_options=csv.ParseOptions(delimiter=delimiter),
        convert_options=csv.ConvertOptions(include_columns=sorted(set(names.values()))),
    )
    return {key: _numbers(table.column(name).to_numpy(zero_copy_only=False)) for key, name in names.items()}


def _numbers(values):
    """Native numbers: integers stay, all else becomes float64 with NaN for null; text stays text."""
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    return values


def _within(ra, dec, region):
    """True for stars within a circle (ra, dec, radius) [degree]."""
    centre = _unit_vectors(np.array([region[0]]), np.array([region[1]]))
    chord2 = ((_unit_vectors(ra, dec) - centre) ** 2).sum(axis=0)
    return chord2 <= 4 * np.sin(np.radians(min(region[2], 180.0)) / 2) ** 2


def _unit_vectors(ra, dec):
    """Unit vectors, shape (3, n), of positions [degree]."""
    ra, dec = np.radians(ra), np.radians(dec)
    return np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def _at_epoch(columns, settings, mjd):
    """Positions [degree] and their errors [arcsec] at a time."""
    ra, dec = np.radians(columns["ra"]), np.radians(columns["dec"])
    epoch = columns.get("epoch", np.full(len(ra), float(settings["epoch"])))
    years = 2000.0 + (mjd - J2000_MJD) / DAYS_PER_YEAR - epoch
    east = np.array([-np.sin(ra), np.cos(ra), np.zeros_like(ra)])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    place = _unit_vectors(columns["ra"], columns["dec"])
    errors = []
    for axis, direction in (("ra", east), ("dec", north)):
        motion, motion_error = _motion(columns, f"pm{axis}", len(ra))
        place = place + direction * motion * years / MAS_PER_RADIAN
        given = columns.get(f"{axis}_error", np.full(len(ra), settings["default_position_error"]))
        given = np.where(np.isfinite(given), given, settings["default_position_error"])
        errors.append(np.hypot(given, motion_error * years) / 1000.0)
    parallax = columns.get("parallax")
    if parallax is not None:
        known = np.where(np.isfinite(parallax), parallax, 0.0)
        place = place - _earth(mjd)[:, None] * known / MAS_PER_RADIAN
    new_ra = np.degrees(np.arctan2(place[1], place[0])) % 360.0
    new_dec = np.degrees(np.arctan2(place[2], np.hypot(place[0], place[1])))
    return new_ra, new_dec, *errors


def _motion(columns, key, n):
    """Proper motion along one axis and its error [mas/yr]; an unknown motion is zero with a typical error."""
    motion = columns.get(key, np.full(n, np.nan))
    error = columns.get(f"{key}_error", np.zeros(n))
    known = np.isfinite(motion)
    error = np.where(known & np.isfinite(error), error, np.where(known, 0.0, UNKNOWN_MOTION_ERROR))
    return np.where(known, motion, 0.0), error


def _earth(mjd):
    """Barycentric place of the Earth [au], shape (3,), on the ICRS axes."""
    import erfa

    return erfa.epv00(2400000.5, mjd)[1]["p"]


def _fluxes(columns, settings, band):
    """Fluxes and their errors [nJy]; NaN where the catalogue has none."""
    values = columns["flux"].astype(np.float64)
    error = columns.get("flux_error", np.full(len(values), np.nan)).astype(np.float64)
    unit = settings["flux_unit"]
    relative = settings["default_flux_error"]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if unit in FLUX_UNITS_NJY:
            flux = values * FLUX_UNITS_NJY[unit]
            flux_error = error * FLUX_UNITS_NJY[unit]
        else:
            offset = _vega_offset(settings, band) if unit == "mag_vega" else 0.0
            flux = 10 ** (0.4 * (AB_ZERO_POINT - values - offset))
            flux_error = flux * error * 0.4 * np.log(10)
        flux = np.where(np.isfinite(flux) & (flux > 0), flux, np.nan)
        flux_error = np.where(np.isfinite(flux_error) & (flux_error > 0), flux_error, relative * flux)
    return flux, flux_error


def _vega_offset(settings, band):
    """AB magnitude of Vega in a band."""
    offsets = settings["vega_ab_magnitudes"]
    if band not in offsets:
        raise ReferenceBandError(band, sorted(offsets))
    return offsets[band]
