"""FITS products: a bare primary HDU with status and hash, checksums in the extensions, provenance last."""

import io as byte_streams
import json
import os
from pathlib import Path

import numpy as np
from astropy.io import fits

from skyloom.core.errors import CorruptProductError, UpstreamFailure
from skyloom.io.integrity import ZEROS, stamp, verify, write_bytes
from skyloom.io.provenance import Provenance, provenance_from_json

FORMAT_VERSION = 2
HASH_MARKER = b"FILEHASH= '"
# The hash stands in the primary header, which is short; nothing behind it can be mistaken for it.
HASH_SEARCH_END = 2880 * 20
# Astropy writes the time of day into the checksum cards' comments unless it is given a text.
CHECKSUM_COMMENT = "HDU checksum"
# Rows that are compressed together: with one row each, half of the time of a mask goes into the tiles' bookkeeping.
MASK_TILE_ROWS = 16
# What is larger is not copied before it is written [byte].
LARGE = 2**20


def write_fits(path, cards, hdus, provenance):
    """Write a product whole.

    Parameters
    ----------
    path : str or Path
        Final name.
    cards : dict of str to (value, str)
        Value and comment of cards for the primary header.
    hdus : list of astropy HDU
        The extensions.
    provenance : Provenance
        What made it.
    """
    _write(
        path,
        {"STATUS": ("OK", "OK, or FAILED for a tombstone"), **cards},
        [*hdus, _provenance_hdu(provenance)],
    )


def write_fits_tombstone(path, error, provenance):
    """Write a file that holds no image but says why.

    Parameters
    ----------
    path : str or Path
        Final name.
    error : DataError
        What went wrong.
    provenance : Provenance
        What made it.
    """
    message = str(error).encode("ascii", "replace").decode()
    cards = {
        "STATUS": (error.status, "OK; FAILED or EMPTY for a tombstone"),
        "REASON": (error.reason, "class of the error"),
        "MESSAGE": (message, ""),
        "PROVENAN": (provenance.to_json(), ""),
    }
    _write(path, cards, [])


def _write(path, cards, hdus):
    """Serialise in memory, stamp the hash, write and rename."""
    primary = fits.PrimaryHDU()
    primary.header["FILEHASH"] = (ZEROS.decode(), "")
    primary.header["SKYLOOM"] = (FORMAT_VERSION, "version of the file format")
    for key, value in cards.items():
        primary.header[key] = value
    for hdu in hdus:
        hdu.add_datasum(when=CHECKSUM_COMMENT)
        hdu.add_checksum(when=CHECKSUM_COMMENT, override_datasum=False)
    sink = _Parts()
    fits.HDUList([primary, *hdus]).writeto(sink, output_verify="exception")
    first, *rest = sink.parts
    write_bytes(path, stamp(first, HASH_MARKER, HASH_SEARCH_END, rest), *rest)


class _Parts(byte_streams.RawIOBase):
    """Stream that keeps what is written to it: planes of an image as they are, the rest copied.

    In one buffer all planes of a large detector would be in memory twice.
    """

    def __init__(self):
        super().__init__()
        self.parts, self._n_byte = [bytearray()], 0

    def writable(self):
        """Whether it can be written to (bool)."""
        return True

    def tell(self):
        """Bytes that were written (int)."""
        return self._n_byte

    def write(self, data):
        """Keep the next bytes; returns how many there were (int)."""
        n_byte = memoryview(data).nbytes
        if n_byte >= LARGE:
            # Planes are big-endian already (`image_hdu`), else Astropy would turn them in place and back again. NumPy
            # takes their bytes, which a memoryview refuses to cast.
            self.parts += [np.frombuffer(data, dtype=np.uint8), bytearray()]
        else:
            self.parts[-1] += data
        self._n_byte += n_byte
        return n_byte


def _provenance_hdu(provenance):
    """Table HDU of two text columns."""
    entries = json.loads(provenance.to_json())
    keys = sorted(entries)
    values = [json.dumps(entries[key], sort_keys=True, separators=(",", ":")) for key in keys]
    width = max(len(v) for v in values)
    columns = [
        fits.Column("key", f"{max(len(k) for k in keys)}A", array=np.array(keys)),
        fits.Column("value", f"{width}A", array=np.array(values)),
    ]
    return table_hdu("PROVENANCE", columns)


def open_product(path):
    """Read a product after checking its hash, tombstones included.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    astropy.io.fits.HDUList
        In memory.

    Raises
    ------
    CorruptProductError
        If a byte was changed, or the file is no product of Skyloom's.
    """
    return _hdus_of(_checked_bytes(path))


def _checked_bytes(path, *, is_mapped=False):
    """Bytes of a whole product whose hash is right (memoryview, writable or mapped)."""
    is_mapped = is_mapped and Path(path).stat().st_size > 0
    data = memoryview(np.memmap(path, np.uint8, "r") if is_mapped else np.fromfile(path, dtype=np.uint8))
    if data[:9] != b"SIMPLE  =" or len(data) % 2880:
        raise CorruptProductError(str(path), f"is no complete FITS file ({len(data)} bytes)")
    verify(data, HASH_MARKER, path, search_end=HASH_SEARCH_END)
    return data


def _hdus_of(data):
    """HDUs of the bytes of a file."""
    return fits.open(byte_streams.BufferedReader(_BytesInMemory(data)), memmap=False, lazy_load_hdus=False)


class _BytesInMemory(byte_streams.RawIOBase):
    """Stream of bytes that stay where they are: `io.BytesIO` copies what is not immutable."""

    def __init__(self, data):
        super().__init__()
        self._data, self._place = data, 0

    def readable(self):
        """Whether it can be read (bool)."""
        return True

    def seekable(self):
        """Whether any place can be read (bool)."""
        return True

    def readinto(self, buffer):
        """Fill a buffer with the next bytes; returns how many there were (int)."""
        part = self._data[self._place : self._place + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)

    def seek(self, offset, whence=os.SEEK_SET):
        """Go to a place; returns it (int)."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: len(self._data)}[whence]
        self._place = start + offset
        return self._place


def read_fits(path):
    """Read a product after checking its hash.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    astropy.io.fits.HDUList
        In memory.

    Raises
    ------
    CorruptProductError
        If a byte was changed, or the file is no product of Skyloom's.
    UpstreamFailure
        If it is a tombstone.
    """
    return read_fits_with_bytes(path)[0]


def read_fits_with_bytes(path, *, is_mapped=False):
    """Read a product after checking its hash, with its bytes for `plane_of`.

    Parameters
    ----------
    path : str or Path
        The file.
    is_mapped : bool
        Whether the bytes stay in the file, mapped, instead of being read into memory.

    Returns
    -------
    hdus : astropy.io.fits.HDUList
        The extensions.
    data : memoryview
        The whole file.

    Raises
    ------
    CorruptProductError, UpstreamFailure
        As from `read_fits`.
    """
    data = _checked_bytes(path, is_mapped=is_mapped)
    hdus = _hdus_of(data)
    header = hdus[0].header
    if header["STATUS"] != "OK":
        raise UpstreamFailure(str(path), header["REASON"], header["MESSAGE"], header["STATUS"])
    return hdus, data


def plane_of(hdu, data, dtype):
    """Plane of an uncompressed image extension, in the machine's byte order where its bytes can be turned in place.

    Parameters
    ----------
    hdu : astropy.io.fits.ImageHDU
        The extension, unscaled.
    data : memoryview
        The file that it is in. In memory it is changed in place, so each plane can be taken once.
    dtype : numpy dtype
        Type of its pixels.

    Returns
    -------
    ndarray, shape (ny, nx)
        A view of `data`; of a mapped file in the byte order of FITS.
    """
    stored, start = np.dtype(dtype).newbyteorder(">"), hdu.fileinfo()["datLoc"]
    pixels = np.frombuffer(data, stored, int(np.prod(hdu.shape)), start)
    if stored != dtype and not data.readonly:
        pixels = pixels.byteswap(inplace=True).view(dtype)
    return pixels.reshape(hdu.shape)


def read_fits_status(path):
    """Read a product's status without raising on a tombstone.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    status, reason, message : str
        ``OK`` or ``FAILED``, and why.
    """
    header = open_product(path)[0].header
    return header["STATUS"], header.get("REASON", ""), header.get("MESSAGE", "")


def read_provenance(path):
    """Read where a FITS product comes from.

    Parameters
    ----------
    path : str or Path
        The file; a tombstone too.

    Returns
    -------
    Provenance
        The record.
    """
    hdus = open_product(path)
    if hdus[0].header["STATUS"] != "OK":
        return provenance_from_json(hdus[0].header["PROVENAN"])
    table = hdus["PROVENANCE"].data
    values = {str(row["key"]): json.loads(row["value"]) for row in table}
    values["inputs"] = tuple(values["inputs"])
    return Provenance(**values)


def table_hdu(name, columns):
    """Binary table extension.

    Parameters
    ----------
    name : str
        EXTNAME.
    columns : list of astropy.io.fits.Column
        With their values.

    Returns
    -------
    astropy.io.fits.BinTableHDU
        The same as from `BinTableHDU.from_columns`, which loads all of astropy.table to see that it is given none.
    """
    hdu = fits.BinTableHDU(name=name)
    hdu.data = fits.FITS_rec.from_columns(fits.ColDefs(columns))
    hdu.update_header()
    return hdu


def image_hdu(name, data, cards=None):
    """Uncompressed image extension.

    Parameters
    ----------
    name : str
        EXTNAME.
    data : ndarray
        Pixels.
    cards : dict of str to (value, str), optional
        Value and comment of each card.

    Returns
    -------
    astropy.io.fits.ImageHDU
        The extension.
    """
    # Turned once: Astropy turns the bytes of a plane for its checksum and again to write it, in small pieces.
    hdu = fits.ImageHDU(np.ascontiguousarray(data, data.dtype.newbyteorder(">")), name=name)
    hdu.header.update(cards or {})
    return hdu


def mask_hdu(name, mask, cards=None):
    """RICE-compressed extension of a mask; planes use 31 bits at most, so int32 holds them.

    Parameters
    ----------
    name : str
        EXTNAME.
    mask : ndarray, shape (ny, nx), uint32
        Mask bits.
    cards : dict of str to (value, str), optional
        Value and comment of each card.

    Returns
    -------
    astropy.io.fits.CompImageHDU
        The extension.
    """
    hdu = fits.CompImageHDU(
        np.ascontiguousarray(mask).view(np.int32),
        name=name,
        compression_type="RICE_1",
        tile_shape=(min(MASK_TILE_ROWS, mask.shape[0]), mask.shape[1]),
    )
    hdu.header.update(cards or {})
    return hdu
