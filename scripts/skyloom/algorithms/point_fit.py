"""The inner loops of PSF photometry: fit one source with the others subtracted, paint it."""

import numpy as np

from skyloom.algorithms.stamp_moves import move_stamp, working_space
from skyloom.core.jit import kernel, summing_kernel
from skyloom.core.splines import SPLINE_REACH

MAX_SHIFT = 1.5
MAX_STEP = 0.5
MIN_USABLE_FRACTION = 1e-3
SKY_SIGMA = 2.0
MIN_SKY_PIXELS = 20
# A source whose last step was smaller than this part of its errors stays where it is.
SETTLED_STEP = 0.02
# Side of the cells by which neighbours are looked for [pixel].
CELL = 8
# Values of a source in the rows of `results`: the attributes of `PsfPhotometry`.
FLUX, FLUX_ERR, X, Y, X_ERR, Y_ERR, XY_COVARIANCE, CHI2, N_PIXEL, USABLE_FRACTION = range(10)


@kernel
def fit_point_sources(pixels, stamps, sources, options, outputs):
    """Fit each source in turn with the others subtracted, several times.

    Parameters
    ----------
    pixels : tuple
        Image, mask and variance, and the mask bits (uint32) of pixels without weight.
    stamps : ndarray, shape (n, s * s, k, k), float32
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
    n_source, size = stamps.shape[0], stamps.shape[2]
    is_known = _is_inside(results[X], results[Y], model.shape) & np.isfinite(results[FLUX])
    flux, base_variance = np.where(is_known, results[FLUX], 0.0), np.zeros(n_source)
    results[FLUX] = np.nan
    is_settled = np.zeros(n_source, dtype=np.bool_)
    is_near_new = _are_near_new(results[X], results[Y], halves, is_known, model.shape)
    work, residual_work, sums = working_space(size, stamps.shape[1]), residual_space(size), np.zeros(12)
    _paint_known(stamps, halves, (is_known, results[X], results[Y], flux), model)
    for sweep in range(n_sweep):
        for index in order:
            x, y = results[X, index], results[Y, index]
            if is_settled[index] or not _is_inside(x, y, model.shape):
                continue
            half = halves[index]
            corner = (int(np.rint(y)) - half, int(np.rint(x)) - half, 2 * half + 1)
            profile = move_stamp(stamps[index], half, (x - np.rint(x), y - np.rint(y)), work, 3)
            if sweep == 0:
                base_variance[index], results[USABLE_FRACTION, index] = _base_variance(
                    pixels, profile[0], corner, photon_variance
                )
            own = flux[index]
            light = (own, base_variance[index], photon_variance)
            _normal_equations(pixels, (model, profile), (corner, light), residual_work, sums)
            if not sums[0] > 0:
                # No pixel tells anything of it, where it stood or where it went: what was known of it is no light that
                # others must leave to it.
                add_scaled(model, profile[0], corner, -own)
                flux[index], is_settled[index] = 0.0, True
                _forget_fit(results[:, index])
                continue
            free = fit_position and (sweep > 0 or is_known[index]) and own > 0
            step_f, step_x, step_y = _solve(sums, free, noise_correlation, results[:, index])
            new_x, new_y = _bounded(x, step_x, peaks[0, index]), _bounded(y, step_y, peaks[1, index])
            flux[index] = own + step_f
            if step_x == 0.0 and step_y == 0.0:
                add_scaled(model, profile[0], corner, step_f)
            else:
                add_scaled(model, profile[0], corner, -own)
                _paint(stamps[index], (new_x, new_y, flux[index]), half, work, model)
            # In the first sweep a source does not know of its new neighbours, which come after it.
            may_settle = sweep > 0 or not is_near_new[index]
            is_settled[index] = may_settle and _is_small((step_f, step_x, step_y), results[:, index])
            results[FLUX, index], results[X, index], results[Y, index] = flux[index], new_x, new_y


@kernel
def _paint_known(stamps, halves, sources, model):
    """Paint the sources that are known, their positions and fluxes."""
    is_known, x, y, flux = sources
    work = working_space(stamps.shape[2], stamps.shape[1])
    for i in np.flatnonzero(is_known):
        _paint(stamps[i], (x[i], y[i], flux[i]), halves[i], work, model)


@kernel
def _forget_fit(result):
    """Leave of a source's column nothing but its position and how much of it can be used."""
    result[FLUX:X] = np.nan
    result[X_ERR:USABLE_FRACTION] = np.nan


@kernel
def _are_near_new(x, y, halves, is_known, shape):
    """Whether each source is new, that is not known, or its square, in steps of cells, meets that of a new one."""
    cells = np.zeros((shape[0] // CELL + 1, shape[1] // CELL + 1), dtype=np.bool_)
    is_near = ~is_known
    for is_marking in (True, False):
        for i in range(x.size):
            if is_known[i] == is_marking or not _is_inside(x[i], y[i], shape):
                continue
            first_row, last_row = _cells_of(y[i], halves[i], cells.shape[0])
            first_column, last_column = _cells_of(x[i], halves[i], cells.shape[1])
            square = cells[first_row:last_row, first_column:last_column]
            if is_marking:
                square[:] = True
            else:
                is_near[i] = square.any()
    return is_near


@kernel
def _cells_of(position, half, n_cell):
    """First and last cell, exclusive, that a square reaches along an axis."""
    first, last = int(np.floor(position - half)) // CELL, int(np.ceil(position + half)) // CELL + 1
    return max(first, 0), min(last, n_cell)


@kernel
def paint_point_sources(stamps, halves, sources, model):
    """Add each source's moved PSF times its flux to an image.

    Parameters
    ----------
    stamps : ndarray, shape (n, s * s, k, k), float32
        Spline coefficients of each source's PSF.
    halves : ndarray, shape (n,), int64
        Half-width of the square that each is painted in [pixel].
    sources : tuple of ndarray, shape (n,), float64
        x, y [pixel] and fluxes, all finite.
    model : ndarray, shape (ny, nx), float32
        The image.
    """
    x, y, flux = sources
    work = working_space(stamps.shape[2], stamps.shape[1])
    for i in range(x.size):
        _paint(stamps[i], (x[i], y[i], flux[i]), halves[i], work, model)


@kernel
def _paint(stamp, source, half, work, model):
    """Add a source (x, y, flux) to the model image, within a half-width of its middle pixel."""
    x, y, flux = source
    column, row = int(np.rint(x)), int(np.rint(y))
    profile = move_stamp(stamp, half, (x - column, y - row), work, 1)
    add_scaled(model, profile[0], (row - half, column - half, 2 * half + 1), flux)


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


@kernel
def _base_variance(pixels, profile, corner, photon_variance):
    """Variance without the source's photons, and the usable part of sum(P^2); see `psf_photometry`."""
    weighted, norm, sky, n_sky = _square_sums(pixels, profile, corner, photon_variance)
    full = _square_of(profile, corner[2])
    if norm <= MIN_USABLE_FRACTION * full:
        return 0.0, norm / full
    base = sky / n_sky if photon_variance > 0 and n_sky >= MIN_SKY_PIXELS else weighted / norm
    # In the middle of a large galaxy a gain that is off by some per cent leaves less than nothing.
    if not base > 0:
        base = _darkest(pixels, corner)
    return max(base, 1e-30), norm / full


@kernel
def on_image(corner, shape):
    """Part of a stamp that lies on an image.

    Parameters
    ----------
    corner : tuple of int
        First row and column of the stamp on the image, and its side [pixel].
    shape : tuple of int
        Shape (ny, nx) of the image.

    Returns
    -------
    tuple of int
        First row and column of the part on the image, the same in the stamp, and how many rows and columns it has. None
        is negative, which a processor must know to take several pixels of a row at once.
    """
    row0, column0, n = corner
    top, left = max(0, -row0), max(0, -column0)
    n_row, n_column = min(n, shape[0] - row0) - top, min(n, shape[1] - column0) - left
    return max(row0, 0), max(column0, 0), top, left, max(n_row, 0), max(n_column, 0)


@summing_kernel
def _square_sums(pixels, profile, corner, photon_variance):
    """Sums over usable pixels: P^2 V0 and P^2, V0 of those of the sky, and their number."""
    image, mask, variance, unusable = pixels
    y0, x0, top, left, n_row, n_column = on_image(corner, image.shape)
    zero, one, gain, limit = (
        np.float32(0),
        np.float32(1),
        np.float32(photon_variance),
        np.float32(SKY_SIGMA**2),
    )
    weighted = norm = sky = n_sky = 0.0
    for row in range(n_row):
        in_weighted = in_norm = in_sky = in_number = zero
        for i in range(n_column):
            value, spread, p = (
                image[y0 + row, x0 + i],
                variance[y0 + row, x0 + i],
                profile[top + row, left + i],
            )
            is_used = ((mask[y0 + row, x0 + i] & unusable) == 0) & (value == value)  # noqa: PLR0124 (NaN is not)
            is_sky = is_used & (value * value < limit * spread)
            without_photons = spread - gain * value
            in_weighted += p * p * without_photons if is_used else zero
            in_norm += p * p if is_used else zero
            in_sky += without_photons if is_sky else zero
            in_number += one if is_sky else zero
        weighted, norm, sky, n_sky = weighted + in_weighted, norm + in_norm, sky + in_sky, n_sky + in_number
    return weighted, norm, sky, n_sky


@summing_kernel
def _square_of(profile, n):
    """Sum of the squares of a stamp of n rows and columns."""
    total = 0.0
    for row in range(n):
        in_row = np.float32(0)
        for column in range(n):
            in_row += profile[row, column] * profile[row, column]
        total += in_row
    return total


@kernel
def _darkest(pixels, corner):
    """Least variance of the usable pixels of a stamp."""
    image, mask, variance, unusable = pixels
    y0, x0, _, _, n_row, n_column = on_image(corner, image.shape)
    darkest = np.inf
    for y in range(y0, y0 + n_row):
        for x in range(x0, x0 + n_column):
            if not (mask[y, x] & unusable or np.isnan(image[y, x])):
                darkest = min(darkest, variance[y, x])
    return darkest


@kernel
def residual_space(size):
    """Buffers for the pixels below a PSF image of this side: their residuals and their weights (ndarray, float32).

    Parameters
    ----------
    size : int
        Side of a PSF image [pixel].
    """
    return np.zeros((2, size * (size + 2 * SPLINE_REACH)), dtype=np.float32)


@kernel
def _normal_equations(pixels, images, source, work, sums):
    """Sums of the linear fit of a step in flux, x and y, the step in position scaled by the present flux.

    `images`: model and moved PSF; `sums`: ff fx fy xx xy yy, f x y (right sides), chi2, number of pixels, flux; all 0
    for a source whose variance is not known.
    """
    sums[:] = 0.0
    image, mask, _, unusable = pixels
    model, profile = images
    (row0, column0, n), (own, base, photon_variance) = source
    if not base > 0:
        return
    length = profile.shape[1] * profile.shape[2]
    residual, weight = work[0, :length], work[1, :length]
    weight[:] = 0.0
    residual[:] = 0.0
    weighting = (unusable, np.float32(base), np.float32(photon_variance))
    _weigh((image, mask, model), (row0, column0, n), weighting, (residual, weight, profile.shape[2]))
    planes = profile.reshape(3, length)
    _add_products((planes[0], planes[1], planes[2]), residual, weight, sums)
    sums[1] *= own
    sums[2] *= own
    sums[3:6] *= own * own
    sums[7:9] *= own
    sums[11] = own


@summing_kernel
def _weigh(pixels, corner, weighting, outputs):
    """Residuals and weights of a stamp's pixels, rows `step` apart; both are 0 for those that are not used.

    Rows of whole planes, not views of them: to make those of a small stamp takes longer than its sums.
    """
    image, mask, model = pixels
    unusable, base, photon_variance = weighting
    residual, weight, step = outputs
    y0, x0, top, left, n_row, n_column = on_image(corner, image.shape)
    zero, one = np.float32(0), np.float32(1)
    for row in range(n_row):
        start = max((top + row) * step + left, 0)
        for i in range(n_column):
            value, light = image[y0 + row, x0 + i], model[y0 + row, x0 + i]
            # No branch, else the pixels are done one by one.
            is_used = ((mask[y0 + row, x0 + i] & unusable) == 0) & (value == value)  # noqa: PLR0124 (NaN is not)
            expected = one / (base + photon_variance * (light if light > zero else zero))
            residual[start + i] = value - light if is_used else zero
            weight[start + i] = expected if is_used else zero


@summing_kernel
def _add_products(profile, residual, weight, sums):
    """Sums over pixels of `_normal_equations`, for a source of flux 1; of one stamp single precision is enough."""
    profile_f, profile_x, profile_y = profile
    zero, one = np.float32(0), np.float32(1)
    ff = fx = fy = xx = xy = yy = f = u = v = chi2 = n_used = zero
    for i in range(weight.size):
        w, r = weight[i], residual[i]
        p, p_x, p_y = profile_f[i], profile_x[i], profile_y[i]
        w_p, w_x, w_y = w * p, w * p_x, w * p_y
        ff += w_p * p
        fx += w_p * p_x
        fy += w_p * p_y
        xx += w_x * p_x
        xy += w_x * p_y
        yy += w_y * p_y
        f += w_p * r
        u += w_x * r
        v += w_y * r
        chi2 += w * r * r
        n_used += one if w > zero else zero
    row = (ff, fx, fy, xx, xy, yy, f, u, v, chi2, n_used)
    for i in range(11):
        sums[i] = row[i]


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
    y0, x0, top, left, n_row, n_column = on_image(corner, model.shape)
    factor = np.float32(scale)
    for row in range(n_row):
        for i in range(n_column):
            model[y0 + row, x0 + i] += factor * profile[top + row, left + i]
