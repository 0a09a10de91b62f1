"""skyloom report-compare tells changes from noise."""

import numpy as np
import pytest

from skyloom.commands.main import main
from skyloom.commands.report_compare import NoReportError, compare_reports
from skyloom.io.provenance import Provenance
from skyloom.io.tables import write_table
from skyloom.report.metrics import Measurement, counted, metrics_table


def write_run(root, *measurements):
    write_table(root / "report/metrics.parquet", metrics_table(list(measurements)), Provenance())
    return root


@pytest.fixture
def runs(tmp_path):
    """Two runs: a median within the noise and one beyond it, a count, a visit, and one metric each of its own."""
    first = write_run(
        tmp_path / "a",
        Measurement("seeing", "r", 0.80, 9, 0.01),
        Measurement("seeing", "i", 0.80, 9, 0.01),
        counted("n_failed", "all", 1),
        Measurement("TE2", "r", np.nan, 0),
        Measurement("seeing", "r", 0.8, 1, 0.001, subject="visit 7"),
        Measurement("depth", "g", 25.0, 3, 0.1),
    )
    second = write_run(
        tmp_path / "b",
        Measurement("seeing", "r", 0.83, 9, 0.01),
        Measurement("seeing", "i", 0.85, 9, 0.01),
        counted("n_failed", "all", 2),
        Measurement("TE2", "r", np.nan, 0),
        Measurement("seeing", "r", 0.9, 1, 0.001, subject="visit 7"),
        Measurement("depth", "z", 25.0, 3, 0.1),
    )
    return first, second


def test_only_what_lies_beyond_the_noise_is_told(runs, capsys):
    assert main(["report-compare", *map(str, runs)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "survey: n_failed all: 1 -> 2",
        "survey: seeing i: 0.8 -> 0.85 arcsec (3.5 sigma)",
        "visit 7: seeing r: 0.8 -> 0.9 arcsec (70.7 sigma)",
        "only in the first: survey depth g",
        "only in the second: survey depth z",
        "5 metrics in both, 3 changed beyond their noise",
    ]


def test_a_run_is_like_itself(runs, capsys):
    assert main(["report-compare", str(runs[0]), str(runs[0])]) == 0
    assert capsys.readouterr().out == "6 metrics in both, 0 changed beyond their noise\n"


def test_a_value_that_is_no_longer_measured_is_a_change(tmp_path):
    first = write_run(tmp_path / "a", Measurement("seeing", "r", 0.8, 9, 0.01))
    second = write_run(tmp_path / "b", Measurement("seeing", "r", np.nan, 0))
    assert [change.name for change in compare_reports(first, second).changed] == ["seeing"]


def test_a_value_of_unknown_error_must_change_by_a_thousandth(tmp_path):
    first = write_run(tmp_path / "a", Measurement("seeing", "r", 0.8, 1), Measurement("seeing", "i", 0.8, 1))
    second = write_run(
        tmp_path / "b", Measurement("seeing", "r", 0.8004, 1), Measurement("seeing", "i", 0.802, 1)
    )
    assert compare_reports(first, second).lines() == [
        "survey: seeing i: 0.8 -> 0.802 arcsec (error unknown)",
        "2 metrics in both, 1 changed beyond their noise",
    ]


def test_a_root_without_a_report_is_named(runs, tmp_path, capsys):
    with pytest.raises(NoReportError, match="c/report/metrics.parquet is not there"):
        compare_reports(runs[0], tmp_path / "c")
    assert main(["report-compare", str(runs[0]), str(tmp_path / "c")]) == 2
    assert "snakemake report" in capsys.readouterr().err
