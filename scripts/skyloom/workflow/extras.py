"""Packages that a single setting needs: their lack is told before any job, with what to install."""

from importlib.util import find_spec

from skyloom.workflow.config import InvalidConfigurationError, Problem, file_of

PSF_MODEL = "calibrate.psf.model"
HOW = "uv pip install -e '.[piff]' in Skyloom's folder, or with snakemake --sdm conda"


def with_piff(settings):
    """Return whether Piff fits the PSFs (bool).

    Parameters
    ----------
    settings : dict
        The configuration with its defaults.
    """
    return settings["calibrate"]["psf"]["model"] == "piff"


def check_extras(settings, files):
    """Raise when a setting needs a package that is not installed.

    Parameters
    ----------
    settings : dict
        The configuration with its defaults.
    files : sequence of (str, dict)
        Name and content of each file it was merged from, for the message.

    Raises
    ------
    InvalidConfigurationError
        With the setting, the package and how to get it.
    """
    if with_piff(settings) and find_spec("piff") is None:
        found = "is piff, a package that is not installed"
        allowed = f"pixels; or piff after {HOW}"
        file = file_of(PSF_MODEL.split("."), files)
        raise InvalidConfigurationError([Problem(file, PSF_MODEL, found, allowed)])
