"""What a frame's header says of its exposure, against what the visit table says: the table is believed, not blindly.

A contradiction that would spoil the science (another band, exposure time, night hour, or a visit table in hours of
right ascension) is an error; a header that only cannot be read, or points elsewhere, is a warning in the job's log.
"""

import logging

import numpy as np

from skyloom.core.camera import band_named
from skyloom.core.errors import DataError
from skyloom.core.header_values import (
    JULIAN_DATE_OF_MJD_0,
    SECONDS_PER_DAY,
    TAI_MINUS_UTC_S,
    TIME_SCALES,
    TT_MINUS_TAI_S,
    UnreadableValueError,
    degrees_of,
    has_time_of_day,
    mjd_of_date,
    number_of,
    tai_minus,
)

log = logging.getLogger(__name__)

TIME_ZONE_STEP_S, TIME_ZONE_SLACK_S, LARGEST_TIME_ZONE_S = 900.0, 90.0, 14 * 3600.0
WORTH_A_WARNING_S = 5.0
"""A difference of times that no clock of an observatory makes: its shutter and software take less."""

WORTH_A_WARNING_WITHOUT_SCALE_S = 75.0
"""Where the header names no time scale, the 37 s between UTC and TAI (69 s between UTC and TT) prove nothing."""

POINTING_SIGMAS, LEAST_POINTING_DEG = 3.0, 0.1
DEGREES_PER_HOUR, HOURS = 15.0, 24.0


class WrongExposureTimeError(DataError):
    """The frame was exposed for another time than the table says.

    Parameters
    ----------
    found, expected : float
        Exposure time of the frame's header, and of the table of visits or calibration frames [s].
    """

    def __init__(self, found, expected):
        super().__init__(
            f"the header says {found:g} s, the table {expected:g} s: is it the frame that the table's row means?"
        )
        self.found, self.expected = found, expected


class WrongBandError(DataError):
    """The frame was taken through another filter than the table says.

    Parameters
    ----------
    found, expected : str
        Band of the frame's header, and of the table of visits or calibration frames.
    """

    def __init__(self, found, expected):
        super().__init__(
            f"the header's filter is {found}, the table's {expected}: is it the frame that the table's row means?"
        )
        self.found, self.expected = found, expected


class WrongTimeError(DataError):
    """The frame was begun at another time than the table says.

    Parameters
    ----------
    name : str
        Quantity of the camera's header map that was compared.
    found, expected : float
        Beginning of the exposure by the header, and by the table of visits or calibration frames [MJD TAI].
    tolerance : float
        Largest difference that is accepted [s].
    """

    def __init__(self, name, found, expected, tolerance):
        difference = (found - expected) * SECONDS_PER_DAY
        super().__init__(
            f"the header's {name} is MJD {found:.10g} (TAI), {difference:.0f} s from the table's "
            f"{expected:.5f}, may differ by {tolerance:g} s: {_cause_of_time(found, expected)}"
        )
        self.name, self.found, self.expected, self.tolerance = name, found, expected, tolerance


class WrongPointingError(DataError):
    """The visit table's right ascension is in hours, as the header shows.

    Parameters
    ----------
    found, expected : float
        Right ascension of the header, and of the visit table [degree].
    """

    def __init__(self, found, expected):
        super().__init__(
            f"the header's right ascension is {found:.4f} degrees, the visit table's {expected:.4f} is a fifteenth "
            "of it: is the table's column ra in hours? It must be in degrees"
        )
        self.found, self.expected = found, expected


def check_circumstances(header, info, camera, settings):
    """Compare what a frame's header says of its exposure with the visit table.

    Parameters
    ----------
    header : dict
        Of a `RawFrame`: quantities by the names of the camera's header map. What a header lacks is not checked.
    info : ExposureInfo
        From the visit table.
    camera : Camera
        Its bands and ``raw.filters``. A filter's name that is none of them cannot be compared.
    settings : dict
        Section ``isr``: ``exposure_time_tolerance``, ``time_tolerance``.

    Raises
    ------
    WrongExposureTimeError, WrongBandError, WrongTimeError, WrongPointingError
        If header and table cannot both be right, and the science would be spoilt.
    """
    check_exposure_time(header, info.exposure_time, settings["exposure_time_tolerance"])
    _check_band(header, info.band, camera)
    _check_time(header, info.mjd, info.exposure_time, settings)
    _check_pointing(header, info)


def check_calibration_frame(header, row, camera, settings):
    """Compare what the header of a dark or flat says with the table of calibration frames.

    Parameters
    ----------
    header : dict
        Of a `RawFrame`. What it lacks is not checked.
    row : dict
        Row of the table of calibration frames.
    camera : Camera
        Its bands and ``raw.filters``.
    settings : dict
        Section ``isr``, as for `check_circumstances`.

    Raises
    ------
    WrongExposureTimeError, WrongBandError, WrongTimeError
        If the frame is not the one that the row means: a flat of another filter, a frame of another epoch.
    """
    check_exposure_time(header, row["exposure_time"], settings["exposure_time_tolerance"])
    if row["kind"] == "flat":
        _check_band(header, row["band"], camera)
    _check_time(header, row["mjd"], row["exposure_time"], settings)


def _check_band(header, expected, camera):
    """Raise when the header's filter is one of the camera's, but not the table's."""
    band = band_named(str(header.get("band", "")), camera.bands, camera.raw.filters)
    if band not in (None, expected):
        raise WrongBandError(band, expected)


def check_exposure_time(header, expected, tolerance):
    """Compare the exposure time of a frame's header with its table's.

    Parameters
    ----------
    header : dict
        Of a `RawFrame`.
    expected : float
        From the table of visits or calibration frames [s].
    tolerance : float
        Largest difference, relative to the larger of `expected` and 1 s.

    Raises
    ------
    WrongExposureTimeError
        If they differ.
    """
    found = _number(header, "exposure_time")
    if found is not None and abs(found - expected) > tolerance * max(expected, 1.0):
        raise WrongExposureTimeError(found, expected)


def _number(header, name):
    """Finite number (float) of a header, also one in quotes; None, with a warning, for anything else."""
    return _value(header, name, number_of, "a number")


def _value(header, name, read, needed):
    """What a function reads from a value of the header; None where it is missing or, with a warning, unreadable."""
    value = header.get(name)
    if value is None:
        return None
    try:
        return read(value)
    except UnreadableValueError:
        _warn_unreadable(name, value, needed)
        return None


def _warn_unreadable(name, value, needed):
    """Say in the log that a value of the header is not compared."""
    log.warning(
        "the header's %s is %.60r, must be %s: the visit table is taken as it is; see raw.header of the camera file",
        *(name, value, needed),
    )


def _check_time(header, mjd_mid, exposure_time, settings):
    """Raise when no time of the header is near the table's; warn of each that is off by less, or alone."""
    tolerance = max(settings["time_tolerance"], exposure_time)
    expected = mjd_mid - 0.5 * exposure_time / SECONDS_PER_DAY
    scale = str(header.get("time_scale", header.get("TIMESYS", ""))).strip().upper()
    found = _beginnings(header, scale, exposure_time)
    off = {name: abs(mjd - expected) * SECONDS_PER_DAY for name, mjd in found.items()}
    if not off:
        return
    nearest = min(off, key=off.get)
    if off[nearest] > tolerance:
        raise WrongTimeError(nearest, found[nearest], expected, tolerance)
    limit = WORTH_A_WARNING_S if scale else WORTH_A_WARNING_WITHOUT_SCALE_S
    for name in (name for name, difference in off.items() if difference > limit):
        log.warning(
            "the header's %s (%s) is MJD %.10g (TAI), %.1f s from the table's %.5f: %s",
            *(name, scale or "no TIMESYS", found[name], (found[name] - expected) * SECONDS_PER_DAY, expected),
            _cause_of_time(found[name], expected, exposure_time),
        )


def _beginnings(header, scale, exposure_time):
    """Beginning of the exposure [MJD TAI] by each of the header's times (dict of str to float)."""
    found = {}
    for moment, shift_s in (("begin", 0.0), ("mid", -0.5 * exposure_time)):
        mjd, julian_date = _number(header, f"mjd_{moment}"), _number(header, f"jd_{moment}")
        times = {f"mjd_{moment}": None if mjd is None else _to_tai(mjd, scale)}
        if julian_date is not None:
            times[f"jd_{moment}"] = _to_tai(julian_date - JULIAN_DATE_OF_MJD_0, scale)
        times[f"date_{moment}"] = _date(header, f"date_{moment}", scale)
        found |= {name: time + shift_s / SECONDS_PER_DAY for name, time in times.items() if time is not None}
    return found


def _date(header, name, scale):
    """Time [MJD TAI] of a date of the header in ISO 8601, UTC when it names a zone; None, with a warning, otherwise."""

    def read(value):
        text = str(value).strip()
        if name == "date_begin" and not has_time_of_day(text):
            text = f"{text}T{header.get('time_begin', '')}"
        mjd, has_zone = mjd_of_date(text)
        return _to_tai(mjd, "UTC" if has_zone else scale)

    return _value(header, name, read, "a date and time like 2026-11-25T03:04:05")


def _to_tai(mjd, scale):
    """Time of a header in TAI [MJD]; a scale without a name, or with an unknown one, counts as TAI."""
    return mjd + tai_minus(mjd, scale if scale in TIME_SCALES else "TAI") / SECONDS_PER_DAY


def _cause_of_time(found, expected, exposure_time=0.0):
    """What may have made two times differ, as a question."""
    if abs(found - JULIAN_DATE_OF_MJD_0 - expected) < 1:
        return "is it a Julian date? In the camera's header map that is a `jd_`, not an `mjd_`"
    seconds = abs(found - expected) * SECONDS_PER_DAY
    steps = round(min(seconds, LARGEST_TIME_ZONE_S) / TIME_ZONE_STEP_S)
    if (
        steps
        and abs(seconds - steps * TIME_ZONE_STEP_S) < TIME_ZONE_SLACK_S
        and seconds <= LARGEST_TIME_ZONE_S
    ):
        return f"is the header's or the table's time local, {steps / 4:g} h from TAI?"
    if exposure_time and abs(seconds - 0.5 * exposure_time) < 1:
        return "is the table's mjd, or the header's, not the middle, or the beginning, of the exposure?"
    if any(abs(seconds - offset) < 1 for offset in (TT_MINUS_TAI_S, TAI_MINUS_UTC_S[-1][1])):
        return "is one of them UTC or TT, and not the TAI that it is said to be?"
    return "is it the frame of this visit?"


def _check_pointing(header, info):
    """Warn when the header points elsewhere; raise when it shows that the visit table is in hours."""
    hours = _number(header, "ra_hours")
    ra = _angle(header, "ra", DEGREES_PER_HOUR) if hours is None else DEGREES_PER_HOUR * hours
    dec = _angle(header, "dec", 1.0)
    if ra is None or dec is None:
        return
    near = max(POINTING_SIGMAS * info.pointing_uncertainty / 3600, LEAST_POINTING_DEG)
    distance = _separation(ra, dec, info.ra, info.dec)
    if not distance > near:
        return
    if info.ra < HOURS and _separation(ra, dec, DEGREES_PER_HOUR * info.ra, info.dec) < near:
        raise WrongPointingError(ra, info.ra)
    cause = "is it the frame of this visit?"
    if _separation(DEGREES_PER_HOUR * ra, dec, info.ra, info.dec) < near:
        cause = "is the header's right ascension in hours?"
    log.warning(
        "the header points to ra %.4f, dec %.4f degrees, %.2f degrees from the visit table's %.4f, %.4f: %s",
        *(ra, dec, distance, info.ra, info.dec, cause),
    )


def _angle(header, name, degrees_a_unit):
    """Angle of a header [degree]; sexagesimal text is in units of so many degrees. None where it has none."""
    return _value(
        header, name, lambda value: degrees_of(value, degrees_a_unit), "a number or an angle like 12:34:56.7"
    )


def _separation(ra1, dec1, ra2, dec2):
    """Angle between two directions, all in degrees."""
    a1, d1, a2, d2 = np.radians([ra1 % 360, dec1, ra2 % 360, dec2])
    cosine = np.sin(d1) * np.sin(d2) + np.cos(d1) * np.cos(d2) * np.cos(a1 - a2)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
