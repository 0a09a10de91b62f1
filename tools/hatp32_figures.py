"""Picture of what the frames of config/surveys/hatp32.yaml give: no pixel of them, since they may not be republished.

Astrometric residuals over the detector, their rms in each visit and the zero point over the night.
"""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from skyloom.algorithms.matching import match_nearest
from skyloom.core.errors import UpstreamFailure
from skyloom.core.photo_calib import AB_ZERO_POINT
from skyloom.core.tables import column
from skyloom.io.exposures import read_exposure
from skyloom.io.tables import read_table

ROOT = Path(__file__).parents[1]
SURVEY, RESULTS = "config/surveys/hatp32.yaml", "build/hatp32"
RADIUS = 2.0  # pixel
MIN_SIGNAL_TO_NOISE = 200.0


class Night(NamedTuple):
    """What the visits of a night measured.

    Attributes
    ----------
    hours : ndarray, shape (n,), float64
        Time since the first solved visit [h].
    rms : ndarray, shape (n,), float64
        Residual of an axis [pixel].
    zero_point : ndarray, shape (n,), float64
        AB magnitude of 1 electron/s [mag].
    residuals : ndarray, shape (4, m), float64
        x, y, dx, dy of all matched stars [pixel].
    failed : list of str
        Visits without a solution.
    """

    hours: np.ndarray
    rms: np.ndarray
    zero_point: np.ndarray
    residuals: np.ndarray
    failed: list


def residuals_of(calexp, src, stars):
    """Matched stars of a visit.

    Parameters
    ----------
    calexp : Exposure
        The visit.
    src : pyarrow.Table
        Its sources.
    stars : tuple of ndarray
        Right ascension and declination of the catalogue [degree].

    Returns
    -------
    ndarray, shape (4, n), float64
        x, y, and source minus star along x and y [pixel].
    """
    bright = column(src, "psfFlux") > MIN_SIGNAL_TO_NOISE * column(src, "psfFluxErr")
    bright &= ~column(src, "pixelFlags_saturated")
    x, y = column(src, "x")[bright], column(src, "y")[bright]
    star_x, star_y = calexp.wcs.sky_to_pixel(*stars)
    ny, nx = calexp.pixels.shape
    inside = (np.abs(star_x - nx / 2) < nx / 2) & (np.abs(star_y - ny / 2) < ny / 2)
    own, other, _ = match_nearest(x, y, star_x[inside], star_y[inside], RADIUS)
    return np.stack([x[own], y[own], x[own] - star_x[inside][other], y[own] - star_y[inside][other]])


def measure_night(results, stars):
    """Measure every visit of a run.

    Parameters
    ----------
    results : Path
        Output root.
    stars : tuple of ndarray
        Right ascension and declination of the catalogue [degree].

    Returns
    -------
    Night
        The measurements, in the order of time.
    """
    mjd, rms, zero_point, residuals, failed = [], [], [], [], []
    for path in sorted((results / "calexp").glob("*/0.fits"), key=lambda path: int(path.parent.name)):
        try:
            calexp = read_exposure(path)
        except UpstreamFailure as failure:
            failed.append(f"{path.parent.name} ({failure.reason})")
            continue
        found = residuals_of(calexp, read_table(results / "src" / path.parent.name / "0.parquet"), stars)
        ny, nx = calexp.pixels.shape
        scale = float(calexp.photo_calib.evaluate(nx / 2, ny / 2).item())
        mjd.append(calexp.info.mjd)
        rms.append(np.sqrt(np.mean(found[2:] ** 2)))
        zero_point.append(AB_ZERO_POINT - 2.5 * np.log10(scale * calexp.info.exposure_time))
        residuals.append(found)
    hours = 24 * (np.array(mjd) - min(mjd))
    return Night(hours, np.array(rms), np.array(zero_point), np.concatenate(residuals, axis=1), failed)


def draw(night):
    """Draw a night.

    Parameters
    ----------
    night : Night
        What to draw.

    Returns
    -------
    Figure
        Residuals over the detector, their rms in each visit, and the zero point over the night.
    """
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    x, y, dx, dy = night.residuals
    arrows = left.quiver(x, y, dx, dy, angles="xy", scale_units="xy", scale=0.01, width=0.0015, alpha=0.6)
    left.quiverkey(arrows, 0.86, 1.04, 0.2, "0.2 pixel", labelpos="E")
    left.set(xlabel="x [pixel]", ylabel="y [pixel]", aspect="equal")
    left.set_title(f"{x.size} residuals against Tycho-2", loc="left", fontsize=10)
    middle.plot(night.hours, night.rms, "o", markersize=3)
    middle.set(xlabel="hours since the first frame", ylabel="rms an axis [pixel]", ylim=(0, None))
    right.plot(night.hours, night.zero_point, "o", markersize=3, color="tab:red")
    right.set(xlabel="hours since the first frame", ylabel="zero point [mag of 1 electron/s]")
    return figure


def describe(night):
    """Figures of a night as the page quotes them.

    Parameters
    ----------
    night : Night
        What was measured.

    Returns
    -------
    str
        Three lines.
    """
    lines = [
        f"{len(night.rms)} visits solved; not solved: {', '.join(night.failed) or 'none'}",
        f"rms an axis: median {np.median(night.rms):.3f}, largest {night.rms.max():.3f} pixel",
        f"zero point: {np.median(night.zero_point):.3f} mag, scatter {np.std(night.zero_point):.3f}",
    ]
    return "\n".join(lines) + "\n"


def real_frames(realdata):
    """Calibrate the frames of the night, and draw and tell what came out.

    Parameters
    ----------
    realdata : Path
        Folder of the real frames.

    Returns
    -------
    Figure
        As from `draw`.
    """
    folder = (realdata / "hatp32-raw-frames").resolve()
    visits = np.genfromtxt(
        ROOT / "config" / "surveys" / "hatp32_visits.csv", delimiter=",", names=True, dtype=None
    )
    targets = [f"{RESULTS}/src/{visit}/0.parquet" for visit in visits["visit"]]
    options = ["--configfile", SURVEY, "--config", f"raw_root={folder}", f"output_root={RESULTS}"]
    subprocess.run(
        [sys.executable, "-m", "snakemake", *targets, "--cores", "2", "--quiet", "rules", *options],
        cwd=ROOT,
        check=True,
    )
    table = np.genfromtxt(folder / "tycho2_field.csv", delimiter=",", names=True)
    night = measure_night(ROOT / RESULTS, (table["ra_deg"], table["dec_deg"]))
    sys.stdout.write(describe(night))
    return draw(night)
