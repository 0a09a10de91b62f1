"""Whitening of a difference, tile by tile, and the PSF that it leaves."""

import numpy as np

from skyloom.algorithms.convolution import tile_centres
from skyloom.core.psf import CellPsf


def decorrelation_kernels(matching, powers, shapes, half, floor):
    """Kernels that make the noise of ``target - matching * reference`` white.

    Parameters
    ----------
    matching : ndarray, shape (m, k, k), float64
        Matching kernel of each tile; k odd.
    powers : tuple of ndarray, shape (m,), float64
        Noise power at zero frequency of target and reference, and of what they have in common (their
        covariance: 0 for independent images) [nJy^2].
    shapes : tuple of ndarray, shape (l, l), float64
        Their power spectra on an fft2 grid, 1 at frequency zero; l at least k and ``2 half + 1``.
    half : int
        Half-width of the returned kernels [pixel].
    floor : float
        Least power of a frequency that is amplified, as a fraction of the power at frequency zero.

    Returns
    -------
    ndarray, shape (m, 2 half + 1, 2 half + 1), float64
        Centred kernels of sum 1, so that fluxes do not change.

    Notes
    -----
    The whitening filter of Kaiser (2004) and Reiss & Lupton (2016, DMTN-021, equation 2), with the template's
    own correlation in it: ``D(f)^2 = P(0) / P(f)`` with the difference's noise power ``P(f) = T St(f) +
    |K(f)|^2 R Sr(f) - 2 Re K(f) C (St(f) Sr(f))^(1/2)``. The power of the kernel's transform is taken, because
    an off-centre kernel has a complex one. The covariance C is there when the science exposure is part of its
    own template. The result is white of variance ``P(0)``.
    """
    length = shapes[0].shape[0]
    transform = np.fft.fft2(_around_origin(matching, length))
    target, reference, common = (power[:, None, None] for power in powers)
    spectrum = target * shapes[0] + np.abs(transform) ** 2 * reference * shapes[1]
    spectrum -= 2 * transform.real * common * np.sqrt(shapes[0] * shapes[1])
    total = spectrum[:, :1, :1]
    transfer = np.sqrt(total / np.maximum(spectrum, floor * total))
    kernels = np.fft.fftshift(np.fft.ifft2(transfer).real, axes=(1, 2))
    middle = length // 2
    kernels = kernels[:, middle - half : middle + half + 1, middle - half : middle + half + 1]
    return kernels / kernels.sum(axis=(1, 2), keepdims=True)


def _around_origin(kernels, length):
    """Kernels padded to a square, their middle at pixel (0, 0): a symmetric one has a real transform."""
    half = kernels.shape[-1] // 2
    padding = (0, length - kernels.shape[-1])
    return np.roll(np.pad(kernels, ((0, 0), padding, padding)), (-half, -half), axis=(1, 2))


def difference_psf(psf, kernels, filters, shape, tile):
    """PSF of the decorrelated difference in cells.

    Parameters
    ----------
    psf : PixelPsf or CellPsf
        PSF that both images have after matching, before `kernels`.
    kernels : ndarray, shape (m, k, k), float64, or None
        Matching kernels of the tiles when `psf` is the PSF before matching; None when it is the matched one.
    filters : ndarray, shape (m, d, d), float64
        Decorrelation kernels of the tiles.
    shape : tuple of int
        Shape (ny, nx) of the difference.
    tile : int
        Side of a tile [pixel].

    Returns
    -------
    CellPsf
        One image of sum 1 a tile.
    """
    x, y = tile_centres(shape, tile)
    ny, nx = shape
    images = psf.kernels_at(np.minimum(x, nx - 1).ravel(), np.minimum(y, ny - 1).ravel())
    factors = [filters]
    size = psf.size
    if kernels is not None:
        factors.append(kernels)
        size += 2 * (kernels.shape[-1] // 4)
    full = psf.size + sum(factor.shape[-1] - 1 for factor in factors)
    transform = np.fft.rfft2(images, s=(full, full))
    for factor in factors:
        transform *= np.fft.rfft2(factor, s=(full, full))
    cut = (full - size) // 2
    images = np.fft.irfft2(transform, s=(full, full))[:, cut : cut + size, cut : cut + size]
    images /= images.sum(axis=(1, 2), keepdims=True)
    return CellPsf(images.reshape(*x.shape, size, size).astype(np.float32), tile)
