"""From the rows of the tables to skies, frames and truth: the entry to the simulator."""

import logging

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.bad_frames import EMPTY, WRONG_SKY, WRONG_SKY_OFFSET
from skyloom.simulate.catalog import join
from skyloom.simulate.cells import cells_near
from skyloom.simulate.cosmic_rays import add_cosmic_rays_in_place
from skyloom.simulate.electronics import detector_tonight, focal_plane_grid, fringes, illumination
from skyloom.simulate.exposing import (
    draw_objects_in_place,
    sky_electrons,
    source_rows,
    view_of,
    visible_sources,
)
from skyloom.simulate.groups import reach
from skyloom.simulate.optics import optics_of
from skyloom.simulate.readout import read_out
from skyloom.simulate.sky import static_objects, survey_objects
from skyloom.simulate.stray_light import add_satellites_in_place, add_stray_light_in_place
from skyloom.simulate.twilight import twilight

log = logging.getLogger(__name__)

FIELD_MARGIN_DEG = 0.02
"""Sky beyond the field's edge and the pointing error that is filled with objects."""
READ_OUT_SECONDS = 5.0
"""Time for which a frame collects cosmic rays beside its exposure."""
LAMP_SCATTER = 0.02


def simulate_sky(visits, simulation):
    """Draw every object that the visits may see.

    Parameters
    ----------
    visits : sequence of dict
        Rows of the visit table.
    simulation : Simulation
        Settings, bands, seed, camera.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`.

    Raises
    ------
    NoBandColoursError, CrowdedCellError
        If bands or densities are beyond what the sky knows.
    """
    objects = survey_objects(visits, field_radius(simulation), simulation)
    log.info("drew %d objects for %d visits", len(objects["id"]), len(visits))
    return objects


def field_radius(simulation):
    """Radius about a commanded boresight within which a visit may see objects.

    Parameters
    ----------
    simulation : Simulation
        Its camera, pointing error and clustering.

    Returns
    -------
    float
        Angle [deg].
    """
    telescope = simulation.settings["telescope"]
    optics = optics_of(simulation.camera, telescope)
    radius = (optics.field_radius + telescope["distortion"]) * optics.pixel_scale
    margin = FIELD_MARGIN_DEG + reach(simulation.settings["galaxies"])
    return (radius + telescope["pointing_error"]) / 3600 + margin


def simulate_exposure(visit, detector, objects, simulation, bad=""):
    """Expose one detector to the sky and read it out.

    Parameters
    ----------
    visit : dict
        Row of the visit table.
    detector : Detector
        Layout and believed gains.
    objects : dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`.
    simulation : Simulation
        Settings, bands, seed, camera.
    bad : str
        `empty` leaves the objects out; `wrong_sky` points one degree beside the target.

    Returns
    -------
    planes : dict of (int or str) to ndarray, shape (ny, nx), uint16
        Raw planes by extension [ADU].
    sources : dict of str to ndarray, shape (m,)
        Columns of `catalog.SOURCE_COLUMNS`: objects whose centre is on the detector.
    """
    if bad == WRONG_SKY:
        visit, objects = _beside_the_target(visit, simulation)
    if bad == EMPTY:
        objects = join([], simulation.bands)
    settings = simulation.settings["detector"]
    view, truth = view_of(visit, detector, simulation), detector_tonight(detector, visit["mjd"], simulation)
    rng = generator(simulation.seed, "exposure", visit["visit"], detector.id)
    focal_x, focal_y = focal_plane_grid(detector)
    expected = sky_electrons(view, focal_x, focal_y, fringes(detector, visit["band"], simulation))
    visible = visible_sources(view, objects)
    draw_objects_in_place(expected, view, objects, visible)
    add_stray_light_in_place(expected, view, objects)
    add_satellites_in_place(expected, view)
    expected *= illumination(focal_x, focal_y, visit["band"], view.optics, simulation) * truth.response
    expected += truth.dark * np.float32(visit["exposure_time"])
    electrons = rng.poisson(expected).astype(np.float32)
    n_ray = _add_rays_in_place(electrons, visit["exposure_time"], settings, rng)
    planes = read_out(electrons, detector, truth, settings, rng)
    sources = source_rows(view, visible, settings["dark_current"])
    log.info(
        "visit %d detector %d: %d objects, fwhm %.2f arcsec, %d cosmic rays",
        *(visit["visit"], detector.id, len(sources["id"]), view.truth.fwhm, n_ray),
    )
    return planes, sources


def _beside_the_target(visit, simulation):
    """Visit and objects of a frame that looks one degree beside its target."""
    away = WRONG_SKY_OFFSET if visit["dec"] < 0 else -WRONG_SKY_OFFSET
    elsewhere = {**visit, "dec": visit["dec"] + away}
    cells = cells_near(elsewhere["ra"], elsewhere["dec"], field_radius(simulation))
    return elsewhere, static_objects(cells, None, simulation)


def simulate_calibration_frame(frame, detector, simulation):
    """Take a bias, dark or flat frame with one detector.

    Parameters
    ----------
    frame : dict
        Row of the table of calibration frames: `frame`, `kind`, `band`, `exposure_time` [s].
    detector : Detector
        Layout and believed gains.
    simulation : Simulation
        Settings, bands, seed, camera.

    Returns
    -------
    dict of (int or str) to ndarray, shape (ny, nx), uint16
        Raw planes by extension [ADU].

    Notes
    -----
    A flat sees a screen of constant surface brightness through the distorted optics, as a dome's: pixels of
    larger area on the sky get more light, though stars' fluxes do not change with it. Its lamp varies by 2 %.
    With `flat_reference_time` its light grows with the exposure, for pairs at several levels; the screen is
    unevenly lit by `flat_illumination_error`, which the sky is not. Flats of `twilight_epochs` see the sky
    instead, uneven in its own way and with stars in it.
    """
    settings = simulation.settings["detector"]
    truth = detector_tonight(detector, frame["mjd"], simulation)
    rng = generator(simulation.seed, "calibration", frame["frame"], detector.id)
    if frame["kind"] == "bias":
        return read_out(np.zeros(detector.shape, np.float32), detector, truth, settings, rng)
    expected = truth.dark * np.float32(frame["exposure_time"])
    if frame["kind"] == "flat":
        expected += _flat_light(frame, detector, simulation) * truth.response
    electrons = rng.poisson(expected).astype(np.float32)
    _add_rays_in_place(electrons, frame["exposure_time"], settings, rng)
    return read_out(electrons, detector, truth, settings, rng)


def _flat_light(frame, detector, simulation):
    """Light of a flat field on pixels of ideal response [electron], shape (ny, nx), float32."""
    settings, telescope = simulation.settings["detector"], simulation.settings["telescope"]
    lamp = 1 + LAMP_SCATTER * generator(simulation.seed, "lamp", frame["frame"]).standard_normal()
    if settings["flat_reference_time"] > 0:
        lamp *= frame["exposure_time"] / settings["flat_reference_time"]
    optics = optics_of(simulation.camera, telescope)
    focal_x, focal_y = focal_plane_grid(detector)
    light = optics.pixel_area(focal_x, focal_y) * np.float32(settings["flat_level"] * lamp)
    if frame["epoch"] in telescope["twilight_epochs"]:
        sky, stars = twilight(frame, detector, simulation, field_radius(simulation))
        light = light * sky + stars
    else:
        error = np.float32(telescope["flat_illumination_error"] / optics.field_radius**2)
        light *= 1 + error * (focal_x**2 + focal_y**2)
    return light * illumination(focal_x, focal_y, frame["band"], optics, simulation)


def _add_rays_in_place(electrons, exposure_time, settings, rng):
    """Add the cosmic rays of an exposure and its read-out; how many."""
    megapixels = electrons.size / 1e6
    number = settings["cosmic_ray_rate"] * megapixels * (exposure_time + READ_OUT_SECONDS)
    return add_cosmic_rays_in_place(electrons, number, rng)
