"""Keys and values of a camera file, each refused by name when it cannot be used."""

import difflib

import numpy as np

from skyloom.core.errors import ConfigError


class CameraFileError(ConfigError):
    """A camera file contradicts itself or lacks something.

    Parameters
    ----------
    camera : str
        The camera's name.
    problem : str
        What is wrong, with the key.
    """

    def __init__(self, camera, problem):
        super().__init__(f"camera {camera}: {problem}")
        self.camera, self.problem = camera, problem


def check_mapping(camera, where, value):
    """Refuse a part of the file that has no keys.

    Parameters
    ----------
    camera, where : str
        The camera's name, and where the part stands; empty for the file as a whole.
    value : object
        The part.

    Raises
    ------
    CameraFileError
        If it is no mapping.
    """
    if not isinstance(value, dict):
        raise CameraFileError(camera, f"{where or 'the file'} is {value!r}, needs keys with values")


def check_keys(camera, where, entry, needed, allowed):
    """Refuse a part of the file that lacks a key or has an unknown one.

    Parameters
    ----------
    camera, where : str
        The camera's name, and where the part stands; empty for the file as a whole.
    entry : object
        The part.
    needed, allowed : sequence of str
        Keys that it must have, and may have.

    Raises
    ------
    CameraFileError
        If it is no mapping, a key is unknown, or one is missing.
    """
    check_mapping(camera, where, entry)
    prefix = f"{where}: " if where else ""
    for key in entry:
        if key not in allowed:
            close = difflib.get_close_matches(str(key), allowed, n=1, cutoff=0.5)
            nearest = f"; nearest: {close[0]}" if close else ""
            raise CameraFileError(
                camera, f"{prefix}unknown key {key!r}; allowed: {', '.join(allowed)}{nearest}"
            )
    missing = [key for key in needed if entry.get(key) is None]
    if missing:
        raise CameraFileError(camera, f"{prefix}keys {', '.join(missing)} are missing")


def number_at(camera, where, value):
    """Finite number (float) of a key.

    Parameters
    ----------
    camera, where : str
        The camera's name, and the key.
    value : object
        Its value.

    Raises
    ------
    CameraFileError
        If it is none.
    """
    try:
        number = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not np.isfinite(number):
        raise CameraFileError(camera, f"{where} is {value!r}, needs a number")
    return number


def numbers_at(camera, where, value, form):
    """Numbers (tuple of float) of a list.

    Parameters
    ----------
    camera, where : str
        The camera's name, and the key.
    value : object
        Its value.
    form : sequence of str
        Name of each number that the list must hold.

    Raises
    ------
    CameraFileError
        If it is no such list.
    """
    if not isinstance(value, (list, tuple)) or len(value) != len(form):
        raise CameraFileError(camera, f"{where} is {value!r}, needs [{', '.join(form)}]")
    return tuple(number_at(camera, where, number) for number in value)


def integers_at(camera, where, value, form):
    """Whole numbers from 0 (tuple of int) of a list.

    Parameters
    ----------
    camera, where : str
        The camera's name, and the key.
    value : object
        Its value.
    form : sequence of str
        Name of each number that the list must hold.

    Raises
    ------
    CameraFileError
        If it is no such list.
    """
    numbers = numbers_at(camera, where, value, form)
    if any(number != int(number) or number < 0 for number in numbers):
        raise CameraFileError(camera, f"{where} is {value!r}, needs whole numbers from 0")
    return tuple(int(number) for number in numbers)


def choices_at(camera, where, entry, allowed):
    """Mapping (dict of str to str) whose values are some of those allowed.

    Parameters
    ----------
    camera, where : str
        The camera's name, and the key.
    entry : dict or None
        Its value; None is an empty mapping.
    allowed : sequence of str
        What each value may be.

    Raises
    ------
    CameraFileError
        If it is no mapping, or a value is another.
    """
    entry = entry or {}
    check_mapping(camera, where, entry)
    for key, value in entry.items():
        if str(value) not in allowed:
            raise CameraFileError(camera, f"{where}: {key!r} is {value!r}, needs one of {', '.join(allowed)}")
    return {str(key): str(value) for key, value in entry.items()}


def extension_at(camera, where, value):
    """Name (str) or place (int) of a unit of a FITS file.

    Parameters
    ----------
    camera, where : str
        The camera's name, and the key.
    value : object
        Its value.

    Raises
    ------
    CameraFileError
        If it is neither.
    """
    is_place = type(value) is int and value >= 0
    if not is_place and not (isinstance(value, str) and value.strip()):
        raise CameraFileError(camera, f"{where} is {value!r}, needs a name, or a number from 0")
    return value
