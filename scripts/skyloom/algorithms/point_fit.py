"""The inner loops of PSF photometry: move a PSF, fit one source with the others subtracted, paint it."""

import numpy as np

from skyloom.core.jit import kernel, summing_kernel
from skyloom.core.psf import SPLINE_DEGREE, SPLINE_REACH

MAX_SHIFT = 1.5
MAX_STEP = 0.5
MIN_USABLE_FRACTION = 1e-3
SKY_SIGMA = 2.0
MIN_SKY_PIXELS = 20
# A source whose last step was smaller than this part of its errors stays where it is.
SETTLED_STEP = 0.02
# Values of a source in the rows of `results`: the attributes of `PsfPhotometry`.
FLUX, FLUX_ERR, X, Y, X_ERR, Y_ERR, XY_COVARIANCE, CHI2, N_PIXEL, USABLE_FRACTION = range(10)


@kernel
def fit_point_sources(pixels, stamps, sources, options, outputs):
    """Fit each source in turn with the others subtracted, several times.

    Parameters
    ----------
    pixels : tuple
        Image, mask and variance, and the mask bits (uint32) of pixels without weight.
    stamps : ndarray, shape (n, k, k), float32
        Spline coefficients of each source's PSF.
    sources : tuple of ndarray, shape (n,)
        Order to fit them in, and the half-width of the square that each is fitted and painted in [pixel].
    options : tuple
        ``photon_variance``, ``fit_position``, ``noise_correlation``, ``n_sweep`` of `FitSettings`.
    outputs : tuple of ndarray
        The model, zeros at first; the results, shape (10, n), whose rows X and Y hold the start, and FLUX the
        known fluxes, else NaN; the peaks (x, y), shape (2, n), that a source stays near.
    """
    photon_variance, fit_position, noise_correlation, n_sweep = options
    order, halves = sources
    model, results, peaks = outputs
    n_source, size = stamps.shape[0], stamps.shape[1]
    is_known = _is_inside(results[X], results[Y], model.shape) & np.isfinite(results[FLUX])
    flux, base_variance = np.where(is_known, results[FLUX], 0.0), np.zeros(n_source)
    results[FLUX] = np.nan
    is_settled = np.zeros(n_source, dtype=np.bool_)
    work = working_space(size)
    profile = np.zeros((3, size, size), dtype=np.float32)
    sums = np.zeros(12)
    for index in np.flatnonzero(is_known):
        source = (results[X, index], results[Y, index], flux[index])
        _paint(stamps[index], source, halves[index], (work, profile), model)
    for sweep in range(n_sweep):
        for index in order:
            x, y = results[X, index], results[Y, index]
            if is_settled[index] or not _is_inside(x, y, model.shape):
                continue
            half = halves[index]
            corner = (int(np.rint(y)) - half, int(np.rint(x)) - half, 2 * half + 1)
            move_stamp(stamps[index], half, (x - np.rint(x), y - np.rint(y)), work, profile)
            if sweep == 0:
                base_variance[index], results[USABLE_FRACTION, index] = _base_variance(
                    pixels, profile[0], corner, photon_variance
                )
            own = flux[index]
            if base_variance[index] <= 0:
                # No pixel tells anything of it: what was known of it is no light that others must leave to it.
                add_scaled(model, profile[0], corner, -own)
                flux[index] = 0.0
                continue
            light = (own, base_variance[index], photon_variance)
            _normal_equations(pixels, (model, profile), corner, light, sums)
            free = fit_position and (sweep > 0 or is_known[index]) and own > 0
            step_f, step_x, step_y = _solve(sums, free, noise_correlation, results[:, index])
            new_x, new_y = _bounded(x, step_x, peaks[0, index]), _bounded(y, step_y, peaks[1, index])
            flux[index] = own + step_f
            if step_x == 0.0 and step_y == 0.0:
                add_scaled(model, profile[0], corner, step_f)
            else:
                add_scaled(model, profile[0], corner, -own)
                _paint(stamps[index], (new_x, new_y, flux[index]), half, (work, profile), model)
            # Not in the first sweep: a known source does not know of its new neighbours, which come after it.
            is_settled[index] = sweep > 0 and _is_small((step_f, step_x, step_y), results[:, index])
            results[FLUX, index], results[X, index], results[Y, index] = flux[index], new_x, new_y


@kernel
def paint_point_sources(stamps, x, y, flux, model):
    """Add each source's moved PSF times its flux to an image.

    Parameters
    ----------
    stamps : ndarray, shape (n, k, k), float32
        Spline coefficients of each source's PSF.
    x, y, flux : ndarray, shape (n,), float64
        Positions [pixel] and fluxes, all finite.
    model : ndarray, shape (ny, nx), float32
        The image.
    """
    size = stamps.shape[1]
    work = working_space(size)
    profile = np.zeros((1, size, size), dtype=np.float32)
    for i in range(x.size):
        _paint(stamps[i], (x[i], y[i], flux[i]), size // 2, (work, profile), model)


@kernel
def _paint(stamp, source, half, buffers, model):
    """Add a source (x, y, flux) to the model image, within a half-width of its middle pixel."""
    x, y, flux = source
    work, profile = buffers
    column, row = int(np.rint(x)), int(np.rint(y))
    move_stamp(stamp, half, (x - column, y - row), work, profile[:1])
    add_scaled(model, profile[0], (row - half, column - half, 2 * half + 1), flux)


@kernel
def working_space(size):
    """Buffers of `move_stamp` for PSF images of this side: a row with its margins, and rows moved along x.

    Parameters
    ----------
    size : int
        Side of a PSF image [pixel].

    Returns
    -------
    tuple of ndarray
        float32.
    """
    row = np.zeros(size + 2 * SPLINE_REACH + 1, dtype=np.float32)
    return row, np.zeros((2, size + 2 * SPLINE_REACH + 1, size), dtype=np.float32)


@kernel
def move_stamp(stamp, half, shift, work, profile):
    """Move the middle of a PSF by a fraction of a pixel, with its derivatives.

    Parameters
    ----------
    stamp : ndarray, shape (k, k), float32
        Its spline coefficients.
    half : int
        Half-width of the square that is wanted, at most k // 2 [pixel].
    shift : tuple of float
        (dx, dy), in [-0.5, 0.5] [pixel].
    work : tuple of ndarray
        From `working_space`.
    profile : ndarray, shape (3, k, k), float32
        The moved image comes into ``[0, : 2 half + 1, : 2 half + 1]``, its derivatives by dx and dy into
        ``[1]`` and ``[2]``; only the image where it has one plane.
    """
    row, moved = work
    weights = np.empty((2, SPLINE_DEGREE + 1), dtype=np.float32)
    n = 2 * half + 1
    first = stamp.shape[0] // 2 - half - SPLINE_REACH
    n_plane = 1 if profile.shape[0] == 1 else 2
    first_x = spline_taps(shift[0], weights)
    _combine_along_rows((stamp, first, n), row, (weights, first_x), moved[:n_plane])
    first_y = spline_taps(shift[1], weights)
    _combine_across_rows(moved[0], n, (weights[0], first_y), profile[0])
    if n_plane == 2:
        _combine_across_rows(moved[1], n, (weights[0], first_y), profile[1])
        _combine_across_rows(moved[0], n, (weights[1], first_y), profile[2])


@kernel
def spline_taps(shift, weights):
    """Weights of `core.psf.spline_weights` that are not zero, and their derivatives by the shift.

    Parameters
    ----------
    shift : float
        In [-0.5, 0.5] [pixel].
    weights : ndarray, shape (2, SPLINE_DEGREE + 1), float32
        Weights and derivatives come here.

    Returns
    -------
    int
        Place of the first of them among the 2 SPLINE_REACH + 1 weights.

    Notes
    -----
    De Boor's recursion; the slope of a spline is the difference of two of the degree below.
    """
    values = np.zeros(SPLINE_DEGREE + 1)
    slopes = np.zeros(SPLINE_DEGREE + 1)
    first = 0 if shift >= 0 else 1
    u = shift + first
    values[0] = 1.0
    for degree in range(1, SPLINE_DEGREE + 1):
        if degree == SPLINE_DEGREE:
            for j in range(degree):
                slopes[j] += values[j]
                slopes[j + 1] -= values[j]
        for j in range(degree, -1, -1):
            lower = values[j - 1] if j > 0 else 0.0
            values[j] = ((u + j) * values[j] + (degree + 1 - u - j) * lower) / degree
    for j in range(SPLINE_DEGREE + 1):
        weights[0, j], weights[1, j] = values[j], slopes[j]
    return first


@summing_kernel
def _combine_along_rows(stamp, row, taps, moved):
    """Weighted sums of eight neighbours along the rows of a square of a stamp, and of the rows that border on it.

    `stamp`: coefficients, first row and column, side of the square; what lies beyond the stamp is 0.
    """
    coefficients, first, n = stamp
    weights, offset = taps
    size, n_row = coefficients.shape[0], n + 2 * SPLINE_REACH
    low, high = max(-first, 0), min(n_row, size - first)
    row[:n_row] = 0.0
    for k in range(moved.shape[0]):
        w0, w1, w2, w3 = weights[k, 0], weights[k, 1], weights[k, 2], weights[k, 3]
        w4, w5, w6, w7 = weights[k, 4], weights[k, 5], weights[k, 6], weights[k, 7]
        for j in range(n_row):
            if not low <= j < high:
                for i in range(n):
                    moved[k, j, i] = 0.0
                continue
            for i in range(low, high):
                row[i] = coefficients[first + j, first + i]
            for i in range(n):
                m = offset + i
                moved[k, j, i] = (w0 * row[m] + w1 * row[m + 1] + w2 * row[m + 2] + w3 * row[m + 3]) + (
                    w4 * row[m + 4] + w5 * row[m + 5] + w6 * row[m + 6] + w7 * row[m + 7]
                )


@summing_kernel
def _combine_across_rows(moved, n, taps, out):
    """Weighted sums of eight rows, n times of n values."""
    weights, offset = taps
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    w4, w5, w6, w7 = weights[4], weights[5], weights[6], weights[7]
    for j in range(n):
        m = offset + j
        for i in range(n):
            out[j, i] = (
                w0 * moved[m, i] + w1 * moved[m + 1, i] + w2 * moved[m + 2, i] + w3 * moved[m + 3, i]
            ) + (w4 * moved[m + 4, i] + w5 * moved[m + 5, i] + w6 * moved[m + 6, i] + w7 * moved[m + 7, i])


@kernel
def _is_small(step, result):
    """Whether a step moved a source by a small part of its errors; errors of a fixed position are NaN."""
    is_small = abs(step[0]) < SETTLED_STEP * result[FLUX_ERR]
    for moved, error in ((step[1], result[X_ERR]), (step[2], result[Y_ERR])):
        is_small = is_small and not abs(moved) >= SETTLED_STEP * error
    return is_small


@kernel
def _is_inside(x, y, shape):
    """Whether a position, or each of several, lies on the image."""
    return (x > -0.5) & (y > -0.5) & (x < shape[1] - 0.5) & (y < shape[0] - 0.5)


@kernel
def _bounded(position, step, peak):
    """Position after a step of at most `MAX_STEP`, within `MAX_SHIFT` of its peak."""
    moved = position + min(max(step, -MAX_STEP), MAX_STEP)
    return min(max(moved, peak - MAX_SHIFT), peak + MAX_SHIFT)


@summing_kernel
def _base_variance(pixels, profile, corner, photon_variance):
    """Variance without the source's photons, and the usable part of sum(P^2); see `psf_photometry`."""
    image, mask, variance, unusable = pixels
    ny, nx = image.shape
    row0, column0, n = corner
    weighted = norm = full = sky = 0.0
    n_sky, darkest = 0, np.inf
    for row in range(n):
        for column in range(n):
            p = profile[row, column] ** 2
            full += p
            y, x = row0 + row, column0 + column
            if not (0 <= y < ny and 0 <= x < nx):
                continue
            value = image[y, x]
            if mask[y, x] & unusable or np.isnan(value):
                continue
            without_photons = variance[y, x] - photon_variance * value
            norm += p
            weighted += p * without_photons
            darkest = min(darkest, variance[y, x])
            if value * value < SKY_SIGMA**2 * variance[y, x]:
                sky += without_photons
                n_sky += 1
    if norm <= MIN_USABLE_FRACTION * full:
        return 0.0, norm / full
    base = sky / n_sky if photon_variance > 0 and n_sky >= MIN_SKY_PIXELS else weighted / norm
    # In the middle of a large galaxy a gain that is off by some per cent leaves less than nothing.
    return max(base if base > 0 else darkest, 1e-30), norm / full


@kernel
def _normal_equations(pixels, images, corner, light, sums):
    """Sums of the linear fit of a step in flux, x and y, the step in position scaled by the present flux.

    `images`: model and moved PSF; `sums`: ff fx fy xx xy yy, f x y (right sides), chi2, number of pixels, flux.
    """
    image, mask, _, unusable = pixels
    model, profile = images
    ny, nx = image.shape
    row0, column0, n = corner
    own, base, photon_variance = light
    sums[:] = 0.0
    left, right = max(0, -column0), min(n, nx - column0)
    for row in range(max(0, -row0), min(n, ny - row0)):
        y, x0, x1 = row0 + row, column0 + left, column0 + right
        _add_row(
            (image[y, x0:x1], mask[y, x0:x1], model[y, x0:x1]),
            (profile[0, row, left:right], profile[1, row, left:right], profile[2, row, left:right]),
            (unusable, np.float32(base), np.float32(photon_variance)),
            sums,
        )
    sums[1] *= own
    sums[2] *= own
    sums[3:6] *= own * own
    sums[7:9] *= own
    sums[11] = own


@summing_kernel
def _add_row(pixels, profile, weighting, sums):
    """Add one row of pixels to the sums of `_normal_equations`, for a source of flux 1.

    Of the few pixels of a row sums of single precision are enough.
    """
    image, mask, model = pixels
    profile_f, profile_x, profile_y = profile
    unusable, base, photon_variance = weighting
    zero, one = np.float32(0), np.float32(1)
    ff = fx = fy = xx = xy = yy = f = u = v = chi2 = n_used = zero
    for i in range(image.size):
        value = image[i]
        used = (mask[i] & unusable) == 0 and value == value  # noqa: PLR0124 (NaN is not)
        residual = value - model[i] if used else zero
        weight = one / (base + photon_variance * max(model[i], zero)) if used else zero
        n_used += one if used else zero
        p, p_x, p_y = profile_f[i], profile_x[i], profile_y[i]
        w_p, w_x, w_y = weight * p, weight * p_x, weight * p_y
        ff += w_p * p
        fx += w_p * p_x
        fy += w_p * p_y
        xx += w_x * p_x
        xy += w_x * p_y
        yy += w_y * p_y
        f += w_p * residual
        u += w_x * residual
        v += w_y * residual
        chi2 += weight * residual * residual
    row = (ff, fx, fy, xx, xy, yy, f, u, v, chi2, n_used)
    for i in range(11):
        sums[i] += row[i]


@kernel
def _solve(sums, free, noise_correlation, result):
    """Step (flux, x, y) of one source; errors and chi2 go into its column `result`."""
    ff, fx, fy, xx, xy, yy = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]
    result[CHI2], result[N_PIXEL] = sums[9], sums[10]
    determinant = ff * (xx * yy - xy * xy) - fx * (fx * yy - xy * fy) + fy * (fx * xy - xx * fy)
    if not free or determinant <= 1e-9 * ff * xx * yy:
        result[FLUX_ERR] = np.sqrt(noise_correlation / ff)
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
    result[FLUX_ERR] = np.sqrt(v_ff * noise_correlation)
    result[X_ERR], result[Y_ERR] = np.sqrt(v_xx * noise_correlation), np.sqrt(v_yy * noise_correlation)
    result[XY_COVARIANCE] = v_xy * noise_correlation
    return (
        v_ff * sums[6] + v_fx * sums[7] + v_fy * sums[8],
        v_fx * sums[6] + v_xx * sums[7] + v_xy * sums[8],
        v_fy * sums[6] + v_xy * sums[7] + v_yy * sums[8],
    )


@summing_kernel
def add_scaled(model, profile, corner, scale):
    """Add a scaled stamp to an image, where it lies on it.

    Parameters
    ----------
    model : ndarray, shape (ny, nx), float32
        The image; changed in place.
    profile : ndarray, shape (k, k), float32
        The stamp, in its first rows and columns.
    corner : tuple of int
        First row and column of the stamp on the image, and its side [pixel].
    scale : float
        What it is multiplied by.
    """
    ny, nx = model.shape
    row0, column0, n = corner
    left, right = max(0, -column0), min(n, nx - column0)
    factor = np.float32(scale)
    for row in range(max(0, -row0), min(n, ny - row0)):
        target, source = model[row0 + row], profile[row]
        for column in range(left, right):
            target[column0 + column] += factor * source[column]
