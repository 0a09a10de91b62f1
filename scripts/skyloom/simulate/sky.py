"""Which objects exist: stars, galaxies, transients and moving objects, drawn cell by cell from the seed.

The sphere is cut into fixed cells, each with its own random stream: an object is the same whichever visits,
and in whichever order, look at it.
"""

import numpy as np

from skyloom.core.errors import ConfigError
from skyloom.core.random import generator
from skyloom.simulate.catalog import GALAXY, MOVING, STAR, TRANSIENT, empty_objects, flux_name, join, select

CELL_DEG = 0.05
ID_BITS_RUNNING = 14
ID_BITS_CELL = 13
MOVING_ID_BASE = 1 << 52
COLOUR_SLOPES = {"u": 1.7, "g": 1.0, "r": 0.0, "i": -0.42, "z": -0.65, "y": -0.75}
"""Magnitude in a band minus that in r, per magnitude of g - r: a straight stellar locus."""
COLOUR_OFFSETS = {"u": 0.35, "g": 0.0, "r": 0.0, "i": 0.02, "z": 0.04, "y": 0.05}
COLOUR_SCATTER = 0.05
AB_ZERO_POINT_NJY = 31.4


class UnknownBandError(ConfigError):
    """A band for which the simulated sky has no colours."""

    def __init__(self, band):
        self.band = band
        super().__init__(
            f"the simulator has no colours for band {band!r}, needs one of {', '.join(COLOUR_SLOPES)}: "
            "see `bands` of the survey"
        )


class CrowdedCellError(ConfigError):
    """More objects of one kind in a cell than identifiers can count."""

    def __init__(self, kind, n):
        self.kind, self.n, self.limit = kind, n, 1 << (ID_BITS_RUNNING - 2)
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


def _cell_area(ring):
    """Area of a cell [arcmin^2]."""
    bottom = np.radians(ring * CELL_DEG - 90)
    height = np.sin(bottom + np.radians(CELL_DEG)) - np.sin(bottom)
    return np.degrees(height) * 360 / _cells_in_ring(ring) * 3600


def _cell_positions(ring, cell, n, rng):
    """`n` positions uniform on the sphere within a cell [deg]."""
    bottom = np.radians(ring * CELL_DEG - 90)
    sines = rng.uniform(np.sin(bottom), np.sin(bottom + np.radians(CELL_DEG)), n)
    ra = (cell + rng.uniform(0, 1, n)) * 360 / _cells_in_ring(ring)
    return ra, np.degrees(np.arcsin(sines))


def draw_magnitudes(n, settings, rng):
    """Magnitudes whose counts rise as 10^(slope m) between two limits.

    Parameters
    ----------
    n : int
        How many.
    settings : dict
        `magnitude_bright`, `magnitude_faint` [mag AB in r], `count_slope` [dex/mag]; slope 0 is uniform.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (n,), float64
        Magnitudes in r.
    """
    bright, faint, slope = settings["magnitude_bright"], settings["magnitude_faint"], settings["count_slope"]
    u = rng.uniform(0, 1, n)
    if slope == 0:
        return bright + u * (faint - bright)
    lowest = 10 ** (slope * (bright - faint))
    return faint + np.log10(lowest + u * (1 - lowest)) / slope


def fill_fluxes(objects, magnitude_r, colour, bands, rng):
    """Set the flux columns from r magnitudes and g - r colours, with scatter about the locus.

    Parameters
    ----------
    objects : dict of str to ndarray, shape (n,)
        Changed in place: its flux columns [nJy] and its colour.
    magnitude_r, colour : ndarray, shape (n,)
        AB magnitude in r and colour g - r.
    bands : sequence of str
        Bands of the survey.
    rng : numpy.random.Generator
        Source of randomness; draws as much whatever the bands, so that adding one changes no other.

    Raises
    ------
    UnknownBandError
        If a band is none of `COLOUR_SLOPES`.
    """
    objects["colour_gr"][:] = colour
    scatter = {band: rng.normal(0, COLOUR_SCATTER, len(colour)) for band in COLOUR_SLOPES}
    for band in bands:
        if band not in COLOUR_SLOPES:
            raise UnknownBandError(band)
        wander = 0 if band == "r" else scatter[band]
        magnitude = magnitude_r + COLOUR_OFFSETS[band] + COLOUR_SLOPES[band] * colour + wander
        objects[flux_name(band)][:] = 10 ** (0.4 * (AB_ZERO_POINT_NJY - magnitude))


def _new_objects(kind, cell, density, bands, rng):
    """Objects of a kind in a cell: identifier and position set."""
    ring, number = cell
    n = rng.poisson(density * _cell_area(ring))
    if n >= 1 << (ID_BITS_RUNNING - 2):
        raise CrowdedCellError(kind, n)
    objects = empty_objects(n, bands)
    kind_code = (STAR, GALAXY, TRANSIENT).index(kind) << (ID_BITS_RUNNING - 2)
    objects["id"][:] = (
        (((ring << ID_BITS_CELL) + number) << ID_BITS_RUNNING) + kind_code + np.arange(1, n + 1)
    )
    objects["kind"][:] = kind
    objects["ra"][:], objects["dec"][:] = _cell_positions(ring, number, n, rng)
    return objects


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
        Columns of `catalog.object_columns`.

    Raises
    ------
    UnknownBandError
        If there are no colours for a band.
    CrowdedCellError
        If the density is beyond what identifiers can count.

    Notes
    -----
    Proper motions have Student's t (3 degrees of freedom) instead of a Gaussian distribution: a few fast
    stars among many slow ones. Parallaxes are exponential and independent of the motion.
    """
    settings, bands = simulation.settings["stars"], simulation.bands
    rng = generator(simulation.seed, "sky", STAR, *cell)
    stars = _new_objects(STAR, cell, settings["density"], bands, rng)
    n = len(stars["id"])
    magnitude = draw_magnitudes(n, settings, rng)
    blue = rng.uniform(0, 1, n) < 0.45
    colour = np.where(blue, rng.normal(0.45, 0.12, n), rng.normal(1.3, 0.12, n))
    fill_fluxes(stars, magnitude, colour, bands, rng)
    stars["pmra"][:] = settings["proper_motion"] * (rng.standard_t(3, n) - 0.5)
    stars["pmdec"][:] = settings["proper_motion"] * (rng.standard_t(3, n) - 0.7)
    stars["parallax"][:] = settings["parallax"] * rng.exponential(1.0, n)
    return stars


def cell_galaxies(cell, simulation):
    """Galaxies of one cell: exponential discs, de Vaucouleurs bulges and both.

    Parameters
    ----------
    cell, simulation
        As for `cell_stars`.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`.

    Raises
    ------
    UnknownBandError, CrowdedCellError
        As `cell_stars`.

    Notes
    -----
    Sizes shrink by 0.1 dex a magnitude about the configured median at r = 22, with a scatter of 0.2 dex.
    """
    settings, bands = simulation.settings["galaxies"], simulation.bands
    rng = generator(simulation.seed, "sky", GALAXY, *cell)
    galaxies = _new_objects(GALAXY, cell, settings["density"], bands, rng)
    n = len(galaxies["id"])
    magnitude = draw_magnitudes(n, settings, rng)
    morphology = rng.uniform(0, 1, n)
    mixed = rng.uniform(0.1, 0.7, n)
    galaxies["bulge_fraction"][:] = np.select([morphology < 0.6, morphology < 0.85], [0.0, mixed], 1.0)
    colour = rng.normal(0.5, 0.2, n) + 0.4 * galaxies["bulge_fraction"]
    fill_fluxes(galaxies, magnitude, colour, bands, rng)
    log_size = -0.1 * (magnitude - 22) + np.clip(rng.normal(0, 0.2, n), -0.5, 0.5)
    galaxies["half_light_radius"][:] = np.clip(settings["half_light_radius"] * 10**log_size, 0.05, 4.0)
    galaxies["axis_ratio"][:] = rng.uniform(0.3, 1.0, n)
    galaxies["position_angle"][:] = rng.uniform(0, 180, n)
    return galaxies


def cell_transients(cell, galaxies, window, simulation):
    """Transients of one cell, a fraction of them in its galaxies.

    Parameters
    ----------
    cell, simulation
        As for `cell_stars`.
    galaxies : dict of str to ndarray
        The cell's galaxies, possible hosts.
    window : tuple of float
        Times of the first and last science visit [MJD TAI]; maxima fall in between or within 5 days.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`; fluxes are those at maximum.

    Raises
    ------
    UnknownBandError, CrowdedCellError
        As `cell_stars`.
    """
    settings, bands = simulation.settings["transients"], simulation.bands
    rng = generator(simulation.seed, "sky", TRANSIENT, *cell)
    transients = _new_objects(TRANSIENT, cell, settings["density"], bands, rng)
    n = len(transients["id"])
    magnitude = draw_magnitudes(n, settings, rng)
    fill_fluxes(transients, magnitude, rng.normal(0.2, 0.2, n), bands, rng)
    transients["peak_mjd"][:] = window[0] - 5 + rng.uniform(0, 1, n) * (window[1] - window[0] + 10)
    transients["duration"][:] = rng.uniform(*settings["duration"], n)
    is_hosted = rng.uniform(0, 1, n) < settings["host_fraction"]
    if galaxies["id"].size:
        _move_into_hosts_in_place(transients, is_hosted, galaxies, bands[0], rng)
    return transients


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


def night_moving_objects(night, visits, simulation):
    """Moving objects near the middle of one night's science visits.

    Parameters
    ----------
    night : int
        Integer part of the MJD that names the night in identifiers and random streams.
    visits : sequence of dict
        That night's science visits: `ra`, `dec` [deg], `mjd`.
    simulation : Simulation
        Its settings, bands and seed.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`; positions hold at the first visit.

    Raises
    ------
    UnknownBandError
        If there are no colours for a band.
    """
    settings, bands = simulation.settings["moving_objects"], simulation.bands
    rng = generator(simulation.seed, "sky", MOVING, night)
    n = settings["per_night"]
    moving = empty_objects(n, bands)
    moving["id"][:] = MOVING_ID_BASE + night * 4096 + np.arange(n)
    moving["kind"][:] = MOVING
    centre_ra, centre_dec = visits[0]["ra"], visits[0]["dec"]
    spread = settings["spread"] / 3600
    moving["dec"][:] = centre_dec + rng.uniform(-spread, spread, n)
    moving["ra"][:] = centre_ra + rng.uniform(-spread, spread, n) / np.cos(np.radians(moving["dec"]))
    moving["rate_mjd"][:] = visits[0]["mjd"]
    speed, angle = rng.uniform(*settings["speed"], n) * 24 / 3600, rng.uniform(0, 2 * np.pi, n)
    moving["rate_ra"][:], moving["rate_dec"][:] = speed * np.cos(angle), speed * np.sin(angle)
    fill_fluxes(moving, draw_magnitudes(n, settings, rng), rng.normal(0.5, 0.1, n), bands, rng)
    return moving


def static_objects(cells, window, simulation):
    """Stars, galaxies and transients of a set of cells, ordered by identifier.

    Parameters
    ----------
    cells : iterable of tuple of int
        Cells, as from `cells_near`.
    window : tuple of float, or None
        First and last science visit [MJD TAI]; None makes no transients.
    simulation : Simulation
        Its settings, bands and seed.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`.

    Raises
    ------
    UnknownBandError, CrowdedCellError
        As `cell_stars`.
    """
    parts = []
    for cell in sorted(cells):
        galaxies = cell_galaxies(cell, simulation)
        parts += [cell_stars(cell, simulation), galaxies]
        if window is not None:
            parts.append(cell_transients(cell, galaxies, window, simulation))
    objects = join(parts, simulation.bands)
    return select(objects, np.argsort(objects["id"], kind="stable"))


def science_visits(visits):
    """Visits in which transients and moving objects are seen: all but the templates."""
    return sorted((v for v in visits if v["use"] != "template"), key=lambda v: v["mjd"])


def survey_objects(visits, radius, simulation):
    """Every object that any visit of a survey may see.

    Parameters
    ----------
    visits : sequence of dict
        Rows of the visit table: `ra`, `dec` [deg], `mjd`, `use`.
    radius : float
        Radius of the field with pointing errors [deg].
    simulation : Simulation
        Its settings, bands and seed.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`.

    Raises
    ------
    UnknownBandError, CrowdedCellError
        As `cell_stars`.
    """
    science = science_visits(visits)
    window = (science[0]["mjd"], science[-1]["mjd"]) if science else None
    cells = set().union(*(cells_near(v["ra"], v["dec"], radius) for v in visits))
    parts = [static_objects(cells, window, simulation)]
    for night in sorted({int(v["mjd"]) for v in science}):
        tonight = [v for v in science if int(v["mjd"]) == night]
        parts.append(night_moving_objects(night, tonight, simulation))
    return join(parts, simulation.bands)
