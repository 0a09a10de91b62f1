"""Point spread functions: a pixel basis with polynomial variation, and one image a cell for coadds.

A PSF image includes the pixel's own response, is sampled at the image's pixels, sums to 1 and has its centre
(the position of the star) on its middle pixel.
"""

from dataclasses import dataclass

import numpy as np

from skyloom.core.psf_colour import PsfColour
from skyloom.core.splines import basis_matrix, phase_stamps, shift_kernels, spline_coefficients
from skyloom.core.wcs import polynomial_terms, unit_coordinates

FWHM_PER_SIGMA = 2.3548200450309493
"""Of a Gaussian: the square root of 8 log 2."""
WELL_SAMPLED_FWHM = 2.3
"""FWHM by moments, pixels included [pixel], below which splines through the pixels fail.

At 2.2, of a Moffat profile of 1.8, places of stars of S/N 500 err by 1.2 times what their photons allow and the PSF's
size by 2 %; at 2.05 by twice that and 3 %.
"""
MOMENT_ITERATIONS = 50
MOMENT_TOLERANCE = 1e-7
MIN_WEIGHT_VARIANCE = 0.5


def gaussian_kernel(sigma, size):
    """Circular Gaussian of sum 1.

    Parameters
    ----------
    sigma : float
        Standard deviation [pixel].
    size : int
        Side [pixel], odd.

    Returns
    -------
    ndarray, shape (size, size), float64
        The kernel, centred on the middle pixel.
    """
    r = np.arange(size) - size // 2
    profile = np.exp(-0.5 * (r / sigma) ** 2)
    kernel = profile[:, None] * profile[None, :]
    return kernel / kernel.sum()


def smoothed(image):
    """Mean of the 3 x 3 pixels about each, with zeros beyond the edge.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Image of a PSF, for example, in whose wings each pixel by itself is noise.

    Returns
    -------
    ndarray, shape (ny, nx), float64
        As `scipy.ndimage.uniform_filter`, whose import takes as long as a thousand of these.
    """
    padded = np.pad(np.asarray(image, dtype=np.float64), 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / 9


def effective_area(kernel):
    """Noise-equivalent area of a PSF, 1 / sum(p^2) [pixel^2] (float or ndarray over leading axes).

    Parameters
    ----------
    kernel : ndarray, shape (..., k, k)
        PSF image of sum 1.
    """
    return 1.0 / np.sum(np.asarray(kernel, dtype=np.float64) ** 2, axis=(-2, -1))


def equivalent_sigma(kernel):
    """Size of the Gaussian that has a PSF's noise-equivalent area [pixel] (float).

    Parameters
    ----------
    kernel : ndarray, shape (k, k)
        PSF image of sum 1.
    """
    return float(np.sqrt(effective_area(kernel) / (4 * np.pi)))


def psf_moments(kernel):
    """Size and ellipticity by Gaussian-weighted adaptive moments.

    Parameters
    ----------
    kernel : ndarray, shape (k, k)
        PSF image.

    Returns
    -------
    sigma : float
        Determinant radius (Ixx Iyy - Ixy^2)^(1/4) [pixel].
    e1, e2 : float
        (Ixx - Iyy) / (Ixx + Iyy) and 2 Ixy / (Ixx + Iyy).

    Notes
    -----
    Bernstein & Jarvis (2002), section 3: the weight is the matching Gaussian, found by iteration.
    A weight narrower than a pixel would shrink to the middle pixel of an undersampled PSF; there it stays at
    its least width, and the object's covariance is that of the Gaussian with these weighted moments.
    """
    size = kernel.shape[0]
    y, x = np.mgrid[:size, :size] - float(size // 2)
    covariance = np.diag([2.0, 2.0]).astype(np.float64)
    for _ in range(MOMENT_ITERATIONS):
        inverse = np.linalg.inv(_not_narrower(covariance, MIN_WEIGHT_VARIANCE))
        exponent = inverse[0, 0] * x**2 + 2 * inverse[0, 1] * x * y + inverse[1, 1] * y**2
        weighted = np.exp(-0.5 * exponent) * kernel
        total = weighted.sum()
        moments = np.array(
            [
                [np.sum(weighted * x * x), np.sum(weighted * x * y)],
                [np.sum(weighted * x * y), np.sum(weighted * y * y)],
            ]
        )
        updated = 2 * moments / total
        change = np.abs(updated - covariance).max()
        covariance = updated
        if change < MOMENT_TOLERANCE:
            break
    covariance = np.linalg.inv(np.linalg.inv(covariance / 2) - inverse)
    trace = covariance[0, 0] + covariance[1, 1]
    sigma = float(np.linalg.det(covariance) ** 0.25)
    return sigma, float((covariance[0, 0] - covariance[1, 1]) / trace), float(2 * covariance[0, 1] / trace)


def _not_narrower(covariance, least):
    """Covariance whose eigenvalues are at least `least`."""
    values, vectors = np.linalg.eigh(covariance)
    if values[0] >= least:
        return covariance
    return (vectors * np.maximum(values, least)) @ vectors.T


class Psf:
    """What every PSF gives beside `kernels_at`."""

    __slots__ = ()

    def kernel_at(self, x, y):
        """PSF image at one position; see `kernels_at` (ndarray, shape (k, k), float64).

        Parameters
        ----------
        x, y : float
            Pixel position.
        """
        return self.kernels_at([x], [y])[0]

    def splines_at(self, x, y):
        """Spline coefficients of the PSF images at positions; see `spline_coefficients`.

        Parameters
        ----------
        x, y : array_like, shape (m,)
            Pixel positions.

        Returns
        -------
        ndarray, shape (m, k, k) or (m, s * s, k, k), float32
            Those of `kernels_at`: of images of sum 1, NaN where there is none. Of a PSF sampled s times finer than the
            pixels, every s-th coefficient from each of the first s * s on, row by row (`phase_stamps`).
        """
        return self._splines_at(x, y).astype(np.float32, copy=False)


@dataclass(frozen=True, slots=True)
class PixelPsf(Psf):
    """PSF image whose pixels are polynomials of the position on the detector.

    Attributes
    ----------
    coefficients : ndarray, shape (n, s (k - 1) + 1, s (k - 1) + 1), float32
        Image of each polynomial term, in the order of `skyloom.core.wcs.tpv_powers`; k odd.
    order : int
        Total degree of the polynomial.
    domain : tuple of float
        (x0, x1, y0, y1), mapped to [-1, 1] in each coordinate.
    sampling : int
        Samples s of the images per pixel of the detector: 1 where its pixels sample the PSF, more where they do not.
    colour : PsfColour, optional
        How it changes with the colour of the star, and the colour that the coefficients hold for.
    """

    coefficients: np.ndarray
    order: int
    domain: tuple[float, float, float, float]
    sampling: int = 1
    colour: PsfColour | None = None

    @property
    def size(self):
        """Side k of a PSF image [pixel]."""
        return (self.coefficients.shape[-1] - 1) // self.sampling + 1

    @property
    def images(self):
        """Image of each polynomial term at the detector's pixels, shape (n, k, k), float32; a view."""
        return self._native(self.coefficients)

    @property
    def has_colour(self):
        """Whether it changes with the colour of the star (bool)."""
        return self.colour is not None and self.colour.image is not None

    def kernels_at(self, x, y, colours=None):
        """PSF images at positions.

        Parameters
        ----------
        x, y : array_like, shape (m,)
            Pixel positions.
        colours : array_like, shape (m,), optional
            Colours of the stars there [mag]; NaN, like none, is the reference colour.

        Returns
        -------
        ndarray, shape (m, k, k), float64
            Each of sum 1, centred on pixel k // 2.
        """
        images = self._native(self._grids(colours)).astype(np.float64)
        return np.tensordot(self._terms(x, y, colours).T, images, axes=1)

    def areas_at(self, x, y, colours=None):
        """Noise-equivalent areas at positions; see `effective_area` (ndarray, shape (m,), float64).

        Parameters
        ----------
        x, y, colours
            As for `kernels_at`.
        """
        images = self._native(self._grids(colours))
        images = images.reshape(len(images), -1).astype(np.float64)
        terms = self._terms(x, y, colours)
        return 1.0 / np.einsum("im,im->m", terms, (images @ images.T) @ terms)

    def stars_at(self, x, y):
        """Images of stars at positions, each about the pixel nearest to its star.

        Parameters
        ----------
        x, y : array_like, shape (m,)
            Pixel positions.

        Returns
        -------
        ndarray, shape (m, k, k), float64
            Of sum 1 but for what leaves the frame where the PSF is sampled finer than the pixels.
        """
        x, y = np.atleast_1d(x), np.atleast_1d(y)
        dx, dy = x - np.rint(x), y - np.rint(y)
        if self.sampling == 1:
            return shift_kernels(self.kernels_at(x, y), dx, dy)
        side = self.coefficients.shape[-1]
        steps = self.sampling * np.arange(self.size)
        rows, columns = (
            basis_matrix((steps - self.sampling * shift[:, None]).ravel(), side).reshape(len(x), -1, side)
            for shift in (dy, dx)
        )
        return rows @ self.grids_at(x, y).astype(np.float64) @ columns.transpose(0, 2, 1)

    def grids_at(self, x, y, colours=None):
        """Spline coefficients of the PSF at positions, on its own grid.

        Parameters
        ----------
        x, y, colours
            As for `kernels_at`.

        Returns
        -------
        ndarray, shape (m, s (k - 1) + 1, s (k - 1) + 1), float32
            Those of each term, weighted: they are linear in the images.
        """
        splines = spline_coefficients(self._grids(colours)).astype(np.float32)
        return np.tensordot(self._terms(x, y, colours).T.astype(np.float32), splines, axes=1)

    def splines_at(self, x, y, colours=None):
        """Spline coefficients of the PSF images at positions, as `Psf.splines_at`.

        Parameters
        ----------
        x, y, colours
            As for `kernels_at`.

        Returns
        -------
        ndarray, shape (m, k, k), float32
            With s samples a pixel of shape (m, s * s, k, k): those of each place within a pixel by themselves.
        """
        return self._splines_at(x, y, colours).astype(np.float32, copy=False)

    def _splines_at(self, x, y, colours=None):
        """Spline coefficients, those of each place within a pixel by themselves."""
        grids = self.grids_at(x, y, colours)
        return grids if self.sampling == 1 else phase_stamps(grids, self.sampling)

    def _grids(self, colours):
        """Image of each term on its own grid; with colours also the change by them."""
        if colours is None or not self.has_colour:
            return self.coefficients
        return np.concatenate([self.coefficients, self.colour.image[None]])

    def _native(self, grids):
        """Images at the detector's pixels."""
        return grids[:, :: self.sampling, :: self.sampling]

    def _terms(self, x, y, colours=None):
        """Weight of each image at positions, such that the sums are 1, shape (n, m)."""
        u, v = unit_coordinates(np.atleast_1d(x), np.atleast_1d(y), self.domain)
        terms = polynomial_terms(u, v, self.order)
        terms = terms / (self.images.sum(axis=(1, 2), dtype=np.float64) @ terms)
        if colours is None or not self.has_colour:
            return terms
        return np.concatenate([terms, self.colour.offsets(colours)[None]])


@dataclass(frozen=True, slots=True)
class CellPsf(Psf):
    """One PSF image for each square cell of a coadd or warp.

    Attributes
    ----------
    images : ndarray, shape (cy, cx, k, k), float32
        PSF images of sum 1; NaN in cells without data.
    cell_size : int
        Side of a cell [pixel].
    origin : tuple of float
        Position (x0, y0) of the first cell's lower corner pixel in the array's pixels.
    """

    images: np.ndarray
    cell_size: int
    origin: tuple[float, float] = (0.0, 0.0)

    @property
    def size(self):
        """Side k of a PSF image [pixel]."""
        return self.images.shape[-1]

    def kernels_at(self, x, y):
        """PSF images of the cells that hold the positions; the nearest cell outside of all.

        Parameters
        ----------
        x, y : array_like, shape (m,)
            Pixel positions.

        Returns
        -------
        ndarray, shape (m, k, k), float64
            Each of sum 1; NaN in cells without data.
        """
        kernels = self.images[self._cells(x, y)].astype(np.float64)
        return kernels / kernels.sum(axis=(1, 2), keepdims=True)

    def _splines_at(self, x, y):
        """Spline coefficients of the cells that are used, each once."""
        flat, index = np.unique(
            np.ravel_multi_index(self._cells(x, y), self.images.shape[:2]), return_inverse=True
        )
        kernels = self.images.reshape(-1, self.size, self.size)[flat].astype(np.float64)
        splines = spline_coefficients(kernels / kernels.sum(axis=(1, 2), keepdims=True))
        return splines.astype(np.float32)[index]

    def _cells(self, x, y):
        """Row and column of the cell of each position."""
        cy, cx = self.images.shape[:2]
        column = np.floor((np.atleast_1d(x) + 0.5 - self.origin[0]) / self.cell_size).astype(int)
        row = np.floor((np.atleast_1d(y) + 0.5 - self.origin[1]) / self.cell_size).astype(int)
        return np.clip(row, 0, cy - 1), np.clip(column, 0, cx - 1)

    def shifted(self, dx, dy):
        """Return the same PSF for an array that starts at pixel (dx, dy) of this one.

        Parameters
        ----------
        dx, dy : float
            Position of the new array's first pixel.

        Returns
        -------
        CellPsf
            The shifted one; its images are shared.
        """
        return CellPsf(self.images, self.cell_size, (self.origin[0] - dx, self.origin[1] - dy))
