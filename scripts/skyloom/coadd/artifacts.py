"""Artifacts that one visit has and the others have not: trails, ghosts, missed rays, moving objects."""

import numpy as np

from skyloom.algorithms.footprints import grow_mask
from skyloom.coadd.frames import window_of
from skyloom.core import mask_planes
from skyloom.core.jit import kernel

# Smallest Gaussian applied, so that the blurriest warp is treated like the others [pixel].
EXTRA_SMOOTHING = 0.7
MIN_GOOD_WEIGHT = 0.5
RANGE_BOX = 5
MEDIAN_VARIANCE_FACTOR = np.pi / 2


def find_artifacts(warps, frame, settings):
    """Pixels of each warp that disagree with the median of all.

    Parameters
    ----------
    warps : list of Exposure
        Warps of one patch and band.
    frame : PatchFrame
        The patch, and the PSF size and noise of each warp.
    settings : dict
        Section ``coadd.artifacts``: n_sigma, gradient_fraction, grow [pixel], minimum_inputs.

    Returns
    -------
    list of ndarray, shape of each warp, bool
        True where the warp must not be used; all False with fewer than `minimum_inputs` warps.

    Notes
    -----
    The idea of CompareWarp (AlSayyad 2019, DMTN-080): differences are sought between PSF-matched images, and a
    pixel that is an outlier in many visits is a variable source, no artifact. Each warp is smoothed by the
    Gaussian that brings its PSF to the size of the blurriest, and compared with the median. Its deviation
    must exceed ``n_sigma`` of the noise plus ``gradient_fraction`` of the median's range within 5x5 pixels:
    what is left of PSF differences scales with it, and star cores are spared. A region is kept when half of
    its pixels or more are outliers in more than 1 of 3 or 4 visits, 2 of 5, or 2 + 3 % of more.
    """
    nothing = [np.zeros(warp.pixels.shape, dtype=bool) for warp in warps]
    if len(warps) < max(settings["minimum_inputs"], 3):
        return nothing
    target = float(np.hypot(frame.psf_sigma.max(), EXTRA_SMOOTHING))
    stack = np.full((len(warps), *frame.shape), np.nan, dtype=np.float32)
    noise_factor = np.empty(len(warps))
    for index, warp in enumerate(warps):
        width = float(np.sqrt(target**2 - frame.psf_sigma[index] ** 2))
        stack[index][window_of(warp)] = smooth(warp.pixels, width, frame.rejected_planes)
        noise_factor[index] = min(1.0, warp.noise_correlation / (4 * np.pi * width**2))
    median, n_used = stack_median(stack)
    floor = settings["gradient_fraction"] * local_range(median)
    outliers = [
        _outliers(stack[i], warps[i], frame, (median, n_used, floor), (settings["n_sigma"], noise_factor[i]))
        for i in range(len(warps))
    ]
    n_outlier = np.sum(outliers, axis=0, dtype=np.int32)
    acceptable = n_outlier <= epoch_limit(n_used)
    grown = []
    for warp, outlier in zip(warps, outliers, strict=True):
        region = artifact_regions(outlier, acceptable)
        area = grow_mask(region, settings["grow"]) & (n_used >= settings["minimum_inputs"])
        grown.append(np.ascontiguousarray(area[window_of(warp)]))
    return grown


def artifact_regions(outlier, acceptable):
    """Connected regions of outliers most of whose pixels are outliers in few visits.

    Parameters
    ----------
    outlier : ndarray, shape (ny, nx), bool
        Outliers of one visit.
    acceptable : ndarray, shape (ny, nx), bool
        Pixels where no more visits are outliers than an artifact may touch.

    Returns
    -------
    ndarray, shape (ny, nx), bool
        Those regions, whole: a variable source, which is an outlier in many visits, has a rim where one visit
        alone exceeds the threshold.
    """
    from scipy.ndimage import label

    labels, n_region = label(outlier, structure=np.ones((3, 3), dtype=int))
    n_pixel = np.bincount(labels.ravel(), minlength=n_region + 1)
    n_acceptable = np.bincount(labels[acceptable], minlength=n_region + 1)
    is_artifact = 2 * n_acceptable > n_pixel
    is_artifact[0] = False
    return is_artifact[labels]


def smooth(pixels, sigma, rejected_planes):
    """Image smoothed by a Gaussian, unusable pixels left out of the mean.

    Parameters
    ----------
    pixels : MaskedImage
        A warp.
    sigma : float
        Width of the Gaussian [pixel].
    rejected_planes : int
        Mask bits of unusable pixels.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        NaN where less than half of the Gaussian's weight falls on usable pixels, and on unusable pixels.
    """
    from scipy.ndimage import gaussian_filter

    planes = np.uint32(rejected_planes) | mask_planes.NO_DATA
    usable = ((pixels.mask & planes) == 0) & np.isfinite(pixels.image)
    weight = gaussian_filter(usable.astype(np.float32), sigma, mode="constant")
    value = gaussian_filter(np.where(usable, pixels.image, np.float32(0)), sigma, mode="constant")
    enough = usable & (weight > MIN_GOOD_WEIGHT)
    return np.where(enough, value / np.where(enough, weight, 1), np.nan).astype(np.float32)


def stack_median(stack):
    """Median over the first axis, NaN left out.

    Parameters
    ----------
    stack : ndarray, shape (n, ny, nx), float32
        Images.

    Returns
    -------
    median : ndarray, shape (ny, nx), float32
        NaN where nothing is finite.
    n_used : ndarray, shape (ny, nx), int32
        Number of finite values.
    """
    median = np.empty(stack.shape[1:], dtype=np.float32)
    n_used = np.empty(stack.shape[1:], dtype=np.int32)
    _stack_median(stack, median, n_used)
    return median, n_used


def local_range(image):
    """Maximum minus minimum within 5x5 pixels (ndarray, float32); NaN counts as 0.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Image.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    filled = np.nan_to_num(image)
    return maximum_filter(filled, RANGE_BOX) - minimum_filter(filled, RANGE_BOX)


def epoch_limit(n_used):
    """Largest number of visits in which an artifact may lie on one pixel.

    Parameters
    ----------
    n_used : ndarray, int
        Visits that cover the pixel.

    Returns
    -------
    ndarray, float64
        0 below 3 visits, 1 for 3 and 4, 2 for 5, then 2 + 0.03 n.
    """
    n = np.asarray(n_used)
    return np.select([n < 3, n < 5, n == 5], [0.0, 1.0, 2.0], default=2 + 0.03 * n)


def _outliers(matched, warp, frame, reference, limits):
    """Pixels of the patch where a matched warp leaves the median by more than noise and PSF residuals."""
    median, n_used, floor = reference
    n_sigma, noise_factor = limits
    variance = np.full(frame.shape, np.nan, dtype=np.float32)
    variance[window_of(warp)] = warp.pixels.variance
    with np.errstate(invalid="ignore", divide="ignore"):
        of_median = MEDIAN_VARIANCE_FACTOR / n_used
        tolerance = n_sigma * np.sqrt(noise_factor * variance * (1 + of_median)) + floor
        return np.abs(matched - median) > tolerance


@kernel
def _stack_median(stack, median, n_used):
    """Fill median and count of every pixel."""
    n, ny, nx = stack.shape
    values = np.empty(n, dtype=np.float32)
    for y in range(ny):
        for x in range(nx):
            m = 0
            for i in range(n):
                value = stack[i, y, x]
                if not np.isfinite(value):
                    continue
                j = m
                while j > 0 and values[j - 1] > value:
                    values[j] = values[j - 1]
                    j -= 1
                values[j] = value
                m += 1
            n_used[y, x] = m
            if m == 0:
                median[y, x] = np.nan
            elif m % 2 == 1:
                median[y, x] = values[m // 2]
            else:
                median[y, x] = np.float32(0.5) * (values[m // 2 - 1] + values[m // 2])


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    stack_median(np.zeros((1, 2, 2), dtype=np.float32))
