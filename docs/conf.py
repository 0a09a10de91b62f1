"""Sphinx's configuration of the site; `make site` builds it from a copy of this folder."""

from sphinx.errors import ExtensionError

import skyloom

project = "Skyloom"
author = "The Skyloom developers"
release = skyloom.__version__
html_title = f"Skyloom {release}"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]

# The notebooks run on the demo's products, each time, and a failing cell fails the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
# Of a cell, so that none runs on for ever; of a whole notebook at the end of the build.
NOTEBOOK_SECONDS = nb_execution_timeout = 60

autodoc_typehints = "none"
napoleon_google_docstring = False
# A type such as "ndarray, shape (ny, nx)" is a phrase: its words are no references.
napoleon_use_param = False
napoleon_use_rtype = False
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_show_copyright = False
html_copy_source = False


def check_notebook_times(app, exception):
    """Fail the build when a notebook took more than a minute."""
    if exception is not None:
        return
    times = {
        name: data["exec_data"]["runtime"]
        for name, data in app.env.nb_metadata.items()
        if "exec_data" in data
    }
    slow = {name: f"{seconds:.0f} s" for name, seconds in times.items() if seconds > NOTEBOOK_SECONDS}
    if slow:
        raise ExtensionError(f"notebooks over {NOTEBOOK_SECONDS} s: {slow}")
    if not times:
        raise ExtensionError("no notebook was executed")


def setup(app):
    """Connect the check to the end of the build."""
    app.connect("build-finished", check_notebook_times)
