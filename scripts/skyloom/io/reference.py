"""Reads a reference catalogue of any common format as the stars of a region, at an exposure's epoch and in its band."""

from dataclasses import replace

import numpy as np

from skyloom.core.reference import ReferenceStars
from skyloom.io.colour_terms import colour_columns, star_colours, term_columns
from skyloom.io.reference_files import catalog_columns, catalog_files, read_stars
from skyloom.io.reference_quantities import fluxes_in_band, positions_at_epoch
from skyloom.io.sky_circle import SkyCircle


def read_reference_catalog(path, settings, band, region, mjd, *, with_colour=False):  # noqa: PLR0913 (which stars)
    """Reference stars of a region at an exposure's epoch, with fluxes in its band.

    Parameters
    ----------
    path : str or Path
        Parquet, FITS or CSV file, or a folder of such shards.
    settings : dict
        Section ``reference`` of the configuration.
    band : str
        Band of the fluxes.
    region : tuple of float
        (ra, dec, radius) of a circle [degree, ICRS].
    mjd : float
        Time of the exposure [MJD TAI].
    with_colour : bool
        Whether the stars' colours are wanted (`colour_columns`).

    Returns
    -------
    ReferenceStars
        Stars within the circle, shard by shard in the order of the files' names. A flux is NaN where the
        catalogue has none; there is no colour where it has no two bands.

    Raises
    ------
    ReferenceCatalogMissingError
        If there is no such file, or the folder holds no catalogue.
    ReferenceKindError
        If the file's name has none of the known endings.
    ReferenceColumnError
        If a configured column is missing.
    ReferenceValueError
        If a column of numbers holds text.
    ReferenceUnreadableError
        If a file is damaged.
    ReferenceBandError
        If Vega magnitudes have no zero point.
    ColourTermError
        If there are colour terms for fluxes.
    CorruptProductError
        If the catalogue is one of Skyloom's own files and a byte was changed.
    """
    names = _columns(settings, band)
    per_unit = np.degrees(1.0) if settings["angle_unit"] == "radian" else 1.0
    circle = SkyCircle(*region, degrees_per_unit=per_unit)
    shards = catalog_files(path)
    pair = colour_columns(settings, band, catalog_columns(shards[0])) if with_colour else None
    if pair is not None:
        names |= {"bluer": pair[0], "redder": pair[1]}
    parts = [part for shard in shards for part in read_stars(shard, names, circle)]
    columns = {key: np.concatenate([part[key] for part in parts] or [np.empty(0)]) for key in names}
    columns["ra"], columns["dec"] = columns["ra"] * per_unit, columns["dec"] * per_unit
    ra, dec, ra_err, dec_err = positions_at_epoch(columns, settings, mjd)
    flux, flux_err = fluxes_in_band(columns, settings, band)
    n = len(ra)
    identity = columns.get("id")
    if identity is None or identity.dtype.kind not in "iu":
        identity = np.arange(n)
    stars = ReferenceStars(identity.astype(np.int64), ra, dec, ra_err, dec_err, flux, flux_err)
    if pair is None:
        return stars
    colour = star_colours(columns["bluer"], columns["redder"], settings["flux_unit"])
    return replace(stars, colour=colour, colour_name=" - ".join(pair))


def missing_reference_columns(path, settings, bands):
    """Find the configured columns that a catalogue lacks, from the header of its first file alone.

    Parameters
    ----------
    path : str or Path
        Parquet, FITS or CSV file, or a folder of such shards.
    settings : dict
        Section ``reference`` of the configuration.
    bands : sequence of str
        Bands that fluxes are wanted in.

    Returns
    -------
    missing : list of (str, str)
        Key below ``reference`` and the column that it names.
    available : list of str
        Columns of the file.

    Raises
    ------
    ReferenceCatalogMissingError
        If there is no such file, or the folder holds no catalogue.
    ReferenceKindError
        If the file's name has none of the known endings.
    ReferenceUnreadableError
        If the file cannot be read.
    """
    available = catalog_columns(catalog_files(path)[0])
    wanted = {}
    for band in bands:
        for key, name in _columns(settings, band).items():
            wanted[_setting_of(key, band, settings)] = name
    wanted |= {f"colour.{place}": name for place, name in enumerate(settings["colour"] or ())}
    return [(key, name) for key, name in wanted.items() if name not in available], available


def _setting_of(key, band, settings):
    """Key below ``reference`` that names the column of a quantity."""
    if key == "flux_error":
        return f"flux_errors.{band}"
    if key == "flux" and band not in settings["colour_terms"]:
        return f"fluxes.{band}"
    term = {"flux": "magnitude", "colour_first": "colour.0", "colour_second": "colour.1"}.get(key)
    return f"columns.{key}" if term is None else f"colour_terms.{band}.{term}"


def _columns(settings, band):
    """Name in the file of each quantity that is configured."""
    names = {key: name for key, name in settings["columns"].items() if name is not None}
    if "parallax" not in names:
        names.pop("parallax_error", None)
    terms = settings["colour_terms"].get(band)
    names |= {"flux": settings["fluxes"].get(band, f"flux_{band}")} if terms is None else term_columns(terms)
    is_named = settings["fluxes"] or terms is not None
    error = settings["flux_errors"].get(band, None if is_named else f"flux_{band}_error")
    if error is not None:
        names["flux_error"] = error
    return names
