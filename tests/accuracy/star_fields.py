"""Detectors of isolated stars, each at a wanted true signal to noise, and what the photons allow to know of them.

Nothing here is shared with the pipeline: stars by GalSim, limits from the drawn pixels alone.
"""

from dataclasses import dataclass

import galsim
import numpy as np
from drawn_detectors import SCALE, add_in_place, blank_light, image_at, read_out

from skyloom.core.images import Exposure, ExposureInfo
from skyloom.core.reference import ReferenceStars
from skyloom.core.wcs import Wcs

ZERO_POINT = 3.2
"""nJy per electron."""
# Least distance of two stars, and of a star from the edge [pixel].
SEPARATION, MARGIN = 30.0, 14.0
# Half-width of a star's image [pixel] from a signal to noise on.
HALVES = ((0.0, 22), (40.0, 32), (250.0, 64))
REFERENCE_FROM = 225.0
"""Stars of this S/N are in the reference catalogue: none that is judged."""
REFERENCE_ERROR_ARCSEC, REFERENCE_FLUX_ERROR = 0.002, 0.002
N_STEP = 8


@dataclass(frozen=True)
class Sky:
    """What a field is drawn with.

    Attributes
    ----------
    profile : str
        ``kolmogorov`` or ``moffat`` (of exponent 3).
    seeing : float
        FWHM [arcsec].
    sky, read_noise : float
        Electrons a pixel.
    side, n_star : int
        Side of the detector [pixel], number of stars.
    levels : tuple of float
        Signal to noise of the stars, of equal numbers.
    bright_share : float
        Part of the stars that is brighter, for PSF and calibration.
    bright : tuple of float
        Their least and largest signal to noise; uniform in its logarithm.
    """

    profile: str = "kolmogorov"
    seeing: float = 0.8
    sky: float = 800.0
    read_noise: float = 7.0
    side: int = 2048
    n_star: int = 2000
    levels: tuple = (10.0, 20.0, 50.0, 100.0, 200.0)
    bright_share: float = 0.2
    bright: tuple = (250.0, 800.0)


@dataclass(frozen=True)
class StarField:
    """A detector and its truth.

    Attributes
    ----------
    exposure : Exposure
        Sky in, electrons.
    references : ReferenceStars
        The brighter stars, with small errors.
    predicted : Wcs
        Off by some arcsec.
    x, y, flux, level : ndarray, shape (n,)
        True positions [pixel], fluxes [electron], signal to noise.
    flux_limit, x_limit, y_limit : ndarray, shape (n,)
        Cramer-Rao limits with the stars' own photons [electron], [pixel].
    """

    exposure: Exposure
    references: ReferenceStars
    predicted: Wcs
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    level: np.ndarray
    flux_limit: np.ndarray
    x_limit: np.ndarray
    y_limit: np.ndarray


def psf_at(sky, u, v):
    """Profile at a place of the field, (0, 0) in the middle, 1 at the edges: its size varies by a tenth."""
    size = sky.seeing * (1 + 0.025 * u - 0.02 * v + 0.015 * u * v + 0.015 * (u**2 - v**2))
    is_moffat = sky.profile == "moffat"
    profile = galsim.Moffat(beta=3.0, fwhm=size) if is_moffat else galsim.Kolmogorov(fwhm=size)
    return profile.shear(e1=0.02 + 0.015 * u - 0.01 * v * u, e2=-0.01 + 0.02 * v + 0.01 * u**2)


def draw_field(sky, seed):
    """Return a field, all of it decided by the seed (StarField)."""
    rng = np.random.default_rng(seed)
    x, y, level = _places(sky, rng)
    light = blank_light(sky.side)
    rows = [_add_star(light, sky, star) for star in zip(x, y, level, strict=True)]
    flux, flux_limit, x_limit, y_limit = np.array(rows).T
    pixels = read_out(light.array + sky.sky, sky.read_noise, rng, bleed=0)
    shape = pixels.shape
    middle = np.full(2, (sky.side - 1) / 2)
    wcs = Wcs(np.array([150.0, 2.2]), middle, np.array([[-SCALE, 0.0], [0.0, SCALE]]) / 3600, shape=shape)
    return StarField(
        Exposure(pixels, ExposureInfo(visit=5, detector=1, band="r", pointing_uncertainty=20.0)),
        _references(wcs, (x, y, flux, level), rng),
        Wcs(wcs.crval + 4 / 3600, wcs.crpix, wcs.cd, shape=shape),
        *(x, y, flux, level, flux_limit, x_limit, y_limit),
    )


def _places(sky, rng):
    """Positions [pixel] and S/N of the stars."""
    n = sky.n_star
    places = np.full((n, 2), np.inf)
    for i in range(n):
        while True:
            place = rng.uniform(MARGIN, sky.side - 1 - MARGIN, 2)
            if np.all(np.sum((places[:i] - place) ** 2, axis=1) > SEPARATION**2):
                break
        places[i] = place
    level = np.array(sky.levels)[np.arange(n) % len(sky.levels)]
    low, high = np.log(sky.bright)
    level = np.where(rng.random(n) < sky.bright_share, np.exp(rng.uniform(low, high, n)), level)
    return *places.T, level


def _add_star(light, sky, star):
    """Draw a star; its flux and its limits."""
    x, y, level = star
    half = max(size for least, size in HALVES if level >= least)
    psf = psf_at(sky, 2 * x / sky.side - 1, 2 * y / sky.side - 1)
    stamp = image_at(psf, (x, y), half)
    profile = np.maximum(stamp.array, 0)
    noise = sky.sky + sky.read_noise**2
    flux = _flux_of(level, profile, noise)
    add_in_place(light, stamp, flux)
    variance = noise + flux * profile
    limits = [1 / np.sqrt(np.sum((flux * slope) ** 2 / variance)) for slope in _slopes(stamp.array)]
    return flux, flux / level, *limits


def _flux_of(level, profile, noise):
    """Flux at which the Cramer-Rao limit gives a signal to noise."""
    flux = level * np.sqrt(noise / np.sum(profile**2))
    for _ in range(N_STEP):
        flux = level / np.sqrt(np.sum(profile**2 / (noise + flux * profile)))
    return flux


def _slopes(stamp):
    """Derivatives of a well sampled image along x and y, by its Fourier transform."""
    transform = np.fft.rfft2(stamp)
    rows, columns = np.fft.fftfreq(stamp.shape[0]), np.fft.rfftfreq(stamp.shape[1])
    return [
        np.fft.irfft2(transform * 2j * np.pi * frequency, s=stamp.shape)
        for frequency in (columns[None, :], rows[:, None])
    ]


def _references(wcs, stars, rng):
    """Catalogue of the brighter stars."""
    x, y, flux, level = stars
    known = level >= REFERENCE_FROM
    ra, dec = wcs.pixel_to_sky(x[known], y[known])
    n = len(ra)
    noise = rng.normal(0, REFERENCE_ERROR_ARCSEC / 3600, (2, n))
    true = ZERO_POINT * flux[known]
    errors = np.full(n, REFERENCE_ERROR_ARCSEC)
    return ReferenceStars(
        np.arange(n), ra + noise[0], dec + noise[1], errors, errors,
        true * (1 + rng.normal(0, REFERENCE_FLUX_ERROR, n)), true * REFERENCE_FLUX_ERROR,
    )  # fmt: skip
