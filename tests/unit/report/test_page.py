"""The page holds what the tables say, in the order that a reader needs, and asks for nothing else."""

import re
import time
from html.parser import HTMLParser

import numpy as np
import pytest
from made_up_page import made_up_parts

from skyloom.io.benchmarks import JobCost
from skyloom.report import definitions
from skyloom.report.metrics import Measurement, counted, metrics_table
from skyloom.report.numbers import Numbers, format_number
from skyloom.report.page import VISIT_COLUMNS, headline, visit_rows, write_page
from skyloom.report.visits import gather_losses
from skyloom.workflow.survival import FAILURES

MOST_SECONDS = 60
MOST_BYTES = 30e6
VOID = {"meta", "link", "img", "br"}


class Tags(HTMLParser):
    """Checks that tags are closed in order, and gathers what a browser would load."""

    def __init__(self, html):
        super().__init__()
        self.open, self.loaded, self.ids, self.links = [], [], set(), set()
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.loaded += [values[name] for name in ("src", "srcset", "data") if name in values]
        if tag == "link":
            self.loaded.append(values["href"])
        self.ids.add(values.get("id"))
        if tag == "a":
            self.links.add(values["href"])

    def handle_startendtag(self, tag, attrs):
        """Of SVG: closed by itself."""

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def parts():
    costs = [JobCost("warp_visit", f"warp/{k}", 1.0 + k, 2.0, 300.0 + k) for k in range(12)]
    return made_up_parts(40, 2, [*costs, JobCost("write_report", "report/metrics", 9.0, np.nan, np.nan)])


@pytest.fixture(scope="module")
def html(parts):
    return write_page(parts)


def cells_of(html, section):
    """Return rows of cells of the first table of a section."""
    part = html[html.index(f'<section id="{section}"') :]
    rows = re.findall(r"<tr>(.*?)</tr>", part[: part.index("</section>")], re.DOTALL)
    return [
        [re.sub(r"<[^>]*>", " ", cell).split() for cell in re.findall(r"<td.*?</td>", row)] for row in rows
    ]


def test_the_page_is_whole_and_loads_nothing(html):
    tags = Tags(html)
    assert all(address.startswith("data:") for address in tags.loaded)
    assert len(tags.loaded) == 6
    assert {link[1:] for link in tags.links} <= tags.ids
    assert "http" not in html.replace("http-equiv", "")


def test_a_message_is_text_whatever_it_holds(html):
    assert "raw/1/0.fits has &lt;2&gt; blocks &amp; needs 9" in html


def test_failures_come_with_their_number_and_an_example(html):
    (row,) = [row for row in cells_of(html, "headline") if row and row[0] == ["calibrate_image"]]
    assert row[1:3] == [["TruncatedRaw"], ["1"]]
    assert row[3][:4] == ["visit", "40,", "detector", "0:"]


@pytest.mark.parametrize(("n_lost", "level"), [(0, "good"), (1, "warn")])
def test_detectors_have_survived_only_when_their_differences_did_too(n_lost, level):
    row = {
        "step": "subtract_template",
        "visit": 2,
        "detector": 0,
        "reason": "PoorSubtraction",
        "message": "bad",
    }
    failures = FAILURES.table({name: [value] * n_lost for name, value in row.items()})
    good = {"n_visit": 2, "n_detector": 4, "n_failed": 0}
    measurements = [counted(name, "all", number) for name, number in good.items()]
    numbers = Numbers(metrics_table(gather_losses(failures, {"survived": 4 - n_lost}) + measurements))
    assert ("detectors survived", f"{4 - n_lost} of 4", level) in headline(numbers, failures)["cards"]


def test_a_metric_outside_its_bounds_is_an_alarm(html):
    alarms = [row for row in cells_of(html, "headline") if row and row[0] == ["star_completeness"]]
    assert [row[1:5] for row in alarms] == [[[band], ["0.9"], [], ["≥", "0.95"]] for band in ("g", "r", "i")]


def test_requirements_are_judged_by_both_specifications(html):
    (row,) = [row for row in cells_of(html, "requirements") if row and row[0] == ["PA1"]]
    assert [" ".join(cell) for cell in row[1:6]] == [
        "mmag", "4 ± 0.5 meets design, n = 100", "6 ± 0.5 meets minimum, n = 100", "9 ± 0.5 above minimum, n = 100",
        "5 / 8",
    ]  # fmt: skip
    (row,) = [row for row in cells_of(html, "requirements") if row and row[0] == ["TE2"]]
    assert row[2][0] == "–"


def test_the_visit_that_lost_a_detector_comes_first_and_others_after_how_bad_they_are(parts):
    rows = visit_rows(Numbers(parts.metrics), parts.psf_shapes)
    assert (rows[0]["visit"], rows[0]["status"]) == ("40", "1 of 2 failed")
    assert all(row["status"] == "OK" for row in rows[1:])
    assert len({row["visit"] for row in rows}) == 40
    assert rows[0]["whiskers"].count("M") == 8


def test_a_visit_of_bad_seeing_is_worse_than_those_of_its_band():
    seeing = {1: 0.8, 2: 0.82, 3: 0.78, 4: 2.0}
    same = dict.fromkeys(definitions.VISITS, 2.0) | {"n_detector": 2.0, "n_failed": 0.0}
    measurements = [
        Measurement(name, "r", value, 1, subject=f"visit {visit}")
        for visit in seeing
        for name, value in (same | {"seeing": seeing[visit]}).items()
    ]
    none = made_up_parts(2, 1).psf_shapes.slice(0, 0)
    rows = visit_rows(Numbers(metrics_table(measurements)), none)
    assert [row["visit"] for row in rows] == ["4", "2", "1", "3"]
    assert rows[0]["whiskers"] == ""


def test_every_number_of_a_visit_is_that_of_the_metrics(parts, html):
    shown = {row[0][0]: row for row in cells_of(html, "visits") if len(row) > 10}
    assert len(shown) == 40
    cells = next(iter(shown.values()))
    columns = {name: len(cells) - len(VISIT_COLUMNS) + k for k, name in enumerate(VISIT_COLUMNS)}
    assert columns["seeing"] == 6
    for (subject, name), row in {(r["subject"], r["name"]): r for r in parts.metrics.to_pylist()}.items():
        if subject.startswith("visit ") and name in columns:
            assert shown[subject.split()[1]][columns[name]] == [format_number(row)], name


def test_rules_are_listed_from_the_dearest_and_only_the_ten_longest_jobs(html):
    rows = [[" ".join(cell) for cell in row] for row in cells_of(html, "machine") if row]
    assert rows[:2] == [
        ["warp_visit", "12", "78.0", "12.0", "24.0", "311"], ["write_report", "1", "9.0", "9.0", "0.0", "0"],
    ]  # fmt: skip
    assert [row[0] for row in rows[2:5]] == ["warp/11", "warp/10", "warp/9"]
    assert len(rows) == 12


def test_numbers_are_written_as_people_do():
    def row(name, value):
        return {"name": name, "value": value}

    assert format_number(None) == format_number(row("seeing", np.nan)) == "–"
    assert format_number(row("n_visit", 1234.0)) == "1234"
    assert format_number(row("mjd", 61000.123456)) == "61000.12346"
    assert format_number(row("TE2", 1.234e-7)) == "1.23e-07"
    assert format_number(row("calib_level", 12345.6)) == "12346"
    assert [format_number(row("calib_level", value)) for value in (999.4, 999.5, -999.7)] == [
        "999",
        "1000",
        "-1000",
    ]


def test_a_run_without_anything_still_has_a_page(parts):
    nothing = made_up_parts(1, 1)
    empty = metrics_table([Measurement("n_visit", "all", 0.0, 0), Measurement("n_survived", "all", 0.0, 0)])
    bare = type(parts)(
        "bare", empty, nothing.psf_shapes.slice(0, 0), nothing.failures.slice(0, 0), nothing.machine,
        nothing.methods, nothing.pictures,
    )  # fmt: skip
    html = write_page(bare)
    Tags(html)
    for text in ("No detector was lost.", "There are no benchmark files.", "no calibration frames"):
        assert text in html
    assert 'id="truth"' not in html


def test_each_metric_is_defined_in_a_sentence():
    assert all(
        d.description.endswith(".") and d.description[0].isupper() for d in definitions.DEFINITIONS.values()
    )


@pytest.mark.slow
def test_a_thousand_visits_give_a_page_that_is_small_and_quick():
    parts = made_up_parts(1000, 21)
    start = time.process_time()
    html = write_page(parts)
    assert time.process_time() - start < MOST_SECONDS
    assert len(html.encode()) < MOST_BYTES
    assert html.count('class="whiskers"') == 1000
    assert "970 more visits" in html
