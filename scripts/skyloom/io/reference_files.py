"""The files of a reference catalogue: finds the shards, names their columns and reads those that are asked for."""

import codecs
import io as text_streams
from pathlib import Path

import numpy as np

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.tables import values_of
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
# A CSV file is read in such parts, so that a catalogue of any length fits into a job's memory.
CSV_BLOCK_BYTES = 8_000_000


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
    with open(path, "rb") as stream:
        return _csv_header(stream)[0]


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


def read_stars(path, names, circle):
    """Columns of the stars of one file of a catalogue within a circle, or of all.

    Parameters
    ----------
    path : Path
        One of `catalog_files`.
    names : dict of str to str
        Name in the file of each quantity; ``ra`` and ``dec`` are among them.
    circle : SkyCircle or WholeSky
        Which stars; groups of rows of a Parquet file that lie outside are not read.

    Returns
    -------
    list of dict of str to ndarray, shape (n,)
        Values by quantity, of each part of the file that holds such stars, in the file's unit: int64 where the
        file holds integers, else float64 with NaN for null; ``id`` may be text.

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
    if _has_suffix(path, PARQUET_SUFFIXES):
        read = _read_parquet
    else:
        read = _read_fits if _has_suffix(path, FITS_SUFFIXES) else _read_csv
    try:
        return list(read(path, names, circle))
    except (OSError, ValueError) as error:
        raise ReferenceUnreadableError(str(path), str(error).splitlines()[0]) from error


def _read_parquet(path, names, circle):
    """Yield the stars of each group of rows of a Parquet file that may reach a circle.

    The hash is compared when the file is Skyloom's own.
    """
    import pyarrow.parquet as pq

    with open(path, "rb") as stream:
        stream.seek(max(path.stat().st_size - FOOTER_BYTES, 0))
        is_own = OWN_KEY in stream.read()
    if is_own:
        table = read_table(path)
        _require_columns(path, names, table.column_names)
        yield from _stars_within(path, names, circle, lambda name, rows: values_of(table.column(name))[rows])
        return
    file = pq.ParquetFile(path)
    _require_columns(path, names, file.schema_arrow.names)
    for group in _row_groups(file.metadata, names, circle):

        def column(name, rows, group=group):
            table = file.read_row_group(group, columns=[name], use_threads=False)
            return values_of(table.column(name))[rows]

        yield from _stars_within(path, names, circle, column)


def _row_groups(metadata, names, circle):
    """Row groups of a Parquet file whose statistics do not exclude stars of a circle."""
    positions = [metadata.schema.names.index(names[axis]) for axis in ("ra", "dec")]
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [
        number
        for number, group in enumerate(groups)
        if circle.may_meet(*(_range(group.column(position).statistics) for position in positions))
    ]


def _range(statistics):
    """Least and greatest value of a column; None where unknown, or text, which is reported by whoever reads it."""
    if statistics is None or not statistics.has_min_max or not isinstance(statistics.min, int | float):
        return None
    return statistics.min, statistics.max


def _read_fits(path, names, circle):
    """Yield the stars of the first table of a FITS file."""
    from astropy.io import fits

    with fits.open(path, memmap=False) as hdus:
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        available = tables[0].columns.names if tables else []
        _require_columns(path, names, available)
        data = tables[0].data
        yield from _stars_within(path, names, circle, lambda name, rows: np.array(data[name][rows]))


def _read_csv(path, names, circle):
    """Yield the stars of each block of a CSV file; lines that start with # are comments, ECSV's blanks may separate."""
    from pyarrow import csv

    with open(path, "rb") as stream:
        available, delimiter = _csv_header(stream)
        _require_columns(path, names, available)
        for block in _blocks_without_comments(stream):
            table = csv.read_csv(
                text_streams.BytesIO(block),
                read_options=csv.ReadOptions(column_names=available, use_threads=False),
                parse_options=csv.ParseOptions(delimiter=delimiter),
                convert_options=csv.ConvertOptions(include_columns=sorted(set(names.values()))),
            )
            values = {
                key: _column(path, key, name, values_of(table.column(name))) for key, name in names.items()
            }
            inside = circle.contains(values["ra"], values["dec"])
            if inside.any():
                yield {key: column[inside] for key, column in values.items()}


def _blocks_without_comments(stream):
    """Yield the lines of a file (bytes), some megabytes at a time, without comments."""
    while block := stream.read(CSV_BLOCK_BYTES):
        block += stream.readline()
        if block.startswith(b"#") or b"\n#" in block:
            lines = block.splitlines(keepends=True)
            block = b"".join(line for line in lines if not line.startswith(b"#"))
        if block.strip():
            yield block


def _stars_within(path, names, circle, column):
    """Yield the columns of the stars within a circle, if any; `column(name, rows)` gives rows of a column."""
    ra, dec = (_column(path, axis, names[axis], column(names[axis], slice(None))) for axis in ("ra", "dec"))
    inside = circle.contains(ra, dec)
    if not inside.any():
        return
    stars = {
        key: _column(path, key, name, column(name, inside))
        for key, name in names.items()
        if key not in ("ra", "dec")
    }
    yield stars | {"ra": ra[inside], "dec": dec[inside]}


def _csv_header(stream):
    """Columns that the header line of a CSV file names, and what separates them; the stream stands behind it."""
    lines = (line.removeprefix(codecs.BOM_UTF8).decode().strip("\r\n") for line in stream)
    header = next((line for line in lines if line and not line.startswith("#")), "")
    delimiter = "," if "," in header else " "
    return [name.strip().strip('"') for name in header.split(delimiter)] if header else [], delimiter


def _has_suffix(path, suffixes):
    """Whether a file's name ends so, in letters of either size."""
    return path.name.lower().endswith(suffixes)


def _require_columns(path, names, available):
    """Raise for the first configured column that a file lacks."""
    for key, name in names.items():
        if name not in available:
            raise ReferenceColumnError(str(path), key, name, available)


def _require_numbers(path, key, column, values):
    """Numbers of a column of objects; raises for the first value that is none."""
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


def _column(path, key, name, values):
    """Native numbers: integers stay, all else becomes float64 with NaN for null; names of stars stay text."""
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    return values if key == "id" else _require_numbers(path, key, name, values)
