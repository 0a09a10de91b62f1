"""How bright and how uneven the Moon makes the sky."""

import erfa
import numpy as np

from skyloom.simulate.refraction import sidereal_time

DARK_SKY_V = 21.8
"""Dark sky at the zenith [mag/arcsec2 in V] that the nanoLamberts are compared with: Walker (1987), Cerro Tololo."""
EXTINCTION_V = 0.17
MJD_ZERO_JD = 2400000.5
MOON_COLOURS = {"u": -1.0, "g": -0.6, "r": 0.9, "i": 2.1, "z": 3.3, "y": 4.5}
"""Moonlight against the dark sky of the band, beyond that in V [mag]: it is blue, the night sky red. The Sun's colours
(SDSS, "ugriz of Vega and the Sun"; V of 4.80 AB by Willmer 2018) less the dark sky's (Rubin's SMTN-002), where in V
85 % is scattered by molecules, as wavelength to the power -4, and the rest is grey. Of a full Moon over Cerro Tololo
Walker (1987) has -1.6, 1.1 and 1.7 in B, R and I: the sky is then brighter by 3.2, 1.8, 1.0, 0.7 mag in B, V, R, I."""


def moonlight_ratio(visit, site, ra, dec):
    """Moonlit over dark sky brightness, minus one, at directions.

    Parameters
    ----------
    visit : dict
        Row of the visit table: `mjd`, `band`, `airmass`.
    site : dict
        Settings `latitude`, `longitude` [deg].
    ra, dec : ndarray, shape (n,)
        Directions [deg].

    Returns
    -------
    ndarray, shape (n,), float64
        0 when the Moon is below the horizon.

    Notes
    -----
    Krisciunas & Schaefer (1991), equations 3, 8, 15, 20 and 21; the Moon's place is erfa's ``moon98`` from the
    Earth's centre, wrong by its parallax of 1 degree.
    """
    moon, phase_angle = moon_place(visit["mjd"])
    zenith = _zenith(visit["mjd"], site)
    altitude = np.arcsin(np.clip(moon @ zenith, -1, 1))
    if altitude <= 0:
        return np.zeros(len(ra))
    direction = _vectors(ra, dec)
    separation = np.degrees(np.arccos(np.clip(direction.T @ moon, -1, 1)))
    magnitude = -12.73 + 0.026 * abs(phase_angle) + 4e-9 * phase_angle**4
    illuminance = 10 ** (-0.4 * (magnitude + 16.57))
    scattering = 10**5.36 * (1.06 + np.cos(np.radians(separation)) ** 2) + 10 ** (6.15 - separation / 40)
    path_moon = (1 - 0.96 * np.cos(altitude) ** 2) ** -0.5
    path_sky = (1 - 0.96 * (1 - 1 / visit["airmass"] ** 2)) ** -0.5
    brightness = illuminance * scattering
    brightness *= 10 ** (-0.4 * EXTINCTION_V * path_moon) * (1 - 10 ** (-0.4 * EXTINCTION_V * path_sky))
    dark = 34.08 * np.exp(20.7233 - 0.92104 * DARK_SKY_V)
    return brightness / dark * 10 ** (-0.4 * MOON_COLOURS[visit["band"]])


def moon_place(mjd):
    """Direction of the Moon and its phase angle.

    Parameters
    ----------
    mjd : float
        Time [MJD TAI].

    Returns
    -------
    direction : ndarray, shape (3,), float64
        From the Earth's centre, ICRS axes.
    phase_angle : float
        Sun-Moon-Earth [deg]: 0 at full Moon.
    """
    moon = erfa.moon98(MJD_ZERO_JD, mjd)["p"]
    sun = -erfa.epv00(MJD_ZERO_JD, mjd)[0]["p"]
    to_sun, to_earth = sun - moon, -moon
    cosine = to_sun @ to_earth / np.linalg.norm(to_sun) / np.linalg.norm(to_earth)
    return moon / np.linalg.norm(moon), float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _zenith(mjd, site):
    """Unit vector of the zenith."""
    return _vectors(np.array([sidereal_time(mjd, site["longitude"])]), np.array([site["latitude"]]))[:, 0]


def _vectors(ra, dec):
    """Unit vectors, shape (3, n), of directions [deg]."""
    a, d = np.radians(np.asarray(ra)), np.radians(np.asarray(dec))
    return np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
