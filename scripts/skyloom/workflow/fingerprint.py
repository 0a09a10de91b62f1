"""A hash of what a rule's script does: its syntax tree and those of all that it imports from the library."""

import ast
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "skyloom"
CACHE_FILE = Path(".snakemake") / "skyloom" / "syntax_trees.json"
COMPILE_FUNCTION = "compile_kernels"
# Taken from a package whose `__init__` merely runs because one of its modules is imported.
ITSELF = "__name__"


@dataclass(frozen=True, slots=True)
class ParsedModule:
    """What one source file contributes.

    Attributes
    ----------
    digest : str
        Hash of its syntax tree; comments, docstrings and layout do not enter, nor do the imports and
        ``__all__`` of a package's ``__init__``, which are looked up name by name.
    imports : list of (str, str)
        Imported module and the name taken from it, empty for a whole module.
    exports : dict of str to (str, str)
        For a package's ``__init__``: where each name that it passes on comes from.
    has_kernels : bool
        Whether it has a function ``compile_kernels``.
    """

    digest: str
    imports: list
    exports: dict
    has_kernels: bool


class Fingerprints:
    """Hashes of all scripts of a folder.

    Parameters
    ----------
    scripts : str or Path
        Folder of the scripts, which holds the library too.
    cache : str or Path or None
        File that keeps what was parsed, under the hash of each source; None to keep nothing.
    """

    def __init__(self, scripts, cache=CACHE_FILE):
        self._scripts = Path(scripts)
        self._cache_file = None if cache is None else Path(cache)
        self._cache = self._read_cache()
        self._modules = {}
        self._is_cache_changed = False

    def rule(self, name):
        """Return the fingerprint of a rule's script.

        Parameters
        ----------
        name : str
            Name of the rule, and of the script.

        Returns
        -------
        str
            16 hexadecimal digits that change when the script, or any part of the library that it imports,
            directly or not, does something else.
        """
        script = self._parse(self._scripts / f"{name}.py", is_package=False)
        return self._combine(script.digest, self._closure(script.imports))

    def kernels(self):
        """Return the fingerprint of all modules with kernels and of what they import (str)."""
        names = self.kernel_modules()
        return self._combine("kernels", self._closure([(name, "") for name in names]))

    def kernel_modules(self):
        """Return the modules of the library that have a function ``compile_kernels`` (list of str, sorted)."""
        found = []
        for path in sorted((self._scripts / PACKAGE).rglob("*.py")):
            if self._parse(path, is_package=path.name == "__init__.py").has_kernels:
                parts = path.relative_to(self._scripts).with_suffix("").parts
                found.append(".".join(parts))
        return [name for name in found if not name.startswith(f"{PACKAGE}.workflow")]

    def modules_of(self, name):
        """Return the modules of the library that a rule's script depends on (list of str, sorted).

        Parameters
        ----------
        name : str
            Name of the rule, and of the script.
        """
        script = self._parse(self._scripts / f"{name}.py", is_package=False)
        return sorted(self._closure(script.imports))

    def save(self):
        """Write the cache when something new was parsed."""
        if self._cache_file is None or not self._is_cache_changed:
            return
        from tempfile import NamedTemporaryFile

        self._cache_file.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=self._cache_file.parent, delete=False, encoding="utf-8") as stream:
            json.dump(self._cache, stream)
        Path(stream.name).replace(self._cache_file)
        self._is_cache_changed = False

    def _combine(self, own, modules):
        """Hash of a script's own digest and those of its modules."""
        lines = [own, *(f"{name} {modules[name]}" for name in sorted(modules))]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def _closure(self, imports):
        """Digests of all library modules that imports lead to, by name."""
        found, waiting, seen = {}, list(imports), set()
        while waiting:
            module, name = waiting.pop()
            if (module, name) in seen or module.split(".")[0] != PACKAGE:
                continue
            seen.add((module, name))
            path, is_package = self._locate(module)
            if path is None:
                continue
            parsed = self._parse(path, is_package=is_package)
            found[module] = parsed.digest
            waiting.extend(self._parents(module))
            if not is_package:
                waiting.extend(parsed.imports)
            else:
                waiting.extend(self._through_package(module, name, parsed))
        return found

    def _through_package(self, module, name, parsed):
        """Imports that taking one name from a package leads to."""
        if name == ITSELF:
            return []
        if not name:
            return parsed.imports
        if name in parsed.exports:
            return [parsed.exports[name]]
        if self._locate(f"{module}.{name}")[0] is not None:
            return [(f"{module}.{name}", "")]
        return parsed.imports

    def _parents(self, module):
        """Packages whose ``__init__`` runs when a module is imported; only its own statements count."""
        parts = module.split(".")
        return [(".".join(parts[:n]), ITSELF) for n in range(1, len(parts))]

    def _locate(self, module):
        """Source file of a library module, and whether it is a package."""
        if module not in self._modules:
            base = self._scripts.joinpath(*module.split("."))
            package, plain = base / "__init__.py", base.with_suffix(".py")
            known = (
                (package, True) if package.is_file() else (plain, False) if plain.is_file() else (None, False)
            )
            self._modules[module] = known
        return self._modules[module]

    def _parse(self, path, *, is_package):
        """Parsed source file, from the cache when the same bytes were met before."""
        source = path.read_bytes()
        module = ".".join(path.relative_to(self._scripts).parts)
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        key = hashlib.sha256(f"{version} {module} ".encode() + source).hexdigest()
        if key not in self._cache:
            self._cache[key] = _parse_source(source, path, self._scripts, is_package=is_package)
            self._is_cache_changed = True
        digest, imports, exports, has_kernels = self._cache[key]
        return ParsedModule(
            digest, [tuple(i) for i in imports], {k: tuple(v) for k, v in exports.items()}, has_kernels
        )

    def _read_cache(self):
        """Content of the cache, empty when there is none."""
        if self._cache_file is None or not self._cache_file.is_file():
            return {}
        return json.loads(self._cache_file.read_text(encoding="utf-8"))


def _parse_source(source, path, scripts, *, is_package):
    """Digest, imports, exports and kernels of one source file, as JSON can hold them."""
    tree = ast.parse(source, filename=str(path))
    parts = path.relative_to(scripts).with_suffix("").parts
    package = ".".join(parts[:-1])
    imports, exports = [], {}
    for node in ast.walk(tree):
        for module, name, alias in _imported(node, package):
            imports.append([module, name])
            exports[alias] = [module, name]
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    if is_package:
        tree.body = [node for node in tree.body if not _only_passes_names_on(node)]
    _drop_docstrings(tree)
    digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:24]
    return [digest, imports, exports if is_package else {}, COMPILE_FUNCTION in names]


def _imported(node, package):
    """(module, name, alias) of what a statement imports; the name is empty for a whole module."""
    if isinstance(node, ast.Import):
        return [(alias.name, "", alias.asname or alias.name.split(".")[0]) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        if node.level:
            parts = package.split(".")
            parts = parts[: len(parts) - node.level + 1]
            module = ".".join([*parts, *([module] if module else [])])
        return [
            (module, alias.name if alias.name != "*" else "", alias.asname or alias.name)
            for alias in node.names
        ]
    return []


def _only_passes_names_on(node):
    """Whether a statement of an ``__init__`` is an import or ``__all__``."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def _drop_docstrings(tree):
    """Remove docstrings from a syntax tree, in place."""
    for node in ast.walk(tree):
        if (
            not isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            or not node.body
        ):
            continue
        first = node.body[0]
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            node.body = node.body[1:]
