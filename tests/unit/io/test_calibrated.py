"""Calibrated images are read with mask and variance, from one file or several."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

from skyloom.core.camera import camera_from_dict
from skyloom.io.calibrated import CalibratedShapeError, MissingCompanionError, read_calibrated
from skyloom.io.fits_layout import CorruptRawError
from skyloom.io.raws import MissingPlaneError

SHAPE = (30, 40)


def camera(raw_format="extensions", extension="SCI", **section):
    described = {"unit": "ADU", "gain": 2.0, "variance": {"form": "error", "extension": "ERR"}} | section
    return camera_from_dict(
        {
            "name": "reduced",
            "pixel_scale": 0.4,
            "bands": ["r"],
            "raw": {"format": raw_format, "header": {"exposure_time": "EXPTIME"}},
            "calibrated": described,
            "detectors": {0: {"shape": [32, 48], "extension": extension}},
        }
    )


BITS = {"form": "bits", "extension": "DQ", "planes": {0: "BAD", 31: "SAT"}}


@pytest.fixture
def planes():
    rng = np.random.default_rng(3)
    flags = np.zeros(SHAPE, dtype=np.uint32)
    flags[4, 5:8], flags[20, 30] = 1, 2**31 + 1
    return {
        "SCI": rng.normal(100, 5, SHAPE).astype(np.float32),
        "ERR": rng.uniform(4, 6, SHAPE).astype(np.float32),
        "DQ": flags,
    }


def write(path, planes, unit=fits.ImageHDU, cards=()):
    primary = fits.PrimaryHDU()
    primary.header["EXPTIME"] = 30.0
    hdus = [unit(plane, name=name) for name, plane in planes.items()]
    for card in cards:
        hdus[0].header[card[0]] = card[1]
    fits.HDUList([primary, *hdus]).writeto(path)
    return path


def compressed(plane, name):
    return fits.CompImageHDU(plane, name=name, compression_type="GZIP_1", quantize_level=0)


@pytest.mark.parametrize("unit", [fits.ImageHDU, compressed])
def test_mask_and_error_in_the_same_file(tmp_path, planes, unit):
    path = write(tmp_path / "x.fits", planes, unit, [("GAIN", 3.5)])
    described = camera(mask=BITS)
    frame = read_calibrated(path, {}, described.detectors[0], described)
    np.testing.assert_array_equal(frame.image, planes["SCI"])
    np.testing.assert_array_equal(frame.noise, planes["ERR"])
    # Bit 31 of an unsigned number of 32 bits, which float32 does not hold beside bit 0.
    np.testing.assert_array_equal(frame.flags, planes["DQ"])
    assert frame.flags.dtype == np.uint64
    assert (frame.header["exposure_time"], frame.header["GAIN"]) == (30.0, 3.5)


def test_mask_and_weight_in_files_of_their_own(tmp_path, planes):
    files = {}
    for name, plane in planes.items():
        fits.PrimaryHDU(plane.astype(np.int32) if name == "DQ" else plane).writeto(tmp_path / f"{name}.fits")
        files[name] = tmp_path / f"{name}.fits"
    packed = tmp_path / "SCI.fits.gz"
    packed.write_bytes(gzip.compress(files["SCI"].read_bytes()))
    mask = {"form": "codes", "planes": {1: "BAD"}}
    described = camera("single", 0, variance={"form": "weight"}, mask=mask)
    companions = {"mask": str(files["DQ"]), "variance": str(files["ERR"])}
    frame = read_calibrated(packed, companions, described.detectors[0], described)
    np.testing.assert_array_equal(frame.image, planes["SCI"])
    np.testing.assert_array_equal(frame.noise, planes["ERR"])
    assert frame.flags[4, 5:8].tolist() == [1, 1, 1]


def test_an_image_alone_has_no_planes(tmp_path, planes):
    path = write(tmp_path / "x.fits", {"SCI": planes["SCI"]})
    described = camera(variance={"form": "gain"})
    frame = read_calibrated(path, {}, described.detectors[0], described)
    assert frame.noise is frame.flags is None


def test_a_plane_that_is_missing_is_named_with_its_file_and_where_to_say_it(tmp_path, planes):
    described = camera(mask=BITS)
    path = write(tmp_path / "x.fits", {key: planes[key] for key in ("SCI", "ERR")})
    told = r"x.fits has no image plane DQ for the mask, it has \['SCI', 'ERR'\].*calibrated.mask.extension.*column mask"
    with pytest.raises(MissingCompanionError, match=told):
        read_calibrated(path, {}, described.detectors[0], described)
    other = write(tmp_path / "w.fits", {"DQ": planes["DQ"]})
    with pytest.raises(MissingCompanionError, match="w.fits has no image plane ERR for the variance"):
        read_calibrated(path, {"variance": str(other)}, described.detectors[0], described)
    with pytest.raises(MissingPlaneError, match="SCI"):
        read_calibrated(other, {}, described.detectors[0], described)


def test_sizes_that_do_not_fit_are_refused(tmp_path, planes):
    described = camera(variance={"form": "gain"})
    large = write(tmp_path / "large.fits", {"SCI": np.zeros((33, 40), dtype=np.float32)})
    with pytest.raises(
        CalibratedShapeError, match=r"image has shape \(33, 40\), needs at most the camera file's \(32, 48\)"
    ):
        read_calibrated(large, {}, described.detectors[0], described)
    described = camera()
    path = write(tmp_path / "x.fits", {"SCI": planes["SCI"], "ERR": planes["ERR"][1:]})
    with pytest.raises(
        CalibratedShapeError, match=r"variance has shape \(29, 40\), needs the image's \(30, 40\)"
    ):
        read_calibrated(path, {}, described.detectors[0], described)


def test_a_mask_of_broken_numbers_is_refused(tmp_path, planes):
    described = camera(mask=BITS)
    path = write(tmp_path / "x.fits", planes | {"DQ": planes["DQ"].astype(np.float32)})
    with pytest.raises(CorruptRawError, match="BITPIX -32.*a mask holds whole numbers"):
        read_calibrated(path, {}, described.detectors[0], described)


def spans_table(objects):
    """Table of an fpM file: an object is (row0, col0, list of (row, first, last))."""
    names = ("refcntr", "nspan", "row0", "col0", "rmin", "rmax", "cmin", "cmax", "npix")
    heap = np.empty(len(objects), dtype=object)
    for k, (_, _, runs) in enumerate(objects):
        heap[k] = np.frombuffer(np.array(runs, dtype=">u2").tobytes(), dtype=np.uint8)
    values = {"row0": [o[0] for o in objects], "col0": [o[1] for o in objects]}
    columns = [fits.Column(name, "1J", array=values.get(name, [0] * len(objects))) for name in names]
    return fits.BinTableHDU.from_columns([*columns, fits.Column("s", "1PB()", array=heap)])


def test_masks_of_sdss_are_runs_of_pixels(tmp_path, planes):
    image = tmp_path / "x.fits"
    fits.PrimaryHDU(planes["SCI"]).writeto(image)
    tables = [
        spans_table([(0, 0, [(0, 0, 39), (29, 39, 39)]), (10, 20, [(2, 1, 3)])]),
        spans_table([(0, 0, [(0, 5, 6)])]),
    ]
    mask = tmp_path / "m.fits"
    fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(mask)
    layout = {"form": "sdss_spans", "planes": {1: "INTRP", 2: "SAT"}}
    described = camera("single", 0, variance={"form": "gain"}, mask=layout)
    flags = read_calibrated(image, {"mask": str(mask)}, described.detectors[0], described).flags
    expected = np.zeros(SHAPE, dtype=np.uint64)
    expected[0], expected[29, 39], expected[12, 21:24] = 2, 2, 2
    expected[0, 5:7] = 2 + 4
    np.testing.assert_array_equal(flags, expected)


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ([[(0, 0, [(30, 0, 1)])]], r"masks pixels up to row 30, column 1 of \(30, 40\)"),
        ([[(0, 0, [(0, 0, 40)])]], "masks pixels up to row 0, column 40"),
        ([[(0, 0, [])]], "the mask has no table 2, it has 2 units"),
    ],
)
def test_runs_that_leave_the_image_and_missing_tables_are_named(tmp_path, planes, tables, told):
    image, mask = tmp_path / "x.fits", tmp_path / "m.fits"
    fits.PrimaryHDU(planes["SCI"]).writeto(image)
    fits.HDUList([fits.PrimaryHDU(), *map(spans_table, tables)]).writeto(mask)
    layout = {"form": "sdss_spans", "planes": {1: "INTRP", 2: "SAT"}}
    described = camera("single", 0, variance={"form": "gain"}, mask=layout)
    with pytest.raises(CorruptRawError, match=told):
        read_calibrated(image, {"mask": str(mask)}, described.detectors[0], described)


def test_a_mask_of_images_is_no_mask_of_runs(tmp_path, planes):
    path = write(tmp_path / "x.fits", planes)
    layout = {"form": "sdss_spans", "planes": {1: "INTRP"}}
    described = camera(variance={"form": "gain"}, mask=layout)
    with pytest.raises(CorruptRawError, match="unit 1 is no table of runs of pixels"):
        read_calibrated(path, {}, described.detectors[0], described)
