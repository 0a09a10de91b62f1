"""Sources on which the matching kernel is fitted, and their pixels."""

import logging
from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.kernel_matching import KernelStamps
from skyloom.core import mask_planes
from skyloom.core.psf import gaussian_kernel

log = logging.getLogger(__name__)

# One such pixel near a source makes it useless: its flux is not all there, or it is not static.
FATAL_PLANES = mask_planes.bits(
    "SAT", "SUSPECT", "NO_DATA", "STREAK", "SAT_TEMPLATE", "HIGH_VARIANCE", "INJECTED", "EDGE"
)
# Such pixels are left out of the fit; the source stays unless they are in its core.
IGNORED_PLANES = mask_planes.bits("BAD", "CR", "INTRP")
# Pixels around a peak that must all be good.
CORE_HALF = 3
# Peaks below this many standard deviations of a pixel are not looked at.
PEAK_SIGMA = 4.0
CELL = 128
# Stands for the squared norm of a stamp without good pixels, whose signal to noise is then 0.
SMALLEST_NORM = 1e-12
# Candidates that are examined for each one wanted.
OVERSAMPLING = 4


@dataclass(frozen=True, slots=True)
class MatchingPair:
    """The two images on one grid, with what the matching needs of them.

    Attributes
    ----------
    reference, target : MaskedImage
        Image to be convolved, with `margin` more pixels on each side, and the one to match; variance planes
        hold noise power at zero frequency [nJy^2].
    margin : int
        Additional pixels of the reference on each side.
    reference_sigma, target_sigma : float
        Sizes of their PSFs [pixel].
    """

    reference: object
    target: object
    margin: int
    reference_sigma: float
    target_sigma: float


def select_stamps(pair, kernel_half, noise_gain, settings):
    """Cut out the best isolated sources that are there in both images.

    Parameters
    ----------
    pair : MatchingPair
        The images.
    kernel_half : int
        Half-width of the kernel [pixel].
    noise_gain : float
        Pixel variance of the convolved reference over its noise power.
    settings : dict
        Section ``diff.kernel``: ``stamp_half_size``, ``minimum_snr``, ``maximum_stamps``,
        ``stamps_per_cell``.

    Returns
    -------
    KernelStamps
        Brightest first; possibly empty.

    Notes
    -----
    A galaxy serves as well as a star, since the same profile is seen by both images (Alard & Lupton 1998,
    section 2).
    """
    half = settings["stamp_half_size"]
    x, y = _isolated_peaks(pair, half, kernel_half)
    limit = OVERSAMPLING * settings["maximum_stamps"]
    stamps = _cut(pair, x[:limit], y[:limit], (half, kernel_half), noise_gain)
    snr, is_in_both = _joint_snr(pair, stamps, kernel_half)
    usable = _is_clean(pair, stamps.x, stamps.y, half) & is_in_both & (snr > settings["minimum_snr"])
    order = np.argsort(-np.where(usable, snr, -np.inf), kind="stable")[: int(usable.sum())]
    order = order[_rank_in_cell(stamps.x[order], stamps.y[order]) < settings["stamps_per_cell"]]
    order = order[: settings["maximum_stamps"]]
    log.info("kernel stamps: %d of %d peaks are clean, %d taken", usable.sum(), len(x), len(order))
    names = ("x", "y", "reference", "target", "weight", "weighted_power")
    return KernelStamps(**{name: getattr(stamps, name)[order] for name in names})


def _isolated_peaks(pair, half, kernel_half):
    """Positions of pixels that are the brightest within `half`, brightest first, away from the edges."""
    from scipy.ndimage import maximum_filter

    image = pair.target.image
    noise = np.sqrt(np.nanmedian(pair.target.variance))
    border = half + max(kernel_half - pair.margin, 0)
    # A fatal pixel outshines all: neither it nor anything near it is a peak.
    is_fatal = pair.target.is_masked(FATAL_PLANES) | ~np.isfinite(image)
    filled = np.where(is_fatal, np.float32(np.inf), image)
    is_peak = (image >= maximum_filter(filled, 2 * half + 1)) & (image > PEAK_SIGMA * noise)
    is_peak[:border] = is_peak[-border:] = False
    is_peak[:, :border] = is_peak[:, -border:] = False
    y, x = np.nonzero(is_peak)
    order = np.argsort(-image[y, x], kind="stable")
    return x[order], y[order]


def _windows(plane, x, y, half, offset=0):
    """Square windows of a plane around points, shape (m, 2 half + 1, 2 half + 1)."""
    r = np.arange(-half, half + 1) + offset
    return plane[y[:, None, None] + r[None, :, None], x[:, None, None] + r[None, None, :]]


def _cut(pair, x, y, halves, noise_gain):
    """Stamps around all candidates; masked pixels get weight 0."""
    half, kernel_half = halves
    wide = half + kernel_half
    reference = _windows(pair.reference.image, x, y, wide, pair.margin).astype(np.float64)
    power = _windows(pair.reference.variance, x, y, half, pair.margin).astype(np.float64)
    target = _windows(pair.target.image, x, y, half).astype(np.float64)
    variance = _windows(pair.target.variance, x, y, half) + noise_gain * power
    mask = _windows(pair.target.mask, x, y, half) | _windows(pair.reference.mask, x, y, half, pair.margin)
    good = ((mask & (IGNORED_PLANES | FATAL_PLANES)) == 0) & np.isfinite(target) & (variance > 0)
    weight = np.where(good, 1 / np.where(good, variance, 1.0), 0.0)
    return KernelStamps(
        x=x,
        y=y,
        reference=np.nan_to_num(reference),
        target=np.where(good, target, 0.0),
        weight=weight,
        weighted_power=np.sum(weight * np.nan_to_num(power), axis=(1, 2)),
    )


def _is_clean(pair, x, y, half):
    """Return which candidates have no fatal pixel in the stamp and no ignored one in the core."""
    fatal = np.zeros(len(x), dtype=bool)
    for image, offset in ((pair.target, 0), (pair.reference, pair.margin)):
        fatal |= ((_windows(image.mask, x, y, half, offset) & FATAL_PLANES) != 0).any(axis=(1, 2))
        fatal |= ((_windows(image.mask, x, y, CORE_HALF, offset) & IGNORED_PLANES) != 0).any(axis=(1, 2))
    return ~fatal


def _joint_snr(pair, stamps, kernel_half):
    """Signal to noise of the mean of both images at each stamp, and whether the source is in both.

    The inverse-variance mean is the one combination whose noise says nothing of the difference: choosing
    sources by the target's own flux would take those that scattered up, and make the kernel's sum too large.
    """
    inner = stamps.reference[:, kernel_half:-kernel_half, kernel_half:-kernel_half]
    target = _gaussian_flux(stamps.target, stamps.weight > 0, pair.target_sigma, _sky_power(pair.target))
    reference = _gaussian_flux(inner, stamps.weight > 0, pair.reference_sigma, _sky_power(pair.reference))
    information = 1 / target[1] + 1 / reference[1]
    mean = (target[0] / target[1] + reference[0] / reference[1]) / information
    # Either image shows a static source at half the mean flux or more, whatever its noise.
    lower = 0.5 * mean
    in_both = (target[0] > lower) & (reference[0] > lower)
    return mean * np.sqrt(information), in_both


def _sky_power(image):
    """Median noise power of an image."""
    return float(np.nanmedian(image.variance))


def _gaussian_flux(stamps, good, sigma, power):
    """Flux of each stamp through a Gaussian of the PSF's size and its variance."""
    profile = gaussian_kernel(sigma, stamps.shape[-1]) * good
    norm = np.maximum(np.sum(profile**2, axis=(1, 2)), SMALLEST_NORM)
    return np.sum(profile * stamps, axis=(1, 2)) / norm, power / norm


def _rank_in_cell(x, y):
    """Rank of each source, given brightest first, among those of its cell."""
    cell = (y // CELL) * (x.max(initial=0) // CELL + 1) + x // CELL
    order = np.argsort(cell, kind="stable")
    ordered = cell[order]
    first = np.searchsorted(ordered, ordered)
    rank = np.empty(len(cell), dtype=np.int64)
    rank[order] = np.arange(len(cell)) - first
    return rank
