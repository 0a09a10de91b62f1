"""The report of a finished run: the page and its numbers, and Snakemake's own report."""

import csv
import os

import pytest
from workflow_support import Snakemake, copy_run

from skyloom.io.tables import read_table
from skyloom.workflow.paths import PICTURES

MOST_BYTES = 15e6
OVERHANG = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.mark.slow
def test_the_numbers_are_there_as_text_and_each_rule_has_its_cost(real_survey):
    report = real_survey / "results" / "report"
    metrics = read_table(report / "metrics.parquet").to_pylist()
    assert [(row["subject"], row["name"], str(row["value"])) for row in metrics] == [
        (row["subject"], row["name"], row["value"]) for row in rows_of(report / "metrics.tsv")
    ]
    subjects = {row["subject"] for row in metrics}
    assert {"survey", "visit 11", "visit 21", "coadd r/1/0_0", "calib e1/bias/none/0"} <= subjects
    costs = {row["subject"]: row for row in rows_of(report / "machine.tsv")}
    assert costs["rule calibrate_image"]["n_job"] == "6"
    assert float(costs["rule calibrate_image"]["wall_s"]) > 0
    assert {"rule combine_flat", "rule assemble_coadd", "rule write_report"} <= costs.keys()


@pytest.mark.slow
def test_what_was_used_is_named_and_nothing_else(real_survey):
    methods = (real_survey / "results" / "report" / "methods.md").read_text(encoding="utf-8")
    assert "rule `subtract_template`" in methods
    assert "- numpy " in methods
    assert "simulate" not in methods
    citations = (real_survey / "results" / "report" / "citations.bib").read_text(encoding="utf-8")
    assert "Alard1998" in citations
    assert "Rowe2015" not in citations


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("width", [1440, 390])
def test_the_page_of_real_products_opens_from_disk(real_survey, browser, width):
    page = real_survey / "results" / "report" / "index.html"
    assert page.stat().st_size < MOST_BYTES
    browser.open(page, width)
    assert browser.value(OVERHANG) <= 0
    assert browser.value("document.querySelectorAll('svg.whiskers').length") == 3
    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []


@pytest.mark.slow
def test_snakemakes_own_report_has_the_pictures_and_their_captions(real_survey, tmp_path, monkeypatch):
    # Snakemake renders captions by an argument that Docutils 2 will not have.
    monkeypatch.setenv("PYTHONWARNINGS", os.environ["PYTHONWARNINGS"] + ",ignore::PendingDeprecationWarning")
    copy_run(real_survey, tmp_path)
    Snakemake(tmp_path).run("report", "--report", "snakemake.html")
    text = (tmp_path / "snakemake.html").read_text(encoding="utf-8")
    pictures = [f"{name}.png" for name in PICTURES]
    for words in (*pictures, "stretched after Lupton", "fits worst", "index.html"):
        assert words in text
