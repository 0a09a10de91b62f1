"""Writes all of docs/ that is made: pages from schema and code, pictures from the demo's products.

Usage: python tools/make_documentation.py (in the clone, after `make demo`).
"""

from pathlib import Path

from columns_page import PAGE as COLUMNS
from columns_page import columns_page
from configuration_page import PAGE as CONFIGURATION
from configuration_page import SCHEMA, configuration_page
from documentation_figures import FIGURES, draw_figures
from errors_page import PAGE as ERRORS
from errors_page import errors_page
from skyloom.workflow.config import load_schema
from stage_sections import write_stage_pages

RESULTS = Path(__file__).parents[1] / "results"


def main():
    """Write everything."""
    CONFIGURATION.write_text(configuration_page(load_schema(SCHEMA)), encoding="utf-8")
    COLUMNS.write_text(columns_page(), encoding="utf-8")
    ERRORS.write_text(errors_page(), encoding="utf-8")
    write_stage_pages()
    draw_figures(RESULTS, FIGURES)


if __name__ == "__main__":
    main()
