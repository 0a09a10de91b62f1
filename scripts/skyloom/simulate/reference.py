"""The reference catalogue: the brighter stars as a survey like Gaia would have measured them."""

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.catalog import STAR, flux_name, reference_columns, select
from skyloom.simulate.colours import AB_ZERO_POINT_NJY
from skyloom.simulate.groups import offset

REFERENCE_BAND_ORDER = "rgizyu"
"""The magnitude limit holds in the first of these that the survey has."""
MAS_PER_DEGREE = 3.6e6
POSITION_ERROR_SLOPE = 0.2
"""dex a magnitude: errors of faint stars grow as photons get rare."""
PROPER_MOTION_ERROR_PER_YEAR = 0.1
"""Error of a proper motion [mas/yr] per mas of position error."""
FLUX_STREAMS = "ugrizy"
"""Each band has its own random numbers, so that a survey of more bands changes none of them."""
N_ASTROMETRIC = 5
RELATIVE_PER_MAGNITUDE = np.log(10) / 2.5
FALSE_ENTRY_BITS = 3 << 12
"""What the identifier of a false entry has beyond that of the star about which it lies; no object has both bits."""
FALSE_ENTRY_RADIUS = 60.0
"""Greatest distance of a false entry from that star [arcsec]."""


def reference_catalog(objects, simulation):
    """Measure the stars above the catalogue's limit, with errors, gaps and false entries.

    Parameters
    ----------
    objects : dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`, positions at J2016.0.
    simulation : Simulation
        Its settings `reference`, its bands and seed.

    Returns
    -------
    dict of str to ndarray, shape (m,)
        Columns of `catalog.reference_columns`. Each value is off by a Gaussian of its stated error; a flux that
        was not measured is NaN, as is its error.

    Notes
    -----
    The position error has a floor and grows by `POSITION_ERROR_SLOPE`, up to its setting at the limit.
    Every star draws from streams of its own, so its entry does not depend on the others. Variable stars have
    their mean flux.
    """
    settings = simulation.settings["reference"]
    stars, band = _listed_stars(objects, simulation)
    limit = _flux(settings["magnitude_limit"])
    n = len(stars["id"])
    fainter = 2.5 * np.log10(limit / stars[flux_name(band)])
    position_error = np.maximum(
        settings["position_error"] * 10 ** (POSITION_ERROR_SLOPE * fainter), settings["position_error_floor"]
    )
    draws = np.empty((n, N_ASTROMETRIC + 2 * len(FLUX_STREAMS)))
    for k, star in enumerate(stars["id"]):
        draws[k] = generator(simulation.seed, "reference", star).standard_normal(draws.shape[1])
    catalog = {"id": stars["id"]} | _astrometry(stars, position_error, draws)
    for name in simulation.bands:
        column = N_ASTROMETRIC + 2 * FLUX_STREAMS.index(name)
        catalog |= _photometry(stars, name, settings["flux_error"], draws[:, column : column + 2])
    if settings["missing_flux_fraction"] > 0:
        _remove_fluxes_in_place(catalog, band, simulation)
    return _with_false_entries(catalog, simulation) if settings["false_fraction"] > 0 else catalog


def _flux(magnitude):
    """Flux [nJy] of an AB magnitude."""
    return 10 ** (0.4 * (AB_ZERO_POINT_NJY - magnitude))


def _listed_stars(objects, simulation):
    """Stars that the catalogue has, and the band of its limits."""
    settings = simulation.settings["reference"]
    band = next(b for b in (*REFERENCE_BAND_ORDER, *simulation.bands) if b in simulation.bands)
    stars = select(objects, objects["kind"] == STAR)
    flux = stars[flux_name(band)]
    keep = flux > _flux(settings["magnitude_limit"])
    if settings["magnitude_bright"] > 0:
        keep &= flux < _flux(settings["magnitude_bright"])
    if settings["close_pair"] > 0:
        keep &= ~_beside_brighter(stars["ra"], stars["dec"], flux, settings["close_pair"])
    return select(stars, keep), band


def _beside_brighter(ra, dec, flux, distance):
    """True for stars that have a brighter one within a distance [arcsec], shape (n,)."""
    # Half a second of import, for a survey that asks for it.
    from scipy.spatial import cKDTree

    ra, dec = np.radians(ra), np.radians(dec)
    place = np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])
    chord = 2 * np.sin(0.5 * np.radians(distance / 3600))
    first, second = cKDTree(place).query_pairs(chord, output_type="ndarray").T
    is_beside = np.zeros(len(flux), bool)
    is_beside[np.where(flux[first] < flux[second], first, second)] = True
    return is_beside


def _remove_fluxes_in_place(catalog, band, simulation):
    """Set a fraction of the fluxes, in any band but that of the limits, and their errors to NaN."""
    fraction = simulation.settings["reference"]["missing_flux_fraction"]
    draws = np.array(
        [
            generator(simulation.seed, "reference gaps", star).uniform(size=len(FLUX_STREAMS))
            for star in catalog["id"]
        ]
    ).reshape(-1, len(FLUX_STREAMS))
    for name in simulation.bands:
        if name == band:
            continue
        is_missing = draws[:, FLUX_STREAMS.index(name)] < fraction
        for column in (flux_name(name), f"{flux_name(name)}_error"):
            catalog[column] = np.where(is_missing, np.nan, catalog[column])


def _with_false_entries(catalog, simulation):
    """Catalogue with entries of no star: each star may have one near it, which is like it but elsewhere."""
    fraction = simulation.settings["reference"]["false_fraction"]
    draws = np.array(
        [generator(simulation.seed, "reference false", star).uniform(size=3) for star in catalog["id"]]
    ).reshape(-1, 3)
    false = select(catalog, draws[:, 0] < fraction)
    _, radius, angle = draws[draws[:, 0] < fraction].T
    false["id"] = false["id"] + FALSE_ENTRY_BITS
    distance = FALSE_ENTRY_RADIUS / 3600 * np.sqrt(radius)
    false["ra"], false["dec"] = offset(false["ra"], false["dec"], distance, 2 * np.pi * angle)
    names = [column.name for column in reference_columns(simulation.bands)]
    return {name: np.concatenate([catalog[name], false[name]]) for name in names}


def _astrometry(stars, position_error, draws):
    """Measured positions, proper motions and parallaxes, with errors."""
    east = position_error / MAS_PER_DEGREE / np.cos(np.radians(stars["dec"]))
    measured = {
        "ra": stars["ra"] + draws[:, 0] * east,
        "dec": stars["dec"] + draws[:, 1] * position_error / MAS_PER_DEGREE,
        "ra_error": position_error,
        "dec_error": position_error,
    }
    motion_error = PROPER_MOTION_ERROR_PER_YEAR * position_error
    errors = {"pmra": motion_error, "pmdec": motion_error, "parallax": position_error}
    for column, (name, error) in enumerate(errors.items(), start=2):
        measured[name] = stars[name] + draws[:, column] * error
        measured[f"{name}_error"] = error
    return measured


def _photometry(stars, band, limits, draws):
    """Measured flux of a band and its error, which lies anywhere between the limits [mmag]."""
    low, high = (RELATIVE_PER_MAGNITUDE * limit / 1000 for limit in limits)
    relative = low + (high - low) * (0.5 + np.arctan(draws[:, 1]) / np.pi)
    flux = stars[flux_name(band)]
    return {
        flux_name(band): flux * (1 + relative * draws[:, 0]),
        f"{flux_name(band)}_error": flux * relative,
    }
