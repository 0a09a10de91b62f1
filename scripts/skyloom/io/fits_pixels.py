"""Pixels of one unit of a FITS file whose layout has been checked, plain or tile-compressed."""

import io
import re
import warnings
import zlib

import numpy as np

from skyloom.io.fits_layout import BLOCK, BYTES_A_VALUE, CARD, CorruptRawError, card_integer

TILE_COLUMNS = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA", "ZSCALE", "ZZERO", "ZBLANK")
TILE_FORMAT = re.compile(r"1?[PQ][BIJED]\(\d{0,9}\)|1?[DEJIK]")
RICE_PARAMETERS = {"BLOCKSIZE": (16, 32), "BYTEPIX": (1, 2, 4)}
DITHERINGS = ("NO_DITHER", "SUBTRACTIVE_DITHER_1", "SUBTRACTIVE_DITHER_2")
LARGEST_DITHER_SEED = 10000
MAX_PARAMETERS = 9
WHOLE_NUMBERS = (8, 16, 32, 64)
LARGEST_SCALE = 1e30
"""Of BSCALE and BZERO: no camera needs more, and times a pixel of 16 bits it stays below float32's largest, 3.4e38."""


def read_pixels(content, hdu):
    """Pixels of one image unit.

    Parameters
    ----------
    content : bytes
        The whole file.
    hdu : HduLayout
        The unit; it has two axes.

    Returns
    -------
    ndarray, shape (ny, nx), float32
        In the file's unit, scaled; NaN where the file says BLANK, infinite beyond float32.

    Raises
    ------
    CorruptRawError
        If they cannot be unpacked or scaled.
    """
    # A damaged value may be beyond float32: it becomes infinite, and whoever uses the pixels masks it.
    with np.errstate(over="ignore", invalid="ignore"):
        pixels = (
            _read_compressed(content, hdu, np.float32) if hdu.is_compressed else _read_plain(content, hdu)
        )
    # Not all bit patterns of NaN are quiet: some warn in each sum.
    pixels[np.isnan(pixels)] = np.nan
    return pixels


def _read_plain(content, hdu):
    """Pixels of a unit that is not compressed, scaled, float32."""
    kind = "f" if hdu.cards["BITPIX"] < 0 else ("u" if hdu.cards["BITPIX"] == 8 else "i")
    stored = np.frombuffer(
        content,
        dtype=f">{kind}{BYTES_A_VALUE[hdu.cards['BITPIX']]}",
        count=hdu.shape[0] * hdu.shape[1],
        offset=hdu.data_offset,
    ).reshape(hdu.shape)
    scale, zero = _number(hdu.cards, "BSCALE", 1.0), _number(hdu.cards, "BZERO", 0.0)
    pixels = stored.astype(np.float32) if abs(hdu.cards["BITPIX"]) <= 32 else stored.astype(np.float64)
    if scale != 1:
        pixels *= pixels.dtype.type(scale)
    if zero != 0:
        pixels += pixels.dtype.type(zero)
    if kind != "f" and isinstance(hdu.cards.get("BLANK"), int):
        pixels[stored == hdu.cards["BLANK"]] = np.nan
    return pixels.astype(np.float32, copy=False)


def read_integers(content, hdu):
    """Whole numbers of one image unit, such as the bits of a mask.

    Parameters
    ----------
    content : bytes
        The whole file.
    hdu : HduLayout
        The unit; it has two axes.

    Returns
    -------
    ndarray, shape (ny, nx), int64
        With BZERO, which makes unsigned numbers of signed ones; BLANK means nothing here.

    Raises
    ------
    CorruptRawError
        If they cannot be unpacked, or are no whole numbers.
    """
    scale, zero = _number(hdu.cards, "BSCALE", 1.0), _number(hdu.cards, "BZERO", 0.0)
    bits = hdu.cards["ZBITPIX" if hdu.is_compressed else "BITPIX"]
    if bits not in WHOLE_NUMBERS or scale != 1 or zero != int(zero):
        found = f"unit {hdu.index} has BITPIX {bits}, BSCALE {scale:g}, BZERO {zero:g}"
        raise CorruptRawError(f"{found}, a mask holds whole numbers")
    if hdu.is_compressed:
        return _read_compressed(content, hdu, np.int64)
    stored = np.frombuffer(
        content,
        dtype=f">{'u' if bits == 8 else 'i'}{BYTES_A_VALUE[bits]}",
        count=hdu.shape[0] * hdu.shape[1],
        offset=hdu.data_offset,
    )
    return stored.reshape(hdu.shape).astype(np.int64) + int(zero)


def _number(cards, keyword, default):
    """Keyword as a float, refused when it is text or beyond what a pixel of 32 bits can hold."""
    value = cards.get(keyword, default)
    if isinstance(value, str | bool) or not abs(value) <= LARGEST_SCALE:
        raise CorruptRawError(f"{keyword} is {value!r}, must be a number of at most {LARGEST_SCALE:g}")
    return float(value)


def _read_compressed(content, hdu, dtype):
    """Pixels of a tile-compressed unit through astropy; it sees this unit and checked cards alone."""
    from astropy.io import fits
    from astropy.io.fits.hdu.compressed._compression import CfitsioException

    # What astropy raises depends on which byte is damaged; it has no common class for it.
    failures = (OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError)
    failures += (RuntimeError, EOFError, fits.VerifyError, CfitsioException, zlib.error)
    unit = _tile_table(content, hdu)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with fits.open(unit, memmap=False) as hdus:
                return np.asarray(hdus[1].data).astype(dtype)
        except failures as error:
            what = " ".join(str(error).split()) or type(error).__name__
            raise CorruptRawError(f"compressed plane {hdu.index} cannot be unpacked ({what})") from error


def _tile_table(content, hdu):
    """File (BytesIO) of one compressed unit alone, under a header of only those cards that say how to unpack it."""
    cards = {"XTENSION": "BINTABLE", **{name: hdu.cards[name] for name in ("BITPIX", "NAXIS")}}
    cards |= {name: card_integer(hdu.cards, name, 0, 2**31) for name in ("NAXIS1", "NAXIS2")}
    cards |= {"PCOUNT": hdu.cards.get("PCOUNT", 0), "GCOUNT": 1, **_tile_columns(hdu.cards), "ZIMAGE": True}
    cards |= _tile_cards(hdu.cards, hdu.shape)
    end = hdu.data_offset + hdu.data_bytes
    unit = io.BytesIO()
    for header in ({"SIMPLE": True, "BITPIX": 8, "NAXIS": 0}, cards):
        text = "".join(_format_card(keyword, value) for keyword, value in header.items()) + "END".ljust(CARD)
        unit.write(text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("ascii"))
    unit.write(content[hdu.data_offset : end])
    unit.write(b"\0" * (-hdu.data_bytes % BLOCK))
    unit.seek(0)
    return unit


def _format_card(keyword, value):
    """Card of a boolean, number or text, 80 characters."""
    if isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    elif isinstance(value, str):
        text = f"'{value:8}'"
    else:
        text = f"{str(value).upper():>20}"
    return f"{keyword:8}= {text}".ljust(CARD)


def _tile_columns(cards):
    """Cards of the columns of a table of tiles, each checked."""
    n_column = card_integer(cards, "TFIELDS", 1, len(TILE_COLUMNS))
    columns = {"TFIELDS": n_column}
    for number in range(1, n_column + 1):
        columns[f"TTYPE{number}"] = _one_of(cards, f"TTYPE{number}", TILE_COLUMNS)
        form = cards.get(f"TFORM{number}")
        if not isinstance(form, str) or not TILE_FORMAT.fullmatch(form.strip()):
            raise CorruptRawError(f"TFORM{number} is {form!r}, must be the form of a column of tiles")
        columns[f"TFORM{number}"] = form.strip()
    if "THEAP" in cards:
        table = cards["NAXIS1"] * cards["NAXIS2"]
        columns["THEAP"] = card_integer(cards, "THEAP", table, table + cards.get("PCOUNT", 0))
    return columns


def _tile_cards(cards, shape):
    """Cards that say how the tiles were made, each checked: tiling, parameters, quantisation, scaling."""
    axes = shape[::-1]
    tiles = [cards.get(f"ZTILE{n}", length if n == 1 else 1) for n, length in enumerate(axes, start=1)]
    n_tile = int(np.prod([-(-a // t) for a, t in zip(axes, tiles, strict=True)], dtype=object))
    if cards["NAXIS2"] != n_tile:
        raise CorruptRawError(
            f"the table has {cards['NAXIS2']} tiles, an image of shape {shape} has {n_tile}"
        )
    made = {"ZCMPTYPE": str(cards["ZCMPTYPE"]).strip(), "ZBITPIX": _one_of(cards, "ZBITPIX", BYTES_A_VALUE)}
    made |= {"ZNAXIS": len(axes)}
    made |= {f"ZNAXIS{n}": length for n, length in enumerate(axes, start=1)}
    made |= {f"ZTILE{n}": length for n, length in enumerate(tiles, start=1)}
    for number in range(1, MAX_PARAMETERS + 1):
        name = str(cards.get(f"ZNAME{number}", "")).strip()
        if name in RICE_PARAMETERS:
            made[f"ZNAME{number}"] = name
            made[f"ZVAL{number}"] = _one_of(cards, f"ZVAL{number}", RICE_PARAMETERS[name])
    if "ZQUANTIZ" in cards:
        made["ZQUANTIZ"] = _one_of(cards, "ZQUANTIZ", DITHERINGS)
    if "ZDITHER0" in cards:
        made["ZDITHER0"] = card_integer(cards, "ZDITHER0", 1, LARGEST_DITHER_SEED)
    for keyword in ("ZBLANK", "BLANK"):
        if keyword in cards:
            made[keyword] = card_integer(cards, keyword, -(2**31), 2**31 - 1)
    scales = ("ZSCALE", "ZZERO", "BSCALE", "BZERO")
    return made | {name: _number(cards, name, 1.0) for name in scales if name in cards}


def _one_of(cards, keyword, allowed):
    """Value of a keyword that has few."""
    value = cards.get(keyword)
    value = value.strip() if isinstance(value, str) else value
    if isinstance(value, bool) or value not in allowed:
        raise CorruptRawError(f"{keyword} is {value!r}, must be one of {', '.join(str(a) for a in allowed)}")
    return value
