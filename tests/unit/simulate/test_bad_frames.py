import numpy as np
import pytest

from skyloom.simulate.bad_frames import bad_kind, spoil_planes, truncate_file

PLANES = {"A": np.full((8, 6), 1000, np.uint16)}


def test_only_the_listed_frame_is_bad():
    bad_frames = [{"visit": 5, "detector": 1, "kind": "nan"}]
    assert bad_kind(bad_frames, 5, 1) == "nan"
    assert bad_kind(bad_frames, 5, 0) == ""
    assert bad_kind([], 5, 1) == ""


def test_pixels_become_nan_zero_or_fewer():
    assert np.isnan(spoil_planes(PLANES, "nan")["A"]).all()
    assert not spoil_planes(PLANES, "zeros")["A"].any()
    assert spoil_planes(PLANES, "shape")["A"].shape == (6, 6)


@pytest.mark.parametrize("kind", ["", "truncated", "empty", "wrong_sky"])
def test_other_kinds_leave_the_pixels_alone(kind):
    assert spoil_planes(PLANES, kind) is PLANES


def test_a_truncated_file_keeps_its_beginning(tmp_path):
    path = tmp_path / "frame.fits"
    path.write_bytes(bytes(range(100)))
    truncate_file(path)
    assert path.read_bytes() == bytes(range(60))
