"""Stars of a cell: as many as a density says, or as a model of the Galaxy."""

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.catalog import REFERENCE_MJD, STAR, empty_objects
from skyloom.simulate.cells import cell_area, cell_centre, cell_positions, identifiers, new_objects
from skyloom.simulate.colours import draw_magnitudes, fill_fluxes
from skyloom.simulate.dust import EXTINCTION_PER_REDDENING, reddening
from skyloom.simulate.milky_way import (
    ABSOLUTE_V,
    MODULI,
    MODULUS_STEP,
    directions,
    expected_numbers,
    luminosity_and_colour,
    proper_motions,
    velocities,
)
from skyloom.simulate.variability import add_variability_in_place

GALACTIC = "galactic"
REDDEST_V_MINUS_R = 0.9
"""No star of `milky_way` is brighter in r than in V by more than this [mag]."""


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
        Columns of `catalog.object_columns`; fluxes without dust.

    Raises
    ------
    NoBandColoursError
        If there are no colours for a band.
    CrowdedCellError
        If the density is beyond what identifiers can count.
    """
    settings = simulation.settings["stars"]
    make = _galactic_stars if settings["model"] == GALACTIC else _stars_of_density
    stars = make(cell, simulation)
    rng = generator(simulation.seed, "sky", "variability", *cell)
    add_variability_in_place(stars, settings["variable_fraction"], REFERENCE_MJD, rng)
    return stars


def _stars_of_density(cell, simulation):
    """Stars of a stated density and of two colours.

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


def _galactic_stars(cell, simulation):
    """Stars by `milky_way`, of those magnitudes behind the dust that the settings want."""
    settings, bands = simulation.settings["stars"], simulation.bands
    rng = generator(simulation.seed, "sky", STAR, GALACTIC, *cell)
    population, distance, absolute_v = _draw_kinds(cell, settings["magnitude_faint"], rng)
    n = len(distance)
    absolute_r, colour = luminosity_and_colour(absolute_v, population, rng)
    ra, dec = cell_positions(*cell, n, rng)
    bare = absolute_r + 5 * np.log10(distance) + 10
    ebv = reddening(ra, dec, distance, simulation)
    velocity = velocities(directions(ra, dec) * distance, population, rng)
    pmra, pmdec = proper_motions(ra, dec, distance, velocity)
    seen = bare + EXTINCTION_PER_REDDENING["r"] * ebv
    keep = (seen >= settings["magnitude_bright"]) & (seen < settings["magnitude_faint"])
    stars = empty_objects(np.count_nonzero(keep), bands)
    stars["id"][:] = identifiers(STAR, cell, len(stars["id"]))
    stars["kind"][:] = STAR
    values = {"ra": ra, "dec": dec, "pmra": pmra, "pmdec": pmdec, "parallax": 1 / distance}
    for name, value in values.items():
        stars[name][:] = value[keep]
    fill_fluxes(stars, bare[keep], colour[keep], bands, rng)
    return stars


def _draw_kinds(cell, faint, rng):
    """Population, distance [kpc] and M_V of the stars of a cell that may be brighter than a limit in r."""
    ra, dec = (np.array([value]) for value in cell_centre(cell))
    expected = expected_numbers(directions(ra, dec)[:, 0], cell_area(cell[0]), faint + REDDEST_V_MINUS_R)
    bins = np.repeat(np.arange(expected.size), rng.poisson(expected).ravel())
    bins = rng.permutation(bins)
    population, modulus, luminosity = np.unravel_index(bins, expected.shape)
    modulus = MODULI[modulus] + MODULUS_STEP * rng.uniform(-0.5, 0.5, bins.size)
    absolute_v = ABSOLUTE_V[luminosity] + rng.uniform(-0.5, 0.5, bins.size)
    return population, 10 ** (0.2 * modulus - 2), absolute_v
