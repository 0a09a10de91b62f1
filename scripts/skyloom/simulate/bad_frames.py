"""Frames that are bad on purpose, so that a survey shows what a failure does."""

import os

import numpy as np

TRUNCATED, NAN, ZEROS, SHAPE, EMPTY, WRONG_SKY = "truncated", "nan", "zeros", "shape", "empty", "wrong_sky"
KEPT_FRACTION = 0.6
"""Of a truncated file's bytes."""
WRONG_SKY_OFFSET = 1.0
"""Degrees of declination by which a frame of the wrong sky is off."""


def bad_kind(bad_frames, visit, detector):
    """How a frame is bad.

    Parameters
    ----------
    bad_frames : sequence of dict
        Setting `simulate.bad_frames`: `visit`, `detector`, `kind`.
    visit, detector : int
        The frame.

    Returns
    -------
    str
        Its kind; empty for a good frame.
    """
    kinds = [bad["kind"] for bad in bad_frames if (bad["visit"], bad["detector"]) == (visit, detector)]
    return kinds[0] if kinds else ""


def spoil_planes(planes, kind):
    """Planes of a frame that is bad in its pixels.

    Parameters
    ----------
    planes : dict of str to ndarray, shape (ny, nx), uint16
        Good planes.
    kind : str
        `nan`, `zeros` and `shape` (a quarter of the rows missing) change the planes; other kinds do not.

    Returns
    -------
    dict of str to ndarray
        uint16, or float32 for `nan`.
    """
    if kind == NAN:
        return {name: np.full(plane.shape, np.nan, np.float32) for name, plane in planes.items()}
    if kind == ZEROS:
        return {name: np.zeros_like(plane) for name, plane in planes.items()}
    if kind == SHAPE:
        return {name: plane[: plane.shape[0] * 3 // 4] for name, plane in planes.items()}
    return planes


def truncate_file(path):
    """Cut a file off, as a broken transfer does.

    Parameters
    ----------
    path : str or Path
        The file; `KEPT_FRACTION` of its bytes stay.
    """
    os.truncate(path, int(os.path.getsize(path) * KEPT_FRACTION))
