"""A model of the Galaxy: how many stars of which brightness lie in a direction, and how they move.

Two exponential discs and a flattened halo share one luminosity function. Coordinates are heliocentric, in kpc:
x towards the galactic centre, y towards the rotation, z towards the north galactic pole.
"""

from dataclasses import dataclass

import numpy as np

SUN_RADIUS = 8.0
SUN_HEIGHT = 0.025
"""Place of the Sun [kpc]: Juric et al. (2008), table 10."""
CIRCULAR_VELOCITY = 220.0
"""Flat rotation curve [km/s]: the IAU's of 1985."""
SUN_VELOCITY = (11.1, 12.24, 7.25)
"""Of the Sun beyond the circular motion [km/s], along x, y, z: Schoenrich, Binney & Dehnen (2010)."""
TANGENTIAL_VELOCITY = 4.740470446
"""km/s of 1 mas/yr at 1 kpc."""
TO_GALACTIC = np.array(
    [
        [-0.0548755604, -0.8734370902, -0.4838350155],
        [0.4941094279, -0.4448296300, 0.7469822445],
        [-0.8676661490, -0.1980763734, 0.4559837762],
    ]
)
"""From ICRS axes to galactic axes: the Hipparcos catalogue (1997), vol. 1, eq. 1.5.11."""

ABSOLUTE_V = np.arange(-6.0, 17.0)
LUMINOSITY = 1e-4 * np.array(
    [
        0.0001,
        0.0006,
        0.0029,
        0.013,
        0.05,
        0.25,
        1,
        3,
        6,
        12,
        19,
        34,
        42,
        35,
        42,
        54,
        70,
        80,
        79,
        60,
        40,
        30,
        30,
    ]
)
"""Stars a magnitude and pc^3 near the Sun by M_V: Allen (1973), section 117, and beyond M_V = 9 after the photometric
function of Kroupa (1995), which counts a binary once, as an image does."""
GIANT_FRACTION = 0.4
"""Of the stars brighter than the turn-off, those that are giants; old populations have only them."""
TURN_OFF_V = 4.5
"""M_V of the turn-off of old populations, at a bin's edge."""
GIANT_COLOUR = 0.70
MAIN_SEQUENCE_V = (-4.2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8.5, 10, 12, 14, 17)
MAIN_SEQUENCE_GR = (
    -0.62,
    -0.44,
    -0.33,
    -0.25,
    -0.07,
    0.19,
    0.36,
    0.5,
    0.72,
    0.99,
    1.22,
    1.31,
    1.38,
    1.43,
    1.47,
    1.6,
)
"""g - r of the main sequence by M_V: from O9 to K9 the table of Pecaut & Mamajek (2013) in its version of 2022-04-16,
and for M dwarfs after Kraus & Hillenbrand (2007), table 5, to 0.05."""
SUBDWARF_SHIFT = 0.9
"""Magnitudes by which metal-poor stars of a colour are fainter than the disc's."""
COLOUR_WIDTH = 0.05
MODULUS_STEP = 0.1
MODULI = np.arange(-1.0, 20.0, MODULUS_STEP) + 0.5 * MODULUS_STEP
"""Distance moduli: from 6 pc to 100 kpc."""


@dataclass(frozen=True, slots=True)
class Population:
    """A component of the Galaxy.

    Attributes
    ----------
    fraction : float
        Its density near the Sun relative to the thin disc's.
    length, height : float
        Scale length and height of the disc [kpc]; length 0 is the halo.
    dispersion : tuple of float
        Velocity dispersion outwards, along the rotation and upwards [km/s].
    lag : float
        By how much its mean rotation is slower than the circular velocity [km/s].
    is_old : bool
        True if only giants are brighter than the turn-off.
    is_poor : bool
        True for subdwarfs instead of a main sequence.
    """

    fraction: float
    length: float
    height: float
    dispersion: tuple
    lag: float
    is_old: bool
    is_poor: bool

    def luminosity(self):
        """Stars a magnitude and pc^3 where the population is as dense as the thin disc, along `ABSOLUTE_V`.

        Populations are as rich at equal colours (Juric et al. 2008), and subdwarfs of a colour are fainter.
        """
        shift = SUBDWARF_SHIFT if self.is_poor else 0.0
        luminosity = np.interp(ABSOLUTE_V - shift, ABSOLUTE_V, LUMINOSITY)
        return luminosity * np.where(self.is_old & (ABSOLUTE_V < TURN_OFF_V), GIANT_FRACTION, 1.0)

    def density(self, position):
        """Density relative to the thin disc's near the Sun.

        Parameters
        ----------
        position : ndarray, shape (3, ...)
            Places from the Sun in galactic axes [kpc].

        Returns
        -------
        ndarray, shape (...), float64
            Relative number density.
        """
        radius = np.hypot(SUN_RADIUS - position[0], position[1])
        height = np.abs(position[2] + SUN_HEIGHT)
        if self.length == 0:
            flattened = np.sqrt(radius**2 + (height / HALO_FLATTENING) ** 2 + HALO_CORE**2)
            return self.fraction * (SUN_RADIUS / flattened) ** HALO_EXPONENT
        decay = (radius - SUN_RADIUS) / self.length + (height - SUN_HEIGHT) / self.height
        return self.fraction * np.exp(-decay)


HALO_FLATTENING, HALO_EXPONENT, HALO_CORE = 0.64, 2.77, 1.0
POPULATIONS = (
    Population(1.0, 2.6, 0.3, (35.0, 20.0, 16.0), 15.0, False, False),
    Population(0.12, 3.6, 0.9, (67.0, 38.0, 35.0), 46.0, True, False),
    Population(0.0051, 0.0, 0.0, (141.0, 106.0, 94.0), 220.0, True, True),
)
"""Thin disc, thick disc and halo. Structure: Juric et al. (2008), table 10. Motions: Bensby, Feltzing &
Lundstrom (2003), table 1, for the discs, Chiba & Beers (2000) for the halo."""


def expected_numbers(direction, area, faint):
    """Mean numbers of stars in a direction by population, distance and luminosity.

    Parameters
    ----------
    direction : ndarray, shape (3,)
        Unit vector in galactic axes.
    area : float
        Solid angle [arcmin^2].
    faint : float
        Faintest M_V + distance modulus that is wanted [mag]; fainter bins are empty.

    Returns
    -------
    ndarray, shape (3, n_modulus, n_luminosity), float64
        Along `POPULATIONS`, `MODULI` and `ABSOLUTE_V`.
    """
    distance = 10 ** (0.2 * MODULI - 2)
    volume = area * np.radians(1 / 60) ** 2 * (1000 * distance) ** 3 * 0.2 * np.log(10) * MODULUS_STEP
    numbers = [
        np.outer(population.density(direction[:, None] * distance) * volume, population.luminosity())
        for population in POPULATIONS
    ]
    reachable = MODULI[:, None] + ABSOLUTE_V - 0.5 * (1 + MODULUS_STEP) < faint
    return np.array(numbers) * reachable


def luminosity_and_colour(absolute_v, population, rng):
    """Absolute magnitudes in r and colours g - r of stars.

    Parameters
    ----------
    absolute_v : ndarray, shape (n,)
        M_V [mag].
    population : ndarray, shape (n,), int
        Index into `POPULATIONS`.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    absolute_r, colour : ndarray, shape (n,), float64
        [mag AB] and [mag].

    Notes
    -----
    V from g and r: Jester et al. (2005), table 1, all stars.
    """
    is_old = np.array([p.is_old for p in POPULATIONS])[population]
    is_poor = np.array([p.is_poor for p in POPULATIONS])[population]
    is_giant = (absolute_v < TURN_OFF_V) & (is_old | (rng.uniform(0, 1, len(absolute_v)) < GIANT_FRACTION))
    dwarf = np.interp(absolute_v - SUBDWARF_SHIFT * is_poor, MAIN_SEQUENCE_V, MAIN_SEQUENCE_GR)
    colour = np.where(is_giant, GIANT_COLOUR, dwarf) + rng.normal(0, COLOUR_WIDTH, len(absolute_v))
    return absolute_v - 0.41 * colour + 0.01, colour


def velocities(position, population, rng):
    """Velocities of stars relative to the Sun.

    Parameters
    ----------
    position : ndarray, shape (3, n)
        [kpc], galactic axes.
    population : ndarray, shape (n,), int
        Index into `POPULATIONS`.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (3, n), float64
        [km/s], galactic axes.

    Notes
    -----
    Gaussian velocity ellipsoids along the cylinder's axes about the galactic centre, at every place alike.
    """
    spread = np.array([p.dispersion for p in POPULATIONS])[population].T
    lag = np.array([p.lag for p in POPULATIONS])[population]
    outward, along, up = spread * rng.standard_normal((3, len(population)))
    x, y = position[0] - SUN_RADIUS, position[1]
    radius = np.hypot(x, y)
    along = along + CIRCULAR_VELOCITY - lag
    velocity = np.array([(outward * x + along * y) / radius, (outward * y - along * x) / radius, up])
    sun = np.array(SUN_VELOCITY) + [0.0, CIRCULAR_VELOCITY, 0.0]
    return velocity - sun[:, None]


def proper_motions(ra, dec, distance, velocity):
    """Proper motions of stars from their velocities.

    Parameters
    ----------
    ra, dec : ndarray, shape (n,)
        ICRS [deg].
    distance : ndarray, shape (n,)
        [kpc].
    velocity : ndarray, shape (3, n)
        Relative to the Sun, galactic axes [km/s].

    Returns
    -------
    pmra, pmdec : ndarray, shape (n,), float64
        Along right ascension (times cos(dec)) and declination [mas/yr].
    """
    ra, dec = np.radians(ra), np.radians(dec)
    east = np.array([-np.sin(ra), np.cos(ra), np.zeros_like(ra)])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    equatorial = TO_GALACTIC.T @ velocity
    scale = TANGENTIAL_VELOCITY * distance
    return (east * equatorial).sum(axis=0) / scale, (north * equatorial).sum(axis=0) / scale


def directions(ra, dec):
    """Unit vectors of positions in galactic axes.

    Parameters
    ----------
    ra, dec : array_like, shape (n,)
        Positions [deg, ICRS].

    Returns
    -------
    ndarray, shape (3, n), float64
        Axes towards the centre, the rotation and the pole.
    """
    ra, dec = np.radians(ra), np.radians(dec)
    return TO_GALACTIC @ np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
