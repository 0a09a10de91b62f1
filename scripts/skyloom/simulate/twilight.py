"""Flats of the twilight sky: a bright uneven screen that stars shine through."""

import erfa
import numpy as np

from skyloom.simulate.cells import cells_near
from skyloom.simulate.electronics import focal_plane_grid
from skyloom.simulate.exposing import draw_objects_in_place, view_of, visible_sources
from skyloom.simulate.moonlight import MJD_ZERO_JD
from skyloom.simulate.optics import sky_axes
from skyloom.simulate.refraction import sidereal_time
from skyloom.simulate.sky import static_objects


def twilight(frame, detector, simulation, radius):
    """Twilight sky and the stars behind it.

    Parameters
    ----------
    frame : dict
        Row of the table of calibration frames: `frame`, `band`, `exposure_time` [s], `mjd`.
    detector : Detector
        Shape and place on the focal plane.
    simulation : Simulation
        Settings, bands, seed, camera.
    radius : float
        Distance from the boresight within which objects may be seen [deg].

    Returns
    -------
    sky : ndarray, shape (ny, nx), float32
        Brightness of the sky relative to that on the axis.
    stars : ndarray, shape (ny, nx), float32
        Light of stars and galaxies on pixels of ideal response [electron].

    Notes
    -----
    The telescope tracks the point that is in the zenith at the frame's time, so that a series dithers by itself. The
    sky brightens towards the Sun by `twilight_gradient`; Chromey & Hasselbacher (1996) found up to some per cent
    a degree, and least near the zenith.
    """
    view = view_of(_zenith_visit(frame, simulation), detector, simulation)
    objects = static_objects(cells_near(view.visit["ra"], view.visit["dec"], radius), None, simulation)
    stars = np.zeros(detector.shape, np.float32)
    draw_objects_in_place(stars, view, objects, visible_sources(view, objects))
    per_degree = simulation.settings["telescope"]["twilight_gradient"]
    slope = per_degree / 3600 * sun_direction(view.visit) @ np.linalg.inv(sky_axes(view.truth, view.optics))
    focal_x, focal_y = focal_plane_grid(detector)
    return np.maximum(1 + np.float32(slope[0]) * focal_x + np.float32(slope[1]) * focal_y, 0), stars


def _zenith_visit(frame, simulation):
    """Row of the visit table for an exposure of the zenith, its random stream no visit's."""
    site = simulation.settings["atmosphere"]["site"]
    return {
        **{"visit": f"twilight-{frame['frame']}", "ra": sidereal_time(frame["mjd"], site["longitude"])},
        **{"dec": site["latitude"], "rotation": 0.0, "airmass": 1.0, "use": "template"},
        **{name: frame[name] for name in ("band", "exposure_time", "mjd")},
    }


def sun_direction(visit):
    """Unit vector (East, North) on the sky from a visit's boresight towards the Sun.

    Parameters
    ----------
    visit : dict
        Row of the visit table: `ra`, `dec` [deg], `mjd`.

    Returns
    -------
    ndarray, shape (2,), float64
    """
    sun = -erfa.epv00(MJD_ZERO_JD, visit["mjd"])[0]["p"]
    a, d = np.radians(visit["ra"]), np.radians(visit["dec"])
    east = np.array([-np.sin(a), np.cos(a), 0.0])
    north = np.array([-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)])
    direction = np.array([sun @ east, sun @ north])
    return direction / np.linalg.norm(direction)
