"""Colours of galaxies by type and redshift, from template spectra through Rubin's filters."""

from functools import lru_cache
from pathlib import Path

import galsim
import numpy as np

TEMPLATES = ("CWW_E_ext", "CWW_Sbc_ext", "CWW_Scd_ext", "CWW_Im_ext")
"""Coleman, Wu & Weedman (1980), extended by Bolzonella, Miralles & Pello (2000), as GalSim ships them."""
BANDS = "ugrizy"
REDSHIFTS = np.linspace(0.0, 4.0, 81)
WAVELENGTHS = np.arange(300.0, 1150.0, 0.5)
"""[nm]"""
REDDEST = 6.0
"""Largest magnitude in a band minus that in r: a galaxy beyond the Lyman limit is not wholly dark."""


def colours(spectral_type, redshift):
    """Colours of galaxies.

    Parameters
    ----------
    spectral_type : ndarray, shape (n,)
        Place among `TEMPLATES`, from 0 (elliptical) to 3 (irregular); colours are interpolated.
    redshift : ndarray, shape (n,)
        Up to 4.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        AB magnitude in each of `BANDS` minus that in r.
    """
    found = _interpolate(_tables()[0], spectral_type, redshift)
    return {band: found[:, k] for k, band in enumerate(BANDS)}


def k_correction(spectral_type, redshift):
    """Apparent magnitude in r minus distance modulus and absolute magnitude in r.

    Parameters
    ----------
    spectral_type, redshift : ndarray, shape (n,)
        As for `colours`.

    Returns
    -------
    ndarray, shape (n,), float64
        The correction [mag].
    """
    return _interpolate(_tables()[1], spectral_type, redshift)


def _interpolate(table, spectral_type, redshift):
    """Values of a table, shape (templates, redshifts, ...), between its types and redshifts."""
    low = np.clip(np.floor(spectral_type).astype(int), 0, len(TEMPLATES) - 2)
    cell = redshift / (REDSHIFTS[1] - REDSHIFTS[0])
    row = np.clip(np.floor(cell).astype(int), 0, len(REDSHIFTS) - 2)
    part, step = (
        np.clip(fraction, 0, 1).reshape(-1, *[1] * (table.ndim - 2))
        for fraction in (spectral_type - low, cell - row)
    )
    early = table[low, row] * (1 - step) + table[low, row + 1] * step
    late = table[low + 1, row] * (1 - step) + table[low + 1, row + 1] * step
    return early * (1 - part) + late * part


@lru_cache(maxsize=1)
def _tables():
    """Colours, shape (templates, redshifts, bands), and K corrections in r, shape (templates, redshifts).

    Notes
    -----
    A photon counter's AB magnitudes: Bessell & Murphy (2012), eq. A12 and A15. K correction: Hogg et al. (2002),
    eq. 13.
    """
    folder = Path(galsim.meta_data.share_dir)
    filters = [np.loadtxt(folder / "bandpasses" / f"LSST_{band}.dat").T for band in BANDS]
    throughput = np.array([np.interp(WAVELENGTHS, *curve, left=0, right=0) for curve in filters])
    weight = throughput * WAVELENGTHS / (throughput / WAVELENGTHS).sum(axis=1, keepdims=True)
    flux = np.empty((len(TEMPLATES), len(REDSHIFTS), len(BANDS)))
    for k, template in enumerate(TEMPLATES):
        wavelength, spectrum = np.loadtxt(folder / "SEDs" / f"{template}.sed").T
        for j, redshift in enumerate(REDSHIFTS):
            shifted = np.interp(WAVELENGTHS, 0.1 * wavelength * (1 + redshift), spectrum, left=0, right=0)
            flux[k, j] = weight @ shifted
    in_r = flux[:, :, [BANDS.index("r")]]
    ratio = np.maximum(flux / in_r, 10 ** (-0.4 * REDDEST))
    return -2.5 * np.log10(ratio), -2.5 * np.log10(in_r / in_r[:, :1] / (1 + REDSHIFTS[:, None]))[:, :, 0]
