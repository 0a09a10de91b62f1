"""Which objects exist for a survey: those of the cells that its visits see, and those that move through its nights."""

import numpy as np

from skyloom.simulate.catalog import join, select
from skyloom.simulate.cells import cells_near
from skyloom.simulate.dust import redden_in_place
from skyloom.simulate.galaxies import cell_galaxies
from skyloom.simulate.moving_objects import night_moving_objects
from skyloom.simulate.stars import cell_stars
from skyloom.simulate.transients import cell_transients


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
    NoBandColoursError, CrowdedCellError
        As `stars.cell_stars`.
    """
    parts = []
    for cell in sorted(cells):
        galaxies = cell_galaxies(cell, simulation)
        parts += [cell_stars(cell, simulation), galaxies]
        if window is not None:
            parts.append(cell_transients(cell, galaxies, window, simulation))
    objects = join(parts, simulation.bands)
    redden_in_place(objects, simulation)
    return select(objects, np.argsort(objects["id"], kind="stable"))


def science_visits(visits):
    """Visits in which transients and moving objects are seen: all but the templates.

    Parameters
    ----------
    visits : sequence of dict
        Rows of the visit table.

    Returns
    -------
    list of dict
        In order of time.
    """
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
    NoBandColoursError, CrowdedCellError
        As `stars.cell_stars`.
    """
    science = science_visits(visits)
    window = (science[0]["mjd"], science[-1]["mjd"]) if science else None
    cells = set().union(*(cells_near(v["ra"], v["dec"], radius) for v in visits))
    parts = [static_objects(cells, window, simulation)]
    for night in sorted({int(v["mjd"]) for v in science}):
        tonight = [v for v in science if int(v["mjd"]) == night]
        parts.append(night_moving_objects(night, tonight, simulation))
    return join(parts, simulation.bands)
