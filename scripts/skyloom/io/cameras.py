"""Camera files."""

from skyloom.core.camera import camera_from_dict
from skyloom.io.yaml_files import load_yaml


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
    YamlFileError
        If the file is no YAML of keys and values.
    CameraFileError
        If it contradicts itself.
    """
    return camera_from_dict(load_yaml(path))
