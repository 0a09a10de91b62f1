"""Galaxies of a cell: where they lie, how bright, large and red they are."""

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.catalog import GALAXY, empty_objects
from skyloom.simulate.cells import identifiers, new_objects
from skyloom.simulate.colours import COLOUR_SCATTER, draw_magnitudes, fill_fluxes, set_fluxes
from skyloom.simulate.cosmology import distance_modulus, kpc_per_arcsec
from skyloom.simulate.galaxy_spectra import colours, k_correction
from skyloom.simulate.groups import group_members

REDSHIFT = "redshift"
SMALLEST, LARGEST = 0.05, 4.0
"""Half-light radii that can be drawn [arcsec]."""
R_MINUS_I = 0.4
SHORTEST_REDSHIFT_SCALE = 0.05
HIGHEST_REDSHIFT = 4.0
LOWEST_REDSHIFT = 0.01
BULGE_REDDER = 0.4
"""Colour g - r of a bulge minus that of the disc about it, give or take a quarter of that."""


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
    NoBandColoursError, CrowdedCellError
        As `stars.cell_stars`.

    Notes
    -----
    Sizes shrink by 0.1 dex a magnitude about the configured median at r = 22, with a scatter of 0.2 dex. With
    the model `redshift`, colours, bulges and sizes follow from a redshift and a type instead.
    """
    settings, bands = simulation.settings["galaxies"], simulation.bands
    rng = generator(simulation.seed, "sky", GALAXY, *cell)
    galaxies, group = _placed_galaxies(cell, simulation, rng)
    n = len(galaxies["id"])
    magnitude = draw_magnitudes(n, settings, rng)
    morphology = rng.uniform(0, 1, n)
    mixed = rng.uniform(0.1, 0.7, n)
    galaxies["bulge_fraction"][:] = np.select([morphology < 0.6, morphology < 0.85], [0.0, mixed], 1.0)
    colour = rng.normal(0.5, 0.2, n) + 0.4 * galaxies["bulge_fraction"]
    fill_fluxes(galaxies, magnitude, colour, bands, rng)
    log_size = -0.1 * (magnitude - 22) + np.clip(rng.normal(0, 0.2, n), -0.5, 0.5)
    size = settings["half_light_radius"] * 10**log_size
    galaxies["half_light_radius"][:] = np.clip(size, SMALLEST, LARGEST)
    galaxies["axis_ratio"][:] = rng.uniform(0.3, 1.0, n)
    galaxies["position_angle"][:] = rng.uniform(0, 180, n)
    if settings["model"] == REDSHIFT:
        rng = generator(simulation.seed, "sky", "redshift", *cell)
        _set_redshifts_in_place(galaxies, magnitude, group, bands, rng)
    if settings["bulge_colours"]:
        _colour_bulges_in_place(galaxies, generator(simulation.seed, "sky", "bulge", *cell))
    return galaxies


def _placed_galaxies(cell, simulation, rng):
    """Galaxies with identifiers and places, and the number of the group of each, -1 outside groups."""
    settings = simulation.settings["galaxies"]
    lonely = (1 - settings["clustering"]) * settings["density"]
    field = new_objects(GALAXY, cell, lonely, simulation.bands, rng)
    n = len(field["id"])
    if settings["clustering"] == 0:
        return field, np.full(n, -1)
    ra, dec, group = group_members(cell, simulation)
    galaxies = empty_objects(n + len(ra), simulation.bands)
    galaxies["id"][:] = identifiers(GALAXY, cell, n + len(ra))
    galaxies["kind"][:] = GALAXY
    galaxies["ra"][:], galaxies["dec"][:] = np.append(field["ra"], ra), np.append(field["dec"], dec)
    return galaxies, np.append(np.full(n, -1), group)


def _set_redshifts_in_place(galaxies, magnitude, group, bands, rng):
    """Set redshift, colours, bulge fraction and size; a group has the redshift of its first member."""
    n = len(magnitude)
    redshift = draw_redshifts(magnitude, rng)
    is_member = group >= 0
    if is_member.any():
        _, first = np.unique(group[is_member], return_index=True)
        number_of_first = np.searchsorted(np.unique(group[is_member]), group[is_member])
        redshift[is_member] = redshift[is_member][first[number_of_first]]
    is_red = rng.uniform(0, 1, n) < np.clip(0.4 - 0.06 * (magnitude - 20), 0.08, 0.4)
    spectral_type = np.where(is_red, np.abs(rng.normal(0, 0.25, n)), rng.uniform(0.8, 3.0, n))
    is_pure, mixed = rng.uniform(0, 1, n) < 0.5, rng.uniform(0, 1, n)
    galaxies["bulge_fraction"][:] = np.where(
        is_red, np.where(is_pure, 1.0, 0.4 + 0.4 * mixed), np.where(is_pure, 0.0, 0.4 * mixed)
    )
    galaxies["redshift"][:] = redshift
    found = colours(spectral_type, redshift)
    galaxies["colour_gr"][:] = found["g"]
    scatter = {band: rng.normal(0, COLOUR_SCATTER, n) for band in found}
    set_fluxes(galaxies, {b: magnitude + found[b] + (0 if b == "r" else scatter[b]) for b in found}, bands)
    absolute = magnitude - distance_modulus(redshift) - k_correction(spectral_type, redshift)
    radius = half_light_radii(absolute, redshift, is_red, rng.standard_normal(n))
    along_major = radius / np.sqrt(galaxies["axis_ratio"])
    galaxies["half_light_radius"][:] = np.clip(along_major, SMALLEST, LARGEST)


def draw_redshifts(magnitude, rng):
    """Redshifts of galaxies of some magnitudes.

    Parameters
    ----------
    magnitude : ndarray, shape (n,)
        AB in r.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (n,), float64
        Between `LOWEST_REDSHIFT` and `HIGHEST_REDSHIFT`.

    Notes
    -----
    ``z^2 exp(-z / z0)``, a gamma distribution, with z0 = 0.0417 i - 0.744: LSST Science Book (2009), section
    3.7.2, for i from 20.5 to 25.5; brighter than that z0 stays at `SHORTEST_REDSHIFT_SCALE`.
    """
    scale = np.maximum(0.0417 * (magnitude - R_MINUS_I) - 0.744, SHORTEST_REDSHIFT_SCALE)
    return np.clip(rng.gamma(3.0, scale), LOWEST_REDSHIFT, HIGHEST_REDSHIFT)


def half_light_radii(absolute, redshift, is_red, scatter):
    """Half-light radii of round galaxies.

    Parameters
    ----------
    absolute, redshift : ndarray, shape (n,)
        Absolute magnitude AB in r, and redshift.
    is_red : ndarray, shape (n,), bool
        True for early types.
    scatter : ndarray, shape (n,)
        Standard deviations above the median of the logarithm.

    Returns
    -------
    ndarray, shape (n,), float64
        [arcsec]

    Notes
    -----
    Shen et al. (2003), eq. 14 to 16 with the Sersic radii of table 1, shrunk by (1 + z)^-0.75 for late and
    (1 + z)^-1.48 for early types (van der Wel et al. 2014, table 2).
    """
    early = 10 ** (-0.4 * 0.65 * absolute - 5.06) * (1 + redshift) ** -1.48
    relative = 10 ** (-0.4 * (absolute + 20.91))
    late = 10 ** (-0.4 * 0.26 * absolute - 1.71) * (1 + relative) ** (0.51 - 0.26) * (1 + redshift) ** -0.75
    width = 0.27 + (0.45 - 0.27) / (1 + relative**2)
    return np.where(is_red, early, late) * np.exp(width * scatter) / kpc_per_arcsec(redshift)


def _colour_bulges_in_place(galaxies, rng):
    """Make the bulges of galaxies that have bulge and disc redder than the discs."""
    redder = rng.normal(BULGE_REDDER, 0.25 * BULGE_REDDER, len(galaxies["id"]))
    is_mixed = (galaxies["bulge_fraction"] > 0) & (galaxies["bulge_fraction"] < 1)
    galaxies["bulge_colour"][:] = np.where(is_mixed, redder, 0.0)
