"""Tests of skyloom.io.raws: good frames come back exactly, bad ones are named."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

from skyloom.core.camera import Amplifier, Detector, RawLayout
from skyloom.io.fits_layout import CorruptRawError, TruncatedRawError, scan_fits
from skyloom.io.raws import MissingPlaneError, WrongShapeRawError, read_raw, write_raw

SHAPE = (20, 31)


def amplifier(extension):
    return Amplifier(
        name=str(extension),
        extension=extension,
        data_section=(3, 27, 0, 20),
        prescan_section=(0, 3, 0, 20),
        overscan_section=(27, 31, 0, 20),
        detector_section=(0, 24, 0, 20),
    )


def detector_of(*extensions):
    return Detector(5, "S05", (20, 24), (0.0, 0.0), 0.0, tuple(amplifier(e) for e in extensions))


SINGLE = RawLayout("single", {"exposure_time": "EXPTIME", "airmass": "AIRMASS"})
EXTENSIONS = RawLayout("extensions", {"exposure_time": "EXPTIME"})


@pytest.fixture
def pixels():
    return np.random.default_rng(1).integers(0, 65536, SHAPE).astype(np.uint16)


@pytest.fixture
def single(tmp_path, pixels):
    path = tmp_path / "single.fits"
    write_raw(path, {"PRIMARY": pixels}, {"PRIMARY": {"EXPTIME": (30.0, "[s]"), "OBJECT": "it's M31"}})
    return path


def test_a_single_plane_comes_back_with_its_header_by_keyword_and_by_name(single, pixels):
    raw = read_raw(single, detector_of(0), SINGLE)

    np.testing.assert_array_equal(raw.planes[0], pixels)
    assert raw.planes[0].dtype == np.float32
    assert raw.header["exposure_time"] == raw.header["EXPTIME"] == 30.0
    assert raw.header["OBJECT"] == "it's M31"
    assert "airmass" not in raw.header
    assert raw.detector.id == 5


def test_extensions_are_found_by_name_and_by_number(tmp_path, pixels):
    path = tmp_path / "multi.fits"
    write_raw(path, {"A": pixels, "B": pixels[::-1]}, {"PRIMARY": {"EXPTIME": 5}, "B": {"GAIN": 1.5}})

    raw = read_raw(path, detector_of("A", 2), EXTENSIONS)

    np.testing.assert_array_equal(raw.planes["A"], pixels)
    np.testing.assert_array_equal(raw.planes[2], pixels[::-1])
    assert raw.header["exposure_time"] == 5


def test_writing_twice_gives_the_same_bytes(tmp_path, pixels):
    for name in ("a.fits", "b.fits"):
        write_raw(tmp_path / name, {"A": pixels}, {})
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.fits", "b.fits"]


def test_a_gzipped_frame_is_unpacked(tmp_path, single, pixels):
    path = tmp_path / "single.fits.gz"
    path.write_bytes(gzip.compress(single.read_bytes()))

    np.testing.assert_array_equal(read_raw(path, detector_of(0), SINGLE).planes[0], pixels)


@pytest.mark.parametrize("compression", ["RICE_1", "GZIP_1", "GZIP_2"])
def test_tile_compression_is_undone(tmp_path, pixels, compression):
    path = tmp_path / "tiles.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels, compression_type=compression)]).writeto(path)

    np.testing.assert_array_equal(read_raw(path, detector_of("x"), SINGLE).planes["x"], pixels)


@pytest.mark.parametrize(
    "cards", [b"XTENSION= 'IMAGE   '", b"NAXIS   = 9", b"COMMENT \xff\x00", b"ZNAXIS1 = 1"]
)
def test_cards_that_the_library_would_stumble_over_do_not_reach_it(tmp_path, pixels, cards):
    path = tmp_path / "tiles.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels, compression_type="GZIP_1")]).writeto(path)
    content = path.read_bytes()
    end = content.rindex(b"END".ljust(80), 0, 3 * 2880)
    path.write_bytes(content[:end] + cards.ljust(80) + b"END".ljust(80) + content[end + 160 :])

    np.testing.assert_array_equal(read_raw(path, detector_of("x"), SINGLE).planes["x"], pixels)


def test_compressed_pixels_are_scaled_by_small_numbers_too(tmp_path):
    path = tmp_path / "tiles.fits"
    stored = np.random.default_rng(3).integers(-1000, 1000, SHAPE).astype(np.int32)
    tiles = fits.CompImageHDU(stored, compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), tiles]).writeto(path)
    content = path.read_bytes()
    end = content.rindex(b"END".ljust(80), 0, 3 * 2880)
    cards = b"".join(c.ljust(80) for c in (b"BSCALE  = 2.5D-05", b"BZERO   = -1.5", b"END"))
    path.write_bytes(content[:end] + cards + content[end + len(cards) :])

    plane = read_raw(path, detector_of("x"), SINGLE).planes["x"]

    np.testing.assert_allclose(plane, 2.5e-05 * stored - 1.5, rtol=1e-6)


def test_a_tile_that_breaks_off_is_named(tmp_path, pixels):
    path = tmp_path / "tiles.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels, compression_type="GZIP_1")]).writeto(path)
    with fits.open(path, disable_image_compression=True) as hdus:
        length, start = (int(v) for v in hdus[1].data.base["COMPRESSED_DATA"][3])
    content = bytearray(path.read_bytes())
    # The descriptor of tile 3 now ends in the middle of its stream.
    descriptor = content.index(np.array([length, start], ">i4").tobytes())
    content[descriptor : descriptor + 4] = np.array(length // 2, ">i4").tobytes()
    path.write_bytes(content)
    with pytest.raises(CorruptRawError, match=r"plane 1 cannot be unpacked \(.*end"):
        read_raw(path, detector_of("x"), SINGLE)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_every_pixel_type_is_read(tmp_path, dtype):
    path = tmp_path / "type.fits"
    values = (np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE) % 250).astype(dtype)
    fits.PrimaryHDU(values).writeto(path)

    np.testing.assert_array_equal(read_raw(path, detector_of(0), SINGLE).planes[0], values)


def test_scaled_pixels_are_scaled_and_blank_ones_are_nan(tmp_path):
    path = tmp_path / "scaled.fits"
    stored = np.arange(SHAPE[0] * SHAPE[1], dtype=np.int16).reshape(SHAPE)
    hdu = fits.PrimaryHDU(stored)
    hdu.header["BLANK"] = 7
    hdu.writeto(path)
    content = path.read_bytes()
    cards = b"BSCALE  =                  0.5".ljust(80) + b"BZERO   =                 10.0".ljust(80)
    end = content.index(b"END".ljust(80))
    path.write_bytes((content[:end] + cards + b"END".ljust(80)).ljust(2880) + content[2880:])

    plane = read_raw(path, detector_of(0), SINGLE).planes[0]

    assert np.isnan(plane.ravel()[7])
    assert plane.ravel()[100] == 60.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_no_converter_gives_is_no_number(tmp_path, dtype):
    path = tmp_path / "damaged.fits"
    values = np.ones(SHAPE, dtype=dtype)
    values[0, :5] = (np.inf, -np.inf, np.finfo(dtype).max, np.nan, 5e9)
    fits.PrimaryHDU(values).writeto(path)
    content, offset = bytearray(path.read_bytes()), 2880 + 5 * values.itemsize
    signalling = bytes.fromhex("7f800001" if dtype is np.float32 else "7ff0000000000001")
    content[offset : offset + len(signalling)] = signalling
    path.write_bytes(content)

    plane = read_raw(path, detector_of(0), SINGLE).planes[0]

    # Warnings are errors in the tests: neither the reading nor a sum afterwards gives one.
    assert np.isnan(plane[0, :6] - plane[0, :6]).all()
    assert np.isfinite(plane).sum() == plane.size - 6


def sloppy(pixels, *cards):
    """A frame as small observatories write them: free-format cards, junk values, no padding at the end."""
    fixed = ["SIMPLE  =                    T", "BITPIX  = 16", "NAXIS   = 2", "NAXIS1  = 31", "NAXIS2  = 20"]
    header = b"".join(c.encode("latin-1").ljust(80) for c in [*fixed, *cards, "END"])
    padded = header.ljust(-(-len(header) // 2880) * 2880)
    return padded + pixels.astype(">i2").tobytes()


def test_sloppy_headers_are_tolerated(tmp_path):
    pixels = np.arange(620).reshape(SHAPE)
    path = tmp_path / "sloppy.fit"
    cards = [
        "EQUINOX = 2000.0 / Epoch of celestial coordinate system used",
        "MJD-OBS = 58107.065 / wrong",
        "TELALT  = +62.592 / Altitude",
        "RA      =  31.312099 / 02:05.25",
        "WEATHER = 099 / Clear",
        "BADVALUE= one two / three",
        "UT-OBS  = '2017-12-20T01:33:43.317-0000' / Universal Time",
        "BROKEN  = 'no end of this string",
        "HIERARCH ESO DET GAIN = 1.5D0 / gain",
        "COMMENT   This = a comment",
        "\xff\xfe junk",
        "EXPTIME = 060.00 / Exposure time in Seconds",
        "EXPTIME = 999 / a duplicate",
    ]
    path.write_bytes(sloppy(pixels, *cards))

    raw = read_raw(path, detector_of(0), SINGLE)

    np.testing.assert_array_equal(raw.planes[0], pixels)
    assert raw.header["exposure_time"] == 60.0
    assert raw.header["TELALT"] == 62.592
    assert raw.header["WEATHER"] == 99
    assert raw.header["UT-OBS"] == "2017-12-20T01:33:43.317-0000"
    assert raw.header["BADVALUE"] == "one two"
    assert raw.header["ESO DET GAIN"] == 1.5


@pytest.mark.parametrize("n_byte", [1, 100, 2000, 2880, 3000, 4100])
def test_a_truncated_frame_is_named(tmp_path, single, n_byte):
    path = tmp_path / "cut.fits"
    path.write_bytes(single.read_bytes()[:n_byte])

    with pytest.raises((TruncatedRawError, CorruptRawError), match="transfer"):
        read_raw(path, detector_of(0), SINGLE)


def test_missing_data_are_counted(tmp_path, single):
    path = tmp_path / "cut.fits"
    path.write_bytes(single.read_bytes()[:3000])

    with pytest.raises(TruncatedRawError, match="holds 3000 bytes, its headers promise 4120") as caught:
        read_raw(path, detector_of(0), SINGLE)
    assert (caught.value.n_bytes, caught.value.n_needed, caught.value.reason) == (3000, 4120, "TruncatedRaw")


def test_missing_padding_alone_is_tolerated(tmp_path, single, pixels):
    path = tmp_path / "unpadded.fits"
    path.write_bytes(single.read_bytes()[: 2880 + pixels.nbytes])

    np.testing.assert_array_equal(read_raw(path, detector_of(0), SINGLE).planes[0], pixels)


def test_an_empty_file_is_truncated(tmp_path):
    path = tmp_path / "empty.fits"
    path.touch()
    with pytest.raises(TruncatedRawError, match="holds 0 bytes"):
        read_raw(path, detector_of(0), SINGLE)


def test_a_gzip_stream_that_breaks_off_or_is_damaged_is_named(tmp_path, single):
    packed = gzip.compress(single.read_bytes())
    path = tmp_path / "bad.fits.gz"
    path.write_bytes(packed[:-200])
    with pytest.raises(TruncatedRawError, match="gzip stream has no end"):
        read_raw(path, detector_of(0), SINGLE)
    path.write_bytes(packed[:-8] + b"\0" * 8)
    with pytest.raises(CorruptRawError, match="gzip stream is damaged"):
        read_raw(path, detector_of(0), SINGLE)


def test_a_gzip_bomb_is_refused_before_it_fills_the_memory(tmp_path, single, monkeypatch):
    monkeypatch.setattr("skyloom.io.raws.MAX_BYTES_BEYOND_PIXELS", 10_000)
    path = tmp_path / "bomb.fits.gz"
    path.write_bytes(gzip.compress(single.read_bytes() + b"\0" * 100_000))
    with pytest.raises(CorruptRawError, match="more than any frame of this camera"):
        read_raw(path, detector_of(0), SINGLE)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path, single, monkeypatch):
    def read_bytes(path):
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr("skyloom.io.fits_layout.Path.read_bytes", read_bytes)
    with open(single, "r+b") as stream:
        stream.truncate(10**9)
    with pytest.raises(CorruptRawError, match="more than any frame of this camera"):
        read_raw(single, detector_of(0), SINGLE)


def test_a_frame_of_another_read_out_mode_is_named_with_both_shapes(tmp_path, pixels):
    path = tmp_path / "binned.fits"
    write_raw(path, {"PRIMARY": pixels[::2, ::2]}, {})
    with pytest.raises(WrongShapeRawError, match=r"shape \(10, 16\), the camera's sections span \(20, 31\)"):
        read_raw(path, detector_of(0), SINGLE)


def test_a_frame_of_another_camera_lacks_the_planes(tmp_path, pixels):
    path = tmp_path / "other.fits"
    write_raw(path, {"A": pixels}, {})
    with pytest.raises(MissingPlaneError, match=r"no image plane C among \['A'\]"):
        read_raw(path, detector_of("C"), EXTENSIONS)
    write_raw(path, {}, {})
    with pytest.raises(MissingPlaneError, match=r"among \[\]"):
        read_raw(path, detector_of(0), SINGLE)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"BITPIX  =                   16", b"BITPIX  =                   17", "BITPIX is 17"),
        (b"NAXIS   =                    2", b"NAXIS   =                  999", "NAXIS is 999"),
        (b"NAXIS   =                    2", b"NAXIS   =                    T", "NAXIS is True"),
        (b"NAXIS1  =                   31", b"NAXIS1  =                  -31", "NAXIS1 is -31"),
        (b"NAXIS1  =                   31", b"NAXIS1  =                 31.0", "NAXIS1 is 31.0"),
        (b"BZERO   =                32768", b"BZERO   =               thirty", "BZERO is 'thirty'"),
        (b"SIMPLE  =", b"SIMPLY  =", "starts with b'SIMPLY"),
    ],
)
def test_impossible_structure_is_refused_before_the_pixels_are_touched(tmp_path, single, old, new, message):
    path = tmp_path / "bad.fits"
    content = single.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(CorruptRawError, match=message):
        read_raw(path, detector_of(0), SINGLE)


def test_huge_axes_are_an_incomplete_file_and_not_an_allocation(tmp_path, single):
    path = tmp_path / "huge.fits"
    content = single.read_bytes()
    path.write_bytes(content.replace(b"NAXIS1  =                   31", b"NAXIS1  =           2000000000"))
    with pytest.raises(TruncatedRawError, match="promise 80000002880"):
        read_raw(path, detector_of(0), SINGLE)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"'RICE_1  '", b"'HCOMPRE'", "HCOMPRE' is not accepted"),
        (b"TFIELDS =                    1", b"TFIELDS =              9999999", "TFIELDS is 9999999"),
        (b"ZTILE1  =                   31", b"ZTILE1  =                    0", "ZTILE1 is 0"),
        (
            b"ZTILE1  =                   31",
            b"ZTILE1  =                   30",
            "has 20 tiles, an image .* has 40",
        ),
        (b"'1PB", b"'1PC", "TFORM1 is '1PC.*must be the form of a column of tiles"),
        (
            b"'COMPRESSED_DATA'",
            b"'COMPRESSED_DATE'",
            "TTYPE1 is 'COMPRESSED_DATE', must be one of COMPRESSED",
        ),
        (
            b"ZBITPIX =                   16",
            b"ZBITPIX =                   17",
            "ZBITPIX is 17, must be one of",
        ),
        (
            b"ZVAL1   =                   32",
            b"ZVAL1   =           2147483647",
            "ZVAL1 is 2147483647, must be one",
        ),
        (b"ZVAL1   =                   32", b"ZVAL1   =                    T", "ZVAL1 is True, must be one"),
        (
            b"BZERO   =                32768",
            b"BZERO   =                1E308",
            r"BZERO is 1e\+308, must be a number",
        ),
        (
            b"BZERO   =                32768",
            b"ZDITHER0=                    0",
            "ZDITHER0 is 0, must be an integer",
        ),
        (
            b"BZERO   =                32768",
            b"ZQUANTIZ= 'SOME    '          ",
            "ZQUANTIZ is 'SOME', must be one of",
        ),
        (
            b"BZERO   =                32768",
            b"ZBLANK  =           3000000000",
            "ZBLANK is 3000000000, must be",
        ),
        (
            b"BZERO   =                32768",
            b"THEAP   =                   -1",
            "THEAP is -1, must be an integer",
        ),
    ],
)
def test_compression_that_the_libraries_stumble_over_is_refused(tmp_path, pixels, old, new, message):
    path = tmp_path / "tiles.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels, compression_type="RICE_1")]).writeto(path)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new.ljust(len(old)), 1))
    with pytest.raises(CorruptRawError, match=message):
        read_raw(path, detector_of(1), EXTENSIONS)


def test_a_header_without_end_is_refused(monkeypatch):
    monkeypatch.setattr("skyloom.io.fits_layout.MAX_HEADER_BLOCKS", 2)
    with pytest.raises(CorruptRawError, match="no END within 2 blocks"):
        scan_fits(b"SIMPLE  =                    T".ljust(2880 * 4))


def test_what_follows_the_last_unit_and_is_no_extension_is_ignored(tmp_path, single, pixels):
    path = tmp_path / "junk.fits"
    path.write_bytes(single.read_bytes() + b"\0" * 5000)
    np.testing.assert_array_equal(read_raw(path, detector_of(0), SINGLE).planes[0], pixels)


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bits_are_read_or_named_but_never_crash(tmp_path, single, pixels, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "flipped.fits"
    tiles = fits.CompImageHDU(pixels, compression_type="RICE_1")
    fits.HDUList([fits.PrimaryHDU(), tiles]).writeto(tmp_path / "c.fits")
    for source, layout in ((single, SINGLE), (tmp_path / "c.fits", SINGLE)):
        content = np.frombuffer(source.read_bytes(), dtype=np.uint8)
        for _ in range(60):
            flipped = content.copy()
            for position in rng.integers(0, 2880 * 2, 8):
                flipped[position] ^= 1 << rng.integers(8)
            path.write_bytes(flipped.tobytes())
            try:
                raw = read_raw(path, detector_of(0), layout)
            except (CorruptRawError, TruncatedRawError, WrongShapeRawError, MissingPlaneError):
                continue
            assert raw.planes[0].shape == SHAPE


MOSAIC = {"pixel_step": (2, 2), "pixel_start": (1, 0)}


def colour_of(shape, **keys):
    ny, nx = shape
    section = (0, nx, 0, ny)
    whole = Amplifier("A", 0, data_section=section, detector_section=section)
    return Detector(1, "blue", shape, (0.0, 0.0), 0.0, (whole,), band="blue", **keys)


def test_a_colour_of_a_mosaic_is_every_second_pixel_from_its_start(single, pixels):
    raw = read_raw(single, colour_of((10, 15), **MOSAIC), SINGLE)

    np.testing.assert_array_equal(raw.planes[0], pixels[::2, 1::2])


def test_a_mosaic_of_another_size_is_named_with_the_colours_own_shape(single):
    with pytest.raises(
        WrongShapeRawError, match=r"has shape \(10, 15\), the camera's sections span \(10, 16\)"
    ):
        read_raw(single, colour_of((10, 16), **MOSAIC), SINGLE)
