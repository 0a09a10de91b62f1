"""The weighted mean of warps, pixel by pixel, and what its mask must say."""

from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.resampling import dilate_mask
from skyloom.coadd.frames import window_of
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.jit import kernel

INHERITED = mask_planes.bits("BAD", "INTRP", "CR", "SUSPECT", "STREAK", "HALO", "INJECTED")
SAT = np.uint32(mask_planes.SAT)
CLIPPED = np.uint32(mask_planes.CLIPPED)
NO_DATA = np.uint32(mask_planes.NO_DATA)

UNUSED, SPARE, CLEAN = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Combination:
    """A coadd's pixels, and which warps each of them holds.

    Attributes
    ----------
    pixels : MaskedImage
        Shape of the patch.
    signature : ndarray, shape (ny, nx), uint64
        Equal where the same warps contribute; 0 without data.
    roles : list of ndarray, shape of each warp, uint8
        UNUSED, SPARE (only where no warp is clean) or CLEAN.
    is_spare : ndarray, shape (ny, nx), bool
        Pixels made from spare values, for want of a clean one.
    """

    pixels: MaskedImage
    signature: np.ndarray
    roles: list
    is_spare: np.ndarray


def pixel_roles(warp, clipped, rejected_planes):
    """What each pixel of a warp may be used for.

    Parameters
    ----------
    warp : Exposure
        The warp.
    clipped : ndarray, shape (ny, nx), bool
        Artifacts.
    rejected_planes : int
        Mask bits that make a pixel spare.

    Returns
    -------
    ndarray, shape (ny, nx), uint8
        UNUSED, SPARE or CLEAN.
    """
    pixels = warp.pixels
    has_data = ((pixels.mask & mask_planes.NO_DATA) == 0) & np.isfinite(pixels.image) & (pixels.variance > 0)
    is_clean = (pixels.mask & np.uint32(rejected_planes)) == 0
    return np.where(has_data & ~clipped, np.where(is_clean, CLEAN, SPARE), UNUSED).astype(np.uint8)


def warp_signatures(n):
    """Numbers of n warps whose sums tell sets of warps apart (ndarray, shape (n,), uint64).

    Parameters
    ----------
    n : int
        Number of warps. Up to 63 they are powers of two and the sums unique; beyond, equal sums of different
        sets are as unlikely as equal random 64-bit numbers.
    """
    if n < 64:
        return np.uint64(1) << np.arange(n, dtype=np.uint64)
    return np.random.default_rng(n).integers(1, 2**63, n, dtype=np.uint64)


def combine(warps, clipped, frame, saturated_fraction):
    """Inverse-variance mean of warps.

    Parameters
    ----------
    warps : list of Exposure
        Warps of one patch and band.
    clipped : list of ndarray, shape of each warp, bool
        Artifacts.
    frame : PatchFrame
        Shape of the patch, weight of each warp, rejected planes.
    saturated_fraction : float
        SAT is set where more than this part of the weight of all warps with data is saturated.

    Returns
    -------
    Combination
        The mean, its variance ``sum(w^2 V) / sum(w)^2`` and its mask.

    Notes
    -----
    One scalar weight a warp keeps the PSF of the coadd the same across a star; weights by pixel would not. A
    pixel of a rejected plane is used only where no warp has a clean one, so that a saturated core is no hole.
    """
    sums = np.zeros((6, *frame.shape), dtype=np.float32)
    totals = np.zeros((2, *frame.shape), dtype=np.float32)
    masks = np.zeros((2, *frame.shape), dtype=np.uint32)
    signatures = np.zeros((2, *frame.shape), dtype=np.uint64)
    roles = []
    for number, warp, artifact, weight in zip(
        warp_signatures(len(warps)), warps, clipped, frame.weight, strict=True
    ):
        role = pixel_roles(warp, artifact, frame.rejected_planes)
        window = (slice(None), *window_of(warp))
        planes = (warp.pixels.image, warp.pixels.variance, warp.pixels.mask, role, artifact)
        accumulators = (sums[window], totals[window], masks[window], signatures[window])
        _add_warp(planes, np.float32(weight), number, accumulators)
        roles.append(role)
    is_saturated = totals[1] > saturated_fraction * totals[0]
    pixels, is_spare = _finish(sums, masks, is_saturated)
    signature = np.where(is_spare, signatures[1], signatures[0])
    return Combination(pixels, signature, roles, is_spare)


def _finish(sums, masks, is_saturated):
    """Divide the sums and make the mask; (MaskedImage, pixels made of spare values)."""
    is_clean = sums[2] > 0
    value, variance, weight = np.where(is_clean, sums[:3], sums[3:])
    has_data = weight > 0
    divisor = np.where(has_data, weight, np.float32(1))
    image = np.where(has_data, value / divisor, np.float32(np.nan))
    variance = np.where(has_data, variance / divisor**2, np.float32(np.nan))
    inherited = np.where(is_clean, masks[0], masks[1])
    mask = inherited & INHERITED
    mask |= np.where(((masks[0] | masks[1]) & CLIPPED) != 0, CLIPPED, np.uint32(0))
    mask |= np.where(is_clean & (sums[5] > sums[2]), mask_planes.REJECTED, np.uint32(0))
    mask |= np.where(is_saturated, SAT, np.uint32(0))
    mask = np.where(has_data, mask, mask | NO_DATA).astype(np.uint32)
    return MaskedImage(image, mask, variance), has_data & ~is_clean


def count_inputs(warps, roles, shape):
    """Number of warps with a usable value at each pixel.

    Parameters
    ----------
    warps : list of Exposure
        Warps of one patch.
    roles : list of ndarray, shape of each warp, uint8
        See `pixel_roles`.
    shape : tuple of int
        Shape of the patch.

    Returns
    -------
    ndarray, shape (ny, nx), uint16
        The number.
    """
    count = np.zeros(shape, dtype=np.uint16)
    for warp, role in zip(warps, roles, strict=True):
        count[window_of(warp)] += role > UNUSED
    return count


def sensor_edges(warps, shape, width):
    """Pixels near which a warp ends inside the patch.

    Parameters
    ----------
    warps : list of Exposure
        Warps of one patch.
    shape : tuple of int
        Shape of the patch.
    width : int
        Reach [pixel].

    Returns
    -------
    ndarray, shape (ny, nx), bool
        True within `width` pixels inside a warp's border; the patch's own border is none.
    """
    near = np.zeros(shape, dtype=bool)
    for warp in warps:
        outside = np.ones(shape, dtype=np.uint32)
        outside[window_of(warp)] = (warp.pixels.mask & NO_DATA) != 0
        near |= (dilate_mask(outside, width, width) != 0) & (outside == 0)
    return near


@kernel
def _add_warp(planes, weight, number, accumulators):
    """Add one warp: rows 0-2 of `sums` hold clean value, variance, weight; rows 3-5 clean and spare."""
    image, variance, mask, role, clipped = planes
    sums, totals, masks, signatures = accumulators
    ny, nx = image.shape
    for y in range(ny):
        for x in range(nx):
            bits = mask[y, x]
            if clipped[y, x]:
                masks[0, y, x] |= CLIPPED
            if (bits & NO_DATA) == 0:
                totals[0, y, x] += weight
                if (bits & SAT) != 0:
                    totals[1, y, x] += weight
            if role[y, x] == UNUSED:
                continue
            value = weight * image[y, x]
            noise = weight * weight * variance[y, x]
            sums[3, y, x] += value
            sums[4, y, x] += noise
            sums[5, y, x] += weight
            masks[1, y, x] |= bits & ~CLIPPED
            signatures[1, y, x] += number
            if role[y, x] == CLEAN:
                sums[0, y, x] += value
                sums[1, y, x] += noise
                sums[2, y, x] += weight
                masks[0, y, x] |= bits & ~CLIPPED
                signatures[0, y, x] += number


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    shape = (2, 2)
    plane = np.zeros(shape, dtype=np.float32)
    mask, role, clipped = np.zeros(shape, np.uint32), np.zeros(shape, np.uint8), np.zeros(shape, dtype=bool)
    kinds = ((6, np.float32), (2, np.float32), (2, np.uint32), (2, np.uint64))
    # Windows of larger arrays, since a warp covers a part of the patch only.
    windows = tuple(np.zeros((n, 3, 3), kind)[:, :2, :2] for n, kind in kinds)
    _add_warp((plane, plane, mask, role, clipped), np.float32(1), np.uint64(1), windows)
