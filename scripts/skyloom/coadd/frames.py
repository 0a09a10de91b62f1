"""Where the cropped warps lie on their patch, and the numbers of each that every step of a coadd needs."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PatchFrame:
    """The patch's pixels and the scalars of its n warps.

    Attributes
    ----------
    shape : tuple of int
        ``(ny, nx)`` of the patch.
    weight : ndarray, shape (n,), float64
        Weight of each warp in the mean [nJy^-2].
    psf_sigma : ndarray, shape (n,), float64
        PSF size of each warp [pixel].
    rejected_planes : int
        Mask bits of pixels that are used only where no warp has a better one.
    """

    shape: tuple
    weight: np.ndarray
    psf_sigma: np.ndarray
    rejected_planes: int


def window_of(warp):
    """Slices of the patch's arrays that a warp covers (tuple of slice).

    Parameters
    ----------
    warp : Exposure
        Cropped warp; `info.origin` is its first pixel in the patch.
    """
    x0, y0 = warp.info.origin
    ny, nx = warp.pixels.shape
    return slice(y0, y0 + ny), slice(x0, x0 + nx)
