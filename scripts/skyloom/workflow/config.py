"""The configuration: one schema joined from its fragments, all problems found at once, defaults filled in."""

import copy
import difflib
from dataclasses import dataclass
from pathlib import Path

from skyloom.core.errors import ConfigError
from skyloom.io.yaml_files import load_yaml

TOP_LEVEL = "top_level"
# Sections of several fragments: ``calibrate_psf.yaml`` is the schema of key ``calibrate.psf``.
SPLIT_SECTIONS = ("calibrate",)
# A survey without this section defines no rule of it; all other sections are there with their defaults.
OPTIONAL_SECTIONS = frozenset({"simulate"})
COMMAND_LINE = "--config"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a configuration or in a table.

    Attributes
    ----------
    file : str
        Where it stands.
    key : str
        Which key, or which line of a table.
    found : str
        What was found.
    allowed : str
        What is needed instead.
    nearest : str
        The most similar valid key or value; empty when none is similar.
    """

    file: str
    key: str
    found: str
    allowed: str
    nearest: str = ""

    def __str__(self):
        hint = f"; nearest: {self.nearest}" if self.nearest else ""
        return f"{self.file}: {self.key}: {self.found}; allowed: {self.allowed}{hint}"


# Problems that a message tells one by one: a survey without its disk lacks thousands of files.
MOST_TOLD = 20


class InvalidConfigurationError(ConfigError):
    """A configuration or its tables have problems.

    Parameters
    ----------
    problems : sequence of Problem
        All of them.
    """

    def __init__(self, problems):
        lines = [f"  {number}. {problem}" for number, problem in enumerate(problems[:MOST_TOLD], start=1)]
        if len(problems) > MOST_TOLD:
            lines.append(f"  and {len(problems) - MOST_TOLD} more")
        noun = "problem" if len(problems) == 1 else "problems"
        super().__init__(
            "\n".join([f"{len(problems)} {noun} in the configuration, no job was started:", *lines])
        )
        self.problems = tuple(problems)


def nearest_name(name, names):
    """Return the most similar of some names, or an empty string (str).

    Parameters
    ----------
    name : str or other scalar
        What was given.
    names : iterable of str
        What there is.
    """
    matches = difflib.get_close_matches(str(name), [str(n) for n in names], n=1, cutoff=0.5)
    return matches[0] if matches else ""


def text_problems(file, faults):
    """Return what is wrong with the text of a YAML file (list of Problem).

    Parameters
    ----------
    file : str or Path
        The file.
    faults : sequence of YamlFault
        From `skyloom.io.yaml_files.parse_yaml`.
    """
    return [Problem(str(file), fault.place, fault.found, fault.allowed) for fault in faults]


def load_schema(folder):
    """Join the fragments of a folder to the schema of a whole configuration.

    Parameters
    ----------
    folder : str or Path
        Holds ``top_level.yaml``, whose properties are keys of the configuration itself, one
        ``<section>.yaml`` a section, and ``<section>_<part>.yaml`` for the parts of `SPLIT_SECTIONS`.

    Returns
    -------
    dict
        JSON schema of the configuration; unknown keys are refused on every level.
    """
    schema = {"type": "object", "additionalProperties": False, "properties": {}, "required": []}
    for path in sorted(Path(folder).glob("*.yaml"), key=lambda path: (path.stem != TOP_LEVEL, path.stem)):
        fragment = load_yaml(path)
        section, _, part = path.stem.partition("_")
        if path.stem == TOP_LEVEL:
            schema["properties"].update(fragment["properties"])
            schema["required"] = list(fragment.get("required", []))
        elif part and section in SPLIT_SECTIONS:
            whole = schema["properties"].setdefault(section, _section_of_parts(section))
            whole["properties"][part] = fragment
        else:
            schema["properties"][path.stem] = fragment
    return schema


def _section_of_parts(section):
    """Schema of a section that only holds parts."""
    return {
        "type": "object",
        "additionalProperties": False,
        "description": f"Settings of the steps of stage {section}.",
        "properties": {},
    }


def fill_defaults(schema, value, *, is_top=True):
    """Return a configuration in which every key that was left out has its default.

    Parameters
    ----------
    schema : dict
        Schema of `value`.
    value : object
        Validated configuration, or a part of it; not changed.
    is_top : bool
        Whether `value` is the whole configuration, whose optional sections stay away when left out.

    Returns
    -------
    object
        A new object of the same form.
    """
    if isinstance(value, list):
        items = schema.get("items", {})
        return [fill_defaults(items, item, is_top=False) for item in value]
    if not isinstance(value, dict) or "properties" not in schema:
        return copy.deepcopy(value)
    filled = {}
    for key, part in schema["properties"].items():
        if key in value:
            filled[key] = fill_defaults(part, value[key], is_top=False)
        elif "default" in part:
            filled[key] = fill_defaults(part, part["default"], is_top=False)
        elif "properties" in part and not (is_top and key in OPTIONAL_SECTIONS):
            filled[key] = fill_defaults(part, {}, is_top=False)
    filled.update({key: copy.deepcopy(part) for key, part in value.items() if key not in filled})
    return filled


def schema_problems(schema, configuration, files):
    """Find everything in which a configuration departs from its schema.

    Parameters
    ----------
    schema : dict
        From `load_schema`.
    configuration : dict
        As given, without defaults.
    files : sequence of (str, dict)
        Name and content of each file that was merged, in order; names the file in a problem.

    Returns
    -------
    list of Problem
        Sorted by key.
    """
    from jsonschema import Draft202012Validator

    problems = []
    for error in Draft202012Validator(schema).iter_errors(configuration):
        for leaf in _leaves(error):
            problems.extend(_problems_of(leaf, schema, files))
    return sorted(problems, key=lambda problem: problem.key)


def _leaves(error):
    """Errors that a combined error (anyOf, oneOf) is made of; itself when it is simple."""
    if error.validator in ("anyOf", "oneOf") and error.context:
        depth = max(len(part.absolute_path) for part in error.context)
        return [part for part in error.context if len(part.absolute_path) == depth][:1]
    return [error]


def _problems_of(error, schema, files):
    """Problems of one error of jsonschema."""
    path = [str(part) for part in error.absolute_path]
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        return [
            _unknown_key([*path, key], known, schema, files) for key in error.instance if key not in known
        ]
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return [
            Problem(
                file_of(path, files),
                ".".join([*path, key]),
                "is missing",
                describe(error.schema["properties"][key]),
            )
            for key in missing[:1]
            if f"'{key}'" in error.message or len(missing) == 1
        ]
    found = f"is {error.instance!r}"
    enumeration = error.schema.get("enum")
    nearest = nearest_name(error.instance, enumeration) if enumeration else ""
    return [Problem(file_of(path, files), ".".join(path), found, describe(error.schema), nearest)]


def _unknown_key(path, known, schema, files):
    """Problem of a key that the schema does not have; the nearest is sought beside it, then everywhere."""
    parent = path[:-1]
    nearest = nearest_name(path[-1], known)
    if nearest:
        nearest = ".".join([*parent, nearest])
    else:
        everywhere = dict(_all_keys(schema, ()))
        match = nearest_name(path[-1], everywhere)
        nearest = everywhere.get(match, "")
    return Problem(file_of(path, files), ".".join(path), "is no key of the schema", ", ".join(known), nearest)


def _all_keys(schema, prefix):
    """Last name and full name of every key below a schema."""
    for key, part in schema.get("properties", {}).items():
        yield key, ".".join([*prefix, key])
        yield from _all_keys(part, (*prefix, key))


def describe(schema):
    """Return in words what a schema allows (str).

    Parameters
    ----------
    schema : dict
        JSON schema of one key.
    """
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    kinds = schema.get("type", "any")
    words = [kinds if isinstance(kinds, str) else " or ".join(kinds)]
    limits = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    words += [f"{sign} {schema[key]}" for key, sign in limits.items() if key in schema]
    if "minItems" in schema:
        words.append(f"of at least {schema['minItems']} items")
    if "pattern" in schema:
        words.append(f"matching {schema['pattern']}")
    if schema.get("unit"):
        words.append(f"[{schema['unit']}]")
    return " ".join(words)


def file_of(path, files):
    """Name the last file that sets a key.

    Parameters
    ----------
    path : sequence of str
        The key, level by level; numbers of list items as text.
    files : sequence of (str, dict)
        Name and content of each merged file, in order.

    Returns
    -------
    str
        The file's name; for a key that stands in none the command line, unless it lacks altogether, when
        the last file is named.
    """
    for name, content in reversed(list(files)):
        if _holds(content, path):
            return name
    names = [name for name, _ in files]
    return names[-1] if names else COMMAND_LINE


def _holds(content, path):
    """Whether a nested configuration has a key."""
    for part in path:
        if isinstance(content, dict) and part in content:
            content = content[part]
        elif isinstance(content, list) and part.isdigit() and int(part) < len(content):
            content = content[int(part)]
        else:
            return False
    return True
