"""The reference catalogue: the brighter stars as a survey like Gaia would have measured them."""

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.catalog import STAR, flux_name, select

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


def reference_catalog(objects, simulation):
    """Measure the stars above the catalogue's limit, with errors.

    Parameters
    ----------
    objects : dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`, positions at J2016.0.
    simulation : Simulation
        Its settings `reference`, its bands and seed.

    Returns
    -------
    dict of str to ndarray, shape (m,)
        Columns of `catalog.reference_columns`. Each value is off by a Gaussian of its stated error.

    Notes
    -----
    The position error has a floor and grows by `POSITION_ERROR_SLOPE`, up to its setting at the limit.
    Every star draws from a stream of its own, so its entry does not depend on the others.
    """
    settings = simulation.settings["reference"]
    band = next(b for b in (*REFERENCE_BAND_ORDER, *simulation.bands) if b in simulation.bands)
    limit = 10 ** (0.4 * (31.4 - settings["magnitude_limit"]))
    stars = select(objects, (objects["kind"] == STAR) & (objects[flux_name(band)] > limit))
    n = len(stars["id"])
    fainter = 2.5 * np.log10(limit / stars[flux_name(band)])
    position_error = np.maximum(
        settings["position_error"] * 10 ** (POSITION_ERROR_SLOPE * fainter), settings["position_error_floor"]
    )
    draws = np.empty((n, N_ASTROMETRIC + 2 * len(FLUX_STREAMS)))
    for k, star in enumerate(stars["id"]):
        draws[k] = generator(simulation.seed, "reference", star).standard_normal(draws.shape[1])
    catalog = {"id": stars["id"]} | _astrometry(stars, position_error, draws)
    for band in simulation.bands:
        column = N_ASTROMETRIC + 2 * FLUX_STREAMS.index(band)
        catalog |= _photometry(stars, band, settings["flux_error"], draws[:, column : column + 2])
    return catalog


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
