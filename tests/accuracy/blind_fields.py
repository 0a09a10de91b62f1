"""Fields whose pointing, rotation, parity and scale nobody knows, with catalogues of every kind, and their truth."""

from dataclasses import dataclass

import numpy as np
from pipeline_settings import settings_of

from skyloom.algorithms.plane_polynomial import wcs_from_polynomial
from skyloom.calibrate.star_field import SourcePositions
from skyloom.core.reference import ReferenceStars
from skyloom.core.wcs import Wcs, tan_deproject, tan_project

SIDE = 2048
SHAPE = (SIDE, SIDE)
CENTRE = np.array([(SIDE - 1) / 2] * 2)
SCALE = 0.2
"""What the camera file says [arcsec/pixel]."""
OFFSET_ARCSEC = 120.0
SCALE_ERROR = 0.03
DISTORTION_PIXEL = 3.0
SEARCHED_DEGREE = 0.36
"""Side of the sky that holds the detector's circumscribed circle wherever the search may look."""
SLOPE = 0.25
"""dex a magnitude: counts of stars."""
COLOUR_SCATTER = 0.5
"""Magnitudes between the band of the frame and that of the catalogue."""
MISSING_STARS, FALSE_DETECTIONS, MISSING_DETECTIONS = 0.15, 0.2, 0.1
REFERENCE_ERROR = 0.005
"""Of a coordinate [arcsec]."""
SATURATION, DEPTH = 16.0, 22.0
"""Magnitudes of the frame's brightest and faintest stars."""


@dataclass(frozen=True)
class Kind:
    """Density of the field and depth of its catalogue.

    Attributes
    ----------
    n_star : int
        Stars that the frame shows.
    bright, faint : float
        Magnitudes of the catalogue's brightest and faintest stars.
    false : float
        Part of the catalogue that is false.
    side : float
        Side of the catalogue's area [degree].
    """

    n_star: int
    bright: float = 13.0
    faint: float = 21.0
    false: float = 0.3
    side: float = SEARCHED_DEGREE


KINDS = {
    "plain": Kind(400),
    "crowded": Kind(8000),
    "sparse": Kind(40),
    "shallow catalogue": Kind(1500, bright=10.0, faint=18.0),
    "deep catalogue": Kind(400, bright=18.0, faint=24.0),
}


@dataclass(frozen=True)
class BlindField:
    """A frame, a catalogue, what was believed and what is true.

    Attributes
    ----------
    sources : SourcePositions
        Detections.
    references : ReferenceStars
        The catalogue.
    predicted, truth : Wcs
        WCS that the camera promises, and the true one.
    is_mirrored : bool
        Whether the camera's parity is wrong.
    """

    sources: SourcePositions
    references: ReferenceStars
    predicted: Wcs
    truth: Wcs
    is_mirrored: bool

    def error(self, wcs):
        """Return the error of a WCS over the detector [arcsec], shape (2, 81)."""
        x, y = (c.ravel() for c in np.meshgrid(*[np.linspace(0, SIDE - 1, 9)] * 2))
        there = tan_project(*wcs.pixel_to_sky(x, y), *self.truth.crval)
        true = tan_project(*self.truth.pixel_to_sky(x, y), *self.truth.crval)
        return (np.array(there) - np.array(true)) * 3600


def astrometry_settings(**search):
    """Section ``calibrate.astrometry`` with the schema's defaults, the limits of the search changed."""
    settings = settings_of("calibrate", "astrometry")
    return settings | {"search": settings["search"] | search}


def make_field(seed, kind, is_wrong_sky=False):
    """Make a field.

    Parameters
    ----------
    seed : int
        Of everything.
    kind : Kind
        Density and depth.
    is_wrong_sky : bool
        Whether the catalogue is that of another part of the sky.

    Returns
    -------
    BlindField
        The field.
    """
    rng = np.random.default_rng([seed, kind.n_star, is_wrong_sky])
    ra, dec = rng.uniform(0, 360), np.degrees(np.arcsin(rng.uniform(-0.98, 0.98)))
    is_mirrored = bool(rng.random() < 0.5)
    truth = _true_wcs(rng, (ra, dec), is_mirrored)
    sky = _stars(rng, kind, (ra, dec))
    other = _stars(rng, kind, (ra, dec)) if is_wrong_sky else sky
    predicted = Wcs(np.array([ra, dec]), CENTRE, np.diag([-SCALE, SCALE]) / 3600, shape=SHAPE)
    return BlindField(
        _observe(rng, truth, sky), _catalogue(rng, other, kind, (ra, dec)), predicted, truth, is_mirrored
    )


def _true_wcs(rng, centre, is_mirrored):
    """WCS with any rotation, an offset, a scale and a cubic distortion that nobody described."""
    scale = SCALE / 3600 * (1 + rng.uniform(-SCALE_ERROR, SCALE_ERROR))
    half, turn = SIDE / 2, rng.uniform(0, 2 * np.pi)
    coefficients = rng.normal(0, DISTORTION_PIXEL / 3, (2, 10)) * scale
    coefficients[:, 3:6] /= half**2
    coefficients[:, 6:] /= half**3
    coefficients[:, 0] = 0
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    coefficients[:, 1:3] = rotation @ np.diag([scale if is_mirrored else -scale, scale])
    reach, angle = OFFSET_ARCSEC / 3600 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
    crval = tan_deproject(reach * np.cos(angle), reach * np.sin(angle), *centre)
    return wcs_from_polynomial(coefficients, [float(c) for c in crval], CENTRE, SHAPE)


def _magnitudes(rng, n, bright, faint):
    """Magnitudes of a power law between limits."""
    low, high = 10 ** (SLOPE * bright), 10 ** (SLOPE * faint)
    return np.log10(rng.uniform(low, high, n)) / SLOPE


def _stars(rng, kind, centre):
    """Stars of frame or catalogue around a place: ra, dec, magnitude in the frame's band."""
    bright, faint = min(kind.bright, SATURATION), max(kind.faint, DEPTH)
    shown = 10 ** (SLOPE * DEPTH) - 10 ** (SLOPE * SATURATION)
    ratio = (10 ** (SLOPE * faint) - 10 ** (SLOPE * bright)) / shown
    area = (kind.side / (SIDE * SCALE / 3600)) ** 2
    n = rng.poisson(kind.n_star * ratio * area)
    xi, eta = rng.uniform(-kind.side / 2, kind.side / 2, (2, n))
    return (*tan_deproject(xi, eta, *centre), _magnitudes(rng, n, bright, faint))


def _observe(rng, truth, sky):
    """Detections: stars with noise, some lost, and false ones."""
    ra, dec, magnitude = (c[(sky[2] > SATURATION) & (sky[2] < DEPTH)] for c in sky)
    x, y = truth.sky_to_pixel(ra, dec)
    kept = (x > 0) & (x < SIDE - 1) & (y > 0) & (y < SIDE - 1) & (rng.random(len(x)) > MISSING_DETECTIONS)
    x, y, magnitude = x[kept], y[kept], magnitude[kept]
    n_false = int(FALSE_DETECTIONS * len(x))
    false = rng.uniform(0, SIDE - 1, (2, n_false))
    magnitude = np.concatenate([magnitude, rng.choice(magnitude, n_false)])
    signal_to_noise = 10 * 10 ** (0.4 * (DEPTH - magnitude))
    error = np.maximum(1.7 / signal_to_noise, 0.005)
    x, y = (np.concatenate(c) + rng.normal(0, error) for c in ((x, false[0]), (y, false[1])))
    return SourcePositions(x, y, error, error, 10 ** (0.4 * (DEPTH - magnitude)))


def _catalogue(rng, sky, kind, centre):
    """Reference stars in another band: some missing, and false ones."""
    magnitude = sky[2] + rng.normal(0, COLOUR_SCATTER, len(sky[2]))
    kept = (magnitude > kind.bright) & (magnitude < kind.faint) & (rng.random(len(magnitude)) > MISSING_STARS)
    ra, dec, magnitude = sky[0][kept], sky[1][kept], magnitude[kept]
    n_false = int(kind.false / (1 - kind.false) * len(ra))
    false = tan_deproject(*rng.uniform(-kind.side / 2, kind.side / 2, (2, n_false)), *centre)
    ra, dec = np.concatenate([ra, false[0]]), np.concatenate([dec, false[1]])
    magnitude = np.concatenate([magnitude, rng.choice(magnitude, n_false)])
    n = len(ra)
    error = np.full(n, REFERENCE_ERROR)
    ra = (ra + rng.normal(0, error) / 3600 / np.cos(np.radians(dec))) % 360
    dec = dec + rng.normal(0, error) / 3600
    flux = 10 ** (0.4 * (31.4 - magnitude))
    return ReferenceStars(np.arange(n), ra, dec, error, error, flux, 0.02 * flux)
