"""Where an object is and how bright it is at the moment of an exposure."""

import numpy as np

from skyloom.simulate.catalog import MOVING, REFERENCE_MJD, TRANSIENT, flux_name, has_orbit, select
from skyloom.simulate.orbits import ephemeris
from skyloom.simulate.supernovae import SUPERNOVA, fading
from skyloom.simulate.variability import variation

DAYS_PER_YEAR = 365.25
MAS_PER_RADIAN = 180 / np.pi * 3.6e6
J2000_MJD = 51544.5
FAINTEST_FRACTION = 1e-3
"""Below this fraction of its maximum a transient is off."""


def earth_position(mjd):
    """Position of the Earth in equatorial axes [au].

    Parameters
    ----------
    mjd : float
        Time [MJD; TAI is near enough].

    Returns
    -------
    ndarray, shape (3,), float64
        Heliocentric; within 0.01 au of the barycentric one, 1 % of a parallax.

    Notes
    -----
    Astronomical Almanac (2024), page C5, low-precision formulae of the Sun, good to 0.01 deg.
    """
    days = mjd - J2000_MJD
    anomaly = np.radians(357.528 + 0.9856003 * days)
    longitude = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    distance = 1.00014 - 0.01671 * np.cos(anomaly) - 0.00014 * np.cos(2 * anomaly)
    obliquity = np.radians(23.439 - 4e-7 * days)
    sun = np.array(
        [np.cos(longitude), np.cos(obliquity) * np.sin(longitude), np.sin(obliquity) * np.sin(longitude)]
    )
    return -distance * sun


def positions_at(objects, mjd):
    """Positions of objects at a time: proper motion, parallax, and motion of moving objects.

    Parameters
    ----------
    objects : dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`.
    mjd : float
        Time [MJD TAI].

    Returns
    -------
    ra, dec : ndarray, shape (n,), float64
        ICRS [deg], `ra` in [0, 360).

    Notes
    -----
    The space motion is a straight line along the tangent at the epoch (Hipparcos catalogue, 1997, vol. 1,
    eq. 1.2.22, without radial velocity); the parallax is its eq. 1.2.20. No aberration, no refraction.
    """
    ra, dec = _straight_positions(objects, mjd)
    on_orbit = _rows_on_orbit(objects)
    if on_orbit.size:
        ra[on_orbit], dec[on_orbit], _ = ephemeris(select(objects, on_orbit), mjd)
    return ra, dec


def _straight_positions(objects, mjd):
    """Positions [deg] of stars by motion and parallax, and of moving objects without an orbit by their rates."""
    ra, dec = np.radians(objects["ra"]), np.radians(objects["dec"])
    east = np.array([-np.sin(ra), np.cos(ra), np.zeros_like(ra)])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    radial = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    years = (mjd - REFERENCE_MJD) / DAYS_PER_YEAR
    observer = earth_position(mjd)
    parallax = objects["parallax"]
    move_east = objects["pmra"] * years - parallax * (observer @ east)
    move_north = objects["pmdec"] * years - parallax * (observer @ north)
    days = np.where(objects["kind"] == MOVING, mjd - objects["rate_mjd"], 0.0)
    move_east = move_east / MAS_PER_RADIAN + np.radians(objects["rate_ra"] * days)
    move_north = move_north / MAS_PER_RADIAN + np.radians(objects["rate_dec"] * days)
    vector = radial + move_east * east + move_north * north
    return (
        np.degrees(np.arctan2(vector[1], vector[0])) % 360,
        np.degrees(np.arctan2(vector[2], np.hypot(vector[0], vector[1]))),
    )


def fluxes_at(objects, visit):
    """Fluxes of objects in a visit's band at its time.

    Parameters
    ----------
    objects : dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`.
    visit : dict
        Row of the visit table: `band`, `mjd`, `use`.

    Returns
    -------
    ndarray, shape (n,), float64
        Flux [nJy]; 0 for transients and moving objects in template visits, and for transients that are off.
    """
    flux = objects[flux_name(visit["band"])] * variation(objects, visit["band"], visit["mjd"])
    is_transient = objects["kind"] == TRANSIENT
    flux[is_transient] *= _transient_light(select(objects, is_transient), visit)
    on_orbit = _rows_on_orbit(objects)
    if on_orbit.size:
        flux[on_orbit] *= _orbit_light(select(objects, on_orbit), visit["mjd"])
    if visit["use"] == "template":
        flux[is_transient | (objects["kind"] == MOVING)] = 0.0
    return flux


def _rows_on_orbit(objects):
    """Rows of the moving objects that have an orbit."""
    rows = np.flatnonzero(objects["kind"] == MOVING)
    return rows[has_orbit(select(objects, rows))] if rows.size else rows


def _orbit_light(objects, mjd):
    """Flux of objects on orbits over that at their `rate_mjd`, shape (n,)."""
    return 10 ** (0.4 * (ephemeris(objects, objects["rate_mjd"])[2] - ephemeris(objects, mjd)[2]))


def _transient_light(transients, visit):
    """Flux of transients over that at their maximum, shape (n,)."""
    days = visit["mjd"] - transients["peak_mjd"]
    is_supernova = transients["variability"] == SUPERNOVA
    light = np.empty(len(days))
    light[is_supernova] = fading(
        transients["redshift"][is_supernova],
        transients["stretch"][is_supernova],
        days[is_supernova],
        visit["band"],
    )
    light[~is_supernova] = np.exp(-0.5 * (days[~is_supernova] / transients["duration"][~is_supernova]) ** 2)
    return np.where(light < FAINTEST_FRACTION, 0.0, light)
