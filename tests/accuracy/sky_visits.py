"""Visits of several detectors whose sky and nebula are known, as the calexps that the pipeline makes of them."""

from dataclasses import dataclass, replace

import numpy as np
from background_scenes import READ_NOISE, Field, add_galaxies_in_place, add_stars_in_place
from drawn_detectors import SCALE, read_out
from pipeline_settings import run_passes, settings_of

from skyloom.core.images import Exposure, ExposureInfo
from skyloom.core.photo_calib import constant_field
from skyloom.core.wcs import Wcs

VISIT = 301
FOUR = [(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)]
CELLS = 16
"""Along a side of the small detectors."""
GAP = 24
"""Between detectors [pixel]."""
FACTOR_ERROR = 0.003
"""Scatter of what the detectors see of the sky: zero points from a hundred stars, and flats."""
ZERO_POINT_ERROR = 0.001
"""What each zero point says of itself."""


def nebula(peak):
    """A nebula of half a detector, 0.8 sides across down to 2 % of its peak, on one of four and at edges of two."""
    return lambda x, y: peak * np.exp(-0.5 * ((x - 0.3) ** 2 + (y - 0.4) ** 2) / 0.15**2)


@dataclass(frozen=True)
class DrawnCalexp:
    """One detector and its truth.

    Attributes
    ----------
    calexp : Exposure
        Its own background subtracted [nJy]; one electron is one nJy, but for the error of the detector's factor.
    factor : float
        By which all of its light is wrong.
    sky, nebula : ndarray, shape (ny, nx)
        Without that error [nJy].
    """

    calexp: Exposure
    factor: float
    sky: np.ndarray
    nebula: np.ndarray


def draw_visit(seed, places, nebula, side=512):
    """Detectors at places of the focal plane.

    Parameters
    ----------
    seed : int
        Decides everything.
    places : list of tuple of float
        Centre (x, y) of each detector [detectors and gaps from the middle].
    nebula : callable
        Electrons of a pixel at (x, y) [detector sides from the middle].
    side : int
        Side of a detector [pixel].

    Returns
    -------
    list of DrawnCalexp
    """
    rng = np.random.default_rng(seed)
    density = (side / 1024) ** 2
    field = Field(side=side, n_star=int(500 * density), n_galaxy=int(750 * density))
    turn, bowl = rng.uniform(0, 2 * np.pi), rng.uniform(-0.02, 0.02)
    found = []
    for number, place in enumerate(places):
        x, y = focal_plane(place, side)
        sky = field.sky * (1 + 0.03 * (np.cos(turn) * x + np.sin(turn) * y) + bowl * (x**2 - 0.5 * x * y))
        light = nebula(x, y)
        factor = 1 + rng.normal(0, FACTOR_ERROR)
        exposure = _calexp(sky + light, field, rng, number, place)
        found.append(DrawnCalexp(_scaled(exposure, factor), factor, sky, light))
    return found


def focal_plane(place, side):
    """Places (x, y) of a detector's pixels from the middle of the focal plane [detector side]."""
    step = (side + GAP) / side
    pixel = (np.arange(side) + 0.5) / side - 0.5
    return np.meshgrid(place[0] * step + pixel, place[1] * step + pixel)


def _calexp(diffuse, field, rng, number, place):
    """What the pipeline makes of diffuse light with stars and galaxies in it."""
    side, light = field.side, np.array(diffuse)
    add_galaxies_in_place(light, field, rng)
    add_stars_in_place(light, field, rng)
    found = run_passes(read_out(light, READ_NOISE, rng, bleed=0), settings_of("calibrate"), number)
    middle = (side - 1) / 2 - np.array(place) * (side + GAP)
    wcs = Wcs(np.array([150.0, 2.2]), middle, SCALE / 3600 * np.diag([-1.0, 1.0]), shape=(side, side))
    info = ExposureInfo(visit=VISIT, detector=number, band="r", mjd=61384.2, ra=150.0, dec=2.2)
    return Exposure(
        found.pixels,
        info,
        wcs=wcs,
        psf=found.stars.fit.psf,
        photo_calib=constant_field(1.0, (side, side), ZERO_POINT_ERROR),
        background=found.background,
    )


def _scaled(exposure, factor):
    """Exposure with all of its light times a factor."""
    pixels, background = exposure.pixels, exposure.background
    return replace(
        exposure,
        pixels=replace(pixels, image=pixels.image * np.float32(factor)),
        background=replace(background, mesh=background.mesh * np.float32(factor)),
    )
