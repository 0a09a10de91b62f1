"""Numbers of visits, nights and losses that can be counted by hand."""

import numpy as np
import pytest
from report_parts import summary_of, values_of

from skyloom.report.ellipticity import PSF_SHAPE
from skyloom.report.visits import gather_losses, gather_visits, night_numbers
from skyloom.workflow.survival import FAILURES

SHAPES = PSF_SHAPE.table(
    {"visit": [1, 1, 2], "detector": [0, 1, 0], "xi": [0, 1, 0], "eta": [0, 0, 0], "e1": [0.03, 0.0, 0.0],
     "e2": [0.04, 0.07, 0.2]}
)  # fmt: skip


@pytest.fixture
def measured():
    summary = summary_of(
        visit=[1, 1, 2, 3],
        detector=[0, 1, 0, 0],
        band=["r", "r", "g", "r"],
        status=["OK", "OK", "OK", "FAILED"],
        expMidptMJD=[61000.0, 61000.0, 61000.001, 61001.0],
        expTime=[30.0, 30.0, 30.0, 30.0],
        airmass=[1.2, 1.2, 1.1, 1.5],
        seeing=[0.8, 1.0, 0.7, np.nan],
        magLim=[24.0, 24.2, 25.0, np.nan],
        zeroPoint=[28.0, 28.2, 27.0, np.nan],
        zeroPointErr=[0.01, 0.01, 0.02, np.nan],
        skyBg=[400.0, 400.0, 40.0, np.nan],
        pixelScale=[0.2, 0.2, 0.2, np.nan],
        astromRmsRa=[0.003, 0.004, 0.005, np.nan],
        astromRmsDec=[0.004, 0.003, 0.005, np.nan],
        psfStarDeltaE1Median=[0.003, 0.0, 0.0, np.nan],
        psfStarDeltaE2Median=[0.004, 0.001, 0.002, np.nan],
    )
    return gather_visits(summary, ["g", "r"], SHAPES)


def test_detectors_are_counted_by_visit(measured):
    assert values_of(measured, "survey")["n_visit"] == 3
    assert values_of(measured, "survey")["n_failed"] == 1
    assert values_of(measured, "visit 1")["n_detector"] == 2
    assert values_of(measured, "visit 3")["n_failed"] == 1


def test_a_visit_has_the_median_of_its_good_detectors(measured):
    first = values_of(measured, "visit 1")
    assert first["seeing"] == pytest.approx(0.9)
    assert first["depth"] == pytest.approx(24.1)
    assert first["zero_point"] == pytest.approx(28.1, abs=1e-5)
    # 400 nJy in 0.04 square arcsec are 1e4 nJy: 31.4 - 10.
    assert first["sky"] == pytest.approx(21.4, abs=1e-5)
    # The root of (3^2 + 4^2) / 2, of both detectors.
    assert first["wcs_scatter"] == pytest.approx(np.sqrt(12.5))
    assert first["psf_residual"] == pytest.approx((0.005 + 0.001) / 2)
    assert first["psf_ellipticity"] == pytest.approx((0.05 + 0.07) / 2)
    assert np.isnan(values_of(measured, "visit 3")["seeing"])


def test_the_error_of_a_zero_point_is_that_of_the_fits(measured):
    (error,) = [m.error for m in measured if (m.subject, m.name) == ("visit 1", "zero_point")]
    assert error == pytest.approx(0.01 / np.sqrt(2))


def test_gaps_are_from_end_to_begin_within_a_night(measured):
    # 86.4 s between the middles less half of both exposures; the third visit is of the next night.
    whole = values_of(measured, "survey")
    assert whole["gap_median"] == pytest.approx(56.4, abs=1e-3)
    assert whole["gap_longest"] == pytest.approx(56.4, abs=1e-3)


def test_a_night_ends_with_a_long_gap():
    assert night_numbers(np.array([1.0, 1.1, 1.5, 1.6, 9.0])).tolist() == [0, 0, 1, 1, 2]
    assert night_numbers(np.empty(0)).tolist() == []


def test_losses_are_counted_by_step_and_reason():
    failures = FAILURES.table(
        {"step": ["a", "a", "b"], "visit": [1, 2, 3], "detector": [0, 0, 0], "reason": ["X", "X", "Y"],
         "message": ["", "", ""]}
    )  # fmt: skip
    measured = gather_losses(failures, {"survived": 7})
    assert values_of(measured, "survey") == {"n_survived": 7}
    assert values_of(measured, "reason a/X") == {"n_lost": 2}
    assert values_of(measured, "reason b/Y") == {"n_lost": 1}
