"""Filters that answer to cosmic rays and never to stars: made from the PSF, for the shapes that a ray leaves."""

import numpy as np

from skyloom.algorithms.nonnegative_fit import unexplained_part
from skyloom.core.splines import shift_kernels

REACH = 2
"""Half-width of a filter's window [pixel]: the nearest two rings tell a ray's edge from a star's slope."""

N_PHASE = 3
"""Positions of a star within a pixel, along each axis, that filters are made blind to."""

STAR_REACH = REACH + 2
"""Stars whose centre is this far from the window's middle still have a core in it [pixel]."""

SEEN_REACH = 2 * REACH + STAR_REACH + 4
"""Half-width of a star's image that reaches the window, with room for the spline that moves it [pixel]."""

PAIRS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Offset (y, x) of one neighbour of each opposite pair."""

CORE_FRACTION = 0.3
"""Pixels above this fraction of a star's highest one are its core: further out the model is noise."""

MAX_CONTRAST = 1000.0
"""Contrast above which a PSF model is not believed."""

SPREAD = 0.45
"""Standard deviation across a track: the pixel's own width and some diffusion of the charge [pixel]."""

LEAST_DISTANCE = 0.01
"""Part of a shape that no stars can make, below which it cannot be told from stars."""

N_DIRECTION = 8
PHASES = (0.0, 0.5)
"""Where points and tracks lie, from the middle of the pixel that is looked at [pixel]."""

TRACK_REACHES = (1.5, 2 * REACH)
"""Half-lengths of tracks: one that ends nearby, one that crosses the window [pixel]."""


def ray_filters(psf_kernels, margin):
    """Matched filters of rays' shapes that no sum of stars, blended or not, can answer to.

    Parameters
    ----------
    psf_kernels : ndarray, shape (n, k, k), float
        PSFs at some places of the image, each centred on its middle pixel; k at least 15.
    margin : float
        Relative error of a PSF's 1 / width^2 that is forgiven.

    Returns
    -------
    ndarray, shape (m, 5, 5), float64
        One filter for each of `ray_shapes` that stars cannot make, of norm 1 so that white noise of 1 gives 1.

    Raises
    ------
    ValueError
        If a PSF is not finite or has no light.

    Notes
    -----
    A shape t is split into the sum of stars of positive flux that is nearest to it and a rest h. The rest has
    ``h . star <= 0`` for every star (Moreau 1962: they are the projections on a cone and on its polar), and of all
    such filters it has the largest signal-to-noise ratio for t. The contrast ``p - R m`` of a pixel p and two
    opposite neighbours of mean m (Lupton et al. 2001, photo) is the case of a window of three pixels.

    The stars are those of each PSF raised to the power ``1 + margin``, which for a Gaussian scales 1 / width^2; broader
    ones are sums of them.
    """
    middle = psf_kernels.shape[-1] // 2
    half = min(SEEN_REACH, middle)
    near = slice(middle - half, middle + half + 1)
    if not (np.isfinite(psf_kernels).all() and (psf_kernels.max(axis=(1, 2)) > 0).all()):
        # To a filter that has seen no star all stars are rays.
        raise ValueError("a PSF without light, or not finite: rays cannot be told from stars by it")
    stars = _stars_in_window(sharpened(psf_kernels, margin)[:, near, near])
    filters = []
    for shape in ray_shapes():
        rest = unexplained_part(stars, shape.ravel())
        distance = np.linalg.norm(rest)
        # Of stars narrower than a pixel, a hot pixel is one: nothing tells it from them.
        if distance > LEAST_DISTANCE * np.linalg.norm(shape):
            filters.append(rest / distance)
    return np.array(filters).reshape(-1, 2 * REACH + 1, 2 * REACH + 1)


def ray_shapes():
    """What a ray may leave in a window around a pixel: a hot pixel, points, and tracks in all directions.

    Returns
    -------
    ndarray, shape (m, 5, 5), float64
        Each with its highest pixel about 1.
    """
    y, x = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1].astype(np.float64)
    shapes = [((x == 0) & (y == 0)).astype(np.float64)]
    shapes += [np.exp(-0.5 * ((x - i) ** 2 + (y - j) ** 2) / SPREAD**2) for j in PHASES for i in PHASES]
    for angle in np.arange(N_DIRECTION) * np.pi / N_DIRECTION:
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        shapes += [
            np.exp(-0.5 * ((across - phase) / SPREAD) ** 2) * (np.abs(along) <= reach)
            for phase in PHASES
            for reach in TRACK_REACHES
        ]
    return np.array(shapes)


def sharpened(psf_kernels, margin):
    """PSFs of a width that is smaller by half the margin.

    Parameters
    ----------
    psf_kernels : ndarray, shape (n, k, k), float
        PSFs; negative pixels count as 0.
    margin : float
        As in `ray_filters`.

    Returns
    -------
    ndarray, shape (n, k, k), float64
        Each of sum 1.
    """
    sharp = np.maximum(np.asarray(psf_kernels, dtype=np.float64), 0.0) ** (1.0 + margin)
    return sharp / sharp.sum(axis=(1, 2), keepdims=True)


def star_contrasts(psf_kernels, distance=1):
    """Largest ratio that a star shows between a pixel and the mean of two opposite neighbours.

    Parameters
    ----------
    psf_kernels : ndarray, shape (n, k, k), float
        PSFs centred on their middle pixel.
    distance : int
        Of the neighbours in steps of `PAIRS`.

    Returns
    -------
    ndarray, shape (4,), float64
        For `PAIRS`; the largest over the PSFs, over the pixels that hold more than 0.3 of the star's highest one, and
        over 9 positions of the star within a pixel.

    Notes
    -----
    For a symmetric PSF that is its central pixel with the star in its centre; a trailed or comatic PSF is
    sharper elsewhere.
    """
    stars = _at_all_phases(psf_kernels)
    d = distance
    pixels = stars[:, d:-d, d:-d]
    highest = stars.max(axis=(1, 2), keepdims=True)
    is_core = pixels > CORE_FRACTION * highest
    contrasts = []
    for j, i in PAIRS:
        rows, columns = slice(d + d * j, -d + d * j or None), slice(d + d * i, -d + d * i or None)
        opposite_rows, opposite_columns = (
            slice(d - d * j, -d - d * j or None),
            slice(d - d * i, -d - d * i or None),
        )
        mean = 0.5 * (stars[:, rows, columns] + stars[:, opposite_rows, opposite_columns])
        ratio = pixels / np.maximum(mean, highest / MAX_CONTRAST)
        contrasts.append(ratio[is_core].max())
    return np.array(contrasts)


def _at_all_phases(psf_kernels):
    """PSFs at each of the positions within a pixel, shape (9 n, k, k)."""
    steps = (np.arange(N_PHASE) - (N_PHASE - 1) / 2) / N_PHASE
    dx, dy = (np.tile(shift.ravel(), len(psf_kernels)) for shift in np.meshgrid(steps, steps))
    return shift_kernels(np.repeat(psf_kernels, N_PHASE**2, axis=0), dx, dy)


def _stars_in_window(psf_kernels):
    """Columns of what stars around and in the window leave in it, each with its highest pixel 1; and an even sky."""
    phases = _at_all_phases(psf_kernels)
    middle = psf_kernels.shape[-1] // 2
    windows = np.lib.stride_tricks.sliding_window_view(phases, (2 * REACH + 1, 2 * REACH + 1), axis=(1, 2))
    low, high = middle - REACH - STAR_REACH, middle - REACH + STAR_REACH + 1
    stars = windows[:, low:high, low:high].reshape(-1, (2 * REACH + 1) ** 2)
    stars = np.maximum(stars, 0.0)
    stars = np.vstack([stars, np.ones_like(stars[:1])])
    return np.ascontiguousarray((stars / stars.max(axis=1, keepdims=True)).T)
