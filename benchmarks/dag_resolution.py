"""How much Snakemake needs to resolve a survey of 10,000 jobs: CPU seconds and memory, beside the bar.

The survey exists only as a visit table: nothing is on the disk, nothing is run.
"""

import argparse
import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
from snakemake_runs import run_snakemake

LEAST_JOBS = 10_000
CPU_BAR_S = 20.0
MEMORY_BAR_MB = 400.0
N_DETECTOR_SIDE = 6
DETECTOR_PIXELS = 4000
PIXEL_SCALE = 0.2


def write_camera(path):
    """Write a camera of a square mosaic of detectors with one amplifier each.

    Parameters
    ----------
    path : Path
        The YAML file.
    """
    lines = [
        "name: mosaic",
        f"pixel_scale: {PIXEL_SCALE}",
        "bands: [r]",
        "raw: {format: extensions}",
        "amplifier_sets:",
        "  one:",
        f"    - {{name: A, extension: A, data_section: [0, {DETECTOR_PIXELS}, 0, {DETECTOR_PIXELS}], "
        f"detector_section: [0, {DETECTOR_PIXELS}, 0, {DETECTOR_PIXELS}]}}",
        "detectors:",
    ]
    pitch = DETECTOR_PIXELS + 100
    offsets = (np.arange(N_DETECTOR_SIDE) - (N_DETECTOR_SIDE - 1) / 2) * pitch
    for number in range(N_DETECTOR_SIDE**2):
        fx, fy = offsets[number % N_DETECTOR_SIDE], offsets[number // N_DETECTOR_SIDE]
        shape = f"[{DETECTOR_PIXELS}, {DETECTOR_PIXELS}]"
        lines.append(f"  {number}: {{shape: {shape}, centre: [{fx}, {fy}], orientation: 0, amplifiers: one}}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_visits(path, n_visit, seed):
    """Write a visit table of dithered pointings of one field.

    Parameters
    ----------
    path : Path
        The CSV file.
    n_visit : int
        Visits.
    seed : int
        Of the dithers.
    """
    rng = np.random.default_rng(seed)
    lines = [
        "visit,exposure_name,night,mjd,band,exposure_time,ra,dec,rotation,pointing_uncertainty,airmass,camera,raw,use"
    ]
    for number in range(n_visit):
        ra, dec = 150 + rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1)
        use = "template" if number < n_visit // 2 else "science"
        lines.append(
            f"{number + 1},e{number + 1},n{number // 20},{61000 + number / 100:.3f},r,30,{ra:.6f},{dec:.6f},"
            f"{rng.uniform(-5, 5):.2f},60,1.2,mosaic,raw/{{visit}}/{{detector}}.fits,{use}"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_survey(folder, n_visit):
    """Write a whole survey of stand-in tables.

    Parameters
    ----------
    folder : Path
        Where to.
    n_visit : int
        Visits.

    Returns
    -------
    Path
        The configuration.
    """
    write_camera(folder / "camera.yaml")
    write_visits(folder / "visits.csv", n_visit, seed=1)
    survey = folder / "survey.yaml"
    survey.write_text(
        "survey: many\ncamera: camera.yaml\nvisits: visits.csv\nbands: [r]\nsimulate: {}\n"
        "calibs: {defects_from_science: false}\n"
        "sky_map: {kind: rings, pixel_scale: 0.2, patch_inner: 4000, patch_border: 100}\n",
        encoding="utf-8",
    )
    return survey


def resolve(folder, survey):
    """Let Snakemake resolve target drp, once to measure and once, with the jobs listed, to count them.

    Parameters
    ----------
    folder : Path
        Working folder.
    survey : Path
        The configuration.

    Returns
    -------
    n_job : int
        Jobs of the graph.
    cpu_s : float
        User and system time of the process.
    memory_mb : float
        Its largest resident set.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    dry_run = ("drp", "-n", "--configfile", str(survey), "--quiet")
    run_snakemake(folder, *dry_run)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    listing = run_snakemake(folder, *dry_run, "rules", "reason")
    totals = [line.split()[1] for line in listing.splitlines() if line.startswith("total ")]
    return int(totals[0]), cpu, after.ru_maxrss / 1024


def main():
    """Resolve once, print the costs beside the bars, and return 1 when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=86, help="visits of 36 detectors")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_job, cpu_s, memory_mb = resolve(folder, write_survey(folder, arguments.visits))
    rows = (
        ("jobs", n_job, f">= {LEAST_JOBS}", n_job >= LEAST_JOBS),
        ("CPU [s]", cpu_s, f"<= {CPU_BAR_S:g}", cpu_s <= CPU_BAR_S),
        ("memory [MB]", memory_mb, f"<= {MEMORY_BAR_MB:g}", memory_mb <= MEMORY_BAR_MB),
    )
    for label, value, bar, passed in rows:
        print(f"  {label:<12} {value:8.1f}   {bar:10} {'pass' if passed else 'FAIL'}")
    return 0 if all(passed for *_, passed in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
