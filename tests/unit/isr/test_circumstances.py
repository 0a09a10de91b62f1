"""Headers against the visit table: what would spoil the science is named, other contradictions are warnings."""

import logging
from dataclasses import replace
from types import SimpleNamespace

import pytest

from skyloom.core.images import ExposureInfo
from skyloom.isr.circumstances import (
    WrongBandError,
    WrongExposureTimeError,
    WrongPointingError,
    WrongTimeError,
    check_circumstances,
    check_exposure_time,
)

SETTINGS = {"exposure_time_tolerance": 0.02, "time_tolerance": 600}
CAMERA = SimpleNamespace(bands=("g", "r"), raw=SimpleNamespace(filters={"G.MP9401": "g", "open": "r"}))
INFO = ExposureInfo(
    **{"visit": 7, "detector": 1, "band": "r", "mjd": 61354.2, "exposure_time": 30.0},
    **{"ra": 150.0, "dec": 2.2, "pointing_uncertainty": 60.0},
)
SECOND = 1 / 86400
BEGIN = 61354.2 - 15 * SECOND
# 15 s before 04:48 on 2026-11-10.
DATE = "2026-11-10T04:47:45.000"
GOOD = {
    **{"exposure_time": 30.0, "band": "r", "mjd_begin": BEGIN, "date_begin": DATE, "TIMESYS": "TAI"},
    **{"ra": 150.001, "dec": 2.2},
}


def messages(caplog, header, info=INFO):
    """Warnings of one header."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        check_circumstances(header, info, CAMERA, SETTINGS)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"exposure_time": "30.0"},
        {"exposure_time": 30},
        {"band": "r.MP9602"},
        {"band": 5},
        {"band": "open"},
        {"band": "R"},
        {"ra": "10:00:00.24", "dec": "+02:12:00"},
        {"ra": "10 00 00", "dec": "02 12 00.5"},
        {"ra": "10h00m00s", "dec": "+2d12m"},
        {"ra": None, "ra_hours": 10.0},
        {"mjd_begin": None, "date_begin": None, "mjd_mid": INFO.mjd, "date_mid": "2026-11-10T04:48:00"},
        {"date_begin": "2026-11-10", "time_begin": "04:47:45"},
        {"mjd_begin": BEGIN - 37 * SECOND, "date_begin": "2026-11-10T04:47:08Z", "TIMESYS": "UTC"},
        {"mjd_begin": BEGIN + 32.184 * SECOND, "date_begin": "2026-11-10T04:48:17.184", "TIMESYS": "TT"},
        {"mjd_begin": BEGIN - 19 * SECOND, "date_begin": "2026-11-10T04:47:26", "TIMESYS": "GPS"},
        {"mjd_begin": BEGIN - 37 * SECOND, "date_begin": "2026-11-10T04:47", "TIMESYS": ""},
        {"mjd_begin": BEGIN - 37 * SECOND, "date_begin": "2026-11-10T04:47:08", "time_scale": "utc"},
        {"date_begin": "2026-11-09T21:47:08.000-0700"},
        {"date_begin": "2026-11-10T10:17:08+05:30"},
    ],
    ids=str,
)
def test_headers_that_agree_in_their_own_way_are_taken_in_silence(caplog, change):
    assert messages(caplog, GOOD | change) == []


def test_what_a_header_lacks_is_not_checked(caplog):
    assert messages(caplog, {}) == []
    assert messages(caplog, {"ra": 3.0, "EXPTIME": 99, "FILTER": "g"}) == []


@pytest.mark.parametrize("value", [15.0, -30.0, 0, "15", 1e300])
def test_another_exposure_time_is_named(value):
    with pytest.raises(WrongExposureTimeError, match="header says .* s, the table 30 s"):
        check_circumstances(GOOD | {"exposure_time": value}, INFO, CAMERA, SETTINGS)
    with pytest.raises(WrongExposureTimeError, match="header says"):
        check_exposure_time({"exposure_time": value}, 300.0, 0.02)


def test_a_filter_of_the_camera_that_is_not_the_table_s_is_named():
    with pytest.raises(WrongBandError, match="header's filter is g, the table's r"):
        check_circumstances(GOOD | {"band": "g"}, INFO, CAMERA, SETTINGS)
    with pytest.raises(WrongBandError, match="header's filter is g, the table's r"):
        check_circumstances(GOOD | {"band": "G.MP9401"}, INFO, CAMERA, SETTINGS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("exposure_time", value) for value in ("NaN", float("nan"), float("inf"), "thirty", "", True)],
        *[("mjd_begin", value) for value in ("-Infinity", "2026-11-10", False)],
        *[
            ("date_begin", value)
            for value in (
                "NaN",
                5,
                "2026-13-45T00:00:00",
                "10/11/26",
                "2026-11-10",
                "2026-11-10T04:47-7",
                "2026-11-10T25:00",
            )
        ],
        *[("ra", value) for value in ("NaN", "10:61", "somewhere", True)],
        ("dec", "nan"),
    ],
)
def test_what_is_no_value_is_a_warning_that_names_it(caplog, name, value):
    (message,) = messages(caplog, GOOD | {name: value})
    assert message.startswith(f"the header's {name} is {value!r}, must be a ")
    assert message.endswith("the visit table is taken as it is; see raw.header of the camera file")


@pytest.mark.parametrize(
    ("shift_s", "cause"),
    [
        (-7 * 3600, "is the header's or the table's time local, 7 h from TAI?"),
        (5.75 * 3600, "local, 5.75 h from TAI"),
        (-9 * 3600 - 37, "local, 9 h from TAI"),
        (2400000.5 * 86400, "is it a Julian date"),
        (86400 * 3 + 1000, "is it the frame of this visit?"),
        (700, "is it the frame of this visit?"),
    ],
)
def test_a_time_that_is_far_off_is_named_with_its_likely_cause(shift_s, cause):
    header = {"mjd_begin": BEGIN + shift_s * SECOND}
    with pytest.raises(WrongTimeError, match="may differ by 600 s") as caught:
        check_circumstances(header, INFO, CAMERA, SETTINGS)
    assert cause in str(caught.value)
    assert f"{shift_s:.0f} s from the table's 61354.19983" in str(caught.value)


def test_a_julian_date_counts_where_the_map_says_that_it_is_one(caplog):
    julian_date = BEGIN + 2400000.5
    assert messages(caplog, GOOD | {"jd_begin": julian_date}) == []
    with pytest.raises(WrongTimeError, match=r"header's jd_begin is MJD .* 700 s from"):
        check_circumstances({"jd_begin": julian_date + 700 * SECOND}, INFO, CAMERA, SETTINGS)


@pytest.mark.parametrize("mjd", [-1e308, 1e308, 0, -1])
def test_a_time_beyond_all_calendars_is_named(caplog, mjd):
    with pytest.raises(WrongTimeError, match="header's mjd_begin is MJD .* is it the frame of this visit"):
        check_circumstances({"mjd_begin": mjd}, INFO, CAMERA, SETTINGS)
    (message,) = messages(caplog, GOOD | {"mjd_begin": mjd})
    assert "is it the frame of this visit?" in message


@pytest.mark.parametrize(
    "header",
    [
        {"mjd_mid": INFO.mjd - 0.25},
        {"date_mid": "2026-11-09T22:48:00"},
        {"date_begin": "2026-11-09T22:47:45"},
    ],
    ids=str,
)
def test_each_time_that_a_camera_file_maps_is_compared(header):
    with pytest.raises(WrongTimeError, match=f"header's {next(iter(header))} .* local, 6 h from TAI"):
        check_circumstances(header, INFO, CAMERA, SETTINGS)


def test_local_time_in_the_date_alone_is_an_error_and_beside_a_right_mjd_a_warning(caplog):
    local = "2026-11-09T21:47:45"
    header = {name: value for name, value in GOOD.items() if name != "mjd_begin"} | {"date_begin": local}
    with pytest.raises(WrongTimeError, match="header's date_begin .* local, 7 h from TAI"):
        check_circumstances(header, INFO, CAMERA, SETTINGS)
    (message,) = messages(caplog, GOOD | {"date_begin": local})
    assert "the header's date_begin (TAI)" in message
    assert "local, 7 h from TAI" in message


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"TIMESYS": "UTC"}, "is one of them UTC or TT"),
        ({"TIMESYS": "TT"}, "is one of them UTC or TT"),
        ({"mjd_begin": BEGIN - 37 * SECOND, "date_begin": None}, "is one of them UTC or TT"),
        ({"mjd_begin": BEGIN + 15 * SECOND, "date_begin": None}, "not the middle, or the beginning"),
        ({"mjd_begin": BEGIN + 100 * SECOND, "date_begin": None, "TIMESYS": None}, "is it the frame"),
    ],
    ids=str,
)
def test_a_time_of_another_scale_is_a_warning(caplog, change, cause):
    found = messages(caplog, GOOD | change)
    assert found
    assert all(cause in message for message in found)


def test_a_long_exposure_may_begin_within_its_own_length():
    info = replace(INFO, exposure_time=3600.0)
    check_circumstances({"mjd_begin": info.mjd}, info, CAMERA, SETTINGS)
    with pytest.raises(WrongTimeError, match="may differ by 3600 s"):
        check_circumstances({"mjd_begin": info.mjd + 0.1}, info, CAMERA, SETTINGS)


def test_a_header_in_hours_is_a_warning_and_a_table_in_hours_an_error(caplog):
    (message,) = messages(caplog, GOOD | {"ra": 10.0})
    assert "140.00" not in message
    assert "is the header's right ascension in hours?" in message
    with pytest.raises(WrongPointingError, match=r"table's 10.0000 is a fifteenth of it: .* in hours\?"):
        check_circumstances(GOOD, replace(INFO, ra=10.0), CAMERA, SETTINGS)


def test_a_header_that_points_elsewhere_is_a_warning(caplog):
    # 15 * 150 degrees are 90 once round: no table in hours says 150.
    (message,) = messages(caplog, GOOD | {"ra": 90.0, "dec": -10.0})
    assert "the header points to ra 90.0000, dec -10.0000 degrees" in message
    assert "is it the frame of this visit?" in message
    assert messages(caplog, GOOD | {"ra": 90.0, "dec": -10.0}, replace(INFO, pointing_uncertainty=3e5)) == []
