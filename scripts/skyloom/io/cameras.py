"""Camera files."""

from pathlib import Path

import yaml

from skyloom.core.camera import camera_from_dict
from skyloom.core.camera_keys import CameraFileError


def read_camera(path):
    """Read a camera file.

    Parameters
    ----------
    path : str or Path
        YAML file; `skyloom.core.camera.camera_from_dict` says what it holds.

    Returns
    -------
    Camera
        The camera.

    Raises
    ------
    CameraFileError
        If the file is no mapping, or contradicts itself.
    """
    description = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(description, dict):
        raise CameraFileError(str(path), "the file holds no keys")
    return camera_from_dict(description)
