"""The sky of a visit as FITS: a mesh a detector of what is to be subtracted from its calexp, and a table of the fit."""

import numpy as np
from astropy.io import fits

from skyloom.core.errors import CorruptProductError
from skyloom.core.images import Background
from skyloom.core.visit_sky import DetectorSky, VisitSky
from skyloom.io.fits_files import image_hdu, read_fits, table_hdu, write_fits

COLUMNS = (
    ("detector", "J", None),
    ("factor", "D", None),
    ("factorErr", "D", None),
    ("nCell", "J", None),
    ("nSky", "J", None),
    ("rms", "E", "nJy"),
)
"""Name, format and unit of the table's columns."""
TABLE = "DETECTORS"


def write_visit_sky(path, sky, provenance):
    """Write the sky of a visit.

    Parameters
    ----------
    path : str or Path
        Final name.
    sky : VisitSky
        The sky.
    provenance : Provenance
        What made it.
    """
    rows = [
        (number, found.factor, found.factor_error, found.n_cell, found.n_sky, found.rms)
        for number, found in sky.detectors.items()
    ]
    columns = [
        fits.Column(name, form, unit=unit, array=np.array(values))
        for (name, form, unit), values in zip(COLUMNS, zip(*rows, strict=True), strict=True)
    ]
    meshes = [_mesh_hdu(number, found.change) for number, found in sky.detectors.items()]
    hdus = [table_hdu(TABLE, columns), *meshes]
    write_fits(path, {"VISIT": (sky.visit, "visit number")}, hdus, provenance)


def _mesh_name(detector):
    """Name of the extension of a detector."""
    return f"SKY{detector}"


def _mesh_hdu(detector, change):
    """Extension of what is to be subtracted from one calexp."""
    cards = {
        "DETECTOR": (detector, "detector number"),
        "BINSIZE": (change.bin_size, "[pixel] side of a bin"),
        "BACKNX": (change.shape[1], "[pixel] columns of the image"),
        "BACKNY": (change.shape[0], "[pixel] rows of the image"),
        "BUNIT": ("nJy", "to be subtracted from the calexp"),
    }
    return image_hdu(_mesh_name(detector), change.mesh.astype(np.float32), cards)


def is_visit_sky(hdus):
    """Whether an open product is the sky of a visit (bool).

    Parameters
    ----------
    hdus : astropy.io.fits.HDUList
        The product.
    """
    return TABLE in hdus


def read_visit_sky(path):
    """Read the sky of a visit.

    Parameters
    ----------
    path : str or Path
        File that `write_visit_sky` made.

    Returns
    -------
    VisitSky
        The sky.

    Raises
    ------
    UpstreamFailure
        If the file is a tombstone.
    CorruptProductError
        If a byte was changed, or the file is another product.
    """
    hdus = read_fits(path)
    if not is_visit_sky(hdus):
        raise CorruptProductError(str(path), f"is no sky of a visit, which has an extension {TABLE}")
    detectors = {int(row["detector"]): _detector_sky(row, hdus) for row in hdus[TABLE].data}
    return VisitSky(int(hdus[0].header["VISIT"]), detectors)


def _detector_sky(row, hdus):
    """Sky on one detector, of its row and its extension."""
    hdu = hdus[_mesh_name(int(row["detector"]))]
    shape = (hdu.header["BACKNY"], hdu.header["BACKNX"])
    return DetectorSky(
        change=Background(np.ascontiguousarray(hdu.data, np.float32), hdu.header["BINSIZE"], shape),
        factor=float(row["factor"]),
        factor_error=float(row["factorErr"]),
        n_cell=int(row["nCell"]),
        n_sky=int(row["nSky"]),
        rms=float(row["rms"]),
    )
