"""Peaks of several bands become one list in order of priority; reference bands follow the signal to noise."""

from types import SimpleNamespace

import numpy as np
import pytest

from skyloom.objects.merging import merge_peaks
from skyloom.objects.positions import reference_bands


def peaks(*rows):
    x, y, significance = (np.array(values, dtype=float) for values in zip(*rows, strict=True))
    return SimpleNamespace(x=x, y=y, significance=significance)


NONE = SimpleNamespace(x=np.zeros(0), y=np.zeros(0), significance=np.zeros(0))


def test_a_peak_beyond_the_new_radius_is_a_new_object():
    merged = merge_peaks({"r": peaks((10, 10, 9.0)), "i": peaks((10, 16, 7.0))}, ["i", "r"], 5.0, 1.5)
    assert merged.band.tolist() == ["i", "r"]
    assert merged.y.tolist() == [16.0, 10.0]
    assert merged.index.tolist() == [0, 0]


def test_a_peak_within_the_same_radius_is_the_object_itself():
    merged = merge_peaks({"r": peaks((11, 10, 9.0)), "i": peaks((10, 10, 7.0))}, ["i", "r"], 5.0, 1.5)
    assert merged.x.tolist() == [10.0]
    assert merged.significance["r"].tolist() == [9.0]
    assert merged.significance["i"].tolist() == [7.0]


def test_a_peak_between_the_radii_is_neither():
    merged = merge_peaks({"r": peaks((13, 10, 9.0)), "i": peaks((10, 10, 7.0))}, ["i", "r"], 5.0, 1.5)
    assert len(merged.x) == 1
    assert np.isnan(merged.significance["r"]).all()


def test_close_peaks_of_one_band_are_all_kept():
    merged = merge_peaks({"r": peaks((10, 10, 9.0), (12, 10, 8.0))}, ["r"], 5.0, 1.5)
    assert len(merged.x) == 2


def test_the_brighter_of_two_peaks_on_one_object_counts():
    merged = merge_peaks(
        {"r": peaks((10.5, 10, 6.0), (9.5, 10, 8.0)), "i": peaks((10, 10, 7.0))}, ["i", "r"], 5.0, 1.5
    )
    assert merged.significance["r"].tolist() == [8.0]


@pytest.mark.parametrize(("detections", "n"), [({"r": NONE}, 0), ({"r": NONE, "i": peaks((1, 1, 5.0))}, 1)])
def test_bands_without_peaks_are_no_trouble(detections, n):
    merged = merge_peaks(detections, ["r", "i", "z"], 5.0, 1.5)
    assert len(merged.x) == n


def test_the_reference_band_is_the_first_of_the_order_with_enough_signal_or_the_best():
    fits = {
        "i": {"flux": np.array([50.0, 5.0, np.nan, 5.0]), "flux_err": np.ones(4)},
        "r": {"flux": np.array([90.0, 30.0, 4.0, 8.0]), "flux_err": np.ones(4)},
    }
    assert reference_bands(fits, ["z", "i", "r"], 10.0).tolist() == ["i", "r", "r", "r"]
