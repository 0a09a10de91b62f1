"""Reference stars as the calibration sees them: at the exposure's epoch and in its band."""

from dataclasses import dataclass, replace

import numpy as np

from skyloom.core.errors import ImageShapeError


@dataclass(frozen=True, slots=True)
class ReferenceStars:
    """Stars of known position and flux.

    Attributes
    ----------
    id : ndarray, shape (n,), int64
        Identity in the catalogue.
    ra, dec : ndarray, shape (n,), float64
        Positions at the exposure's epoch [degree, ICRS].
    ra_err, dec_err : ndarray, shape (n,), float64
        Standard errors of the positions, that of right ascension times cos(dec) [arcsec].
    flux, flux_err : ndarray, shape (n,), float64
        Flux in the exposure's band and its error [nJy]; NaN where unknown.
    colour : ndarray, shape (n,), float64, optional
        Difference of two of the catalogue's magnitudes [mag]; NaN where unknown.
    colour_name : str
        The catalogue's columns that it is of.
    """

    id: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    ra_err: np.ndarray
    dec_err: np.ndarray
    flux: np.ndarray
    flux_err: np.ndarray
    colour: np.ndarray | None = None
    colour_name: str = ""

    def __post_init__(self):
        """Refuse columns of different lengths."""
        shapes = {name: column.shape for name, column in self._columns().items()}
        if len(set(shapes.values())) != 1:
            raise ImageShapeError(shapes)

    def __len__(self):
        """Return the number of stars."""
        return len(self.ra)

    def select(self, index):
        """Return some of the stars.

        Parameters
        ----------
        index : ndarray of int or bool
            Which ones.

        Returns
        -------
        ReferenceStars
            The chosen ones, in the order of `index`.
        """
        return replace(self, **{name: column[index] for name, column in self._columns().items()})

    def _columns(self):
        """Columns that there are (dict of str to ndarray)."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
