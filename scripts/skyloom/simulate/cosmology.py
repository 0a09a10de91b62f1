"""Distances in a flat universe of matter and a cosmological constant."""

from functools import lru_cache

import numpy as np

HUBBLE = 70.0
"""[km/s/Mpc]"""
MATTER = 0.3
LIGHT_SPEED = 299792.458
"""[km/s]"""
LARGEST_REDSHIFT = 6.0
STEP = 1e-3
KPC_PER_MPC_ARCSEC = 1000 * np.pi / 180 / 3600


def comoving_distance(redshift):
    """Comoving distance of redshifts.

    Parameters
    ----------
    redshift : ndarray, shape (n,)
        Below `LARGEST_REDSHIFT`.

    Returns
    -------
    ndarray, shape (n,), float64
        Distance [Mpc].
    """
    return np.interp(redshift, *_table())


def distance_modulus(redshift):
    """Apparent minus absolute bolometric magnitude.

    Parameters
    ----------
    redshift : ndarray, shape (n,)
        Below `LARGEST_REDSHIFT`.

    Returns
    -------
    ndarray, shape (n,), float64
        Distance modulus [mag]; -inf at redshift 0.
    """
    with np.errstate(divide="ignore"):
        return 5 * np.log10(comoving_distance(redshift) * (1 + redshift)) + 25


def kpc_per_arcsec(redshift):
    """Length that spans an arcsecond.

    Parameters
    ----------
    redshift : ndarray, shape (n,)
        Below `LARGEST_REDSHIFT`.

    Returns
    -------
    ndarray, shape (n,), float64
        Proper length [kpc].
    """
    return comoving_distance(redshift) / (1 + redshift) * KPC_PER_MPC_ARCSEC


@lru_cache(maxsize=1)
def _table():
    """Redshifts and comoving distances [Mpc]: Hogg (1999), eq. 14 and 15, by the trapezoidal rule."""
    redshift = np.arange(0, LARGEST_REDSHIFT + STEP, STEP)
    inverse = 1 / np.sqrt(MATTER * (1 + redshift) ** 3 + 1 - MATTER)
    integral = np.concatenate([[0.0], np.cumsum(0.5 * STEP * (inverse[1:] + inverse[:-1]))])
    return redshift, LIGHT_SPEED / HUBBLE * integral
