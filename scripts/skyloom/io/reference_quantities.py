"""Brings the columns of a reference catalogue to an exposure's epoch and band."""

import numpy as np

from skyloom.core.directions import unit_vectors
from skyloom.core.errors import ConfigError
from skyloom.core.photo_calib import AB_ZERO_POINT
from skyloom.io.colour_terms import magnitude_in_band

MAS_PER_RADIAN = np.degrees(1.0) * 3.6e6
FLUX_UNITS_NJY = {"nJy": 1.0, "uJy": 1e3, "mJy": 1e6, "Jy": 1e9}
J2000_MJD = 51544.5
DAYS_PER_YEAR = 365.25
LEAST_PARALLAXES = 20
"""With fewer in a region they do not tell what is typical, and are taken as they are."""
NEARBY_SIGMA = 4.0
"""A star whose parallax stands out by so many sigma is none of the typical ones."""
MAD_TO_SIGMA = 1.4826
UNKNOWN_MOTION_ERROR = 5.0
"""Error of a star's place for each year since the catalogue's epoch when its motion is unknown [mas/yr]."""


class ReferenceBandError(ConfigError):
    """Vega magnitudes of a band cannot be turned into fluxes.

    Parameters
    ----------
    band : str
        The band.
    known : sequence of str
        Bands with an AB magnitude of Vega.
    """

    def __init__(self, band, known):
        super().__init__(
            f"no AB magnitude of Vega for band {band!r}, given for {', '.join(known) or 'none'}: "
            "look at reference.vega_ab_magnitudes"
        )
        self.band, self.known = band, tuple(known)


def positions_at_epoch(columns, settings, mjd):
    """Positions of stars at a time.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        ``ra`` and ``dec`` [degree]; where the catalogue has them ``epoch`` [Julian year], ``ra_error``,
        ``dec_error``, ``parallax`` and ``parallax_error`` [mas], and ``pmra`` (times cos(dec)), ``pmdec``,
        ``pmra_error`` and ``pmdec_error`` [mas/yr].
    settings : dict
        Section ``reference``: what stands for an unknown epoch or error.
    mjd : float
        The time [MJD TAI].

    Returns
    -------
    ra, dec : ndarray, shape (n,), float64
        Positions [degree, ICRS].
    ra_err, dec_err : ndarray, shape (n,), float64
        Their errors, that of right ascension times cos(dec) [arcsec].

    Notes
    -----
    Stars move uniformly on great circles (no radial velocity); the parallax is that seen from the Earth's
    barycentric place (erfa's ``epv00``, 1e-7 au). Errors of the motion and of the parallax enter those of the place.
    """
    ra, dec = np.radians(columns["ra"]), np.radians(columns["dec"])
    epoch = columns.get("epoch", np.full(len(ra), float(settings["epoch"])))
    years = 2000.0 + (mjd - J2000_MJD) / DAYS_PER_YEAR - epoch
    east = np.array([-np.sin(ra), np.cos(ra), np.zeros_like(ra)])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    place = unit_vectors(columns["ra"], columns["dec"]).T
    parallax, parallax_error = _parallaxes(columns, len(ra))
    earth = _earth(mjd)
    errors = []
    for axis, direction in (("ra", east), ("dec", north)):
        motion, motion_error = _motion(columns, f"pm{axis}", len(ra))
        place = place + direction * motion * years / MAS_PER_RADIAN
        given = columns.get(f"{axis}_error", np.full(len(ra), settings["default_position_error"]))
        given = np.where(np.isfinite(given), given, settings["default_position_error"])
        seen = earth @ direction * parallax_error
        errors.append(np.sqrt(given**2 + (motion_error * years) ** 2 + seen**2) / 1000.0)
    place = place - earth[:, None] * parallax / MAS_PER_RADIAN
    new_ra = np.degrees(np.arctan2(place[1], place[0])) % 360.0
    new_dec = np.degrees(np.arctan2(place[2], np.hypot(place[0], place[1])))
    return new_ra, new_dec, *errors


def fluxes_in_band(columns, settings, band):
    """Fluxes of stars.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        ``flux`` and, where known, ``flux_error``, both in ``flux_unit``; with colour terms also ``colour_first``
        and ``colour_second``.
    settings : dict
        Section ``reference``: unit of the fluxes, AB magnitudes of Vega, colour terms, relative error of a flux
        without one.
    band : str
        Band of the fluxes.

    Returns
    -------
    flux, flux_err : ndarray, shape (n,), float64
        Fluxes and their errors [nJy]; NaN where the catalogue has none.

    Raises
    ------
    ReferenceBandError
        If Vega magnitudes have no zero point.
    ColourTermError
        If there are colour terms for fluxes.

    Notes
    -----
    Colour terms give AB magnitudes whatever system they start from. The error of a colour is not propagated: the fit
    of the zero point measures what the stars scatter beyond their errors.
    """
    values = columns["flux"].astype(np.float64)
    error = columns.get("flux_error", np.full(len(values), np.nan)).astype(np.float64)
    unit, terms = settings["flux_unit"], settings["colour_terms"].get(band)
    if terms is not None:
        values, unit = magnitude_in_band(columns, terms, unit), "mag_ab"
    relative = settings["default_flux_error"]
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if unit in FLUX_UNITS_NJY:
            flux = values * FLUX_UNITS_NJY[unit]
            flux_error = error * FLUX_UNITS_NJY[unit]
        else:
            offset = _vega_offset(settings, band) if unit == "mag_vega" else 0.0
            flux = 10 ** (0.4 * (AB_ZERO_POINT - values - offset))
            flux_error = flux * error * 0.4 * np.log(10)
        flux = np.where(np.isfinite(flux) & (flux > 0), flux, np.nan)
        flux_error = np.where(np.isfinite(flux_error) & (flux_error > 0), flux_error, relative * flux)
    return flux, flux_error


def _motion(columns, key, n):
    """Proper motion along one axis and its error [mas/yr]; an unknown motion is zero with a typical error."""
    motion = columns.get(key, np.full(n, np.nan))
    error = columns.get(f"{key}_error", np.zeros(n))
    known = np.isfinite(motion)
    error = np.where(known & np.isfinite(error), error, np.where(known, 0.0, UNKNOWN_MOTION_ERROR))
    return np.where(known, motion, 0.0), error


def _parallaxes(columns, n):
    """Parallaxes and their errors [mas]; one without an error is taken as it is, an unknown one is zero."""
    given = columns.get("parallax", np.full(n, np.nan)).astype(np.float64)
    error = columns.get("parallax_error", np.full(n, np.nan)).astype(np.float64)
    if np.count_nonzero(np.isfinite(given) & (error > 0)) >= LEAST_PARALLAXES:
        return likely_parallaxes(given, error)
    return np.where(np.isfinite(given), given, 0.0), np.where(np.isfinite(given) & (error > 0), error, 0.0)


def likely_parallaxes(given, error):
    """Parallaxes as likely as their errors and those of the other stars make them.

    Parameters
    ----------
    given, error : ndarray, shape (n,), float64
        Measured parallaxes and their errors [mas]; NaN where a star has none.

    Returns
    -------
    parallax, parallax_error : ndarray, shape (n,), float64
        The most likely parallaxes and their errors [mas].

    Notes
    -----
    Most parallaxes of a catalogue are smaller than their errors, and as measured they would move a star by more than
    they are. Each is pulled to the typical one as far as its error is larger than what the stars differ by (Efron &
    Morris 1975, JASA 70, 311), but for the nearby stars that stand out. Centre and width are those of the better half
    of the stars; the width is at least the centre, since parallaxes of a population differ by as much as they are.
    """
    known = np.isfinite(given) & (error > 0)
    better = known & (error <= np.median(error[known]))
    off = np.abs(given[better] - np.median(given[better]))
    width, noise = MAD_TO_SIGMA * np.median(off), np.median(error[better] ** 2)
    # The mean: what is taken off all stars alike would move the whole field.
    centre = np.mean(given[better][off <= NEARBY_SIGMA * width])
    variance = max(width**2 - noise, centre**2, noise / np.count_nonzero(better))
    error = np.where(known, error, np.inf)
    offset = np.where(known, given, centre) - centre
    weight = variance / (variance + error**2)
    near = np.abs(offset) > NEARBY_SIGMA * np.sqrt(variance + error**2)
    parallax = centre + np.where(near, 1.0, weight) * offset
    return parallax, np.where(near, error, np.sqrt(variance * (1 - weight)))


def _earth(mjd):
    """Barycentric place of the Earth [au], shape (3,), on the ICRS axes."""
    import erfa

    return erfa.epv00(2400000.5, mjd)[1]["p"]


def _vega_offset(settings, band):
    """AB magnitude of Vega in a band."""
    offsets = settings["vega_ab_magnitudes"]
    if band not in offsets:
        raise ReferenceBandError(band, sorted(offsets))
    return offsets[band]
