"""Stars of a cell."""

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.catalog import STAR
from skyloom.simulate.cells import new_objects
from skyloom.simulate.colours import draw_magnitudes, fill_fluxes


def cell_stars(cell, simulation):
    """Stars of one cell, with magnitudes, colours, proper motions and parallaxes.

    Parameters
    ----------
    cell : tuple of int
        Ring and cell.
    simulation : Simulation
        Its settings, bands and seed.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`.

    Raises
    ------
    UnknownBandError
        If there are no colours for a band.
    CrowdedCellError
        If the density is beyond what identifiers can count.

    Notes
    -----
    Proper motions have Student's t (3 degrees of freedom) instead of a Gaussian distribution: a few fast
    stars among many slow ones. Parallaxes are exponential and independent of the motion.
    """
    settings, bands = simulation.settings["stars"], simulation.bands
    rng = generator(simulation.seed, "sky", STAR, *cell)
    stars = new_objects(STAR, cell, settings["density"], bands, rng)
    n = len(stars["id"])
    magnitude = draw_magnitudes(n, settings, rng)
    blue = rng.uniform(0, 1, n) < 0.45
    colour = np.where(blue, rng.normal(0.45, 0.12, n), rng.normal(1.3, 0.12, n))
    fill_fluxes(stars, magnitude, colour, bands, rng)
    stars["pmra"][:] = settings["proper_motion"] * (rng.standard_t(3, n) - 0.5)
    stars["pmdec"][:] = settings["proper_motion"] * (rng.standard_t(3, n) - 0.7)
    stars["parallax"][:] = settings["parallax"] * rng.exponential(1.0, n)
    return stars
