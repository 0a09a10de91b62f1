"""Raw frames that are damaged on purpose: every form of a good frame, and what may happen to its bytes."""

import gzip
import io
import warnings

import numpy as np
from astropy.io import fits

CARD, BLOCK = 80, 2880
GZIP_SHARE = 0.1
MOST_AT_ONCE = 3

STRUCTURE = (
    *("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "PCOUNT", "GCOUNT", "EXTEND"),
    *("TFIELDS", "TFORM1", "TTYPE1", "TDIM1", "TNULL1", "TSCAL1", "TZERO1", "THEAP", "EXTNAME", "EXTVER"),
    *("ZIMAGE", "ZSIMPLE", "ZTENSION", "ZNAXIS", "ZNAXIS1", "ZNAXIS2", "ZNAXIS3", "ZBITPIX", "ZTILE1"),
    *("ZTILE2", "ZCMPTYPE", "ZNAME1", "ZVAL1", "ZNAME2", "ZVAL2", "ZBLANK", "ZSCALE", "ZZERO", "ZQUANTIZ"),
    *("ZDITHER0", "ZPCOUNT", "ZGCOUNT", "ZMASKCMP", "BSCALE", "BZERO", "BLANK", "CHECKSUM", "DATASUM"),
)
CIRCUMSTANCES = (
    *("EXPTIME", "FILTER", "MJD-OBS", "DATE-OBS", "TIMESYS", "RA", "DEC", "ROTANG", "AIRMASS", "GAIN"),
    *("RDNOISE", "OBSID", "CRVAL1", "CTYPE1", "CD1_1", "NAXIS", "WCSAXES", "A_ORDER", "EQUINOX"),
)
VALUES = (
    *("0", "1", "-1", "2", "3", "7", "8", "16", "17", "32", "64", "-32", "-64", "999", "1000", "32768"),
    *("2147483647", "2147483648", "-2147483648", "4294967296", "9223372036854775807", "1" + "0" * 60),
    *("T", "F", "", "NaN", "nan", "inf", "-Infinity", "1e400", "-1e308", "1e-320", "1e38", "1e30", "0.0"),
    *("-0.0", "1.5D0", "(1.0, 2.0)", "0x10", "1_000", "thirty", "'thirty  '", "'NaN     '", "'", "''", "'''"),
    *("'30.0    '", "'g       '", "'-30:00:00'", "'2026-11-25T03:04:05'", "'2026-13-45T99:99:99'"),
    *("'RICE_1  '", "'GZIP_1  '", "'GZIP_2  '", "'PLIO_1  '", "'HCOMPRESS_1'", "'NOCOMPRESS'"),
    *("'BINTABLE'", "'IMAGE   '", "'TABLE   '", "'1PB(9999999)'", "'1QE(3)  '", "'999999999J'", "'1J      '"),
    *("'NO_DITHER'", "'SUBTRACTIVE_DITHER_2'", "'BLOCKSIZE'", "'BYTEPIX '", "'(1,1,1) '", "'../../etc/x'"),
)
SCALING = ("BSCALE", "BZERO", "BLANK", "ZSCALE", "ZZERO", "ZBLANK")
SCALES = (
    *(
        "0",
        "-1",
        "1",
        "5",
        "32768",
        "-32768",
        "2147483648",
        "1e-320",
        "1e-30",
        "1e10",
        "1e20",
        "1e29",
        "-1e29",
    ),
    *("1e30", "1e38", "1e308", "-1e308", "1e400", "NaN", "inf", "T", "1" + "0" * 30, "'1.0     '"),
)
GARBAGE = (
    b"CONTINUE  'of nothing'",
    b"CONTINUE  '",
    b"HIERARCH ESO = ",
    b"HIERARCH NAXIS1 = 999999",
    b"HIERARCH =====",
    b"COMMENT \xff\xfe\xfd not ASCII",
    b"OBJECT  = '\xc3\xa9toile\x00\x07'",
    b"\x00" * CARD,
    b"\xff" * CARD,
    b"END     =                    1",
    b"=" * CARD,
    b"NAXIS1  = 1 / 2 / 3",
    b"SIMPLE  =                    T",
    b"XTENSION= 'IMAGE   '",
    b"EXTNAME = 'A       '",
    b"EXTNAME = 'B\x1b[2J   '",
    b"LONG    = 'a&'",
)


def variants(raw):
    """Every form in which a camera may have written a frame.

    Parameters
    ----------
    raw : bytes
        A frame with planes of 16 bit in the extensions A and B.

    Returns
    -------
    dict of str to (str, bytes)
        The form of the camera's files (``extensions`` or ``single``) and the file, by name.
    """
    with fits.open(io.BytesIO(raw)) as hdus:
        header, planes = hdus[0].header, {name: hdus[name].data for name in ("A", "B")}
    made = {"extensions": ("extensions", raw)}
    made["single"] = ("single", _file(fits.PrimaryHDU(np.hstack(list(planes.values())), header)))
    real = {name: plane.astype(np.float32) for name, plane in planes.items()}
    units = [fits.ImageHDU(plane, name=name) for name, plane in real.items()]
    made["float"] = ("extensions", _file(fits.PrimaryHDU(header=header), *units))
    for compression in ("RICE_1", "GZIP_1", "GZIP_2"):
        units = [fits.CompImageHDU(p, name=name, compression_type=compression) for name, p in planes.items()]
        made[compression] = ("extensions", _file(fits.PrimaryHDU(header=header), *units))
    units = [
        fits.CompImageHDU(p, name=name, compression_type="RICE_1", quantize_level=16)
        for name, p in real.items()
    ]
    made["quantised"] = ("extensions", _file(fits.PrimaryHDU(header=header), *units))
    return made


def _file(*units):
    """Bytes of a FITS file."""
    sink = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits.HDUList(list(units)).writeto(sink)
    return sink.getvalue()


def mutated(good, seed):
    """One damaged frame; the same seed damages it in the same way.

    Parameters
    ----------
    good : dict
        From `variants`.
    seed : int
        Which frame.

    Returns
    -------
    layout : str
        Form of the camera's files.
    content : bytes
        The damaged file; a share of the files is gzip'd as a whole, before or after the damage.
    story : str
        What was done, for messages.
    """
    rng = np.random.default_rng([20261125, seed])
    name = list(good)[rng.integers(len(good))]
    layout, content = good[name]
    story, is_packed = [name], rng.random() < GZIP_SHARE
    if is_packed and rng.random() < 0.5:
        content, is_packed = gzip.compress(content, 1, mtime=0), False
        story.append("gzip")
        ways = WAYS_OF_BYTES
    else:
        ways = WAYS_OF_BYTES + 2 * WAYS_OF_CARDS
    for _ in range(int(rng.integers(1, MOST_AT_ONCE + 1))):
        way = ways[rng.integers(len(ways))]
        content, what = way(content, rng)
        story.append(f"{way.__name__}({what})")
    if is_packed:
        content = gzip.compress(content, 1, mtime=0)
        story.append("gzip")
    return layout, content, ", ".join(story)


def card_positions(content):
    """Where the cards of all headers stand, as far as they can be told from data (ndarray of int)."""
    positions = []
    for start in range(0, len(content), BLOCK):
        block = content[start : start + BLOCK]
        if block[:8] in (b"SIMPLE  ", b"XTENSION") or (positions and positions[-1] == start - CARD):
            for offset in range(0, len(block), CARD):
                positions.append(start + offset)
                if block[offset : offset + 8] == b"END     ":
                    break
    return np.array(positions or [0])


def _pick(options, rng):
    """One of some options."""
    return options[int(rng.integers(len(options)))]


def _card(keyword, value):
    """A card in fixed format."""
    return f"{keyword:8}= {value:>20}".encode("latin-1")[:CARD].ljust(CARD)


def _replaced(content, position, piece):
    """Content with a piece written over it."""
    return content[:position] + piece + content[position + len(piece) :]


def other_value(content, rng):
    """A card that is there gets another value."""
    position = int(_pick(card_positions(content), rng))
    keyword = content[position : position + 8].decode("latin-1").strip()
    value = _pick(VALUES, rng)
    return _replaced(content, position, _card(keyword, value)), f"{keyword} = {value}"


def structural_value(content, rng):
    """A card that tells how the data lie gets another value, where it is there."""
    return _value_of(content, rng, STRUCTURE)


def circumstance(content, rng):
    """A card that tells what was observed gets another value, where it is there."""
    return _value_of(content, rng, CIRCUMSTANCES)


def scaling(content, rng):
    """A number by which pixels are scaled is another one."""
    keyword, value = _pick(SCALING, rng), _pick(SCALES, rng)
    start = content.find(f"{keyword:8}=".encode())
    if start >= 0 and start % CARD == 0:
        return _replaced(content, start, _card(keyword, value)), f"{keyword} = {value}"
    return inserted(content, rng, _card(keyword, value))[0], f"new {keyword} = {value}"


def _value_of(content, rng, keywords):
    """One of the cards of some keywords with another value; a new card when none is there."""
    positions = card_positions(content)
    names = {int(p): content[p : p + 8].decode("latin-1").strip() for p in positions}
    there = [p for p, name in names.items() if name in keywords]
    if not there or rng.random() < 0.3:
        keyword, value = _pick(keywords, rng), _pick(VALUES, rng)
        return inserted(content, rng, _card(keyword, value))[0], f"new {keyword} = {value}"
    position, value = _pick(there, rng), _pick(VALUES, rng)
    return _replaced(content, position, _card(names[position], value)), f"{names[position]} = {value}"


def inserted(content, rng, card):
    """A card stands in front of another; the block loses its last one."""
    position = int(_pick(card_positions(content), rng))
    end = (position // BLOCK + 1) * BLOCK
    return content[:position] + card + content[position : end - CARD] + content[end:], position


def garbage_card(content, rng):
    """A card that is none is put in or written over another."""
    card = _pick(GARBAGE, rng)[:CARD].ljust(CARD)
    if rng.random() < 0.5:
        return inserted(content, rng, card)[0], f"new {card[:24]!r}"
    position = int(_pick(card_positions(content), rng))
    return _replaced(content, position, card), f"{position}: {card[:24]!r}"


def duplicate_card(content, rng):
    """A card is written over another."""
    positions = card_positions(content)
    source, target = int(_pick(positions, rng)), int(_pick(positions, rng))
    return _replaced(content, target, content[source : source + CARD]), f"{source} to {target}"


def no_end(content, rng):
    """A header loses its END."""
    ends = [int(p) for p in card_positions(content) if content[p : p + 8] == b"END     "]
    position = _pick(ends or [0], rng)
    return _replaced(content, position, b" " * 8), position


def flipped_bytes(content, rng):
    """Bytes anywhere become others."""
    return _flipped(content, rng, len(content))


def flipped_header_bytes(content, rng):
    """Bytes of the first blocks become others."""
    return _flipped(content, rng, min(len(content), 3 * BLOCK))


def _flipped(content, rng, end):
    """Some of the first bytes changed."""
    changed = np.frombuffer(content, dtype=np.uint8).copy()
    places = rng.integers(0, max(end, 1), int(2 ** rng.integers(0, 9)))
    if len(changed):
        changed[places] = rng.integers(0, 256, len(places))
    return changed.tobytes(), f"{len(places)} below {end}"


def truncated(content, rng):
    """The end is missing."""
    length = int(rng.integers(0, len(content) + 1))
    return content[:length], length


def more_blocks(content, rng):
    """Blocks are put in: zeros, noise, or the file's own beginning."""
    n_byte = int(_pick((1, CARD, BLOCK, 7 * BLOCK, 100 * BLOCK), rng))
    piece = _pick((b"\0" * n_byte, rng.bytes(n_byte), content[:n_byte]), rng)
    position = int(rng.integers(0, len(content) // BLOCK + 1)) * BLOCK
    return content[:position] + piece + content[position:], f"{len(piece)} bytes at {position}"


def lost_blocks(content, rng):
    """Blocks are missing in the middle."""
    start = int(rng.integers(0, len(content) // BLOCK + 1)) * BLOCK
    n_byte = int(rng.integers(1, 20)) * BLOCK
    return content[:start] + content[start + n_byte :], f"{n_byte} bytes at {start}"


def flipped_pixel_bytes(content, rng):
    """Bytes of the last two thirds of the file, mostly pixels, become others."""
    start = len(content) // 3
    end, what = _flipped(content[start:], rng, len(content) - start)
    return content[:start] + end, what


def constant_bytes(content, rng):
    """A stretch of one value."""
    start = int(rng.integers(0, len(content) + 1))
    n_byte = min(int(rng.integers(1, 200_000)), len(content) - start)
    value = int(_pick((0, 0x7F, 0x80, 0xFF), rng))
    return _replaced(content, start, bytes([value]) * n_byte), f"{n_byte} of {value} at {start}"


WAYS_OF_BYTES = (
    *(flipped_bytes, flipped_header_bytes, flipped_pixel_bytes, truncated, more_blocks, lost_blocks),
    *(constant_bytes, constant_bytes),
)
WAYS_OF_CARDS = (
    *(other_value, structural_value, structural_value, circumstance, circumstance, scaling, scaling),
    *(garbage_card, duplicate_card, no_end),
)
