"""How noisy an image is around a point, and how resampling correlated its noise."""

import numpy as np

from skyloom.algorithms.resampling import lanczos_transfer

# Frequencies on which a mean over the spectrum is taken; the spectrum is smooth.
N_FREQUENCY = 64
# Spectral copies that fold back on the band; |Lanczos|^2 beyond is below 1e-4.
N_ALIAS = 2


def resampled_power(frequency, n_resampling, stretch=1.0):
    """Power spectrum along one axis of white noise that went through Lanczos-3 interpolations.

    Parameters
    ----------
    frequency : ndarray, float
        Frequencies [cycles/pixel of the last grid].
    n_resampling : int
        Number of interpolations.
    stretch : float
        Pixel of the first grid in pixels of the last one.

    Returns
    -------
    ndarray, shape of `frequency`, float64
        Power, about 1 at frequency 0 when the stretch is 1.

    Notes
    -----
    The mean of ``|sum_i w_i exp(2 pi i f d_i)|^2`` over all pixel phases is the sum of ``|L(f + m)|^2`` over
    the aliases m, L being the transform of the continuous interpolator.
    """
    power = np.zeros(np.shape(frequency))
    for alias in range(-N_ALIAS, N_ALIAS + 1):
        power += lanczos_transfer(stretch * (frequency + alias)) ** 2
    return power**n_resampling


def white_equivalent_correlation(n_resampling):
    """Noise power at zero frequency over pixel variance after interpolations between equal pixels (float).

    Parameters
    ----------
    n_resampling : int
        Number of interpolations: 0 gives 1, 1 gives 1.27.
    """
    power = resampled_power(np.fft.fftfreq(N_FREQUENCY), n_resampling)
    return float(1 / power.mean() ** 2)


def noise_shape(correlation, size, n_resampling):
    """Power spectrum of resampled noise with a stated correlation.

    Parameters
    ----------
    correlation : float
        Noise power at zero frequency over the pixel variance, at least 1.
    size : int
        Side of the fft2 grid.
    n_resampling : int
        Number of interpolations that the image went through.

    Returns
    -------
    ndarray, shape (size, size), float64
        Power on the grid of `numpy.fft.fft2`, 1 at frequency zero, of mean ``1 / correlation``.

    Notes
    -----
    Exact for interpolations between pixels of equal size with a mixture of sub-pixel phases. A smaller
    correlation (phases near 0) is mixed with white noise, a larger one (coadd pixels smaller than the
    detector's) stretches the spectrum. The axes of the earlier grids are taken to be parallel to the last
    one.
    """
    correlation = max(float(correlation), 1.0)
    frequency = np.fft.fftfreq(size)
    full = white_equivalent_correlation(n_resampling)
    stretch = np.sqrt(max(correlation / full, 1.0)) if n_resampling else 1.0
    axis = resampled_power(frequency, n_resampling, stretch)
    shape = np.outer(axis, axis) / axis[0] ** 2
    if correlation < full:
        mixture = (1 - 1 / correlation) / (1 - 1 / full)
        shape = 1 - mixture * (1 - shape)
    return shape


def correlation_after_warp(correlation, area):
    """Correlation of the noise of a coadd after one more interpolation.

    Parameters
    ----------
    correlation : float
        Noise power at zero frequency over the pixel variance of the coadd.
    area : float
        Coadd pixels that one new pixel covers.

    Returns
    -------
    float
        The same ratio on the new pixels, at least 1.

    Notes
    -----
    The new pixel's variance is ``A^2 V c <S1 S2>``, the power at zero frequency ``A c V``.
    """
    axis = resampled_power(np.fft.fftfreq(N_FREQUENCY), 1)
    mean = np.mean(noise_shape(correlation, N_FREQUENCY, 1) * np.outer(axis, axis))
    return max(float(1 / (area * mean)), 1.0)


def tile_medians(plane, good, tile):
    """Median of the good pixels of each tile; the median of all of them where a tile has none.

    Parameters
    ----------
    plane : ndarray, shape (ny, nx), float32
        Values.
    good : ndarray, shape (ny, nx), bool
        Pixels to use.
    tile : int
        Side of a tile [pixel].

    Returns
    -------
    ndarray, shape (ty, tx), float64
        Medians.
    """
    ny, nx = plane.shape
    rows, columns = -(-ny // tile), -(-nx // tile)
    padded = np.full((rows * tile, columns * tile), np.nan, dtype=np.float32)
    padded[:ny, :nx] = np.where(good, plane, np.nan)
    tiles = (
        padded.reshape(rows, tile, columns, tile).transpose(0, 2, 1, 3).reshape(rows, columns, tile * tile)
    )
    # NaN sorts last, so that the middle of the finite ones is the median, without NumPy's slow nanmedian.
    ordered = np.sort(tiles, axis=2)
    count = np.count_nonzero(np.isfinite(ordered), axis=2)
    middle = np.maximum(count - 1, 0)[..., None] // 2
    medians = np.take_along_axis(ordered, middle, axis=2)[..., 0].astype(np.float64)
    return np.where(count > 0, medians, np.median(medians[count > 0]))
