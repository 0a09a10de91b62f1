"""Every public function of the library tells its parameters and what it returns."""

import ast
import re
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2]
LIBRARY = HOME / "scripts" / "skyloom"
# The public methods of this one are those of a Numba class.
NUMBA_INTERFACE = LIBRARY / "core" / "jit.py"
FILES = sorted(set(LIBRARY.rglob("*.py")) - {NUMBA_INTERFACE})


def public_functions(body):
    """Functions and methods of a module or class that others may call, properties apart."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body)
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            decorators = {
                decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)
            }
            if "property" not in decorators:
                yield node


def section(docstring, name):
    """Lines below a heading of a docstring, or None without it."""
    found = re.search(rf"^{name}\n-+\n(.*?)(?=\n\n\S+\n-+\n|\Z)", docstring, re.MULTILINE | re.DOTALL)
    return found and found[1]


def documented(docstring):
    """Names that the section Parameters describes, without their stars."""
    lines = (section(docstring, "Parameters") or "").splitlines()
    heads = (line.partition(" :")[0] for line in lines if line and not line.startswith(" "))
    return {name.strip(" *") for head in heads for name in head.split(",")}


def own_statements(function):
    """Nodes of a function without those of the functions inside it."""
    for node in ast.iter_child_nodes(function):
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            yield node
            yield from own_statements(node)


def problems(function):
    """What a function's docstring leaves out."""
    docstring = ast.get_docstring(function)
    given = [*ast.walk(function.args)]
    names = {node.arg for node in given if isinstance(node, ast.arg)} - {"self", "cls"}
    missing = sorted(names - documented(docstring))
    if missing:
        yield f"{function.name}: no parameter {', '.join(missing)}"
    unknown = sorted(documented(docstring) - names)
    if unknown:
        yield f"{function.name}: describes {', '.join(unknown)}, which it does not take"
    has_value = any(isinstance(n, ast.Return) and n.value is not None for n in own_statements(function))
    # The first line says what comes out; with the type in it, "Return the path of one product (str).", that is all.
    says_it = not names or section(docstring, "Returns") or "(" in docstring.split("\n\n")[0]
    if has_value and not (says_it or section(docstring, "Yields")):
        yield f"{function.name}: does not say what it returns"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(LIBRARY)))
def test_public_functions_tell_their_parameters_and_what_they_return(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [problem for function in public_functions(tree.body) for problem in problems(function)]
    assert not found, "\n".join(found)


def test_a_forgotten_and_a_stale_parameter_are_seen():
    text = '"""Sum.\n\nParameters\n----------\nx, gone : int\n    Two.\n"""'
    (function,) = ast.parse(f"def add(x, y):\n    {text}\n    return x + y").body
    assert list(problems(function)) == [
        "add: no parameter y",
        "add: describes gone, which it does not take",
        "add: does not say what it returns",
    ]
