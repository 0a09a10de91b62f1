"""Writes docs/configuration.md, the page of every configuration key, from the schema in config/schema."""

import json
from pathlib import Path

from skyloom.workflow.config import describe

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "config" / "schema"
PAGE = ROOT / "docs" / "configuration.md"

HEAD = """# Configuration

Every key that a survey's configuration may have, with its default; a survey file names only what it
changes. An unknown key, a value out of range or a wrong type stops before any job. This page is made
from `config/schema` by `make docs`.
"""


def configuration_page(schema):
    """The page.

    Parameters
    ----------
    schema : dict
        JSON schema of the whole configuration, from `load_schema`.

    Returns
    -------
    str
        Markdown: a table of the top-level keys, then one for each section.
    """
    properties = schema["properties"]
    plain = {key: part for key, part in properties.items() if "properties" not in part}
    lines = [HEAD, *key_table(plain)]
    for name, part in properties.items():
        if name not in plain:
            lines += ["", f"## {name}", "", part["description"], "", *key_table(part["properties"])]
    return "\n".join(lines) + "\n"


def key_table(properties):
    """Lines of a Markdown table with a row for each key, nested ones by their dotted name."""
    lines = ["| key | default | unit | allowed | meaning |", "| --- | --- | --- | --- | --- |"]
    for key, part in flat_keys(properties):
        cells = [f"`{key}`", default_of(part), unit_of(part), allowed_of(part), cell(part["description"])]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def flat_keys(properties, prefix=""):
    """Yield each key that holds a value, with its schema; a list's items follow as ``key[].item``."""
    for name, part in properties.items():
        key = prefix + name
        if "properties" in part:
            yield from flat_keys(part["properties"], f"{key}.")
            continue
        yield key, part
        yield from flat_keys(part.get("items", {}).get("properties", {}), f"{key}[].")


def default_of(part):
    """The default as it is written in YAML; a dash where there is none."""
    return f"`{json.dumps(part['default'])}`" if "default" in part else "-"


def unit_of(part):
    """The unit; empty for a pure number and for an enumeration."""
    unit = part.get("unit", "")
    return "" if unit == "1" else cell(unit)


def allowed_of(part):
    """Type and limits, in words."""
    return cell(describe({key: value for key, value in part.items() if key != "unit"}))


def cell(text):
    """Text that may stand in a cell of a Markdown table."""
    return " ".join(str(text).split()).replace("|", "\\|")
