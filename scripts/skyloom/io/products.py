"""One product for a person in a notebook: images as they are, tables as data frames."""

from pathlib import Path

from skyloom.io.exposures import read_difference, read_exposure
from skyloom.io.fits_files import read_fits
from skyloom.io.tables import read_table
from skyloom.io.visit_sky import is_visit_sky, read_visit_sky


def open_product(path):
    """Open a product by its path.

    Parameters
    ----------
    path : str or Path
        A FITS or Parquet file that Skyloom wrote.

    Returns
    -------
    Exposure, DifferenceImage, VisitSky or pandas.DataFrame
        A calexp, warp or coadd; a difference with its template and kernel; the sky of a visit; a table, whose ``attrs``
        hold unit and description of each column.

    Raises
    ------
    UpstreamFailure
        If the file is a tombstone: the message says why there is no product.
    CorruptProductError
        If a byte was changed, or the file is no product of Skyloom's.
    """
    if Path(path).suffix == ".parquet":
        return _data_frame(read_table(path))
    hdus = read_fits(path)
    if is_visit_sky(hdus):
        return read_visit_sky(path)
    return read_difference(path) if "KERNEL" in hdus else read_exposure(path)


def _data_frame(table):
    """Data frame of a table."""
    frame = table.to_pandas()
    frame.attrs = {
        field.name: {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        for field in table.schema
    }
    return frame
