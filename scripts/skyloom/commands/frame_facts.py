"""All that a table needs to know of one raw file, or why that cannot be known."""

import math
from dataclasses import dataclass, replace
from datetime import timedelta

from skyloom.commands import frame_cards
from skyloom.commands.frame_cards import UnclearCardError
from skyloom.core.errors import ConfigError, SkyloomError
from skyloom.core.header_values import MJD_EPOCH

SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz", ".fits.fz")
TABULATED = ("science", "bias", "dark", "flat")
ALL_BANDS = "all bands"
"""Of a frame whose detectors see a band each."""

HIGHEST_AIRMASS = 40.0
"""At the horizon; what a card says beyond (-1, 999) stands for an unknown one."""


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """One raw file.

    Attributes
    ----------
    path : str
        Relative to the folder of raw frames, with ``/``.
    kind : str
        science, bias, dark or flat; other for what no table takes.
    because : str
        The card that decided the class.
    problem : str
        Why it is in no table; empty when it is.
    detector : int or None
        Its detector when the file holds one of several; None when it holds all.
    exposure_name, night, band : str
        Name by the header, empty without such a card; band none for biases and darks, `ALL_BANDS` for a frame
        that has a row for each.
    mjd, exposure_time : float
        Middle of the exposure [MJD TAI], and its length [s].
    ra, dec, rotation, airmass : float or None
        [degree], airmass as a ratio; None when unknown.
    """

    path: str
    kind: str
    because: str
    problem: str = ""
    detector: int | None = None
    exposure_name: str = ""
    night: str = ""
    band: str = "none"
    mjd: float = math.nan
    exposure_time: float = math.nan
    ra: float | None = None
    dec: float | None = None
    rotation: float | None = None
    airmass: float | None = None


def find_frames(folder):
    """FITS files below a folder.

    Parameters
    ----------
    folder : Path
        The folder; folders in it are searched too.

    Returns
    -------
    list of Path
        Sorted.
    """
    return sorted(
        path for path in folder.rglob("*") if path.name.lower().endswith(SUFFIXES) and path.is_file()
    )


def facts_of(path, folder, camera, options):
    """Everything about one raw file.

    Parameters
    ----------
    path, folder : Path
        The file, and the folder of raw frames.
    camera : Camera
        Keyword map, bands, site, detectors.
    options : FactOptions
        What the command line adds.

    Returns
    -------
    FrameFacts
        With a problem instead of an error when the file or its header is not usable.
    """
    from skyloom.io.fits_layout import read_hdus

    name, kind, because = path.relative_to(folder).as_posix(), "other", "not classified"
    try:
        hdus = read_hdus(path)
        values = card_values(hdus)
        translated = translate(values) if options.translate else {}
        cards = frame_cards.Cards(values, camera.raw, translated)
        kind, because = frame_cards.frame_class(cards)
        if kind not in TABULATED:
            return FrameFacts(name, kind, because, problem=f"class {kind}: {because}")
        return _usable(name, (kind, because), cards, camera, options)
    except (SkyloomError, OSError) as error:
        return FrameFacts(name, kind, because, problem=str(error))


def card_values(hdus):
    """Cards of the primary header, and of the first image's where they do not repeat it (dict).

    Parameters
    ----------
    hdus : list of HduLayout
        Of a file.

    Raises
    ------
    UnclearCardError
        If it holds no image.
    """
    image = next((hdu.cards for hdu in hdus if hdu.is_image), None)
    if image is None:
        raise UnclearCardError("it holds no image")
    return {**image, **hdus[0].cards}


@dataclass(frozen=True, slots=True)
class FactOptions:
    """What the command line says of all frames.

    Attributes
    ----------
    utc_offset : float or None
        Hours that local time is ahead of UTC; None takes the camera's longitude, or else 0.
    pointing : tuple of float or None
        (ra, dec) [degree] of science frames that carry none.
    rotation : float or None
        Position angle of the focal plane's +y [degree] of science frames that carry none.
    translate : bool
        Whether the package astro-metadata-translator is asked for what the camera file does not map.
    solve : bool
        Whether frames may lack a pointing, since their stars will be asked.
    """

    utc_offset: float | None = None
    pointing: tuple | None = None
    rotation: float | None = None
    translate: bool = False
    solve: bool = False


def _usable(name, classified, cards, camera, options):
    """Facts of a frame whose class is known."""
    kind, because = classified
    exposure_time = frame_cards.exposure_time_of(cards, kind)
    if kind != "bias" and not exposure_time > 0:
        raise UnclearCardError(f"a {kind} of {exposure_time:g} s: is it a bias?")
    mjd = frame_cards.middle_of(cards, exposure_time)
    band = "none"
    if kind in ("science", "flat"):
        band = ALL_BANDS if camera.fixed_bands else frame_cards.band_of(cards, camera.bands)[0]
    sky = _sky_facts(cards, options) if kind == "science" else {}
    _, exposure_name = cards.find("exposure_name")
    return FrameFacts(
        name,
        kind,
        because,
        detector=detector_of(cards, camera),
        exposure_name="" if exposure_name is None else str(exposure_name),
        night=night_of(mjd, camera.site, options.utc_offset),
        band=band,
        mjd=mjd,
        exposure_time=exposure_time,
        **sky,
    )


def _sky_facts(cards, options):
    """Pointing, rotation and airmass of a science frame, as far as its header tells."""
    pointing = frame_cards.pointing_of(cards) or options.pointing
    if pointing is None and not options.solve:
        raise UnclearCardError(
            "no card holds RA and DEC: map ra and dec in raw.header, or give --pointing or --solve"
        )
    keyword, rotation = cards.find("rotation")
    rotation = frame_cards.number(rotation, keyword) if rotation is not None else options.rotation
    keyword, airmass = cards.find("airmass")
    airmass = frame_cards.number(airmass, keyword) if airmass is not None else None
    if airmass is None or not 1 <= airmass <= HIGHEST_AIRMASS:
        airmass = None
    ra, dec = pointing or (None, None)
    return {"ra": ra, "dec": dec, "rotation": rotation, "airmass": airmass}


def with_airmass(frame, site):
    """Facts of a science frame with the airmass of its pointing, where the header has none.

    Parameters
    ----------
    frame : FrameFacts
        With a pointing.
    site : Site or None
        None leaves the airmass unknown.

    Returns
    -------
    FrameFacts
        The same one when nothing is to be added.
    """
    if frame.airmass is not None or site is None:
        return frame
    return replace(frame, airmass=airmass_at(frame.ra, frame.dec, frame.mjd, site))


def detector_of(cards, camera):
    """Detector of a file that holds one of several; None for a file that holds all (int or None).

    Parameters
    ----------
    cards : Cards
        Its header.
    camera : Camera
        Its detectors.

    Raises
    ------
    UnclearCardError
        If no card tells.
    """
    if len(camera.detectors) == 1 or camera.has_all_detectors_in_a_file:
        return None
    keyword, value = cards.find("detector")
    names = {detector.name: number for number, detector in camera.detectors.items()}
    if value in camera.detectors:
        return int(value)
    if str(value) in names:
        return names[str(value)]
    if isinstance(value, str) and value.isdigit() and int(value) in camera.detectors:
        return int(value)
    found = f"{keyword} = {value}" if value is not None else f"no card {keyword}"
    raise UnclearCardError(
        f"{found} tells which of the {len(camera.detectors)} detectors it is: map detector in raw.header"
    )


def night_of(mjd, site, utc_offset):
    """Date of the evening before an exposure, from one local noon to the next (str, YYYYMMDD).

    Parameters
    ----------
    mjd : float
        [d].
    site : Site or None
        Its longitude is the local time without `utc_offset`.
    utc_offset : float or None
        Hours ahead of UTC.
    """
    if utc_offset is None:
        # A camera file may count longitudes up to 360: 289 degrees East are 5 hours behind UTC, not 19 ahead.
        utc_offset = ((site.longitude + 180) % 360 - 180) / 15 if site is not None else 0.0
    day = math.floor(mjd + utc_offset / 24 - 0.5)
    return (MJD_EPOCH + timedelta(days=day)).strftime("%Y%m%d")


def airmass_at(ra, dec, mjd, site):
    """Airmass of a place on the sky.

    Parameters
    ----------
    ra, dec : float
        ICRS [degree].
    mjd : float
        [d], TAI.
    site : Site
        Where the telescope stands.

    Returns
    -------
    float or None
        None below the horizon.

    Notes
    -----
    Pickering (2002, DIO 12, 20) of the true altitude; UT1 is taken for UTC, which matters by 1e-4 at airmass 2.
    """
    import erfa

    utc = erfa.taiutc(2400000.5, mjd)
    angles = [math.radians(value) for value in (ra, dec, site.longitude, site.latitude)]
    _, zenith, *_ = erfa.atco13(
        *(angles[0], angles[1], 0, 0, 0, 0, *utc, 0, angles[2], angles[3], site.elevation),
        *(0, 0, 0, 0, 0, 0.5),
    )
    altitude = 90 - math.degrees(float(zenith))
    if altitude <= 0:
        return None
    return 1 / math.sin(math.radians(altitude + 244 / (165 + 47 * altitude**1.1)))


class NoTranslatorError(ConfigError):
    """The package that knows observatories' headers is not installed."""

    def __init__(self):
        super().__init__(
            "--translate needs the package astro-metadata-translator: uv pip install -e '.[headers]' in the clone, "
            "or map the cards in the camera file's raw.header"
        )


def check_translator():
    """Raise unless the package that `translate` asks is there.

    Raises
    ------
    NoTranslatorError
        If it is not installed.
    """
    from importlib.util import find_spec

    if find_spec("astro_metadata_translator") is None:
        raise NoTranslatorError


def translate(values):
    """What the package astro-metadata-translator says of a header, for instruments that it knows.

    Parameters
    ----------
    values : dict
        Cards by keyword.

    Returns
    -------
    dict
        Quantities by our names; empty for an instrument that it does not know.
    """
    from astro_metadata_translator import ObservationInfo

    try:
        seen = ObservationInfo(dict(values), pedantic=False)
    except ValueError:
        return {}
    found = {
        "image_type": seen.observation_type,
        "object": seen.object,
        "band": seen.physical_filter,
        "airmass": seen.boresight_airmass,
        "detector": seen.detector_num,
    }
    if seen.exposure_time is not None:
        found["exposure_time"] = float(seen.exposure_time.to_value("s"))
    if seen.datetime_begin is not None:
        found[frame_cards.TRANSLATED_TIME] = float(seen.datetime_begin.tai.mjd)
    if seen.tracking_radec is not None:
        found["ra"] = float(seen.tracking_radec.icrs.ra.deg)
        found["dec"] = float(seen.tracking_radec.icrs.dec.deg)
    return {quantity: value for quantity, value in found.items() if value is not None}
