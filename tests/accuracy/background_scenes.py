"""Detectors whose sky is known: gradients, stars and galaxies down to far below the noise, aureoles, large galaxies.

Nothing here is shared with the pipeline: profiles by GalSim, aureoles and skies by formulas of this file.
"""

from dataclasses import dataclass

import galsim
import numpy as np
from drawn_detectors import SCALE, read_out

READ_NOISE = 7.0
PHASES = 4
"""Sources lie at multiples of a fourth of a pixel, so that their images are drawn once."""
STAMP, LARGE_STAMP = 30, 250
"""Half-widths of the images of faint and of bright stars [pixel]."""
GALAXY_STAMP = 45
N_GALAXY_SHAPE = 24
BRIGHT = 3e5
"""Stars with more electrons get the large image."""
FAINTEST = 0.5
"""Flux of the faintest sources over that of a star of S/N 5."""
AUREOLE_REACH = 300.0
LARGE_GALAXY_STAMP = 300


@dataclass(frozen=True)
class Field:
    """What a detector sees: seeing [arcsec], sky [electron], stars and galaxies above S/N 5, part of light in aureoles.

    Attributes
    ----------
    brightest : float
        Flux of the brightest star over that of a star of S/N 5.
    gradient : float
        Relative change of the sky over the detector, tilted and bowl-shaped.
    """

    seeing: float = 0.8
    sky: float = 800.0
    n_star: int = 500
    n_galaxy: int = 750
    aureole: float = 0.0
    brightest: float = 3e3
    gradient: float = 0.05
    side: int = 1024
    profile: str = "kolmogorov"


@dataclass(frozen=True)
class LargeGalaxy:
    """A galaxy of 20 arcsec: Sersic index, electrons, place [pixel], half-light radius [arcsec]."""

    index: float
    flux: float
    x: float
    y: float
    radius: float
    axis_ratio: float = 0.7


@dataclass(frozen=True)
class SkyScene:
    """Pixels and truth.

    Attributes
    ----------
    pixels : MaskedImage
        With the sky [electron].
    sky, light : ndarray, shape (ny, nx)
        Expected electrons of the sky alone, and of everything else.
    """

    pixels: object
    sky: np.ndarray
    light: np.ndarray


def limiting_flux(field):
    """Electrons of a star of S/N 5 before its own photons."""
    area = 4 * np.pi * (field.seeing / SCALE / 2.355) ** 2 * 1.2
    return 5 * np.sqrt(area * (field.sky + READ_NOISE**2))


def draw_sky_scene(field, seed, galaxies=()):
    """Scene of a field with some large galaxies; the seed decides all else."""
    rng = np.random.default_rng(seed)
    sky = draw_sky(field, rng)
    light = np.zeros_like(sky)
    add_galaxies_in_place(light, field, rng)
    add_stars_in_place(light, field, rng)
    for galaxy in galaxies:
        add_large_galaxy_in_place(light, field, galaxy)
    return SkyScene(read_out(light + sky, READ_NOISE, rng, bleed=0), sky, light)


def draw_sky(field, rng):
    """Sky with a tilt and a bowl."""
    v, u = np.mgrid[: field.side, : field.side] / (field.side - 1.0) * 2 - 1
    turn, bowl = rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1)
    shape = np.cos(turn) * u + np.sin(turn) * v + bowl * (u**2 + 0.5 * v**2 + 0.3 * u * v)
    return field.sky * (1 + field.gradient / 2 * shape)


def psf_of(field):
    """Profile of a star."""
    if field.profile == "moffat":
        return galsim.Moffat(beta=3.0, fwhm=field.seeing).shear(e1=0.02)
    return galsim.Kolmogorov(fwhm=field.seeing).shear(e1=0.02)


def stamps(profile, half):
    """Images of a profile of flux 1 at all phases, shape (phases, phases, 2 half + 1, 2 half + 1): [y, x]."""
    size = 2 * half + 1
    return np.array(
        [
            [
                profile.drawImage(nx=size, ny=size, scale=SCALE, offset=(x / PHASES, y / PHASES)).array
                for x in range(PHASES)
            ]
            for y in range(PHASES)
        ]
    )


def add_stamp_in_place(light, images, place, flux):
    """Add an image at a place in phases of a pixel."""
    (column, x_phase), (row, y_phase) = (divmod(int(p), PHASES) for p in place)
    half = images.shape[-1] // 2
    ny, nx = light.shape
    top, bottom = max(row - half, 0), min(row + half + 1, ny)
    left, right = max(column - half, 0), min(column + half + 1, nx)
    if top >= bottom or left >= right:
        return
    stamp = images[y_phase, x_phase]
    light[top:bottom, left:right] += (
        flux * stamp[top - row + half : bottom - row + half, left - column + half : right - column + half]
    )


def draw_fluxes(rng, n_detected, slope, field, brightest):
    """Fluxes of a power law with some number above the limit, down to `FAINTEST` of it."""
    n = rng.poisson(n_detected * FAINTEST**-slope)
    return (
        FAINTEST
        * limiting_flux(field)
        * np.minimum((1 - rng.random(n)) ** (-1 / slope), brightest / FAINTEST)
    )


def add_stars_in_place(light, field, rng):
    """Stars whose counts rise with a power of 0.6, their wings and their aureoles; some lie beyond the edge."""
    psf, margin = psf_of(field), 100
    side = field.side + 2 * margin
    small, large = stamps(psf, STAMP), stamps(psf, LARGE_STAMP)
    n = field.n_star * (side / field.side) ** 2
    for flux in draw_fluxes(rng, n, 0.6, field, field.brightest):
        place = rng.integers(-margin * PHASES, (field.side + margin) * PHASES, 2)
        add_stamp_in_place(light, large if flux > BRIGHT else small, place, flux)
        if field.aureole > 0 and flux > BRIGHT / 10:
            add_aureole_in_place(light, place / PHASES, field.aureole * flux, field.seeing / SCALE)


def add_aureole_in_place(light, place, flux, core):
    """Add light that falls with the square of the distance."""
    y, x = np.ogrid[: light.shape[0], : light.shape[1]]
    r2 = (y - place[1]) ** 2 + (x - place[0]) ** 2
    norm = flux / (np.pi * np.log(1 + (AUREOLE_REACH / core) ** 2))
    light += np.where(r2 < AUREOLE_REACH**2, norm / (r2 + core**2), 0)


def add_galaxies_in_place(light, field, rng):
    """Small galaxies whose counts rise with the power of 1."""
    psf = psf_of(field)
    images = []
    for _ in range(N_GALAXY_SHAPE):
        radius = 0.35 * 10 ** rng.normal(0, 0.2)
        profile = galsim.Exponential(half_light_radius=radius).shear(
            q=rng.uniform(0.3, 1), beta=rng.uniform(0, np.pi) * galsim.radians
        )
        convolved = galsim.Convolve(profile, psf)
        images.append(stamps(convolved, GALAXY_STAMP)[:1, :1].repeat(PHASES, 0).repeat(PHASES, 1))
    for flux in draw_fluxes(rng, field.n_galaxy, 1.0, field, 300.0):
        place = rng.integers(0, field.side * PHASES, 2)
        add_stamp_in_place(light, images[rng.integers(N_GALAXY_SHAPE)], place, flux)


def add_large_galaxy_in_place(light, field, galaxy):
    """Add a large galaxy, drawn over 300 pixels to either side."""
    image = large_galaxy_image(field, galaxy)
    half = LARGE_GALAXY_STAMP
    add_stamp_in_place(
        light,
        np.broadcast_to(image, (PHASES, PHASES, 2 * half + 1, 2 * half + 1)),
        (np.rint(galaxy.x) * PHASES, np.rint(galaxy.y) * PHASES),
        1.0,
    )


def large_galaxy_image(field, galaxy):
    """Expected electrons of a galaxy about its centre."""
    profile = galsim.Sersic(galaxy.index, half_light_radius=galaxy.radius, flux=galaxy.flux)
    profile = galsim.Convolve(profile.shear(q=galaxy.axis_ratio, beta=40 * galsim.degrees), psf_of(field))
    size = 2 * LARGE_GALAXY_STAMP + 1
    return profile.drawImage(nx=size, ny=size, scale=SCALE).array.astype(float)
