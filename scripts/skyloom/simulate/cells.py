"""Fixed cells of the sphere, each with its own random stream: an object is the same whichever visits look at it."""

import numpy as np

from skyloom.core.errors import ConfigError
from skyloom.simulate.catalog import GALAXY, STAR, TRANSIENT, empty_objects

CELL_DEG = 0.05
ID_BITS_RUNNING = 14
"""Two of them name the kind; the others hold the lower part of the running number."""
ID_BITS_CELL = 13
ID_BITS_RING = 12
ID_BITS_MORE = 13
"""The upper part of the running number lies above the ring, so that sparse cells keep small identifiers."""


class CrowdedCellError(ConfigError):
    """More objects of one kind in a cell than identifiers can count."""

    def __init__(self, kind, n):
        self.kind, self.n, self.limit = kind, n, 1 << (ID_BITS_RUNNING - 2 + ID_BITS_MORE)
        super().__init__(
            f"{n} objects of kind {kind} in a cell of {CELL_DEG} deg, needs fewer than {self.limit}: "
            "see the densities of `simulate`"
        )


def cells_near(ra, dec, radius):
    """Cells of the sphere that a circle may touch.

    Parameters
    ----------
    ra, dec : float
        Centre [deg].
    radius : float
        Radius [deg].

    Returns
    -------
    set of tuple of int
        Pairs (ring, cell).
    """
    cells = set()
    lowest = max(0, int(np.floor((dec - radius + 90) / CELL_DEG)))
    highest = min(int(180 / CELL_DEG) - 1, int(np.floor((dec + radius + 90) / CELL_DEG)))
    for ring in range(lowest, highest + 1):
        n_cell = _cells_in_ring(ring)
        holds_pole = abs(dec) + radius > 90 - CELL_DEG
        half_width = 180.0 if holds_pole else min(180.0, radius / np.cos(np.radians(abs(dec) + radius)))
        first = int(np.floor((ra - half_width) / 360 * n_cell))
        last = int(np.floor((ra + half_width) / 360 * n_cell))
        cells.update((ring, cell % n_cell) for cell in range(first, last + 1))
    return cells


def _cells_in_ring(ring):
    """Number of cells in a ring of declination."""
    dec = (ring + 0.5) * CELL_DEG - 90
    return max(1, round(360 / CELL_DEG * np.cos(np.radians(dec))))


def cell_area(ring):
    """Area of a cell.

    Parameters
    ----------
    ring : int
        Its ring of declination.

    Returns
    -------
    float
        Solid angle [arcmin^2].
    """
    bottom = np.radians(ring * CELL_DEG - 90)
    height = np.sin(bottom + np.radians(CELL_DEG)) - np.sin(bottom)
    return np.degrees(height) * 360 / _cells_in_ring(ring) * 3600


def cell_positions(ring, cell, n, rng):
    """Positions uniform on the sphere within a cell.

    Parameters
    ----------
    ring, cell : int
        The cell.
    n : int
        How many.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ra, dec : ndarray, shape (n,), float64
        Positions [deg].
    """
    bottom = np.radians(ring * CELL_DEG - 90)
    sines = rng.uniform(np.sin(bottom), np.sin(bottom + np.radians(CELL_DEG)), n)
    ra = (cell + rng.uniform(0, 1, n)) * 360 / _cells_in_ring(ring)
    return ra, np.degrees(np.arcsin(sines))


def cell_centre(cell):
    """Middle of a cell.

    Parameters
    ----------
    cell : tuple of int
        Pair (ring, cell).

    Returns
    -------
    ra, dec : float
        Position [deg].
    """
    ring, number = cell
    return (number + 0.5) * 360 / _cells_in_ring(ring), (ring + 0.5) * CELL_DEG - 90


def identifiers(kind, cell, n):
    """Identifiers of the objects of a kind in a cell.

    Parameters
    ----------
    kind : str
        `star`, `galaxy` or `transient`.
    cell : tuple of int
        Ring and cell.
    n : int
        How many.

    Returns
    -------
    ndarray, shape (n,), int64
        Below 2^52. From the lowest bit: running number modulo 4096, kind, cell, ring, rest of the running number.

    Raises
    ------
    CrowdedCellError
        If `n` is beyond what they can count.
    """
    low = ID_BITS_RUNNING - 2
    if n >= 1 << (low + ID_BITS_MORE):
        raise CrowdedCellError(kind, n)
    ring, number = cell
    running = np.arange(1, n + 1, dtype=np.int64)
    kind_code = (STAR, GALAXY, TRANSIENT).index(kind) << low
    place = (((ring << ID_BITS_CELL) + number) << ID_BITS_RUNNING) + kind_code
    more = (running >> low) << (ID_BITS_RUNNING + ID_BITS_CELL + ID_BITS_RING)
    return place + more + (running & ((1 << low) - 1))


def new_objects(kind, cell, density, bands, rng):
    """Objects of a kind in a cell: identifier and position set.

    Parameters
    ----------
    kind : str
        `star`, `galaxy` or `transient`.
    cell : tuple of int
        Ring and cell.
    density : float
        Mean number [1/arcmin^2]; the number is Poisson's.
    bands : sequence of str
        Bands of the survey.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        As from `catalog.empty_objects`.

    Raises
    ------
    CrowdedCellError
        If they are beyond what identifiers can count.
    """
    n = rng.poisson(density * cell_area(cell[0]))
    names = identifiers(kind, cell, n)
    objects = empty_objects(n, bands)
    objects["id"][:] = names
    objects["kind"][:] = kind
    objects["ra"][:], objects["dec"][:] = cell_positions(*cell, n, rng)
    return objects
