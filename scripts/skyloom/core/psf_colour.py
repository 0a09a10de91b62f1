"""How a PSF depends on the colour of the star, and the PSF as sources of known colours have it."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PsfColour:
    """Change of a PSF with colour.

    Attributes
    ----------
    name : str
        The colour, two columns of the reference catalogue: ``flux_g - flux_i``.
    image : ndarray, shape (k, k), float32, or None
        Change of the PSF image, which has sum 1, per magnitude; its sum is 0. None where there is no colour term.
    reference : float
        Colour that the PSF without this change has [mag]; NaN where no star had a colour.
    limits : tuple of float
        Least and largest colour that its stars show [mag]; what lies beyond is taken at the limit.
    n_star : int
        Stars of the PSF with a colour.
    remark : str
        Why there is no colour term.
    """

    name: str
    image: np.ndarray | None
    reference: float
    limits: tuple[float, float]
    n_star: int
    remark: str = ""

    def offsets(self, colours):
        """Colours that the image is to be multiplied by [mag] (ndarray, shape (n,), float64).

        Parameters
        ----------
        colours : array_like, shape (n,)
            Colours of sources [mag]; those that are NaN are taken for the reference.
        """
        colours = np.atleast_1d(np.asarray(colours, dtype=np.float64))
        offsets = np.clip(colours, *self.limits) - self.reference
        return np.where(np.isfinite(colours), offsets, 0.0)


def no_colour(remark, name=""):
    """What a PSF says of its colour where none was looked for in its stars (PsfColour).

    Parameters
    ----------
    remark : str
        Why.
    name : str
        The colour, if there is one.
    """
    return PsfColour(name, None, np.nan, (np.nan, np.nan), 0, remark)


@dataclass(frozen=True, slots=True)
class ColouredPsf:
    """A PSF as sources of known colours have it: what asks for it names the positions of these, in their order.

    Attributes
    ----------
    psf : PixelPsf
        With a colour term.
    colours : ndarray, shape (n,), float64
        Of the sources [mag]; NaN where unknown.
    """

    psf: object
    colours: np.ndarray

    @property
    def size(self):
        """Side k of a PSF image [pixel]."""
        return self.psf.size

    def kernel_at(self, x, y):
        """PSF image of the reference colour at one position (ndarray, shape (k, k), float64).

        Parameters
        ----------
        x, y : float
            Pixel position.
        """
        return self.psf.kernel_at(x, y)

    def kernels_at(self, x, y):
        """PSF images of the sources, as `PixelPsf.kernels_at`.

        Parameters
        ----------
        x, y : array_like, shape (n,)
            Pixel positions of all of them.

        Returns
        -------
        ndarray, shape (n, k, k), float64
            Each of sum 1.
        """
        return self.psf.kernels_at(x, y, self.colours)

    def splines_at(self, x, y):
        """Spline coefficients of the sources' PSF images, as `PixelPsf.splines_at`.

        Parameters
        ----------
        x, y : array_like, shape (n,)
            Pixel positions of all of them.

        Returns
        -------
        ndarray, shape (n, k, k), float32
            One entry a source.
        """
        return self.psf.splines_at(x, y, self.colours)

    def areas_at(self, x, y):
        """Noise-equivalent areas of the sources' PSF images, as `PixelPsf.areas_at`.

        Parameters
        ----------
        x, y : array_like, shape (n,)
            Pixel positions of all of them.

        Returns
        -------
        ndarray, shape (n,), float64
            [pixel^2].
        """
        return self.psf.areas_at(x, y, self.colours)


def in_colours(psf, colours):
    """PSF that sources of some colours have, where it has a colour term and there are colours; else the same.

    Parameters
    ----------
    psf : PixelPsf
        Of the reference colour.
    colours : ndarray, shape (n,), float64, or None
        Of the sources [mag]; NaN where unknown.

    Returns
    -------
    ColouredPsf or PixelPsf
        For the positions of these n sources, in their order.
    """
    return ColouredPsf(psf, colours) if colours is not None and psf.has_colour else psf
