"""Find cosmic rays: what is sharper than the PSF, and what clings to it."""

import numpy as np

from skyloom.algorithms.interpolation import fill_in_place
from skyloom.algorithms.ray_filters import REACH, ray_filters, star_contrasts
from skyloom.algorithms.robust import block_median_background
from skyloom.core import mask_planes
from skyloom.core.jit import kernel
from skyloom.core.psf import effective_area

UNUSABLE = mask_planes.bits("BAD", "SAT", "NO_DATA")

SKY_BIN = 64
"""Bins of the sky that contrasts are taken above [pixel]: far wider than a ray or a star."""

SKY_LIKE = 2.0
"""A pixel below this many sigma holds so little of a star that no contrast is asked for beside it."""


GROWTH_CONTRAST = 3.0
"""Contrast that a pixel beside a ray needs where its neighbours hold light [sigma]: one in 200 of a star's has it."""


def find_cosmic_rays(masked_image, psf_kernels, settings, *, is_subtracted=False):
    """Pixels hit by cosmic rays.

    Parameters
    ----------
    masked_image : MaskedImage
        One detector, sky in or out; the variance plane must be that of photons and read noise. Pixels masked
        BAD, SAT or NO_DATA neither are rays nor count as evidence.
    psf_kernels : ndarray, shape (k, k) or (n, k, k), float
        PSF at the middle of the detector or at n places of it, centred on a pixel; k at least 15. One that is
        broader than the true one makes stars look like rays: when in doubt, give a sharper one.
    settings : dict
        ``min_sigma``: least height of a seed above the sky [sigma]; ``contrast_sigma``: least answer of a filter
        [sigma]; ``psf_margin``: relative error of the PSF's 1 / width^2 that is forgiven; ``grow_sigma``: least
        height of a pixel beside a ray to be taken as part of it [sigma]; ``n_grow``: rounds of growth.
    is_subtracted : bool
        Whether the sky is out; else it is found in blocks of `SKY_BIN`.

    Returns
    -------
    ndarray, shape (ny, nx), bool
        True where a ray deposited charge.

    Notes
    -----
    Seeds are pixels where one of `ray_filters` answers: these are the best filters for points and pieces of
    tracks that no star answers to. At the edge and beside unusable pixels, where a filter's window is not
    complete, the contrast with a pair of neighbours takes their place (Lupton et al. 2001, photo). As in van
    Dokkum (2001), seeds then grow to neighbours at a lower threshold; there, a pixel of the ray itself counts in
    no pair, and the pixel opposite speaks alone where it is sky: on a star's slope it would call the star a ray.
    """
    height, usable = masked_image.image, np.empty(masked_image.shape, dtype=bool)
    _find_usable((masked_image.image, masked_image.mask, masked_image.variance), usable)
    if not is_subtracted:
        sky = block_median_background(masked_image.image, ~usable, SKY_BIN).image()
        height = np.subtract(masked_image.image, sky, out=sky)
    psf_kernels = psf_kernels.reshape(-1, *psf_kernels.shape[-2:])
    margin = settings["psf_margin"]
    ratios = np.array([star_contrasts(psf_kernels, distance) for distance in (1, 2)]) ** (1.0 + margin)
    planes = (height, masked_image.variance, usable)
    is_ray = np.zeros(height.shape, dtype=bool)
    limits = (float(settings["min_sigma"]), float(settings["contrast_sigma"]))
    _find_seeds(planes, ratios, ray_filters(psf_kernels, margin), limits, is_ray)
    limits = (float(settings["grow_sigma"]), GROWTH_CONTRAST)
    _grow_rays(planes, ratios[0], limits, int(settings["n_grow"]), is_ray)
    return is_ray


def repair_cosmic_rays_in_place(masked_image, is_ray, psf_kernel):
    """Interpolate over cosmic rays and mask them CR and INTRP.

    Parameters
    ----------
    masked_image : MaskedImage
        Pixels to repair: CR is set on all of `is_ray`, INTRP where neighbours allowed a value.
    is_ray : ndarray, shape (ny, nx), bool
        From `find_cosmic_rays`.
    psf_kernel : ndarray, shape (k, k), float
        PSF; its width guides the interpolation.

    Returns
    -------
    FilledPixels
        What the pixels were.
    """
    sigma = float(np.sqrt(effective_area(psf_kernel) / (4 * np.pi)))
    former = fill_in_place(masked_image, is_ray, sigma)
    masked_image.mask[former.rows, former.columns] |= mask_planes.CR
    return former


@kernel
def _find_usable(planes, usable):
    """Tell which pixels count."""
    image, mask, variance = planes
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            good = (mask[y, x] & UNUSABLE) == 0 and variance[y, x] > 0
            usable[y, x] = good and np.isfinite(image[y, x])


@kernel
def _pair(planes, y, x, pair, distance):
    """Sum and noise of the two opposite neighbours, and whether both can be used."""
    height, variance, usable = planes
    ny, nx = height.shape
    j = 0 if pair == 0 else distance
    i = (distance, 0, distance, -distance)[pair]
    if y - j < 0 or y + j >= ny or min(x - i, x + i) < 0 or max(x - i, x + i) >= nx:
        return 0.0, 0.0, False
    total = height[y - j, x - i] + height[y + j, x + i]
    noise = variance[y - j, x - i] + variance[y + j, x + i]
    return total, noise, usable[y - j, x - i] and usable[y + j, x + i]


@kernel
def _is_sharp(planes, y, x, ratios, contrast_sigma):
    """Whether the pixel's contrast with a pair of neighbours beside it is significant."""
    height, variance, _ = planes
    for pair in range(4):
        total, noise, is_usable = _pair(planes, y, x, pair, 1)
        ratio = ratios[0, pair]
        contrast = height[y, x] - 0.5 * ratio * max(total, 0.0)
        error2 = variance[y, x] + 0.25 * ratio**2 * noise
        if is_usable and contrast > 0 and contrast**2 > contrast_sigma**2 * error2:
            return True
    return False


@kernel
def _may_be_sharp(planes, y, x, ratios):
    """Whether some pair, near or far, is lower than beside a star: so it is for pixels of every ray."""
    height = planes[0]
    for distance in range(1, 3):
        for pair in range(4):
            total, _, is_usable = _pair(planes, y, x, pair, distance)
            if is_usable and height[y, x] > 0.5 * ratios[distance - 1, pair] * total:
                return True
    return False


@kernel
def _answers(planes, y, x, filters, contrast_sigma):
    """Whether one of the filters answers significantly."""
    height, variance, _ = planes
    for number in range(filters.shape[0]):
        answer, noise = 0.0, 0.0
        for j in range(2 * REACH + 1):
            for i in range(2 * REACH + 1):
                weight = filters[number, j, i]
                answer += weight * height[y + j - REACH, x + i - REACH]
                noise += weight**2 * variance[y + j - REACH, x + i - REACH]
        if answer > 0 and answer**2 > contrast_sigma**2 * noise:
            return True
    return False


@kernel
def _find_seeds(planes, ratios, filters, limits, is_ray):
    """Mark pixels that are high and sharper than any star."""
    height, variance, usable = planes
    min_sigma, contrast_sigma = limits
    ny, nx = height.shape
    for y in range(ny):
        for x in range(nx):
            p = height[y, x]
            if p <= 0 or not usable[y, x] or p * p < min_sigma**2 * variance[y, x]:
                continue
            if REACH <= y < ny - REACH and REACH <= x < nx - REACH:
                window = usable[y - REACH : y + REACH + 1, x - REACH : x + REACH + 1]
                is_complete = True
                for near in window.flat:
                    is_complete = is_complete and near
            else:
                is_complete = False
            if not is_complete:
                is_ray[y, x] = _is_sharp(planes, y, x, ratios, contrast_sigma)
            elif _may_be_sharp(planes, y, x, ratios):
                is_ray[y, x] = _answers(planes, y, x, filters, contrast_sigma)


@kernel
def _is_sharp_beside_ray(planes, y, x, ratios, limits, is_ray):  # noqa: C901, PLR0913 (a kernel)
    """Whether the pixel is higher than a star allows beside some pair; members of a pair that are rays do not count.

    A pixel between two of a ray is part of it. Where the pair holds light, the contrast must be significant.
    """
    height, variance, usable = planes
    ny, nx = height.shape
    for pair in range(4):
        j = 0 if pair == 0 else 1
        i = (1, 0, 1, -1)[pair]
        total, noise, n, n_ray = 0.0, 0.0, 0, 0
        is_sky = True
        for sign in (-1, 1):
            v, u = y + sign * j, x + sign * i
            if v < 0 or v >= ny or u < 0 or u >= nx or not usable[v, u]:
                continue
            if is_ray[v, u]:
                n_ray += 1
                continue
            value = max(height[v, u], 0.0)
            is_sky = is_sky and value * value < SKY_LIKE**2 * variance[v, u]
            total += value
            noise += variance[v, u]
            n += 1
        if n_ray == 2:
            return True
        if n == 0 or n + n_ray < 2 or (n == 1 and not is_sky):
            continue
        contrast = height[y, x] - ratios[pair] * total / n
        error2 = variance[y, x] + ratios[pair] ** 2 * noise / n**2
        if contrast > 0 and (is_sky or contrast**2 > limits[1] ** 2 * error2):
            return True
    return False


@kernel
def _grow_rays(planes, ratios, limits, n_grow, is_ray):
    """Add neighbours of rays that stand out of the sky and are sharper than a star beside the ray, round by round."""
    height, variance, usable = planes
    ny, nx = height.shape
    front = np.argwhere(is_ray)
    for _ in range(n_grow):
        grown = np.empty((8 * front.shape[0], 2), dtype=front.dtype)
        n_grown = 0
        for index in range(front.shape[0]):
            for y in range(max(front[index, 0] - 1, 0), min(front[index, 0] + 2, ny)):
                for x in range(max(front[index, 1] - 1, 0), min(front[index, 1] + 2, nx)):
                    p = height[y, x]
                    if is_ray[y, x] or not usable[y, x] or p <= 0 or p * p < limits[0] ** 2 * variance[y, x]:
                        continue
                    if _is_sharp_beside_ray(planes, y, x, ratios, limits, is_ray):
                        grown[n_grown, 0], grown[n_grown, 1] = y, x
                        n_grown += 1
        # Marked only now, so that no pixel of a round counts as a ray for another one of it.
        n_new = 0
        for index in range(n_grown):
            y, x = grown[index]
            if not is_ray[y, x]:
                is_ray[y, x] = True
                grown[n_new, 0], grown[n_new, 1] = y, x
                n_new += 1
        front = grown[:n_new]


def compile_kernels():
    """Compile the kernels of this module for the types used in production."""
    image, variance = np.zeros((3, 3), dtype=np.float32), np.ones((3, 3), dtype=np.float32)
    planes = (image, variance, np.ones((3, 3), dtype=bool))
    _find_usable((image, np.zeros((3, 3), dtype=np.uint32), variance), planes[2])
    is_ray, ratios = np.zeros((3, 3), dtype=bool), np.ones((2, 4))
    _find_seeds(planes, ratios, np.zeros((1, 5, 5)), (5.0, 5.0), is_ray)
    _grow_rays(planes, ratios[0], (2.0, 3.0), 1, is_ray)
