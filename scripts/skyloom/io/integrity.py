"""Whole products or none: a temporary name, a hash of every byte, one rename.

A product carries the XXH3 hash of its own bytes, 128 bits, computed with the characters of the hash as zeros. Readers
compare it before they parse anything, since neither FITS checksums nor Parquet's defaults notice every flip. It guards
against accidents, not against people; a job that reads the calibrations of a large detector would spend a twentieth of
its time on a hash that does.
"""

import os
from contextlib import contextmanager
from pathlib import Path

from xxhash import xxh3_128

from skyloom.core.errors import CorruptProductError

HASH_LENGTH = 32
ZEROS = b"0" * HASH_LENGTH
# The system takes no more of them at a time.
MOST_PARTS = 1024


@contextmanager
def atomic_path(path):
    """Give a temporary path that becomes `path` when the block ends well, and vanishes when it does not.

    Parameters
    ----------
    path : str or Path
        Final name.

    Yields
    ------
    Path
        Temporary name in the same folder; it carries the process number, so two processes never share it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _flush_to_disk(path):
    """Make the file's bytes durable before its name says that they are there."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path, *parts):
    """Write a file whole.

    Parameters
    ----------
    path : str or Path
        Final name.
    *parts : bytes-like
        Its content, one after the other.
    """
    left = [memoryview(part).cast("B") for part in parts]
    with atomic_path(path) as temporary, open(temporary, "wb", buffering=0) as stream:
        while left:
            n_written = os.writev(stream.fileno(), left[:MOST_PARTS])
            # The system writes at most 2 GB at a time.
            while left and n_written >= len(left[0]):
                n_written -= len(left.pop(0))
            if left:
                left[0] = left[0][n_written:]


def stamp(data, marker, search_end=None, rest=()):
    """Put the hash of a product into its own bytes.

    Parameters
    ----------
    data : bytearray
        The product, or its beginning, with `ZEROS` behind the marker; changed in place.
    marker : bytes
        What stands immediately before the hash, once in the file.
    search_end : int, optional
        The marker must begin before this offset.
    rest : sequence of bytes-like
        What follows.

    Returns
    -------
    bytearray
        The same object.
    """
    start = data.index(marker, 0, search_end) + len(marker)
    digest = xxh3_128(data)
    for part in rest:
        digest.update(part)
    data[start : start + HASH_LENGTH] = digest.hexdigest().encode()
    return data


def verify(data, marker, path, search_end=None):
    """Compare a product with the hash it carries.

    Parameters
    ----------
    data : bytes, or memoryview where there is a `search_end`
        The whole file.
    marker : bytes
        What stands immediately before the hash.
    path : str or Path
        For the message.
    search_end : int, optional
        The marker must begin before this offset.

    Raises
    ------
    CorruptProductError
        If the hash is missing or another.
    """
    found = data.rfind(marker) if search_end is None else bytes(data[:search_end]).find(marker)
    if found < 0:
        raise CorruptProductError(
            str(path), "carries no hash: it is no whole product of Skyloom's, or an older one's"
        )
    start = found + len(marker)
    stated = bytes(data[start : start + HASH_LENGTH])
    view = memoryview(data)
    digest = xxh3_128(view[:start])
    digest.update(ZEROS)
    digest.update(view[start + HASH_LENGTH :])
    if digest.hexdigest().encode() != stated:
        raise CorruptProductError(
            str(path),
            "its hash differs from the one that was written: bytes were changed, or an older Skyloom wrote it",
        )
