"""Images in memory: pixels with mask and variance, and the exposure around them."""

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skyloom.core.errors import ImageShapeError

STRIP = 64
"""Rows that are worked on at a time where a plane between would cost more than what is wanted."""


def strips(n_row, length=STRIP):
    """Return slices of all rows of a plane, some at a time, as a processor's cache holds them (list of slice).

    Parameters
    ----------
    n_row : int
        Rows of the plane.
    length : int
        Of them in a slice, but for the last.
    """
    return [slice(first, min(first + length, n_row)) for first in range(0, n_row, length)]


def pixels_at(x, y, shape):
    """Pixels that hold positions; for those outside of the image the nearest at its edge.

    Parameters
    ----------
    x, y : ndarray, shape (n,), float64
        Positions [pixel]; NaN is taken for 0.
    shape : tuple of int
        Shape (ny, nx) of the image.

    Returns
    -------
    row, column : ndarray, shape (n,), int64
        Indices of the pixels.
    """
    row, column = (
        np.clip(np.rint(np.nan_to_num(position)), 0, side - 1).astype(np.int64)
        for position, side in ((y, shape[0]), (x, shape[1]))
    )
    return row, column


def native_rows(plane, part):
    """Rows of a plane in the machine's byte order.

    Parameters
    ----------
    plane : ndarray, shape (ny, nx), float32
        In any byte order: that of FITS where the plane is mapped from a file.
    part : slice
        Of the rows.

    Returns
    -------
    ndarray, float32
        Contiguous.
    """
    return np.ascontiguousarray(plane[part], np.float32)


def has_bits(mask, planes):
    """Where any bit of some planes is set, without another mask between (ndarray of bool, shape (ny, nx)).

    Parameters
    ----------
    mask : ndarray, shape (ny, nx), uint32
        Bits of `skyloom.core.mask_planes`.
    planes : uint32
        Those of them that count.
    """
    found = np.empty(mask.shape, dtype=bool)
    for rows in strips(len(mask)):
        np.not_equal(mask[rows] & np.uint32(planes), 0, out=found[rows])
    return found


@dataclass(frozen=True, slots=True)
class MaskedImage:
    """Pixels of one detector, patch or difference; arrays are indexed ``[y, x]``.

    Attributes
    ----------
    image : ndarray, shape (ny, nx), float32
        Surface brightness [nJy] once calibrated, [electron] before.
    mask : ndarray, shape (ny, nx), uint32
        Bits of `skyloom.core.mask_planes`; 0 is a good pixel.
    variance : ndarray, shape (ny, nx), float32
        Variance of `image` in its unit squared; no covariance is kept.
    """

    image: np.ndarray
    mask: np.ndarray
    variance: np.ndarray

    def __post_init__(self):
        """Refuse planes of different shapes."""
        shapes = {name: getattr(self, name).shape for name in ("image", "mask", "variance")}
        if len(set(shapes.values())) != 1:
            raise ImageShapeError(shapes)

    @property
    def shape(self):
        """Number of rows and columns."""
        return self.image.shape

    def is_masked(self, planes):
        """Return where any bit of `planes` is set (ndarray of bool, shape (ny, nx)).

        Parameters
        ----------
        planes : uint32
            Bits of `skyloom.core.mask_planes`; any of them counts.
        """
        return has_bits(self.mask, planes)


VISIT_FIELDS = (
    *("visit", "band", "mjd", "exposure_time", "airmass"),
    *("ra", "dec", "rotation", "pointing_uncertainty", "camera"),
)
"""Fields of `ExposureInfo` that are columns of the visit table."""


@dataclass(frozen=True, slots=True)
class ExposureInfo:
    """What is known of an exposure beside its pixels.

    Attributes
    ----------
    visit, detector : int
        Identity; -1 for a coadd.
    band : str
        Band's name.
    mjd : float
        Mid-exposure [MJD TAI].
    exposure_time : float
        Open-shutter time [s].
    airmass : float
        Airmass at mid-exposure.
    ra, dec : float
        Commanded boresight [degree, ICRS].
    rotation : float
        Position angle of the focal plane's +y axis [degree, East of North].
    pointing_uncertainty : float
        How far the commanded boresight may be off [arcsec].
    gain, read_noise : float
        Means over the amplifiers [electron/ADU], [electron].
    camera : str
        Camera's name.
    tract, patch, kind : int, str, str
        Of a warp, coadd or template; -1 and empty otherwise.
    origin : tuple of int
        The array's first pixel (x0, y0) in the pixels of its patch: warps are cropped.
    """

    visit: int = -1
    detector: int = -1
    band: str = ""
    mjd: float = 0.0
    exposure_time: float = 0.0
    airmass: float = 1.0
    ra: float = 0.0
    dec: float = 0.0
    rotation: float = 0.0
    pointing_uncertainty: float = 0.0
    gain: float = 1.0
    read_noise: float = 0.0
    camera: str = ""
    tract: int = -1
    patch: str = ""
    kind: str = ""
    origin: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Background:
    """Smooth background on a mesh of square bins.

    Attributes
    ----------
    mesh : ndarray, shape (my, mx), float32
        Level at the bins' centres, in the image's unit.
    bin_size : int
        Side of a bin [pixel]; the last bin of a row or column may reach over the edge.
    shape : tuple of int
        Shape (ny, nx) of the image that it belongs to.
    """

    mesh: np.ndarray
    bin_size: int
    shape: tuple[int, int]

    def image(self):
        """Return the background of each pixel by cubic interpolation of the mesh (ndarray, float32).

        The mesh is extended linearly beyond its outer centres, so that a plane stays a plane up to the edge.
        """
        return self.rows(slice(0, self.shape[0]))

    def rows(self, part):
        """Return some rows of `image` (ndarray, shape (n, nx), float32).

        Parameters
        ----------
        part : slice
            Of the rows.
        """
        weights = _mesh_weights(self.mesh.shape[0], self.bin_size, self.shape[0])[part]
        # What varies is small beside the level: single precision is enough for it.
        level = np.float32(self.mesh.mean(dtype=np.float64))
        along = (weights @ (self.mesh - level).astype(np.float64)).astype(np.float32)
        image = np.empty((len(weights), self.shape[1]), dtype=np.float32)
        for pixels, nodes, taps in _column_weights(self.mesh.shape[1], self.bin_size, self.shape[1]):
            np.matmul(along[:, nodes], taps, out=image[:, pixels])
        image += level
        return image


@functools.cache
def _column_weights(n_bin, bin_size, n_pixel):
    """Pixels of each bin of a row, the few nodes of the mesh that have a weight there, and their weights."""
    weights = _mesh_weights(n_bin, bin_size, n_pixel).astype(np.float32)
    found = []
    for first in range(0, n_pixel, bin_size):
        pixels = slice(first, first + bin_size)
        used = np.flatnonzero(weights[pixels].any(axis=0))
        nodes = slice(int(used[0]), int(used[-1]) + 1)
        found.append((pixels, nodes, np.ascontiguousarray(weights[pixels, nodes].T)))
    return found


@functools.cache
def _mesh_weights(n_bin, bin_size, n_pixel):
    """Matrix (n_pixel, n_bin) of Catmull-Rom weights of the mesh at each pixel."""
    position = (np.arange(n_pixel) + 0.5) / bin_size - 0.5
    lower = np.floor(position).astype(int)
    t = position - lower
    cubic = np.stack(
        [
            -0.5 * t + t**2 - 0.5 * t**3,
            1 - 2.5 * t**2 + 1.5 * t**3,
            0.5 * t + 2 * t**2 - 1.5 * t**3,
            -0.5 * t**2 + 0.5 * t**3,
        ]
    )
    weights = np.zeros((n_pixel, n_bin))
    pixel = np.arange(n_pixel)
    for tap in range(4):
        _add_extended_node(weights, pixel, lower + tap - 1, cubic[tap])
    return weights


def _add_extended_node(weights, pixel, node, weight):
    """Add the weight of mesh node `node`, those beyond the mesh extrapolated from the last two."""
    n_bin = weights.shape[1]
    last = n_bin - 1
    beyond = np.where(node < 0, -node, np.where(node > last, node - last, 0))
    edge = np.clip(node, 0, last)
    inner = np.clip(np.where(node < 0, 1, np.where(node > last, last - 1, edge)), 0, last)
    np.add.at(weights, (pixel, edge), weight * (1 + beyond))
    np.add.at(weights, (pixel, inner), -weight * beyond)


@dataclass(frozen=True, slots=True)
class Exposure:
    """An image with everything that a later stage needs of it.

    Attributes
    ----------
    pixels : MaskedImage
        The pixels.
    info : ExposureInfo
        Identity and circumstances.
    wcs : Wcs or None
        Pixel to sky.
    psf : PixelPsf, CellPsf or None
        Point spread function at any point.
    photo_calib : FieldPolynomial or None
        Zero point [nJy/electron] that was applied to the pixels.
    background : Background or None
        What was subtracted, in the image's unit.
    ap_corr : FieldPolynomial or None
        Factor that turns a PSF flux into a total flux.
    wcs_fit : WcsFit or None
        Quality of the astrometric fit.
    inputs : pyarrow.Table or None
        Inputs of a coadd with their weights (schema COADD_INPUT).
    noise_correlation : float
        Noise power at zero frequency over the mean pixel variance: 1 for white noise, above 1 once resampled.
        The error of a flux summed over many pixels is that of white noise times the root of it.
    zero_point_fit : ZeroPointFit or None
        Quality of the fitted zero point.
    detection_threshold : float
        Significance by the variance that a source of its table needed, mean over the image [sigma]; NaN where there
        is no such table.
    """

    pixels: MaskedImage
    info: ExposureInfo
    wcs: Any = None
    psf: Any = None
    photo_calib: Any = None
    background: Background | None = None
    ap_corr: Any = None
    wcs_fit: Any = None
    inputs: Any = field(default=None, repr=False)
    noise_correlation: float = 1.0
    zero_point_fit: Any = None
    detection_threshold: float = float("nan")


@dataclass(frozen=True, slots=True)
class DifferenceImage:
    """A difference with what it was made from.

    Attributes
    ----------
    exposure : Exposure
        Decorrelated difference [nJy]; its variance is the white noise's, its PSF the one after matching.
    template : ndarray, shape (ny, nx), float32
        Template on the science pixels before matching [nJy]; NaN without coverage.
    kernel : MatchingKernel
        The matching kernel.
    """

    exposure: Exposure
    template: np.ndarray
    kernel: Any
