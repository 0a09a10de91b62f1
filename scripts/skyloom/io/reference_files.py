"""The files of a reference catalogue: finds the shards, names their columns and reads those that are asked for."""

import io as text_streams
from pathlib import Path

import numpy as np

from skyloom.core.errors import ConfigError, DataError
from skyloom.io.fits_layout import BLOCK, scan_unit
from skyloom.io.tables import read_table

PARQUET_SUFFIXES = (".parquet", ".pq")
FITS_SUFFIXES = (".fits", ".fit", ".fits.gz", ".fit.gz")
CSV_SUFFIXES = (".csv", ".ecsv")
SUFFIXES = (*PARQUET_SUFFIXES, *FITS_SUFFIXES, *CSV_SUFFIXES)
# Beginning of a FITS file that is looked at for the columns of its first table.
HEADER_BYTES = 4_000_000
# Keys of Skyloom's own files stand in the footer: several, so that a few flipped bits cannot hide them all.
OWN_KEY, FOOTER_BYTES = b"skyloom.", 65536


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


def catalog_files(path):
    """Files of a catalogue in the order of their names.

    Parameters
    ----------
    path : str or Path
        Parquet, FITS or CSV file, or a folder of such shards.

    Returns
    -------
    list of Path
        At least one.

    Raises
    ------
    ReferenceCatalogMissingError
        If there is no such file, or the folder holds no catalogue.
    ReferenceKindError
        If the file's name has none of the known endings.
    """
    path = Path(path)
    if path.is_file():
        if not _has_suffix(path, SUFFIXES):
            raise ReferenceKindError(str(path))
        return [path]
    shards = [p for p in sorted(path.iterdir()) if _has_suffix(p, SUFFIXES)] if path.is_dir() else []
    if not shards:
        raise ReferenceCatalogMissingError(str(path))
    return shards


def catalog_columns(path):
    """Names of the columns of a catalogue's file, from its header alone.

    Parameters
    ----------
    path : Path
        One of `catalog_files`.

    Returns
    -------
    list of str
        The names; none for a file without a table.

    Raises
    ------
    ReferenceUnreadableError
        If the file cannot be read.
    """
    try:
        return _header(path)
    except (OSError, ValueError, DataError) as error:
        raise ReferenceUnreadableError(str(path), str(error).splitlines()[0]) from error


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


def read_columns(path, names, declinations):
    """Columns of one file of a catalogue.

    Parameters
    ----------
    path : Path
        One of `catalog_files`.
    names : dict of str to str
        Name in the file of each quantity; ``dec`` is one of them.
    declinations : tuple of float
        Least and greatest declination that is wanted, in the file's unit: groups of rows of a Parquet file that
        lie outside are not read.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Values by quantity, in the file's unit: int64 where the file holds integers, else float64 with NaN for
        null; ``id`` may be text.

    Raises
    ------
    ReferenceColumnError
        If a column is missing.
    ReferenceValueError
        If a column of numbers holds text.
    ReferenceUnreadableError
        If the file is damaged.
    CorruptProductError
        If it is one of Skyloom's own files and a byte was changed.
    """
    try:
        if _has_suffix(path, PARQUET_SUFFIXES):
            columns = _read_parquet(path, names, declinations)
        elif _has_suffix(path, FITS_SUFFIXES):
            columns = _read_fits(path, names)
        else:
            columns = _read_csv(path, names)
    except (OSError, ValueError) as error:
        raise ReferenceUnreadableError(str(path), str(error).splitlines()[0]) from error
    for key in columns.keys() - {"id"}:
        columns[key] = _require_numbers(path, key, names[key], columns[key])
    return columns


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


def _csv_columns(line):
    """Columns that the header line of a CSV file names, and what separates them."""
    delimiter = "," if "," in line else " "
    return [name.strip().strip('"') for name in line.split(delimiter)], delimiter


def _has_suffix(path, suffixes):
    """Whether a file's name ends so, in letters of either size."""
    return path.name.lower().endswith(suffixes)


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


def _numbers(values):
    """Native numbers: integers stay, all else becomes float64 with NaN for null; text stays text."""
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    return values
