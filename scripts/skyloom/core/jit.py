"""The one way to compile a kernel: cached on disk, no fast-math, no parallel reduction.

Results must be the same bytes on one or eight cores, hence no ``parallel`` and no ``fastmath``. The folder
of the cache is set here, before any kernel is declared, because Numba chooses it at that moment.
"""

import os
from pathlib import Path

import numba
from numba.core import config as numba_config

CACHE_VARIABLE = "SKYLOOM_KERNEL_CACHE"


def _use_shared_cache_folder():
    """Point Numba at the folder that rule `compile_kernels` filled, or leave its default."""
    folder = os.environ.get(CACHE_VARIABLE, "")
    if folder and Path(folder).is_dir():
        numba_config.CACHE_DIR = folder


_use_shared_cache_folder()


def kernel(function):
    """Compile `function` with Numba in nopython mode, cached on disk.

    Parameters
    ----------
    function : callable
        A function of arrays and scalars with one loop nest.

    Returns
    -------
    numba dispatcher
        Compiled at the first call for each set of types.
    """
    return numba.njit(cache=True)(function)
