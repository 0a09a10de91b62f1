"""Moving objects of a night: on straight tracks, or on orbits about the Sun that cross the night's fields."""

import logging
from dataclasses import dataclass

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.catalog import MOVING, empty_objects, select
from skyloom.simulate.colours import draw_magnitudes, fill_fluxes
from skyloom.simulate.orbits import (
    GAUSSIAN_CONSTANT,
    LIGHT_TIME,
    TDB_MINUS_TAI,
    TO_ECLIPTIC,
    earth,
    elements_of,
    ephemeris,
)

log = logging.getLogger(__name__)

MOVING_ID_BASE = 1 << 52
KEPLERIAN = "keplerian"
N_ATTEMPT = 200
"""Orbits that are tried for an object before there is none through its place."""
RATE_STEP = 0.02
"""Half the time over which a rate is taken [d]."""
SLOPE_PARAMETER, SLOPE_SCATTER = 0.15, 0.05


@dataclass(frozen=True, slots=True)
class Orbits:
    """A population of small bodies: what is drawn, and which of it is kept.

    Attributes
    ----------
    name : str
        As in truth/orbit.
    distance : tuple of float
        Range of heliocentric distances [au].
    scatter : float
        Standard deviation of the velocity along and across, over the circular one.
    tilt : float
        Standard deviation of the angle between velocity and ecliptic [deg].
    axis, perihelion : tuple of float
        Ranges of semimajor axis and perihelion distance that are kept [au].
    largest_inclination : float
        [deg]
    redder : float
        Mean g - r beyond that of the main belt [mag].
    """

    name: str
    distance: tuple
    scatter: float
    tilt: float
    axis: tuple
    perihelion: tuple
    largest_inclination: float
    redder: float

    def holds(self, elements):
        """Which orbits are of the population.

        Parameters
        ----------
        elements : dict of str to ndarray, shape (n,)
            Among them semimajor_axis [au], eccentricity and inclination [deg].

        Returns
        -------
        ndarray, shape (n,), bool
            True for those to keep.
        """
        axis, ecc = elements["semimajor_axis"], elements["eccentricity"]
        nearest = axis * (1 - ecc)
        is_inside = (axis > self.axis[0]) & (axis < self.axis[1]) & (ecc < 0.95)
        is_inside &= (nearest > self.perihelion[0]) & (nearest < self.perihelion[1])
        return is_inside & (elements["inclination"] < self.largest_inclination)


POPULATIONS = (
    Orbits("main_belt", (1.9, 3.5), 0.10, 8.0, (2.06, 3.28), (1.666, 3.28), 35.0, 0.0),
    Orbits("near_earth", (1.03, 1.8), 0.25, 12.0, (0.7, 3.5), (0.3, 1.3), 50.0, 0.0),
    Orbits("tno", (30.0, 50.0), 0.08, 10.0, (30.0, 60.0), (28.0, 48.0), 45.0, 0.2),
)
"""The main belt lies between the 4:1 and 2:1 resonances with Jupiter, beyond the aphelion of Mars; near-Earth objects
come within 1.3 au of the Sun."""


def night_moving_objects(night, visits, simulation):
    """Moving objects near the middle of one night's science visits.

    Parameters
    ----------
    night : int
        Integer part of the MJD that names the night in identifiers and random streams.
    visits : sequence of dict
        That night's science visits: `ra`, `dec` [deg], `mjd`.
    simulation : Simulation
        Its settings, bands and seed.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`; positions hold at `rate_mjd`, the time of a visit. Those on orbits
        may be fewer than the setting: none of the main belt comes near the ecliptic's pole.

    Raises
    ------
    NoBandColoursError
        If there are no colours for a band.
    """
    settings, bands = simulation.settings["moving_objects"], simulation.bands
    is_keplerian = settings["model"] == KEPLERIAN
    rng = generator(simulation.seed, "sky", MOVING, *((KEPLERIAN,) if is_keplerian else ()), night)
    n = settings["per_night"]
    moving = empty_objects(n, bands)
    moving["id"][:] = MOVING_ID_BASE + night * 4096 + np.arange(n)
    moving["kind"][:] = MOVING
    chosen = rng.integers(0, len(visits), n) if is_keplerian else np.zeros(n, int)
    centre_ra, centre_dec, mjd = (np.array([v[key] for v in visits])[chosen] for key in ("ra", "dec", "mjd"))
    spread = settings["spread"] / 3600
    moving["dec"][:] = centre_dec + rng.uniform(-spread, spread, n)
    moving["ra"][:] = centre_ra + rng.uniform(-spread, spread, n) / np.cos(np.radians(moving["dec"]))
    moving["rate_mjd"][:] = mjd
    if is_keplerian:
        return _put_on_orbits(moving, night, simulation, rng)
    speed, angle = rng.uniform(*settings["speed"], n) * 24 / 3600, rng.uniform(0, 2 * np.pi, n)
    moving["rate_ra"][:], moving["rate_dec"][:] = speed * np.cos(angle), speed * np.sin(angle)
    fill_fluxes(moving, draw_magnitudes(n, settings, rng), rng.normal(0.5, 0.1, n), bands, rng)
    return moving


def _put_on_orbits(moving, night, simulation, rng):
    """Those of the objects for which there is an orbit through their place, with it, their rates and fluxes."""
    settings = simulation.settings["moving_objects"]
    n = len(moving["id"])
    shares = np.array([settings["near_earth_fraction"], settings["trans_neptunian_fraction"]])
    population = np.searchsorted(np.cumsum(shares), rng.uniform(0, 1, n), side="right")
    population = np.array([1, 2, 0])[population]
    found = np.array(
        [_find_orbit_in_place(moving, k, POPULATIONS[p], rng) for k, p in enumerate(population)], bool
    )
    log.info("night %d: %d of %d moving objects have an orbit", night, np.count_nonzero(found), n)
    moving["slope_parameter"][:] = np.clip(rng.normal(SLOPE_PARAMETER, SLOPE_SCATTER, n), 0.0, 0.4)
    magnitude = draw_magnitudes(n, settings, rng)
    redder = np.array([p.redder for p in POPULATIONS])[population]
    fill_fluxes(moving, magnitude, rng.normal(0.5, 0.1, n) + redder, simulation.bands, rng)
    moving = select(moving, found)
    _, _, bare = ephemeris(moving, moving["rate_mjd"])
    moving["absolute_magnitude"][:] = magnitude[found] - bare
    motion = GAUSSIAN_CONSTANT * moving["semimajor_axis"] ** -1.5
    moving["mean_anomaly"] += np.degrees(motion * (night - moving["epoch_mjd"]))
    moving["mean_anomaly"] %= 360
    moving["epoch_mjd"][:] = night
    _set_rates_in_place(moving)
    return moving


def _find_orbit_in_place(moving, row, population, rng):
    """Set the elements of an object so that it is seen at its place; False if none of many tries would do."""
    position, velocity, mjd = _tries(moving, row, population, rng)
    elements = elements_of(position, velocity, mjd)
    good = np.flatnonzero(population.holds(elements))
    if good.size == 0:
        return False
    for name, values in elements.items():
        moving[name][row] = values[good[0]]
    moving["population"][row] = population.name
    return True


def _tries(moving, row, population, rng):
    """Places on the line of sight, shape (3, n), nearly circular velocities there, and the times the light left."""
    ra, dec = np.radians(moving["ra"][row]), np.radians(moving["dec"][row])
    sight = np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])[:, None]
    observer = earth(moving["rate_mjd"][row] + TDB_MINUS_TAI)[:, None]
    distance = rng.uniform(*population.distance, N_ATTEMPT)
    along = (observer * sight).sum()
    geocentric = np.sqrt(along**2 + distance**2 - (observer**2).sum()) - along
    position = observer + geocentric * sight
    outward = position / distance
    forward = np.cross(TO_ECLIPTIC[2][:, None], outward, axis=0)
    forward /= np.linalg.norm(forward, axis=0)
    tilt = np.radians(rng.normal(0, population.tilt, N_ATTEMPT))
    direction = np.cos(tilt) * forward + np.sin(tilt) * np.cross(outward, forward, axis=0)
    faster, away = population.scatter * rng.standard_normal((2, N_ATTEMPT))
    circular = GAUSSIAN_CONSTANT / np.sqrt(distance)
    velocity = circular * ((1 + faster) * direction + away * outward)
    return position, velocity, moving["rate_mjd"][row] + TDB_MINUS_TAI - LIGHT_TIME * geocentric


def _set_rates_in_place(moving):
    """Set the rates of motion at `rate_mjd` from the orbits."""
    before, after = (ephemeris(moving, moving["rate_mjd"] + sign * RATE_STEP) for sign in (-1, 1))
    turn = (after[0] - before[0] + 180) % 360 - 180
    moving["rate_ra"][:] = turn * np.cos(np.radians(moving["dec"])) / (2 * RATE_STEP)
    moving["rate_dec"][:] = (after[1] - before[1]) / (2 * RATE_STEP)
