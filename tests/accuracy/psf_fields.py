"""Detectors whose PSF varies over the field and is known everywhere, drawn by GalSim: stars, pairs, galaxies, rays.

Nothing here is shared with the pipeline. The PSF is the atmosphere's with optics whose aberrations grow with the
distance from the axis, or a sheared profile whose size and shape are polynomials of the position.
"""

from dataclasses import dataclass

import galsim
import numpy as np
from drawn_detectors import SCALE, add_in_place, blank_light, image_at, read_out
from ray_scenes import RAYS

from skyloom.core.images import MaskedImage

STAR_SLOPE, GALAXY_SLOPE = 0.6, 0.8
"""Of the cumulative counts in flux."""
FAINTEST_STAR, FAINTEST_GALAXY = 8.0, 4.0
"""Signal-to-noise of the faintest."""
TRUTH_SIZE = 61
SIZE_SPREAD, SHEAR_SPREAD = (0.08, 0.12), (0.02, 0.04)
"""Least and largest change over the field: of the size, relative, and of a shear, half of the ellipticity."""
OPTICS_LIMIT = 15.0
"""Stars fainter than this signal-to-noise get no diffraction: it costs ten times the atmosphere, and they show none."""


@dataclass(frozen=True)
class Field:
    """What a field is drawn with.

    Attributes
    ----------
    profile : str
        ``optics``, ``kolmogorov`` or ``moffat``.
    seeing : float
        FWHM in the middle [arcsec].
    sky, read_noise : float
        Electrons.
    side, n_star, n_galaxy : int
        Of the detector [pixel], and what is on it.
    pairs : float
        Part of the stars that have a companion within 1.5 FWHM.
    rays : bool
        Cosmic rays.
    """

    profile: str = "optics"
    seeing: float = 0.8
    sky: float = 800.0
    read_noise: float = 7.0
    side: int = 2048
    n_star: int = 2400
    n_galaxy: int = 2500
    pairs: float = 0.05
    rays: bool = True


@dataclass(frozen=True)
class Observed:
    """Pixels of a field, sky included [electron], its PSF, and its stars.

    Attributes
    ----------
    pixels : MaskedImage
        As after instrument signature removal.
    psf : TruePsf
        What it was drawn with.
    x, y, flux : ndarray, shape (n,)
        True stars, pairs too.
    """

    pixels: MaskedImage
    psf: "TruePsf"
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray


def field_terms(u, v):
    """Polynomials of second order of a place of the field, (0, 0) in the middle, 1 at the edges."""
    return np.array([0.5 + 0 * u, u, v, u * u - 0.4, u * v, v * v - 0.4])


def spread_over_field(coefficients, spread):
    """Coefficients of a polynomial, scaled so that its values spread over the field by so much."""
    grid = np.linspace(-1, 1, 21)
    values = np.tensordot(coefficients, field_terms(*np.meshgrid(grid, grid)), axes=1)
    return coefficients * (spread / np.ptp(values))


class TruePsf:
    """PSF of a field: size, shape and aberrations are drawn from the seed.

    Parameters
    ----------
    field : Field
        Profile and seeing.
    rng : numpy.random.Generator
        Draws the variation.
    """

    def __init__(self, field, rng):
        self.field = field
        # The optics' aberrations change the size by some per cent more.
        self.size = spread_over_field(rng.uniform(-1, 1, 6), rng.uniform(*SIZE_SPREAD))
        self.shear = np.stack(
            [spread_over_field(rng.uniform(-1, 1, 6), rng.uniform(*SHEAR_SPREAD)) for _ in "12"]
        )
        self.axis = rng.uniform(-1.5, 1.5, 2)
        self.aberrations = rng.uniform(-0.12, 0.12, (4, 3))

    def at(self, x, y, *, with_optics=True):
        """Profile at a pixel (galsim.GSObject of flux 1)."""
        u, v = (2 * value / self.field.side - 1 for value in (x, y))
        terms = field_terms(u, v)
        fwhm = self.field.seeing * (1 + self.size @ terms)
        g1, g2 = self.shear @ terms
        if self.field.profile == "moffat":
            return galsim.Moffat(beta=3.0, fwhm=fwhm).shear(g1=g1, g2=g2)
        atmosphere = galsim.Kolmogorov(fwhm=fwhm).shear(g1=g1, g2=g2)
        if self.field.profile == "kolmogorov" or not with_optics:
            return atmosphere
        return galsim.Convolve([atmosphere, self._optics(u - self.axis[0], v - self.axis[1])])

    def _optics(self, u, v):
        """Diffraction of a 4-m telescope: defocus of a curved field, astigmatism, coma."""
        defocus, astigmatism, coma, constant = self.aberrations
        r2 = u * u + v * v
        return galsim.OpticalPSF(
            lam=650,
            diam=4.0,
            obscuration=0.3,
            defocus=defocus @ [1, u, v] + 0.03 * r2,
            astig1=astigmatism[0] + 0.03 * (u * u - v * v),
            astig2=astigmatism[1] + 0.06 * u * v,
            coma1=constant[0] + 0.04 * v + coma[0] * 0.5,
            coma2=constant[1] + 0.04 * u + coma[1] * 0.5,
            trefoil1=0.5 * constant[2],
            oversampling=1.0,
            pad_factor=1.0,
        )

    def images_at(self, x, y, size=TRUTH_SIZE):
        """Images on the detector's pixels, the star in the middle of one, shape (n, size, size)."""
        return np.stack(
            [
                self.at(a, b).drawImage(nx=size, ny=size, scale=SCALE, dtype=float).array
                for a, b in zip(x, y, strict=True)
            ]
        )


def draw_field(field, seed):
    """Observed field; everything is decided by the seed.

    Parameters
    ----------
    field : Field
        What is on it.
    seed : int
        Of all that is random.

    Returns
    -------
    Observed
    """
    rng = np.random.default_rng([seed, int(1000 * field.seeing)])
    psf = TruePsf(field, rng)
    image = blank_light(field.side)
    noise = np.sqrt(field.sky + field.read_noise**2)
    unit = noise * np.sqrt(4 * np.pi) * field.seeing / SCALE / 2.355
    x, y, flux = _stars(field, unit, rng)
    for a, b, f in zip(x, y, flux, strict=True):
        _draw_in_place(image, psf.at(a, b, with_optics=f > OPTICS_LIMIT * unit), (a, b, f))
    _draw_galaxies_in_place(image, psf, unit, rng)
    charge = np.zeros((field.side, field.side))
    if field.rays:
        RAYS["mixed"](charge, rng)
    light = np.maximum(image.array, 0) + charge + field.sky
    pixels = read_out(light, field.read_noise, rng, least=0.9 * field.sky)
    return Observed(pixels, psf, x, y, flux)


def _stars(field, unit, rng):
    """Positions and fluxes of stars, some of which have a companion; `unit` is the flux of S/N 1."""
    x, y = rng.uniform(-0.5, field.side - 0.5, (2, field.n_star))
    flux = FAINTEST_STAR * unit * np.minimum((1 - rng.random(field.n_star)) ** (-1 / STAR_SLOPE), 2e4)
    paired = rng.random(field.n_star) < field.pairs
    n = int(paired.sum())
    radius = rng.uniform(0.2, 1.5, n) * field.seeing / SCALE
    angle = rng.uniform(0, 2 * np.pi, n)
    ratio = 10 ** rng.uniform(-2, 0, n)
    return (
        np.r_[x, x[paired] + radius * np.cos(angle)],
        np.r_[y, y[paired] + radius * np.sin(angle)],
        np.r_[flux, flux[paired] * ratio],
    )


def _draw_galaxies_in_place(image, psf, unit, rng):
    """Add exponential discs, some of them hardly larger than a star, through the PSF of their places."""
    field = psf.field
    x, y = rng.uniform(-0.5, field.side - 0.5, (2, field.n_galaxy))
    flux = FAINTEST_GALAXY * unit * np.minimum((1 - rng.random(field.n_galaxy)) ** (-1 / GALAXY_SLOPE), 500)
    # Fainter galaxies are smaller; S/N 100 is about r = 21.7 here.
    radius = 0.45 * (flux / (100 * unit)) ** 0.25 * np.exp(rng.normal(0, 0.4, field.n_galaxy))
    radius = np.clip(radius, 0.08, 2.0)
    shape = rng.normal(0, 0.2, (2, field.n_galaxy)).clip(-0.5, 0.5)
    for k in range(field.n_galaxy):
        disc = galsim.Exponential(half_light_radius=radius[k]).shear(g1=shape[0, k], g2=shape[1, k])
        profile = galsim.Convolve([disc, psf.at(x[k], y[k], with_optics=flux[k] > OPTICS_LIMIT * unit)])
        _draw_in_place(image, profile, (x[k], y[k], 1.5 * flux[k]))


def _draw_in_place(image, profile, source):
    """Add a profile of flux 1 at a source's place times its flux."""
    x, y, flux = source
    half = 25 if flux < 3e4 else 64 if flux < 1e6 else 160
    add_in_place(image, image_at(profile.withFlux(flux), (x, y), half))
