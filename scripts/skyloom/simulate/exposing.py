"""How the sky falls on one detector in one visit: where, how bright, how blurred."""

from dataclasses import dataclass

import numpy as np

from skyloom.simulate.catalog import GALAXY, MOVING, select
from skyloom.simulate.colours import bulge_fractions
from skyloom.simulate.drawing import PointSpreads, Sources, add_galaxies_in_place, add_point_sources_in_place
from skyloom.simulate.electronics import illumination
from skyloom.simulate.motion import fluxes_at, positions_at
from skyloom.simulate.optics import (
    Optics,
    VisitTruth,
    detector_to_focal_plane,
    draw_visit,
    focal_plane_to_detector,
    optics_of,
    psf_at,
    sky_axes,
    sky_to_focal_plane,
)
from skyloom.simulate.simulation import Simulation

MARGIN_PIXELS = 200
"""Objects this far outside a detector still shine onto it: the largest stamp's half side."""
TRAIL_STEPS = 5
"""A moving object is drawn as this many points along its way."""
WING_LIMIT = 0.02
"""Star stamps end where the wings fall below this fraction of the sky's noise."""
SECONDS_PER_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class View:
    """One detector's view of the sky in one visit.

    Attributes
    ----------
    visit : dict
        Row of the visit table.
    detector : Detector
        Shape and place on the focal plane.
    truth : VisitTruth
        What truly happens in the visit.
    optics : Optics
        The telescope.
    simulation : Simulation
        Settings, bands, seed, camera.
    """

    visit: dict
    detector: object
    truth: VisitTruth
    optics: Optics
    simulation: Simulation


def view_of(visit, detector, simulation):
    """Draw the visit's truth and look through a detector.

    Parameters
    ----------
    visit : dict
        Row of the visit table.
    detector : Detector
        Shape and place on the focal plane.
    simulation : Simulation
        Settings, bands, seed, camera.

    Returns
    -------
    View
    """
    optics = optics_of(simulation.camera, simulation.settings["telescope"])
    return View(visit, detector, draw_visit(visit, simulation), optics, simulation)


def sky_electrons(view, focal_x, focal_y, fringes=None):
    """Sky that reaches pixels of ideal response [electron].

    Parameters
    ----------
    view : View
        Its sky, slope and distortion.
    focal_x, focal_y : ndarray
        Focal-plane coordinates [pixel].
    fringes : ndarray or None
        Fringe pattern of the air's emission lines, relative to the dark sky; moonlight has no lines and makes none.

    Returns
    -------
    ndarray
        Shape and dtype of the coordinates.
    """
    slope_x, slope_y = (float(s) / view.optics.field_radius for s in view.truth.sky_slope)
    level = float(view.truth.sky)
    dark_sky = level * (1 + slope_x * focal_x + slope_y * focal_y)
    if fringes is not None:
        dark_sky = dark_sky * (1 + fringes)
    return (dark_sky + level * _moonlight(view, focal_x, focal_y)) * view.optics.pixel_area(focal_x, focal_y)


def _moonlight(view, focal_x, focal_y):
    """Moonlit over dark sky minus one, a plane over the field."""
    ratio, *slopes = view.truth.air.moon
    # The inverse axes give arcseconds East and North for a pixel.
    along = np.array(slopes) / 3600 @ np.linalg.inv(sky_axes(view.truth, view.optics))
    return np.maximum(ratio + float(along[0]) * focal_x + float(along[1]) * focal_y, 0)


def pixels_of(view, objects, mjd):
    """Pixels on which objects fall at a time.

    Parameters
    ----------
    view : View
        Detector, optics and true pointing.
    objects : dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`.
    mjd : float
        Time [MJD TAI].

    Returns
    -------
    x, y : ndarray, shape (n,), float64
        [pixel]; far outside or NaN for objects elsewhere.
    ra, dec : ndarray, shape (n,), float64
        Positions at that time [deg].
    """
    ra, dec = positions_at(objects, mjd)
    focal_x, focal_y = sky_to_focal_plane(view.truth, view.optics, ra, dec)
    near = np.hypot(focal_x, focal_y) < view.optics.field_radius + MARGIN_PIXELS
    axes = sky_axes(view.truth, view.optics)
    colour = objects["colour_gr"][near]
    shift_x, shift_y = view.truth.air.displacement(focal_x[near], focal_y[near], colour, axes)
    focal_x[near] += shift_x
    focal_y[near] += shift_y
    return *focal_plane_to_detector(view.detector, focal_x, focal_y), ra, dec


def visible_sources(view, objects):
    """Where the objects fall on a detector, with how much light and what point spread function.

    Parameters
    ----------
    view : View
        The detector and the visit.
    objects : dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`.

    Returns
    -------
    dict of str to ndarray, shape (m,)
        `index` into the objects, `id`, `kind`, `x`, `y`, `fwhm` [pixel], `ra`, `dec` [deg], `flux` [nJy],
        `e1`, `e2` in the detector's axes, `transmission` of patchy clouds; only objects that shine and lie on the
        detector or near it.
    """
    flux = fluxes_at(objects, view.visit)
    x, y, ra, dec = pixels_of(view, objects, view.visit["mjd"])
    ny, nx = view.detector.shape
    near_x, near_y = (
        np.abs(x - 0.5 * nx) < 0.5 * nx + MARGIN_PIXELS,
        np.abs(y - 0.5 * ny) < 0.5 * ny + MARGIN_PIXELS,
    )
    index = np.flatnonzero(near_x & near_y & (flux > 0))
    visible = {
        "x": x,
        "y": y,
        "ra": ra,
        "dec": dec,
        "flux": flux,
        "id": objects["id"],
        "kind": objects["kind"],
    }
    visible = select(visible, index)
    focal = detector_to_focal_plane(view.detector, visible["x"], visible["y"])
    colour, axes = objects["colour_gr"][index], sky_axes(view.truth, view.optics)
    widths = psf_at(view.truth, view.optics, *focal)
    fwhm, e1, e2 = view.truth.air.smeared(widths, colour, axes, view.truth.moffat_beta)
    turn = 2 * np.radians(view.detector.orientation)
    return visible | {
        "index": index,
        "transmission": view.truth.air.transmission(*focal),
        "fwhm": fwhm,
        "e1": e1 * np.cos(turn) + e2 * np.sin(turn),
        "e2": e2 * np.cos(turn) - e1 * np.sin(turn),
    }


def draw_objects_in_place(image, view, objects, visible):
    """Add the light of the visible objects to an image of expected electrons.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Changed in place [electron].
    view : View
        The detector and the visit.
    objects : dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`.
    visible : dict of str to ndarray, shape (m,)
        From `visible_sources`.
    """
    electrons = visible["flux"] * visible["transmission"] * view.truth.electrons_per_njy
    spreads = PointSpreads(visible["fwhm"], visible["e1"], visible["e2"], view.truth.moffat_beta)
    sources = Sources(visible["x"], visible["y"], electrons, spreads)
    is_galaxy, is_moving = visible["kind"] == GALAXY, visible["kind"] == MOVING
    faintest = WING_LIMIT * np.sqrt(view.truth.sky)
    add_point_sources_in_place(image, sources.select(~is_galaxy & ~is_moving), faintest)
    moving = sources.select(is_moving)
    moving_objects = select(objects, visible["index"][is_moving])
    for step in range(TRAIL_STEPS):
        shift = ((step + 0.5) / TRAIL_STEPS - 0.5) * view.visit["exposure_time"] / SECONDS_PER_DAY
        x, y, _, _ = pixels_of(view, moving_objects, view.visit["mjd"] + shift)
        part = Sources(x, y, moving.electrons / TRAIL_STEPS, moving.spreads)
        add_point_sources_in_place(image, part, faintest)
    galaxies = select(objects, visible["index"][is_galaxy])
    shapes = (galaxy_matrices(galaxies, view), bulge_fractions(galaxies, view.visit["band"]))
    add_galaxies_in_place(image, sources.select(is_galaxy), shapes)


def galaxy_matrices(galaxies, view):
    """Matrices that turn a round profile of half-light radius 1 into galaxies on the detector.

    Parameters
    ----------
    galaxies : dict of str to ndarray, shape (n,)
        `half_light_radius` [arcsec] along the major axis, `axis_ratio`, `position_angle` [deg, N to E].
    view : View
        Rotation, parity, scale and orientation.

    Returns
    -------
    ndarray, shape (n, 2, 2), float64
        [pixel]; the distortion's change of shapes, 1 % at the field's edge, is left out.
    """
    angle, major = np.radians(galaxies["position_angle"]), galaxies["half_light_radius"]
    minor = major * galaxies["axis_ratio"]
    east_north = np.array(
        [[major * np.sin(angle), minor * np.cos(angle)], [major * np.cos(angle), -minor * np.sin(angle)]]
    )
    turn = np.radians(view.detector.orientation)
    to_detector = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return np.moveaxis(
        np.einsum("ij,jkn->ikn", to_detector @ sky_axes(view.truth, view.optics), east_north), -1, 0
    )


def source_rows(view, visible, dark_current):
    """Rows of truth/source: the visible objects whose centre is on the detector.

    Parameters
    ----------
    view : View
        The detector and the visit.
    visible : dict of str to ndarray, shape (m,)
        From `visible_sources`.
    dark_current : float
        Mean dark current [electron/s].

    Returns
    -------
    dict of str to ndarray, shape (k,)
        Columns of `catalog.SOURCE_COLUMNS`.
    """
    ny, nx = view.detector.shape
    x, y = visible["x"], visible["y"]
    rows = select(visible, (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5))
    focal = detector_to_focal_plane(view.detector, rows["x"], rows["y"])
    n = len(rows["x"])
    response = illumination(*focal, view.visit["band"], view.optics, view.simulation)
    dark = dark_current * view.visit["exposure_time"]
    return {name: rows[name] for name in ("id", "kind", "x", "y", "ra", "dec", "flux")} | {
        "visit": np.full(n, view.visit["visit"], np.int64),
        "detector": np.full(n, view.detector.id, np.int32),
        "electrons_per_njy": view.truth.electrons_per_njy * rows["transmission"],
        "response": response,
        "sky": sky_electrons(view, *focal) * response + dark,
        "psf_fwhm": rows["fwhm"] * view.optics.pixel_scale,
        "psf_e1": rows["e1"],
        "psf_e2": rows["e2"],
    }
