"""Where the units of a FITS file lie and what their headers promise, found without trusting them.

The FITS libraries hang or crash on some malformed headers, so the block structure is walked here first: axes, table
columns, compression and the size on disk must make sense.
"""

import gzip
import io
import mmap
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skyloom.core.errors import DataError

CARD = 80
BLOCK = 2880
MAX_HEADER_BLOCKS = 1000
MAX_HDUS = 1000
MAX_AXES = 9
MAX_TABLE_COLUMNS = 999  # FITS Standard 4.0, section 7.3.1
MAX_UNPACKED_BYTES = 4 * 1024**3
"""Largest gzip'd file that is unpacked for its headers alone."""

BYTES_A_VALUE = {8: 1, 16: 2, 32: 4, 64: 8, -32: 4, -64: 8}
COMPRESSIONS = ("RICE_1", "GZIP_1", "GZIP_2")
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
    return scan_fits(read_content(path, MAX_UNPACKED_BYTES))


def read_content(path, max_bytes):
    """Bytes of a file, unpacked when it is gzip'd.

    Parameters
    ----------
    path : str or Path
        The file.
    max_bytes : int
        Most bytes that it may hold, packed or unpacked.

    Returns
    -------
    bytes
        At least one.

    Raises
    ------
    TruncatedRawError
        If it is empty, or its gzip stream breaks off.
    CorruptRawError
        If it is larger, or its gzip stream is damaged.
    """
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
    bitpix = card_integer(cards, "BITPIX", -64, 64)
    if bitpix not in BYTES_A_VALUE:
        raise CorruptRawError(f"BITPIX is {bitpix}, must be one of {sorted(BYTES_A_VALUE)}")
    axes = _axes(cards, "NAXIS")
    n_value = int(np.prod(axes, dtype=object)) if axes else 0
    n_group = card_integer(cards, "GCOUNT", 1, 1, default=1)
    n_heap = card_integer(cards, "PCOUNT", 0, 2**40, default=0)
    is_table = index > 0 and str(cards.get("XTENSION", "")).strip() in ("BINTABLE", "TABLE")
    if is_table:
        card_integer(cards, "TFIELDS", 0, MAX_TABLE_COLUMNS)
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
        card_integer(cards, f"ZTILE{number}", 1, max(length, 1), default=length if number == 1 else 1)
    return axes


def _axes(cards, keyword):
    """Axis lengths in header order."""
    n_axis = card_integer(cards, keyword, 0, MAX_AXES)
    return [card_integer(cards, f"{keyword}{number}", 0, 2**31) for number in range(1, n_axis + 1)]


def card_integer(cards, keyword, lowest, highest, default=None):
    """Structural keyword as an integer (int) within its bounds.

    Parameters
    ----------
    cards : dict
        Values by keyword.
    keyword : str
        Which one.
    lowest, highest : int
        Bounds, both allowed.
    default : int, optional
        Taken where there is no such card; without one it must be there.

    Raises
    ------
    CorruptRawError
        If it is none.
    """
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
