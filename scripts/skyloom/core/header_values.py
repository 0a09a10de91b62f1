"""Numbers, dates, angles and time scales as observatories write them into header cards."""

import math
import re
from datetime import UTC, datetime

from skyloom.core.errors import SkyloomError

SECONDS_PER_DAY = 86400.0
MJD_EPOCH = datetime(1858, 11, 17, tzinfo=UTC)
JULIAN_DATE_OF_MJD_0 = 2400000.5
MJD_LIMITS = (15000, 100000)
"""MJD of the years 1899 to 2132: what lies beyond is no time of a CCD frame; a Julian date is 2.4 million."""
LONGEST_EXPOSURE_S = 1e5
"""A longer one is in milliseconds."""

UNIVERSAL_TIMES = ("UTC", "UT", "UT1", "GMT", "UNIVERSAL")
"""UT1 is taken for UTC: less than 0.9 s."""
TT_MINUS_TAI_S, TAI_MINUS_GPS_S = 32.184, 19.0
SECONDS_TO_TAI = {
    **{"TAI": 0.0, "GPS": TAI_MINUS_GPS_S},
    **dict.fromkeys(("TT", "TDT", "TDB"), -TT_MINUS_TAI_S),
}
"""TDB differs from TT by 2 ms at most."""
TIME_SCALES = (*UNIVERSAL_TIMES, *SECONDS_TO_TAI)
TAI_MINUS_UTC_S = (
    *((41317, 10), (41499, 11), (41683, 12), (42048, 13), (42413, 14), (42778, 15), (43144, 16), (43509, 17)),
    *((43874, 18), (44239, 19), (44786, 20), (45151, 21), (45516, 22), (46247, 23), (47161, 24), (47892, 25)),
    *((48257, 26), (48804, 27), (49169, 28), (49534, 29), (50083, 30), (50630, 31), (51179, 32), (53736, 33)),
    *((54832, 34), (56109, 35), (57204, 36), (57754, 37)),
)
"""MJD (UTC) from which on TAI - UTC is so many seconds: IERS, Bulletin C."""


class UnreadableValueError(SkyloomError):
    """A value of a card is not what it should be; the readers of headers say of which card.

    Parameters
    ----------
    value : object
        Of the card.
    needed : str
        What it should be.
    """

    def __init__(self, value, needed):
        super().__init__(f"{value!r} is not {needed}")
        self.value, self.needed = value, needed


def number_of(value):
    """Number in a card, also one in quotes.

    Parameters
    ----------
    value : object
        Of the card.

    Returns
    -------
    float
        Finite.

    Raises
    ------
    UnreadableValueError
        For anything else, also for what Python takes for a number and a person does not (1_000, True).
    """
    try:
        number = math.nan if isinstance(value, bool) or "_" in str(value) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UnreadableValueError(value, "a number")
    return number


def degrees_of(value, degrees_a_unit):
    """Angle in a card [degree].

    Parameters
    ----------
    value : object
        A number of degrees, or text of up to three sexagesimal places: ``12:34:56.7``, ``12 34 56.7``, ``12h34m``.
    degrees_a_unit : float
        Degrees of the first sexagesimal place: 15 for hours.

    Returns
    -------
    float
        Not reduced to a turn.

    Raises
    ------
    UnreadableValueError
        If it is neither.
    """
    if not isinstance(value, str):
        return number_of(value)
    parts = re.split(r"[:\shmd°'\"]+", value.strip().rstrip("hmsd°'\" "))
    if len(parts) == 1:
        return number_of(parts[0])
    places = [abs(number_of(part)) for part in parts]
    has_sign_inside = any(part.startswith(("+", "-")) for part in parts[1:])
    if len(parts) > 3 or has_sign_inside or any(place > 60 for place in places[1:]):
        raise UnreadableValueError(value, "an angle like 12:34:56.7")
    size = degrees_a_unit * sum(place / 60**power for power, place in enumerate(places))
    return -size if parts[0].startswith("-") else size


def mjd_of_date(text):
    """Time in a card of date and time in ISO 8601.

    Parameters
    ----------
    text : str
        ``2026-11-25T03:04:05.6``, with a zone or without.

    Returns
    -------
    mjd : float
        On the scale of the date; where it names a zone, UTC.
    has_zone : bool
        Whether it names one.

    Raises
    ------
    UnreadableValueError
        If it is none, or has no time of day.
    """
    try:
        moment = datetime.fromisoformat(text) if has_time_of_day(text) else None
    except ValueError:
        moment = None
    if moment is None:
        raise UnreadableValueError(text, "a date and time like 2026-11-25T03:04:05")
    has_zone = moment.tzinfo is not None
    if not has_zone:
        moment = moment.replace(tzinfo=UTC)
    return (moment - MJD_EPOCH).total_seconds() / SECONDS_PER_DAY, has_zone


def has_time_of_day(text):
    """Whether a date goes on with a time.

    Parameters
    ----------
    text : str
        An ISO date.

    Returns
    -------
    bool
        True for ``2026-11-25T03:04``, False for ``2026-11-25``.
    """
    return "T" in text or " " in text


def tai_minus(mjd, scale):
    """Seconds by which TAI is ahead of a time scale.

    Parameters
    ----------
    mjd : float
        Time on that scale [d].
    scale : str
        One of `TIME_SCALES`.

    Returns
    -------
    float
        [s]; 0 for UTC before 1972, when its seconds had other lengths.

    Raises
    ------
    KeyError
        If there is no such scale.
    """
    if scale in UNIVERSAL_TIMES:
        return float(next((seconds for start, seconds in reversed(TAI_MINUS_UTC_S) if mjd >= start), 0))
    return SECONDS_TO_TAI[scale]
