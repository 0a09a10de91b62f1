"""The camera's own truth, detector by detector: gains, bias structure, response, dark current, defects."""

from dataclasses import dataclass, replace

import numpy as np

from skyloom.core.random import generator
from skyloom.simulate.optics import detector_to_focal_plane
from skyloom.simulate.random_field import draw_field

BIAS_RAMP_PIXELS = 30.0
"""Rows over which the bias settles after the start of the read-out."""
HOT_PIXEL_RANGE = (2.0, 2000.0)
"""Dark current of hot pixels [electron/s], uniform in its logarithm."""
DEAD_PIXEL_RESPONSE = 0.3
BAD_COLUMN_RESPONSE = 0.2
FRINGE_ORDERS = 3.0
"""Standard deviation of the silicon's thickness in wavelengths: that many fringes cross a detector."""
FRINGE_SCALE = 1.0
"""Outer scale of the thickness over the detector's side."""
FRINGE_SMOOTHEST = 2 * np.pi * 4
"""Largest wave number of the thickness times its outer scale: silicon is polished."""
FILTER_TILT = 0.01
"""Change of a filter's response from the axis to the field's edge."""


@dataclass(frozen=True, slots=True)
class DetectorTruth:
    """What a detector truly does, against what its camera file says.

    Attributes
    ----------
    gain, read_noise : dict of str to float
        True gain [electron/ADU] and read noise [electron] by amplifier name.
    bias_level : dict of str to float
        Mean bias [ADU] by amplifier.
    bias_rows, bias_columns : dict of str to ndarray
        Fixed pattern [ADU] of an amplifier's rows and columns; its serial overscan shows the rows' alone.
    response : ndarray, shape (ny, nx), float32
        Sensitivity of each pixel, filter and vignetting left out.
    dark : ndarray, shape (ny, nx), float32
        Dark current [electron/s].
    crosstalk : ndarray, shape (a, a), float64
        Part of an amplifier's signal (column) that appears in another's (row), in the order of the layout.
    dead : tuple of str
        Amplifiers without signal.
    """

    gain: dict
    read_noise: dict
    bias_level: dict
    bias_rows: dict
    bias_columns: dict
    response: np.ndarray
    dark: np.ndarray
    crosstalk: np.ndarray
    dead: tuple


def draw_detector(detector, simulation):
    """Draw what a detector truly does, the same in every frame.

    Parameters
    ----------
    detector : Detector
        Layout and believed gains and read noise.
    simulation : Simulation
        Its settings `detector` and its seed.

    Returns
    -------
    DetectorTruth
        Depends on nothing but the arguments.
    """
    settings = simulation.settings["detector"]
    rng = generator(simulation.seed, "detector", detector.id)
    gain, read_noise, level, rows, columns = {}, {}, {}, {}, {}
    for amplifier in detector.amplifiers:
        name = amplifier.name
        x0, x1, y0, y1 = amplifier_bounds(amplifier)
        gain[name] = amplifier.gain * (1 + settings["gain_error"] * rng.standard_normal())
        read_noise[name] = amplifier.read_noise * (1 + settings["read_noise_error"] * rng.standard_normal())
        level[name] = settings["bias_level"] * rng.uniform(0.9, 1.1)
        ramp = np.exp(-np.arange(y1 - y0) / BIAS_RAMP_PIXELS)
        rows[name] = settings["bias_structure"] * (2 * ramp + 0.3 * rng.standard_normal(y1 - y0))
        columns[name] = settings["bias_structure"] * rng.standard_normal(x1 - x0)
    return DetectorTruth(
        gain,
        read_noise,
        level,
        rows,
        columns,
        _pixel_response(detector, settings, rng) * amplifier_steps(detector, simulation),
        _dark(detector, settings, rng),
        _crosstalk(detector, simulation),
        tuple(dead["amplifier"] for dead in settings["dead_amplifiers"] if dead["detector"] == detector.id),
    )


def amplifier_steps(detector, simulation):
    """Relative sensitivity of the amplifiers' parts of a detector.

    Parameters
    ----------
    detector : Detector
        Layout.
    simulation : Simulation
        Its setting `detector.amplifier_response` (standard deviation) and its seed.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        One value for each amplifier's part.
    """
    steps = np.ones(detector.shape, np.float32)
    scatter = simulation.settings["detector"]["amplifier_response"]
    if scatter > 0:
        rng = generator(simulation.seed, "amplifier response", detector.id)
        for amplifier in detector.amplifiers:
            x0, x1, y0, y1 = amplifier.detector_section
            steps[y0:y1, x0:x1] = 1 + scatter * rng.standard_normal()
    return steps


def _crosstalk(detector, simulation):
    """Matrix of the crosstalk between the amplifiers of a detector: of either sign, none with itself."""
    n, scatter = len(detector.amplifiers), simulation.settings["detector"]["crosstalk"]
    rng = generator(simulation.seed, "crosstalk", detector.id)
    matrix = scatter * rng.standard_normal((n, n))
    np.fill_diagonal(matrix, 0.0)
    return matrix


def detector_tonight(detector, mjd, simulation):
    """What a detector truly does in one night: its gains have drifted from their means.

    Parameters
    ----------
    detector : Detector
        Layout.
    mjd : float
        Time [MJD]; gains are the same for one integer part.
    simulation : Simulation
        Its setting `detector.gain_drift` (standard deviation from night to night) and its seed.

    Returns
    -------
    DetectorTruth
    """
    truth = draw_detector(detector, simulation)
    drift = simulation.settings["detector"]["gain_drift"]
    rng = generator(simulation.seed, "gain drift", int(mjd), detector.id)
    gain = {name: mean * (1 + drift * rng.standard_normal()) for name, mean in truth.gain.items()}
    return replace(truth, gain=gain)


def fringes(detector, band, simulation):
    """Fringe pattern of the sky's emission lines in a detector, relative to the dark sky.

    Parameters
    ----------
    detector : Detector
        Layout.
    band : str
        Band: its amplitude is the setting `detector.fringing`.
    simulation : Simulation
        Settings and seed.

    Returns
    -------
    ndarray, shape (ny, nx), float32, or None
        Of zero mean, nearly; None for a band without fringes.

    Notes
    -----
    Interference in silicon whose thickness varies smoothly: the cosine of a smooth random phase. Flat fields show
    none, because lamps have no lines.
    """
    amplitude = simulation.settings["detector"]["fringing"].get(band, 0.0)
    if amplitude == 0:
        return None
    ny, nx = detector.shape
    rng = generator(simulation.seed, "fringes", detector.id)
    thickness = draw_field((2 * np.pi * FRINGE_ORDERS) ** 2, FRINGE_SCALE * max(ny, nx), rng)
    smooth = thickness.waves_below(FRINGE_SMOOTHEST / (FRINGE_SCALE * max(ny, nx)))
    phase = smooth.plane(np.arange(nx, dtype=float), np.arange(ny, dtype=float))
    return np.float32(amplitude) * np.cos(phase)


def amplifier_bounds(amplifier):
    """Smallest box of the raw plane that holds all sections of an amplifier.

    Parameters
    ----------
    amplifier : Amplifier
        With its sections.

    Returns
    -------
    tuple of int
        (x0, x1, y0, y1) [pixel]; x1 and y1 are the first ones outside.
    """
    sections = (
        amplifier.data_section,
        amplifier.overscan_section,
        amplifier.prescan_section,
        amplifier.parallel_overscan_section,
    )
    x0, x1, y0, y1 = zip(*(s for s in sections if s is not None), strict=True)
    return min(x0), max(x1), min(y0), max(y1)


def _pixel_response(detector, settings, rng):
    """Pixel-to-pixel response with dead pixels and bad columns, float32."""
    ny, nx = detector.shape
    response = 1 + np.float32(settings["pixel_response"]) * rng.standard_normal((ny, nx), dtype=np.float32)
    n_dead = rng.poisson(settings["dead_pixel_fraction"] * ny * nx)
    response[rng.integers(0, ny, n_dead), rng.integers(0, nx, n_dead)] *= rng.uniform(
        0, DEAD_PIXEL_RESPONSE, n_dead
    )
    for column in rng.integers(0, nx, settings["bad_columns"]):
        response[:, column] *= BAD_COLUMN_RESPONSE
    return np.maximum(response, np.float32(0))


def _dark(detector, settings, rng):
    """Dark current with a slope and hot pixels [electron/s], float32."""
    ny, nx = detector.shape
    level = settings["dark_current"]
    dark = np.linspace(0.9, 1.1, ny, dtype=np.float32)[:, None] * np.full((1, nx), level, np.float32)
    n_hot = rng.poisson(settings["hot_pixel_fraction"] * ny * nx)
    rates = np.exp(rng.uniform(*np.log(HOT_PIXEL_RANGE), n_hot)).astype(np.float32)
    dark[rng.integers(0, ny, n_hot), rng.integers(0, nx, n_hot)] = level + rates
    return dark


def focal_plane_grid(detector):
    """Focal-plane coordinates of all pixels of a detector.

    Parameters
    ----------
    detector : Detector
        Its shape and place.

    Returns
    -------
    focal_x, focal_y : ndarray, shape (ny, nx), float32
        Coordinates [pixel from the boresight].
    """
    ny, nx = detector.shape
    x, y = np.arange(nx, dtype=np.float32)[None, :], np.arange(ny, dtype=np.float32)[:, None]
    focal_x, focal_y = detector_to_focal_plane(detector, x, y)
    return focal_x.astype(np.float32), focal_y.astype(np.float32)


def illumination(focal_x, focal_y, band, optics, simulation):
    """Vignetting times the filter's response.

    Parameters
    ----------
    focal_x, focal_y : ndarray
        Focal-plane coordinates [pixel].
    band : str
        Band; its filter is tilted in its own direction.
    optics : Optics
        Its field radius.
    simulation : Simulation
        Its setting `detector.vignetting` (loss at the field's edge) and its seed.

    Returns
    -------
    ndarray
        1 on the axis; dtype and shape of the coordinates.
    """
    angle = generator(simulation.seed, "filter", band).uniform(0, 2 * np.pi)
    u, v = focal_x / optics.field_radius, focal_y / optics.field_radius
    vignetting = 1 - simulation.settings["detector"]["vignetting"] * (u**2 + v**2)
    return vignetting * (1 + FILTER_TILT * (float(np.cos(angle)) * u + float(np.sin(angle)) * v))
