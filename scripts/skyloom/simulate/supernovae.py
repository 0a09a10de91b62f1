"""Light curves of supernovae of type Ia by rest wavelength and redshift."""

import numpy as np

from skyloom.simulate.cosmology import distance_modulus

SUPERNOVA = "supernova_ia"
BAND_WAVELENGTHS = {"u": 368.0, "g": 480.0, "r": 622.0, "i": 755.0, "z": 869.0, "y": 972.0}
"""Mean wavelengths of Rubin's bands [nm]."""
REST_WAVELENGTHS = np.array([280.0, 360.0, 440.0, 550.0, 650.0, 800.0, 1000.0])
"""Those of the light curves below [nm]: the near ultraviolet, U, B, V, R, I and the near infrared."""
PEAK_MAGNITUDES = np.array([-17.0, -18.9, -19.3, -19.2, -19.1, -18.7, -18.5])
"""Absolute AB magnitude at the maximum in B: V = -19.2 and colours after Nobili & Goobar (2008)."""
PHASES = np.array([-18.0, -15.0, -12.0, -8.0, -4.0, 0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 60.0, 90.0])
"""Days after the maximum in B, in the supernova's frame."""
DECLINES = np.array(
    [
        [9.0, 4.0, 2.2, 0.9, 0.2, 0.0, 0.7, 1.5, 2.3, 3.0, 3.5, 3.8, 4.1, 4.6, 5.3],
        [9.0, 3.4, 1.7, 0.6, 0.1, 0.0, 0.4, 1.0, 1.7, 2.4, 2.9, 3.2, 3.4, 3.8, 4.4],
        [9.0, 2.8, 1.4, 0.5, 0.1, 0.0, 0.1, 0.5, 1.1, 1.7, 2.2, 2.6, 2.9, 3.2, 3.7],
        [9.0, 2.6, 1.4, 0.6, 0.2, 0.0, 0.0, 0.2, 0.6, 0.9, 1.3, 1.6, 2.1, 2.6, 3.4],
        [9.0, 2.5, 1.3, 0.5, 0.1, 0.0, 0.1, 0.4, 0.6, 0.7, 0.8, 1.1, 1.7, 2.4, 3.4],
        [9.0, 2.4, 1.2, 0.4, 0.0, 0.0, 0.2, 0.5, 0.6, 0.5, 0.4, 0.5, 1.2, 2.2, 3.5],
        [9.0, 2.4, 1.2, 0.4, 0.0, 0.0, 0.5, 1.1, 1.2, 0.9, 0.6, 0.7, 1.4, 2.6, 4.2],
    ]
)
"""Magnitudes below the maximum, shape (wavelengths, phases): after the templates of Jha, Riess & Kirshner (2007),
to 0.1 or 0.2 mag, for a decline of 1.1 mag in B over 15 days; with the second maximum in I."""
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
