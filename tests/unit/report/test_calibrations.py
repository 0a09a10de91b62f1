"""Levels, scatters and ages of calibrations that are known."""

import numpy as np
import pytest
from report_parts import values_of

from skyloom.core.calib_images import CalibImage
from skyloom.report.calibrations import gather_calibrations


def test_a_calibration_is_measured_on_its_good_pixels(run):
    measured = gather_calibrations(run, {"e1/bias/none": 3.5})
    values = values_of(measured, "calib e1/bias/none/0")
    assert values == {
        "calib_age": 3.5, "calib_n_frame": 12, "calib_level": 2.0, "calib_scatter": 0.0,
        "calib_bad_fraction": pytest.approx(0.01),
    }  # fmt: skip
    assert {m.band for m in measured} == {"all"}


def test_the_error_of_a_calibration_is_that_of_its_scatter_over_all_pixels(run):
    rng = np.random.default_rng(3)
    images = [rng.normal(2, 3, (200, 200)).astype(np.float32) for _ in range(40)]
    calibs = [
        (f"e1/bias/none/{k}", CalibImage("bias", i, i, np.zeros(i.shape, bool))) for k, i in enumerate(images)
    ]
    run.calibs = lambda: iter(calibs)
    measured = gather_calibrations(run, {})
    for name in ("calib_level", "calib_scatter"):
        of_name = [m for m in measured if m.name == name]
        # 40 values tell their scatter to 11 %.
        assert np.std([m.value for m in of_name]) == pytest.approx(of_name[0].error, rel=0.45)


def test_a_flat_has_its_band_and_defects_of_science_frames_neither_age_nor_frames(run):
    image = np.ones((4, 4), np.float32)
    parts = image, image, np.zeros((4, 4), bool)
    run.calibs = lambda: iter(
        [
            ("e1/flat/r/0", CalibImage("flat", *parts, {"n_frame": 5})),
            ("e1/illumination/r/0", CalibImage("illumination", *parts, {"n_frame": 5})),
            ("s/defects/none/0", CalibImage("defects", *parts)),
        ]
    )
    measured = gather_calibrations(run, {})
    for name in ("flat", "illumination"):
        assert {m.band for m in measured if m.subject == f"calib e1/{name}/r/0"} == {"r"}
    assert set(values_of(measured, "calib s/defects/none/0")) == {
        "calib_level", "calib_scatter", "calib_bad_fraction",
    }  # fmt: skip


def test_a_calibration_without_a_good_pixel_has_no_level(run):
    image = np.ones((2, 2), np.float32)
    bad = CalibImage("bias", image, image, np.ones((2, 2), bool))
    run.calibs = lambda: iter([("e1/bias/none/0", bad)])
    values = values_of(gather_calibrations(run, {}), "calib e1/bias/none/0")
    assert np.isnan(values["calib_level"])
    assert values["calib_bad_fraction"] == 1
