"""Light that does not go where it should: aureoles, spikes and ghosts of bright stars, trails of satellites."""

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.atmosphere import FWHM_PER_SIGMA
from skyloom.simulate.catalog import STAR, select
from skyloom.simulate.motion import fluxes_at, positions_at
from skyloom.simulate.optics import focal_plane_to_detector, sky_to_focal_plane

SPIKE_ARMS = 4
SPIKE_WIDTH_PIXELS = 1.5
"""Standard deviation across a spike."""
GHOST_MAGNIFICATION = -0.9
"""A ghost lies across the axis from its star, nearer to it."""
GHOST_OBSTRUCTION = 0.55
"""Inner over outer radius of a ghost: the secondary mirror's shadow in the pupil's image."""
LIMIT_OF_SKY_NOISE = 0.01
"""Light below this fraction of the sky's noise is not drawn [electron/pixel over electron/pixel]."""
SATELLITE_SPEED = 1800.0
"""Apparent motion of a satellite in low orbit [arcsec/s]."""
SATELLITE_DEFOCUS = 1.0
"""Its distance of some hundred kilometres puts it out of focus: standard deviation across [arcsec]."""


def add_stray_light_in_place(image, view, objects):
    """Add what the bright stars of the whole field shed on a detector, dimmed by the clouds before each.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Changed in place [electron].
    view : View
        The detector and the visit.
    objects : dict of str to ndarray, shape (n,)
        Columns of `catalog.object_columns`.

    Returns
    -------
    int
        Stars that are bright enough to shed any.
    """
    settings = _in_pixels(view)
    faintest = LIMIT_OF_SKY_NOISE * np.sqrt(view.truth.sky)
    least = _least_electrons(settings, faintest)
    if np.isinf(least):
        return 0
    stars = select(objects, objects["kind"] == STAR)
    electrons = fluxes_at(stars, view.visit) * view.truth.electrons_per_njy
    bright = electrons > least
    chosen, electrons = select(stars, bright), electrons[bright]
    focal = sky_to_focal_plane(view.truth, view.optics, *positions_at(chosen, view.visit["mjd"]))
    electrons = electrons * view.truth.air.transmission(*focal)
    places = np.stack(focal_plane_to_detector(view.detector, *focal), axis=1)
    ghosts = np.stack(
        focal_plane_to_detector(view.detector, *(GHOST_MAGNIFICATION * f for f in focal)), axis=1
    )
    near = np.hypot(*focal) < view.optics.field_radius + settings["aureole_radius"]
    for place, ghost, light in zip(places[near], ghosts[near], electrons[near], strict=True):
        if settings["aureole_fraction"] > 0:
            add_aureole_in_place(image, place, light, settings, faintest)
        if settings["spike_fraction"] > 0:
            add_spikes_in_place(image, place, light, settings, faintest)
        if settings["ghost_fraction"] > 0:
            add_ghost_in_place(image, ghost, light, settings, faintest)
    return int(np.count_nonzero(near))


def _in_pixels(view):
    """Settings of stray light with lengths in pixels and the spikes' angle on the detector."""
    telescope, scale = view.simulation.settings["telescope"], view.optics.pixel_scale
    lengths = ("aureole_radius", "spike_length", "ghost_radius")
    fractions = ("aureole_fraction", "spike_fraction", "ghost_fraction")
    settings = {name: telescope[name] / scale for name in lengths}
    settings |= {name: telescope[name] for name in fractions}
    settings["core"] = view.truth.fwhm / scale
    settings["spike_angle"] = telescope["spike_angle"] - view.detector.orientation
    return settings


def _least_electrons(settings, faintest):
    """Electrons of the faintest star whose stray light is drawn."""
    per_electron = [0.0]
    if settings["aureole_fraction"] > 0:
        core = settings["core"]
        solid = np.pi * np.log(1 + (settings["aureole_radius"] / core) ** 2)
        # Where the star's own wings have gone, four widths out.
        per_electron.append(settings["aureole_fraction"] / solid / (17 * core**2))
    if settings["spike_fraction"] > 0:
        per_electron.append(settings["spike_fraction"] / (SPIKE_ARMS * 2 * SPIKE_WIDTH_PIXELS**2 * 36))
    if settings["ghost_fraction"] > 0:
        area = np.pi * settings["ghost_radius"] ** 2 * (1 - GHOST_OBSTRUCTION**2)
        per_electron.append(settings["ghost_fraction"] / area)
    largest = max(per_electron)
    return faintest / largest if largest > 0 else np.inf


def satellite_trails(view):
    """Satellites that cross the field in a visit.

    Parameters
    ----------
    view : View
        The detector and the visit; every detector sees the same satellites.

    Returns
    -------
    list of (tuple of float, float)
        x, y of a point of the trail on this detector [pixel] and its angle [radian], and its electrons per pixel of
        length. A trail crosses the whole field.
    """
    settings = view.simulation.settings["satellites"]
    rng = generator(view.simulation.seed, "satellites", view.visit["visit"])
    trails = []
    telescope = view.simulation.settings["telescope"]
    for _ in range(rng.poisson(settings["per_exposure"])):
        angle = rng.uniform(0, np.pi)
        offset = rng.uniform(-1, 1) * view.optics.field_radius
        magnitude = rng.uniform(*settings["magnitude"])
        rate = 10 ** (0.4 * (telescope["zero_point"][view.visit["band"]] - magnitude))
        x, y = focal_plane_to_detector(view.detector, -offset * np.sin(angle), offset * np.cos(angle))
        turned = angle - np.radians(view.detector.orientation)
        trails.append(((float(x), float(y), turned), rate * view.optics.pixel_scale / SATELLITE_SPEED))
    return trails


def add_satellites_in_place(image, view):
    """Add the trails of satellites to an image of expected electrons; how many crossed the field.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Changed in place [electron].
    view : View
        The detector and the visit.

    Returns
    -------
    int
    """
    width = np.hypot(view.truth.fwhm / FWHM_PER_SIGMA, SATELLITE_DEFOCUS) / view.optics.pixel_scale
    trails = satellite_trails(view)
    for line, brightness in trails:
        add_trail_in_place(image, line, brightness, width)
    return len(trails)


def add_aureole_in_place(image, centre, electrons, settings, faintest):
    """Add the aureole of a star: light scattered by dust and mirrors, falling with the square of the distance.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Changed in place [electron].
    centre : tuple of float
        x, y of the star [pixel]; may lie outside.
    electrons : float
        Of the star.
    settings : dict
        `aureole_fraction` of the star's light; `core` inside of which it is flat and `aureole_radius` at which it
        ends [pixel].
    faintest : float
        It is not drawn where it is below this [electron/pixel].

    Notes
    -----
    King (1971): ``I ~ 1 / (r^2 + core^2)``.
    """
    outer, core = settings["aureole_radius"], settings["core"]
    norm = settings["aureole_fraction"] * electrons / (np.pi * np.log(1 + (outer / core) ** 2))
    reach = min(outer, np.sqrt(max(norm / faintest - core**2, 0.0)))
    window = _window(image.shape, centre, reach)
    if reach == 0 or window is None:
        return
    r2 = _squared_distance(window, centre)
    image[window] += np.where(r2 < reach**2, norm / (r2 + core**2), 0).astype(np.float32)


def add_spikes_in_place(image, centre, electrons, settings, faintest):
    """Add the diffraction spikes of the vanes that hold the secondary mirror.

    Parameters
    ----------
    image, centre, electrons, faintest
        As in `add_aureole_in_place`.
    settings : dict
        `spike_fraction` of the star's light; `spike_length` [pixel] at which they end; `spike_angle` [deg] of the
        first, from the detector's x axis.

    Notes
    -----
    Along a vane's spike the light falls with the square of the distance; across it is a Gaussian. Pixels so large
    that the spikes end within the star show none.
    """
    length, start = settings["spike_length"], 2 * SPIKE_WIDTH_PIXELS
    if length <= start:
        return
    norm = settings["spike_fraction"] * electrons / (SPIKE_ARMS * (1 / start - 1 / length))
    norm /= np.sqrt(2 * np.pi) * SPIKE_WIDTH_PIXELS
    reach = min(length, np.sqrt(norm / faintest))
    window = _window(image.shape, centre, reach)
    if reach <= start or window is None:
        return
    y, x = _offsets(window, centre)
    for arm in range(SPIKE_ARMS):
        angle = np.radians(settings["spike_angle"] + arm * 360 / SPIKE_ARMS)
        along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
        across = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))
        near = (along > start) & (along < reach) & (np.abs(across) < 4 * SPIKE_WIDTH_PIXELS)
        light = norm / along[near] ** 2 * np.exp(-0.5 * (across[near] / SPIKE_WIDTH_PIXELS) ** 2)
        image[window][near] += light.astype(np.float32)


def add_ghost_in_place(image, centre, electrons, settings, faintest):
    """Add a ghost: the out-of-focus image of the pupil, an even ring.

    Parameters
    ----------
    image, electrons, faintest
        As in `add_aureole_in_place`.
    centre : tuple of float
        x, y of the ghost [pixel].
    settings : dict
        `ghost_fraction` of the star's light, `ghost_radius` [pixel].
    """
    outer = settings["ghost_radius"]
    inner = GHOST_OBSTRUCTION * outer
    brightness = settings["ghost_fraction"] * electrons / (np.pi * (outer**2 - inner**2))
    window = _window(image.shape, centre, outer)
    if brightness < faintest or window is None:
        return
    r2 = _squared_distance(window, centre)
    image[window] += np.where((r2 < outer**2) & (r2 > inner**2), brightness, 0).astype(np.float32)


def add_trail_in_place(image, line, brightness, width):
    """Add the trail of a satellite: an even line with a Gaussian profile.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Changed in place [electron].
    line : tuple of float
        x, y of a point on it [pixel] and its angle from the x axis [radian].
    brightness : float
        Electrons per pixel of its length.
    width : float
        Standard deviation across [pixel].
    """
    x0, y0, angle = line
    ny, nx = image.shape
    y = np.arange(ny, dtype=np.float32)[:, None] - np.float32(y0)
    x = np.arange(nx, dtype=np.float32)[None, :] - np.float32(x0)
    across = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))
    near = np.abs(across) < 5 * width
    profile = np.exp(-0.5 * (across[near] / np.float32(width)) ** 2)
    image[near] += (brightness / (np.sqrt(2 * np.pi) * width) * profile).astype(np.float32)


def _window(shape, centre, reach):
    """Part of an image within a square about a point; None when they do not meet."""
    bounds = [
        (max(int(np.ceil(c - reach)), 0), min(int(np.floor(c + reach)) + 1, n))
        for c, n in zip(centre[::-1], shape, strict=True)
    ]
    if any(low >= high for low, high in bounds):
        return None
    return tuple(slice(low, high) for low, high in bounds)


def _offsets(window, centre):
    """Rows and columns of a window's pixels from a point, float32, of the window's shape."""
    rows, columns = (np.arange(part.start, part.stop, dtype=np.float32) for part in window)
    y, x = np.broadcast_arrays(
        (rows - np.float32(centre[1]))[:, None], (columns - np.float32(centre[0]))[None, :]
    )
    return y, x


def _squared_distance(window, centre):
    """Squared distance of a window's pixels from a point, float32."""
    y, x = _offsets(window, centre)
    return x * x + y * y
