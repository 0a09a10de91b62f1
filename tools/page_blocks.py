"""Runs the Python of the documentation's pages on the demo's products: each page's blocks in order, as one program."""

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCED = re.compile(r"^( *)```python\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
COMMANDS = re.compile(r"^```bash\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PROMPT_PAGE = Path("docs/prompt.md")
"""Its Python reads what its first command makes."""


class PageBlockError(Exception):
    """The Python of a page, or the command before it, fails.

    Parameters
    ----------
    page : Path
        The page, below the project's folder.
    said : str
        What it said.
    """

    def __init__(self, page, said):
        super().__init__(f"{page}: {said[-4000:]}")
        self.page, self.said = page, said


def python_of(text):
    """Program of a page: its blocks of Python on the lines where they stand, so that an error names the page's line.

    Parameters
    ----------
    text : str
        The page.

    Returns
    -------
    str
        Empty without a block.
    """
    program, n_line = "", 0
    for block in FENCED.finditer(text):
        first = text.count("\n", 0, block.start(2))
        program += "\n" * (first - n_line) + textwrap.dedent(block[2])
        n_line = program.count("\n")
    return program


def pages_with_python(root=ROOT):
    """Pages with blocks of Python; the tutorials are notebooks and run as such.

    Parameters
    ----------
    root : Path
        The project's folder.

    Returns
    -------
    list of Path
        Below the project's folder.
    """
    pages = [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]
    return [page.relative_to(root) for page in pages if python_of(page.read_text(encoding="utf-8"))]


def run_pages(root, products, folder):
    """Run the Python of every page; warnings are errors.

    Parameters
    ----------
    root : Path
        The project's folder.
    products : Path
        Output root of the demo.
    folder : Path
        Where the programs run; made. They find the products as ``results``.

    Returns
    -------
    list of Path
        The pages.

    Raises
    ------
    PageBlockError
        If a block fails.
    """
    folder.mkdir(parents=True)
    for name, target in (("results", products), ("config", root / "config")):
        (folder / name).symlink_to(target.resolve())
    pages = pages_with_python(root)
    for page in pages:
        text = (root / page).read_text(encoding="utf-8")
        if page == PROMPT_PAGE:
            _, *words = shlex.split(COMMANDS.search(text)[1])
            _run(
                page,
                [sys.executable, "-m", "snakemake", "-s", root / "Snakefile", "--cores", "2", *words],
                folder,
            )
        program = folder / page.with_suffix(".py").name
        program.write_text(python_of(text), encoding="utf-8")
        # As a module that is imported: a script's last lines are for Snakemake.
        start = f"import runpy; runpy.run_path({str(program)!r})"
        _run(page, [sys.executable, "-W", "error", "-c", start], folder)
    return pages


def _run(page, command, folder):
    """Run a command; what it says when it fails is raised."""
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PageBlockError(page, done.stdout + done.stderr)
