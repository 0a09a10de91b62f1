"""Fluxes and positions: the PSF fitted to all sources together, and sums in circular apertures."""

from dataclasses import dataclass, fields

import numpy as np

from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.jit import kernel
from skyloom.core.psf import SPLINE_DEGREE, SPLINE_REACH, spline_coefficients

UNUSABLE = mask_planes.bits("BAD", "SAT", "INTRP", "CR", "NO_DATA")
APERTURE_RADII = (3.0, 6.0, 9.0, 12.0, 17.0, 25.0, 35.0, 50.0, 70.0)
APERTURE_FLUXES = tuple(f"ap{radius:02.0f}Flux" for radius in APERTURE_RADII)
"""Names of the fluxes in these apertures, those of their columns."""
N_SWEEP = 4
MAX_SHIFT = 1.5
MAX_STEP = 0.5
MIN_USABLE_FRACTION = 1e-3
NO_SUCH_PIXEL = 1e6
SKY_SIGMA = 2.0
MIN_SKY_PIXELS = 20


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How PSF fluxes are fitted.

    Attributes
    ----------
    fit_position : bool
        Fit the position too; otherwise the flux is forced at the given one.
    photon_variance : float
        Variance that a source's own photons add per unit of flux: 1 for an image in electrons, the zero point
        for one in nJy. 0 gives all pixels one weight, so that no gain needs to be known.
    noise_correlation : float
        Noise power at zero frequency over the pixel variance; errors are multiplied by its root.
    n_sweep : int
        Times that every source is fitted with the others subtracted.
    unusable : int
        Mask bits of pixels without weight.
    """

    fit_position: bool = True
    photon_variance: float = 0.0
    noise_correlation: float = 1.0
    n_sweep: int = N_SWEEP
    unusable: int = int(UNUSABLE)


@dataclass(frozen=True, slots=True)
class PsfPhotometry:
    """PSF fits of n sources; NaN where no usable pixel lies below the source's PSF.

    Attributes
    ----------
    flux, flux_err : ndarray, shape (n,), float64
        Flux in the unit of the image, and its error.
    x, y, x_err, y_err : ndarray, shape (n,), float64
        Fitted position [pixel] and errors; NaN errors when the position was not fitted.
    xy_covariance : ndarray, shape (n,), float64
        Covariance of x and y [pixel^2]; NaN as their errors.
    chi2 : ndarray, shape (n,), float64
        Sum of squared residuals over their variance in the stamp.
    n_pixel : ndarray, shape (n,), float64
        Usable pixels in the stamp.
    usable_fraction : ndarray, shape (n,), float64
        Part of sum(P^2) that falls on usable pixels: 1 for a clean source.
    """

    flux: np.ndarray
    flux_err: np.ndarray
    x: np.ndarray
    y: np.ndarray
    x_err: np.ndarray
    y_err: np.ndarray
    xy_covariance: np.ndarray
    chi2: np.ndarray
    n_pixel: np.ndarray
    usable_fraction: np.ndarray

    def select(self, index):
        """Return some of the fits (PsfPhotometry).

        Parameters
        ----------
        index : ndarray, shape (n,), bool, or shape (m,), int
            Fits to keep, or their indices in the order wanted.
        """
        return PsfPhotometry(*(getattr(self, field.name)[index] for field in fields(self)))


def psf_photometry(masked_image, psf, x, y, settings=None):
    """PSF fluxes of point sources, close neighbours fitted together.

    Parameters
    ----------
    masked_image : MaskedImage
        Background-subtracted pixels.
    psf : PixelPsf, CellPsf or ndarray of shape (n, k, k)
        PSF, or one image for each source.
    x, y : array_like, shape (n,)
        Positions [pixel].
    settings : FitSettings, optional
        Whether positions are free, how pixels are weighted.

    Returns
    -------
    PsfPhotometry
        One entry a source.

    Notes
    -----
    Gauss-Newton for flux and position of one source at a time with the models of the others subtracted,
    brightest first, repeated (Stetson 1987's groups, solved by relaxation). The weight of a pixel is the
    inverse of a variance without noise of its own: ``V0 + photon_variance * model``, with V0 the mean of
    ``variance - photon_variance * image`` over the stamp's pixels within two sigma of the sky (below the PSF
    squared where they are few; the least variance of the stamp where nothing is left of it). With
    photon_variance 0 this is the flux of uniform weights, ``sum(P d) / sum(P^2)`` with variance
    ``sum(P^2 V) / sum(P^2)^2``. The PSF is moved by splines of degree 7.
    """
    settings = settings or FitSettings()
    x = np.array(x, dtype=np.float64, ndmin=1)
    y = np.array(y, dtype=np.float64, ndmin=1)
    kernels = psf if isinstance(psf, np.ndarray) else psf.kernels_at(x, y)
    stamps = spline_coefficients(kernels).astype(np.float32)
    usable = ((masked_image.mask & np.uint32(settings.unusable)) == 0) & np.isfinite(masked_image.image)
    results = np.full((len(fields(PsfPhotometry)), x.size), np.nan)
    results[2], results[3] = x, y
    model = np.zeros(masked_image.image.shape, dtype=np.float32)
    options = (
        float(settings.photon_variance),
        settings.fit_position,
        float(settings.noise_correlation),
        settings.n_sweep,
    )
    pixels = (masked_image.image, usable, masked_image.variance)
    order = _brightest_first(pixels[0], x, y)
    _fit_point_sources(pixels, stamps, order, options, (model, results))
    if not settings.fit_position:
        results[4:7] = np.nan
    return PsfPhotometry(*results)


def aperture_photometry(masked_image, x, y, radii=APERTURE_RADII):
    """Sums in circular apertures with exact coverage of the pixels on the rim.

    Parameters
    ----------
    masked_image : MaskedImage
        Background-subtracted pixels.
    x, y : array_like, shape (n,)
        Centres [pixel].
    radii : sequence of float
        Radii [pixel], rising.

    Returns
    -------
    flux, flux_err : ndarray, shape (n, n_radius), float64
        Sums and their errors from the variance plane; NaN where the aperture reaches over the image's edge or
        a pixel without data. Interpolated pixels count with their value: look at the flags.
    """
    x = np.array(x, dtype=np.float64, ndmin=1)
    y = np.array(y, dtype=np.float64, ndmin=1)
    radii = np.asarray(radii, dtype=np.float64)
    has_data = (masked_image.mask & mask_planes.NO_DATA) == 0
    sums = np.empty((2, x.size, radii.size))
    _sum_apertures((masked_image.image, has_data, masked_image.variance), x, y, radii, sums)
    return sums[0], np.sqrt(sums[1])


def point_source_image(shape, psf, x, y, flux):
    """Image of point sources.

    Parameters
    ----------
    shape : tuple of int
        Shape (ny, nx).
    psf : PixelPsf, CellPsf or ndarray of shape (n, k, k)
        PSF, or one image for each source.
    x, y, flux : array_like, shape (n,)
        Positions [pixel] and fluxes; sources with a NaN are left out.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        The model that `psf_photometry` fits, in the unit of `flux`.
    """
    x, y, flux = (np.array(values, dtype=np.float64, ndmin=1) for values in (x, y, flux))
    kernels = psf if isinstance(psf, np.ndarray) else psf.kernels_at(x, y)
    model = np.zeros(shape, dtype=np.float32)
    known = np.isfinite(x) & np.isfinite(y) & np.isfinite(flux)
    known &= (np.abs(x) < NO_SUCH_PIXEL) & (np.abs(y) < NO_SUCH_PIXEL)
    stamps = spline_coefficients(kernels[known]).astype(np.float32)
    _paint_point_sources(stamps, x[known], y[known], flux[known], model)
    return model


def _brightest_first(image, x, y):
    """Order of the sources by falling sum over their central 3x3 pixels."""
    ny, nx = image.shape
    brightness = np.zeros(x.size)
    column = np.clip(np.rint(np.nan_to_num(x)), 0, nx - 1).astype(np.int64)
    row = np.clip(np.rint(np.nan_to_num(y)), 0, ny - 1).astype(np.int64)
    for step_y in (-1, 0, 1):
        for step_x in (-1, 0, 1):
            brightness += image[np.clip(row + step_y, 0, ny - 1), np.clip(column + step_x, 0, nx - 1)]
    return np.argsort(-np.nan_to_num(brightness), kind="stable")


@kernel
def _spline_taps(shift, weights, slopes):
    """`core.psf.spline_weights` of one shift in [-0.5, 0.5], and their derivatives by it (de Boor's recursion)."""
    weights[:] = 0.0
    slopes[:] = 0.0
    first = 0 if shift >= 0 else 1
    u = shift + first
    weights[first] = 1.0
    for degree in range(1, SPLINE_DEGREE + 1):
        if degree == SPLINE_DEGREE:
            # The slope of a spline is the difference of two of the degree below.
            for j in range(degree):
                slopes[first + j] += weights[first + j]
                slopes[first + j + 1] -= weights[first + j]
        for j in range(degree, -1, -1):
            lower = weights[first + j - 1] if j > 0 else 0.0
            weights[first + j] = ((u + j) * weights[first + j] + (degree + 1 - u - j) * lower) / degree


@kernel
def _shift_stamp(stamp, dx, dy, work, profile):
    """Spline of these coefficients, moved, into profile[0], its derivatives by dx and dy into profile[1:]."""
    size = stamp.shape[0]
    n_tap = 2 * SPLINE_REACH + 1
    weights, slopes = np.empty(n_tap), np.empty(n_tap)
    work[:] = 0.0
    profile[:] = 0.0
    _spline_taps(dx, weights, slopes)
    for row in range(size):
        for tap in range(n_tap):
            offset = tap - SPLINE_REACH
            weight, slope = weights[tap], slopes[tap]
            for column in range(max(0, -offset), min(size, size - offset)):
                value = stamp[row, column + offset]
                work[0, row, column] += weight * value
                work[1, row, column] += slope * value
    _spline_taps(dy, weights, slopes)
    for row in range(size):
        for tap in range(n_tap):
            source = row + tap - SPLINE_REACH
            if source < 0 or source >= size:
                continue
            weight, slope = weights[tap], slopes[tap]
            for column in range(size):
                profile[0, row, column] += weight * work[0, source, column]
                profile[1, row, column] += weight * work[1, source, column]
                profile[2, row, column] += slope * work[0, source, column]


@kernel
def _fit_point_sources(pixels, stamps, order, options, outputs):
    """Fit each source in turn with the others subtracted, several times.

    `outputs`: the model, zeros at first, and the results, whose rows are the attributes of `PsfPhotometry`;
    x and y hold the start.
    """
    photon_variance, fit_position, noise_correlation, n_sweep = options
    model, results = outputs
    ny, nx = model.shape
    n_source, size = stamps.shape[0], stamps.shape[1]
    start = results[2:4].copy()
    flux = np.zeros(n_source)
    base_variance = np.zeros(n_source)
    work = np.zeros((2, size, size))
    profile = np.zeros((3, size, size))
    sums = np.zeros(12)
    for sweep in range(n_sweep):
        for index in order:
            x, y = results[2, index], results[3, index]
            if not (x > -0.5 and y > -0.5 and x < nx - 0.5 and y < ny - 0.5):
                continue
            row0, column0 = int(np.rint(y)) - size // 2, int(np.rint(x)) - size // 2
            _shift_stamp(stamps[index], x - np.rint(x), y - np.rint(y), work, profile)
            if sweep == 0:
                base_variance[index], results[9, index] = _base_variance(
                    pixels, profile, row0, column0, photon_variance
                )
            if base_variance[index] <= 0:
                continue
            own = flux[index]
            source = (row0, column0, own, base_variance[index], photon_variance)
            _normal_equations(pixels, model, profile, source, sums)
            free = fit_position and sweep > 0 and own > 0
            step_f, step_x, step_y = _solve(sums, free, noise_correlation, results[:, index])
            _add_scaled(model, profile, row0, column0, -own)
            new_x, new_y = _bounded(x, step_x, start[0, index]), _bounded(y, step_y, start[1, index])
            if step_x != 0.0 or step_y != 0.0:
                _shift_stamp(stamps[index], new_x - np.rint(new_x), new_y - np.rint(new_y), work, profile)
            flux[index] = own + step_f
            row0, column0 = int(np.rint(new_y)) - size // 2, int(np.rint(new_x)) - size // 2
            _add_scaled(model, profile, row0, column0, flux[index])
            results[0, index], results[2, index], results[3, index] = flux[index], new_x, new_y


@kernel
def _bounded(position, step, start):
    """Position after a step of at most `MAX_STEP`, within `MAX_SHIFT` of where it started."""
    moved = position + min(max(step, -MAX_STEP), MAX_STEP)
    return min(max(moved, start - MAX_SHIFT), start + MAX_SHIFT)


@kernel
def _base_variance(pixels, profile, row0, column0, photon_variance):
    """Variance without the source's photons, and the usable part of sum(P^2); see `psf_photometry`."""
    image, usable, variance = pixels
    ny, nx = image.shape
    size = profile.shape[1]
    weighted = norm = full = sky = 0.0
    n_sky, darkest = 0, np.inf
    for row in range(size):
        for column in range(size):
            p = profile[0, row, column] ** 2
            full += p
            y, x = row0 + row, column0 + column
            if 0 <= y < ny and 0 <= x < nx and usable[y, x]:
                without_photons = variance[y, x] - photon_variance * image[y, x]
                norm += p
                weighted += p * without_photons
                darkest = min(darkest, variance[y, x])
                if image[y, x] ** 2 < SKY_SIGMA**2 * variance[y, x]:
                    sky += without_photons
                    n_sky += 1
    if norm <= MIN_USABLE_FRACTION * full:
        return 0.0, norm / full
    base = sky / n_sky if photon_variance > 0 and n_sky >= MIN_SKY_PIXELS else weighted / norm
    # In the middle of a large galaxy a gain that is off by some per cent leaves less than nothing.
    return max(base if base > 0 else darkest, 1e-30), norm / full


@kernel
def _normal_equations(pixels, model, profile, source, sums):
    """Sums of the linear fit of a step in flux, x and y, the step in position scaled by the present flux.

    `sums`: ff fx fy xx xy yy, f x y (right sides), chi2, number of pixels, flux.
    """
    image, usable = pixels[0], pixels[1]
    ny, nx = image.shape
    size = profile.shape[1]
    row0, column0, own, base, photon_variance = source
    sums[:] = 0.0
    for row in range(max(0, -row0), min(size, ny - row0)):
        for column in range(max(0, -column0), min(size, nx - column0)):
            if not usable[row0 + row, column0 + column]:
                continue
            expected = model[row0 + row, column0 + column]
            residual = image[row0 + row, column0 + column] - expected
            weight = 1.0 / (base + photon_variance * max(expected, np.float32(0.0)))
            p, p_x, p_y = (
                profile[0, row, column],
                own * profile[1, row, column],
                own * profile[2, row, column],
            )
            sums[0] += weight * p * p
            sums[1] += weight * p * p_x
            sums[2] += weight * p * p_y
            sums[3] += weight * p_x * p_x
            sums[4] += weight * p_x * p_y
            sums[5] += weight * p_y * p_y
            sums[6] += weight * p * residual
            sums[7] += weight * p_x * residual
            sums[8] += weight * p_y * residual
            sums[9] += weight * residual * residual
            sums[10] += 1
    sums[11] = own


@kernel
def _solve(sums, free, noise_correlation, result):
    """Step (flux, x, y) of one source; errors and chi2 go into its column `result`."""
    ff, fx, fy, xx, xy, yy = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]
    result[7], result[8] = sums[9], sums[10]
    determinant = ff * (xx * yy - xy * xy) - fx * (fx * yy - xy * fy) + fy * (fx * xy - xx * fy)
    if not free or determinant <= 1e-9 * ff * xx * yy:
        result[1] = np.sqrt(noise_correlation / ff)
        return sums[6] / ff, 0.0, 0.0
    v_ff, v_fx, v_fy = (
        (xx * yy - xy * xy) / determinant,
        (fy * xy - fx * yy) / determinant,
        (fx * xy - fy * xx) / determinant,
    )
    v_xx, v_xy, v_yy = (
        (ff * yy - fy * fy) / determinant,
        (fx * fy - ff * xy) / determinant,
        (ff * xx - fx * fx) / determinant,
    )
    result[1] = np.sqrt(v_ff * noise_correlation)
    result[4], result[5] = np.sqrt(v_xx * noise_correlation), np.sqrt(v_yy * noise_correlation)
    result[6] = v_xy * noise_correlation
    return (
        v_ff * sums[6] + v_fx * sums[7] + v_fy * sums[8],
        v_fx * sums[6] + v_xx * sums[7] + v_xy * sums[8],
        v_fy * sums[6] + v_xy * sums[7] + v_yy * sums[8],
    )


@kernel
def _add_scaled(model, profile, row0, column0, scale):
    """Add `scale` times the moved PSF to the model image."""
    ny, nx = model.shape
    size = profile.shape[1]
    for row in range(max(0, -row0), min(size, ny - row0)):
        for column in range(max(0, -column0), min(size, nx - column0)):
            model[row0 + row, column0 + column] += scale * profile[0, row, column]


@kernel
def _paint_point_sources(stamps, x, y, flux, model):
    """Add each source's moved PSF times its flux to the model image."""
    size = stamps.shape[1]
    work = np.zeros((2, size, size))
    profile = np.zeros((3, size, size))
    for i in range(x.size):
        _shift_stamp(stamps[i], x[i] - np.rint(x[i]), y[i] - np.rint(y[i]), work, profile)
        _add_scaled(model, profile, int(np.rint(y[i])) - size // 2, int(np.rint(x[i])) - size // 2, flux[i])


@kernel
def _sum_apertures(pixels, x, y, radii, sums):
    """Sums of image and variance within each radius of each source; NaN where it is not all on data."""
    image, has_data, variance = pixels
    ny, nx = image.shape
    n_radius = radii.size
    for i in range(x.size):
        sums[:, i, :] = 0.0
        if not (np.isfinite(x[i]) and np.isfinite(y[i])):
            sums[:, i, :] = np.nan
            continue
        inside = min(min(x[i], nx - 1 - x[i]), min(y[i], ny - 1 - y[i])) + 0.5
        reach = 0.0
        for j in range(n_radius):
            if radii[j] <= inside:
                reach = radii[j]
            else:
                sums[:, i, j] = np.nan
        for row in range(
            max(0, int(np.ceil(y[i] - reach - 0.5))), min(ny, int(np.floor(y[i] + reach + 0.5)) + 1)
        ):
            dy = row - y[i]
            chord = np.sqrt(max((reach + 0.7072) ** 2 - dy * dy, 0.0))
            for column in range(max(0, int(np.ceil(x[i] - chord))), min(nx, int(np.floor(x[i] + chord)) + 1)):
                dx = column - x[i]
                r = np.sqrt(dx * dx + dy * dy)
                for j in range(n_radius):
                    if r >= radii[j] + 0.7072 or radii[j] > reach:
                        continue
                    part = 1.0 if r <= radii[j] - 0.7072 else _covered(dx, dy, radii[j])
                    if part > 0 and not has_data[row, column]:
                        sums[0, i, j] = np.nan
                    sums[0, i, j] += part * image[row, column]
                    sums[1, i, j] += part * variance[row, column]


@kernel
def _covered(dx, dy, radius):
    """Area of the pixel centred at (dx, dy) inside a circle about the origin, exactly."""
    right = _signed_quadrant(dx + 0.5, dy + 0.5, radius) - _signed_quadrant(dx + 0.5, dy - 0.5, radius)
    left = _signed_quadrant(dx - 0.5, dy + 0.5, radius) - _signed_quadrant(dx - 0.5, dy - 0.5, radius)
    return right - left


@kernel
def _signed_quadrant(x, y, radius):
    """Area of the circle within the rectangle from the origin to (x, y), negative where one of them is."""
    width, height = min(abs(x), radius), min(abs(y), radius)
    corner = np.sqrt(radius * radius - height * height)
    area = min(width, corner) * height
    if width > corner:
        chords = width * np.sqrt(radius * radius - width * width) - corner * height
        area += 0.5 * (chords + radius * radius * (np.arcsin(width / radius) - np.arcsin(corner / radius)))
    return area if (x >= 0) == (y >= 0) else -area


def compile_kernels():
    """Compile this module's kernels for the types used in production."""
    zeros = np.zeros((16, 16), dtype=np.float32)
    pixels = MaskedImage(zeros, np.zeros((16, 16), dtype=np.uint32), zeros + np.float32(1))
    psf_photometry(pixels, np.full((1, 5, 5), 0.04), [8.0], [8.0])
    point_source_image((16, 16), np.full((1, 5, 5), 0.04), [8.0], [8.0], [1.0])
    aperture_photometry(pixels, [8.0], [8.0])
