"""Colour terms: magnitudes of a reference catalogue turned into those of a band that it does not have."""

import numpy as np

from skyloom.core.errors import ConfigError


class ColourTermError(ConfigError):
    """Colour terms cannot be applied to what the catalogue holds.

    Parameters
    ----------
    unit : str
        Unit of the catalogue's fluxes.
    needed : sequence of str
        Units that would do.
    """

    def __init__(self, unit, needed):
        super().__init__(
            f"reference.flux_unit is {unit}, reference.colour_terms need magnitudes ({', '.join(needed)}): name the "
            "catalogue's columns of magnitudes"
        )
        self.unit, self.needed = unit, tuple(needed)


MAGNITUDE_UNITS = ("mag_ab", "mag_vega")


def term_columns(terms):
    """Names in the catalogue of what a band's colour term reads.

    Parameters
    ----------
    terms : dict
        One band of ``reference.colour_terms``.

    Returns
    -------
    dict of str to str
        Columns of ``flux``, ``colour_first`` and ``colour_second``.
    """
    first, second = terms["colour"]
    return {"flux": terms["magnitude"], "colour_first": first, "colour_second": second}


def magnitude_in_band(columns, terms, unit):
    """AB magnitudes of stars in a band, from a magnitude and a colour of the catalogue's own.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        ``flux``, ``colour_first``, ``colour_second`` [mag].
    terms : dict
        One band of ``reference.colour_terms``: ``coefficients`` of the powers of the colour from 0 up, in the
        catalogue's own magnitudes; ``range`` of colours, if it is limited.
    unit : str
        ``reference.flux_unit``.

    Returns
    -------
    ndarray, shape (n,), float64
        Magnitudes; NaN where one of the three is unknown or the colour is out of range.

    Raises
    ------
    ColourTermError
        If the catalogue does not hold magnitudes.
    """
    if unit not in MAGNITUDE_UNITS:
        raise ColourTermError(unit, MAGNITUDE_UNITS)
    colour = columns["colour_first"].astype(np.float64) - columns["colour_second"].astype(np.float64)
    low, high = terms.get("range", (-np.inf, np.inf))
    colour = np.where((colour >= low) & (colour <= high), colour, np.nan)
    return columns["flux"].astype(np.float64) + np.polynomial.polynomial.polyval(
        colour, terms["coefficients"]
    )
