"""Moving objects of a night on straight tracks."""

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.catalog import MOVING, empty_objects
from skyloom.simulate.colours import draw_magnitudes, fill_fluxes

MOVING_ID_BASE = 1 << 52


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
        Columns of `catalog.object_columns`; positions hold at the first visit.

    Raises
    ------
    UnknownBandError
        If there are no colours for a band.
    """
    settings, bands = simulation.settings["moving_objects"], simulation.bands
    rng = generator(simulation.seed, "sky", MOVING, night)
    n = settings["per_night"]
    moving = empty_objects(n, bands)
    moving["id"][:] = MOVING_ID_BASE + night * 4096 + np.arange(n)
    moving["kind"][:] = MOVING
    centre_ra, centre_dec = visits[0]["ra"], visits[0]["dec"]
    spread = settings["spread"] / 3600
    moving["dec"][:] = centre_dec + rng.uniform(-spread, spread, n)
    moving["ra"][:] = centre_ra + rng.uniform(-spread, spread, n) / np.cos(np.radians(moving["dec"]))
    moving["rate_mjd"][:] = visits[0]["mjd"]
    speed, angle = rng.uniform(*settings["speed"], n) * 24 / 3600, rng.uniform(0, 2 * np.pi, n)
    moving["rate_ra"][:], moving["rate_dec"][:] = speed * np.cos(angle), speed * np.sin(angle)
    fill_fluxes(moving, draw_magnitudes(n, settings, rng), rng.normal(0.5, 0.1, n), bands, rng)
    return moving
