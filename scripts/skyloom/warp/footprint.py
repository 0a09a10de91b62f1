"""Which pixels of a patch a detector can reach, before any pixel is resampled."""

import numpy as np

N_PROBE = 17
MARGIN = 2


def overlap_box(calexp, patch):
    """Rectangle of patch pixels that a detector may cover.

    Parameters
    ----------
    calexp : Exposure
        Detector image with its WCS.
    patch : Patch
        The patch.

    Returns
    -------
    tuple of int or None
        ``(x0, x1, y0, y1)``, half-open, within the patch; None when they do not meet.

    Notes
    -----
    The detector is probed on a grid that includes its edges, so that a distorted edge that bulges by less
    than the margin is inside.
    """
    ny, nx = calexp.pixels.shape
    grid_x, grid_y = np.meshgrid(np.linspace(-0.5, nx - 0.5, N_PROBE), np.linspace(-0.5, ny - 0.5, N_PROBE))
    ra, dec = calexp.wcs.pixel_to_sky(grid_x.ravel(), grid_y.ravel())
    x, y = patch.wcs.sky_to_pixel(ra, dec)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    patch_ny, patch_nx = patch.shape
    x0, x1 = max(0, int(np.floor(x.min())) - MARGIN), min(patch_nx, int(np.ceil(x.max())) + MARGIN + 1)
    y0, y1 = max(0, int(np.floor(y.min())) - MARGIN), min(patch_ny, int(np.ceil(y.max())) + MARGIN + 1)
    return (x0, x1, y0, y1) if x0 < x1 and y0 < y1 else None
