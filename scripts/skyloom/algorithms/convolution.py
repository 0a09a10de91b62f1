"""Convolutions of images with kernels that vary over them: by a polynomial, or from tile to tile."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from skyloom.core.wcs import tpv_powers, unit_coordinates


def convolve_polynomial(image, kernels, order, domain):
    """Convolution with a kernel whose pixels are polynomials of the output position.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Image without NaN; it counts as zero beyond its edges.
    kernels : ndarray, shape (n_term, k, k), float
        Kernel of each polynomial term in the order of `skyloom.core.wcs.tpv_powers`; k odd.
    order : int
        Total degree of the polynomial.
    domain : tuple of float
        (x0, x1, y0, y1), mapped to [-1, 1] in each coordinate.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        ``out(x) = sum_t f_t(x) (K_t * image)(x)``.

    Notes
    -----
    Exact, one inverse transform a term: no edges of tiles where a kernel would jump (Alard 2000, section 2).
    """
    from scipy import fft

    ny, nx = image.shape
    half = kernels.shape[-1] // 2
    shape = (fft.next_fast_len(ny + half, real=True), fft.next_fast_len(nx + half, real=True))
    transform = fft.rfft2(np.asarray(image, dtype=np.float32), s=shape)
    u, v = (axis.astype(np.float32) for axis in unit_coordinates(np.arange(nx), np.arange(ny), domain))
    out = np.zeros((ny, nx), dtype=np.float32)
    for kernel, (a, b) in zip(kernels, tpv_powers(order)[1], strict=True):
        part = fft.irfft2(transform * _kernel_transform(kernel, shape), s=shape)[:ny, :nx]
        out += part * (v**b)[:, None] * (u**a)[None, :]
    return out


def convolve(image, kernel):
    """Convolution with one kernel.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Image without NaN; it counts as zero beyond its edges.
    kernel : ndarray, shape (k, k), float
        Kernel; k odd.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        The convolved image.
    """
    return convolve_polynomial(image, kernel[None], 0, (-1.0, 1.0, -1.0, 1.0))


def _kernel_transform(kernel, shape):
    """Transform (shape of rfft2) of a small kernel centred on pixel (0, 0), as two matrix products."""
    offset = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    wave_y = np.exp(-2j * np.pi * np.outer(np.fft.fftfreq(shape[0]), offset)).astype(np.complex64)
    wave_x = np.exp(-2j * np.pi * np.outer(offset, np.fft.rfftfreq(shape[1]))).astype(np.complex64)
    return wave_y @ (kernel.astype(np.complex64) @ wave_x)


def tile_centres(shape, tile):
    """Centres of the square tiles that cover an image.

    Parameters
    ----------
    shape : tuple of int
        Shape (ny, nx) of the image.
    tile : int
        Side of a tile [pixel]; the last of a row or column may reach over the edge.

    Returns
    -------
    x, y : ndarray, shape (ty, tx), float64
        Centres [pixel].
    """
    centre_y = (np.arange(-(-shape[0] // tile)) + 0.5) * tile - 0.5
    centre_x = (np.arange(-(-shape[1] // tile)) + 0.5) * tile - 0.5
    x, y = np.meshgrid(centre_x, centre_y)
    return x, y


def convolve_tiles(image, kernels, tile):
    """Convolution with one kernel for each square tile of the output.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Image without NaN; it counts as zero beyond its edges.
    kernels : ndarray, shape (ty, tx, k, k), float
        Kernels of the tiles of `tile_centres`; k odd.
    tile : int
        Side of a tile [pixel].

    Returns
    -------
    ndarray, shape (ny, nx), float32
        The convolved image.
    """
    from scipy import fft

    ny, nx = image.shape
    rows, columns, size = kernels.shape[:3]
    half = size // 2
    padded = np.zeros((rows * tile + 2 * half, columns * tile + 2 * half), dtype=np.float32)
    padded[half : half + ny, half : half + nx] = image
    window = tile + 2 * half
    length = fft.next_fast_len(window, real=True)
    out = np.empty((rows * tile, columns * tile), dtype=np.float32)
    views = sliding_window_view(padded, (window, window))[::tile, ::tile]
    for row in range(rows):
        transform = fft.rfft2(views[row], s=(length, length))
        # The kernel's first pixel on (0, 0) shifts the result by `half`, so that the tile starts at 2 half.
        transform *= fft.rfft2(np.asarray(kernels[row], dtype=np.float32), s=(length, length))
        tiles = fft.irfft2(transform, s=(length, length))[:, 2 * half : window, 2 * half : window]
        out[row * tile : (row + 1) * tile] = tiles.transpose(1, 0, 2).reshape(tile, columns * tile)
    return out[:ny, :nx]
