"""Read and write raw frames; a frame's headers are checked before anything parses its pixels.

The FITS libraries hang or crash on some malformed headers, so the block structure is walked here first:
axes, table columns, compression and the size on disk must make sense and fit the camera.
"""

import gzip
import io
import mmap
import re
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skyloom.core.camera import RawFrame
from skyloom.core.errors import DataError
from skyloom.io.amplifier_cards import with_amplifier_cards
from skyloom.io.integrity import write_bytes

CARD = 80
BLOCK = 2880
MAX_HEADER_BLOCKS = 1000
MAX_HDUS = 1000
MAX_AXES = 9
MAX_TABLE_COLUMNS = 999  # FITS Standard 4.0, section 7.3.1
MAX_BYTES_BEYOND_PIXELS = 64 * 1024 * 1024
"""Room for headers and observatories' extra tables when a gzip'd frame is unpacked: no bomb gets further."""

MAX_UNPACKED_BYTES = 4 * 1024**3
"""Largest gzip'd file that is unpacked for its headers alone."""

BYTES_A_VALUE = {8: 1, 16: 2, 32: 4, 64: 8, -32: 4, -64: 8}
COMPRESSIONS = ("RICE_1", "GZIP_1", "GZIP_2")
TILE_COLUMNS = ("COMPRESSED_DATA", "GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA", "ZSCALE", "ZZERO", "ZBLANK")
TILE_FORMAT = re.compile(r"1?[PQ][BIJED]\(\d{0,9}\)|1?[DEJIK]")
RICE_PARAMETERS = {"BLOCKSIZE": (16, 32), "BYTEPIX": (1, 2, 4)}
DITHERINGS = ("NO_DITHER", "SUBTRACTIVE_DITHER_1", "SUBTRACTIVE_DITHER_2")
LARGEST_DITHER_SEED = 10000
MAX_PARAMETERS = 9
MAX_NAMES_SHOWN = 20
LARGEST_SCALE = 1e30
"""Of BSCALE and BZERO: no camera needs more, and times a pixel of 16 bits it stays below float32's largest, 3.4e38."""
PRIMARY = "PRIMARY"


class CorruptRawError(DataError):
    """The frame is no FITS file that can be read safely.

    Parameters
    ----------
    detail : str
        What was found and what is needed.
    """

    def __init__(self, detail):
        super().__init__(f"{detail}: was the file damaged in transfer?")
        self.detail = detail


class TruncatedRawError(DataError):
    """The file ends before its headers say that it does.

    Parameters
    ----------
    n_bytes : int
        Bytes that are there (after unpacking, as far as that went).
    n_needed : int or None
        Bytes that the headers promise; None when the gzip stream itself breaks off.
    """

    def __init__(self, n_bytes, n_needed):
        promise = "its gzip stream has no end" if n_needed is None else f"its headers promise {n_needed}"
        super().__init__(f"the file holds {n_bytes} bytes, {promise}: was the transfer cut short?")
        self.n_bytes = n_bytes
        self.n_needed = n_needed


class WrongShapeRawError(DataError):
    """A plane of the frame has other axes than the camera's amplifiers.

    Parameters
    ----------
    extension : str or int
        The plane.
    shape, expected : tuple of int
        Shape (ny, nx) found, and the one that the camera's sections span.
    """

    def __init__(self, extension, shape, expected):
        super().__init__(
            f"plane {extension} has shape {shape}, the camera's sections span {expected}: "
            "is the read-out mode (binning, window) the camera file's?"
        )
        self.extension = extension
        self.shape = shape
        self.expected = expected


class MissingPlaneError(DataError):
    """The frame lacks the plane of an amplifier.

    Parameters
    ----------
    extension : str or int
        The plane that the camera asks for.
    found : list of str
        Names of the planes that are there.
    """

    def __init__(self, extension, found):
        shown = str(found[:MAX_NAMES_SHOWN]) + (
            f" and {len(found)} in all" if len(found) > MAX_NAMES_SHOWN else ""
        )
        super().__init__(f"no image plane {extension} among {shown}: is it a frame of this camera?")
        self.extension = extension
        self.found = found


@dataclass(frozen=True, slots=True)
class HduLayout:
    """Where one header-data unit lies in the file and what its header promises.

    Attributes
    ----------
    index : int
        Place in the file, from 0.
    cards : dict
        Values by keyword; the first of duplicates.
    shape : tuple of int
        Shape of the image in array order (of the unpacked image for a compressed one); () without data.
    is_image, is_compressed : bool
        Whether it holds an image, plain or tile-compressed.
    data_offset, data_bytes : int
        Where the data start, and how many there are without padding.
    """

    index: int
    cards: dict
    shape: tuple[int, ...]
    is_image: bool
    is_compressed: bool
    data_offset: int
    data_bytes: int

    @property
    def name(self):
        """EXTNAME, or PRIMARY for the first unit."""
        return str(self.cards.get("EXTNAME", PRIMARY if self.index == 0 else "")).strip()


def read_raw(path, detector, raw_layout):
    """Read one detector's raw frame.

    Parameters
    ----------
    path : str or Path
        FITS file, plain or gzip'd as a whole; RICE or GZIP tile compression is accepted.
    detector : Detector
        Its amplifiers say which planes to read and how large they must be.
    raw_layout : RawLayout
        File layout and header keyword map of the camera.

    Returns
    -------
    RawFrame
        Planes float32 [ADU], NaN where the file says BLANK. The header holds every card of the primary header
        (and of the first image's) by keyword, and the values of `raw_layout.header` by their own names. Its
        detector has the gains and read noise that the frame's cards state, where the camera file names them.

    Raises
    ------
    TruncatedRawError
        If the file is shorter than its headers promise.
    CorruptRawError
        If it is no FITS file, or one that is not safe to parse.
    WrongShapeRawError, MissingPlaneError
        If it is not a frame of this detector.
    AmplifierCardError
        If a card that a gain or read noise is taken from is missing or no number.
    """
    expected = _expected_shapes(detector)
    n_pixel = sum(ny * nx for ny, nx in expected.values())
    content = _read_content(path, 8 * n_pixel + MAX_BYTES_BEYOND_PIXELS)
    hdus = scan_fits(content)
    planes, chosen = {}, {}
    for extension, shape in expected.items():
        hdu = _find_plane(hdus, extension, raw_layout.format)
        if hdu.shape != shape:
            raise WrongShapeRawError(extension, hdu.shape, shape)
        planes[extension] = _read_pixels(content, hdu)
        chosen[extension] = hdu.cards
    header = {**next(iter(chosen.values())), **hdus[0].cards}
    for name, keyword in raw_layout.header.items():
        if keyword in header:
            header[name] = header[keyword]
    detector = with_amplifier_cards(detector, chosen, hdus[0].cards)
    return RawFrame(detector=detector, planes=planes, header=header)


def read_hdus(path):
    """Headers of a FITS file, plain or gzip'd as a whole; the pixels of a plain one are not read.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    list of HduLayout
        As `scan_fits`.

    Raises
    ------
    TruncatedRawError, CorruptRawError
        As `scan_fits`, and for a damaged gzip stream.
    """
    path = Path(path)
    with open(path, "rb") as stream:
        is_packed = stream.read(2) == b"\x1f\x8b"
        if not is_packed and path.stat().st_size > 0:
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return scan_fits(content)
    return scan_fits(_read_content(path, MAX_UNPACKED_BYTES))


def write_raw(path, planes, headers):
    """Write a raw frame as an observatory would: unsigned 16-bit pixels, no mask, no provenance.

    Parameters
    ----------
    path : str or Path
        FITS file to make; it appears complete or not at all.
    planes : dict of str to ndarray, shape (ny, nx), uint16
        Pixels [ADU] by extension name; ``PRIMARY`` goes into the primary unit.
    headers : dict of str to dict
        Cards (value, or value and comment) by extension name; ``PRIMARY`` for the primary header.
    """
    from astropy.io import fits

    units = [fits.PrimaryHDU(planes.get(PRIMARY))]
    units += [fits.ImageHDU(plane, name=name) for name, plane in planes.items() if name != PRIMARY]
    for unit in units:
        unit.header.update(headers.get(unit.name, {}))
    buffer = io.BytesIO()
    fits.HDUList(units).writeto(buffer)
    write_bytes(path, buffer.getbuffer())


def scan_fits(content):
    """Walk the headers of a FITS file without reading its data.

    Parameters
    ----------
    content : bytes
        The whole file, unpacked.

    Returns
    -------
    list of HduLayout
        At least one; what follows the last complete unit and is no extension is ignored.

    Raises
    ------
    TruncatedRawError
        If a header has no END or data are missing; the last unit's padding may be.
    CorruptRawError
        If a header's structure is impossible or not accepted.
    """
    if content[:6] != b"SIMPLE":
        raise CorruptRawError(f"the file starts with {content[:8]!r}, a FITS file with SIMPLE")
    hdus, offset = [], 0
    while offset < len(content) and len(hdus) < MAX_HDUS:
        if hdus and content[offset : offset + 8] != b"XTENSION":
            break
        hdu = scan_unit(content, offset, len(hdus))
        if hdu.data_offset + hdu.data_bytes > len(content):
            raise TruncatedRawError(len(content), hdu.data_offset + hdu.data_bytes)
        hdus.append(hdu)
        offset = hdu.data_offset + -(-hdu.data_bytes // BLOCK) * BLOCK
    return hdus


def _expected_shapes(detector):
    """Shape (ny, nx) of each raw plane: what the sections of its amplifiers span."""
    shapes = {}
    for amplifier in detector.amplifiers:
        sections = (
            amplifier.data_section,
            amplifier.overscan_section,
            amplifier.prescan_section,
            amplifier.parallel_overscan_section,
        )
        ny, nx = shapes.get(amplifier.extension, (0, 0))
        for section in sections:
            if section is not None:
                nx, ny = max(nx, section[1]), max(ny, section[3])
        shapes[amplifier.extension] = (ny, nx)
    return shapes


def _read_content(path, max_bytes):
    """Bytes of a file, unpacked when it is gzip'd; refused beyond `max_bytes`."""
    n_packed = Path(path).stat().st_size
    if n_packed > max_bytes:
        raise _too_large(max_bytes)
    content = Path(path).read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(content)) as stream:
                content = stream.read(max_bytes + 1)
        except EOFError as error:
            raise TruncatedRawError(n_packed, None) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise CorruptRawError(f"the gzip stream is damaged ({error})") from error
    if len(content) > max_bytes:
        raise _too_large(max_bytes)
    if not content:
        raise TruncatedRawError(0, BLOCK)
    return content


def _too_large(max_bytes):
    """Error of a file that no frame of the camera can be."""
    return CorruptRawError(f"it holds more than {max_bytes} bytes, more than any frame of this camera")


def scan_unit(content, offset, index):
    """Layout of one unit of a FITS file.

    Parameters
    ----------
    content : bytes
        The file, or its beginning.
    offset : int
        Where the unit's header starts.
    index : int
        Its place in the file, from 0.

    Returns
    -------
    HduLayout
        Its data need not be in `content`.

    Raises
    ------
    TruncatedRawError, CorruptRawError
        If the header has no END or its structure is impossible.
    """
    cards, data_offset = _read_cards(content, offset)
    bitpix = _integer(cards, "BITPIX", -64, 64)
    if bitpix not in BYTES_A_VALUE:
        raise CorruptRawError(f"BITPIX is {bitpix}, must be one of {sorted(BYTES_A_VALUE)}")
    axes = _axes(cards, "NAXIS")
    n_value = int(np.prod(axes, dtype=object)) if axes else 0
    n_group = _integer(cards, "GCOUNT", 1, 1, default=1)
    n_heap = _integer(cards, "PCOUNT", 0, 2**40, default=0)
    is_table = index > 0 and str(cards.get("XTENSION", "")).strip() in ("BINTABLE", "TABLE")
    if is_table:
        _integer(cards, "TFIELDS", 0, MAX_TABLE_COLUMNS)
    is_compressed = is_table and cards.get("ZIMAGE") is True
    if is_compressed:
        axes = _compressed_axes(cards)
    return HduLayout(
        index=index,
        cards=cards,
        shape=tuple(reversed(axes)),
        is_image=bool(axes) and (is_compressed or not is_table),
        is_compressed=is_compressed,
        data_offset=data_offset,
        data_bytes=BYTES_A_VALUE[bitpix] * n_group * (n_heap + n_value),
    )


def _compressed_axes(cards):
    """Axes of a tile-compressed image, after a check of what the decompressor will trust."""
    compression = str(cards.get("ZCMPTYPE", "")).strip()
    if compression not in COMPRESSIONS:
        accepted = ", ".join(COMPRESSIONS)
        raise CorruptRawError(f"tile compression {compression!r} is not accepted, only {accepted}")
    axes = _axes(cards, "ZNAXIS")
    for number, length in enumerate(axes, start=1):
        _integer(cards, f"ZTILE{number}", 1, max(length, 1), default=length if number == 1 else 1)
    return axes


def _axes(cards, keyword):
    """Axis lengths in header order."""
    n_axis = _integer(cards, keyword, 0, MAX_AXES)
    return [_integer(cards, f"{keyword}{number}", 0, 2**31) for number in range(1, n_axis + 1)]


def _integer(cards, keyword, lowest, highest, default=None):
    """Structural keyword as an integer within its bounds."""
    value = cards.get(keyword, default)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise CorruptRawError(f"{keyword} is {value!r}, must be an integer from {lowest} to {highest}")
    return value


def _read_cards(content, offset):
    """Values by keyword of the header at `offset`, and where its data start."""
    cards = {}
    for block in range(MAX_HEADER_BLOCKS):
        start = offset + block * BLOCK
        if start + CARD > len(content):
            raise TruncatedRawError(len(content), start + BLOCK)
        for position in range(start, min(start + BLOCK, len(content)), CARD):
            card = content[position : position + CARD].decode("latin-1")
            if card[:8].rstrip() == "END":
                return cards, start + BLOCK
            keyword, value = _parse_card(card)
            if keyword:
                cards.setdefault(keyword, value)
    raise CorruptRawError(f"a header has no END within {MAX_HEADER_BLOCKS} blocks")


_STRING = re.compile(r"\s*'((?:[^']|'')*)'")


def _parse_card(card):
    """Keyword and value of one card; an unreadable value stays text, a comment card has no keyword."""
    if card.startswith("HIERARCH ") and "=" in card:
        keyword, _, text = card[9:].partition("=")
    elif card[8:9] == "=":
        keyword, text = card[:8], card[9:]
    else:
        return "", None
    quoted = _STRING.match(text)
    if quoted:
        return keyword.strip(), quoted.group(1).replace("''", "'").rstrip()
    return keyword.strip(), _parse_value(text.partition("/")[0].strip())


def _parse_value(text):
    """Boolean, integer, float or, failing these, the text itself."""
    if text in ("T", "F"):
        return text == "T"
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([EeDd][+-]?\d+)?", text):
        return float(text.replace("D", "E").replace("d", "e"))
    return text


def _find_plane(hdus, extension, layout_format):
    """Return the unit that holds plane `extension`, by name or place; in a single-image file, the image."""
    images = [hdu for hdu in hdus if hdu.is_image]
    if layout_format == "single" and images:
        return images[0]
    for hdu in images:
        if extension in (hdu.index, hdu.name):
            return hdu
    raise MissingPlaneError(extension, [hdu.name or str(hdu.index) for hdu in images])


def _read_pixels(content, hdu):
    """Pixels of one image unit, float32 [ADU], NaN where blank."""
    if hdu.is_compressed:
        return _read_compressed(content, hdu)
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


def _number(cards, keyword, default):
    """Keyword as a float, refused when it is text or beyond what a pixel of 32 bits can hold."""
    value = cards.get(keyword, default)
    if isinstance(value, str | bool) or not abs(value) <= LARGEST_SCALE:
        raise CorruptRawError(f"{keyword} is {value!r}, must be a number of at most {LARGEST_SCALE:g}")
    return float(value)


def _read_compressed(content, hdu):
    """Pixels of a tile-compressed unit through astropy, float32; it sees this unit and checked cards alone."""
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
                return np.asarray(hdus[1].data, dtype=np.float32)
        except failures as error:
            what = " ".join(str(error).split()) or type(error).__name__
            raise CorruptRawError(f"compressed plane {hdu.index} cannot be unpacked ({what})") from error


def _tile_table(content, hdu):
    """File (BytesIO) of one compressed unit alone, under a header of only those cards that say how to unpack it."""
    cards = {"XTENSION": "BINTABLE", **{name: hdu.cards[name] for name in ("BITPIX", "NAXIS")}}
    cards |= {name: _integer(hdu.cards, name, 0, 2**31) for name in ("NAXIS1", "NAXIS2")}
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
    n_column = _integer(cards, "TFIELDS", 1, len(TILE_COLUMNS))
    columns = {"TFIELDS": n_column}
    for number in range(1, n_column + 1):
        columns[f"TTYPE{number}"] = _one_of(cards, f"TTYPE{number}", TILE_COLUMNS)
        form = cards.get(f"TFORM{number}")
        if not isinstance(form, str) or not TILE_FORMAT.fullmatch(form.strip()):
            raise CorruptRawError(f"TFORM{number} is {form!r}, must be the form of a column of tiles")
        columns[f"TFORM{number}"] = form.strip()
    if "THEAP" in cards:
        table = cards["NAXIS1"] * cards["NAXIS2"]
        columns["THEAP"] = _integer(cards, "THEAP", table, table + cards.get("PCOUNT", 0))
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
        made["ZDITHER0"] = _integer(cards, "ZDITHER0", 1, LARGEST_DITHER_SEED)
    for keyword in ("ZBLANK", "BLANK"):
        if keyword in cards:
            made[keyword] = _integer(cards, keyword, -(2**31), 2**31 - 1)
    scales = ("ZSCALE", "ZZERO", "BSCALE", "BZERO")
    return made | {name: _number(cards, name, 1.0) for name in scales if name in cards}


def _one_of(cards, keyword, allowed):
    """Value of a keyword that has few."""
    value = cards.get(keyword)
    value = value.strip() if isinstance(value, str) else value
    if isinstance(value, bool) or value not in allowed:
        raise CorruptRawError(f"{keyword} is {value!r}, must be one of {', '.join(str(a) for a in allowed)}")
    return value
