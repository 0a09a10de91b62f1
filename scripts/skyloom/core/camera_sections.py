"""Sections of amplifiers that contradict each other or their detector."""

import numpy as np

from skyloom.core.camera_keys import CameraFileError


def check_sections(camera, where, shape, amplifier):
    """Raise unless an amplifier's sections fit each other and the detector.

    Parameters
    ----------
    camera, where : str
        The camera's name, and the amplifier's place in its file, for messages.
    shape : tuple of int
        (ny, nx) of the detector.
    amplifier : Amplifier
        With its sections.

    Raises
    ------
    CameraFileError
        If they do not.
    """
    x0, x1, y0, y1 = amplifier.detector_section
    a0, a1, b0, b1 = data = amplifier.data_section
    if (x1 - x0, y1 - y0) != (a1 - a0, b1 - b0):
        raise CameraFileError(camera, f"{where}: data and detector_section differ in size")
    if x1 > shape[1] or y1 > shape[0]:
        raise CameraFileError(
            camera, f"{where}: detector_section {[x0, x1, y0, y1]} leaves the detector of shape {list(shape)}"
        )
    serial, parallel = amplifier.overscan_section, amplifier.parallel_overscan_section
    if serial is not None and (serial[2] > b0 or serial[3] < b1):
        raise CameraFileError(
            camera,
            f"{where}: overscan_section {list(serial)} must cover the rows of data_section {list(data)}",
        )
    if parallel is not None and (parallel[0] > a0 or parallel[1] < a1):
        found = f"parallel_overscan_section {list(parallel)}"
        raise CameraFileError(camera, f"{where}: {found} must cover the columns of data_section {list(data)}")
    for key in ("overscan_section", "prescan_section", "parallel_overscan_section"):
        other = getattr(amplifier, key)
        if (
            other is not None
            and min(a1, other[1]) > max(a0, other[0])
            and min(b1, other[3]) > max(b0, other[2])
        ):
            raise CameraFileError(camera, f"{where}: {key} {list(other)} overlaps data_section {list(data)}")


def check_tiling(camera, number, shape, amplifiers):
    """Raise unless the detector sections tile the detector.

    Parameters
    ----------
    camera : str
        The camera's name.
    number : int
        The detector's.
    shape : tuple of int
        (ny, nx) of the detector.
    amplifiers : sequence of Amplifier
        With their sections.

    Raises
    ------
    CameraFileError
        If pixels belong to none or to several.
    """
    sections = [amplifier.detector_section for amplifier in amplifiers]
    x = np.unique([0, shape[1], *(edge for section in sections for edge in section[:2])])
    y = np.unique([0, shape[0], *(edge for section in sections for edge in section[2:])])
    # Pixels between two neighbouring edges are all alike.
    count = np.zeros((len(y) - 1, len(x) - 1), dtype=int)
    for x0, x1, y0, y1 in sections:
        count[
            np.searchsorted(y, y0) : np.searchsorted(y, y1), np.searchsorted(x, x0) : np.searchsorted(x, x1)
        ] += 1
    n_pixel = np.outer(np.diff(y), np.diff(x))
    if not count.size or not np.all(count == 1):
        tiled = n_pixel[count == 1].sum() / max(n_pixel.sum(), 1)
        raise CameraFileError(
            camera, f"detector {number}: detector_sections tile {tiled:.1%} of the pixels, need all"
        )
