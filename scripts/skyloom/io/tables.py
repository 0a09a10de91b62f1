"""Parquet tables: units and descriptions in the fields, provenance and a hash in the metadata."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from skyloom.core.errors import CorruptProductError, UpstreamFailure
from skyloom.io.integrity import HASH_LENGTH, ZEROS, stamp, verify, write_bytes

HASH_KEY = b"skyloom.xxh3_128"
HASH_MARKER = HASH_KEY + b"="
STATUS_KEY, REASON_KEY, MESSAGE_KEY = b"skyloom.status", b"skyloom.reason", b"skyloom.message"
PROVENANCE_KEY = b"skyloom.provenance"
PARQUET_MAGIC = b"PAR1"


def write_table(path, table, provenance, metadata=None):
    """Write a table whole.

    Parameters
    ----------
    path : str or Path
        Final name.
    table : pyarrow.Table
        Its fields carry unit and description.
    provenance : Provenance
        What made it.
    metadata : dict of str to str, optional
        More entries for the file's metadata.
    """
    _write(path, table, provenance, {STATUS_KEY: b"OK"}, metadata or {})


def write_table_tombstone(path, schema, error, provenance):
    """Write a table without rows that says why.

    Parameters
    ----------
    path : str or Path
        Final name.
    schema : TableSchema
        The table's columns.
    error : DataError
        What went wrong.
    provenance : Provenance
        What made it.
    """
    stated = {STATUS_KEY: error.status, REASON_KEY: error.reason, MESSAGE_KEY: str(error)}
    status = {key: value.encode() for key, value in stated.items()}
    _write(path, schema.empty(), provenance, status, {})


def _write(path, table, provenance, status, metadata):
    """Serialise in memory, stamp the hash, write and rename."""
    entries = {key.encode(): str(value).encode() for key, value in metadata.items()}
    entries |= status
    entries[PROVENANCE_KEY] = provenance.to_json().encode()
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink,
        table.schema.with_metadata(None),
        compression="zstd",
        write_page_checksum=True,
        store_schema=True,
    ) as writer:
        writer.write_table(table.replace_schema_metadata(None))
        writer.add_key_value_metadata(entries)
        # Last, and with the key repeated in the value, so that the hash is found without parsing the footer.
        writer.add_key_value_metadata({HASH_KEY: HASH_MARKER + ZEROS})
    data = bytearray(sink.getvalue())
    write_bytes(path, stamp(data, HASH_MARKER))


def read_table(path, columns=None):
    """Read a table after checking its hash.

    Parameters
    ----------
    path : str or Path
        The file.
    columns : list of str, optional
        Only these columns.

    Returns
    -------
    pyarrow.Table
        Its metadata holds the file's own entries.

    Raises
    ------
    CorruptProductError
        If a byte was changed, or the file is no product of Skyloom's.
    UpstreamFailure
        If it is a tombstone.
    """
    table, metadata = _read(path, columns)
    status, *why = (metadata.get(key, b"").decode() for key in (STATUS_KEY, REASON_KEY, MESSAGE_KEY))
    if status != "OK":
        raise UpstreamFailure(str(path), *why, status)
    return table


def read_table_status(path):
    """Read a table's status without raising on a tombstone.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    status, reason, message : str
        ``OK``, ``FAILED`` or ``EMPTY``, and why.
    """
    _, metadata = _read(path, [])
    return tuple(metadata.get(key, b"").decode() for key in (STATUS_KEY, REASON_KEY, MESSAGE_KEY))


def read_table_metadata(path):
    """Read what a table file says of itself; a tombstone too.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    schema : pyarrow.Schema
        Columns with unit and description.
    n_row : int
        Number of rows.
    metadata : dict of bytes to bytes
        The file's own entries.
    """
    table, metadata = _read(path, None)
    return table.schema, table.num_rows, metadata


def _read(path, columns):
    """Verify and parse a file; table and its metadata."""
    data = Path(path).read_bytes()
    if len(data) < HASH_LENGTH or data[:4] != PARQUET_MAGIC or data[-4:] != PARQUET_MAGIC:
        raise CorruptProductError(str(path), "is no complete Parquet file")
    verify(data, HASH_MARKER, path)
    source = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
    table = source.read(columns=columns, use_threads=False)
    metadata = source.metadata.metadata or {}
    kept = {key: value for key, value in metadata.items() if key != b"ARROW:schema"}
    return table.replace_schema_metadata(kept), kept
