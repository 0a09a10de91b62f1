"""Code blocks of the documentation's pages."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks_of(page, language):
    """Code blocks of one language on a page (path below the project's folder)."""
    fenced = rf"^```{language}\n(.*?)^```$"
    return re.findall(fenced, (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
