"""Differential chromatic refraction: blue light is lifted more towards the zenith than red light."""

from dataclasses import dataclass

import numpy as np

ARCSEC_PER_RADIAN = 180 / np.pi * 3600
BAND_EDGES_NM = {
    "u": (335.0, 397.0),
    "g": (413.0, 550.0),
    "r": (558.0, 688.0),
    "i": (692.0, 816.0),
    "z": (819.0, 920.0),
    "y": (921.0, 1004.0),
}
"""Filters as boxes: where the throughputs that GalSim ships, air and detector included, are half their greatest."""
PIVOT_G_NM, PIVOT_R_NM = 480.8, 621.0
"""Pivot wavelengths of the same throughputs."""
SIDEREAL_DEGREES_PER_DAY = 360.98564736629
SIDEREAL_AT_J2000 = 280.46061837
J2000_MJD = 51544.5
N_NODE = 16
"""Gauss-Legendre nodes across a filter."""


@dataclass(frozen=True, slots=True)
class Refraction:
    """How the air of one visit displaces and smears light of each colour.

    Attributes
    ----------
    toward_zenith : ndarray, shape (2,), float64
        Unit vector (East, North) on the sky.
    wavelength : ndarray, shape (k,), float64
        Nodes across the filter [nm].
    weight : ndarray, shape (k,), float64
        Their weights.
    lift : ndarray, shape (k,), float64
        Refraction at the nodes beyond that of the filter's middle [arcsec].
    """

    toward_zenith: np.ndarray
    wavelength: np.ndarray
    weight: np.ndarray
    lift: np.ndarray

    def moments(self, colour_gr):
        """Mean and standard deviation of the lift of objects' photons.

        Parameters
        ----------
        colour_gr : ndarray, shape (n,), float64
            AB magnitude in g minus r; the spectrum is the power law with that colour.

        Returns
        -------
        mean, deviation : ndarray, shape (n,), float64
            [arcsec].
        """
        # f_nu ~ wavelength^p has the colour g - r = -2.5 p log10(g / r); photons per wavelength go as its p - 1.
        power = -np.asarray(colour_gr) / (2.5 * np.log10(PIVOT_G_NM / PIVOT_R_NM))
        photons = self.weight * (self.wavelength / PIVOT_R_NM) ** (power[:, None] - 1)
        photons /= photons.sum(axis=1, keepdims=True)
        mean = photons @ self.lift
        variance = photons @ self.lift**2 - mean**2
        return mean, np.sqrt(np.maximum(variance, 0))


def refractivity(wavelength, pressure, temperature):
    """Refractive index of dry air minus one.

    Parameters
    ----------
    wavelength : ndarray or float
        In vacuum [nm].
    pressure, temperature : float
        [hPa] and [deg C].

    Returns
    -------
    ndarray or float

    Notes
    -----
    Filippenko (1982), equations 1 and 2, after Edlen (1953); water vapour left out.
    """
    sigma2 = (1000.0 / np.asarray(wavelength)) ** 2
    standard = 1e-6 * (64.328 + 29498.1 / (146 - sigma2) + 255.4 / (41 - sigma2))
    torr = pressure * 0.750062
    density = (
        torr * (1 + (1.049 - 0.0157 * temperature) * 1e-6 * torr) / (720.883 * (1 + 0.003661 * temperature))
    )
    return standard * density


def refraction_of(visit, site):
    """Refraction in one visit.

    Parameters
    ----------
    visit : dict
        Row of the visit table: `ra`, `dec` [deg], `mjd`, `airmass`, `band`.
    site : dict
        Settings `latitude`, `longitude` [deg, East positive], `pressure` [hPa], `temperature` [deg C].

    Returns
    -------
    Refraction

    Notes
    -----
    ``R = (n - 1) tan z``, good to 1 % up to airmass 2, with the zenith distance of the table's airmass and the
    parallactic angle of its time and place.
    """
    blue, red = BAND_EDGES_NM[visit["band"]]
    node, weight = np.polynomial.legendre.leggauss(N_NODE)
    wavelength = 0.5 * (blue + red) + 0.5 * (red - blue) * node
    tangent = np.sqrt(max(visit["airmass"] ** 2 - 1, 0.0))
    index = refractivity(np.append(wavelength, 0.5 * (blue + red)), site["pressure"], site["temperature"])
    lift = (index[:-1] - index[-1]) * tangent * ARCSEC_PER_RADIAN
    angle = np.radians(parallactic_angle(visit["ra"], visit["dec"], visit["mjd"], site))
    return Refraction(np.array([np.sin(angle), np.cos(angle)]), wavelength, weight / 2, lift)


def parallactic_angle(ra, dec, mjd, site):
    """Position angle of the zenith, North through East [deg] (float).

    Parameters
    ----------
    ra, dec : float
        Direction [deg].
    mjd : float
        Time [MJD; UT1 is taken for it, wrong by 37 s and so by 0.15 deg at most].
    site : dict
        Settings `latitude`, `longitude` [deg, East positive].
    """
    hour_angle = np.radians(sidereal_time(mjd, site["longitude"]) - ra)
    d, latitude = np.radians(dec), np.radians(site["latitude"])
    east = np.sin(hour_angle)
    north = np.tan(latitude) * np.cos(d) - np.sin(d) * np.cos(hour_angle)
    return float(np.degrees(np.arctan2(east, north)))


def sidereal_time(mjd, longitude):
    """Local mean sidereal time [deg] (float); Meeus (1998), equation 12.4, linear terms.

    Parameters
    ----------
    mjd, longitude : float
        Time [MJD UT1] and longitude [deg, East positive].
    """
    return (SIDEREAL_AT_J2000 + SIDEREAL_DEGREES_PER_DAY * (mjd - J2000_MJD) + longitude) % 360.0
