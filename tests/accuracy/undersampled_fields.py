"""Fields of isolated stars that the pixels hardly sample, with a PSF that varies, and what the photons allow to know.

Nothing here is shared with the pipeline: the profiles are GalSim's, integrated over pixels on a grid sixteen times
finer, between whose values splines of degree 5 run.
"""

from dataclasses import dataclass

import galsim
import numpy as np
from scipy.interpolate import RectBivariateSpline

from skyloom.core.images import MaskedImage

FINENESS = 16
HALF = 15
"""Half-width of a star's image [pixel]."""
SPACING = 32
"""Of the stars' grid [pixel]; each is off its node by up to MAX_OFFSET."""
MAX_OFFSET = 3.0
SKY, READ_NOISE = 150.0, 5.0
"""Electrons."""
N_STEP = 8


@dataclass(frozen=True)
class UndersampledField:
    """Pixels without sky [electron] and their truth.

    Attributes
    ----------
    pixels : MaskedImage
        The image.
    psf : BlendedPsf
        What it was drawn with.
    x, y, flux, level : ndarray, shape (n,)
        Positions [pixel], fluxes [electron], true signal to noise.
    flux_limit, x_limit, y_limit : ndarray, shape (n,)
        Cramer-Rao limits of a free fit [electron], [pixel].
    """

    pixels: MaskedImage
    psf: "BlendedPsf"
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    level: np.ndarray
    flux_limit: np.ndarray
    x_limit: np.ndarray
    y_limit: np.ndarray


class BlendedPsf:
    """PSF that is one of four in the corners of a square and blends between them.

    Parameters
    ----------
    fwhm : float
        Of the light before the pixels, in the middle [pixel].
    side : int
        Of the square [pixel].
    beta : float or None
        Exponent of a Moffat; None for a Gaussian, 0 for no profile of that kind: a Gaussian with a fainter, wider one
        beside it, as of a lens with coma.
    variation : float
        Relative spread of the widths; the corners' ellipticities are half of it.
    """

    def __init__(self, fwhm, side, beta=3.0, variation=0.08):
        self.side = side
        corners = [(-1, 0.0, 0.4), (0, 0.5, 0.0), (0.2, -0.4, -0.3), (1, 0.0, 0.3)]
        self.splines = [
            _spline(fwhm * (1 + variation * size / 2), beta, (variation * e1, variation * e2))
            for size, e1, e2 in corners
        ]

    def image(self, place, offset, slopes=(0, 0), half=HALF):
        """Image of a star of flux 1 at a place of the square, off the middle pixel by so much.

        Parameters
        ----------
        place, offset : tuple of float
            (x, y) [pixel].
        slopes : tuple of int
            Order of the derivatives by the offset along y and x; their sign is that of the coordinates.
        half : int
            Half-width of the image [pixel].
        """
        grid = np.arange(-half, half + 1.0)
        return self.at_offsets(place, grid - offset[1], grid - offset[0], slopes)

    def at_offsets(self, place, rows, columns=None, slopes=(0, 0)):
        """Light of a star of flux 1 at a place in pixels at these offsets from it, along y and along x."""
        columns = rows if columns is None else columns
        u, v = (value / (self.side - 1) for value in place)
        parts = [(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v]
        return sum(
            part * spline(rows, columns, dx=slopes[0], dy=slopes[1])
            for part, spline in zip(parts, self.splines, strict=True)
        )


def _spline(fwhm, beta, ellipticity):
    """Pixel-integrated profile of flux 1 as a function of (y, x)."""
    profile = galsim.Moffat(beta=beta, fwhm=fwhm) if beta else galsim.Gaussian(fwhm=fwhm)
    if beta == 0:
        tail = galsim.Gaussian(fwhm=1.8 * fwhm).shift(0.5 * fwhm, -0.2 * fwhm)
        profile = 0.7 * profile.shift(-0.214 * fwhm, 0.086 * fwhm) + 0.3 * tail
    seen = galsim.Convolve([profile.shear(e1=ellipticity[0], e2=ellipticity[1]), galsim.Pixel(1.0)])
    n = 2 * (HALF + 1) * FINENESS + 1
    image = seen.drawImage(nx=n, ny=n, scale=1 / FINENESS, method="no_pixel", dtype=float).array
    grid = (np.arange(n) - n // 2) / FINENESS
    return RectBivariateSpline(grid, grid, image * FINENESS**2, kx=5, ky=5)


def draw_undersampled(fwhm, seed, side=672, beta=3.0, levels=(30.0, 100.0, 200.0, 500.0)):
    """Return a field of stars of these signals to noise in equal numbers (UndersampledField)."""
    rng = np.random.default_rng([seed, int(1000 * fwhm)])
    psf = BlendedPsf(fwhm, side, beta)
    nodes = np.arange(SPACING // 2, side - SPACING // 2 + 1, SPACING, dtype=float)
    x, y = (
        grid.ravel() + rng.uniform(-MAX_OFFSET, MAX_OFFSET, grid.size) for grid in np.meshgrid(nodes, nodes)
    )
    level = rng.permutation(np.array(levels)[np.arange(x.size) % len(levels)])
    light = np.zeros((side + 2 * HALF, side + 2 * HALF))
    noise = SKY + READ_NOISE**2
    rows = []
    for star in zip(x, y, level, strict=True):
        flux, limits, stamp = _star(psf, star, noise)
        column, row = round(star[0]), round(star[1])
        light[row : row + 2 * HALF + 1, column : column + 2 * HALF + 1] += flux * stamp
        rows.append((flux, *limits))
    # No well is full: the brightest stars would have 1e5 electrons in a pixel.
    counts = rng.poisson(light[HALF:-HALF, HALF:-HALF] + SKY) + rng.normal(0, READ_NOISE, (side, side))
    variance = (np.maximum(counts, 0.9 * SKY) + READ_NOISE**2).astype(np.float32)
    pixels = MaskedImage((counts - SKY).astype(np.float32), np.zeros((side, side), dtype=np.uint32), variance)
    return UndersampledField(pixels, psf, x, y, np.array(rows)[:, 0], level, *np.array(rows)[:, 1:].T)


def _star(psf, star, noise):
    """Flux, limits of flux, x and y, and image of a star (x, y, signal to noise) of flux 1."""
    x, y, level = star
    offset = (x - round(x), y - round(y))
    stamp, slope_x, slope_y = (psf.image((x, y), offset, order) for order in ((0, 0), (0, 1), (1, 0)))
    flux = level * np.sqrt(noise / np.sum(stamp**2))
    for _ in range(N_STEP):
        flux = level / np.sqrt(np.sum(stamp**2 / (noise + flux * stamp)))
    design = np.stack([stamp, flux * slope_x, flux * slope_y]).reshape(3, -1)
    information = (design / (noise + flux * stamp).ravel()) @ design.T
    return flux, np.sqrt(np.diag(np.linalg.inv(information))), stamp
