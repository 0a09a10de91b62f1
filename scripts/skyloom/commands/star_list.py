"""A list of stars to solve frames with: its columns of position and brightness, by usual names or as told."""

import numpy as np

from skyloom.algorithms.pointing_search import ReferenceSky
from skyloom.core.errors import ConfigError

USUAL_COLUMNS = {
    "ra": ("ra", "ra_deg", "radeg", "ra_icrs", "raj2000", "_raj2000", "coord_ra", "ramean"),
    "dec": ("dec", "dec_deg", "decdeg", "de_icrs", "dec_icrs", "dej2000", "_dej2000", "coord_dec", "decmean"),
    "mag": (
        *(
            "mag",
            "magnitude",
            "phot_g_mean_mag",
            "gmag",
            "mag_vt",
            "vtmag",
            "mag_v",
            "vmag",
            "rmag",
            "rmeanpsfmag",
        ),
        *("mag_g", "mag_r", "jmag"),
    ),
    "flux": ("flux", "phot_g_mean_flux", "phot_g_mean", "flux_r", "flux_g", "r_flux", "g_flux"),
}
"""Names, in small letters, that are tried in this order."""

RADIAN_COLUMNS = ("coord_ra", "coord_dec")
"""Of the shards of Rubin's reference catalogues."""


class StarColumnError(ConfigError):
    """It is not clear which column of a star list holds a quantity.

    Parameters
    ----------
    path, quantity : str
        The file, and what is looked for.
    available : sequence of str
        Its columns.
    """

    def __init__(self, path, quantity, available):
        super().__init__(
            f"{path}: no column is known to hold {quantity}; the file has {', '.join(available) or 'no column'}: "
            f"name it with --star-columns {quantity.partition(' ')[0]}=COLUMN"
        )
        self.path, self.quantity, self.available = path, quantity, tuple(available)


class StarColumnTextError(ConfigError):
    """What the command line says of a star list's columns cannot be read.

    Parameters
    ----------
    text : str
        What it says.
    """

    def __init__(self, text):
        super().__init__(
            f"--star-columns {text} has another form than QUANTITY=COLUMN, with one of "
            f"{', '.join(USUAL_COLUMNS)} on the left"
        )
        self.text = text


class EmptyStarListError(ConfigError):
    """A star list has too few stars with position and brightness.

    Parameters
    ----------
    path : str
        The file.
    n_star, n_row : int
        Stars found, and rows of the file.
    """

    def __init__(self, path, n_star, n_row):
        super().__init__(
            f"{path}: {n_star} of {n_row} rows have a position on the sky and a brightness, needs five at least: "
            "is it the right file, and are the angles degrees?"
        )
        self.path, self.n_star, self.n_row = path, n_star, n_row


def chosen_columns(path, available, told):
    """Columns of position and brightness.

    Parameters
    ----------
    path : str
        The file, for messages.
    available : sequence of str
        Its columns.
    told : sequence of str
        What the command line says, such as ``mag=V``.

    Returns
    -------
    dict of str to str
        ``ra``, ``dec``, and ``mag`` or ``flux``.

    Raises
    ------
    StarColumnTextError
        If the command line cannot be read.
    StarColumnError
        If a column is missing or unclear.
    """
    names = {}
    for text in told:
        quantity, _, column = text.partition("=")
        if quantity not in USUAL_COLUMNS or not column:
            raise StarColumnTextError(text)
        if column not in available:
            raise StarColumnError(path, f"{quantity} ({column} is not there)", available)
        names[quantity] = column
    small = {name.lower(): name for name in reversed(available)}
    brightness = [] if {"mag", "flux"} & names.keys() else ["mag", "flux"]
    for quantity in ("ra", "dec", *brightness):
        found = next((small[name] for name in USUAL_COLUMNS[quantity] if name in small), None)
        if found is not None and not (quantity == "flux" and "mag" in names):
            names.setdefault(quantity, found)
    for quantity in ("ra", "dec"):
        if quantity not in names:
            raise StarColumnError(path, f"{quantity} (degree)", available)
    if not {"mag", "flux"} & names.keys():
        raise StarColumnError(path, "mag or flux", available)
    return names


def read_star_list(path, told):
    """Stars of a catalogue, the brightest first.

    Parameters
    ----------
    path : str or Path
        Parquet, FITS or CSV file, or a folder of such shards.
    told : sequence of str
        What the command line says of its columns.

    Returns
    -------
    sky : ReferenceSky
        Its stars.
    names : dict of str to str
        The columns that were taken.

    Raises
    ------
    StarColumnTextError, StarColumnError, EmptyStarListError
        If it cannot be used; what `skyloom.io.reference_files` raises if it cannot be read.
    """
    from skyloom.io.reference_files import catalog_columns, catalog_files, read_stars
    from skyloom.io.sky_circle import WholeSky

    shards = catalog_files(path)
    names = chosen_columns(str(path), catalog_columns(shards[0]), told)
    parts = [part for shard in shards for part in read_stars(shard, names, WholeSky())]
    columns = {
        key: np.concatenate([part[key] for part in parts] or [np.empty(0)]).astype(float) for key in names
    }
    for key in ("ra", "dec"):
        if names[key].lower() in RADIAN_COLUMNS:
            columns[key] = np.degrees(columns[key])
    brightness = -columns["mag"] if "mag" in names else columns["flux"]
    good = np.isfinite(brightness) & (np.abs(columns["dec"]) <= 90) & (np.abs(columns["ra"]) <= 360)
    if good.sum() < 5:
        raise EmptyStarListError(str(path), int(good.sum()), len(good))
    order = np.flatnonzero(good)[np.argsort(-brightness[good], kind="stable")]
    return ReferenceSky(columns["ra"][order] % 360, columns["dec"][order]), names
