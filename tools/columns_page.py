"""Writes docs/columns.md: every column of every table, every mask plane."""

from pathlib import Path

from configuration_page import cell
from library import all_modules
from skyloom.core.mask_planes import PLANE_MEANINGS
from skyloom.core.schemas import dia_object_schema, object_schema
from skyloom.core.tables import TableSchema
from skyloom.workflow.paths import PATTERNS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "columns.md"
BAND = "{band}"
FILES = {
    "source": "src",
    "coadd_input": "coadd",
    "metric": "metrics",
    "psf_shape": "psf_shapes",
    "failures": "drp_failures",
}
"""Product of a table whose name is another; that of all others is their own."""
HEAD = """# Columns, units and mask planes

Every column of every table, with its unit, from the schemas in the code; `{band}` stands for each band of the survey.
`skyloom show FILE` prints the same of one file: unit and description are in each Parquet field's metadata. Names are
those of Rubin's published schemas where these have the quantity. This page is made by `make docs`.
"""


def columns_page():
    """The page (str)."""
    lines = [HEAD, "## Mask planes", "", "| plane | bit | value | a pixel is |", "| --- | --- | --- | --- |"]
    for bit, (name, meaning) in enumerate(PLANE_MEANINGS.items()):
        lines.append(f"| {name} | {bit} | {1 << bit} | {cell(meaning)} |")
    for schema in all_schemas():
        lines += ["", f"## {schema.name}", "", where_of(schema), "", *column_table(schema)]
    return "\n".join(lines) + "\n"


def all_schemas():
    """Every schema of the library, by name (list of TableSchema); those by band for a stand-in band."""
    plain = {
        id(value): value
        for module in all_modules()
        for value in vars(module).values()
        if isinstance(value, TableSchema)
    }
    by_band = [object_schema([BAND]), dia_object_schema([BAND])]
    return sorted([*plain.values(), *by_band], key=lambda schema: schema.name)


def where_of(schema):
    """Where a table is found."""
    path = PATTERNS[FILES.get(schema.name, schema.name)]
    return f"Table INPUTS of `{path}`." if path.endswith(".fits") else f"`{path}`"


def column_table(schema):
    """Lines of a Markdown table with a row for each column."""
    rows = [
        f"| `{column.name}` | {column.type} | {cell(column.unit)} | {cell(column.description)} |"
        for column in schema.columns
    ]
    return ["| column | type | unit | meaning |", "| --- | --- | --- | --- |", *rows]
