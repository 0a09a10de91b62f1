"""Clustered galaxies: groups whose members crowd towards their centres."""

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.cells import cell_area, cell_positions

RADIUS_DEG = 0.05
"""Radius of a group; its members may lie this far outside their cell."""
PROFILE_SLOPE = 1.4
"""Surface density falls as radius^-1.4: convolved with itself in the plane, as radius^(2 - 2 * 1.4) = radius^-0.8."""


def reach(settings):
    """How far outside their cell galaxies may lie.

    Parameters
    ----------
    settings : dict
        Section `simulate.galaxies`.

    Returns
    -------
    float
        Angle [deg]; 0 without clustering.
    """
    return RADIUS_DEG if settings["clustering"] > 0 else 0.0


def group_members(cell, simulation):
    """Places of the galaxies of the groups whose centres lie in a cell.

    Parameters
    ----------
    cell : tuple of int
        Ring and cell.
    simulation : Simulation
        Its settings `galaxies` and seed.

    Returns
    -------
    ra, dec : ndarray, shape (n,), float64
        [deg]
    group : ndarray, shape (n,), int
        Running number of the group, from 0.

    Notes
    -----
    A process of Neyman & Scott (1952): as many centres as Poisson says, each with a Poisson number of members.
    A fraction f of galaxies of mean density n in groups of m members has the angular correlation
    ``w = f m g(theta) / n`` with g the profile's autocorrelation, theta^-0.8 well within the radius, as observed
    (Peebles 1980, section 47).
    """
    settings = simulation.settings["galaxies"]
    rng = generator(simulation.seed, "sky", "groups", *cell)
    mean = settings["clustering"] * settings["density"] * cell_area(cell[0]) / settings["group_members"]
    n_group = rng.poisson(mean)
    centre_ra, centre_dec = cell_positions(*cell, n_group, rng)
    group = np.repeat(np.arange(n_group), rng.poisson(settings["group_members"], n_group))
    radius = RADIUS_DEG * rng.uniform(0, 1, group.size) ** (1 / (2 - PROFILE_SLOPE))
    angle = rng.uniform(0, 2 * np.pi, group.size)
    ra, dec = offset(centre_ra[group], centre_dec[group], radius, angle)
    return ra, dec, group


def offset(ra, dec, radius, angle):
    """Places at a distance and a position angle from others.

    Parameters
    ----------
    ra, dec, radius : ndarray, shape (n,)
        [deg]
    angle : ndarray, shape (n,)
        North through East [radian].

    Returns
    -------
    ra, dec : ndarray, shape (n,), float64
        [deg], `ra` in [0, 360).
    """
    dec, radius = np.radians(dec), np.radians(radius)
    sine = np.sin(dec) * np.cos(radius) + np.cos(dec) * np.sin(radius) * np.cos(angle)
    turn = np.arctan2(
        np.sin(radius) * np.sin(angle) * np.cos(dec), np.cos(radius) - np.sin(dec) * np.clip(sine, -1, 1)
    )
    return (ra + np.degrees(turn)) % 360, np.degrees(np.arcsin(np.clip(sine, -1, 1)))
