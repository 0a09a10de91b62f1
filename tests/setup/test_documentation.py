"""The documentation: made pages are current, links lead somewhere, pictures have a maker, errors a section."""

import ast
import re
from pathlib import Path

import pytest
from documentation import ROOT

from columns_page import PAGE as COLUMNS
from columns_page import all_schemas, columns_page
from documentation_figures import FIGURES, FIGURES_OF_REAL_FRAMES
from errors_page import PAGE as ERRORS
from errors_page import errors_page, message_of, name_of, named_errors, raisers
from page_blocks import python_of
from skyloom.core.errors import SkyloomError
from skyloom.core.mask_planes import PLANES
from skyloom.workflow.paths import PATTERNS
from stage_sections import MARKER, PRODUCTS, STAGES, with_sections

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
LINK = re.compile(r"\]\(([^)\s]+)\)")
# What `make site` alone can tell of an anchor: those of its generator.
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def anchors_of(page):
    """Anchors of a page's headings, as the site and code hosts make them."""
    headings = HEADING.findall(re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE))
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def read(path):
    return path.read_text(encoding="utf-8")


def test_the_page_of_columns_is_that_of_the_schemas():
    assert read(COLUMNS) == columns_page(), "run `make docs`"


def test_every_column_has_a_description_and_every_plane_a_row():
    assert [
        (schema.name, column.name)
        for schema in all_schemas()
        for column in schema.columns
        if not column.description.strip()
    ] == []
    assert [name for name in PLANES if f"| {name} |" not in read(COLUMNS)] == []
    assert {"source", "object", "dia_source", "visit_summary"} <= {schema.name for schema in all_schemas()}


def test_the_page_of_errors_is_that_of_the_code():
    assert read(ERRORS) == errors_page(), "run `make docs`"


def test_each_named_error_has_a_name_and_an_anchor_of_its_own():
    names = [name_of(error).lower() for error in named_errors()]
    anchors = anchors_of(read(ERRORS))

    assert len(names) > 60
    assert sorted(set(names)) == sorted(names)
    assert set(names) - set(anchors) == set()
    assert len(set(anchors)) == len(anchors)


def test_each_error_that_the_code_raises_says_its_message_on_the_page():
    families = {SkyloomError, *SkyloomError.__subclasses__()}
    own_message = [error for error in named_errors() if error not in families and "__init__" in vars(error)]
    unraised = [error.__name__ for error in own_message if error.__name__ not in raisers()]

    assert unraised == []
    assert sum(bool(message_of(error)) for error in own_message) > 0.9 * len(own_message)


@pytest.mark.parametrize("path", sorted(STAGES.glob("*.md")), ids=lambda path: path.stem)
def test_a_stages_page_has_its_settings_products_errors_and_a_picture(path):
    page = read(path)

    assert MARKER in page
    assert page == with_sections(page, path.stem), "run `make docs`"
    assert re.search(r"!\[[^\]]+\]\(\.\./figures/", page), "a picture with a text for who cannot see it"


def test_every_product_of_a_rule_is_on_a_stages_page():
    rules = "".join(read(path) for path in ROOT.glob("rules/*.smk"))
    made = set(re.findall(r'\bpath\("(\w+)"\)', rules)) & set(PATTERNS)
    shown = {name for names in PRODUCTS.values() for name in names}

    assert made - shown == {"log", "benchmark", "kernels"}
    assert {"machine", "citations", "dia_match"} <= made


def test_every_picture_has_a_maker_and_a_page():
    there = {path.name for path in (DOCS / "figures").iterdir()}
    shown = {Path(link).name for page in PAGES for link in LINK.findall(read(page)) if "figures/" in link}

    assert there == set(FIGURES) | set(FIGURES_OF_REAL_FRAMES)
    assert shown == there


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_a_file_and_a_heading(path):
    lost = []
    for link in LINK.findall(read(path)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors_of(read(target))):
            lost.append(link)

    assert lost == []


@pytest.mark.parametrize("path", sorted((DOCS / "tutorials").glob("[0-9]*.md")), ids=lambda path: path.stem)
def test_a_tutorial_is_a_notebook_with_an_exercise_and_its_answer(path):
    page = read(path)
    cells = re.findall(r"^```\{code-cell\} ipython3\n(.*?)^```", page, re.DOTALL | re.MULTILINE)

    assert page.startswith("---\nfile_format: mystnb\n")
    assert re.search(r"^## Exercises?\n", page, re.MULTILINE)
    assert re.search(r"^## Answers?\n", page, re.MULTILINE)
    assert len(cells) > 4
    for cell in cells:
        ast.parse(cell)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_blocks_are_python(path):
    ast.parse(python_of(read(path)))
