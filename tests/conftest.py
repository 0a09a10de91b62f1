"""What all tests share: where the real frames are, a browser, and which tests must not be skipped."""

import os
from pathlib import Path

import pytest

# Resources that Snakemake leaves to the garbage collector are as silent as Python has them by default.
WARNINGS_OF_STARTED_PROCESSES = "error,ignore::ResourceWarning"


def pytest_configure():
    """Make warnings errors in what the tests start, too: Snakemake, its scripts, the commands."""
    os.environ["PYTHONWARNINGS"] = WARNINGS_OF_STARTED_PROCESSES


@pytest.fixture(scope="session")
def realdata():
    """Folder of the real data sets, ``$SKYLOOM_REALDATA``; the test is skipped where it is not set."""
    folder = os.environ.get("SKYLOOM_REALDATA")
    if not folder:
        pytest.skip("SKYLOOM_REALDATA is not set: it names the folder that holds hatp32-raw-frames/")
    return Path(folder)


@pytest.fixture
def browser(tmp_path):
    """Chromium on a profile of its own; the test is skipped where there is none."""
    from headless import CHROMIUM, Browser

    if CHROMIUM is None:
        pytest.skip("there is no chromium on PATH (Debian, Ubuntu: apt install chromium)")
    made = Browser(tmp_path / "profile")
    yield made
    made.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Make a skip a failure for the markers that ``$SKYLOOM_REQUIRE`` names, separated by commas."""
    report = yield
    required = set(os.environ.get("SKYLOOM_REQUIRE", "").split(","))
    missing = sorted(required & {marker.name for marker in item.iter_markers()})
    if report.skipped and missing and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = (
            f"{item.nodeid} was skipped, but SKYLOOM_REQUIRE={','.join(missing)}: {call.excinfo.value}"
        )
    return report
