"""Each source measured with the models of all others subtracted: PSF, Kron and aperture flux, centroid, sky."""

from typing import NamedTuple

import numpy as np

from skyloom.algorithms.apertures import sum_apertures_of
from skyloom.algorithms.kron import measure_kron
from skyloom.algorithms.photometry import half_widths, typical_noise
from skyloom.algorithms.point_fit import add_scaled, on_image, paint_point_sources
from skyloom.algorithms.stamp_moves import move_stamp, working_space
from skyloom.algorithms.windowed_centroid import find_centroid
from skyloom.core.images import STRIP
from skyloom.core.jit import kernel, summing_kernel
from skyloom.core.splines import with_phases

ANNULUS = (7.0, 15.0)
"""Radii of the ring that shows what sky is left [sigma of the PSF]."""
N_CLIP, CLIP_SIGMA = 4, 3.0
MIN_SKY_PIXELS = 20
# Rows of the results of `_measure_each`.
N_ROW = 16


class Alone(NamedTuple):
    """Measurements of n sources; every entry is NaN where there is none.

    Attributes
    ----------
    uniform_flux, uniform_flux_err : ndarray, shape (n,), float64
        PSF flux at the fitted position with one weight for all pixels, and its error [unit of the image].
    blendedness : ndarray, shape (n,), float64
        Part of the light below the source's PSF that is its neighbours', 0 to 1.
    sky, sky_err : ndarray, shape (n,), float64
        Mean of what is left around the source, and its error [unit of the image].
    x, y, x_err, y_err, xy_covariance : ndarray, shape (n,), float64
        Windowed centroid [pixel], [pixel^2].
    kron_flux, kron_flux_err, kron_radius, kron_limited : ndarray, shape (n,), float64
        As from `kron_photometry`.
    aperture_flux, aperture_flux_err : ndarray, shape (n,), float64
        Sum within a radius, as from `aperture_photometry`.
    """

    uniform_flux: np.ndarray
    uniform_flux_err: np.ndarray
    blendedness: np.ndarray
    sky: np.ndarray
    sky_err: np.ndarray
    x: np.ndarray
    y: np.ndarray
    x_err: np.ndarray
    y_err: np.ndarray
    xy_covariance: np.ndarray
    kron_flux: np.ndarray
    kron_flux_err: np.ndarray
    kron_radius: np.ndarray
    kron_limited: np.ndarray
    aperture_flux: np.ndarray
    aperture_flux_err: np.ndarray


def measure_alone(masked_image, splines, sources, shapes, options):
    """Measurements of point sources and galaxies without the light of their neighbours.

    Parameters
    ----------
    masked_image : MaskedImage
        Background-subtracted pixels.
    splines : ndarray, shape (n, k, k) or (n, s * s, k, k), float32
        Spline coefficients of each source's PSF.
    sources : tuple of ndarray, shape (n,)
        x, y [pixel] and flux [unit of the image] of their fits; nothing is subtracted for those whose flux is NaN.
    shapes : tuple of ndarray, shape (n,)
        Ixx, Iyy, Ixy of the sources and size of the PSF [pixel^2], [pixel].
    options : tuple of int and float
        Mask bits of pixels that say nothing of PSF flux and sky; radius of the aperture [pixel].

    Returns
    -------
    Alone
        One entry a source.

    Notes
    -----
    The neighbours' light is that of point sources: of a galaxy its PSF part is taken away. What is left of the whole
    image is made once; each source is put back for its own turn.
    """
    x, y, flux = sources
    m_xx, m_yy, m_xy, psf_sigma = shapes
    size = np.maximum(np.maximum(m_xx * m_yy - m_xy**2, 0) ** 0.25, psf_sigma)
    rows = np.stack([x, y, np.nan_to_num(flux), m_xx, m_yy, m_xy, psf_sigma, size]).astype(np.float64)
    results = np.full((N_ROW, len(x)), np.nan)
    rest = masked_image.image.astype(np.float32, copy=True)
    planes = (rest, masked_image.mask, masked_image.variance, masked_image.image)
    unusable, radius = options
    splines = with_phases(splines)
    halves = half_widths(splines, rows[2], typical_noise(masked_image.variance))
    # Strip by strip: neighbours share what of the planes is near at hand.
    order = np.lexsort((rows[0], rows[1] // STRIP))
    stars = (splines, halves, rows, order)
    _measure_each(planes, (np.uint32(unusable), np.array([radius])), stars, results)
    results[15] = np.sqrt(results[15])
    return Alone(*results)


@kernel
def _measure_each(planes, options, stars, results):
    """Subtract all sources from the first plane, then measure each put back alone."""
    rest, (unusable, radii), (splines, halves, sources, order) = planes[0], options, stars
    n, size = sources.shape[1], splines.shape[2]
    work = working_space(size, splines.shape[1])
    largest = ANNULUS[1] * np.max(sources[6]) + 2 if n else 0.0
    ring = np.empty((2, int(np.pi * largest**2) + 1), dtype=np.float32)
    paint_point_sources(splines, halves, (sources[0], sources[1], -sources[2]), rest)
    for i in order:
        source = sources[:, i]
        corner, profile = _move(splines[i], halves[i], source, work)
        _psf_sums(planes, unusable, (profile, corner, source[2]), results[:3, i])
        _sky_around(planes, unusable, source, ring, results[3:5, i])
        add_scaled(rest, profile, corner, source[2])
        window = np.array([source[0], source[1], source[7]])
        find_centroid(rest, planes[2], window, results[5:10, i])
        shape = np.array([source[0], source[1], source[3], source[4], source[5], source[6]])
        measure_kron(planes[:3], shape, results[10:14, i])
        sum_apertures_of(planes[:3], (source[0], source[1]), radii, results[14:16, i : i + 1])
        add_scaled(rest, profile, corner, -source[2])


@kernel
def _move(spline, half, source, work):
    """First row, first column and side of a source's stamp, and its PSF at its place within its pixel."""
    column, row = int(np.rint(source[0])), int(np.rint(source[1]))
    profile = move_stamp(spline, half, (source[0] - column, source[1] - row), work, 1)
    return (row - half, column - half, 2 * half + 1), profile[0]


@kernel
def _psf_sums(planes, unusable, light, result):
    """Unweighted flux, its error and the neighbours' share of a source (profile, corner, flux) that is subtracted."""
    profile, corner, flux = light
    norm, left, spread, model = _profile_sums(planes, unusable, profile, corner)
    if not norm > 0:
        return
    result[0] = flux + left / norm
    result[1] = np.sqrt(spread) / norm
    if model > 0 and flux > 0:
        result[2] = min(max(1 - flux * norm / model, 0.0), 1.0)


@summing_kernel
def _profile_sums(planes, unusable, profile, corner):
    """Sums over usable pixels of P^2, P times what is left, P^2 V, and P times what was taken away."""
    rest, mask, variance, image = planes
    y0, x0, top, first, n_row, n_column = on_image(corner, rest.shape)
    zero = np.float32(0)
    norm = left = spread = model = 0.0
    for row in range(n_row):
        y = y0 + row
        in_norm = in_left = in_spread = in_model = zero
        for i in range(n_column):
            value, whole = rest[y, x0 + i], image[y, x0 + i]
            is_used = ((mask[y, x0 + i] & unusable) == 0) & (whole == whole)  # noqa: PLR0124 (NaN is not)
            p = profile[top + row, first + i]
            in_norm += p * p if is_used else zero
            in_left += p * value if is_used else zero
            in_spread += p * p * variance[y, x0 + i] if is_used else zero
            in_model += p * (whole - value) if is_used else zero
        norm, left, spread, model = norm + in_norm, left + in_left, spread + in_spread, model + in_model
    return norm, left, spread, model


@kernel
def _sky_around(planes, unusable, source, ring, result):
    """Clipped mean of a ring around a source, and its error; `ring`: space for the ring's pixels and variances."""
    inner, outer = ANNULUS[0] * source[6], ANNULUS[1] * source[6]
    if not outer > 0:
        return
    length = _gather_ring(planes, unusable, (source[0], source[1], inner, outer), ring)
    values = ring[0, :length]
    spread, n = _sum_near(ring[1, :length], np.float32(0), np.float32(np.inf))
    if n < MIN_SKY_PIXELS:
        return
    level, noise = np.float32(0), np.sqrt(spread / n)
    for _ in range(N_CLIP):
        total, n_kept = _sum_near(values, level, np.float32(CLIP_SIGMA) * noise)
        if n_kept < MIN_SKY_PIXELS:
            return
        level = total / n_kept
    result[0], result[1] = level, noise / np.sqrt(n_kept)


@kernel
def _gather_ring(planes, unusable, circles, ring):
    """Pixels between two circles (x, y, both radii) and their variances, infinite where not usable; their number."""
    rest, mask, variance, _ = planes
    ny, nx = rest.shape
    x, y, inner, outer = circles
    n = 0
    for row in range(max(0, int(np.ceil(y - outer))), min(ny - 1, int(np.floor(y + outer))) + 1):
        square = (row - y) ** 2
        half = np.sqrt(max(outer * outer - square, 0.0))
        start = min(max(0, int(np.ceil(x - half))), nx)
        end = max(start, min(nx, int(np.floor(x + half)) + 1))
        left = right = end
        if square < inner * inner:
            hole = np.sqrt(inner * inner - square)
            left = min(max(int(np.floor(x - hole)) + 1, start), end)
            right = max(min(int(np.ceil(x + hole)), end), left)
        for first, last in ((start, left), (right, end)):
            for i in range(last - first):
                spread = variance[row, first + i]
                is_used = ((mask[row, first + i] & unusable) == 0) & (spread == spread)  # noqa: PLR0124 (NaN is not)
                ring[0, n + i] = rest[row, first + i] if is_used else np.float32(np.inf)
                ring[1, n + i] = spread if is_used else np.float32(np.inf)
            n += last - first
    return n


@summing_kernel
def _sum_near(values, level, limit):
    """Sum and number of the values that lie within a limit of a level."""
    zero, one = np.float32(0), np.float32(1)
    total = n_near = zero
    for i in range(values.size):
        is_near = abs(values[i] - level) < limit
        total += values[i] if is_near else zero
        n_near += one if is_near else zero
    return total, n_near


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    plane = np.ones((16, 16), dtype=np.float32)
    planes = (plane.copy(), plane.astype(np.uint32) - np.uint32(1), plane, plane)
    sources = np.array([[8.0], [8.0], [1.0], [1.0], [1.0], [0.0], [1.0], [1.0]])
    stars = (with_phases(plane[None, :9, :9].copy()), np.array([4]), sources, np.array([0]))
    _measure_each(planes, (np.uint32(1), np.ones(1)), stars, np.full((N_ROW, 1), np.nan))
