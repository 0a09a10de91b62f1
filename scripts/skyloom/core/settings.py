"""Settings are plain nested dictionaries, complete because the schema has filled in every default."""

import hashlib
import json


def section(settings, *names):
    """Return a nested section.

    Parameters
    ----------
    settings : dict
        Settings with all defaults filled in.
    *names : str
        Path of keys.

    Returns
    -------
    dict or scalar
        What stands there.

    Raises
    ------
    KeyError
        If the path is not there: the rule did not pass what its script needs, a bug.
    """
    for name in names:
        settings = settings[name]
    return settings


def settings_hash(settings):
    """Return a short hash of settings, independent of the order of keys.

    Parameters
    ----------
    settings : dict
        JSON-like settings.

    Returns
    -------
    str
        First 16 hexadecimal digits of the SHA-256 of the canonical JSON text.
    """
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
