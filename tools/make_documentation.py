"""Writes the pages of docs/, and their parts, that are made from schema and code: `make docs`."""

from columns_page import PAGE as COLUMNS
from columns_page import columns_page
from configuration_page import PAGE as CONFIGURATION
from configuration_page import SCHEMA, configuration_page
from errors_page import PAGE as ERRORS
from errors_page import errors_page
from skyloom.workflow.config import load_schema
from stage_sections import write_stage_pages


def main():
    """Write all pages."""
    CONFIGURATION.write_text(configuration_page(load_schema(SCHEMA)), encoding="utf-8")
    COLUMNS.write_text(columns_page(), encoding="utf-8")
    ERRORS.write_text(errors_page(), encoding="utf-8")
    write_stage_pages()


if __name__ == "__main__":
    main()
