"""Skyloom: raw survey images to calibrated images, coadds, difference images and catalogues."""

from importlib import import_module

__version__ = "0.1.0"

# What people call, loaded when they do. Scripts import modules by name, and must not depend on more than they use.
_PUBLIC = {name: "skyloom.commands.archive" for name in ("open_product", "cutout", "light_curve")}


def __getattr__(name):
    """Load a public function on its first use."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
