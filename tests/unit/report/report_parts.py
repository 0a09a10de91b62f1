"""Parts of made-up runs that several tests of the report share."""

import numpy as np

from skyloom.core.schemas import VISIT_SUMMARY


def filled(schema, n_row, **values):
    """Return a table with zeros, empty texts and False in the columns that are not given."""
    blank = {"string": [""] * n_row, "bool": np.zeros(n_row, dtype=bool)}
    columns = {c.name: blank.get(c.type, np.zeros(n_row)) for c in schema.columns}
    return schema.table(columns | values)


def summary_of(**values):
    """Return a visit summary with these columns, the others 0."""
    n_row = len(values["visit"])
    arrays = {name: given if isinstance(given[0], str) else np.array(given) for name, given in values.items()}
    return filled(VISIT_SUMMARY, n_row, **arrays)


def values_of(measurements, subject):
    """Return values of one subject by name; of several bands the last."""
    return {m.name: m.value for m in measurements if m.subject == subject}
