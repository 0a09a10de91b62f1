"""The data release flow on real frames: no WCS, no calibration frames, hot pixels, a drifting and crowded field."""

import csv
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

sys.path.append(str(Path(__file__).parents[1] / "workflow"))

from workflow_support import HOME, Snakemake  # noqa: E402 (needs the path)

from skyloom.algorithms.matching import match_nearest  # noqa: E402
from skyloom.core import mask_planes  # noqa: E402
from skyloom.core.tables import column  # noqa: E402
from skyloom.io.calibs import read_calib  # noqa: E402
from skyloom.io.cameras import read_camera  # noqa: E402
from skyloom.io.exposures import read_difference, read_exposure  # noqa: E402
from skyloom.io.raws import read_raw  # noqa: E402
from skyloom.io.tables import read_table  # noqa: E402

SURVEY = HOME / "config" / "surveys" / "hatp32.yaml"
VISITS = HOME / "config" / "surveys" / "hatp32_visits.csv"
CAMERA = HOME / "config" / "cameras" / "microobservatory.yaml"
SIX = (7, 19, 31, 43, 55, 67)
SCALE = 5.21
LARGEST_RMS_PIXEL = 0.30
"""Of the residuals against Tycho-2 in any frame."""
SPOILT = mask_planes.bits("BAD", "SAT", "CR", "INTRP", "NO_DATA", "SAT_TEMPLATE", "DETECTED")
# A pixel that exceeds its neighbours by this much in a frame: what would be left of it on the coadd is seen [electron].
HOT = 400.0
# A hot pixel's own place, and others that know nothing of it (y, x).
BESIDE = ((0, 0), (0, 7), (7, 0), (0, -7), (-7, 0))


class Run:
    """A finished run and what is known of its frames."""

    def __init__(self, results, frames, visits):
        self.results, self.frames, self.visits = results, frames, visits

    def product(self, kind, visit):
        """Path of a product of the one detector of a visit."""
        suffix = "fits" if kind in ("calexp", "diff") else "parquet"
        return self.results / kind / str(visit) / f"0.{suffix}"

    def solved(self):
        """Visits whose summary says OK."""
        return [visit for visit in self.visits if self.status(visit) == "OK"]

    def status(self, visit):
        """Status in the visit summary."""
        return read_table(self.results / "visit_summary" / f"{visit}.parquet")["status"][0].as_py()


def run_survey(folder, frames, numbers):
    """Run the data release flow on some of the visits."""
    with open(VISITS, encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if int(row["visit"]) in numbers]
    visits = folder / "visits.csv"
    with open(visits, "w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    cores = str(min(os.cpu_count() or 1, 2))
    options = ("--config", f"raw_root={frames}", f"visits={visits}", "output_root=results")
    Snakemake(folder).run("drp", "--cores", cores, *options, config=str(SURVEY))
    return Run(folder / "results", frames, {int(row["visit"]): row for row in rows})


@pytest.fixture(scope="module")
def six(realdata, tmp_path_factory):
    """Run of six frames, evenly spread over the night."""
    return run_survey(tmp_path_factory.mktemp("hatp32"), realdata / "hatp32-raw-frames", SIX)


def tycho(frames):
    """Right ascension and declination of the catalogue's stars [degree]."""
    table = np.genfromtxt(frames / "tycho2_field.csv", delimiter=",", names=True)
    return table["ra_deg"], table["dec_deg"]


def residuals(run, visit):
    """Distances (x, y) of bright unsaturated sources from Tycho-2 stars at most two pixels away [pixel]."""
    calexp = read_exposure(run.product("calexp", visit))
    src = read_table(run.product("src", visit))
    chosen = (column(src, "psfFlux") > 200 * column(src, "psfFluxErr")) & ~column(src, "pixelFlags_saturated")
    x, y = column(src, "x")[chosen], column(src, "y")[chosen]
    star_x, star_y = calexp.wcs.sky_to_pixel(*tycho(run.frames))
    ny, nx = calexp.pixels.shape
    inside = (np.abs(star_x - nx / 2) < nx / 2) & (np.abs(star_y - ny / 2) < ny / 2)
    star_x, star_y = star_x[inside], star_y[inside]
    own, other = match_nearest(x, y, star_x, star_y, 2.0)[:2]
    return x[own] - star_x[other], y[own] - star_y[other]


def excess_of_defects(run):
    """Rows and columns of hot pixels, and their excess over the 5x5 pixels around, the median of all frames [electron].

    The median, since a star that lies on a defect in one frame is no light of the defect.
    """
    camera = read_camera(CAMERA)
    (amplifier,) = camera.detectors[0].amplifiers
    x0, x1, y0, y1 = amplifier.data_section
    (defects,) = (run.results / "calib").glob("*/defects/none/0.fits")
    y, x = np.nonzero(read_calib(defects, "defects").is_bad)
    excess = []
    for row in run.visits.values():
        raw = read_raw(run.frames / row["raw"].format(**row), camera.detectors[0], camera.raw)
        (counts,) = raw.planes.values()
        image = amplifier.gain * counts[y0:y1, x0:x1].astype(np.float64)
        excess.append((image - local_median(image))[y, x])
    excess = np.median(excess, axis=0)
    is_hot = excess > HOT
    return y[is_hot], x[is_hot], excess[is_hot]


def leak_of_hot_pixels(run):
    """Part of the light of hot pixels that is left on the coadd where they were, and the number looked at.

    The excess of a pixel over its 5x5 neighbours on the coadd over what the mean of all frames would have made of the
    hot pixel, the median over all hot pixels at their places in all frames, less the same some pixels beside them;
    0 without a trace.
    """
    coadd = read_exposure(run.results / "coadd" / "deep" / "clear" / "0" / "0_0.fits")
    excess_of_coadd = coadd.pixels.image - local_median(np.nan_to_num(coadd.pixels.image))
    y, x, excess = excess_of_defects(run)
    left = []
    for visit in run.solved():
        calexp = read_exposure(run.product("calexp", visit))
        place = coadd.wcs.sky_to_pixel(*calexp.wcs.pixel_to_sky(x.astype(float), y.astype(float)))
        column_, row_ = (np.rint(values).astype(int) for values in place)
        unmasked = excess * calexp.photo_calib.evaluate(x, y) / len(run.visits)
        left.append([excess_of_coadd[row_ + j, column_ + i] / unmasked for j, i in BESIDE])
    left = np.concatenate(left, axis=1)
    at_place, *beside = np.nanmedian(left, axis=1)
    return float(at_place - np.mean(beside)), int(np.isfinite(left[0]).sum())


def local_median(image):
    """Median of 5x5 pixels."""
    from scipy.ndimage import median_filter

    return median_filter(image, 5, mode="mirror")


def noise_ratio(run, visit):
    """Width of the difference over its standard error, away from sources."""
    pixels = read_difference(run.product("diff", visit)).exposure.pixels
    blank = ((pixels.mask & SPOILT) == 0) & np.isfinite(pixels.image)
    pulls = pixels.image[blank] / np.sqrt(pixels.variance[blank])
    return float(1.4826 * np.median(np.abs(pulls - np.median(pulls))))


def check(run, needed):
    """All that is promised of a run."""
    solved = run.solved()
    assert len(solved) >= needed
    rms, n_star = [], []
    for visit in solved:
        dx, dy = residuals(run, visit)
        rms.append(np.sqrt(np.mean(dx**2 + dy**2) / 2))
        n_star.append(len(dx))
    assert min(n_star) >= 10
    sys.stdout.write(
        f"rms of {sum(n_star)} residuals: {np.sqrt(np.average(np.square(rms), weights=n_star)):.3f}, "
    )
    sys.stdout.write(f"of a frame {np.median(rms):.3f}, at most {max(rms):.3f} pixel\n")
    assert max(rms) < LARGEST_RMS_PIXEL
    assert np.median(rms) < 0.2
    leak, n_hot = leak_of_hot_pixels(run)
    assert n_hot > 100 * len(solved)
    assert abs(leak) < 0.05
    # The camera's gain is known to a fifth, and each visit is part of its own template.
    ratios = [noise_ratio(run, visit) for visit in solved]
    assert min(ratios) > 0.55
    assert max(ratios) < 1.05
    counts = [len(read_table(run.product("dia_source", visit))) for visit in solved]
    assert np.median(counts) <= 4
    assert max(counts) <= 12


@pytest.mark.slow
@pytest.mark.realdata
def test_six_frames_become_calexps_a_clean_coadd_and_clean_differences(six):
    check(six, needed=6)


@pytest.mark.slow
@pytest.mark.realdata
def test_the_survey_needs_no_more_than_the_frames_and_a_star_catalogue(six):
    survey = yaml.safe_load(SURVEY.read_text(encoding="utf-8"))
    assert survey["calibration_frames"] is None
    kinds = {path.parent.parent.name for path in (six.results / "calib").glob("*/*/*/*.fits")}
    assert kinds == {"defects"}


@pytest.mark.bars
@pytest.mark.realdata
@pytest.mark.timeout(3600)
def test_all_frames_become_calexps_a_clean_coadd_and_clean_differences(realdata, tmp_path):
    with open(VISITS, encoding="utf-8", newline="") as table:
        numbers = [int(row["visit"]) for row in csv.DictReader(table)]
    assert len(numbers) == 71

    run = run_survey(tmp_path, realdata / "hatp32-raw-frames", numbers)

    check(run, needed=71)
