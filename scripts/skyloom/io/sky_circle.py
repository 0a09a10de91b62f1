"""The part of the sky whose stars are wanted of a catalogue: a circle, or all of it."""

from dataclasses import dataclass

import numpy as np

from skyloom.core.directions import unit_vectors

# Degrees around which a right ascension may be written: -10 is 350.
TURNS = (-360.0, 0.0, 360.0)


@dataclass(frozen=True, slots=True)
class SkyCircle:
    """A circle, asked in the unit of a catalogue.

    Attributes
    ----------
    ra, dec, radius : float
        Centre and radius [degree, ICRS].
    degrees_per_unit : float
        Degrees in the catalogue's unit of angles.
    """

    ra: float
    dec: float
    radius: float
    degrees_per_unit: float = 1.0

    def contains(self, ra, dec):
        """Find the stars within the circle.

        Parameters
        ----------
        ra, dec : ndarray, shape (n,)
            Positions in the catalogue's unit; NaN is outside.

        Returns
        -------
        ndarray, shape (n,), bool
            True within.
        """
        dec = dec * self.degrees_per_unit
        inside = np.abs(dec - self.dec) <= self.radius
        near = np.flatnonzero(inside)
        centre = unit_vectors(np.array([self.ra]), np.array([self.dec]))
        vectors = unit_vectors(ra[near] * self.degrees_per_unit, dec[near])
        chord2 = ((vectors - centre) ** 2).sum(axis=1)
        inside[near] = chord2 <= 4 * np.sin(np.radians(min(self.radius, 180.0)) / 2) ** 2
        return inside

    def may_meet(self, ra_range, dec_range):
        """Tell whether a box of positions may hold a star of the circle.

        Parameters
        ----------
        ra_range, dec_range : tuple of float, or None
            Least and greatest value in the catalogue's unit; None where it is not known.

        Returns
        -------
        bool
            False only when the box lies outside.
        """
        if dec_range is not None:
            low, high = (value * self.degrees_per_unit for value in dec_range)
            if low > self.dec + self.radius or high < self.dec - self.radius:
                return False
        if ra_range is None or abs(self.dec) + self.radius >= 90.0:
            return True
        low, high = (value * self.degrees_per_unit for value in ra_range)
        sine = np.sin(np.radians(self.radius)) / np.cos(np.radians(self.dec))
        half = float(np.degrees(np.arcsin(sine)))
        return any(low + turn <= self.ra + half and high + turn >= self.ra - half for turn in TURNS)


class WholeSky:
    """All of the sky, for catalogues whose unit of angles is not known yet."""

    @staticmethod
    def contains(ra, dec):
        """Find the stars: each row is one.

        Parameters
        ----------
        ra, dec : ndarray, shape (n,)
            Positions in any unit.

        Returns
        -------
        ndarray, shape (n,), bool
            True.
        """
        return np.ones(np.broadcast_shapes(ra.shape, dec.shape), dtype=bool)

    @staticmethod
    def may_meet(*ranges):
        """Tell whether a box of positions may hold a star.

        Parameters
        ----------
        *ranges : tuple of float, or None
            Least and greatest right ascension and declination.

        Returns
        -------
        bool
            True.
        """
        del ranges
        return True
