"""Smooth background of an image: a surface through a mesh of clipped means below a mask of objects."""

import logging
from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.smooth_mesh import smooth_mesh
from skyloom.core import mask_planes
from skyloom.core.errors import DataError
from skyloom.core.images import Background
from skyloom.core.jit import kernel, summing_kernel

log = logging.getLogger(__name__)

IGNORED = mask_planes.bits(
    "BAD", "SAT", "INTRP", "CR", "NO_DATA", "DETECTED", "DETECTED_NEGATIVE", "STREAK", "HALO"
)
CLIP_SIGMA = 4.0
N_CLIP = 10
SAMPLE_SIZE = 256
# One in so many pixels of a cell is clipped first.
PART_STEP, LEAST_PART = 16, 64
MIN_GOOD_FRACTION = 0.02
LEAST_WAVE = 4.0
"""Shortest wave that a mesh can hold [cell]."""
# A Gaussian clipped at +-4 sigma keeps this fraction of its standard deviation.
CLIPPED_STDEV_RATIO = 0.99946
# Mode of a skewed, clipped sample from its median and mean (Pearson; Bertin & Arnouts 1996, Section 3.1).
MODE_MEDIAN, MODE_MEAN = 2.5, 1.5


class NoSkyPixelsError(DataError):
    """No mesh cell has enough unmasked pixels to measure a background.

    Parameters
    ----------
    n_good, n_pixel : int
        Pixels free of masks and objects, and all pixels.
    """

    def __init__(self, n_good, n_pixel):
        self.n_good = n_good
        self.n_pixel = n_pixel
        super().__init__(
            f"{n_good} of {n_pixel} pixels are free of masks and objects, needs one mesh cell that is "
            f"{MIN_GOOD_FRACTION:.0%} free: is the frame saturated, empty or covered by one object?"
        )


@dataclass(frozen=True, slots=True)
class SkyFit:
    """A background and where it was seen.

    Attributes
    ----------
    background : Background
        Smooth level of the sky.
    is_sky : ndarray, shape (ny, nx), bool
        Pixels that made it: free of masks and objects, in a cell that is not lifted by the light of some.
    """

    background: Background
    is_sky: np.ndarray


def fit_background(masked_image, settings, object_mask=None):
    """Background of an image: a smooth surface through a mesh of clipped levels.

    Parameters
    ----------
    masked_image : MaskedImage
        Pixels, any unit; pixels with a bit of `IGNORED` are left out.
    settings : dict
        ``bin_size``: side of a mesh cell [pixel]; ``shortest_wave``: what the sky changes over [pixel].
    object_mask : ndarray, shape (ny, nx), bool, optional
        True on pixels with light of an object. Without it the level of a cell is the mode of its pixels
        (first pass, objects still in), with it their clipped mean.

    Returns
    -------
    SkyFit
        Mesh of shape ``(ceil(ny / bin_size), ceil(nx / bin_size))``, float32, and its cells of sky.

    Raises
    ------
    NoSkyPixelsError
        If no cell has enough pixels free of masks.

    Notes
    -----
    Bertin & Arnouts (1996), Section 3.1, have 3-sigma clipping, then a 3x3 median filter over the mesh. We differ in
    both. Light of sources too faint to be found lies below the next source as well and is not to be clipped, hence 4
    sigma; where objects are masked with their wings grown, the clipped mean has 1.25 times less noise than the median
    and no bias from the skew of Poisson noise. And `smooth_mesh` weights cells by their pixels and sees the rim of a
    galaxy, or an aureole, in cells that none of their pixels gives away.
    """
    bin_size = settings["bin_size"]
    good = masked_image.is_masked(IGNORED)
    np.logical_not(good, out=good)
    if object_mask is not None:
        good &= ~object_mask
    ny, nx = masked_image.image.shape
    levels, n_good = cell_levels(masked_image.image, good, bin_size, use_mode=object_mask is None)
    if not n_good.any():
        raise NoSkyPixelsError(int(good.sum()), good.size)
    wave = max(settings["shortest_wave"] / bin_size, LEAST_WAVE)
    mesh, used = smooth_mesh(levels, n_good / n_good.max(), wave)
    for cell_y, cell_x in np.argwhere(~used):
        good[cell_y * bin_size : (cell_y + 1) * bin_size, cell_x * bin_size : (cell_x + 1) * bin_size] = False
    log.info("background %.2f to %.2f, %d of %d cells used", mesh.min(), mesh.max(), used.sum(), mesh.size)
    return SkyFit(Background(mesh=mesh.astype(np.float32), bin_size=bin_size, shape=(ny, nx)), good)


def cell_levels(image, good, bin_size, *, use_mode=False):
    """Clipped levels of the cells of an image.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Pixels, any unit.
    good : ndarray, shape (ny, nx), bool
        Pixels of sky.
    bin_size : int
        Side of a cell [pixel].
    use_mode : bool
        Whether the level is the mode of the pixels, for a sky with objects in it, instead of their mean.

    Returns
    -------
    levels : ndarray, shape (ceil(ny / bin_size), ceil(nx / bin_size)), float64
        In the image's unit; NaN where too few pixels are good.
    n_good : ndarray, same shape, float64
        Number of these pixels; 0 where they are too few.
    """
    ny, nx = image.shape
    levels = np.empty((-(-ny // bin_size), -(-nx // bin_size)))
    n_good = np.zeros(levels.shape)
    _measure_cells(image, good, bin_size, use_mode, levels, n_good)
    return levels, n_good


@kernel
def _measure_cells(image, good, bin_size, use_mode, mesh, n_good):  # noqa: PLR0913 (two results)
    """Clipped level of each cell into `mesh`, NaN where too few pixels are good, and their number, 0 there."""
    ny, nx = image.shape
    values = np.empty(bin_size * bin_size, dtype=np.float32)
    for cell_y in range(mesh.shape[0]):
        for cell_x in range(mesh.shape[1]):
            y_end, x_end = min((cell_y + 1) * bin_size, ny), min((cell_x + 1) * bin_size, nx)
            n_pixel = (y_end - cell_y * bin_size) * (x_end - cell_x * bin_size)
            n = 0
            for y in range(cell_y * bin_size, y_end):
                for x in range(cell_x * bin_size, x_end):
                    # Each is written, and stays where it is good: a branch would be guessed wrong.
                    values[n] = image[y, x]
                    n += good[y, x]
            mesh[cell_y, cell_x] = np.nan
            n_good[cell_y, cell_x] = 0
            if n < max(MIN_GOOD_FRACTION * n_pixel, 4):
                continue
            n_good[cell_y, cell_x] = n
            mesh[cell_y, cell_x] = _clipped_level(values[:n], use_mode)


@kernel
def _clipped_level(values, use_mode):
    """Mean, or mode, of the values within `CLIP_SIGMA` of the middle; `values` is used as work space."""
    # A start that outliers do not move, from a sample of some hundreds: median and the 16-84 % range.
    sample = np.sort(values[:: max(values.size // SAMPLE_SIZE, 1)])
    centre = float(sample[sample.size // 2])
    sigma = max(0.5 * (sample[int(0.84 * sample.size)] - sample[int(0.16 * sample.size)]), 1e-30)
    # Most rounds are for few values: with all of them the limits then move little.
    for step in (PART_STEP, 1) if values.size >= PART_STEP * LEAST_PART else (1, 1):
        part = values[::step].copy()
        n_kept = -1
        for _ in range(N_CLIP):
            n, total, square = _sums_within(part, np.float32(centre), np.float32(CLIP_SIGMA * sigma))
            if n == n_kept or n == 0:
                break
            n_kept = n
            limits = (centre - CLIP_SIGMA * sigma, centre + CLIP_SIGMA * sigma)
            mean = centre + total / n
            sigma = max(np.sqrt(max(square / n - (total / n) ** 2, 0.0)) / CLIPPED_STDEV_RATIO, 1e-30)
            centre = mean
    if not use_mode:
        return centre
    n = 0
    for i in range(values.size):
        if limits[0] <= values[i] <= limits[1]:
            values[n] = values[i]
            n += 1
    return MODE_MEDIAN * np.median(values[:n]) - MODE_MEAN * centre


@summing_kernel
def _sums_within(values, centre, reach):
    """Number, sum and sum of squares of the deviations from the centre that are no larger than the reach."""
    total = square = 0.0
    n = 0
    for i in range(values.size):
        deviation = values[i] - centre
        inside = abs(deviation) <= reach
        kept = deviation if inside else np.float32(0)
        n += 1 if inside else 0
        total += np.float64(kept)
        square += np.float64(kept) * np.float64(kept)
    return n, total, square


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    image = np.zeros((16, 16), dtype=np.float32)
    for part in (image, image[::2, ::2]):
        good = np.ones(part.shape, dtype=bool)
        _measure_cells(part, good, 8, True, np.empty((2, 2)), np.empty((2, 2)))
