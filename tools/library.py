"""What tools/ asks of the library as a whole: all its modules."""

import pkgutil
from importlib import import_module

import skyloom


def all_modules():
    """Every module of the library, imported (list of module, by name)."""
    found = pkgutil.walk_packages(skyloom.__path__, "skyloom.")
    return [import_module(name) for name in sorted(module.name for module in found)]


def subclasses_of(base):
    """Classes of the library below a class, nearest first; those of tests and tools are left out (list of type)."""
    all_modules()
    found = []
    for child in base.__subclasses__():
        found += [child, *subclasses_of(child)]
    return [one for one in dict.fromkeys(found) if one.__module__.startswith("skyloom.")]
