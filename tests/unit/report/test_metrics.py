"""Values of the report have the errors that their definition gives, and the bounds of their band."""

import numpy as np
import pytest

from skyloom.report.definitions import DEFINITIONS, REQUIREMENTS
from skyloom.report.metrics import (
    Measurement,
    counted,
    fraction_of,
    median_of,
    metrics_table,
    scatter_of,
    tab_separated,
)


def test_a_median_leaves_out_nan_and_has_the_error_of_its_scatter():
    measured = median_of("seeing", "r", [1.0, 2.0, 3.0, 4.0, 5.0, np.nan])
    # The median absolute deviation is 1, so sigma 1.4826, over the root of five.
    assert (measured.value, measured.n) == (3.0, 5)
    assert measured.error == pytest.approx(np.sqrt(np.pi / 2) * 1.4826022 / np.sqrt(5))


def test_the_error_of_one_value_is_unknown_and_nothing_is_nan():
    assert np.isnan(median_of("seeing", "r", [1.0]).error)
    assert np.isnan(median_of("seeing", "r", []).value)
    assert np.isnan(scatter_of("PA1", "r", [1.0]).value)
    assert np.isnan(fraction_of("PF1", "r", 0, 0).value)


def test_the_errors_are_those_of_gaussian_noise():
    rng = np.random.default_rng(8)
    draws = rng.normal(0, 2.0, (2000, 200))
    medians = [median_of("seeing", "r", row) for row in draws]
    scatters = [scatter_of("PA1", "r", row) for row in draws]
    for measured in (medians, scatters):
        spread = np.std([m.value for m in measured])
        # 2000 draws tell the spread within 1.6 per cent, 200 values the error itself on average.
        assert np.mean([m.error for m in measured]) == pytest.approx(spread, rel=0.07)
    assert np.mean([m.value for m in scatters]) == pytest.approx(2.0, rel=0.02)


def test_a_fraction_of_all_or_nothing_still_has_an_error():
    measured = fraction_of("PF1", "r", 0, 8, scale=100)
    # (0 + 1) / (8 + 2) = 0.1: the root of 0.1 0.9 / 11.
    assert (measured.value, measured.n) == (0.0, 8)
    assert measured.error == pytest.approx(100 * np.sqrt(0.09 / 11))
    assert fraction_of("star_completeness", "r", 3, 4).value == 0.75


def test_a_count_has_no_error():
    assert counted("n_failed", "all", 3) == Measurement("n_failed", "all", 3.0, 3, 0.0)


def test_specifications_are_those_of_the_band():
    rows = metrics_table([Measurement(name, band, 1.0, 1) for name in ("PA1", "AM1") for band in ("r", "u")])
    found = {(row["name"], row["band"]): (row["design"], row["minimum"]) for row in rows.to_pylist()}
    assert found == {
        ("PA1", "r"): (5.0, 8.0), ("PA1", "u"): (7.5, 12.0), ("AM1", "r"): (10.0, 20.0), ("AM1", "u"): (10.0, 20.0),
    }  # fmt: skip
    assert all(np.isnan(d.design) for name, d in DEFINITIONS.items() if name not in REQUIREMENTS)


def test_the_text_gives_the_numbers_back():
    table = metrics_table([Measurement("seeing", "r", 0.1 + 0.2, 3, subject="visit 7")])
    names, values = (line.split("\t") for line in tab_separated(table).splitlines())
    row = dict(zip(names, values, strict=True))
    assert float(row["value"]) == 0.1 + 0.2
    assert (row["subject"], row["error"], row["high"]) == ("visit 7", "nan", "inf")
