"""Fields of many stars whose numbers go on rising below the threshold, and what of a source table is true of them.

Nothing here is shared with the pipeline: stars by GalSim, at places on eighths of a pixel.
"""

from dataclasses import dataclass

import galsim
import numpy as np
from drawn_detectors import FULL_WELL, SCALE
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from skyloom.core import mask_planes
from skyloom.core.images import Exposure, ExposureInfo, MaskedImage
from skyloom.core.reference import ReferenceStars
from skyloom.core.wcs import Wcs

ZERO_POINT = 3.2
"""nJy per electron."""
SKY, READ_NOISE = 800.0, 7.0
"""Electrons a pixel."""
FAINTEST, NUMBERED, BRIGHTEST = 0.3, 3.0, 5e3
"""S/N of the faintest stars, of those that the number of a field counts from, and of the brightest."""
SLOPE = 0.6
"""Of the cumulative numbers, N(> flux) ~ flux^-0.6: 0.24 in log N by magnitude."""
N_PHASE = 8
# Half-width of a star's image [pixel] from a signal to noise on.
HALVES = ((300.0, 60), (30.0, 35), (0.0, 20))
REFERENCE_FROM, MAX_REFERENCE = 100.0, 800
REFERENCE_ERROR_ARCSEC, REFERENCE_FLUX_ERROR = 0.002, 0.002


@dataclass(frozen=True)
class Crowd:
    """What a field is drawn with.

    Attributes
    ----------
    n_star : int
        Stars above S/N 3 on 2048 x 2048 pixels; four times as many are drawn, down to 0.3.
    fwhm : float
        Seeing [pixel], a Moffat profile of exponent 3.5.
    side : int
        Of the detector [pixel].
    variance_factor : float
        What the variance plane is over the truth.
    correlation : float
        Sigma of a Gaussian that the noise is smoothed with, its variance kept [pixel].
    """

    n_star: int
    fwhm: float = 4.0
    side: int = 1024
    variance_factor: float = 1.0
    correlation: float = 0.0


@dataclass(frozen=True)
class CrowdedField:
    """A detector and its truth.

    Attributes
    ----------
    exposure : Exposure
        Sky in, electrons.
    references : ReferenceStars
        The brighter stars, with small errors.
    predicted : Wcs
        Off by some arcsec.
    x, y, level : ndarray, shape (n,)
        True positions [pixel] and S/N above the noise of the sky.
    unit : float
        Flux of a star of S/N 1 [electron].
    """

    exposure: Exposure
    references: ReferenceStars
    predicted: Wcs
    x: np.ndarray
    y: np.ndarray
    level: np.ndarray
    unit: float


def draw_crowd(crowd, seed):
    """Return a field, all of it decided by the seed (CrowdedField)."""
    rng = np.random.default_rng(seed)
    n = int(crowd.n_star * (crowd.side / 2048) ** 2 * (NUMBERED / FAINTEST) ** SLOPE)
    steps = rng.integers(0, N_PHASE * (crowd.side - 1), (2, n))
    level = FAINTEST * np.minimum((1 - rng.random(n)) ** (-1 / SLOPE), BRIGHTEST / FAINTEST)
    stamps = _stamps(crowd.fwhm)
    unit = np.sqrt((SKY + READ_NOISE**2) / np.sum(stamps[N_PHASE // 2, N_PHASE // 2] ** 2))
    light = _light(crowd.side, stamps, steps, unit * level)
    x, y = steps / N_PHASE
    middle = np.full(2, (crowd.side - 1) / 2)
    matrix = np.array([[-SCALE, 0.0], [0.0, SCALE]]) / 3600
    wcs = Wcs(np.array([150.0, 2.2]), middle, matrix, shape=light.shape)
    pixels = _read_out(light, crowd, rng)
    return CrowdedField(
        Exposure(pixels, ExposureInfo(visit=5, detector=1, band="r", pointing_uncertainty=20.0)),
        _references(wcs, (x, y, unit * level, level), rng),
        Wcs(wcs.crval + 4 / 3600, wcs.crpix, wcs.cd, shape=light.shape),
        *(x, y, level, unit),
    )


def has_light(field, crowd, sources):
    """Sources that stand for true light: half of their flux or more is that of stars where they are.

    Parameters
    ----------
    field : CrowdedField
        The truth.
    crowd : Crowd
        What it was drawn with.
    sources : tuple of ndarray, shape (n,)
        x, y [pixel] and flux [electron].

    Returns
    -------
    ndarray, shape (n,), bool
        Stars within half a FWHM count, of faint ones those within five standard errors of the position, together:
        two of them closer than that are one source, and no false one.
    """
    x, y, flux = sources
    radius = np.maximum(0.5 * crowd.fwhm, _reach(crowd, flux / field.unit))
    near = cKDTree(np.column_stack([field.x, field.y])).query_ball_point(np.column_stack([x, y]), radius)
    light = np.array([field.level[stars].sum() for stars in near]) * field.unit
    return light > 0.5 * flux


def is_found(field, crowd, sources, levels):
    """For each star between two S/N, whether a source of half to twice its flux is where it is (ndarray of bool)."""
    x, y, flux = sources
    stars = (field.level >= levels[0]) & (field.level < levels[1])
    places = np.column_stack([field.x[stars], field.y[stars]])
    level = field.level[stars]
    near = cKDTree(np.column_stack([x, y])).query_ball_point(places, _reach(crowd, level))
    ratios = (flux[rows] / field.unit / one for rows, one in zip(near, level, strict=True))
    return np.array([np.any((ratio > 0.5) & (ratio < 2)) for ratio in ratios])


def _reach(crowd, level):
    """Five standard errors of a position at a S/N, at least a pixel."""
    return np.maximum(1.0, 5 * crowd.fwhm / 2.355 / np.maximum(level, 4.0))


def _stamps(fwhm):
    """Images of a star at each of the phases y, x from -1/2 pixel on."""
    profile = galsim.Moffat(beta=3.5, fwhm=fwhm * SCALE)
    side = 2 * HALVES[0][1] + 1
    shifts = np.arange(N_PHASE) / N_PHASE - 0.5
    draw = (
        profile.drawImage(nx=side, ny=side, scale=SCALE, offset=(x, y), dtype=float).array
        for y in shifts
        for x in shifts
    )
    return np.array(list(draw)).reshape(N_PHASE, N_PHASE, side, side)


def _light(side, stamps, steps, flux):
    """Expected electrons of stars at places in eighths of a pixel."""
    middle = stamps.shape[2] // 2
    light = np.zeros((side + 2 * middle, side + 2 * middle))
    columns, rows = (steps + N_PHASE // 2) // N_PHASE
    phase_x, phase_y = (steps + N_PHASE // 2) % N_PHASE
    level = flux / flux.min() * FAINTEST
    halves = np.select([level >= least for least, _ in HALVES], [half for _, half in HALVES])
    for i, half in enumerate(halves):
        row, column = rows[i] + middle, columns[i] + middle
        stamp = stamps[
            phase_y[i], phase_x[i], middle - half : middle + half + 1, middle - half : middle + half + 1
        ]
        light[row - half : row + half + 1, column - half : column + half + 1] += flux[i] * stamp
    return light[middle:-middle, middle:-middle]


def _read_out(light, crowd, rng):
    """Pixels with noise, and with a variance plane that is off by what the crowd says."""
    expected = light + SKY
    noise = rng.poisson(expected) - expected + rng.normal(0, READ_NOISE, light.shape)
    if crowd.correlation:
        blank = np.zeros((41, 41))
        blank[20, 20] = 1
        lost = np.sum(gaussian_filter(blank, crowd.correlation) ** 2)
        noise = gaussian_filter(noise, crowd.correlation) / np.sqrt(lost)
    counts = expected + noise
    full = counts > FULL_WELL
    counts = np.minimum(counts, FULL_WELL)
    variance = crowd.variance_factor * (np.maximum(counts, 0.9 * SKY) + READ_NOISE**2)
    mask = np.where(full, mask_planes.SAT, 0).astype(np.uint32)
    return MaskedImage(counts.astype(np.float32), mask, variance.astype(np.float32))


def _references(wcs, stars, rng):
    """Catalogue of the brightest stars."""
    x, y, flux, level = stars
    known = np.argsort(-level)[: min(MAX_REFERENCE, np.count_nonzero(level > REFERENCE_FROM))]
    n = len(known)
    ra, dec = wcs.pixel_to_sky(x[known], y[known])
    noise = rng.normal(0, REFERENCE_ERROR_ARCSEC / 3600, (2, n))
    errors = np.full(n, REFERENCE_ERROR_ARCSEC)
    true = ZERO_POINT * flux[known]
    return ReferenceStars(
        np.arange(n), ra + noise[0], dec + noise[1], errors, errors, true, true * REFERENCE_FLUX_ERROR
    )
