"""A fresh clone: make demo as a newcomer runs it, again with nothing to do, and again without a network."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from bars import Bars
from documentation import ROOT, blocks_of

from skyloom.io.tables import read_table

MOST_CPU_SECONDS = 600
MOST_JOBS = 130
MOST_MINUTES = 6


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Return a clone of the last commit; it has no environment and no kernels compiled before."""
    folder = tmp_path_factory.mktemp("fresh") / "skyloom"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


def newcomer(folder):
    """Environment variables of a shell without this test's environment, without uv, and with an empty cache."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VIRTUAL_ENV", "COVERAGE", "PYTHON"))
    }
    places = [
        place
        for place in kept["PATH"].split(os.pathsep)
        if Path(place) != Path(sys.executable).parent and not (Path(place) / "uv").exists()
    ]
    return kept | {"PATH": os.pathsep.join(places), "XDG_CACHE_HOME": str(folder.parent / "cache")}


def make_demo(folder, *wrapper):
    """Run make demo in a clone as a newcomer, and return what it said."""
    done = subprocess.run(
        [*wrapper, "make", "demo"],
        cwd=folder,
        env=newcomer(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def run_python_of_the_readme(folder):
    """Run the README's Python in a clone that holds the demo's products; warnings are errors."""
    (code,) = blocks_of("README.md", "python")
    done = subprocess.run(
        [
            folder / ".venv/bin/python",
            "-W",
            "error",
            "-c",
            f"{code}\nassert stamp.pixels.image.size and len(curve)",
        ],
        cwd=folder,
        env=newcomer(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def run_prompt_flow_of_the_readme(folder):
    """Run the README's command of the prompt flow in a clone that holds the demo's products."""
    lines = [line for block in blocks_of("README.md", "bash") for line in block.splitlines()]
    (words,) = [shlex.split(line, comments=True) for line in lines if line.startswith("snakemake ap ")]
    done = subprocess.run(
        [folder / ".venv/bin/snakemake", *words[1:]],
        cwd=folder,
        env=newcomer(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "2 of 2 detectors survived; no bad exposure" in done.stderr
    for detector in (0, 1):
        assert read_table(folder / f"tonight/ap/dia_source/301/{detector}.parquet").num_rows > 0


@pytest.mark.bars
@pytest.mark.timeout(3600)
def test_the_demo_of_a_fresh_clone_passes_and_a_second_has_nothing_to_do(clone):
    said = make_demo(clone)
    assert (clone / ".uv/bin/uv").exists(), "the clone was to fetch uv by itself"
    n_job, cpu, wall = re.search(r"(\d+) jobs, (\d+) CPU s, (.*) by the clock", said).groups()
    bars = Bars(f"make demo on a fresh clone, {wall} by the clock")
    bars.check("CPU s, compilation included", float(cpu), high=MOST_CPU_SECONDS)
    bars.check("jobs", float(n_job), high=MOST_JOBS)
    assert "TruncatedRaw" in said
    metrics = read_table(clone / "results/report/metrics.parquet").to_pandas()
    for row in metrics[metrics.subject == "survey"].itertuples():
        bars.check(f"{row.name} {row.band} [{row.unit}]", row.value, row.low, row.high)
    bars.check("minutes by the clock", minutes(wall), high=MOST_MINUTES)
    run_python_of_the_readme(clone)
    run_prompt_flow_of_the_readme(clone)
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
