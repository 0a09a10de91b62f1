"""PSF models that others fitted: PSFEx's files."""

import warnings

import numpy as np

from skyloom.core.errors import DataError
from skyloom.core.psf import FWHM_PER_SIGMA, WELL_SAMPLED_FWHM, PixelPsf, psf_moments
from skyloom.core.splines import spline_matrix
from skyloom.core.wcs import tpv_powers

HALF_PIXEL = 0.5 + 1e-3
"""Largest step of a file's samples [pixel] that is fine enough for two samples a pixel."""
POSITIONS = (("X_IMAGE", "XWIN_IMAGE"), ("Y_IMAGE", "YWIN_IMAGE"))


class PsfModelError(DataError):
    """A file of a PSF model is none that Skyloom can read.

    Parameters
    ----------
    detail : str
        What was found and what is needed.
    """

    def __init__(self, detail):
        super().__init__(f"the PSF model {detail}: is it a .psf file of PSFEx, of this image?")
        self.detail = detail


def read_psfex(path):
    """Read a PSF model of PSFEx.

    Parameters
    ----------
    path : str or Path
        Its .psf file, or a table of one row with its cards as columns (as the Legacy Surveys keep them).

    Returns
    -------
    PixelPsf
        Sampled at the image's pixels, or twice as finely where these do not sample it and the file does; the same
        polynomial of the position.

    Raises
    ------
    PsfModelError
        If it is none, holds several models, or varies with something else than the position.

    Notes
    -----
    Bertin (2011, ASP 442, 435). PSFEx samples at PSF_SAMP pixels of the image and orders the terms of a polynomial as
    1, x, x^2, ..., y, xy, ..., with x = (X_IMAGE - POLZERO1) / POLSCAL1.
    """
    values = _model_values(path)
    mask = np.asarray(values.get("PSF_MASK"), dtype=np.float64)
    mask = mask.reshape(mask.shape[-3:]) if mask.ndim >= 3 else mask
    degree = _degree(values, mask)
    sampling, zero, step = (
        [_number(values, key) for key in keys]
        for keys in (("PSF_SAMP",), ("POLZERO1", "POLZERO2"), ("POLSCAL1", "POLSCAL2"))
    )
    if mask.shape[1] % 2 == 0 or mask.shape[1] != mask.shape[2] or not sampling[0] > 0:
        raise PsfModelError(f"has images of shape {mask.shape[1:]}, sampled at {sampling[0]:g} pixels")
    theirs = [(a, b) for b in range(degree + 1) for a in range(degree + 1 - b)]
    ordered = np.stack([mask[theirs.index(power)] for power in tpv_powers(degree)[1]])
    domain = tuple(zero[axis] - 1 + sign * step[axis] for axis in (0, 1) for sign in (-1, 1))
    psf = _sampled(ordered, sampling[0], 1, (degree, domain))
    is_sharp = FWHM_PER_SIGMA * psf_moments(psf.images[0])[0] < WELL_SAMPLED_FWHM
    if is_sharp and sampling[0] <= HALF_PIXEL:
        return _sampled(ordered, sampling[0], 2, (degree, domain))
    return psf


def _model_values(path):
    """Cards and the cells of the one row of a file's first table, by upper-case name."""
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(path, memmap=False) as hdus:
                table = next((hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU)), None)
                if table is None or len(table.data) != 1:
                    found = "no table" if table is None else f"a table of {len(table.data)} models"
                    raise PsfModelError(f"has {found}, needs one")
                cells = {name.upper(): table.data[name][0] for name in table.columns.names}
                return dict(table.header) | cells
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        raise PsfModelError(f"cannot be read ({' '.join(str(error).split()):.100})") from error


def _degree(values, mask):
    """Degree (int) of the polynomial of the position, after a check of what it is one of."""
    if mask.ndim != 3:
        raise PsfModelError("has no PSF_MASK of images")
    n_axis = _number(values, "POLNAXIS")
    if n_axis == 0:
        values.update(POLZERO1=0.0, POLZERO2=0.0, POLSCAL1=1.0, POLSCAL2=1.0)
        return 0
    names = [str(values.get(f"POLNAME{axis}", "")).strip() for axis in (1, 2)]
    is_position = all(name in known for name, known in zip(names, POSITIONS, strict=True))
    degree = int(_number(values, "POLDEG1"))
    n_term = (degree + 1) * (degree + 2) // 2
    if n_axis != 2 or not is_position or len(mask) != n_term:
        found = f"is of degree {degree} in {', '.join(names)} with {len(mask)} terms"
        raise PsfModelError(f"{found}, needs the polynomial of X_IMAGE and Y_IMAGE")
    return degree


def _number(values, key):
    """Card or cell as a number (float)."""
    try:
        return float(values[key])
    except (KeyError, TypeError, ValueError) as error:
        raise PsfModelError(f"has {key} {values.get(key)!r}, needs a number") from error


def _sampled(images, step, sampling, variation):
    """PSF of images that are sampled at steps of so many pixels, with `sampling` samples a pixel from their centres."""
    if (step, sampling) != (1, 1):
        centre = images.shape[-1] // 2
        half = int(centre * step) * sampling
        place = np.arange(-half, half + 1) / (step * sampling) + centre
        weights = spline_matrix(place, images.shape[-1])
        images = weights @ images @ weights.T
    return PixelPsf(images.astype(np.float32), *variation, sampling)
