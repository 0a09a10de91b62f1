"""The folder of compiled kernels: named by what decides the machine code, filled once, never changed."""

import hashlib
import logging
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from skyloom.workflow.fingerprint import Fingerprints

log = logging.getLogger(__name__)

VARIABLE = "SKYLOOM_KERNEL_CACHE"
# Folders with this beginning are being filled: `skyloom.core.jit` writes into no other.
FILLING = "filling-"
SCRIPTS = Path(__file__).resolve().parents[2]


def kernel_cache_folder(fingerprint, conda_environment=None):
    """Return the folder of compiled kernels.

    Parameters
    ----------
    fingerprint : str
        Hash of all modules with kernels, from `Fingerprints.kernels`.
    conda_environment : str or Path, optional
        The yaml of the environment in which the jobs run, when it is not Snakemake's own.

    Returns
    -------
    Path
        ``skyloom/{fingerprint}-{numba}-{cpu}`` below the user's cache folder; another one for another
        version of Numba, Python or kind of processor, or for another conda environment.
    """
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    compiler = _installed_compiler() if conda_environment is None else _conda_compiler(conda_environment)
    return user_cache / "skyloom" / f"{fingerprint}-{compiler}-{processor()}"


def _installed_compiler():
    """Numba's and Python's version in this process."""
    python = "".join(platform.python_version_tuple()[:2])
    return f"{metadata.version('numba')}-py{python}"


def _conda_compiler(environment):
    """Hash of a conda environment's yaml: Snakemake's own need not have Numba, let alone the same one."""
    return f"conda-{hashlib.sha256(Path(environment).read_bytes()).hexdigest()[:10]}"


def processor():
    """Return a short hash of the processor's model and its instructions (str)."""
    wanted = ("model name", "flags", "Features", "CPU part")
    lines = []
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            for line in stream:
                if line.startswith(wanted):
                    lines.append(line)
                if not line.strip():
                    break
    except FileNotFoundError:
        lines.append(platform.processor())
    text = platform.machine() + "".join(lines)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def compile_library(folder):
    """Compile a library's modules to bytecode where that is missing or older than they are.

    Python does so by itself when it imports them, but not where PYTHONDONTWRITEBYTECODE is set, and many jobs that
    start at once each compile for themselves: 0.4 s of each. In a folder that may not be written it stays so.

    Parameters
    ----------
    folder : Path
        The library.
    """
    import compileall

    if not compileall.compile_dir(folder, quiet=2):
        log.info("no bytecode can be kept in %s: each job compiles the modules that it imports", folder)


def fill_kernel_cache():
    """Compile all kernels into the folder that the jobs look into, whole or not at all.

    Returns
    -------
    str
        Fingerprint of the kernels; the folder is left as it is when it is there already.

    Notes
    -----
    Numba picks its folder when a kernel is declared, so the variable is set before the modules are imported.
    """
    import shutil
    import tempfile
    from importlib import import_module

    compile_library(SCRIPTS / "skyloom")
    fingerprints = Fingerprints(SCRIPTS)
    folder = Path(os.environ[VARIABLE])
    if folder.is_dir():
        log.info("kernels are in %s already", folder)
        return fingerprints.kernels()
    folder.parent.mkdir(parents=True, exist_ok=True)
    filling = Path(tempfile.mkdtemp(prefix=FILLING, dir=folder.parent))
    os.environ[VARIABLE] = str(filling)
    for name in fingerprints.kernel_modules():
        import_module(name).compile_kernels()
        log.info("compiled the kernels of %s", name)
    try:
        filling.rename(folder)
    except OSError:
        # Another survey's run was faster; its kernels are the same.
        if not folder.is_dir():
            raise
        shutil.rmtree(filling)
    return fingerprints.kernels()


def refill_kernel_cache(marker, *, in_conda=False):
    """Compile the kernels again when a finished rule's marker is there but its folder is not.

    Parameters
    ----------
    marker : str or Path
        What rule `compile_kernels` wrote; without it the rule itself will run.
    in_conda : bool
        Whether the jobs run in conda environments, which are not known before the graph is.

    Returns
    -------
    bool
        Whether they were compiled.

    Notes
    -----
    The rule cannot do it: a job that must run hides all jobs behind an ``ancient`` input from Snakemake 9's check
    of what else must run, and without ``ancient`` everything would run again after any change of a kernel.
    """
    if Path(os.environ[VARIABLE]).is_dir() or not Path(marker).is_file():
        return False
    if in_conda:
        sys.stderr.write(
            "skyloom: the kernels have changed, and each job compiles them for itself (about 15 s) until "
            f"`snakemake --sdm conda --forcerun compile_kernels -- {marker}` has run\n"
        )
        return False
    sys.stderr.write("skyloom: the kernels have changed, compiling them (about 15 s)\n")
    program = "from skyloom.workflow.kernel_cache import fill_kernel_cache; fill_kernel_cache()"
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)  # noqa: S603 (fixed words)
    return True


def write_marker(path, fingerprint):
    """Write the marker that the kernels are there.

    Parameters
    ----------
    path : str
        Its name, the same for all kernels so that new ones rerun nothing by it.
    fingerprint : str
        Which kernels.
    """
    Path(path).write_text(f"{fingerprint}\n", encoding="utf-8")
