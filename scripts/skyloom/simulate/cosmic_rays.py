"""Cosmic rays: straight tracks of charge."""

import numpy as np

ELECTRONS_PER_PIXEL = 900.0
"""Charge that a fast particle leaves along a pixel's width: 80 electrons per micrometre, 11 micrometres."""
STRAGGLING = 0.5
"""Standard deviation of the logarithm of the charge along a track, in place of Landau's law."""
MEAN_LENGTH = 8.0
STEPS_PER_PIXEL = 4
DIFFUSION = 0.35
"""Charge spreads by this standard deviation before it is collected [pixel]."""


def add_cosmic_rays_in_place(electrons, expected_number, rng):
    """Add cosmic-ray tracks to collected charge.

    Parameters
    ----------
    electrons : ndarray, shape (ny, nx), float
        Changed in place [electron].
    expected_number : float
        Mean number of rays; theirs is drawn from Poisson's law.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    int
        How many rays hit.

    Notes
    -----
    Track lengths are exponential, angles uniform, charges log-normal along the track; each step's charge is
    spread over the pixels that its diffused position falls on, in 8 parts.
    """
    ny, nx = electrons.shape
    number = rng.poisson(expected_number)
    for _ in range(number):
        length = 1 + rng.exponential(MEAN_LENGTH)
        angle = rng.uniform(0, 2 * np.pi)
        n_step = int(np.ceil(length * STEPS_PER_PIXEL))
        along = (np.arange(n_step) + 0.5) * length / n_step
        x = rng.uniform(-0.5, nx - 0.5) + along * np.cos(angle)
        y = rng.uniform(-0.5, ny - 0.5) + along * np.sin(angle)
        charge = ELECTRONS_PER_PIXEL * length / n_step * np.exp(STRAGGLING * rng.standard_normal(n_step))
        shift = DIFFUSION * rng.standard_normal((2, 8, n_step))
        column, row = np.rint(x + shift[0]).astype(int), np.rint(y + shift[1]).astype(int)
        inside = (column >= 0) & (column < nx) & (row >= 0) & (row < ny)
        np.add.at(electrons, (row[inside], column[inside]), np.broadcast_to(charge / 8, inside.shape)[inside])
    return number
