"""Catalogues in the format FITS_LDAC, which SCAMP reads."""

import numpy as np
from astropy.io import fits


def reference_columns(references, error_arcsec, epoch):
    """Columns of a local astrometric catalogue.

    Parameters
    ----------
    references : ReferenceStars
        The stars.
    error_arcsec : float
        Of each coordinate.
    epoch : float
        Of the positions [yr].

    Returns
    -------
    dict of str to (ndarray, str, str)
        Values, code of the FITS format and unit by SCAMP's name.
    """
    n = len(references.ra)
    return {
        "X_WORLD": (references.ra, "D", "deg"),
        "Y_WORLD": (references.dec, "D", "deg"),
        "ERRA_WORLD": (np.full(n, error_arcsec / 3600), "E", "deg"),
        "ERRB_WORLD": (np.full(n, error_arcsec / 3600), "E", "deg"),
        "ERRTHETA_WORLD": (np.zeros(n), "E", "deg"),
        "MAG": (31.4 - 2.5 * np.log10(references.flux), "E", "mag"),
        "MAGERR": (np.full(n, 0.02), "E", "mag"),
        "OBSDATE": (np.full(n, epoch), "D", "yr"),
    }


def write_ldac(path, header, columns):
    """Write a catalogue: the image's header as text, then the table.

    Parameters
    ----------
    path : Path
        The file; replaced.
    header : astropy.io.fits.Header
        Of the image.
    columns : dict of str to (ndarray, str, str)
        Values, code of the FITS format and unit by name.
    """
    text = np.array([header.tostring(endcard=True, padding=False).encode("ascii")])
    length = text.itemsize
    card = fits.Column("Field Header Card", f"{length}A", array=text)
    head = fits.BinTableHDU.from_columns([card], name="LDAC_IMHEAD")
    head.header["TDIM1"] = f"(80, {length // 80})"
    table = fits.BinTableHDU.from_columns(
        [fits.Column(name, f"1{code}", unit, array=values) for name, (values, code, unit) in columns.items()],
        name="LDAC_OBJECTS",
    )
    fits.HDUList([fits.PrimaryHDU(), head, table]).writeto(path, overwrite=True)
    # astropy fills text with zeros, at which SCAMP falls over.
    end = b"END".ljust(80, b"\0")
    path.write_bytes(path.read_bytes().replace(end, end.replace(b"\0", b" ")))
