"""Reads a reference catalogue of any common format as the stars of a region, at an exposure's epoch and in its band."""

import numpy as np

from skyloom.core.reference import ReferenceStars
from skyloom.io.reference_files import catalog_columns, catalog_files, read_columns
from skyloom.io.reference_quantities import fluxes_in_band, positions_at_epoch, unit_vectors


def read_reference_catalog(path, settings, band, region, mjd):
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

    Returns
    -------
    ReferenceStars
        Stars within the circle, shard by shard in the order of the files' names. A flux is NaN where the
        catalogue has none.

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
    CorruptProductError
        If the catalogue is one of Skyloom's own files and a byte was changed.
    """
    names = _columns(settings, band)
    shards = [_read_shard(shard, names, settings, region) for shard in catalog_files(path)]
    columns = {key: np.concatenate([shard[key] for shard in shards]) for key in shards[0]}
    ra, dec, ra_err, dec_err = positions_at_epoch(columns, settings, mjd)
    flux, flux_err = fluxes_in_band(columns, settings, band)
    n = len(ra)
    identity = columns.get("id")
    if identity is None or identity.dtype.kind not in "iu":
        identity = np.arange(n)
    return ReferenceStars(identity.astype(np.int64), ra, dec, ra_err, dec_err, flux, flux_err)


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
            section = {"flux": f"fluxes.{band}", "flux_error": f"flux_errors.{band}"}
            wanted[section.get(key, f"columns.{key}")] = name
    return [(key, name) for key, name in wanted.items() if name not in available], available


def _columns(settings, band):
    """Name in the file of each quantity that is configured."""
    names = {key: name for key, name in settings["columns"].items() if name is not None}
    names["flux"] = settings["fluxes"].get(band, f"flux_{band}")
    error = settings["flux_errors"].get(band, None if settings["fluxes"] else f"flux_{band}_error")
    if error is not None:
        names["flux_error"] = error
    return names


def _read_shard(path, names, settings, region):
    """Columns of one file's stars within the region, by quantity; positions in degrees."""
    columns = read_columns(path, names, _declinations(settings, region))
    to_degree = _degrees_per_unit(settings)
    columns["ra"], columns["dec"] = columns["ra"] * to_degree, columns["dec"] * to_degree
    inside = _within(columns["ra"], columns["dec"], region)
    return {key: values[inside] for key, values in columns.items()}


def _degrees_per_unit(settings):
    """Degrees in the catalogue's unit of angles."""
    return np.degrees(1.0) if settings["angle_unit"] == "radian" else 1.0


def _declinations(settings, region):
    """Least and greatest declination of a region (ra, dec, radius) [degree] in the catalogue's unit."""
    return tuple((region[1] + sign * region[2]) / _degrees_per_unit(settings) for sign in (-1, 1))


def _within(ra, dec, region):
    """True for stars within a circle (ra, dec, radius) [degree]."""
    centre = unit_vectors(np.array([region[0]]), np.array([region[1]]))
    chord2 = ((unit_vectors(ra, dec) - centre) ** 2).sum(axis=0)
    return chord2 <= 4 * np.sin(np.radians(min(region[2], 180.0)) / 2) ** 2
