"""Variance of an image without its point sources: the noise, and the errors of the light that is taken from it."""

from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.matched_filter import power_at
from skyloom.algorithms.photometry import typical_noise
from skyloom.core.images import MaskedImage

# A model that is wrong by this fraction of itself explains a residual: 1 % in the PSF, more under crowding.
MODEL_ERROR = 0.05
# A wing beyond the PSF image is visible above this many sigma of a pixel.
VISIBLE_WING_SIGMA = 0.1
# Noise of the model's wings below this fraction of the pixel's is left out.
MIN_WING_NOISE = 0.02
PSF_STAR_SIGNAL_TO_NOISE = 50.0
# Of the rows, and of the columns, that tell the noise.
N_SAMPLE = 256


@dataclass(frozen=True, slots=True)
class WingErrors:
    """What the errors of the PSF's wings do to the variance about n bright stars.

    Attributes
    ----------
    row, column : ndarray, shape (n,), int64
        Pixels of the stars.
    factor : ndarray, shape (n,), float64
        Of the variance below the star's PSF image.
    is_seen : ndarray, shape (n,), bool
        Whether there is light beyond that image: nothing can be told from it.
    half : int
        Half-width of the PSF image [pixel].
    """

    row: np.ndarray
    column: np.ndarray
    factor: np.ndarray
    is_seen: np.ndarray
    half: int

    def add_in_place(self, variance, corner):
        """Add the errors to the variance of a part of the image.

        Parameters
        ----------
        variance : ndarray, shape (n_row, n_column), float32
            Changed in place.
        corner : tuple of int
            Row and column of its first pixel on the image.
        """
        row, column = self.row - corner[0], self.column - corner[1]
        reach = 2 * self.half
        near = (row >= -reach) & (row < variance.shape[0] + reach)
        near &= (column >= -reach) & (column < variance.shape[1] + reach)
        for star in np.flatnonzero(near):
            inner = _box(row[star], column[star], self.half, variance.shape)
            variance[inner] *= self.factor[star]
            if self.is_seen[star]:
                kept = variance[inner].copy()
                variance[_box(row[star], column[star], reach, variance.shape)] = np.inf
                variance[inner] = kept


@dataclass(frozen=True, slots=True)
class ResidualVariance:
    """Variance of the pixels without the light of point sources, the errors of that light in it.

    Attributes
    ----------
    pixels : MaskedImage
        The pixels.
    light : ndarray, shape (ny, nx), float32
        What is taken from them.
    noise_correlation : float or ndarray, shape (n_row, n_column)
        Noise power at zero frequency over the pixel variance, of all or of each tile: the noise of the pixels has it,
        the errors of the light have nothing of it.
    wings : WingErrors
        Those of the PSF's wings.
    """

    pixels: MaskedImage
    light: np.ndarray
    noise_correlation: float | np.ndarray
    wings: WingErrors

    def in_part(self, part):
        """Variance of a part of the image (ndarray, float32).

        Parameters
        ----------
        part : tuple of slice
            Its rows and columns, with start and stop. The noise has the power of the tile that holds their middle.
        """
        middle = (int(axis.start + axis.stop) // 2 for axis in part)
        power = np.float32(power_at(self.noise_correlation, self.light.shape, *middle))
        variance = np.square(self.light[part] * np.float32(MODEL_ERROR))
        variance += self.pixels.variance[part] * power
        self.wings.add_in_place(variance, (part[0].start, part[1].start))
        return variance


def residual_variance(images, psf, fit, noise_correlation):
    """Variance of what is left of an image.

    Parameters
    ----------
    images : tuple
        Background-subtracted pixels (MaskedImage), and the light that is taken from them (ndarray, shape (ny, nx),
        float32).
    psf : PixelPsf
        The image's PSF.
    fit : PsfPhotometry
        Fits of the point sources whose light that is.
    noise_correlation : float or ndarray, shape (n_row, n_column)
        As for `ResidualVariance`.

    Returns
    -------
    ResidualVariance
        Of any part of the image.
    """
    noise = typical_noise(_sample(*images, noise_correlation))
    return ResidualVariance(*images, noise_correlation, _wing_errors(psf, fit, noise))


def _sample(pixels, light, noise_correlation):
    """Variance of what is left at pixels all over the image, without the errors of wings (ndarray, float32)."""
    rows, columns = (np.arange(0, length, max(length // N_SAMPLE, 1)) for length in light.shape)
    place = np.ix_(rows, columns)
    power = power_at(noise_correlation, light.shape, rows[:, None], columns).astype(np.float32)
    return np.square(light[place] * np.float32(MODEL_ERROR)) + pixels.variance[place] * power


def _wing_errors(psf, fit, noise):
    """Errors that the PSF's own wings leave below bright stars, without end where their light is beyond its image."""
    half = psf.size // 2
    # The model's wings are the mean of its stars' wings: their noise on a star of flux F is F^2 / sum(F^2) V.
    made_psf = (fit.usable_fraction > 0.9) & (fit.flux > PSF_STAR_SIGNAL_TO_NOISE * fit.flux_err)
    # Where none is bright enough for it, as below a PSF that somebody else fitted, all the stars stand for them.
    power = max(float(np.sum(fit.flux[made_psf if made_psf.any() else ...] ** 2)), 1e-30)
    edge = float(np.abs(psf.images[0][[0, half, half, -1], [half, 0, -1, half]]).mean())
    is_seen = fit.flux * edge > VISIBLE_WING_SIGMA * noise
    bright = is_seen | (fit.flux**2 > MIN_WING_NOISE * power)
    row, column = (np.rint(position[bright]).astype(np.int64) for position in (fit.y, fit.x))
    return WingErrors(row, column, 1 + fit.flux[bright] ** 2 / power, is_seen[bright], half)


def _box(row, column, half, shape):
    """Slices of a square about a pixel, cut at the image's edge."""
    rows = slice(max(row - half, 0), max(min(row + half + 1, shape[0]), 0))
    return rows, slice(max(column - half, 0), max(min(column + half + 1, shape[1]), 0))
