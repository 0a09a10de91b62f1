"""What the header cards of a raw frame say: its class, filter, time and pointing, and which card said it."""

import re
from dataclasses import dataclass, field

from skyloom.core.camera import band_named
from skyloom.core.errors import DataError
from skyloom.core.header_values import (
    JULIAN_DATE_OF_MJD_0,
    LONGEST_EXPOSURE_S,
    MJD_LIMITS,
    SECONDS_PER_DAY,
    TIME_SCALES,
    UnreadableValueError,
    degrees_of,
    has_time_of_day,
    mjd_of_date,
    number_of,
    tai_minus,
)

USUAL_CARDS = {
    "exposure_name": ("OBSID", "EXPID"),
    "exposure_time": ("EXPTIME", "EXPOSURE", "EXP_TIME", "ITIME"),
    "image_type": (
        "IMAGETYP",
        "IMGTYPE",
        "OBSTYPE",
        "OBS_TYPE",
        "FRAMETYP",
        "VIMTYPE",
        "FLAVOR",
        "ESO DPR TYPE",
    ),
    "object": ("OBJECT", "TARGET", "TARGNAME"),
    "band": ("FILTER", "FILTER1", "FILTNAME", "FILTNAM", "INSFLNAM", "ESO INS FILT1 NAME"),
    "mjd_mid": ("MJD-AVG",),
    "mjd_begin": ("MJD-OBS", "MJD-BEG", "MJDSTART"),
    "date_begin": ("DATE-OBS", "DATE-BEG"),
    "time_begin": ("TIME-OBS", "UTC-OBS", "UT", "UTSTART", "UTC"),
    "ra": ("RA", "OBJCTRA", "TELRA", "CRVAL1"),
    "dec": ("DEC", "OBJCTDEC", "TELDEC", "CRVAL2"),
    "airmass": ("AIRMASS", "SECZ"),
    "detector": ("DETECTOR", "CCDNUM", "DETNUM", "CHIPNUM", "DETNAME", "CCDNAME"),
    "time_scale": ("TIMESYS",),
}
"""Keywords that are tried, in this order, for a quantity that the camera file maps to none."""

TIME_QUANTITIES = ("mjd_mid", "date_mid", "jd_mid", "mjd_begin", "date_begin", "jd_begin")
TRANSLATED_TIME = "mjd_begin_tai"
WORDS = {
    "bias": ("bias", "zero", "offset"),
    "dark": ("dark",),
    "flat": ("flat", "dflat", "sflat", "domeflat", "skyflat", "flatfield", "twilight", "dome"),
    "science": ("science", "object", "light", "sky", "target", "skyexp", "standard", "std"),
    "other": ("focus", "test", "pointing", "acquisition", "acq", "arc", "comp", "lamp", "align", "junk"),
}


class UnclearCardError(DataError):
    """A header lacks something that a table needs, or holds it in an unknown form.

    Parameters
    ----------
    detail : str
        What was found, what is needed, what to look at.
    """

    def __init__(self, detail):
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Cards:
    """Header of one frame with the camera's map of keywords.

    Attributes
    ----------
    values : dict
        Cards of the primary header, and of the first image's, by keyword.
    layout : RawLayout
        The camera's keyword map.
    translated : dict
        What a header translator says of quantities that the camera file does not map.
    """

    values: dict
    layout: object
    translated: dict = field(default_factory=dict)

    def find(self, quantity):
        """Keyword and value of a quantity.

        Parameters
        ----------
        quantity : str
            A key of the camera file's raw.header.

        Returns
        -------
        keyword : str
            The card that holds it; all that were tried when none does.
        value : str, int, float, bool or None
            What the card says; None when there is none.
        """
        mapped = self.layout.header.get(quantity)
        if mapped is None and quantity in self.translated:
            return "translator", self.translated[quantity]
        tried = (mapped,) if mapped else USUAL_CARDS.get(quantity, ())
        for keyword in tried:
            value = self.values.get(keyword)
            if value is not None and value != "":
                return keyword, value.strip() if isinstance(value, str) else value
        return ", ".join(tried), None


def frame_class(cards):
    """Class of a frame.

    Parameters
    ----------
    cards : Cards
        Its header.

    Returns
    -------
    kind : str
        One of `skyloom.core.camera.FRAME_CLASSES`.
    because : str
        The card that decided it, or why none did.

    Notes
    -----
    The card of the frame's type counts, by the camera file's `image_types` or else by common words; without such
    a card a calibration frame's name in OBJECT, and else the exposure time: a named object with light is science.
    """
    keyword, value = cards.find("image_type")
    if value is not None:
        own = {key.lower(): kind for key, kind in cards.layout.image_types.items()}
        kind = own.get(str(value).lower()) or _kind_of_words(value)
        if kind:
            return kind, f"{keyword} = {value}"
        return "other", f"{keyword} = {value} is no known type: name it in the camera file's raw.image_types"
    name, target = cards.find("object")
    kind = _kind_of_words(target) if target is not None else None
    if kind in ("bias", "dark", "flat"):
        return kind, f"{name} = {target}"
    keyword, seconds = cards.find("exposure_time")
    if seconds is not None and number(seconds, keyword) == 0:
        return "bias", f"{keyword} = {seconds}"
    if target is not None and seconds is not None:
        return "science", f"{name} = {target}"
    return "other", "no card tells its type or object: name one as image_type in the camera file's raw.header"


def _kind_of_words(text):
    """Class that the words of a text stand for; None for words that say nothing."""
    words = re.split(r"[^a-z]+", str(text).lower())
    for kind in ("bias", "dark", "flat", "other", "science"):
        if any(word in WORDS[kind] for word in words):
            return kind
    return None


def band_of(cards, bands):
    """Band of a frame, and the card that says it (str, str).

    Parameters
    ----------
    cards : Cards
        Its header.
    bands : sequence of str
        Bands of the camera.

    Raises
    ------
    UnclearCardError
        If the card is missing or says none of the camera's bands.
    """
    keyword, value = cards.find("band")
    if value is None:
        if len(bands) == 1:
            return bands[0], "the camera's only band"
        raise UnclearCardError(f"no filter card ({keyword}) while the camera has {', '.join(bands)}")
    text = str(value)
    band = band_named(text, bands, cards.layout.filters)
    if band is not None:
        return band, f"{keyword} = {text}"
    raise UnclearCardError(
        f"{keyword} = {text} is none of the bands {', '.join(bands)}: name it in the camera file's raw.filters"
    )


def exposure_time_of(cards, kind):
    """Exposure time of a frame.

    Parameters
    ----------
    cards : Cards
        Its header.
    kind : str
        Kind of frame.

    Returns
    -------
    float
        Time [s]; 0 for a bias without the card.

    Raises
    ------
    UnclearCardError
        If the card is missing or says no exposure time.
    """
    keyword, value = cards.find("exposure_time")
    if value is None and kind == "bias":
        return 0.0
    if value is None:
        raise UnclearCardError(
            f"no exposure time ({keyword}): map exposure_time in the camera file's raw.header"
        )
    seconds = number(value, keyword)
    if not 0 <= seconds <= LONGEST_EXPOSURE_S:
        raise UnclearCardError(
            f"{keyword} = {value} is no exposure time from 0 to {LONGEST_EXPOSURE_S:.0f} s"
        )
    return seconds


def number(value, keyword):
    """Value of a card as a number; text that holds a number counts.

    Parameters
    ----------
    value : object
        What the card says.
    keyword : str
        Its name, for the message.

    Returns
    -------
    float
        A finite number.

    Raises
    ------
    UnclearCardError
        If it is none.
    """
    try:
        return number_of(value)
    except UnreadableValueError as error:
        raise UnclearCardError(f"{keyword} is {value!r}, needs a number") from error


def middle_of(cards, exposure_time):
    """Middle of the exposure.

    Parameters
    ----------
    cards : Cards
        Header. Of `TIME_QUANTITIES` the first that the camera file maps counts, or else the first whose usual
        card is there.
    exposure_time : float
        [s]; half of it is added to a beginning.

    Returns
    -------
    float
        MJD TAI.

    Raises
    ------
    UnclearCardError
        If no card holds a time, or one in an unknown form or scale, or of no year of CCDs.
    """
    mapped = [quantity for quantity in TIME_QUANTITIES if quantity in cards.layout.header]
    if not mapped and TRANSLATED_TIME in cards.translated:
        begin = cards.translated[TRANSLATED_TIME]
        _check_mjd(begin, "the translator's time")
        return begin + 0.5 * exposure_time / SECONDS_PER_DAY
    tried = []
    for quantity in mapped or TIME_QUANTITIES:
        keyword, value = cards.find(quantity)
        if value is None:
            tried.append(keyword)
            continue
        _, scale = cards.find("time_scale")
        scale = str(scale or "UTC").upper()
        if quantity.startswith("date"):
            mjd, scale = _mjd_of_date(cards, keyword, str(value), scale)
        else:
            mjd = number(value, keyword) - (JULIAN_DATE_OF_MJD_0 if quantity.startswith("jd") else 0.0)
        half = 0.0 if quantity.endswith("mid") else 0.5 * exposure_time
        _check_mjd(mjd, f"{keyword} = {value}")
        return to_tai(mjd, scale) + half / SECONDS_PER_DAY
    names = ", ".join(name for name in tried if name)
    raise UnclearCardError(
        f"no time ({names}): map mjd_begin, date_begin or jd_begin in the camera file's raw.header"
    )


def _check_mjd(mjd, found):
    """Raise for a time that the tables do not take; a Julian date is told apart."""
    low, high = MJD_LIMITS
    if not low <= mjd <= high:
        raise UnclearCardError(
            f"{found} is MJD {mjd:g}, needs {low} to {high}: is it a Julian date (map jd_mid or jd_begin in the "
            "camera file's raw.header), or counted from another day?"
        )


def _mjd_of_date(cards, keyword, text, scale):
    """MJD and time scale of a date; one without a time takes it from a card of its own."""
    if not has_time_of_day(text):
        name, time = cards.find("time_begin")
        if time is None:
            raise UnclearCardError(
                f"{keyword} = {text} has no time of day, and there is no {name}: map time_begin"
            )
        text = f"{text}T{time}"
    try:
        mjd, has_zone = mjd_of_date(text)
    except UnreadableValueError as error:
        raise UnclearCardError(f"{keyword} = {text} is no date like 2026-11-24T05:06:07.8") from error
    return mjd, "UTC" if has_zone else scale


def to_tai(mjd, scale):
    """Time on the TAI scale.

    Parameters
    ----------
    mjd : float
        Time on its own scale [MJD].
    scale : str
        The scale, one of `TIME_SCALES`.

    Returns
    -------
    float
        The same moment [MJD TAI].

    Raises
    ------
    UnclearCardError
        If there is no such scale.
    """
    if scale not in TIME_SCALES:
        raise UnclearCardError(f"TIMESYS is {scale}, must be one of {', '.join(TIME_SCALES)}")
    return mjd + tai_minus(mjd, scale) / SECONDS_PER_DAY


def pointing_of(cards):
    """Where the header says that the telescope pointed.

    Parameters
    ----------
    cards : Cards
        Header: numbers are degrees, 12:34:56.7 is hours in right ascension and degrees in declination. The
        quantity ra_hours of the camera file is a number of hours.

    Returns
    -------
    tuple of float or None
        Right ascension and declination [degree]; None when no card holds them.

    Raises
    ------
    UnclearCardError
        If a card holds something else.
    """
    hours_keyword, hours = cards.find("ra_hours")
    ra_keyword, ra = cards.find("ra")
    dec_keyword, dec = cards.find("dec")
    if (ra is None and hours is None) or dec is None:
        return None
    if ra_keyword == "CRVAL1" and not str(cards.values.get("CTYPE1", "")).startswith("RA"):
        return None
    right_ascension = 15 * number(hours, hours_keyword) if hours is not None else _angle(ra, ra_keyword, 15)
    declination = _angle(dec, dec_keyword, 1)
    if not (-360 <= right_ascension <= 360 and -90 <= declination <= 90):
        raise UnclearCardError(f"{ra_keyword} = {ra}, {dec_keyword} = {dec} is no place on the sky")
    return right_ascension % 360, declination


def _angle(value, keyword, degrees_a_unit):
    """Degrees of a number, or of a sexagesimal text whose unit is that many degrees."""
    try:
        return degrees_of(value, degrees_a_unit)
    except UnreadableValueError as error:
        raise UnclearCardError(
            f"{keyword} is {value!r}, needs a number, or an angle like 12:34:56.7"
        ) from error
