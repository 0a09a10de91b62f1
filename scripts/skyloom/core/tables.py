"""Tables in memory: Arrow columns that carry their unit and description."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from skyloom.core.errors import SkyloomError

ARROW_TYPES = {
    "int64": pa.int64(),
    "int32": pa.int32(),
    "float64": pa.float64(),
    "float32": pa.float32(),
    "bool": pa.bool_(),
    "string": pa.string(),
}


class TableColumnsError(SkyloomError):
    """Columns given do not match the schema.

    Parameters
    ----------
    schema : str
        The schema's name.
    missing, unknown : list of str
        Columns that lack, and that do not belong.
    """

    def __init__(self, schema, missing, unknown):
        super().__init__(f"table {schema}: missing columns {missing}, unknown columns {unknown}")
        self.missing, self.unknown = missing, unknown


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
        Its name, that of the published schemas where one exists.
    type : str
        A key of `ARROW_TYPES`.
    unit : str
        Unit in the form of astropy.units; empty for none.
    description : str
        One sentence.
    """

    name: str
    type: str
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class TableSchema:
    """Names, types, units and descriptions of a table's columns.

    Attributes
    ----------
    name : str
        The table's name.
    columns : tuple of Column
        Its columns in order.
    """

    name: str
    columns: tuple[Column, ...]

    def arrow_schema(self):
        """Return the pyarrow.Schema with unit and description in each field's metadata."""
        return pa.schema(
            [
                pa.field(c.name, ARROW_TYPES[c.type], metadata={"unit": c.unit, "description": c.description})
                for c in self.columns
            ]
        )

    def table(self, values):
        """Build a table.

        Parameters
        ----------
        values : dict of str to array_like, shape (n,)
            One array a column, all of them.

        Returns
        -------
        pyarrow.Table
            The table; NaN stays NaN, None becomes null.

        Raises
        ------
        TableColumnsError
            If a column is missing or unknown.
        """
        names = [c.name for c in self.columns]
        missing = [name for name in names if name not in values]
        unknown = [name for name in values if name not in names]
        if missing or unknown:
            raise TableColumnsError(self.name, missing, unknown)
        arrays = [_arrow_array(values[c.name], ARROW_TYPES[c.type]) for c in self.columns]
        return pa.table(arrays, schema=self.arrow_schema())

    def table_of_rows(self, rows):
        """Build a table row by row.

        Parameters
        ----------
        rows : sequence of sequence
            One value a column, in the schema's order.

        Returns
        -------
        pyarrow.Table
            The table, as from `table`.

        Raises
        ------
        TableColumnsError
            If a row has more or fewer values than the schema has columns.
        """
        names = [c.name for c in self.columns]
        for row in rows:
            if len(row) != len(names):
                raise TableColumnsError(self.name, names[len(row) :], list(row[len(names) :]))
        columns = zip(*rows, strict=True) if rows else [()] * len(names)
        return self.table({name: list(values) for name, values in zip(names, columns, strict=True)})

    def empty(self):
        """Return the table without rows (pyarrow.Table)."""
        return self.arrow_schema().empty_table()


def _arrow_array(values, arrow_type):
    """Arrow array of one column; NumPy arrays are cast first, which is fast and checks the kind.

    Made of buffers where all values are known: `pyarrow.array` imports pandas, wherever it is installed.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufb":
        cast = np.ascontiguousarray(values, dtype=arrow_type.to_pandas_dtype())
        stored = np.packbits(cast, bitorder="little") if cast.dtype == np.bool_ else cast
        return pa.Array.from_buffers(arrow_type, len(cast), [None, pa.py_buffer(stored)])
    values = list(values)
    if pa.types.is_string(arrow_type) and all(isinstance(value, str) for value in values):
        words = [value.encode() for value in values]
        ends = np.cumsum([0, *(len(word) for word in words)], dtype=np.int32)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(words))]
        return pa.Array.from_buffers(arrow_type, len(words), buffers)
    return pa.array(values, type=arrow_type)


def without_sky_objects(table):
    """Rows of a source table that are sources.

    Parameters
    ----------
    table : pyarrow.Table
        Schema SOURCE.

    Returns
    -------
    pyarrow.Table
        Without the sky objects, which are no sources.
    """
    return table.filter(pa.array(~column(table, "sky_source")))


def column(table, name):
    """Return a column as a NumPy array, without a copy where Arrow allows it.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    name : str
        The column.

    Returns
    -------
    ndarray, shape (n,)
        Its values; text as objects; nulls of a number column as NaN.
    """
    return values_of(table.column(name))


def values_of(chunked):
    """Return the values of an Arrow column as a NumPy array, without a copy where Arrow allows it.

    Parameters
    ----------
    chunked : pyarrow.ChunkedArray
        The column.

    Returns
    -------
    ndarray, shape (n,)
        As from `column`.
    """
    combined = chunked.combine_chunks() if chunked.num_chunks != 1 else chunked.chunk(0)
    kind = combined.type
    if combined.null_count == 0 and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        # Arrow's own way imports pandas, wherever it is installed, in more time than a catalogue takes to read.
        return np.from_dlpack(combined)
    return combined.to_numpy(zero_copy_only=False)
