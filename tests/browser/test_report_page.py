"""The report opens from disk in a browser: nothing is fetched, nothing complains, nothing hangs over the edge."""

import pytest
from made_up_page import made_up_parts

from skyloom.report.page import write_page
from skyloom.workflow.paths import PICTURES

WIDTHS = (1440, 390)
OVERHANG = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Widths of the pictures once they are decoded; 0 for one that is none. A lazy one off the screen would never be read.
PICTURE_WIDTHS = """Promise.all([...document.images].map((image) => {
    image.loading = "eager";
    return image.decode().then(() => image.naturalWidth, () => 0);
}))"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """File of the page of 40 made-up visits."""
    path = tmp_path_factory.mktemp("report") / "index.html"
    path.write_text(write_page(made_up_parts(40, 2)), encoding="utf-8")
    return path


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_opens_from_disk_without_the_network_and_fits_the_screen(browser, page, width):
    browser.open(page, width)
    assert browser.value(OVERHANG) <= 0
    widths = browser.value(PICTURE_WIDTHS)
    assert len(widths) == len(PICTURES)
    assert min(widths) > 0
    assert browser.value("document.querySelectorAll('svg.chart').length") == 4
    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []


@pytest.mark.browser
def test_a_click_on_a_head_sorts_the_visits(browser, page):
    browser.open(page, 1440)
    rows = "[...document.querySelector('table.sortable').tBodies[0].rows]"
    column = f"{rows}.map((row) => parseFloat(row.cells[6].textContent))"
    head = "document.querySelectorAll('table.sortable th')[6].click()"
    browser.value(f"{head}; 0")
    up = [value for value in browser.value(column) if value is not None]
    browser.value(f"{head}; 0")
    down = [value for value in browser.value(column) if value is not None]
    assert len(up) == 30
    assert up == sorted(up)
    assert down == sorted(down, reverse=True)
    assert browser.complaints() == []


@pytest.mark.browser
def test_a_page_that_asks_for_a_file_or_hangs_over_would_be_found(browser, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!doctype html><body style='margin:0'><img src='lost.png'><div style='width:3000px'>x</div>"
        "<script>console.error('broken'); undefinedName()</script>",
        encoding="utf-8",
    )
    browser.open(bad, 390)
    assert browser.value(OVERHANG) > 0
    assert browser.value(PICTURE_WIDTHS) == [0]
    assert len(browser.requests()) == 2
    assert len(browser.complaints()) >= 2


@pytest.mark.browser
@pytest.mark.slow
def test_a_thousand_visits_are_usable(browser, tmp_path):
    path = tmp_path / "index.html"
    path.write_text(write_page(made_up_parts(1000, 21)), encoding="utf-8")
    browser.open(path, 1440)
    assert browser.value(OVERHANG) <= 0
    assert browser.value("document.querySelectorAll('svg.whiskers').length") == 1000
    assert browser.complaints() == []
