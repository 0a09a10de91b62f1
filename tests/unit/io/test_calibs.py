"""Tests of skyloom.io.calibs."""

import errno
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from skyloom.core.calib_images import KINDS, CalibImage, Calibs
from skyloom.core.errors import CorruptProductError, ImageShapeError
from skyloom.core.images import native_rows
from skyloom.io.calibs import WrongCalibError, frame_stack, read_calib, read_calibs, write_calib
from skyloom.io.fits_files import image_hdu, mask_hdu, write_fits
from skyloom.io.provenance import Provenance


def calib_of(kind):
    rng = np.random.default_rng(KINDS.index(kind))
    image, variance = rng.normal(0, 1, (2, 12, 9)).astype(np.float32)
    is_bad = rng.random((12, 9)) < 0.2
    return CalibImage(kind, image, variance**2, is_bad, {"n_frame": 5, "level": 20_000.5, "band": "r"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_calibration_comes_back_as_it_was(tmp_path, kind):
    calib = calib_of(kind)
    write_calib(tmp_path / "c.fits", calib, Provenance(rule="combine"))

    back = read_calib(tmp_path / "c.fits", kind)

    for plane in ("image", "variance", "is_bad"):
        np.testing.assert_array_equal(getattr(back, plane), getattr(calib, plane))
        assert getattr(back, plane).dtype == getattr(calib, plane).dtype
    assert (back.kind, back.info) == (kind, calib.info)


def test_a_calibration_says_what_it_is_to_other_readers(tmp_path):
    write_calib(tmp_path / "dark.fits", calib_of("dark"), Provenance())

    with fits.open(tmp_path / "dark.fits") as hdus:
        assert [hdu.name for hdu in hdus][1:4] == ["IMAGE", "MASK", "VARIANCE"]
        assert hdus[0].header["CALKIND"] == "dark"
        assert hdus["IMAGE"].header["BUNIT"] == "electron/s"


def test_swapped_inputs_are_named(tmp_path):
    write_calib(tmp_path / "c.fits", calib_of("bias"), Provenance())
    with pytest.raises(WrongCalibError, match="c.fits is a bias, needs a flat"):
        read_calib(tmp_path / "c.fits", "flat")


def test_a_changed_byte_is_noticed(tmp_path):
    path = tmp_path / "c.fits"
    write_calib(path, calib_of("bias"), Provenance())
    content = bytearray(path.read_bytes())
    content[-3000] ^= 4
    path.write_bytes(content)
    with pytest.raises(CorruptProductError, match="bytes were changed"):
        read_calib(path, "bias")


def test_a_mapped_calibration_is_the_one_in_memory(tmp_path):
    calib, path = calib_of("flat"), tmp_path / "c.fits"
    write_calib(path, calib, Provenance())

    mapped = read_calibs({"flat": path}).flat

    rows = slice(3, 8)
    for plane in ("image", "variance"):
        part = native_rows(getattr(mapped, plane), rows)
        np.testing.assert_array_equal(part, getattr(calib, plane)[rows])
        assert (part.dtype, part.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_array_equal(mapped.is_bad, calib.is_bad)


def test_a_calibration_of_an_older_skyloom_is_refused(tmp_path):
    calib, path = calib_of("bias"), tmp_path / "c.fits"
    hdus = [
        image_hdu("IMAGE", calib.image),
        mask_hdu("MASK", calib.is_bad.astype(np.uint32)),
        image_hdu("VARIANCE", calib.variance),
    ]
    write_fits(path, {"CALKIND": ("bias", ""), "CALINFO": ("{}", "")}, hdus, Provenance())
    with pytest.raises(CorruptProductError, match="an older Skyloom made it, combine it again"):
        read_calibs({"bias": path})


def test_a_calibration_that_is_not_there_switches_its_step_off(tmp_path):
    write_calib(tmp_path / "b.fits", calib_of("bias"), Provenance())

    calibs = read_calibs({"bias": tmp_path / "b.fits", "dark": [], "flat": ""})

    assert calibs.bias.kind == "bias"
    assert (calibs.dark, calibs.flat, calibs.defects) == (None, None, None)
    assert read_calibs({}) == Calibs()


def test_planes_of_different_shapes_are_refused():
    with pytest.raises(ImageShapeError, match="different shapes"):
        replace(calib_of("bias"), is_bad=np.zeros((3, 3), bool))


def test_the_stack_of_frames_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "new"
    with frame_stack(3, (4, 5), folder) as stack:
        assert (stack.shape, stack.dtype) == ((3, 4, 5), np.float32)
        stack[1] = 7
        stack[2, 0, 0] = np.nan
        assert stack.max(where=np.isfinite(stack), initial=0) == 7
        assert list(folder.iterdir()) == []
    assert list(folder.iterdir()) == []


def test_a_full_disk_is_an_error_at_the_start(tmp_path, monkeypatch):
    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", no_space)
    with pytest.raises(OSError, match="No space left"), frame_stack(3, (4, 5), tmp_path):
        pytest.fail("there is no room for the stack")
