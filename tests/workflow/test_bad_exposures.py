"""Bad raw frames: each is named with its reason, and the rest of the survey is finished."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from pyarrow import parquet
from workflow_support import Snakemake, copy_run

from skyloom.io.tables import read_table_status

# What is wrong with detector 1 of visits 11, 12 and 21; detector 0 stays good.
GROUPS = (("truncated", "nan", "zeros"), ("shape", "no_stars", "wrong_sky"), ("mirrored", "zeros", "nan"))
REASONS = {
    "truncated": "TruncatedRaw",
    "nan": "AllPixelsBad",
    "zeros": "ConstantImage",
    "shape": "WrongShapeRaw",
    "no_stars": "NoSources",
    "wrong_sky": "AstrometryMatch",
    "mirrored": "OutsideSearch",
}
PRODUCTS = (
    "calib", "calexp", "src", "visit_summary", "warp", "coadd", "object", "diff", "dia_source", "dia_object",
)  # fmt: skip
VISITS = (11, 12, 21)
OVERSCAN_SIGMA_ADU = 4.0
N_STRIP = 16
BY_MTIME = ("--rerun-triggers", "mtime")


def spoilt_pixels(pixels, kind):
    """Pixels of one amplifier that are wrong in some way."""
    if kind == "nan":
        return np.full(pixels.shape, np.nan, dtype=np.float32)
    if kind == "zeros":
        return np.zeros_like(pixels)
    if kind == "shape":
        return pixels[:-7]
    if kind == "no_stars":
        noise = np.random.default_rng(1).normal(0, OVERSCAN_SIGMA_ADU, pixels.shape)
        return np.round(np.median(pixels, axis=0) + noise).astype(pixels.dtype)
    if kind == "mirrored":
        return np.ascontiguousarray(pixels[::-1])
    # Strips out of order: stars lie where the catalogue has none.
    strips = np.array_split(pixels, N_STRIP)
    return np.concatenate([strips[i] for i in np.random.default_rng(2).permutation(N_STRIP)])


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
                hdu.data = spoilt_pixels(hdu.data, kind)
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
