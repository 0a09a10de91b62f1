"""Magnitudes and colours of simulated objects, and their fluxes."""

import numpy as np

from skyloom.core.errors import ConfigError
from skyloom.simulate.catalog import flux_name

COLOUR_SLOPES = {"u": 2.79, "g": 1.0, "r": 0.0, "i": -0.40, "z": -0.67, "y": -0.92}
"""Magnitude in a band minus that in r, per magnitude of g - r: a straight stellar locus."""
COLOUR_OFFSETS = {"u": 0.52, "g": 0.0, "r": 0.0, "i": 0.03, "z": 0.11, "y": 0.21}
"""Straight lines through the main sequence of Yuan et al. (2015, table 1) for [Fe/H] = -0.5 and g - r from 0.24 to
1.15, good to 0.05 mag in u; z - y of Kurucz's models in Rubin's bands (rubin_sim, `stellarMags`): -0.005, 0.043 and
0.219 at g - r of 0.39, 0.61 and 1.29."""
COLOUR_SCATTER = 0.05
AB_ZERO_POINT_NJY = 31.4


class NoBandColoursError(ConfigError):
    """A band for which the simulated sky has no colours."""

    def __init__(self, band):
        self.band = band
        super().__init__(
            f"the simulator has no colours for band {band!r}, needs one of {', '.join(COLOUR_SLOPES)}: "
            "see `bands` of the survey"
        )


def draw_magnitudes(n, settings, rng):
    """Magnitudes whose counts rise as 10^(slope m) between two limits.

    Parameters
    ----------
    n : int
        How many.
    settings : dict
        `magnitude_bright`, `magnitude_faint` [mag AB in r], `count_slope` [dex/mag]; slope 0 is uniform.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (n,), float64
        Magnitudes in r.
    """
    bright, faint, slope = settings["magnitude_bright"], settings["magnitude_faint"], settings["count_slope"]
    u = rng.uniform(0, 1, n)
    if slope == 0:
        return bright + u * (faint - bright)
    lowest = 10 ** (slope * (bright - faint))
    return faint + np.log10(lowest + u * (1 - lowest)) / slope


def fill_fluxes(objects, magnitude_r, colour, bands, rng):
    """Set the flux columns from r magnitudes and g - r colours, with scatter about the locus.

    Parameters
    ----------
    objects : dict of str to ndarray, shape (n,)
        Changed in place: its flux columns [nJy] and its colour.
    magnitude_r, colour : ndarray, shape (n,)
        AB magnitude in r and colour g - r.
    bands : sequence of str
        Bands of the survey.
    rng : numpy.random.Generator
        Source of randomness; draws as much whatever the bands, so that adding one changes no other.

    Raises
    ------
    NoBandColoursError
        If a band is none of `COLOUR_SLOPES`.
    """
    objects["colour_gr"][:] = colour
    scatter = {band: rng.normal(0, COLOUR_SCATTER, len(colour)) for band in COLOUR_SLOPES}
    magnitudes = {}
    for band, slope in COLOUR_SLOPES.items():
        wander = 0 if band == "r" else scatter[band]
        magnitudes[band] = magnitude_r + COLOUR_OFFSETS[band] + slope * colour + wander
    set_fluxes(objects, magnitudes, bands)


def set_fluxes(objects, magnitudes, bands):
    """Set the flux columns from magnitudes.

    Parameters
    ----------
    objects : dict of str to ndarray, shape (n,)
        Its flux columns [nJy] are changed in place.
    magnitudes : dict of str to ndarray, shape (n,)
        AB magnitude by band.
    bands : sequence of str
        Bands of the survey.

    Raises
    ------
    NoBandColoursError
        If a band has no magnitudes.
    """
    for band in bands:
        if band not in magnitudes:
            raise NoBandColoursError(band)
        objects[flux_name(band)][:] = 10 ** (0.4 * (AB_ZERO_POINT_NJY - magnitudes[band]))


def bulge_fractions(galaxies, band):
    """Fraction of the flux in a band that is the bulge's.

    Parameters
    ----------
    galaxies : dict of str to ndarray, shape (n,)
        `bulge_fraction`, that in r, and `bulge_colour` [mag].
    band : str
        One of `COLOUR_SLOPES`.

    Returns
    -------
    ndarray, shape (n,), float64
        The flux ratio of bulge and disc changes from r to the band along the locus of `COLOUR_SLOPES`.
    """
    brighter = 10 ** (-0.4 * COLOUR_SLOPES[band] * galaxies["bulge_colour"])
    fraction = galaxies["bulge_fraction"]
    return fraction * brighter / (fraction * brighter + (1 - fraction))
