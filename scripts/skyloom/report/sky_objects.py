"""Whether nothing was measured where nothing is: fluxes of the sky objects of each visit and of each band."""

from collections import defaultdict

import numpy as np

from skyloom.core.tables import column
from skyloom.report.metrics import SURVEY, Measurement

FEWEST = 10
"""Sky objects without which nothing is said."""


class SkyObjectCollector:
    """Gathers the sky objects of one source table after the other."""

    def __init__(self):
        self._parts = defaultdict(list)

    def add(self, src, visit, band):
        """Take the sky objects of a source table.

        Parameters
        ----------
        src : pyarrow.Table
            Schema SOURCE.
        visit : int
            Its visit.
        band : str
            Its band.
        """
        flux, error = column(src, "psfFlux"), column(src, "psfFluxErr")
        used = column(src, "sky_source") & np.isfinite(flux) & (error > 0)
        for flag in ("psfFlux_flag", "pixelFlags_halo"):
            used &= ~column(src, flag)
        self._parts[visit, band].append(flux[used] / error[used])

    def measurements(self, bands, band_of):
        """Return mean flux and chi squared of each band and of each visit (list of Measurement).

        Parameters
        ----------
        bands : list of str
            Bands of the survey.
        band_of : dict of int to str
            Band of each visit.
        """
        found = []
        for band in bands:
            parts = [part for (_, of_band), parts in self._parts.items() if of_band == band for part in parts]
            found += sky_measurements(parts, band)
        for visit, band in band_of.items():
            found += sky_measurements(self._parts[visit, band], band, f"visit {visit}")
        return found


def sky_measurements(parts, band, subject=SURVEY):
    """Mean flux and chi squared of sky objects.

    Parameters
    ----------
    parts : list of ndarray
        Their PSF fluxes over the errors.
    band, subject : str
        See `Measurement`.

    Returns
    -------
    list of Measurement
        ``sky_flux``, the mean in its standard errors as the scatter tells them, and ``sky_chi2``, the mean square,
        whose error is that of Gaussian noise; both NaN below 10 sky objects.
    """
    pulls = np.concatenate([np.empty(0), *parts])
    n = pulls.size
    if n < FEWEST:
        return [Measurement(name, band, np.nan, n, subject=subject) for name in ("sky_flux", "sky_chi2")]
    mean = float(np.mean(pulls) / np.std(pulls, ddof=1) * np.sqrt(n))
    chi2 = float(np.mean(pulls**2))
    return [
        Measurement("sky_flux", band, mean, n, 1.0, subject),
        Measurement("sky_chi2", band, chi2, n, chi2 * float(np.sqrt(2 / n)), subject),
    ]
