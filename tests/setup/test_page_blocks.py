"""The Python of the pages, which `make site` runs on the demo's products: here, that a block which fails is named."""

from pathlib import Path

import pytest
from documentation import ROOT

from page_blocks import PROMPT_PAGE, PageBlockError, pages_with_python, python_of, run_pages

PAGE = """# A page

```python
from pathlib import Path

text = Path("results/product.txt").read_text()
```

1. In a list:

   ```python
   if text != "good":
       raise ValueError(f"{text} news")
   if __name__ == "__main__":
       start(snakemake)
   ```

```text
not Python
```
"""


@pytest.fixture
def project(tmp_path):
    """Folder of a project whose README has Python that reads a product."""
    root = tmp_path / "project"
    for name in ("docs", "config", "results"):
        (root / name).mkdir(parents=True)
    (root / "README.md").write_text(PAGE, encoding="utf-8")
    return root


def test_the_blocks_of_a_page_are_one_program_on_the_page_s_lines():
    lines = python_of(PAGE).split("\n")

    assert lines[3] == PAGE.split("\n")[3] == "from pathlib import Path"
    assert lines[12] == '    raise ValueError(f"{text} news")'
    assert "not Python" not in lines


def test_a_block_runs_on_the_products(project):
    (project / "results/product.txt").write_text("good")

    assert run_pages(project, project / "results", project / "build/blocks") == [Path("README.md")]


def test_a_block_that_fails_is_named_by_page_and_line(project):
    (project / "results/product.txt").write_text("bad")

    with pytest.raises(PageBlockError, match=r"README.md: (?s:.*)line 13(?s:.*)bad news"):
        run_pages(project, project / "results", project / "build/blocks")


def test_a_warning_fails(project):
    (project / "docs/old.md").write_text("```python\nimport warnings\nwarnings.warn('old')\n```\n")
    (project / "results/product.txt").write_text("good")

    with pytest.raises(PageBlockError, match=r"docs/old.md: (?s:.*)UserWarning: old"):
        run_pages(project, project / "results", project / "build/blocks")


def test_no_block_of_the_pages_is_left_out():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    with_block = {path.relative_to(ROOT) for path in pages if "```python" in path.read_text(encoding="utf-8")}

    assert set(pages_with_python()) == with_block
    assert PROMPT_PAGE in with_block
