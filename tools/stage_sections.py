"""Writes the end of each page in docs/stages: settings, products and errors of the stage, from schema and code."""

from pathlib import Path

from columns_page import FILES
from configuration_page import SCHEMA, cell, default_of, flat_keys, unit_of
from errors_page import anchor_of, name_of, named_errors
from skyloom.workflow.config import load_schema
from skyloom.workflow.paths import PATTERNS

ROOT = Path(__file__).parents[1]
STAGES = ROOT / "docs" / "stages"
MARKER = "<!-- From here on made by `make docs` from the schema and the code. -->\n"
PRODUCTS = {
    "simulate": ("raw", "raw_calib", "truth_object", "truth_orbit", "truth_source", "reference"),
    "calibs": ("calib",),
    "isr": ("calexp",),
    "calibrate": ("calexp", "src"),
    "astrometry": ("calexp", "visit_summary"),
    "visit_sky": ("visit_sky",),
    "warp": ("warp",),
    "coadd": ("coadd",),
    "objects": ("object",),
    "diff": ("diff", "ap_diff"),
    "dia": ("dia_source", "ap_dia_source"),
    "association": ("dia_object", "dia_match"),
    "report": tuple(name for name, path in PATTERNS.items() if path.startswith("report/")),
}
"""Where each stage's results are found; ISR's are inside the calexp."""
TABLES = {product: table for table, product in FILES.items()} | {
    "ap_dia_source": "dia_source",
    "ap_failures": "failures",
}
"""Section of the page of columns, where it is not the product's own name."""
PARTS = {"astrometry": ("calibrate", ("astrometry.", "photometry."))}
"""Pages that describe a part of another stage: whose settings, beginning how."""
MODULES_OF_PARTS = {
    "astrometry": (
        "skyloom.calibrate.astrometry",
        "skyloom.calibrate.photometry",
        "skyloom.calibrate.star_field",
        "skyloom.calibrate.wcs_fit",
    )
}


def with_sections(page, stage):
    """A page with the sections that are made for its stage instead of those that it has.

    Parameters
    ----------
    page : str
        Markdown.
    stage : str
        Name of the stage.

    Returns
    -------
    str
        Markdown.
    """
    written = page.partition(MARKER)[0].rstrip("\n")
    lines = [*settings_of(stage), *products_of(stage), *errors_of(stage)]
    return f"{written}\n\n{MARKER}" + "\n".join(lines) + "\n"


def settings_of(stage):
    """Lines of the stage's settings; the page of the configuration says what is allowed."""
    section, beginnings = PARTS.get(stage, (stage, ("",)))
    keys = flat_keys(load_schema(SCHEMA)["properties"][section]["properties"])
    lines = ["", "## Settings", "", "| key | default | unit | meaning |", "| --- | --- | --- | --- |"]
    for key, part in keys:
        if key.startswith(beginnings):
            cells = (f"`{section}.{key}`", default_of(part), unit_of(part), cell(part["description"]))
            lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", f"What each may hold: [configuration](../configuration.md#{section})."]


def products_of(stage):
    """Lines of the stage's products."""
    lines = ["", "## Products", ""]
    for name in PRODUCTS[stage]:
        table = TABLES.get(name, name)
        has_columns = PATTERNS[name].endswith(".parquet") and stage != "simulate" or name == "coadd"
        columns = f", [columns](../columns.md#{table})" if has_columns else ""
        lines.append(f"- `{PATTERNS[name]}`{columns}")
    return [*lines, "", "Below the output root; [what a product holds](../products.md)."]


def errors_of(stage):
    """Lines of the stage's named errors; none where it has none."""
    of_parts = {module for modules in MODULES_OF_PARTS.values() for module in modules}
    own = MODULES_OF_PARTS.get(stage)
    found = [
        f"[{name_of(error)}](../errors.md#{anchor_of(error)})"
        for error in named_errors()
        if (
            error.__module__ in own
            if own
            else error.__module__.startswith(f"skyloom.{stage}.") and error.__module__ not in of_parts
        )
    ]
    return ["", "## Named errors", "", ", ".join(found)] if found else []


def write_stage_pages():
    """Write the made sections of all pages."""
    for path in sorted(STAGES.glob("*.md")):
        path.write_text(with_sections(path.read_text(encoding="utf-8"), path.stem), encoding="utf-8")
