"""Find cosmic rays: what is sharper than the PSF in some direction, and what clings to it."""

from dataclasses import replace

import numpy as np

from skyloom.algorithms.interpolation import interpolate_pixels
from skyloom.algorithms.robust import block_median_background
from skyloom.core import mask_planes
from skyloom.core.jit import kernel
from skyloom.core.psf import effective_area, shift_kernels

UNUSABLE = mask_planes.bits("BAD", "SAT", "NO_DATA")

PAIRS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Offset (y, x) of one neighbour of each opposite pair."""

N_PHASE = 5
"""Positions within a pixel, along each axis, at which a star's sharpness is looked at."""

CORE_FRACTION = 0.3
"""Pixels above this fraction of a star's highest one are its core: further out the model is noise."""

MAX_CONTRAST = 1000.0
"""Contrast above which a PSF model is not believed."""

SKY_BIN = 64
"""Bins of the sky that contrasts are taken above [pixel]: far wider than a ray or a star."""


def find_cosmic_rays(masked_image, psf_kernel, settings):
    """Pixels hit by cosmic rays.

    Parameters
    ----------
    masked_image : MaskedImage
        One detector, sky in or out; the variance plane must be that of photons and read noise. Pixels masked
        BAD, SAT or NO_DATA neither are rays nor count as evidence.
    psf_kernel : ndarray, shape (k, k), float
        PSF at the middle of the detector, centred on a pixel. One that is broader than the true one makes
        stars look like rays: when in doubt, give a sharper one.
    settings : dict
        ``min_sigma``: least height of a seed above the sky [sigma]; ``contrast_sigma``: least contrast of a
        seed beyond that of a star [sigma]; ``psf_margin``: relative error of the PSF's 1 / width^2 that is
        forgiven; ``grow_sigma``: least height of a pixel beside a ray to be taken as part of it [sigma];
        ``n_grow``: rounds of growth.

    Returns
    -------
    ndarray, shape (ny, nx), bool
        True where a ray deposited charge.

    Notes
    -----
    The contrast test of Lupton et al. (2001, photo) in a form of our own. A star's pixel p never exceeds R
    times the mean m of two opposite neighbours, R being the largest such ratio of `star_contrasts` (for a
    Gaussian, log R is d^2 / (2 width^2) everywhere; hence the margin is an exponent). So ``p - R m`` above
    ``contrast_sigma`` times its noise, for one of the four pairs of neighbours, is a ray. As in van Dokkum
    (2001), hits then grow to neighbours at a lower threshold; there, a pixel of the ray itself counts in no
    pair, and the pixel opposite speaks alone.
    """
    sky = block_median_background(masked_image.image, (masked_image.mask & UNUSABLE) != 0, SKY_BIN)
    height = masked_image.image - sky.image()
    usable = ((masked_image.mask & UNUSABLE) == 0) & np.isfinite(height) & (masked_image.variance > 0)
    ratios = star_contrasts(psf_kernel) ** (1.0 + settings["psf_margin"])
    is_ray = np.zeros(height.shape, dtype=bool)
    _find_seeds(
        height,
        masked_image.variance,
        usable,
        ratios,
        float(settings["min_sigma"]),
        float(settings["contrast_sigma"]),
        is_ray,
    )
    _grow_rays(
        height,
        masked_image.variance,
        usable,
        ratios,
        float(settings["grow_sigma"]),
        int(settings["n_grow"]),
        is_ray,
    )
    return is_ray


def repair_cosmic_rays(masked_image, is_ray, psf_kernel):
    """Interpolate over cosmic rays and mask them CR and INTRP.

    Parameters
    ----------
    masked_image : MaskedImage
        Pixels to repair.
    is_ray : ndarray, shape (ny, nx), bool
        From `find_cosmic_rays`.
    psf_kernel : ndarray, shape (k, k), float
        PSF; its width guides the interpolation.

    Returns
    -------
    MaskedImage
        A copy with CR set on all of `is_ray`, INTRP where neighbours allowed a value.
    """
    sigma = float(np.sqrt(effective_area(psf_kernel) / (4 * np.pi)))
    mask = np.where(is_ray, masked_image.mask | mask_planes.CR, masked_image.mask).astype(np.uint32)
    return interpolate_pixels(replace(masked_image, mask=mask), is_ray, sigma)


def star_contrasts(psf_kernel):
    """Largest ratio that a star shows between a pixel and the mean of two opposite neighbours.

    Parameters
    ----------
    psf_kernel : ndarray, shape (k, k), float
        PSF centred on its middle pixel.

    Returns
    -------
    ndarray, shape (4,), float64
        For the pairs along x, y, and the diagonals (1, 1) and (1, -1); the largest over the pixels that hold
        more than 0.3 of the star's highest one, and over 25 positions of the star within a pixel.

    Notes
    -----
    For a symmetric PSF that is its central pixel with the star in its centre; a trailed or comatic PSF is
    sharper elsewhere.
    """
    steps = np.linspace(-0.5, 0.5, N_PHASE)
    dx, dy = (shift.ravel() for shift in np.meshgrid(steps, steps))
    stars = shift_kernels(np.repeat(psf_kernel[None], N_PHASE**2, axis=0), dx, dy)
    pixels = stars[:, 1:-1, 1:-1]
    highest = stars.max(axis=(1, 2), keepdims=True)
    is_core = pixels > CORE_FRACTION * highest
    contrasts = []
    for j, i in PAIRS:
        rows, columns = slice(1 + j, -1 + j or None), slice(1 + i, -1 + i or None)
        opposite_rows, opposite_columns = slice(1 - j, -1 - j or None), slice(1 - i, -1 - i or None)
        mean = 0.5 * (stars[:, rows, columns] + stars[:, opposite_rows, opposite_columns])
        ratio = pixels / np.maximum(mean, highest / MAX_CONTRAST)
        contrasts.append(ratio[is_core].max())
    return np.array(contrasts)


@kernel
def _sharpest_contrast(height, variance, usable, ratios, is_ray, y, x):  # noqa: PLR0913 (a kernel)
    """Largest significance of p - R m over the four pairs; -inf when no pair can speak.

    Members of a pair that are marked in `is_ray` do not count: the other one then stands for both, and a
    pixel between two of them is a ray for sure (inf).
    """
    ny, nx = height.shape
    best = -np.inf
    for pair in range(4):
        j = 0 if pair == 0 else 1
        i = (1, 0, 1, -1)[pair]
        total, noise, n, n_ray = 0.0, 0.0, 0, 0
        for sign in (-1, 1):
            v, u = y + sign * j, x + sign * i
            if v < 0 or v >= ny or u < 0 or u >= nx or not usable[v, u]:
                continue
            if is_ray[v, u]:
                n_ray += 1
                continue
            total += height[v, u]
            noise += variance[v, u]
            n += 1
        if n_ray == 2:
            return np.inf
        if n + n_ray < 2:
            continue
        contrast = height[y, x] - ratios[pair] * max(total, 0.0) / n
        error = np.sqrt(variance[y, x] + ratios[pair] ** 2 * noise / n**2)
        best = max(best, contrast / error)
    return best


@kernel
def _find_seeds(height, variance, usable, ratios, min_sigma, contrast_sigma, is_ray):  # noqa: PLR0913 (a kernel)
    """Mark pixels that are high and sharper than a star, judged on the image without any mark."""
    ny, nx = height.shape
    no_ray = np.zeros((ny, nx), dtype=np.bool_)
    for y in range(ny):
        for x in range(nx):
            p = height[y, x]
            if p <= 0 or not usable[y, x] or p * p < min_sigma**2 * variance[y, x]:
                continue
            if _sharpest_contrast(height, variance, usable, ratios, no_ray, y, x) > contrast_sigma:
                is_ray[y, x] = True


@kernel
def _grow_rays(height, variance, usable, ratios, grow_sigma, n_grow, is_ray):  # noqa: PLR0913 (a kernel)
    """Add neighbours of rays that stand out of the sky and are sharper than a star beside the ray."""
    ny, nx = height.shape
    for _ in range(n_grow):
        before = is_ray.copy()
        for y in range(ny):
            for x in range(nx):
                p = height[y, x]
                if before[y, x] or not usable[y, x] or p <= 0 or p * p < grow_sigma**2 * variance[y, x]:
                    continue
                if not before[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].any():
                    continue
                is_ray[y, x] = _sharpest_contrast(height, variance, usable, ratios, before, y, x) > 0
        if (is_ray == before).all():
            break


def compile_kernels():
    """Compile the kernels of this module for the types used in production."""
    height = np.zeros((3, 3), dtype=np.float32)
    variance = np.ones((3, 3), dtype=np.float32)
    usable, is_ray = np.ones((3, 3), dtype=bool), np.zeros((3, 3), dtype=bool)
    _find_seeds(height, variance, usable, np.ones(4), 5.0, 4.5, is_ray)
    _grow_rays(height, variance, usable, np.ones(4), 2.0, 1, is_ray)
