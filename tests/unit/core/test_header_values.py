"""Header cards as numbers, angles and times: what observatories write is read, what is none of it is refused."""

from datetime import datetime

import erfa
import numpy as np
import pytest

from skyloom.core.header_values import (
    TAI_MINUS_UTC_S,
    UnreadableValueError,
    degrees_of,
    mjd_of_date,
    number_of,
    tai_minus,
)


@pytest.mark.parametrize(("value", "number"), [(3, 3.0), (2.5, 2.5), ("30.0", 30.0), (" -1e3 ", -1000.0)])
def test_numbers_may_stand_in_quotes(value, number):
    assert number_of(value) == number


@pytest.mark.parametrize(
    "value", [True, None, "", "thirty", "NaN", float("inf"), "1_000", 1 + 2j, "1e400", [1]]
)
def test_what_a_person_takes_for_no_number_is_none(value):
    with pytest.raises(UnreadableValueError, match="is not a number"):
        number_of(value)


@pytest.mark.parametrize(
    ("value", "unit", "angle"),
    [
        (132.825, 15, 132.825),
        ("132.825", 15, 132.825),
        ("08:51:18.0", 15, 132.825),
        ("8 51 18", 15, 132.825),
        ("8h51m18.0s", 15, 132.825),
        ("10:30", 15, 157.5),
        ("-00:30:00", 1, -0.5),
        ("+11d48m00s", 1, 11.8),
        ("-11°48'36\"", 1, -11.81),
    ],
)
def test_angles_are_degrees_or_sexagesimal(value, unit, angle):
    assert degrees_of(value, unit) == pytest.approx(angle, abs=1e-12)


@pytest.mark.parametrize(
    "value",
    ["somewhere", "", ":", "12:34:56:07", "12:-3:00", "12:61:00", "12:00:75", "nan:00:00", True, None],
)
def test_what_is_no_angle_is_refused(value):
    with pytest.raises(UnreadableValueError, match="is not a"):
        degrees_of(value, 15)


@pytest.mark.parametrize(
    ("text", "has_zone"),
    [
        ("2026-11-24T03:00:00", False),
        ("2026-11-24 03:00", False),
        ("2026-11-24T03:00:00.000000Z", True),
        ("2026-11-23T20:00:00-0700", True),
        ("2026-11-24T08:30:00+05:30", True),
    ],
)
def test_dates_are_mjd_and_their_zone_counts(text, has_zone):
    assert mjd_of_date(text) == (61368.125, has_zone)
    assert datetime(2026, 11, 24).toordinal() - datetime(1858, 11, 17).toordinal() == 61368


@pytest.mark.parametrize(
    "text", ["2026-11-24", "24/11/26", "2026-13-45T00:00:00", "2026-11-24T25:00", "", "NaN T"]
)
def test_what_is_no_date_with_a_time_is_refused(text):
    with pytest.raises(UnreadableValueError, match="is not a date and time like"):
        mjd_of_date(text)


def test_leap_seconds_are_those_of_erfa():
    for mjd, seconds in TAI_MINUS_UTC_S:
        assert erfa.dat(*erfa.jd2cal(2400000.5, mjd)[:3], 0.0) == tai_minus(mjd, "UTC") == seconds
        if mjd > TAI_MINUS_UTC_S[0][0]:
            assert (
                erfa.dat(*erfa.jd2cal(2400000.5, mjd - 1)[:3], 0.0) == tai_minus(mjd - 1, "UT") == seconds - 1
            )
    assert tai_minus(TAI_MINUS_UTC_S[0][0] - 1, "UTC") == 0
    assert np.isclose(erfa.dat(2026, 11, 25, 0.0), TAI_MINUS_UTC_S[-1][1])


@pytest.mark.parametrize(("scale", "seconds"), [("TAI", 0), ("TT", -32.184), ("TDB", -32.184), ("GPS", 19)])
def test_other_scales_keep_their_distance_from_tai(scale, seconds):
    assert tai_minus(61368.0, scale) == seconds
