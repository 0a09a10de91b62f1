"""Detectors with stars and cosmic rays whose every pixel is known, drawn by GalSim and simulators of rays of our own.

Nothing here is shared with the pipeline: stars by GalSim, a ray's charge as the integral over each pixel of the
diffused cloud around each step of its path.
"""

from dataclasses import dataclass, replace

import galsim
import numpy as np
from drawn_detectors import SCALE, add_in_place, blank_light, image_at, read_out
from scipy.ndimage import binary_dilation
from scipy.special import ndtr

from skyloom.simulate.cosmic_rays import add_cosmic_rays_in_place

# A step of a path [pixel], and the half-width of the window that its charge is spread over.
STEP, REACH = 0.2, 3
SILICON_ELECTRONS = 80.0
"""Charge of a fast particle along its path [electron / micrometre]."""
FAR = 3
"""Star cores nearer than this to a ray are left out [pixel]."""
FAINTEST_RAY = 10.0
"""Charge below which a pixel belongs to no ray for that [electron]."""


@dataclass(frozen=True)
class Observation:
    """What a scene is drawn with: PSF family, seeing [arcsec], ellipticity, sky and read noise [electron], rays."""

    profile: str = "kolmogorov"
    seeing: float = 0.8
    ellipticity: float = 0.02
    sky: float = 800.0
    read_noise: float = 7.0
    rays: str = "mixed"
    side: int = 2048
    n_star: int = 2000


@dataclass(frozen=True)
class Scene:
    """Pixels and truth.

    Attributes
    ----------
    raw, pixels : MaskedImage
        With the sky, and with the true one subtracted [electron].
    kernel : ndarray, shape (41, 41)
        True PSF at the middle.
    charge, stars : ndarray, shape (ny, nx)
        Expected electrons of rays and of stars.
    core : ndarray, shape (ny, nx), bool
        5x5 pixels around stars above S/N 10.
    noise : ndarray, shape (ny, nx)
        Standard deviation of a pixel without its ray [electron].
    """

    raw: object
    pixels: object
    kernel: np.ndarray
    charge: np.ndarray
    stars: np.ndarray
    core: np.ndarray
    noise: np.ndarray

    def hit(self):
        """Pixels with more than 5 sigma of a ray's charge, as far as they are not saturated."""
        return (self.charge > 5 * self.noise) & (self.pixels.mask == 0)

    def far_core(self):
        """Star-core pixels further than 3 pixels from every ray, as far as they are not saturated."""
        near = binary_dilation(self.charge > FAINTEST_RAY, np.ones((2 * FAR + 1, 2 * FAR + 1)))
        return self.core & ~near & (self.pixels.mask == 0)


def draw_scene(observation, seed):
    """Scene of an observation, all of it decided by the seed."""
    rng = np.random.default_rng(seed)
    stars, core = draw_stars(observation, rng)
    charge = np.zeros_like(stars)
    RAYS[observation.rays](charge, rng)
    raw = read_out(stars + charge + observation.sky, observation.read_noise, rng, least=observation.sky)
    pixels = replace(raw, image=raw.image - np.float32(observation.sky))
    kernel = psf_at(observation, 0.0, 0.0).drawImage(nx=41, ny=41, scale=SCALE).array.astype(float)
    noise = np.sqrt(stars + observation.sky + observation.read_noise**2)
    return Scene(raw, pixels, kernel / kernel.sum(), charge, stars, core, noise)


def psf_at(observation, u, v):
    """Profile at a place of the field, (0, 0) in the middle, 1 at the edges: size and shape vary by some per cent."""
    size = observation.seeing * (1 + 0.02 * u - 0.015 * v + 0.02 * u * v)
    if observation.profile == "kolmogorov":
        profile = galsim.Kolmogorov(fwhm=size)
    elif observation.profile == "moffat":
        profile = galsim.Moffat(beta=3.0, fwhm=size)
    else:
        profile = galsim.Gaussian(fwhm=size)
    e = observation.ellipticity
    return profile.shear(e1=e * (1 + 0.5 * u), e2=0.7 * e * v)


def draw_stars(observation, rng):
    """Expected electrons of the stars, and the 5x5 pixels around those above S/N 10."""
    side = observation.side
    image = blank_light(side)
    core = np.zeros((side, side), bool)
    area = 4 * np.pi * (observation.seeing / SCALE / 2.355) ** 2
    background = area * (observation.sky + observation.read_noise**2)
    # Cumulative counts of slope 0.6 in flux, from S/N 4 to beyond saturation.
    flux = 4 * np.sqrt(background) * np.minimum((1 - rng.random(observation.n_star)) ** (-1 / 0.6), 2e4)
    x, y = rng.uniform(-0.5, side - 0.5, (2, observation.n_star))
    for xi, yi, fi in zip(x, y, flux, strict=True):
        psf = psf_at(observation, 2 * xi / side - 1, 2 * yi / side - 1)
        add_in_place(image, image_at(psf.withFlux(fi), (xi, yi), 24 if fi < 1e5 else 64))
        if fi > 10 * np.sqrt(fi + background):
            column, row = int(np.rint(xi)), int(np.rint(yi))
            core[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = True
    return np.maximum(image.array, 0), core


def spread_in_place(charge, x, y, electrons, diffusion):
    """Add steps of charge, each a Gaussian cloud integrated over the pixels around it."""
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    offset = np.arange(-REACH, REACH + 1)
    width = np.maximum(np.broadcast_to(diffusion, x.shape), 0.02)[:, None]
    parts = []
    for centre, pixel in ((x, column), (y, row)):
        edge = (pixel - centre)[:, None] + offset
        parts.append(ndtr((edge + 0.5) / width) - ndtr((edge - 0.5) / width))
    cloud = electrons[:, None, None] * parts[1][:, :, None] * parts[0][:, None, :]
    rows = np.broadcast_to(row[:, None, None] + offset[:, None], cloud.shape)
    columns = np.broadcast_to(column[:, None, None] + offset, cloud.shape)
    ny, nx = charge.shape
    inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
    np.add.at(charge, (rows[inside], columns[inside]), cloud[inside])


def straggled(electrons, rng):
    """Charges of steps with the long tail of Landau's law, after Moyal."""
    z = rng.standard_normal(electrons.shape) ** 2
    moyal = -np.log(np.maximum(z, 1e-9))
    return electrons * np.clip(1 + 0.15 * moyal, 0.3, 5)


def add_muons_in_place(charge, rng, thickness=100.0, pixel=10.0, n=None):
    """Muons of all zenith angles through thick silicon: sharp where they leave, diffused where they come in."""
    ny, nx = charge.shape
    for _ in range(rng.poisson(300 * ny * nx / 2048**2) if n is None else n):
        # cos^2 law of the zenith angle, on a flat detector.
        cosine = rng.uniform(0.002, 1) ** 0.25
        length = min(thickness * np.sqrt(1 - cosine**2) / cosine / pixel, 300.0)
        path = np.hypot(thickness, length * pixel)
        n_step = max(int(length / STEP), 8)
        t = (np.arange(n_step) + 0.5) / n_step
        angle = rng.uniform(0, 2 * np.pi)
        x = rng.uniform(-0.5, nx - 0.5) + t * length * np.cos(angle)
        y = rng.uniform(-0.5, ny - 0.5) + t * length * np.sin(angle)
        electrons = straggled(np.full(n_step, SILICON_ELECTRONS * path / n_step), rng)
        spread_in_place(charge, x, y, electrons, 0.45 * np.sqrt(t))


def add_thin_muons_in_place(charge, rng):
    """Muons through a thin detector of large pixels: points, and a few short tracks."""
    add_muons_in_place(charge, rng, thickness=20.0, pixel=15.0, n=int(600 * charge.size / 2048**2))


def add_worms_in_place(charge, rng, n=None):
    """Electrons of Compton scattering: they curl, and leave more charge the slower they are."""
    ny, nx = charge.shape
    for _ in range(rng.poisson(200 * ny * nx / 2048**2) if n is None else n):
        length = rng.uniform(5, 60)
        n_step = int(length / STEP)
        left = 1 - (np.arange(n_step) + 0.5) / n_step
        turn = rng.standard_normal(n_step) * 0.25 * np.sqrt(STEP) / np.sqrt(left + 0.05)
        angle = rng.uniform(0, 2 * np.pi) + np.cumsum(turn)
        x = rng.uniform(-0.5, nx - 0.5) + STEP * np.cumsum(np.cos(angle))
        y = rng.uniform(-0.5, ny - 0.5) + STEP * np.cumsum(np.sin(angle))
        electrons = straggled(rng.uniform(250, 900) * STEP / np.sqrt(left + 0.03), rng)
        spread_in_place(charge, x, y, electrons, rng.uniform(0.1, 0.45))


def add_spots_in_place(charge, rng, n=None):
    """Points and short dashes over two decades of charge."""
    ny, nx = charge.shape
    for _ in range(rng.poisson(600 * ny * nx / 2048**2) if n is None else n):
        length = rng.exponential(2.0)
        n_step = max(int(length / STEP), 1)
        t = (np.arange(n_step) + 0.5) / n_step * length
        angle = rng.uniform(0, 2 * np.pi)
        x, y = (rng.uniform(-0.5, edge - 0.5) + t * f(angle) for edge, f in ((nx, np.cos), (ny, np.sin)))
        total = 10 ** rng.uniform(2.3, 4.3)
        spread_in_place(charge, x, y, np.full(n_step, total / n_step), rng.uniform(0.05, 0.45))


def add_mixed_in_place(charge, rng):
    """Muons, worms and spots together."""
    share = charge.size / 2048**2
    add_muons_in_place(charge, rng, n=int(170 * share))
    add_worms_in_place(charge, rng, n=int(60 * share))
    add_spots_in_place(charge, rng, n=int(150 * share))


def add_survey_rays_in_place(charge, rng):
    """Rays of the survey's own simulator."""
    add_cosmic_rays_in_place(charge, 300 * charge.size / 2048**2, rng)


RAYS = {
    "mixed": add_mixed_in_place,
    "muons": add_muons_in_place,
    "thin": add_thin_muons_in_place,
    "worms": add_worms_in_place,
    "spots": add_spots_in_place,
    "survey": add_survey_rays_in_place,
}
