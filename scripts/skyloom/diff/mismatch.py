"""Where a smooth matching kernel cannot match the PSFs that both images are known to have."""

import numpy as np

from skyloom.core import mask_planes


def psf_mismatch(target, reference, matching):
    """Relative difference between matched PSFs and the PSFs that they should match.

    Parameters
    ----------
    target, reference : ndarray, shape (m, k, k), float64
        PSF images of sum 1 at m positions; NaN where unknown.
    matching : ndarray, shape (m, l, l), float64
        Matching kernels there.

    Returns
    -------
    ndarray, shape (m,), float64
        Norm of ``K * reference / sum(K) - target`` over that of the target; NaN where a PSF is unknown.

    Notes
    -----
    By Cauchy and Schwarz no PSF flux of what a static source leaves exceeds this fraction of its flux.
    """
    size, reach = target.shape[-1], matching.shape[-1]
    full = size + reach - 1
    transform = np.fft.rfft2(reference, s=(full, full)) * np.fft.rfft2(matching, s=(full, full))
    cut = reach // 2
    matched = np.fft.irfft2(transform, s=(full, full))[:, cut : cut + size, cut : cut + size]
    residual = matched / matching.sum(axis=(1, 2), keepdims=True) - target
    return np.sqrt(np.sum(residual**2, axis=(1, 2)) / np.sum(target**2, axis=(1, 2)))


def mismatch_mask(science, template, kernel, allowed):
    """INEXACT_PSF in the cells of the template's PSF where the matching kernel fails.

    Parameters
    ----------
    science, template : Exposure
        The two images; the template has a margin and a `CellPsf`.
    kernel : MatchingKernel
        What matches them.
    allowed : float
        Mismatch that is tolerated (see `psf_mismatch`).

    Returns
    -------
    ndarray, shape (ny, nx), uint32
        On the science image's pixels. A cell whose PSF is unknown is inexact.

    Notes
    -----
    Where the number of visits in a template changes, so does its PSF, by a step that no polynomial follows.
    """
    ny, nx = science.pixels.shape
    margin = (template.pixels.shape[0] - ny) // 2
    cells = template.psf
    rows, columns = cells.images.shape[:2]
    y, x = np.meshgrid(
        (np.arange(rows) + 0.5) * cells.cell_size - 0.5 - margin,
        (np.arange(columns) + 0.5) * cells.cell_size - 0.5 - margin,
        indexing="ij",
    )
    x, y = np.clip(x.ravel(), 0, nx - 1), np.clip(y.ravel(), 0, ny - 1)
    science_psf = science.psf.kernels_at(x, y)
    template_psf = cells.images.reshape(rows * columns, cells.size, cells.size).astype(np.float64)
    matching = np.tensordot(kernel.weights_at(x, y), kernel.basis, axes=1)
    pair = (science_psf, template_psf) if kernel.convolved == "template" else (template_psf, science_psf)
    is_bad = ~(psf_mismatch(*pair, matching) <= allowed).reshape(rows, columns)
    by_pixel = np.repeat(np.repeat(is_bad, cells.cell_size, axis=0), cells.cell_size, axis=1)
    by_pixel = by_pixel[margin : margin + ny, margin : margin + nx]
    return np.where(by_pixel, mask_planes.INEXACT_PSF, np.uint32(0))
