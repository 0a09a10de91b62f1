"""Galactic dust: how much it reddens a place of the sky, and what that does to fluxes."""

from functools import lru_cache

import erfa
import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.catalog import GALAXY, STAR, TRANSIENT, flux_name

EXTINCTION_PER_REDDENING = {"u": 4.145, "g": 3.237, "r": 2.273, "i": 1.684, "z": 1.323, "y": 1.088}
"""A_band / E(B-V) of Rubin's bands: Schlafly & Finkbeiner (2011), table 6, for R_V = 3.1.
Fitzpatrick's (1999) law over a star of 7000 K in the throughputs that GalSim ships gives the same to 0.05."""
EDGE_KPC = 10.0
"""The dust ends at this distance, so that the plane itself is not infinitely dark."""
N_MODE = 64
WAVE_NUMBERS = (8.0, 3000.0)
"""Of the clouds [1/radian]: sizes from 45 deg to 7 arcmin."""
CLOUD_SLOPE = -0.8
"""Variance of the clouds a logarithmic interval of wave number: their angular power falls as l^-2.8."""


def galactic(ra, dec):
    """Galactic coordinates of positions.

    Parameters
    ----------
    ra, dec : array_like, shape (n,)
        Positions [deg, ICRS].

    Returns
    -------
    longitude, latitude : ndarray, shape (n,), float64
        The same ones [deg].
    """
    longitude, latitude = erfa.icrs2g(np.radians(ra), np.radians(dec))
    return np.degrees(longitude), np.degrees(latitude)


def reddening(ra, dec, distance, simulation):
    """Reddening by the dust in front of objects.

    Parameters
    ----------
    ra, dec : ndarray, shape (n,)
        ICRS [deg].
    distance : ndarray, shape (n,), or float
        Distance [kpc]; infinite for what lies outside the Galaxy.
    simulation : Simulation
        Its settings `dust` and seed.

    Returns
    -------
    ndarray, shape (n,), float64
        E(B-V) [mag].

    Notes
    -----
    An exponential layer seen from its middle: ``E0 (1 - exp(-d |sin b| / h)) / |sin b|``, for distant objects
    the cosecant law of Parenago (1945). Clouds multiply it by a lognormal factor of mean 1.
    """
    settings = simulation.settings["dust"]
    if settings["reddening"] == 0:
        return np.zeros(len(ra))
    _, latitude = galactic(ra, dec)
    sine = np.maximum(np.abs(np.sin(np.radians(latitude))), 1e-9)
    depth = np.minimum(distance, EDGE_KPC) * sine / settings["scale_height"]
    layer = -np.expm1(-depth) / sine
    return settings["reddening"] * layer * _clouds(ra, dec, settings["structure"], simulation.seed)


def _clouds(ra, dec, strength, seed):
    """Lognormal factor of mean 1 over the whole sky: a sum of waves on the sphere."""
    if strength == 0:
        return np.ones(len(ra))
    waves, phases, amplitudes = _waves(seed)
    ra, dec = np.radians(ra), np.radians(dec)
    x, y, z = np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)
    field = np.zeros(len(ra))
    # One by one: a product of matrices rounds by how many objects there are, and they must not depend on others.
    for wave, phase, amplitude in zip(waves, phases, amplitudes, strict=True):
        field += amplitude * np.cos(wave[0] * x + wave[1] * y + wave[2] * z + phase)
    return np.exp(strength * field - 0.5 * strength**2)


@lru_cache(maxsize=4)
def _waves(seed):
    """Wave vectors, shape (k, 3), phases and amplitudes, shape (k,), of a field of unit variance."""
    rng = generator(seed, "sky", "dust")
    number = np.geomspace(*WAVE_NUMBERS, N_MODE)
    direction = rng.standard_normal((N_MODE, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    power = number**CLOUD_SLOPE
    return direction * number[:, None], rng.uniform(0, 2 * np.pi, N_MODE), np.sqrt(2 * power / power.sum())


def redden_in_place(objects, simulation):
    """Dim what lies behind the dust, and keep its reddening in the truth.

    Parameters
    ----------
    objects : dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`; fluxes, colour and `ebv` are changed in place. A star is as far away as
        its parallax says; moving objects are in front of the dust.
    simulation : Simulation
        Its settings `dust`, bands and seed.
    """
    if simulation.settings["dust"]["reddening"] == 0:
        return
    is_star = objects["kind"] == STAR
    behind = is_star | (objects["kind"] == GALAXY) | (objects["kind"] == TRANSIENT)
    distance = np.full(len(behind), np.inf)
    has_parallax = is_star & (objects["parallax"] > 0)
    distance[has_parallax] = 1 / objects["parallax"][has_parallax]
    objects["ebv"][:] = np.where(behind, reddening(objects["ra"], objects["dec"], distance, simulation), 0.0)
    for band in simulation.bands:
        objects[flux_name(band)] *= 10 ** (-0.4 * EXTINCTION_PER_REDDENING[band] * objects["ebv"])
    # The air refracts and smears the light that comes, which is redder.
    reddening_gr = EXTINCTION_PER_REDDENING["g"] - EXTINCTION_PER_REDDENING["r"]
    objects["colour_gr"] += reddening_gr * objects["ebv"]
