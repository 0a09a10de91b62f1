"""Counting jobs from Snakemake's lines, and showing a real Snakemake's run."""

import io
import sys

import pytest
from rich.console import Console

from run_progress import RunProgress, format_seconds
from watched_run import LinesDisplay, run_snakemake

HEAD = """Job stats:
job              count
-------------  -------
simulate_sky         1
calibrate_image      3
total                4
"""
TOMBSTONE = "skyloom: tombstone results/calexp/7/1.fits: TruncatedRaw: 3 bytes found, 5 needed: copy it again"

# Three visits, of which one is bad and one has a bug.
SNAKEFILE = """
rule drp:
    input: expand("calexp/{visit}.txt", visit=[1, 2, 3])
rule simulate_sky:
    output: "sky.txt"
    shell: "echo sky > {output}"
rule calibrate_image:
    input: "sky.txt"
    output: "calexp/{visit}.txt"
    params: fails=lambda wildcards: config.get("fails") == int(wildcards.visit)
    shell:
        "if [ {wildcards.visit} = 2 ]; then"
        " echo 'skyloom: tombstone {output}: TooFewStars: found 2 stars, needs 10: look at the raw' >&2; fi;"
        " if [ {params.fails} = True ]; then echo 'KeyError: flux' >&2; exit 1; fi;"
        " touch {output}"
"""


def progress_after(lines, *, seconds_a_line=1.0):
    progress = RunProgress(0.0)
    shown = [progress.read_line(line, seconds_a_line * (n + 1)) for n, line in enumerate(lines)]
    return progress, [text for text in shown if text]


def run(folder, *options):
    (folder / "Snakefile").write_text(SNAKEFILE)
    output = io.StringIO()
    console = Console(file=output, markup=False, width=200)
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "drp",
        "--cores",
        "1",
        "--keep-going",
        "--directory",
        folder,
    ]
    code, progress = run_snakemake([*command, "--snakefile", folder / "Snakefile", *options], console)
    return code, progress, output.getvalue()


def test_jobs_are_counted_by_rule_in_the_order_in_which_they_start():
    lines = [*HEAD.splitlines(), "localrule simulate_sky:", "Finished jobid: 2 (Rule: simulate_sky)"]
    lines += ["1 of 4 steps (25%) done", "rule calibrate_image:"]

    progress, _ = progress_after(lines)

    assert (progress.done, progress.total) == (1, 4)
    assert progress.rules == {"simulate_sky": [1, 1], "calibrate_image": [0, 3]}
    assert progress.current == "calibrate_image"


def test_the_rate_is_that_of_the_last_jobs():
    progress = RunProgress(0.0)
    progress.read_line("1 of 101 steps (1%) done", 1000.0)  # a long first job
    for n in range(2, 42):
        progress.read_line(f"{n} of 101 steps", 1000.0 + 2 * n)

    now = 1000.0 + 2 * 41
    assert progress.rate(now) == pytest.approx(0.5)
    assert progress.seconds_left(now) == pytest.approx(120)


def test_no_time_left_is_claimed_before_the_first_job_has_finished():
    progress, _ = progress_after(HEAD.splitlines())

    assert progress.total == 4
    assert progress.seconds_left(10.0) is None


def test_a_bad_exposure_is_shown_once_with_its_reason_and_those_that_inherit_it_are_counted():
    inherited = TOMBSTONE.replace("calexp/7", "diff/7") + " [first seen in results/calexp/7/1.fits]"

    other_output = TOMBSTONE.replace("calexp/7/1.fits", "src/7/1.parquet")

    progress, shown = progress_after([TOMBSTONE, other_output, inherited])

    assert shown == [
        "bad exposure: results/calexp/7/1.fits: TruncatedRaw: 3 bytes found, 5 needed: copy it again"
    ]
    assert progress.n_inherited == 1


def test_a_product_that_is_empty_because_nothing_is_there_is_no_bad_exposure():
    progress, shown = progress_after(["skyloom: empty results/diff/7/1.fits: NoTemplateCoverage: 0 coadds"])

    assert shown == []
    assert (list(progress.messages), progress.n_inherited) == ([], 0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "?"), (44.6, "45 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")]
)
def test_durations_read_as_people_say_them(seconds, text):
    assert format_seconds(seconds) == text


def test_a_line_of_progress_comes_when_it_is_due(monkeypatch):
    output = io.StringIO()
    monkeypatch.setattr("time.monotonic", lambda: 0.0)
    display = LinesDisplay(Console(file=output, width=200))
    progress, _ = progress_after([*HEAD.splitlines(), "rule calibrate_image:", "1 of 4 steps (25%) done"])

    display.update(progress, 9.0)
    display.update(progress, 12.0)
    display.update(progress, 15.0)

    assert output.getvalue() == "1/4 jobs, 5 a minute, 36 s left (calibrate_image)\n"


@pytest.mark.slow
def test_a_real_run_is_followed_to_its_end_and_a_second_run_has_nothing_to_do(tmp_path):
    code, progress, output = run(tmp_path)
    again, nothing, _ = run(tmp_path)

    assert code == 0
    assert (progress.done, progress.total) == (5, 5)
    assert progress.rules["calibrate_image"] == [3, 3]
    assert "bad exposure: calexp/2.txt: TooFewStars: found 2 stars, needs 10" in output
    assert (again, nothing.total) == (0, 0)


@pytest.mark.slow
def test_of_a_failed_run_the_last_lines_are_shown(tmp_path):
    code, _, output = run(tmp_path, "--config", "fails=3")

    assert code == 1
    assert "KeyError: flux" in output
    assert "Error in rule calibrate_image" in output
    assert "Building DAG" not in output
    assert len(output.splitlines()) < 60
