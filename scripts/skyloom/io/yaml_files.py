"""YAML files that people write: read strictly, and what is wrong is told with its line and column."""

import re
from pathlib import Path
from typing import NamedTuple

import yaml

from skyloom.core.errors import ConfigError

# yaml.safe_load takes the slow parser written in Python.
SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
KEYS = "keys with values, such as 'survey: name'"
ONCE = "each key once in its section"
# Values that PyYAML recognises by their form and can then fail to make.
MADE_BY_FORM = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp"))
# What the parser says -> what was found and what would be right, in the words of people who write surveys.
PLAIN_WORDS = {
    "mapping values are not allowed": (
        "a second ': ' in one line, or a line indented more than its section",
        "quotes around a value that holds ': ', and the same indentation for all keys of a section",
    ),
    "could not find expected ':'": ("a line without ': '", KEYS),
    "expected ',' or": ("a bracket that is not closed", "a list as [r, i], a mapping as {ra: 10.5, dec: -3}"),
    "expected node content": ("a bracket that is not closed, or two commas", "a list as [r, i]"),
    "did not find expected key": (
        "text behind a value that has ended, or a line indented otherwise than its section",
        "quotes around a value that begins with a bracket, and the same indentation for all keys of a section",
    ),
    "alphabetic or numeric": ("a value that begins with '*' or '&'", "quotes around the value"),
    "undefined alias": ("'*' in front of a name that no '&' defines", "quotes around the value"),
    "found another document": ("a second document behind '---'", "one document in a file"),
    "could not determine a constructor": (
        "a tag '!', which makes an object",
        "numbers, text, lists, mappings",
    ),
    "unexpected end of stream": ("a quote that is not closed", "a quote at both ends of the value"),
    "unknown escape character": ("a backslash in double quotes", "single quotes around the value"),
    "unhashable": ("a list or a mapping in the place of a key", "a name in front of the ':'"),
    "cannot start any token": ("a value that begins with a reserved sign", "quotes around the value"),
}
# Where these words stand, the fault is where the parser began, not where it gave up.
BEGUN_EARLIER = ("flow", "quoted", "simple key")


class YamlFault(NamedTuple):
    """One thing that is wrong with the text of a YAML file.

    Attributes
    ----------
    line, column : int
        Where, counted from 1.
    found, allowed : str
        What stands there, and what would be right.
    """

    line: int
    column: int
    found: str
    allowed: str

    @property
    def place(self):
        """Line and column in words (str)."""
        return f"line {self.line}, column {self.column}"


class YamlFileError(ConfigError):
    """A YAML file cannot be read, or says a thing twice.

    Parameters
    ----------
    path : str or Path
        The file.
    faults : sequence of YamlFault
        All that was found.
    """

    def __init__(self, path, faults):
        super().__init__(
            "\n".join(f"{path}: {fault.place}: {fault.found}; allowed: {fault.allowed}" for fault in faults)
        )
        self.path, self.faults = str(path), tuple(faults)


def load_yaml(path):
    """Return the content of a YAML file.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    YamlFileError
        If it is no YAML in UTF-8 with keys at its top, or holds a key twice.
    """
    content, faults = parse_yaml(path)
    if faults:
        raise YamlFileError(path, faults)
    return content


def parse_yaml(path):
    """Read a YAML file and find what is wrong with its text.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    content : dict
        What it says, of a key that stands twice the last; empty when it cannot be read.
    faults : list of YamlFault
        None for a good file.
    """
    data = Path(path).read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return {}, [_encoding_fault(data, error)]
    if control := CONTROL.search(text):
        place = _place(text, control.start())
        return {}, [YamlFault(*place, f"the control character {control[0]!r}", "text without it")]
    loader = SafeLoader(text)
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            return {}, [_no_keys_fault(root)]
        nodes = list(_nodes(root, set()))
        if unmade := [fault for node in nodes for fault in _value_faults(loader, node)]:
            return {}, unmade
        # Before the document is made: that puts merged keys (<<) beside those that override them.
        double = [fault for node in nodes for fault in _double_keys(node)]
        return loader.construct_document(root), double
    except yaml.MarkedYAMLError as error:
        return {}, [_syntax_fault(text, error)]
    finally:
        loader.dispose()


def _encoding_fault(data, error):
    """Fault of bytes that are no UTF-8."""
    good = data[: error.start].decode("utf-8")
    found = f"the byte 0x{data[error.start]:02x}, which is no UTF-8"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        found = "text in UTF-16"
    return YamlFault(*_place(good, len(good)), found, "text in UTF-8: save the file in this encoding")


def _no_keys_fault(node):
    """Fault of a document that is no mapping."""
    if node is None:
        return YamlFault(1, 1, "the file is empty", KEYS)
    found = "a list" if isinstance(node, yaml.SequenceNode) else f"only the text {node.value[:40]!r}"
    mark = node.start_mark
    return YamlFault(mark.line + 1, mark.column + 1, f"{found} at the top of the file", KEYS)


def _syntax_fault(text, error):
    """Fault of an error of the parser, at the place where it began."""
    mark = error.problem_mark or error.context_mark
    line = "".join(text.splitlines()[mark.line : mark.line + 1])
    indentation = line[: len(line) - len(line.lstrip())]
    if "\t" in indentation:
        return YamlFault(mark.line + 1, indentation.index("\t") + 1, "indentation by a tab", "spaces")
    said = f"{error.context or ''} {error.problem}"
    found, allowed = next(
        (words for part, words in PLAIN_WORDS.items() if part in said), (error.problem, "YAML")
    )
    if any(word in said for word in BEGUN_EARLIER):
        mark = error.context_mark or mark
    return YamlFault(mark.line + 1, mark.column + 1, found, allowed)


def _nodes(node, seen):
    """Yield a node and all below it, each once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield node
    if isinstance(node, yaml.CollectionNode):
        for item in node.value:
            for part in item if isinstance(item, tuple) else (item,):
                yield from _nodes(part, seen)


def _value_faults(loader, node):
    """Yield the fault of a value that looks like a number or a date and is none."""
    if node.tag not in MADE_BY_FORM:
        return
    try:
        loader.construct_object(node)
    except ValueError as error:
        mark = node.start_mark
        found = f"{node.value} looks like a number or a date and is none ({error})"
        yield YamlFault(mark.line + 1, mark.column + 1, found, "quotes around text")


def _double_keys(node):
    """Yield a fault for each key of a mapping that stands there already."""
    if not isinstance(node, yaml.MappingNode):
        return
    lines = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        name, line, column = (key.tag, key.value), key.start_mark.line + 1, key.start_mark.column + 1
        if name in lines:
            yield YamlFault(line, column, f"key {key.value} stands already in line {lines[name]}", ONCE)
        lines.setdefault(name, line)


def _place(text, position):
    """Line and column of a position in a text, from 1."""
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
