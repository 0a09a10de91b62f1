"""Positions on the sky as unit vectors, which know neither poles nor a first meridian."""

import numpy as np


def unit_vectors(ra, dec):
    """Directions of sky positions.

    Parameters
    ----------
    ra, dec : array_like, any equal shape (...)
        Positions [degree].

    Returns
    -------
    ndarray, shape (..., 3), float64
        Along the axes towards (0, 0), (90, 0) and the pole.
    """
    ra, dec = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)
