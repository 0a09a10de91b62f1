"""Settings are plain nested dictionaries, complete because the schema has filled in every default."""

import hashlib
import json


def chosen_settings(settings, names, without=()):
    """Return a part of some settings, nested as they are.

    Parameters
    ----------
    settings : dict
        Settings with all defaults filled in.
    names : iterable of str
        Sections or keys with all that is below them; levels are joined by dots, such as ``isr.overscan``.
    without : iterable of str
        Sections or keys below those, to leave out.

    Returns
    -------
    dict
        New sections; what they hold is not copied.

    Raises
    ------
    KeyError
        If there is no such section or key: the rule asks for what the schema does not have, a bug.
    """
    chosen = {}
    for name in names:
        *sections, key = name.split(".")
        source, target = settings, chosen
        for section in sections:
            source, target = source[section], target.setdefault(section, {})
        target[key] = _new_sections(source[key])
    for name in without:
        *sections, key = name.split(".")
        target = chosen
        for section in sections:
            target = target[section]
        del target[key]
    return chosen


def _new_sections(value):
    """Settings whose sections are new dictionaries."""
    return {key: _new_sections(part) for key, part in value.items()} if isinstance(value, dict) else value


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
