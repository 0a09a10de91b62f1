"""Transients of a cell, a fraction of them in its galaxies: Gaussian flashes, or supernovae of type Ia."""

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.catalog import TRANSIENT, flux_name, select
from skyloom.simulate.cells import new_objects
from skyloom.simulate.colours import draw_magnitudes, fill_fluxes, set_fluxes
from skyloom.simulate.supernovae import MAGNITUDE_SCATTER, STRETCH_SCATTER, SUPERNOVA, peak_magnitudes

GAUSSIAN = "gaussian"
HOST_BAND_ORDER = "grizyu"
"""Hosts are bright in the first of these that the survey has."""
WINDOW_MARGIN = 5.0
"""Flashes peak up to this many days before the first and after the last science visit."""
SUPERNOVA_MARGINS = (40.0, 20.0)
"""The same of supernovae, before and after: they fade slowly and rise fast [d]."""


def cell_transients(cell, galaxies, window, simulation):
    """Transients of one cell.

    Parameters
    ----------
    cell, simulation
        As for `stars.cell_stars`.
    galaxies : dict of str to ndarray
        The cell's galaxies, possible hosts.
    window : tuple of float
        Times of the first and last science visit [MJD TAI], within or near which the maxima fall.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`; fluxes are those at maximum.

    Raises
    ------
    NoBandColoursError, CrowdedCellError
        As `stars.cell_stars`.
    """
    settings, bands = simulation.settings["transients"], simulation.bands
    rng = generator(simulation.seed, "sky", TRANSIENT, *cell)
    transients = new_objects(TRANSIENT, cell, settings["density"], bands, rng)
    n = len(transients["id"])
    magnitude = draw_magnitudes(n, settings, rng)
    fill_fluxes(transients, magnitude, rng.normal(0.2, 0.2, n), bands, rng)
    part = rng.uniform(0, 1, n)
    transients["peak_mjd"][:] = _within(window, (WINDOW_MARGIN, WINDOW_MARGIN), part)
    transients["duration"][:] = rng.uniform(*settings["duration"], n)
    transients["variability"][:] = GAUSSIAN
    is_hosted = rng.uniform(0, 1, n) < settings["host_fraction"]
    is_supernova = settings["model"] == SUPERNOVA
    hosts = _hosts(galaxies, settings["redshift"]) if is_supernova else galaxies
    if hosts["id"].size:
        band = next(b for b in (*HOST_BAND_ORDER, *bands) if b in bands)
        _move_into_hosts_in_place(transients, is_hosted, hosts, band, rng)
    if is_supernova:
        transients["peak_mjd"][:] = _within(window, SUPERNOVA_MARGINS, part)
        rng = generator(simulation.seed, "sky", SUPERNOVA, *cell)
        _make_supernovae_in_place(transients, settings["redshift"], bands, rng)
    return transients


def _within(window, margins, part):
    """Times of a window, widened by margins before and after, by the part of it that has passed."""
    return window[0] - margins[0] + part * (window[1] - window[0] + sum(margins))


def _hosts(galaxies, limits):
    """Galaxies that may host a supernova: of unknown redshift, or one between the limits."""
    redshift = galaxies["redshift"]
    return select(galaxies, (redshift == 0) | ((redshift >= limits[0]) & (redshift <= limits[1])))


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
    transients["redshift"][is_hosted] = galaxies["redshift"][chosen]


def _make_supernovae_in_place(transients, limits, bands, rng):
    """Turn transients into supernovae at their host's redshift; without one, they fill the volume evenly."""
    n = len(transients["id"])
    low, high = limits
    drawn = (low**3 + rng.uniform(0, 1, n) * (high**3 - low**3)) ** (1 / 3)
    transients["redshift"][:] = np.where(transients["redshift"] > 0, transients["redshift"], drawn)
    transients["stretch"][:] = np.clip(rng.normal(1, STRETCH_SCATTER, n), 0.7, 1.3)
    transients["variability"][:] = SUPERNOVA
    transients["duration"][:] = 0.0
    magnitudes = peak_magnitudes(transients["redshift"], rng.normal(0, MAGNITUDE_SCATTER, n))
    transients["colour_gr"][:] = magnitudes["g"] - magnitudes["r"]
    set_fluxes(transients, magnitudes, bands)
