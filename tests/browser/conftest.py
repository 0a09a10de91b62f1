"""A browser for the tests of pages."""

import pytest
from headless import CHROMIUM, Browser


@pytest.fixture
def browser(tmp_path):
    """Chromium on a profile of its own; the test is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium on PATH (Debian, Ubuntu: apt install chromium)")
    made = Browser(tmp_path / "profile")
    yield made
    made.close()
