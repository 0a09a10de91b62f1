"""A fresh clone: make demo as a newcomer runs it, again with nothing to do, and again without a network."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from bars import Bars

from skyloom.io.tables import read_table

ROOT = Path(__file__).parents[2]
MOST_CPU_SECONDS = 600
MOST_JOBS = 130
MOST_MINUTES = 6


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Return a clone of the last commit; it has no environment and no kernels compiled before."""
    folder = tmp_path_factory.mktemp("fresh") / "skyloom"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


def make_demo(folder, *wrapper):
    """Run make demo in a clone, with a cache folder of its own, and return what it said."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("VIRTUAL_ENV", "COVERAGE"))
    }
    environment = kept | {"XDG_CACHE_HOME": str(folder.parent / "cache")}
    done = subprocess.run(
        [*wrapper, "make", "demo"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.bars
@pytest.mark.timeout(3600)
def test_the_demo_of_a_fresh_clone_passes_and_a_second_has_nothing_to_do(clone):
    said = make_demo(clone)
    n_job, cpu, wall = re.search(r"(\d+) jobs, (\d+) CPU s, (.*) by the clock", said).groups()
    bars = Bars(f"make demo on a fresh clone, {wall} by the clock")
    bars.check("CPU s, compilation included", float(cpu), high=MOST_CPU_SECONDS)
    bars.check("jobs", float(n_job), high=MOST_JOBS)
    assert "TruncatedRaw" in said
    metrics = read_table(clone / "results/report/metrics.parquet").to_pandas()
    for row in metrics.itertuples():
        bars.check(f"{row.name} {row.band} [{row.unit}]", row.value, row.low, row.high)
    bars.check("minutes by the clock", minutes(wall), high=MOST_MINUTES)
    again = make_demo(clone)
    assert "nothing to do" in again
    without_network = ("unshare", "--map-root-user", "--net")
    assert "nothing to do" in make_demo(clone, *without_network)
    shutil.rmtree(clone / "results")
    shutil.rmtree(clone / ".snakemake")
    assert "all jobs done" in make_demo(clone, *without_network)
    bars.judge()


def minutes(text):
    """Return minutes of a time like 5 min 02 s."""
    parts = dict(zip(text.split()[1::2], text.split()[::2], strict=True))
    return 60 * float(parts.get("h", 0)) + float(parts.get("min", 0)) + float(parts.get("s", 0)) / 60
