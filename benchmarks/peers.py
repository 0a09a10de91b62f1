"""The tools that ours is measured beside: whether they are there, their recommended settings, what a run of them costs.

A benchmark without its peer measures nothing: it says so and ends with `NOT_MEASURED`, which is no pass.
"""

import importlib.util
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

NOT_MEASURED = 2
"""Exit code of a benchmark whose peer is missing; 1 is that of a bar that is missed."""
INSTALL = {
    "SExtractor": "apt install source-extractor",
    "PSFEx": "apt install psfex",
    "SCAMP": "apt install scamp",
    "astroscrappy": "pip install astroscrappy",
    "Piff": "pip install piff",
}
PROGRAMS = {"SExtractor": "source-extractor", "PSFEx": "psfex", "SCAMP": "scamp"}
SHARE = Path("/usr/share/source-extractor")
"""Where Debian keeps the filters and networks of SExtractor."""
QUIET = {"VERBOSE_TYPE": "QUIET"}
ALONE = QUIET | {"CHECKPLOT_TYPE": "NONE", "WRITE_XML": "N", "NTHREADS": "1"}
"""One thread, and no more output than what the next step reads."""
SEXTRACTOR = QUIET | {
    "FILTER_NAME": str(SHARE / "gauss_3.0_5x5.conv"),
    "STARNNW_NAME": str(SHARE / "default.nnw"),
    "CATALOG_TYPE": "FITS_LDAC",
    "WEIGHT_TYPE": "MAP_VAR",
    "WEIGHT_IMAGE": "variance.fits",
}
"""SExtractor's defaults, among them DETECT_THRESH 1.5 after a filter and DETECT_MINAREA 5; the filter is as wide as the
PSF, and the noise of each pixel is given."""
PSFEX = ALONE | {
    "PSFVAR_DEGREES": "2",
    "SAMPLE_MINSN": "20",
    "SAMPLE_MAXELLIP": "0.3",
    "SAMPLE_FWHMRANGE": "2.0,10.0",
    "CHECKIMAGE_TYPE": "NONE",
}
"""PSFEx's cuts on stars and a variation of degree 2."""
PSFEX_COLUMNS = (
    *(
        "X_IMAGE",
        "Y_IMAGE",
        "FLUX_RADIUS",
        "FLUX_APER(1)",
        "FLUXERR_APER(1)",
        "ELONGATION",
        "FLAGS",
        "SNR_WIN",
    ),
)
"""What PSFEx asks of a catalogue, beside the vignettes."""
SCAMP = ALONE | {
    "ASTREF_CATALOG": "FILE",
    "ASTREFCAT_NAME": "reference.cat",
    "ASTREFERR_KEYS": "ERRA_WORLD,ERRB_WORLD,ERRTHETA_WORLD",
    "ASTREFMAG_KEY": "MAG",
    "ASTREFMAGERR_KEY": "MAGERR",
    "ASTREFOBSDATE_KEY": "OBSDATE",
    "DISTORT_DEGREES": "3",
    "POSITION_MAXERR": "1.0",
    "CROSSID_RADIUS": "2.0",
    "STABILITY_TYPE": "EXPOSURE",
}
"""One exposure against a local catalogue, distortion of degree 3."""
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


def missing(*names):
    """Tell which peers are not there, on the standard output with how to install them.

    Parameters
    ----------
    *names : str
        Keys of `INSTALL`.

    Returns
    -------
    list of str
        Those that are missing.
    """
    found = [name for name in names if not _is_there(name)]
    for name in found:
        sys.stdout.write(f"not measured: {name} is not there ({INSTALL[name]})\n")
    return found


def _is_there(name):
    """Whether a program is on PATH, or a package can be imported."""
    if name in PROGRAMS:
        return shutil.which(PROGRAMS[name]) is not None
    return importlib.util.find_spec(name.lower()) is not None


def command_of(name, argument, settings, folder):
    """Command of a program of AstrOmatic that reads its own defaults, then some settings.

    Parameters
    ----------
    name : str
        Key of `PROGRAMS`.
    argument : str
        Image or catalogue.
    settings : dict of str to str
        What differs from the defaults.
    folder : Path
        Where it will run; the file of its defaults is written there.

    Returns
    -------
    list of str
    """
    program = PROGRAMS[name]
    defaults = subprocess.run([program, "-d"], check=True, capture_output=True).stdout
    (folder / f"{program}.conf").write_bytes(defaults)
    options = [part for key, value in settings.items() for part in (f"-{key}", value)]
    return [program, argument, "-c", f"{program}.conf", *options]


def measured(command, folder):
    """CPU seconds and peak memory of a command in a process of one thread.

    Parameters
    ----------
    command : list of str
        What to run.
    folder : Path
        Where.

    Returns
    -------
    seconds, megabytes : float

    Raises
    ------
    SystemExit
        With what the command says when it fails.
    """
    timed = [sys.executable, str(Path(__file__).resolve()), *command]
    done = subprocess.run(
        timed, cwd=folder, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:2])}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    seconds, megabytes = done.stdout.split()[-2:]
    return float(seconds), float(megabytes)


def _measure_alone(command):
    """Run a command, print its CPU seconds and peak memory, return its exit code: the largest child is this one."""
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    sys.stdout.write(f"{used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss / 1024:.1f}\n")
    return done.returncode


def verdict(passed):
    """Return ``pass`` or ``FAIL`` (str).

    Parameters
    ----------
    passed : bool
        Whether a bar is reached.
    """
    return "pass" if passed else "FAIL"


if __name__ == "__main__":
    sys.exit(_measure_alone(sys.argv[1:]))
