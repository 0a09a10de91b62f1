"""Transients of a cell, a fraction of them in its galaxies."""

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.catalog import TRANSIENT, flux_name
from skyloom.simulate.cells import new_objects
from skyloom.simulate.colours import draw_magnitudes, fill_fluxes


def cell_transients(cell, galaxies, window, simulation):
    """Transients of one cell, a fraction of them in its galaxies.

    Parameters
    ----------
    cell, simulation
        As for `stars.cell_stars`.
    galaxies : dict of str to ndarray
        The cell's galaxies, possible hosts.
    window : tuple of float
        Times of the first and last science visit [MJD TAI]; maxima fall in between or within 5 days.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`; fluxes are those at maximum.

    Raises
    ------
    UnknownBandError, CrowdedCellError
        As `stars.cell_stars`.
    """
    settings, bands = simulation.settings["transients"], simulation.bands
    rng = generator(simulation.seed, "sky", TRANSIENT, *cell)
    transients = new_objects(TRANSIENT, cell, settings["density"], bands, rng)
    n = len(transients["id"])
    magnitude = draw_magnitudes(n, settings, rng)
    fill_fluxes(transients, magnitude, rng.normal(0.2, 0.2, n), bands, rng)
    transients["peak_mjd"][:] = window[0] - 5 + rng.uniform(0, 1, n) * (window[1] - window[0] + 10)
    transients["duration"][:] = rng.uniform(*settings["duration"], n)
    is_hosted = rng.uniform(0, 1, n) < settings["host_fraction"]
    if galaxies["id"].size:
        _move_into_hosts_in_place(transients, is_hosted, galaxies, bands[0], rng)
    return transients


def _move_into_hosts_in_place(transients, is_hosted, galaxies, band, rng):
    """Put hosted transients within the half-light radius of galaxies of the brightest third in `band`.

    A galaxy has one, unless there are more transients than galaxies: two at once are all but unheard of.
    """
    n = np.count_nonzero(is_hosted)
    order = np.argsort(-galaxies[flux_name(band)], kind="stable")
    chosen = np.resize(order[rng.permutation(max(1, order.size // 3, min(n, order.size)))], n)
    radius = galaxies["half_light_radius"][chosen] * np.sqrt(rng.uniform(0, 1, n)) / 3600
    angle = rng.uniform(0, 2 * np.pi, n)
    dec = galaxies["dec"][chosen] + radius * np.sin(angle)
    transients["dec"][is_hosted] = dec
    transients["ra"][is_hosted] = galaxies["ra"][chosen] + radius * np.cos(angle) / np.cos(np.radians(dec))
    transients["host_id"][is_hosted] = galaxies["id"][chosen]
