"""Smooth background of an image: a clipped mesh of means below a mask of objects."""

import logging

import numpy as np

from skyloom.core import mask_planes
from skyloom.core.errors import DataError
from skyloom.core.images import Background
from skyloom.core.jit import kernel, summing_kernel

log = logging.getLogger(__name__)

IGNORED = mask_planes.bits(
    "BAD", "SAT", "INTRP", "CR", "NO_DATA", "DETECTED", "DETECTED_NEGATIVE", "STREAK", "HALO"
)
CLIP_SIGMA = 3.0
N_CLIP = 10
SAMPLE_SIZE = 1024
MIN_GOOD_FRACTION = 0.2
# A Gaussian clipped at +-3 sigma keeps this fraction of its standard deviation.
CLIPPED_STDEV_RATIO = 0.98658
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


def fit_background(masked_image, bin_size, object_mask=None):
    """Background of an image as a mesh of clipped levels.

    Parameters
    ----------
    masked_image : MaskedImage
        Pixels, any unit; pixels with a bit of `IGNORED` are left out.
    bin_size : int
        Side of a mesh cell [pixel].
    object_mask : ndarray, shape (ny, nx), bool, optional
        True on pixels with light of an object. Without it the level of a cell is the mode of its pixels
        (first pass, objects still in), with it their clipped mean.

    Returns
    -------
    Background
        Mesh of shape ``(ceil(ny / bin_size), ceil(nx / bin_size))``, float32.

    Raises
    ------
    NoSkyPixelsError
        If no cell is free of masked pixels over a fifth of its area.

    Notes
    -----
    Bertin & Arnouts (1996), Section 3.1: 3-sigma clipping, then a 3x3 median filter over the mesh. We differ
    in the second pass, where objects are masked with their wings grown: the clipped mean has 1.25 times less
    noise than the median and no bias from the skew of Poisson noise.
    """
    good = (masked_image.mask & IGNORED) == 0
    if object_mask is not None:
        good &= ~object_mask
    ny, nx = masked_image.image.shape
    n_cell_y, n_cell_x = -(-ny // bin_size), -(-nx // bin_size)
    mesh = np.empty((n_cell_y, n_cell_x))
    _measure_cells(masked_image.image, good, bin_size, object_mask is None, mesh)
    if np.all(np.isnan(mesh)):
        raise NoSkyPixelsError(int(good.sum()), good.size)
    mesh = _median_filtered(_filled(mesh))
    log.info("background level %.2f to %.2f in %d cells", mesh.min(), mesh.max(), mesh.size)
    return Background(mesh=mesh.astype(np.float32), bin_size=bin_size, shape=(ny, nx))


@kernel
def _measure_cells(image, good, bin_size, use_mode, mesh):
    """Clipped level of each cell into `mesh`; NaN where too few pixels are good."""
    ny, nx = image.shape
    values = np.empty(bin_size * bin_size, dtype=np.float32)
    for cell_y in range(mesh.shape[0]):
        for cell_x in range(mesh.shape[1]):
            y_end, x_end = min((cell_y + 1) * bin_size, ny), min((cell_x + 1) * bin_size, nx)
            n_pixel = (y_end - cell_y * bin_size) * (x_end - cell_x * bin_size)
            n = 0
            for y in range(cell_y * bin_size, y_end):
                for x in range(cell_x * bin_size, x_end):
                    if good[y, x]:
                        values[n] = image[y, x]
                        n += 1
            mesh[cell_y, cell_x] = np.nan
            if n < max(MIN_GOOD_FRACTION * n_pixel, 4):
                continue
            mesh[cell_y, cell_x] = _clipped_level(values[:n], use_mode)


@kernel
def _clipped_level(values, use_mode):
    """Mean, or mode, of the values within `CLIP_SIGMA` of the middle; `values` is used as work space."""
    # A start that outliers do not move, from a sample of a thousand or so: median and the 16-84 % range.
    sample = np.sort(values[:: max(values.size // SAMPLE_SIZE, 1)])
    centre = float(sample[sample.size // 2])
    sigma = max(0.5 * (sample[int(0.84 * sample.size)] - sample[int(0.16 * sample.size)]), 1e-30)
    n_kept = -1
    for _ in range(N_CLIP):
        n, total, square = _sums_within(values, np.float32(centre), np.float32(CLIP_SIGMA * sigma))
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


def _filled(mesh):
    """Mesh with each unmeasured cell replaced by the mean of its measured neighbours, outwards."""
    mesh = mesh.copy()
    while np.isnan(mesh).any():
        padded = np.pad(mesh, 1, constant_values=np.nan)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
        known = np.isfinite(windows)
        n_known = known.sum(axis=(2, 3))
        total = np.where(known, windows, 0.0).sum(axis=(2, 3))
        fill = np.isnan(mesh) & (n_known > 0)
        mesh[fill] = total[fill] / n_known[fill]
    return mesh


def _median_filtered(mesh):
    """Mesh after a 3x3 median filter, its border extended linearly: a plane passes unchanged."""
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(mesh, 1, mode="reflect", reflect_type="odd"), (3, 3)
    )
    return np.median(windows, axis=(2, 3))


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    image = np.zeros((8, 8), dtype=np.float32)
    _measure_cells(image, np.ones((8, 8), dtype=bool), 4, True, np.empty((2, 2)))
