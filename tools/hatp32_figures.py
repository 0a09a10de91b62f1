"""Draw docs/figures/real-frames.png from a finished run of config/surveys/hatp32.yaml.

Usage: python tools/hatp32_figures.py RESULTS CATALOGUE, where RESULTS holds calexp/ and src/ and CATALOGUE is
tycho2_field.csv. Astrometric residuals over the detector, their rms in each visit and the zero point over the night;
no pixel of a frame, since these may not be republished.
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skyloom.algorithms.matching import match_nearest
from skyloom.core.errors import UpstreamFailure
from skyloom.core.photo_calib import AB_ZERO_POINT
from skyloom.core.tables import column
from skyloom.io.exposures import read_exposure
from skyloom.io.tables import read_table

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "real-frames.png"
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


def draw(night, path):
    """Draw the figure.

    Parameters
    ----------
    night : Night
        What to draw.
    path : Path
        The PNG.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(12, 3.6), width_ratios=(1.3, 1, 1), layout="constrained"
    )
    x, y, dx, dy = night.residuals
    arrows = left.quiver(x, y, dx, dy, angles="xy", scale_units="xy", scale=0.01, width=0.0015, alpha=0.6)
    left.quiverkey(arrows, 0.86, 1.04, 0.2, "0.2 pixel", labelpos="E")
    left.set(xlabel="x [pixel]", ylabel="y [pixel]", aspect="equal")
    left.set_title(f"{x.size} residuals against Tycho-2", loc="left", fontsize=10)
    middle.plot(night.hours, night.rms, "o", markersize=3)
    middle.set(xlabel="hours since the first frame", ylabel="rms an axis [pixel]", ylim=(0, None))
    right.plot(night.hours, night.zero_point, "o", markersize=3, color="tab:red")
    right.set(xlabel="hours since the first frame", ylabel="zero point [mag of 1 electron/s]")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main(arguments=None):
    """Measure, draw and print the figures of the page.

    Parameters
    ----------
    arguments : list of str, optional
        Command line.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="output root of the run")
    parser.add_argument("catalogue", type=Path, help="tycho2_field.csv")
    parser.add_argument("--output", type=Path, default=FIGURE, help="the PNG")
    options = parser.parse_args(arguments)
    table = np.genfromtxt(options.catalogue, delimiter=",", names=True)
    night = measure_night(options.results, (table["ra_deg"], table["dec_deg"]))
    draw(night, options.output)
    lines = [
        f"{len(night.rms)} visits solved; not solved: {', '.join(night.failed) or 'none'}",
        f"rms an axis: median {np.median(night.rms):.3f}, largest {night.rms.max():.3f} pixel",
        f"zero point: {np.median(night.zero_point):.3f} mag, scatter {np.std(night.zero_point):.3f}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
