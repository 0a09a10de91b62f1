"""Draws point sources and galaxies on a detector: expected electrons, without noise."""

from dataclasses import dataclass

import galsim
import numpy as np

STAMP_RADIUS_ALPHA = 6.0
"""Half side of the smallest star stamp in Moffat scale radii: (1 + 36)^(1 - beta) of the flux is outside."""
STAMP_GALAXY_RADII = 5.0
"""Half side of a galaxy's stamp beyond the star's, in half-light radii; bulges are cut there."""
STAMP_STEP = 8
LARGEST_STAMP_RADIUS = 192
STAMPS_AT_ONCE = 2_000_000
"""Pixels of star stamps that are computed in one go: what stays in the processor's cache costs least."""
FFT_ACCURACY = galsim.GSParams(folding_threshold=2e-3, maxk_threshold=1e-3, maximum_fft_size=16384)


@dataclass(frozen=True, slots=True)
class PointSpreads:
    """Moffat profiles of objects, one each.

    Attributes
    ----------
    fwhm : ndarray, shape (n,), float64
        Geometric mean of the widths [pixel].
    e1, e2 : ndarray, shape (n,), float64
        Stretch along x and along the diagonal of the detector.
    beta : float
        Moffat exponent, above 1.
    """

    fwhm: np.ndarray
    e1: np.ndarray
    e2: np.ndarray
    beta: float

    def scale_radius(self):
        """Moffat scale radii [pixel], shape (n,)."""
        return self.fwhm / (2 * np.sqrt(2 ** (1 / self.beta) - 1))

    def stretch(self):
        """Matrices of unit determinant that stretch a round profile, shape (n, 2, 2)."""
        norm = np.sqrt(1 - self.e1**2 - self.e2**2)
        return np.moveaxis(np.array([[1 + self.e1, self.e2], [self.e2, 1 - self.e1]]) / norm, -1, 0)

    def select(self, keep):
        """Profiles of some objects.

        Parameters
        ----------
        keep : ndarray, shape (n,), bool, or shape (m,), int
            Objects to keep, or their indices in the order wanted.

        Returns
        -------
        PointSpreads
            The chosen ones.
        """
        return PointSpreads(self.fwhm[keep], self.e1[keep], self.e2[keep], self.beta)


@dataclass(frozen=True, slots=True)
class Sources:
    """Objects as a detector sees them.

    Attributes
    ----------
    x, y : ndarray, shape (n,), float64
        Centres [pixel]; may lie outside the detector.
    electrons : ndarray, shape (n,), float64
        Total of each.
    spreads : PointSpreads
        Point spread functions at the objects.
    """

    x: np.ndarray
    y: np.ndarray
    electrons: np.ndarray
    spreads: PointSpreads

    def select(self, keep):
        """Some of the sources.

        Parameters
        ----------
        keep : ndarray, shape (n,), bool, or shape (m,), int
            Objects to keep, or their indices in the order wanted.

        Returns
        -------
        Sources
            The chosen ones.
        """
        return Sources(self.x[keep], self.y[keep], self.electrons[keep], self.spreads.select(keep))


def add_point_sources_in_place(image, sources, faintest):
    """Add point sources to an image of expected electrons.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Changed in place [electron].
    sources : Sources
        The point sources.
    faintest : float
        A stamp ends where the profile falls below this [electron/pixel], but not before `STAMP_RADIUS_ALPHA`.

    Notes
    -----
    Pixels integrate the Moffat profile by Gauss-Legendre quadrature with 3 x 3 points, exact for polynomials
    of order 5: good to 1e-5 of the peak at a width of 3 pixels.
    """
    x, y, spreads = sources.x, sources.y, sources.spreads
    radius = _stamp_radius(sources.electrons, spreads, faintest)
    reaches = _touches(x, y, radius, image.shape)
    for size in np.unique(radius[reaches]):
        members = np.flatnonzero(reaches & (radius == size))
        step = max(1, STAMPS_AT_ONCE // (2 * size + 1) ** 2 // 8)
        for first in range(0, len(members), step):
            chosen = members[first : first + step]
            column, row = np.rint(x[chosen]).astype(int), np.rint(y[chosen]).astype(int)
            stamps = _moffat_stamps(x[chosen] - column, y[chosen] - row, spreads, chosen, int(size))
            stamps *= sources.electrons[chosen].astype(np.float32)[:, None, None]
            for k, stamp in enumerate(stamps):
                _paste_in_place(image, stamp, column[k] - size, row[k] - size)


def _stamp_radius(electrons, spreads, faintest):
    """Half sides of star stamps [pixel], in steps, from where the wings drown."""
    alpha, beta = spreads.scale_radius(), spreads.beta
    peak = np.maximum(electrons, 0) * (beta - 1) / (np.pi * alpha**2)
    radius = alpha * np.maximum(STAMP_RADIUS_ALPHA, (peak / faintest) ** (0.5 / beta))
    return np.minimum(np.ceil(radius / STAMP_STEP) * STAMP_STEP, LARGEST_STAMP_RADIUS).astype(int)


def _moffat_stamps(dx, dy, spreads, chosen, radius):
    """Pixel-integrated Moffat profiles of sum near 1, float32, shape (n, 2 radius + 1, 2 radius + 1)."""
    alpha = spreads.scale_radius()[chosen]
    inverse = np.linalg.inv(spreads.stretch()[chosen]) / alpha[:, None, None]
    metric = np.swapaxes(inverse, 1, 2) @ inverse
    xx, xy, yy = (
        m.astype(np.float32)[:, None, None] for m in (metric[:, 0, 0], 2 * metric[:, 0, 1], metric[:, 1, 1])
    )
    nodes, weights = np.polynomial.legendre.leggauss(3)
    grid = np.arange(-radius, radius + 1)
    total = np.zeros((len(chosen), grid.size, grid.size), np.float32)
    for node_y, weight_y in zip(nodes / 2, weights / 2, strict=True):
        v = (grid + node_y - dy[:, None]).astype(np.float32)[:, :, None]
        constant = 1 + yy * v * v
        for node_x, weight_x in zip(nodes / 2, weights / 2, strict=True):
            u = (grid + node_x - dx[:, None]).astype(np.float32)[:, None, :]
            profile = (xx * u + xy * v) * u
            profile += constant
            total += np.float32(weight_x * weight_y) * profile ** np.float32(-spreads.beta)
    total *= ((spreads.beta - 1) / (np.pi * alpha**2)).astype(np.float32)[:, None, None]
    return total


def add_galaxies_in_place(image, sources, shapes):
    """Add galaxies, convolved with their point spread function, to an image of expected electrons.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Changed in place [electron].
    sources : Sources
        The galaxies.
    shapes : tuple of ndarray
        Matrices, shape (n, 2, 2), from a round profile of half-light radius 1 to the detector [pixel]; and
        bulge fractions, shape (n,).

    Notes
    -----
    The disc is exponential, the bulge a de Vaucouleurs profile cut at 5 half-light radii. GalSim (Rowe et al.
    2015) convolves and integrates over pixels.
    """
    matrices, bulge_fraction = shapes
    x, y, spreads = sources.x, sources.y, sources.spreads
    disc = galsim.Exponential(half_light_radius=1.0)
    bulge = galsim.DeVaucouleurs(half_light_radius=1.0, trunc=STAMP_GALAXY_RADII)
    moffat = galsim.Moffat(beta=spreads.beta, fwhm=1.0)
    stretch = spreads.stretch() * spreads.fwhm[:, None, None]
    extent = np.linalg.norm(matrices, ord=2, axis=(1, 2))
    radius = np.ceil(STAMP_RADIUS_ALPHA * spreads.scale_radius() + STAMP_GALAXY_RADII * extent).astype(int)
    for k in np.flatnonzero(_touches(x, y, radius, image.shape)):
        half, column, row = int(radius[k]), round(float(x[k])), round(float(y[k]))
        parts = [(disc, 1 - bulge_fraction[k]), (bulge, bulge_fraction[k])]
        profile = galsim.Add([part * fraction for part, fraction in parts if fraction > 0])
        profile = profile.transform(*matrices[k].ravel()).withFlux(float(sources.electrons[k]))
        point = moffat.transform(*stretch[k].ravel()).withFlux(1.0)
        stamp = galsim.ImageF(2 * half + 1, 2 * half + 1)
        convolved = galsim.Convolve(profile, point, gsparams=FFT_ACCURACY)
        convolved.drawImage(stamp, scale=1.0, offset=(float(x[k]) - column, float(y[k]) - row))
        _paste_in_place(image, stamp.array, column - half, row - half)


def _touches(x, y, radius, shape):
    """Whether stamps of half side `radius` about x, y overlap an image, shape (n,)."""
    ny, nx = shape
    reach = radius + 1
    return (x > -reach) & (x < nx + reach) & (y > -reach) & (y < ny + reach)


def _paste_in_place(image, stamp, column, row):
    """Add the part of a stamp that lies on the image; (column, row) is the stamp's first pixel."""
    ny, nx = image.shape
    height, width = stamp.shape
    x0, x1, y0, y1 = max(column, 0), min(column + width, nx), max(row, 0), min(row + height, ny)
    if x0 < x1 and y0 < y1:
        image[y0:y1, x0:x1] += stamp[y0 - row : y1 - row, x0 - column : x1 - column]
