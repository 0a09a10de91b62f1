"""Light curves of supernovae of type Ia by rest wavelength and redshift."""

import numpy as np

from skyloom.simulate.cosmology import distance_modulus

SUPERNOVA = "supernova_ia"
BAND_WAVELENGTHS = {"u": 367.1, "g": 482.7, "r": 622.3, "i": 754.6, "z": 869.1, "y": 971.0}
"""Mean wavelengths of Rubin's bands [nm]: of the throughputs that GalSim ships."""
REST_WAVELENGTHS = np.array([280.0, 360.0, 440.0, 550.0, 650.0, 800.0, 1000.0])
"""Those of the light curves below [nm]: the near ultraviolet, U, B, V, R, I and the near infrared."""
PEAK_MAGNITUDES = np.array([-17.38, -18.94, -19.45, -19.30, -19.04, -18.53, -18.30])
"""Absolute AB magnitude at the maximum in B: the template of `DECLINES` where its B is -19.3 in Vega's system
(-19.25 in Richardson et al. 2014, -19.34 in Riess et al. 2022, for a Hubble constant of 70)."""
PHASES = np.array([-18.0, -15.0, -12.0, -8.0, -4.0, 0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 60.0, 85.0])
"""Days after the maximum in B, in the supernova's frame; the first is the explosion, after the rise times of
Ganeshalingam, Li & Filippenko (2011)."""
DECLINES = np.array(
    [
        [4.59, 2.14, 0.97, 0.12, -0.29, 0.0, 0.55, 1.09, 2.06, 2.95, 3.49, 3.51, 3.69, 3.99, 4.33],
        [4.84, 2.43, 1.31, 0.38, -0.02, 0.0, 0.33, 0.85, 1.54, 2.31, 2.98, 3.38, 3.74, 4.10, 4.55],
        [5.27, 2.86, 1.69, 0.72, 0.13, 0.0, 0.12, 0.49, 1.00, 1.57, 2.11, 2.46, 2.98, 3.32, 3.62],
        [5.15, 2.74, 1.63, 0.71, 0.20, 0.0, 0.02, 0.22, 0.55, 0.81, 1.01, 1.30, 1.85, 2.48, 3.19],
        [5.03, 2.61, 1.48, 0.60, 0.14, 0.0, 0.06, 0.36, 0.65, 0.71, 0.78, 0.98, 1.71, 2.47, 3.30],
        [4.82, 2.41, 1.30, 0.39, 0.02, 0.0, 0.23, 0.55, 0.72, 0.62, 0.52, 0.58, 1.26, 2.20, 3.41],
        [4.82, 2.41, 1.27, 0.35, -0.07, 0.0, 0.31, 0.53, 0.57, 0.37, 0.16, 0.05, 0.52, 1.45, 2.72],
    ]
)
"""Magnitudes below the maximum in B, shape (wavelengths, phases): the spectral template of Hsiao et al. (2007),
version 3, averaged over 15 % of each wavelength. B falls by 1.03 mag over 15 days; I has its second maximum."""
MAGNITUDE_SCATTER = 0.12
STRETCH_SCATTER = 0.1


def peak_magnitudes(redshift, offset):
    """Magnitudes at the maximum in B.

    Parameters
    ----------
    redshift, offset : ndarray, shape (n,)
        Redshift above 0, and magnitudes by which the supernova is fainter than the mean.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        AB magnitude by band.

    Notes
    -----
    A magnitude of flux a frequency interval: M + distance modulus - 2.5 log(1 + z) at the wavelength that is
    redshifted into the band (Hogg et al. 2002, eq. 8, for a narrow band).
    """
    distant = distance_modulus(redshift) - 2.5 * np.log10(1 + redshift) + offset
    return {
        band: np.interp(length / (1 + redshift), REST_WAVELENGTHS, PEAK_MAGNITUDES) + distant
        for band, length in BAND_WAVELENGTHS.items()
    }


def fading(redshift, stretch, days, band):
    """Flux of supernovae over that at the maximum in B.

    Parameters
    ----------
    redshift, stretch, days : ndarray, shape (n,)
        Redshift, stretch of the light curve, and days after the maximum as seen from the Earth.
    band : str
        One of `BAND_WAVELENGTHS`.

    Returns
    -------
    ndarray, shape (n,), float64
        0 before the explosion; above 1 where a band's maximum is later.
    """
    phase = days / (1 + redshift) / stretch
    curves = np.array([np.interp(phase, PHASES, row) for row in DECLINES])
    late = (
        np.maximum(phase - PHASES[-1], 0)
        * (DECLINES[:, -1:] - DECLINES[:, -2:-1])
        / (PHASES[-1] - PHASES[-2])
    )
    rest = BAND_WAVELENGTHS[band] / (1 + redshift)
    row = np.clip(np.searchsorted(REST_WAVELENGTHS, rest) - 1, 0, len(REST_WAVELENGTHS) - 2)
    part = np.clip((rest - REST_WAVELENGTHS[row]) / (REST_WAVELENGTHS[row + 1] - REST_WAVELENGTHS[row]), 0, 1)
    index, values = np.arange(len(phase)), curves + late
    decline = values[row, index] * (1 - part) + values[row + 1, index] * part
    return np.where(phase > PHASES[0], 10 ** (-0.4 * decline), 0.0)
