"""The benchmarks' frame: a peer that is not there is told, and is no pass; what is missed is listed."""

import os
import subprocess
import sys

import pytest
from documentation import ROOT

sys.path.append(str(ROOT / "benchmarks"))

import peers  # noqa: E402 (needs the path)


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """PATH without any program."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("nowhere")
def test_missing_programs_are_told_with_how_to_install_them(capsys):
    assert peers.missing("SCAMP", "PSFEx") == ["SCAMP", "PSFEx"]
    assert "not measured: SCAMP is not there (apt install scamp)\n" in capsys.readouterr().out


def test_a_missing_package_is_told_and_one_that_is_there_is_not(monkeypatch, capsys):
    monkeypatch.setitem(peers.INSTALL, "Numpy", "pip install numpy")
    monkeypatch.setitem(peers.INSTALL, "Skyscraper", "pip install skyscraper")

    assert peers.missing("Numpy", "Skyscraper") == ["Skyscraper"]
    assert capsys.readouterr().out == "not measured: Skyscraper is not there (pip install skyscraper)\n"


def test_cpu_and_memory_are_those_of_the_command_alone(tmp_path):
    program = "data = bytearray(2**28)\nfor _ in range(4_000_000): pass"
    seconds, megabytes = peers.measured([sys.executable, "-c", program], tmp_path)
    rest, least = peers.measured([sys.executable, "-c", "pass"], tmp_path)

    assert 240 < megabytes - least < 300
    assert seconds > rest > 0


def test_a_command_that_fails_ends_the_benchmark_with_what_it_says(tmp_path):
    with pytest.raises(SystemExit, match="no such star"):
        peers.measured([sys.executable, "-c", "raise SystemExit('no such star')"], tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("nowhere")
def test_a_benchmark_without_its_peer_is_not_measured():
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "astrometry.py"],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
    )

    assert done.returncode == peers.NOT_MEASURED, done.stderr
    assert "not measured: SCAMP" in done.stdout
    assert "400 stars    skyloom" in done.stdout


STAND_IN = """#!/bin/sh
case "$1" in
    */astrometry.py) exit 2;;
    */psf_model.py) exit 1;;
esac
"""


def test_the_bars_that_are_missed_or_not_measured_are_listed(tmp_path, monkeypatch):
    for name in ("python", "pytest", "lean"):
        (tmp_path / name).write_text(STAND_IN)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    done = subprocess.run(
        [ROOT / "tools" / "bars.sh", tmp_path / "lean"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stdout.splitlines()[-2:] == [
        "bars not reached in: benchmarks/astrometry.py (not measured)",
        "bars not reached in: benchmarks/psf_model.py",
    ]
