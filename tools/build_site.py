"""Builds the documentation's site in build/site from docs/, CONTRIBUTING.md and CHANGELOG.md; a warning is an error.

Usage: python tools/build_site.py (in the clone, after `make demo`). The pages are copied to build/pages first, so that
the pictures can be drawn anew from the demo's products and nothing in the clone changes. The notebooks of
docs/tutorials and the Python of the other pages run on the same products.
"""

import os
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx_build

from documentation_figures import FIGURES, draw_figures
from page_blocks import run_pages

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "build" / "pages"
BLOCKS = ROOT / "build" / "blocks"
SITE = ROOT / "build" / "site"
ROOT_PAGES = ("CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "README.md")
"""Files beside docs/ that its pages include or link."""


def main():
    """Build the site and return Sphinx's exit code."""
    os.chdir(ROOT)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tools"), str(ROOT / "scripts")])
    for folder in (PAGES, BLOCKS):
        shutil.rmtree(folder, ignore_errors=True)
    for page in run_pages(ROOT, ROOT / "results", BLOCKS):
        sys.stdout.write(f"ran the Python of {page}\n")
    shutil.copytree(ROOT / "docs", PAGES / "docs")
    for name in ROOT_PAGES:
        shutil.copy2(ROOT / name, PAGES / name)
    draw_figures(Path("results"), FIGURES, PAGES / "docs" / "figures")
    code = sphinx_build(["-W", "--keep-going", "-E", "-b", "html", str(PAGES / "docs"), str(SITE)])
    if code == 0:
        sys.stdout.write(f"open {(SITE / 'index.html').relative_to(ROOT)}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
