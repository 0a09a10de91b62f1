"""The stars of a raw frame, found quickly and without any calibration: enough to see where it looks."""

import numpy as np

from skyloom.commands.camera_checks import light_of
from skyloom.commands.camera_flips import turned

THRESHOLD = 5.0
MIN_PIXELS = 4
"""A hot pixel has fewer."""
BACKGROUND_CELL = 64
PIXEL_STACK = 2_000_000
MOST_STARS = 200


def frame_image(raw, levels):
    """Raw frame as the camera file lays its amplifiers together.

    Parameters
    ----------
    raw : RawFrame
        One detector [ADU].
    levels : dict of str to float
        Level without light [ADU] of amplifiers without overscan; 0 for those not named.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        Light above the overscan [electron]; NaN where the file has no number.
    """
    image = np.empty(raw.detector.shape, np.float32)
    for amplifier in raw.detector.amplifiers:
        x0, x1, y0, y1 = amplifier.detector_section
        light = light_of(raw.planes, amplifier, levels.get(amplifier.name, 0.0)) * amplifier.gain
        image[y0:y1, x0:x1] = turned(light, (amplifier.flip_x, amplifier.flip_y))
    return image


def brightest_stars(image):
    """Places of the brightest sources of an image.

    Parameters
    ----------
    image : ndarray, shape (ny, nx), float32
        Sky and all; NaN is no pixel.

    Returns
    -------
    x, y : ndarray, shape (n,), float64
        [pixel], brightest first; empty for an image without a source or without noise.
    """
    import sep

    bad = ~np.isfinite(image)
    filled = np.ascontiguousarray(
        np.where(bad, np.nanmedian(image) if not bad.all() else 0, image), np.float32
    )
    background = sep.Background(filled, mask=bad, bw=BACKGROUND_CELL, bh=BACKGROUND_CELL)
    if not background.globalrms > 0:
        return np.zeros(0), np.zeros(0)
    previous = sep.get_extract_pixstack()
    sep.set_extract_pixstack(max(PIXEL_STACK, previous))
    try:
        found = sep.extract(
            filled - background.back(),
            THRESHOLD,
            err=background.globalrms,
            mask=bad,
            minarea=MIN_PIXELS,
            filter_kernel=None,
        )
    finally:
        sep.set_extract_pixstack(previous)
    found = found[np.argsort(-found["flux"], kind="stable")][:MOST_STARS]
    return found["x"].astype(np.float64), found["y"].astype(np.float64)
