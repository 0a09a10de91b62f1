"""Bad raw frames: each is named with its reason, or used as far as it is good; the rest of the survey is finished."""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from astropy.io import fits
from pyarrow import parquet
from scipy.spatial import cKDTree
from workflow_support import Snakemake, copy_run

from skyloom.algorithms.matching import match_nearest
from skyloom.core import mask_planes
from skyloom.core.tables import column, without_sky_objects
from skyloom.io.exposures import read_exposure
from skyloom.io.tables import read_table, read_table_status

# What is wrong with detector 1 of visits 11, 12 and 21; detector 0 stays good.
GROUPS = (
    ("truncated", "nan", "zeros"),
    ("shape", "no_stars", "wrong_sky"),
    ("mirrored", "saturated", "exposure_time"),
)
REASONS = {
    "truncated": "TruncatedRaw",
    "nan": "AllPixelsBad",
    "zeros": "ConstantImage",
    "shape": "WrongShapeRaw",
    "no_stars": "NoSources",
    "wrong_sky": "AstrometryMatch",
    "mirrored": "OutsideSearch",
    "saturated": "TooFewGoodPixels",
    "exposure_time": "WrongExposureTime",
}
# Frames that are good enough with a part of them gone: columns and rows of the detector, and the plane that says so.
# A block of NaN of amplifier A, and the whole of amplifier B, the detector's right half.
SPOILT = {
    "nan_block": (slice(40, 140), slice(50, 150), "NO_DATA"),
    "half_dead": (slice(200, 400), slice(0, 400), "BAD"),
}
SURVIVORS = ("nan_block", "half_dead", "half_dead")
PRODUCTS = (
    "calib", "calexp", "src", "visit_summary", "warp", "coadd", "object", "diff", "dia_source", "dia_object",
)  # fmt: skip
VISITS = (11, 12, 21)
LIGHT = slice(4, 204)
"""Columns of an amplifier's plane that see light."""
OVERSCAN_SIGMA_ADU = 4.0
N_STRIP = 16
# A star is alone when all others within so many pixels have less than this part of its light.
ALONE_PIXEL, ALONE_FLUX = 12.0, 0.003
BY_MTIME = ("--rerun-triggers", "mtime")


def spoilt_pixels(pixels, kind, amplifier):
    """Pixels of one amplifier that are wrong in some way."""
    if kind == "nan":
        return np.full(pixels.shape, np.nan, dtype=np.float32)
    if kind == "zeros" or (kind == "half_dead" and amplifier == "B"):
        return np.zeros_like(pixels)
    if kind == "nan_block" and amplifier == "A":
        columns, rows, _ = SPOILT[kind]
        pixels = pixels.astype(np.float32)
        pixels[rows, LIGHT][:, columns] = np.nan
        return pixels
    if kind == "shape":
        return pixels[:-7]
    if kind == "saturated":
        pixels = pixels.copy()
        pixels[:, LIGHT] = np.iinfo(pixels.dtype).max
        return pixels
    if kind == "no_stars":
        noise = np.random.default_rng(1).normal(0, OVERSCAN_SIGMA_ADU, pixels.shape)
        return np.round(np.median(pixels, axis=0) + noise).astype(pixels.dtype)
    if kind == "mirrored":
        return np.ascontiguousarray(pixels[::-1])
    if kind == "wrong_sky":
        # Strips out of order: stars lie where the catalogue has none.
        strips = np.array_split(pixels, N_STRIP)
        return np.concatenate([strips[i] for i in np.random.default_rng(2).permutation(N_STRIP)])
    return pixels


def spoil(path, kind):
    """Replace a raw frame by a bad one; the hard-linked original stays."""
    data = path.read_bytes()
    path.unlink()
    if kind == "truncated":
        path.write_bytes(data[: len(data) // 2])
        return
    with fits.HDUList.fromstring(data) as hdus:
        for hdu in hdus:
            if hdu.data is not None:
                hdu.data = spoilt_pixels(hdu.data, kind, hdu.name)
        if kind == "exposure_time":
            hdus[0].header["EXPTIME"] *= 10
        hdus.writeto(path)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", GROUPS, ids="-".join)
def test_bad_frames_are_named_and_the_rest_is_finished(finished, tmp_path, kinds):
    copy_run(finished, tmp_path)
    run = Snakemake(tmp_path)
    for visit, kind in zip(VISITS, kinds, strict=True):
        spoil(tmp_path / "results" / "raw" / str(visit) / "1.fits", kind)
    text = run.run("drp", "--cores", "2", *BY_MTIME)
    assert "skyloom: 3 of 6 detectors survived; bad ones by reason:" in text
    for visit, kind in zip(VISITS, kinds, strict=True):
        summary = parquet.read_table(tmp_path / "results" / "visit_summary" / f"{visit}.parquet").to_pylist()
        by_detector = {row["detector"]: row for row in summary}
        assert by_detector[0]["status"] == "OK"
        assert by_detector[1]["status"] != "OK"
        assert by_detector[1]["reason"] == REASONS[kind], by_detector[1]["message"]
        assert by_detector[1]["reason"] in text
        assert by_detector[1]["message"]
    assert run.jobs("drp", *BY_MTIME) == {}


class Detector:
    """Products of detector 1 of a visit.

    Parameters
    ----------
    root : Path
        Output root.
    visit : int
        Which visit.
    """

    def __init__(self, root, visit):
        self.calexp = read_exposure(root / "calexp" / str(visit) / "1.fits")
        self.sources = without_sky_objects(read_table(root / "src" / str(visit) / "1.parquet"))
        truth = read_table(root / "truth" / "source" / f"{visit}.parquet")
        self.truth = truth.filter(pc.equal(truth["detector"], 1))
        _, self.row = parquet.read_table(root / "visit_summary" / f"{visit}.parquet").to_pylist()

    def has(self, *planes):
        """Where one of some planes is set (ndarray of bool)."""
        return self.calexp.pixels.is_masked(mask_planes.bits(*planes))

    def flux_errors(self):
        """Relative errors of the fluxes of stars above S/N 30 that are alone, and errors over stated errors."""
        x, y, flux = (column(self.truth, name) for name in ("x", "y", "flux"))
        near = cKDTree(np.column_stack([x, y])).query_ball_point(np.column_stack([x, y]), ALONE_PIXEL)
        others = np.array([flux[rows].sum() for rows in near]) - flux
        star = np.flatnonzero((column(self.truth, "kind") == "star") & (others < ALONE_FLUX * flux))
        found, true, _ = match_nearest(
            column(self.sources, "x"), column(self.sources, "y"), x[star], y[star], 1.0
        )
        measured, error = (column(self.sources, name)[found] for name in ("psfFlux", "psfFluxErr"))
        usable = (measured > 30 * error) & ~column(self.sources, "pixelFlags_saturated")[found]
        relative = (measured / flux[star][true] - 1)[usable]
        stated = np.hypot((error / flux[star][true])[usable], self.row["zeroPointErr"] * np.log(10) / 2.5)
        return relative, relative / stated


def width(values):
    """Robust standard deviation about zero."""
    return 1.4826 * np.median(np.abs(values))


def check_survivor(before, after, kind):
    """What is left of a detector is masked and told as far as it is gone, and as good as it was in the rest."""
    columns, rows, plane = SPOILT[kind]
    is_gone = np.zeros(after.calexp.pixels.shape, dtype=bool)
    is_gone[rows, columns] = True
    assert (after.row["status"], after.row["reason"]) == ("OK", "")
    lost = is_gone | before.has("BAD", "SAT", "CR", "NO_DATA")
    assert after.row["maskedFraction"] == pytest.approx(lost.mean(), abs=0.01)
    assert "of the pixels are of no use (BAD " in after.row["remark"]
    assert f"{plane} {after.has(plane).mean():.1%}" in after.row["remark"]
    np.testing.assert_array_equal(after.has(plane), is_gone | before.has(plane))
    assert np.isfinite(after.calexp.pixels.image).all()
    assert np.isfinite(after.calexp.pixels.variance).all()
    x, y = (np.rint(column(after.sources, axis)).astype(int) for axis in "xy")
    assert not is_gone[y, x].any()
    relative, pulls = after.flux_errors()
    _, pulls_before = before.flux_errors()
    assert len(pulls) >= 12
    assert abs(np.median(relative)) < 4 * 1.25 * np.std(relative) / np.sqrt(len(relative))
    # The median absolute deviation of n values scatters by 1.17 / sqrt(n).
    slack = 4 * 1.17 * np.sqrt(1 / len(pulls) + 1 / len(pulls_before))
    assert width(pulls) < width(pulls_before) * (1 + slack)


@pytest.mark.slow
def test_frames_that_are_good_in_part_are_used_in_that_part(finished, tmp_path):
    copy_run(finished, tmp_path)
    run = Snakemake(tmp_path)
    for visit, kind in zip(VISITS, SURVIVORS, strict=True):
        spoil(tmp_path / "results" / "raw" / str(visit) / "1.fits", kind)
    text = run.run("drp", "--cores", "2", *BY_MTIME)
    root = tmp_path / "results"
    assert "skyloom: 6 of 6 detectors survived" in text
    for visit, kind in zip(VISITS, SURVIVORS, strict=True):
        check_survivor(Detector(finished / "results", visit), Detector(root, visit), kind)
    columns, _, _ = SPOILT["half_dead"]
    sources = read_table(root / "dia_source" / "21" / "1.parquet")
    assert (column(sources, "x") < columns.start).all()


def status_of(path):
    """Status and reason that a product states of itself."""
    if path.suffix == ".fits":
        header = fits.getheader(path)
        return header["STATUS"], header.get("REASON", "")
    return read_table_status(path)[:2]


def test_a_survey_of_good_frames_has_no_tombstone(finished):
    root = finished / "results"
    products = [path for kind in PRODUCTS for path in (root / kind).rglob("*.*")]
    bad = {str(path.relative_to(root)): status_of(path) for path in products}
    bad = {name: status for name, status in bad.items() if status[0] != "OK"}
    # Where a visit does not meet a patch after all, or has no template, nothing is bad: such files say EMPTY.
    assert {name: status for name, status in bad.items() if status[0] != "EMPTY"} == {}
    assert {Path(name).parts[0] for name in bad} <= {"warp", "coadd", "object", "diff", "dia_source"}
    assert {path.relative_to(root).parts[0] for path in products} == set(PRODUCTS)
    assert parquet.read_table(root / "report" / "failures_drp.parquet").num_rows == 0


@pytest.mark.slow
def test_too_few_survivors_end_the_run_with_an_error_that_stays(finished, tmp_path):
    copy_run(finished, tmp_path)
    run = Snakemake(tmp_path)
    spoil(tmp_path / "results" / "raw" / "21" / "1.fits", "zeros")
    wanted = ("--config", "min_good_fraction=0.95")
    for _ in range(2):
        text = run.run("drp", "--cores", "2", *BY_MTIME, *wanted, succeeds=False)
        assert "TooFewSurvivorsError: 5 of 6 detectors survived" in text
