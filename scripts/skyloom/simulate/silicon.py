"""What charge does in the silicon before it is read out: it repels its like, and it overflows."""

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2

REPULSION_RADIUS = 8
"""Reach of the repulsion that is followed [pixel]."""
SOFTENING = 1.0
"""The potential falls as 1 / (r^2 + softening^2)^(1/2) [pixel]."""


def repulsion_kernel(strength):
    """Potential about a pixel per electron in it.

    Parameters
    ----------
    strength : float
        Fraction of a pixel's charge that crosses one boundary for a difference of one electron in potential's
        source: setting `brighter_fatter` [1/electron].

    Returns
    -------
    ndarray, shape (2 r + 1, 2 r + 1), float64
        Symmetric, greatest in the middle.
    """
    r = np.arange(-REPULSION_RADIUS, REPULSION_RADIUS + 1)
    return strength / np.sqrt(r[:, None] ** 2 + r[None, :] ** 2 + SOFTENING**2)


def repel(electrons, strength):
    """Charge after the field of the collected charge has pushed later electrons aside: brighter-fatter.

    Parameters
    ----------
    electrons : ndarray, shape (ny, nx), float32
        Charge that would collect in an empty detector [electron].
    strength : float
        See `repulsion_kernel`; 0 changes nothing.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        The sum is the same.

    Notes
    -----
    Antilogus et al. (2014) with boundary shifts that are the gradient of a potential (Coulton et al. 2018): the
    charge that crosses a boundary is the mean of both pixels' times the potential's step, halved since the field
    grows during the exposure. To first order the covariance of a flat of level Q at a lag is
    ``Q^2 (L K)`` with L the discrete Laplacian and K the kernel.
    """
    if strength == 0:
        return electrons
    potential = _convolve(electrons, 0.5 * repulsion_kernel(strength))
    moved = electrons.copy()
    for axis in (0, 1):
        here, there = _neighbours(electrons, axis)
        potential_here, potential_there = _neighbours(potential, axis)
        flow = 0.5 * (here + there) * (potential_here - potential_there)
        moved_here, moved_there = _neighbours(moved, axis)
        moved_here -= flow
        moved_there += flow
    return moved


def _neighbours(plane, axis):
    """Views of all pixels but the last, and all but the first, along an axis."""
    return (plane[:-1], plane[1:]) if axis == 0 else (plane[:, :-1], plane[:, 1:])


def _convolve(plane, kernel):
    """Convolution with a symmetric kernel, float32; beyond the edges the plane's median goes on."""
    half = kernel.shape[0] // 2
    level = np.float32(np.median(plane[::8, ::8]))
    shape = [next_fast_len(n + 2 * half, real=True) for n in plane.shape]
    transform = rfft2(plane - level, shape)
    transform *= rfft2(kernel.astype(np.float32), shape)
    full = irfft2(transform, shape)
    return full[half : half + plane.shape[0], half : half + plane.shape[1]] + level * np.float32(kernel.sum())


def overflow(electrons, full_well, bleeds):
    """Charge that pixels can hold; what is too much bleeds along the columns, or is lost.

    Parameters
    ----------
    electrons : ndarray, shape (ny, nx), float32
        Charge [electron].
    full_well : float
        What a pixel holds [electron].
    bleeds : bool
        False loses the surplus where it arises.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        At most the full well. Bleeding keeps the sum but for what leaves the detector.
    """
    if not bleeds:
        return np.minimum(electrons, np.float32(full_well))
    held = electrons.copy()
    for column in np.flatnonzero((electrons > full_well).any(axis=0)):
        held[:, column] = _bleed(electrons[:, column].astype(np.float64), full_well)
    return held


def _bleed(charge, full_well):
    """One column after its surplus has run up and down, evenly, to where there is room."""
    total = np.concatenate([[0.0], np.cumsum(charge)])
    trails = []
    edges = np.flatnonzero(np.diff(np.concatenate([[0], charge > full_well, [0]])))
    for start, end in edges.reshape(-1, 2).tolist():
        if trails and end <= trails[-1][1]:
            continue
        low, high = _trail(total, full_well, start, end)
        while trails and low < trails[-1][1]:
            low, high = _trail(total, full_well, trails.pop()[0], high)
        trails.append((low, high))
    for low, high in trails:
        charge[low:high] = _filled(total[high] - total[low], full_well, high - low)
    return charge


def _trail(total, full_well, low, high):
    """Smallest range about another that has room for its charge; `total` sums the charge before each pixel."""
    n = len(total) - 1
    while total[high] - total[low] > full_well * (high - low) and (low > 0 or high < n):
        low, high = max(low - 1, 0), min(high + 1, n)
    return low, high


def _filled(content, full_well, length):
    """Pixels that hold `content`: full in the middle, the rest in the two ends, the surplus gone."""
    n_full = min(int(content / full_well), length)
    pixels = np.zeros(length)
    first = (length - n_full) // 2
    pixels[first : first + n_full] = full_well
    ends = [i for i in (first - 1, first + n_full) if 0 <= i < length]
    if ends:
        pixels[ends] = (content - n_full * full_well) / len(ends)
    return pixels
