"""Tests of the scripts that combine calibrations: raw files in, calibration files out."""

import importlib

import numpy as np
import pytest
import yaml

from skyloom.calibs.pipeline import TooFewFramesError
from skyloom.io.calibs import read_calib
from skyloom.io.raws import write_raw
from skyloom.isr.circumstances import WrongBandError, WrongExposureTimeError, WrongTimeError
from skyloom.workflow.job import make_job

NY, NX, N_OVERSCAN = 64, 48, 16
GAIN, READ_NOISE, LEVEL = 2.0, 5.0, 1_000.0
CAMERA = {
    "name": "test",
    "pixel_scale": 0.2,
    "bands": ["g", "r"],
    "raw": {
        "format": "single",
        "header": {"exposure_time": "EXPTIME", "band": "FILTER", "mjd_mid": "MJD-AVG"},
    },
    "detectors": {
        3: {
            "shape": [NY, NX],
            "amplifiers": [
                {
                    "name": "A",
                    "extension": 0,
                    "data_section": [0, NX, 0, NY],
                    "overscan_section": [NX, NX + N_OVERSCAN, 0, NY],
                    "detector_section": [0, NX, 0, NY],
                    "gain": GAIN,
                    "read_noise": READ_NOISE,
                    "saturation": 60_000,
                }
            ],
        }
    },
}
SETTINGS = {
    "isr": {
        "overscan": {"method": "median_per_row", "skip_leading": 1, "skip_trailing": 1, "level": 0},
        "measure_read_noise": True,
        "max_noise_ratio": 5,
        "suspect_fraction": 0.95,
        "exposure_time_tolerance": 0.02,
        "time_tolerance": 300,
    },
    "calibs": {
        "n_sigma": 4,
        "n_iter": 3,
        "min_frames": 3,
        "flat_min_level": 1_000,
        "low_response": 0.5,
        "hot_rate": 2,
        "hot_sigma": 7,
        "drift_sigma": 5,
        "drift_fraction": 0.6,
        "drift_max_frames": 6,
    },
}
BIAS = 4.0 * np.sin(np.arange(NX) / 5)
DARK = np.full((NY, NX), 0.2)
DARK[20, 21] = 30.0
RESPONSE = np.where(np.arange(NX) < NX // 2, 0.9, 1.1) * np.ones((NY, 1))


def script(name):
    return importlib.import_module(name)


@pytest.fixture(autouse=True)
def scripts_on_path(request, monkeypatch):
    monkeypatch.syspath_prepend(request.config.rootpath / "scripts")


@pytest.fixture
def camera(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text(yaml.safe_dump(CAMERA))
    return str(path)


def expose(folder, name, charge, rng, header=None):
    """Write a raw frame of a charge [electron]; returns its path."""
    plane = np.full((NY, NX + N_OVERSCAN), LEVEL * GAIN) + rng.normal(0, READ_NOISE, (NY, NX + N_OVERSCAN))
    plane[:, :NX] += charge + BIAS
    path = folder / f"{name}.fits"
    write_raw(path, {"PRIMARY": np.rint(plane / GAIN).astype(np.uint16)}, {"PRIMARY": header or {}})
    return str(path)


def job_of(camera, frames, output, *, rows=(), **inputs):
    return make_job(
        input={"frames": frames, **inputs},
        output=output,
        params={"settings": SETTINGS, "camera": camera, "frames": list(rows)},
        wildcards={"detector": "3", "epoch": "e1"},
    )


def rows_of(kind, exposure_time, n_row):
    """Rows of the table of calibration frames, as far as the scripts look at them."""
    return [{"kind": kind, "band": "r", "mjd": 61354.0, "exposure_time": exposure_time}] * n_row


def test_bias_dark_and_flat_are_combined_one_from_the_other(tmp_path, camera):
    rng = np.random.default_rng(1)
    out = {kind: str(tmp_path / "calib" / f"{kind}.fits") for kind in ("bias", "dark", "defects", "flat")}
    biases = [expose(tmp_path, f"bias{i}", 0, rng) for i in range(6)]
    darks = [expose(tmp_path, f"dark{i}", rng.poisson(100 * DARK), rng) for i in range(4)]
    flats = [expose(tmp_path, f"flat{i}", rng.poisson(20_000 * RESPONSE + 5 * DARK), rng) for i in range(4)]

    script("combine_bias").main(job_of(camera, biases, {"bias": out["bias"]}))
    dark_rows = rows_of("dark", 100.0, 4)
    dark_out = {"dark": out["dark"], "defects": out["defects"]}
    script("combine_dark").main(job_of(camera, darks, dark_out, rows=dark_rows, bias=out["bias"]))
    flat_rows = rows_of("flat", 5.0, 4)
    calibs = {"bias": out["bias"], "dark": out["dark"]}
    script("combine_flat").main(job_of(camera, flats, {"flat": out["flat"]}, rows=flat_rows, **calibs))

    # Errors: read noise, digits and overscan medians (5.7 electron with all) over the root of 6 frames.
    bias = read_calib(out["bias"], "bias")
    assert np.std(bias.image - BIAS) == pytest.approx(5.7 / np.sqrt(6), rel=0.1)
    dark = read_calib(out["dark"], "dark")
    assert np.median(dark.image) == pytest.approx(0.2, abs=0.02)
    assert np.argwhere(read_calib(out["defects"], "defects").is_bad).tolist() == [[20, 21]]
    flat = read_calib(out["flat"], "flat")
    assert np.std(flat.image / RESPONSE) == pytest.approx(1 / np.sqrt(80_000), rel=0.1)
    assert sorted(p.name for p in (tmp_path / "calib").iterdir()) == sorted(f"{kind}.fits" for kind in out)


def test_a_dark_without_a_bias_frame_keeps_the_bias_structure(tmp_path, camera):
    rng = np.random.default_rng(2)
    darks = [expose(tmp_path, f"dark{i}", rng.poisson(100 * DARK), rng) for i in range(4)]
    out = {"dark": str(tmp_path / "dark.fits"), "defects": str(tmp_path / "defects.fits")}

    script("combine_dark").main(job_of(camera, darks, out, rows=rows_of("dark", 100.0, 4), bias=[]))

    dark = read_calib(out["dark"], "dark")
    assert np.corrcoef(np.median(dark.image, axis=0), BIAS)[0, 1] > 0.8


def test_a_dark_frame_of_another_exposure_time_than_its_row_fails_the_job(tmp_path, camera):
    rng = np.random.default_rng(4)
    darks = [expose(tmp_path, f"dark{t}", 100 * DARK, rng, {"EXPTIME": t}) for t in (100.0, 10.0)]
    out = {"dark": str(tmp_path / "dark.fits"), "defects": str(tmp_path / "defects.fits")}
    with pytest.raises(WrongExposureTimeError, match="header says 10 s, the table 100 s"):
        script("combine_dark").main(job_of(camera, darks, out, rows=rows_of("dark", 100.0, 2), bias=[]))
    assert sorted(path.name for path in tmp_path.glob("d*.fits")) == ["dark10.0.fits", "dark100.0.fits"]


@pytest.mark.parametrize(
    ("cards", "error", "message"),
    [
        ({"FILTER": "g"}, WrongBandError, "header's filter is g, the table's r"),
        ({"EXPTIME": 50.0}, WrongExposureTimeError, "header says 50 s, the table 5 s"),
        ({"MJD-AVG": 61355.0}, WrongTimeError, "86400 s from the table's 61353.9"),
        ({"FILTER": "no such"}, None, ""),
        ({"MJD-AVG": 61354.001, "FILTER": "r", "EXPTIME": 5.0}, None, ""),
    ],
)
def test_a_flat_that_is_not_the_one_of_its_row_fails_the_job(tmp_path, camera, cards, error, message):
    rng = np.random.default_rng(5)
    flats = [expose(tmp_path, f"flat{i}", rng.poisson(20_000 * RESPONSE), rng, cards) for i in range(3)]
    job = job_of(
        camera, flats, {"flat": str(tmp_path / "f.fits")}, rows=rows_of("flat", 5.0, 3), bias=[], dark=[]
    )
    if error is None:
        script("combine_flat").main(job)
        assert (tmp_path / "f.fits").exists()
        return
    with pytest.raises(error, match=message):
        script("combine_flat").main(job)
    assert not (tmp_path / "f.fits").exists()


def test_defects_of_a_drifting_field_leave_damaged_frames_out(tmp_path, camera, caplog):
    rng = np.random.default_rng(3)
    frames = [expose(tmp_path, f"science{i}", rng.poisson(60 * DARK + 500), rng) for i in range(9)]
    (tmp_path / "science0.fits").write_bytes(b"SIMPLE  =                    T")
    out = str(tmp_path / "defects.fits")

    script("find_defects").main(job_of(camera, frames, {"defects": out}))

    defects = read_calib(out, "defects")
    assert np.argwhere(defects.is_bad).tolist() == [[20, 21]]
    assert defects.info["n_frame"] == 5
    assert "science0.fits is left out: TruncatedRaw" in caplog.text


def test_too_few_frames_fail_the_job(tmp_path, camera):
    frames = [expose(tmp_path, f"bias{i}", 0, np.random.default_rng(4)) for i in range(2)]
    with pytest.raises(TooFewFramesError, match="2 usable frames for the bias, needs 3"):
        script("combine_bias").main(job_of(camera, frames, {"bias": str(tmp_path / "bias.fits")}))
