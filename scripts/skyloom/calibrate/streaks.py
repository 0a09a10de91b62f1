"""Trails of satellites and aeroplanes: straight, even lines across the whole image, found and masked STREAK."""

import logging
from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.line_transform import line_ends, line_sums
from skyloom.algorithms.robust import MEDIAN_ERROR, block_median_background, finite_median, mad_sigma
from skyloom.core import mask_planes
from skyloom.core.jit import kernel

log = logging.getLogger(__name__)

UNUSABLE = mask_planes.bits("BAD", "SAT", "NO_DATA", "STREAK")

N_BIN = 512
"""Lines are looked for on at most this many bins each way..."""
MIN_BIN = 4
"""...of at least this many pixels, about the width of a trail."""
PIXEL_CLIP, BIN_CLIP = 3.0, 4.0
"""No pixel and no bin counts for more [sigma]: a line is seen by its length, a star is not a line."""
SKY_BINS = 32
"""Bins of the sky's map, in bins: a trail fills less than a quarter of such a square."""
COMPACT = 128
"""Footprints that are longer may be a trail; others are no part of one [pixel]."""
CANDIDATE_SIGMA = 6.0
"""Of two million lines of noise the highest is at 5 sigma; what is above is looked at."""
MAX_STREAKS, MAX_REJECTED = 10, 4

SEGMENT = 128
"""Profiles are medians along pieces of this length [pixel]: long beside a star, short beside the image."""
MIN_SAMPLES = 48
MIN_SEGMENTS = 3
HALF_WIDTH = 48
"""Profiles reach this far to either side [pixel]."""
SMOOTHING = 5
RIM = 1.5
"""Added to a mask on both sides: profiles are of whole pixels [pixel]."""
CENTRE_REACH = 12
"""The line of the bins is at most this far off the trail's middle [pixel]."""
CORE_LEVEL = 0.3
"""The part of a profile above this fraction of its peak is its core."""
EVENNESS = 0.4
"""A piece shows the trail when its core is between this fraction of the median piece's and the inverse multiple: spikes
fall with the square of the distance."""
FAR_PART = 0.5
WING_REACH, WING_SIGMA = 8.0, 5.0
"""Beyond a distance [pixel] from compact sources a trail has at least this part of its height: a row of stars lives of
their wings. That is looked at where so many standard errors tell it."""


@dataclass(frozen=True, slots=True)
class Streak:
    """A trail.

    Attributes
    ----------
    ends : ndarray, shape (2, 2), float64
        x, y of two points of its middle line, at the image's edges [pixel].
    low, high : float
        Distance of its two rims from that line, to the left of the direction of `ends` [pixel].
    brightness : float
        Mean height of its core [sigma of a pixel].
    significance : float
        Of the median piece of the trail [sigma].
    """

    ends: np.ndarray
    low: float
    high: float
    brightness: float
    significance: float


def mask_streaks_in_place(pixels, labels, settings):
    """Set STREAK on every trail.

    Parameters
    ----------
    pixels : MaskedImage
        Background subtracted. Its mask is changed.
    labels : ndarray, shape (ny, nx), int32
        Footprints of what was detected, 0 outside.
    settings : dict
        As in `find_streaks`.
    """
    streaks = find_streaks(pixels, labels, settings)
    if not streaks:
        return
    is_streak = np.zeros(pixels.shape, dtype=bool)
    for streak in streaks:
        paint_streak_in_place(is_streak, streak)
        log.info(
            "a trail of %.1f sigma a pixel, %.0f pixels wide, from (%.0f, %.0f) to (%.0f, %.0f)",
            streak.brightness,
            streak.high - streak.low,
            *streak.ends.ravel(),
        )
    np.bitwise_or(pixels.mask, mask_planes.STREAK, out=pixels.mask, where=is_streak)


def find_streaks(pixels, labels, settings):
    """Trails that cross an image.

    Parameters
    ----------
    pixels : MaskedImage
        Background subtracted; pixels masked BAD, SAT, NO_DATA or STREAK do not count.
    labels : ndarray, shape (ny, nx), int32
        Footprints of what was detected, 0 outside; those that are compact are left out of the search.
    settings : dict
        ``min_sigma``: least significance of the median piece of a trail; ``min_length``: shortest way across the image
        [pixel]; ``min_continuity``: least fraction of its pieces that show it; ``mask_level``: height where its mask
        ends [sigma of a pixel].

    Returns
    -------
    list of Streak
        In the order in which they were found, the most significant line first.

    Notes
    -----
    Lines are found on the clipped, binned significance by the fast Radon transform, as by Nir, Zackay & Ofek (2018).
    What makes a line a trail is that the medians along its pieces, which know nothing of stars on it, show it in nearly
    all of them: spikes, galaxies, halos and rows of stars do not cross the image.
    """
    is_compact = _is_compact(labels)
    binned = _Bins.of(pixels, labels, is_compact)
    streaks, n_rejected = [], 0
    while len(streaks) < MAX_STREAKS and n_rejected < MAX_REJECTED:
        ends = binned.best_line(settings["min_length"])
        if ends is None:
            break
        streak = _verified(pixels, is_compact[labels], ends, settings)
        if streak is None:
            n_rejected += 1
            streak = Streak(ends, -float(binned.size), float(binned.size), 0.0, 0.0)
        else:
            streaks.append(streak)
        binned.leave_out_in_place(streak)
    return streaks


def paint_streak_in_place(is_streak, streak, scale=1.0):
    """Set the pixels of a trail.

    Parameters
    ----------
    is_streak : ndarray, shape (ny, nx), bool
        Changed in place.
    streak : Streak
        The trail.
    scale : float
        Side of the array's pixels in pixels of the trail; its pixels next to the trail are set too.
    """
    ny, nx = is_streak.shape
    (x0, y0), along, across = _frame(streak.ends)[:3]
    reach = scale - 1
    y = (np.arange(ny, dtype=np.float32) * scale + reach / 2 - y0)[:, None]
    x = (np.arange(nx, dtype=np.float32) * scale + reach / 2 - x0)[None, :]
    distance = x * np.float32(across[0]) + y * np.float32(across[1])
    is_streak |= (distance >= streak.low - reach) & (distance <= streak.high + reach)


class _Bins:
    """Sums of clipped significance in square bins, and how many pixels each has.

    Parameters
    ----------
    sums, counts : ndarray, shape (by, bx), float32
        Sum of significance, number of pixels.
    size : int
        Side of a bin [pixel].
    """

    def __init__(self, sums, counts, size):
        self.sums, self.counts, self.size = sums, counts, size

    @classmethod
    def of(cls, pixels, labels, is_compact):
        """Bins of an image without its compact sources, above a smooth sky."""
        ny, nx = pixels.shape
        size = max(MIN_BIN, -(-max(ny, nx) // N_BIN))
        sums = np.zeros((-(-ny // size), -(-nx // size)), dtype=np.float32)
        counts = np.zeros_like(sums)
        _bin_significance(
            (pixels.image, pixels.variance, pixels.mask, labels),
            is_compact,
            size,
            (sums, counts),
        )
        mean = sums / np.maximum(counts, 1)
        sums -= counts * block_median_background(mean, counts == 0, SKY_BINS).image()
        limit = BIN_CLIP * np.sqrt(counts)
        return cls(np.clip(sums, -limit, limit).astype(np.float32), counts, size)

    def best_line(self, min_length):
        """Ends [pixel] of the most significant line that is long enough; None when none stands out."""
        best, found = CANDIDATE_SIGMA, None
        enough = min_length * self.size / 2
        for quadrant, (sums, counts) in enumerate(
            zip(line_sums(self.sums), line_sums(self.counts), strict=True)
        ):
            is_long = counts > enough
            if not is_long.any():
                continue
            significance = np.where(is_long, sums, 0) / np.sqrt(np.maximum(counts, 1))
            scatter = max(mad_sigma(significance[is_long][::7]), 1.0)
            peak = np.unravel_index(np.argmax(significance), significance.shape)
            if significance[peak] / scatter > best:
                best = significance[peak] / scatter
                found = line_ends(quadrant, peak, self.sums.shape)
        return None if found is None else (found + 0.5) * self.size - 0.5

    def leave_out_in_place(self, streak):
        """Let a line count no more."""
        is_out = np.zeros(self.sums.shape, dtype=bool)
        paint_streak_in_place(is_out, streak, self.size)
        self.sums[is_out] = self.counts[is_out] = 0


def _is_compact(labels):
    """Whether each footprint, from label 0 (which is none) on, is too short to be a trail (ndarray of bool)."""
    first, last = _extents(labels, int(labels.max(initial=0)) + 1)
    is_compact = (last - first).max(axis=0) + 1 < COMPACT
    is_compact[0] = False
    return is_compact


def _frame(ends):
    """Start, unit vectors along and to the left, and length of a line."""
    step = ends[1] - ends[0]
    length = float(np.hypot(*step))
    along = step / length
    return ends[0], along, np.array([-along[1], along[0]]), length


def _verified(pixels, is_source, ends, settings):
    """Trail along a line, or None when the line is something else; `is_source` is true on compact sources."""
    for _ in range(2):
        profiles = _profiles(pixels, ends)
        core, _ = _core_and_rims(finite_median(profiles), settings["mask_level"])
        heights, error = _heights(profiles, core)
        ends = _straightened(ends, profiles, core, heights > 3 * error)
    profiles = _profiles(pixels, ends)
    core, rims = _core_and_rims(finite_median(profiles), settings["mask_level"])
    heights, error = _heights(profiles, core)
    heights = heights[np.isfinite(heights)]
    n = len(heights)
    if n < max(MIN_SEGMENTS, settings["min_length"] // SEGMENT):
        return None
    level = float(np.median(heights))
    significance = level / (MEDIAN_ERROR * error / np.sqrt(n))
    # A piece of a faint trail may be off by its own error, too.
    continuity = np.mean((heights > EVENNESS * level - error) & (heights < level / EVENNESS + error))
    if significance < settings["min_sigma"] or continuity < settings["min_continuity"]:
        return None
    if not _is_lit_between(pixels, is_source, (ends, core, level)):
        return None
    return Streak(ends, rims[0] - RIM, rims[1] + RIM, level, float(significance))


def _is_lit_between(pixels, is_source, line):
    """Whether a trail (ends, core and height) is there far from compact sources, too.

    Where these leave too few pixels to tell, it is.
    """
    from scipy.ndimage import distance_transform_edt

    ends, core, height = line
    x, y, inside = _strip(pixels.shape, ends)
    values = _significance_along(pixels, ends)
    far = np.isfinite(values) & (distance_transform_edt(~(is_source[y, x] & inside)) > WING_REACH)
    beside = _beside(core)
    core_values, sky_values = values[:, core][far[:, core]], values[:, beside][far[:, beside]]
    if min(len(core_values), len(sky_values)) < (WING_SIGMA * MEDIAN_ERROR / height) ** 2:
        return True
    return bool(np.median(core_values) - np.median(sky_values) > FAR_PART * height)


def _profiles(pixels, ends):
    """Median significance along each piece of a line at each distance from it; NaN where too little is known.

    Shape (pieces, 2 HALF_WIDTH + 1).
    """
    values = _significance_along(pixels, ends)
    return finite_median(values.reshape(-1, SEGMENT, values.shape[1]), axis=1, least=MIN_SAMPLES)


def _significance_along(pixels, ends):
    """Significance of the pixels along a line; NaN where they say nothing. Shape as in `_strip`."""
    x, y, inside = _strip(pixels.shape, ends)
    inside &= (pixels.mask[y, x] & UNUSABLE) == 0
    variance = np.where(inside, pixels.variance[y, x], 1)
    return np.where(inside, pixels.image[y, x] / np.sqrt(variance), np.nan)


def _strip(shape, ends):
    """Pixels x, y along a line, whole pieces of it, and whether they are on the image.

    Shape (pieces * SEGMENT, 2 HALF_WIDTH + 1).
    """
    start, along, across, length = _frame(ends)
    n_piece = max(int(length) // SEGMENT, 1)
    t = (np.arange(n_piece * SEGMENT) + 0.5) * length / (n_piece * SEGMENT)
    offset = np.arange(-HALF_WIDTH, HALF_WIDTH + 1)
    x = np.rint(start[0] + t[:, None] * along[0] + offset * across[0]).astype(np.int64)
    y = np.rint(start[1] + t[:, None] * along[1] + offset * across[1]).astype(np.int64)
    ny, nx = shape
    inside = (x >= 0) & (x < nx) & (y >= 0) & (y < ny)
    return np.clip(x, 0, nx - 1), np.clip(y, 0, ny - 1), inside


def _core_and_rims(profile, mask_level):
    """Core of a trail's profile (ndarray of bool) and the offsets of its rims, the two ends of its mask [pixel]."""
    padded = np.pad(np.nan_to_num(profile), SMOOTHING // 2, mode="edge")
    smooth = np.convolve(padded, np.full(SMOOTHING, 1 / SMOOTHING), mode="valid")
    smooth = smooth - np.median(smooth)
    middle = HALF_WIDTH - CENTRE_REACH
    peak = middle + int(np.argmax(smooth[middle:-middle]))
    low, high = _contiguous(smooth > CORE_LEVEL * smooth[peak], peak)
    core = np.zeros(len(profile), dtype=bool)
    core[low : high + 1] = True
    low, high = _contiguous(smooth > min(mask_level, CORE_LEVEL * smooth[peak]), peak)
    return core, (low - HALF_WIDTH, high - HALF_WIDTH)


def _contiguous(is_set, index):
    """First and last of the set elements around one, that one included."""
    low = high = index
    while low > 0 and is_set[low - 1]:
        low -= 1
    while high < len(is_set) - 1 and is_set[high + 1]:
        high += 1
    return low, high


def _heights(profiles, core):
    """Height of each piece's core above the sky on both sides [sigma], and its standard error."""
    position, beside = np.flatnonzero(core), _beside(core)
    sky = finite_median(profiles[:, beside], axis=1, least=int(beside.sum()) // 2)
    height = finite_median(profiles[:, core], axis=1, least=len(position) // 2 + 1) - sky
    error = MEDIAN_ERROR**2 / np.sqrt(SEGMENT * len(position))
    scatter = mad_sigma(profiles[:, beside]) * MEDIAN_ERROR / np.sqrt(len(position))
    return height, max(error, scatter if np.isfinite(scatter) else 0.0)


def _beside(core):
    """Offsets from a trail's middle where the sky beside its core is (ndarray of bool)."""
    position, offset = np.flatnonzero(core), np.arange(len(core))
    margin = 2 * len(position)
    beside = (offset < position[0] - margin) | (offset > position[-1] + margin)
    return beside if beside.sum() >= len(position) else ~core


def _straightened(ends, profiles, core, is_seen):
    """Ends moved to the line through the middles of the pieces that show the trail."""
    if np.count_nonzero(is_seen) < MIN_SEGMENTS:
        return ends
    offset = np.flatnonzero(core)
    # The profile's neighbourhood, so that a tilted line's pieces are not cut by the mean core.
    near = slice(max(offset[0] - CENTRE_REACH, 0), offset[-1] + CENTRE_REACH + 1)
    light = np.maximum(np.nan_to_num(profiles[is_seen][:, near]), 0)
    offsets = np.arange(len(core))[near] - HALF_WIDTH
    middle = (light * offsets).sum(axis=1) / np.maximum(light.sum(axis=1), 1e-9)
    place = (np.flatnonzero(is_seen) + 0.5) / len(profiles)
    slope, shift = np.polyfit(place, middle, 1)
    across = _frame(ends)[2]
    return ends + np.array([shift, shift + slope])[:, None] * across


@kernel
def _extents(labels, n_label):
    """First and last row and column of each label, shape (2, n_label); the last before the first where it is not."""
    ny, nx = labels.shape
    first, last = np.full((2, n_label), max(ny, nx)), np.full((2, n_label), -1)
    for y in range(ny):
        for x in range(nx):
            label = labels[y, x]
            if label:
                first[0, label], last[0, label] = min(first[0, label], y), y
                first[1, label], last[1, label] = min(first[1, label], x), max(last[1, label], x)
    return first, last


@kernel
def _bin_significance(planes, is_compact, size, sums_and_counts):
    """Add each usable pixel's clipped significance to its bin."""
    image, variance, mask, labels = planes
    sums, counts = sums_and_counts
    ny, nx = image.shape
    for y in range(ny):
        row = y // size
        for column in range(sums.shape[1]):
            total, n = np.float32(0), np.float32(0)
            for x in range(column * size, min((column + 1) * size, nx)):
                if mask[y, x] & UNUSABLE or is_compact[labels[y, x]]:
                    continue
                value = image[y, x] / np.sqrt(variance[y, x])
                total += min(max(value, np.float32(-PIXEL_CLIP)), np.float32(PIXEL_CLIP))
                n += np.float32(1)
            sums[row, column] += total
            counts[row, column] += n


def compile_kernels():
    """Compile the kernels of this module for the types used in production."""
    plane, labels = np.ones((2, 2), dtype=np.float32), np.zeros((2, 2), dtype=np.int32)
    sums = np.zeros((1, 1), dtype=np.float32)
    planes = (plane, plane, np.zeros((2, 2), dtype=np.uint32), labels)
    _bin_significance(planes, _is_compact(labels), 2, (sums, sums.copy()))
