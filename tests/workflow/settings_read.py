"""Which settings the code of a script can read: strings in the functions that its `main` leads to."""

import ast
from contextlib import suppress
from functools import cache

from workflow_support import HOME

from skyloom.workflow.config import load_schema

SCRIPTS = HOME / "scripts"
SCHEMA = load_schema(HOME / "config" / "schema")
# Code that sees the whole configuration, which is no product's.
NOT_FOLLOWED = "skyloom.workflow"
# Sections that are read as a whole, or by the name of a band.
READ_WHOLE = (
    "reference.columns",
    "simulate.atmosphere.extinction",
    "simulate.atmosphere.sky_magnitude",
    "simulate.detector.fringing",
    "simulate.telescope.zero_point",
)


def leaves(schema=SCHEMA, path=()):
    """Names of all settings, levels joined by dots (list of str)."""
    if "properties" not in schema:
        return [".".join(path)]
    return [name for key, part in schema["properties"].items() for name in leaves(part, (*path, key))]


def value_at(settings, name):
    """Value of a setting in nested dictionaries; a KeyError where there is none."""
    for key in name.split("."):
        settings = settings[key]
    return settings


def leaves_of(settings):
    """Names of all settings that nested dictionaries hold (set of str)."""
    found = set()
    for name in leaves():
        with suppress(KeyError):
            value_at(settings, name)
            found.add(name)
    return found


class Module:
    """Definitions and imports of one source file."""

    def __init__(self, path):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        self.definitions, self.imports = {}, {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                self.imports.update({a.asname or a.name: (node.module, a.name) for a in node.names})
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self.definitions[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                self.definitions.update({name: node for name in _names_set_by(node)})


@cache
def module_of(name):
    """Module of the library; None for a name that is no module of it."""
    base = SCRIPTS.joinpath(*name.split("."))
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    is_followed = name.startswith("skyloom") and not name.startswith(NOT_FOLLOWED)
    return Module(path) if is_followed and path.is_file() else None


def _names_set_by(node):
    """Names that a statement, or a function within, gives values to."""
    parts = list(ast.walk(node))
    names = {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return names | {part.arg for part in parts if isinstance(part, ast.arg)}


def strings_reached(script):
    """Every string in the code that a script's `main` leads to, directly or not (set of str)."""
    modules = {script: Module(SCRIPTS / f"{script}.py")}
    waiting, seen, strings = [(script, "main")], set(), set()
    while waiting:
        place = waiting.pop()
        module = modules.get(place[0]) or module_of(place[0])
        if place in seen or module is None:
            continue
        seen.add(place)
        name = place[1]
        if name in module.definitions:
            found, used = _contents(module.definitions[name])
            strings |= found
            waiting += [_resolve(place[0], module, part) for part in used]
        elif name in module.imports:
            waiting.append(module.imports[name])
    return strings


def _contents(node):
    """Strings of a definition, and names (str) and attributes (name, attribute) of others that it uses."""
    is_function = isinstance(node, ast.FunctionDef)
    own = _names_set_by(node) if is_function else set()
    strings, used = set(), []
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            strings.add(part.value)
        elif isinstance(part, ast.Name) and part.id not in own:
            used.append(part.id)
        elif (
            isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id not in own
        ):
            used.append((part.value.id, part.attr))
    return strings, used


def _resolve(name, module, used):
    """Place (module, name) of what a definition uses."""
    if isinstance(used, str):
        return name, used
    source, imported = module.imports.get(used[0], ("", ""))
    return f"{source}.{imported}", used[1]


def settings_read(script):
    """Settings that a script's code can read (set of str).

    A setting counts when its section stands as a string in the script, and each further level of its name in
    the code that the script leads to.
    """
    sections, strings = _strings_of_script(script), strings_reached(script)
    found = set()
    for leaf in leaves():
        name = next((whole for whole in READ_WHOLE if leaf.startswith(f"{whole}.")), leaf)
        section, *levels = name.split(".")
        if section in sections and strings.issuperset(levels):
            found.add(leaf)
    return found


def _strings_of_script(script):
    """Strings that stand in a script itself (set of str)."""
    tree = ast.parse((SCRIPTS / f"{script}.py").read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def parameters_read(script):
    """Names of the params that a script asks for (set of str)."""
    tree = ast.parse((SCRIPTS / f"{script}.py").read_text(encoding="utf-8"))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "params"
    }
