"""Colours of a reference catalogue's stars, and the terms that turn its magnitudes into those of another band."""

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
BANDS = "ugrizy"
"""By wavelength."""


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


def colour_columns(settings, band, available):
    """Columns whose difference is the colour that stands for a star's spectrum within a band.

    Parameters
    ----------
    settings : dict
        Section ``reference`` of the configuration.
    band : str
        Band of the exposure.
    available : sequence of str
        Columns of the catalogue.

    Returns
    -------
    tuple of str, or None
        Bluer and redder column: those of ``reference.colour``, of the band's colour term, or of the nearest bands to
        either side of it that the catalogue has, or, at an end, of the band and the next; None where there are no two.
    """
    if settings["colour"] is not None:
        return tuple(settings["colour"])
    if band in settings["colour_terms"]:
        return tuple(settings["colour_terms"][band]["colour"])
    columns = {known: settings["fluxes"].get(known, f"flux_{known}") for known in BANDS}
    known = [name for name in BANDS if name == band or columns[name] in available]
    if band not in known or len(known) == 1:
        return None
    place = known.index(band)
    bluer, redder = known[max(place - 1, 0)], known[min(place + 1, len(known) - 1)]
    return columns[bluer], columns[redder]


def star_colours(first, second, unit):
    """Colours of stars.

    Parameters
    ----------
    first, second : ndarray, shape (n,)
        What the catalogue holds of them in the bluer and the redder column.
    unit : str
        ``reference.flux_unit``.

    Returns
    -------
    ndarray, shape (n,), float64
        [mag]; NaN where one of the two is unknown, or a flux is not positive. Those of Vega magnitudes stay such.
    """
    first, second = first.astype(np.float64), second.astype(np.float64)
    if unit in MAGNITUDE_UNITS:
        return first - second
    is_known = (first > 0) & (second > 0)
    return 2.5 * np.log10(np.divide(second, first, out=np.full(len(first), np.nan), where=is_known))
