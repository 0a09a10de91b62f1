"""Galaxies of a cell."""

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.catalog import GALAXY
from skyloom.simulate.cells import new_objects
from skyloom.simulate.colours import draw_magnitudes, fill_fluxes


def cell_galaxies(cell, simulation):
    """Galaxies of one cell: exponential discs, de Vaucouleurs bulges and both.

    Parameters
    ----------
    cell, simulation
        As for `stars.cell_stars`.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`.

    Raises
    ------
    UnknownBandError, CrowdedCellError
        As `stars.cell_stars`.

    Notes
    -----
    Sizes shrink by 0.1 dex a magnitude about the configured median at r = 22, with a scatter of 0.2 dex.
    """
    settings, bands = simulation.settings["galaxies"], simulation.bands
    rng = generator(simulation.seed, "sky", GALAXY, *cell)
    galaxies = new_objects(GALAXY, cell, settings["density"], bands, rng)
    n = len(galaxies["id"])
    magnitude = draw_magnitudes(n, settings, rng)
    morphology = rng.uniform(0, 1, n)
    mixed = rng.uniform(0.1, 0.7, n)
    galaxies["bulge_fraction"][:] = np.select([morphology < 0.6, morphology < 0.85], [0.0, mixed], 1.0)
    colour = rng.normal(0.5, 0.2, n) + 0.4 * galaxies["bulge_fraction"]
    fill_fluxes(galaxies, magnitude, colour, bands, rng)
    log_size = -0.1 * (magnitude - 22) + np.clip(rng.normal(0, 0.2, n), -0.5, 0.5)
    galaxies["half_light_radius"][:] = np.clip(settings["half_light_radius"] * 10**log_size, 0.05, 4.0)
    galaxies["axis_ratio"][:] = rng.uniform(0.3, 1.0, n)
    galaxies["position_angle"][:] = rng.uniform(0, 180, n)
    return galaxies
