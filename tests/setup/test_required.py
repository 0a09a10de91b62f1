"""In CI a test that skips for want of real data, Slurm or the like is a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
TESTS = """
import pytest

@pytest.mark.realdata
def test_of_real_frames(realdata):
    assert realdata.name == "frames"

def test_of_another_thing():
    pytest.skip("no reason to be here")
"""


@pytest.mark.parametrize(
    ("environment", "outcome"),
    [
        ({}, "2 skipped"),
        ({"SKYLOOM_REQUIRE": "realdata,slurm"}, "1 skipped, 1 error"),
        ({"SKYLOOM_REQUIRE": "realdata", "SKYLOOM_REALDATA": "some/frames"}, "1 passed, 1 skipped"),
    ],
)
def test_a_required_test_may_not_be_skipped(tmp_path, environment, outcome):
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_frames.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = realdata\n")
    others = {name: value for name, value in os.environ.items() if not name.startswith(("SKYLOOM", "PYTEST"))}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        env={**others, **environment},
        capture_output=True,
        text=True,
    )

    assert outcome in done.stdout
    if "error" in outcome:
        assert "SKYLOOM_REQUIRE=realdata: SKYLOOM_REALDATA is not set" in done.stdout
