"""The one way to compile a kernel: cached on disk, no parallel reduction.

Results must be the same bytes on one or eight cores, hence no ``parallel``; and no ``fastmath`` but the leave of
`summing_kernel` to add in another order, which depends on the processor alone. The folder
of the cache is set here, before any kernel is declared, because Numba chooses it at that moment. Jobs read the
folder that rule `compile_kernels` filled and never write there: Numba hands out file names before it writes
them, so that two jobs that write at once may leave one kernel's code under another's name.
"""

import atexit
import logging
import os
import shutil
import tempfile
from pathlib import Path

import numba
from numba.core import config as numba_config
from numba.core.caching import FunctionCache, _CacheLocator

log = logging.getLogger(__name__)

# What a job's log says of a kernel that its module's `compile_kernels` left out.
NOT_COMPILED_BEFORE = "not compiled before the job:"
CACHE_VARIABLE = "SKYLOOM_KERNEL_CACHE"
FILLING = "filling-"


def _cache_folder():
    """Folder of this process's kernels, None outside the workflow, and whether it may be written.

    A folder that the workflow names but that is gone, or was made for another processor, gives a private one.
    """
    named = os.environ.get(CACHE_VARIABLE, "")
    if not named:
        return None, True
    if Path(named).is_dir():
        return Path(named), Path(named).name.startswith(FILLING)
    private = tempfile.mkdtemp(prefix="skyloom-kernels-")
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    return Path(private), True


FOLDER, IS_WRITABLE = _cache_folder()


class KernelLocator(_CacheLocator):
    """Place of a kernel in the folder: by its module and name alone.

    The folder's name is a fingerprint of all kernels, so neither the place of the clone nor a comment, both of
    which Numba's own locators look at, makes a kernel stale.

    Parameters
    ----------
    module : str
        Full name of the kernel's module.
    """

    def __init__(self, module):
        self._module = module

    def get_cache_path(self):
        """Return the folder of the kernel's module (str)."""
        return str(FOLDER / self._module)

    def get_source_stamp(self):
        """Return a constant: the fingerprint is in the folder's name (str)."""
        return "skyloom"

    def get_disambiguator(self):
        """Return nothing more: names are unique in a module (str)."""
        return ""

    @classmethod
    def from_function(cls, py_func, py_file):  # noqa: ARG003 (Numba's signature)
        """Return the locator of a kernel of ours, None for other functions.

        Parameters
        ----------
        py_func : function
            What Numba compiles.
        py_file : str
            File that it stands in; not looked at.

        Returns
        -------
        KernelLocator or None
            Its folder exists.
        """
        if not py_func.__module__.startswith("skyloom."):
            return None
        locator = cls(py_func.__module__)
        locator.ensure_cache_path()
        return locator


class _ReadOnlyCache(FunctionCache):
    """Cache that gives and does not take."""

    def save_overload(self, sig, data):
        """Keep nothing, but say what the job had to compile for itself."""
        log.warning(f"{NOT_COMPILED_BEFORE} %s for %s", self._py_func.__qualname__, sig)


if FOLDER is not None:
    numba_config.CACHE_LOCATOR_CLASSES = f"{__name__}.KernelLocator,InTreeCacheLocator,UserWideCacheLocator"


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
    return _compiled(function)


def summing_kernel(function):
    """Compile a function whose time goes into sums: several terms at once, their order up to the processor.

    Parameters
    ----------
    function : callable
        As for `kernel`.

    Returns
    -------
    numba dispatcher
        NaN and infinities are what they are in other kernels, but a division by zero gives one instead of an error:
        looking for it would take the terms one by one. The rounding of sums and products differs.
    """
    # Leave to take 0 for -0 ("nsz") would turn a sum of some of its terms into a branch for each.
    return _compiled(function, fastmath={"reassoc", "contract"}, error_model="numpy")


def _compiled(function, **options):
    """Dispatcher of a function, cached."""
    dispatcher = numba.njit(cache=True, **options)(function)
    if not IS_WRITABLE and not numba_config.DISABLE_JIT:
        dispatcher._cache = _ReadOnlyCache(function)
    return dispatcher
