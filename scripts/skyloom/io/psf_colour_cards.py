"""The colour of a PSF in the header of its extension."""

import numpy as np

from skyloom.core.psf_colour import PsfColour

NUMBERS = {
    "COLREF": "[mag] colour that the images hold for",
    "COLLOW": "[mag] least colour, also for those below",
    "COLHIGH": "[mag] largest colour, also for those above",
}


def colour_cards(colour):
    """Cards of a PSF's colour.

    Parameters
    ----------
    colour : PsfColour or None
        None has no card.

    Returns
    -------
    dict of str to (value, str)
        ``NCOLOUR`` images follow those of the position's terms.
    """
    if colour is None:
        return {}
    cards = {
        "NCOLOUR": (int(colour.image is not None), "last images: change per mag of colour"),
        "COLNAME": (_ascii(colour.name), ""),
        "COLNSTAR": (colour.n_star, "stars of the PSF with a colour"),
        "COLNOTE": (_ascii(colour.remark), ""),
    }
    numbers = zip(NUMBERS.items(), (colour.reference, *colour.limits), strict=True)
    return cards | {key: (float(value), text) for (key, text), value in numbers if np.isfinite(value)}


def _ascii(text):
    """Text as a FITS header can hold it."""
    return text.encode("ascii", "replace").decode()


def colour_of_cards(header, images):
    """Colour of a PSF from its extension.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the extension.
    images : ndarray, shape (n, k, k), float32
        What follows the images of the position's terms, if anything does.

    Returns
    -------
    PsfColour or None
        As it was written.
    """
    if "NCOLOUR" not in header:
        return None
    reference, *limits = (float(header.get(key, np.nan)) for key in NUMBERS)
    image = images[0] if header["NCOLOUR"] else None
    return PsfColour(
        header["COLNAME"], image, reference, tuple(limits), header["COLNSTAR"], header["COLNOTE"]
    )
