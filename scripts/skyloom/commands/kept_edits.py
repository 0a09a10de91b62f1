"""A generated table that a person may edit: what they changed stays when it is generated again.

Beside the table lies ``.<table>.generated.csv``, the table as it was last generated. A cell that differs from the one
there was edited and stays; every other cell follows the files. Deleting both tables starts anew.
"""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from skyloom.core.errors import ConfigError


class ForeignTableError(ConfigError):
    """There is a table that this command did not write.

    Parameters
    ----------
    path, side_file : str
        The table, and what would tell its edited cells.
    """

    def __init__(self, path, side_file):
        super().__init__(
            f"{path} is there without {side_file}, so nobody can tell what was edited in it: "
            "give another --output, or move it away"
        )
        self.path, self.side_file = path, side_file


class UnreadableTableError(ConfigError):
    """A table that somebody edited is no such table any more.

    Parameters
    ----------
    path, found : str
        The table, and what is wrong with it.
    """

    def __init__(self, path, found):
        super().__init__(
            f"{path} {found}, must be a CSV table in UTF-8 with commas: save it so, or delete it to start anew"
        )
        self.path, self.found = path, found


@dataclass(frozen=True, slots=True)
class UpdatedTable:
    """A table after it was generated again.

    Attributes
    ----------
    rows : list of dict
        As a person shall see it.
    generated : list of dict
        As it would be without any edit.
    comments : list of str
        Lines of comment at its top.
    notes : list of str
        What was kept, added, removed.
    """

    rows: list
    generated: list
    comments: list
    notes: list


def side_file_of(path):
    """Path of the copy that tells what was edited in a table.

    Parameters
    ----------
    path : str or Path
        The table.

    Returns
    -------
    Path
        A hidden file beside it.
    """
    return Path(path).with_name(f".{Path(path).stem}.generated.csv")


def update_table(path, columns, key, fresh):
    """Generate a table again and keep what a person changed in it.

    Parameters
    ----------
    path : Path
        The table; need not be there.
    columns : sequence of str
        Its columns.
    key : str
        Column of the running number, ``visit`` or ``frame``; a file keeps its number.
    fresh : list of dict
        Rows as the files give them, in order, told apart by `raw`, and by `band` too where a file has several
        rows; their numbers are filled in here.

    Returns
    -------
    UpdatedTable
        Not written.

    Raises
    ------
    ForeignTableError
        If the table is there and its copy is not.
    UnreadableTableError
        If it is no CSV table with the columns `key` and `raw`.
    """
    side_file = side_file_of(path)
    if path.exists() and not side_file.exists():
        raise ForeignTableError(str(path), str(side_file))
    origin = _origin(fresh)
    before = {origin(row): row for row in _read(side_file, key)[1]} if path.exists() else {}
    comments, present = _read(path, key) if path.exists() else ([], [])
    generated = _numbered(fresh, (key, origin), before, present)
    rows, notes = _merged_rows(generated, before, present, (key, origin))
    if before:
        n_new = sum(origin(row) not in before for row in generated)
        notes.append(f"{n_new} new, {len(rows) - n_new} kept")
    now = {origin(row) for row in generated}
    rows = [{column: row.get(column) or "" for column in columns} for row in rows]
    gone = [row for where, row in before.items() if where not in now]
    return UpdatedTable(rows, generated + gone, comments, notes)


def _origin(fresh):
    """Return a function of a row: its file, or file and band where a file has several rows."""
    n_row = Counter(row["raw"] for row in fresh)
    return lambda row: (row["raw"], row.get("band")) if n_row[row.get("raw")] > 1 else row.get("raw")


def write_table(path, columns, table):
    """Write a table and its copy.

    Parameters
    ----------
    path : Path
        The table.
    columns : sequence of str
        Its columns.
    table : UpdatedTable
        From `update_table`.
    """
    from skyloom.io.integrity import write_bytes

    text = "".join(table.comments)
    write_bytes(path, (text + _csv(columns, table.rows)).encode())
    write_bytes(side_file_of(path), _csv(columns, table.generated).encode())


def _merged_rows(generated, before, present, names):
    """Generated rows with a person's edits, then the rows that only the person has; notes on what was kept."""
    key, origin = names
    edited = _linked(present, before, names)
    rows, notes = [], []
    for row in generated:
        where, name = origin(row), f"{key} {row[key]}"
        if where not in before:
            rows.append(row)
        elif where in edited:
            merged, changed = _merged(edited[where], before[where], row)
            rows.append(merged)
            notes += [f"kept your {name}: {column} = {merged[column]}" for column in changed]
        else:
            notes.append(f"left out {name} ({row['raw']}): you removed its row")
    linked = {id(row) for row in edited.values()}
    own = [row for row in present if id(row) not in linked]
    notes += [f"kept your row {key} {row[key]}" for row in own]
    now = {origin(row) for row in generated}
    gone = [row for where, row in edited.items() if where not in now]
    notes += [f"kept {key} {row[key]} although no usable file gives it now" for row in gone]
    return [*rows, *own, *gone], notes


def _numbered(fresh, names, before, present):
    """Fresh rows with the number they had, or the next free ones."""
    key, origin = names
    used = [int(row[key]) for row in [*before.values(), *present] if str(row.get(key) or "").isdecimal()]
    following = max(used, default=0) + 1
    rows = []
    for row in fresh:
        if origin(row) in before:
            number = before[origin(row)][key]
        else:
            number, following = str(following), following + 1
        rows.append({**row, key: number})
    return rows


def _linked(present, before, names):
    """Rows of the table by what they were generated from: by their own cells, or else by their number."""
    key, origin = names
    by_number = {row[key]: where for where, row in before.items()}
    linked = {origin(row): row for row in present if origin(row) in before}
    for row in present:
        where = by_number.get(row.get(key))
        if origin(row) not in before and where is not None:
            linked.setdefault(where, row)
    return linked


def _merged(edited, before, fresh):
    """Row with the edited cells of one and all others of the fresh one; names of the edited columns."""
    changed = [c for c in fresh if (edited.get(c) or "") != (before.get(c) or "")]
    return {**fresh, **{column: edited.get(column) or "" for column in changed}}, changed


def _read(path, key):
    """Lines of comment, and rows by column, of a CSV file; spreadsheets put a mark of their own in front."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
        reader = csv.DictReader(line for line in lines if not line.startswith("#"))
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableTableError(str(path), f"cannot be read ({error})") from error
    missing = [name for name in (key, "raw") if name not in (reader.fieldnames or ())]
    if missing:
        raise UnreadableTableError(str(path), f"has no column {' and '.join(missing)}")
    return [line for line in lines if line.startswith("#")], rows


def _csv(columns, rows):
    """Text of a CSV table."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
