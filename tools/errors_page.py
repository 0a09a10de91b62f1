"""Writes docs/errors.md: a section for each named error, whose anchor is what a printed error links to."""

import ast
import inspect
import re
from functools import cache
from pathlib import Path

from library import all_modules, subclasses_of
from skyloom.core.errors import ERRORS_PAGE, ConfigError, DataError, SkyloomError, UpstreamFailure

ROOT = Path(__file__).parents[1]
PAGE = ROOT / ERRORS_PAGE
FAMILIES = {
    DataError: "Only this exposure: its products become tombstones, and the survey goes on.",
    ConfigError: "Before any job: the configuration, a table, a camera file or a command line is wrong.",
    SkyloomError: "The job or command fails: neither one exposure nor the configuration is to blame.",
}
HEAD = """# Troubleshooting by message

Each error that Skyloom raises on purpose has a name, and what it prints ends with a link to its section here. Words in
braces are what the message fills in: what was found, what is needed, what to look at. Where the reason stands in a
tombstone or the visit summary, `skyloom show FILE` prints the whole message. This page is made from the code by
`make docs`; [how to read the end of a run](how-to/failures.md) leads through an example.
"""


def errors_page():
    """The page (str): families first, then a section for each error, by name."""
    errors = named_errors()
    lines = [HEAD, "| what happens | errors |", "| --- | --- |"]
    for family, meaning in FAMILIES.items():
        names = [f"[{name_of(error)}](#{anchor_of(error)})" for error in errors if family_of(error) is family]
        lines.append(f"| {meaning} | {', '.join(names)} |")
    for error in errors:
        lines += ["", *section_of(error)]
    return "\n".join(lines) + "\n"


def named_errors():
    """All classes of named errors, by the names that people see (list of type); it is no error to see the base's."""
    errors = [error for error in subclasses_of(SkyloomError) if error is not UpstreamFailure]
    return sorted([SkyloomError, *errors], key=name_of)


def family_of(error):
    """Which family of `FAMILIES` an error is of."""
    return next(family for family in FAMILIES if issubclass(error, family))


def name_of(error):
    """The reason that people see."""
    return error.__name__.removesuffix("Error")


def anchor_of(error):
    """Anchor of an error's section."""
    return name_of(error).lower()


def section_of(error):
    """Lines of one section: what it means, its message, what it does to the run, where it comes from."""
    summary, *more = inspect.cleandoc(error.__doc__).partition("\nParameters\n")[0].split("\n\n")
    more = [text for text in more if not re.match(r"Attributes\n-", text)]
    lines = [f"## {name_of(error)}", "", plain(summary)]
    for paragraph in more:
        lines += ["", plain(paragraph)]
    if message := message_of(error):
        lines += ["", "> " + message]
    raised = sorted(raisers().get(error.__name__, []))
    where = ", ".join(f"`{name}`" for name in raised) or "its subclasses"
    consequence = FAMILIES[family_of(error)]
    return [
        *lines,
        "",
        f"{consequence} Class `{error.__module__}.{error.__name__}`; raised by {where}.{page_of(error)}",
    ]


def plain(text):
    """A docstring's paragraph on one line, in Markdown."""
    return " ".join(text.replace("``", "`").split())


def message_of(error):
    """What the class hands to its base as the message, with braces for what varies; empty when callers write it."""
    own = error.__dict__.get("__init__")
    if own is None:
        return ""
    tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(own)))
    for node in ast.walk(tree):
        is_call = isinstance(node, ast.Call) and ast.unparse(node.func) == "super().__init__"
        if is_call and node.args and (text := template_of(node.args[0])):
            return plain(text).replace("<", "&lt;")
    return ""


def template_of(node):
    """Text of a string in the source, with {expression} for what is filled in; empty for anything else."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.BinOp):
        return template_of(node.left) + template_of(node.right)
    if not isinstance(node, ast.JoinedStr):
        return ""
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else f"`{{{ast.unparse(part.value)}}}`"
        for part in node.values
    )


@cache
def raisers():
    """Which functions raise an error: name of its class -> full names of the functions (dict of str to set)."""
    found = {}
    for module in all_modules():
        tree = ast.parse(inspect.getsource(module))
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for name in errors_in(function):
                found.setdefault(name, set()).add(f"{module.__name__}.{function.name}")
    return found


def errors_in(function):
    """Names of the errors that a function makes, or raises without arguments (set of str)."""
    nodes = list(ast.walk(function))
    made = [node.func for node in nodes if isinstance(node, ast.Call)]
    made += [node.exc for node in nodes if isinstance(node, ast.Raise)]
    return {node.id for node in made if isinstance(node, ast.Name) and node.id.endswith("Error")}


def page_of(error):
    """Link to the page of the stage that an error belongs to, where there is one."""
    stage = error.__module__.split(".")[1]
    return f" See [{stage}](stages/{stage}.md)." if (ROOT / f"docs/stages/{stage}.md").is_file() else ""
