"""The last words of a run: the failed job with its command, bad exposures by reason."""

import json

import pytest

from skyloom.io.provenance import Provenance
from skyloom.io.tables import write_table
from skyloom.workflow import failures
from skyloom.workflow.failures import (
    failure_report,
    forget_failures,
    read_failures,
    rerun_command,
    survival_report,
)
from skyloom.workflow.survival import COUNTS_KEY, TooFewSurvivorsError, check_survival, collect_failures

RECORD = {
    "rule": "warp_visit",
    "wildcards": {"visit": "11", "band": "r"},
    "input": [f"results/calexp/11/{n}.fits" for n in range(9)],
    "output": ["results/warp/r/1/0_0/11.fits"],
    "log": "results/logs/warp/r/1/0_0/11.log",
    "exception": "KeyError: 'fwhm'",
    "see": "",
    "where": "scripts/warp_visit.py:9 in main",
}


def test_the_report_has_all_that_is_needed_to_go_on():
    text = failure_report([RECORD], ["a b.yaml"], ["visit=3"])
    for part in (
        "warp_visit",
        "visit=11, band=r",
        "and 6 more",
        "KeyError: 'fwhm'",
        RECORD["log"],
        RECORD["where"],
    ):
        assert part in text
    assert (
        "snakemake --cores 1 --configfile 'a b.yaml' --config visit=3 -- results/warp/r/1/0_0/11.fits" in text
    )


def test_a_named_error_is_told_with_its_link_however_long_its_message():
    named = {
        **RECORD,
        "exception": "CorruptProductError: " + 500 * "x",
        "see": "docs/errors.md#corruptproduct",
    }
    lines = failure_report([named, named]).splitlines()

    assert "  see:       docs/errors.md#corruptproduct" in lines
    assert lines[-1].endswith("... docs/errors.md#corruptproduct")


@pytest.mark.parametrize("n", [1, 3, 50])
def test_the_report_fits_on_the_last_screen_however_many_jobs_failed(n):
    long = {**RECORD, "exception": "ValueError: " + "x\n" * 500}
    text = failure_report([long] * n)
    assert len(text.splitlines()) <= 18
    assert f"{n} failed job(s)" in text


def test_a_job_without_a_record_is_told_from_the_log(tmp_path):
    log = tmp_path / "snakemake.log"
    log.write_text(
        "Error in rule warp_visit:\n    output: results/w.fits\n"
        "Command 'python x' died with <Signals.SIGKILL: 9>.\nother\n",
        encoding="utf-8",
    )
    text = failure_report([], snakemake_log=str(log))
    assert "Error in rule warp_visit" in text
    assert "died with <Signals.SIGKILL: 9>" in text
    assert "other" not in text


def test_what_slurm_said_of_a_job_is_told_at_the_end(tmp_path):
    log = tmp_path / "snakemake.log"
    said = "skyloom: Slurm job, images (2 jobs): SLURM sbatch failed; attempt 4 of 4: no attempt is left"
    log.write_text(f"{said}\nError in group images:\nother\n", encoding="utf-8")
    text = failure_report([], snakemake_log=str(log))
    assert said in text
    assert "Error in group images" in text
    assert "other" not in text


def test_records_are_read_oldest_first_and_forgotten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_failures() == []
    failures.FAILURE_FOLDER.mkdir(parents=True)
    (failures.FAILURE_FOLDER / "a.json").write_text(json.dumps(RECORD), encoding="utf-8")
    assert read_failures() == [RECORD]
    forget_failures()
    assert read_failures() == []


def test_a_rerun_command_without_options_is_short():
    assert rerun_command("results/a.fits") == "snakemake --cores 1 -- results/a.fits"


def row(visit, detector, status="OK", reason="", message=""):
    """Row of a visit summary."""
    return {"visit": visit, "detector": detector, "status": status, "reason": reason, "message": message}


SUMMARIES = [row(1, 0), row(1, 1, "FAILED", "TooFewStars", "2 stars"), row(2, 0), row(2, 1)]
STATUSES = {
    (1, 0): ("OK", "", ""),
    (1, 1): ("FAILED", "TooFewStars", "2 stars"),
    (2, 0): ("EMPTY", "NoTemplateCoverage", "0 coadds"),
    (2, 1): ("FAILED", "PoorSubtraction", "residuals"),
}


def test_a_detector_counts_once_at_the_step_that_lost_it():
    table, counts = collect_failures(SUMMARIES, STATUSES)
    assert counts == {"survived": 2, "total": 4, "without_template": 1}
    assert table.column("step").to_pylist() == ["calibrate_image", "subtract_template"]
    assert table.column("reason").to_pylist() == ["TooFewStars", "PoorSubtraction"]


def test_a_survey_without_failures_has_an_empty_table():
    table, counts = collect_failures([row(1, 0)], {})
    assert table.num_rows == 0
    assert counts == {"survived": 1, "total": 1, "without_template": 0}


def test_too_few_survivors_are_an_error_with_the_reasons():
    table, counts = collect_failures(SUMMARIES, STATUSES)
    check_survival(table, counts, 0.5)
    with pytest.raises(
        TooFewSurvivorsError,
        match=r"2 of 4 detectors survived, needs a fraction of 0.6.*PoorSubtraction 1, TooFewStars 1",
    ):
        check_survival(table, counts, 0.6)


def test_the_report_of_survivors_groups_by_step_and_reason(tmp_path):
    table, counts = collect_failures(SUMMARIES, STATUSES)
    path = tmp_path / "failures.parquet"
    metadata = {COUNTS_KEY: json.dumps(counts)}
    write_table(path, table, Provenance(rule="check_survival"), metadata=metadata)
    lines = survival_report(path).splitlines()
    assert lines[0] == (
        "skyloom: 2 of 4 detectors survived, 1 of them where there is no template to subtract; bad ones by reason:"
    )
    assert lines[2].split()[:3] == ["calibrate_image", "TooFewStars", "1"]
    assert survival_report(tmp_path / "missing.parquet") == ""


def test_the_report_of_a_flawless_survey_is_one_line(tmp_path):
    table, counts = collect_failures([row(1, 0)], {})
    metadata = {COUNTS_KEY: json.dumps(counts)}
    write_table(tmp_path / "f.parquet", table, Provenance(rule="check_survival"), metadata=metadata)
    assert survival_report(tmp_path / "f.parquet") == "skyloom: 1 of 1 detectors survived; no bad exposure"
