"""How a job's process asks for its memory: what it frees it keeps, since planes of images come and go by the dozen."""

import ctypes
import gc
import sys

# Parameters of mallopt in glibc's malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
NEVER = -1
# New objects between two searches for cycles; of its own accord Python searches after 700.
NEW_OBJECTS = 100_000


def keep_freed_memory():
    """Make the C library reuse what was freed instead of giving it back and asking anew.

    Notes
    -----
    By default each array of more than 32 MB is mapped for itself and unmapped when it goes, so its pages are made, and
    cleared, for each plane again: a fifth of the CPU time of a detector of 4096 x 4096 pixels, more on virtual machines
    that give free pages back to their host. The process ends soon, so nothing is kept from others. Only glibc has the
    choice; elsewhere nothing happens.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(M_MMAP_MAX, 0)
            mallopt(M_TRIM_THRESHOLD, NEVER)


def spare_the_collector():
    """Take what lives by now, nearly all of it imported, out of the search for unreachable cycles.

    Notes
    -----
    Half a million objects of libraries, none of which ever goes, are else looked through again and again: 0.3 s of a
    job of 15. What a job itself makes are arrays, few objects of which make cycles: those are looked for once in so
    many new objects.
    """
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
