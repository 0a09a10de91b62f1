"""What one star gives in many visits: repeatability of its magnitude (PA1, PF1) and of separations (AM1, AF1)."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from skyloom.core.directions import unit_vectors
from skyloom.core.photo_calib import AB_ZERO_POINT
from skyloom.core.tables import column
from skyloom.report.definitions import OUTLIER_MAS, OUTLIER_MMAG, PAIR_ARCMIN, UZY, UZY_FACTOR
from skyloom.report.metrics import fraction_of, scatter_of

MATCH_ARCSEC = 1.0
PHOTOMETRY_SNR = 200.0
ASTROMETRY_SNR = 100.0
# Half of the width of the ring that a star's partners lie in [arcmin].
PAIR_HALF_WIDTH = 1.0
# A pair of many stars is as good as the next: more than these are thinned at even steps.
MOST_PAIRS = 20_000
MAS_PER_RADIAN = np.degrees(1) * 3.6e6
ARCMIN = np.radians(1 / 60)


@dataclass(frozen=True, slots=True)
class Sightings:
    """Bright stars of one band in many visits; all arrays of shape (n,).

    Attributes
    ----------
    star, visit : ndarray, int64
        Number of the star and visit of the sighting.
    ra, dec : ndarray, float64
        Where it was seen [deg].
    magnitude : ndarray, float64
        AB magnitude.
    snr : ndarray, float64
        Signal to noise of the PSF flux.
    """

    star: np.ndarray
    visit: np.ndarray
    ra: np.ndarray
    dec: np.ndarray
    magnitude: np.ndarray
    snr: np.ndarray

    def brighter_than(self, snr):
        """Return the sightings above a signal to noise (Sightings).

        Parameters
        ----------
        snr : float
            Signal to noise.
        """
        chosen = self.snr > snr
        return Sightings(*(getattr(self, name)[chosen] for name in self.__slots__))


def isolated_stars(objects):
    """Positions of the objects that are isolated point sources.

    Parameters
    ----------
    objects : iterable of pyarrow.Table
        Object tables.

    Returns
    -------
    ndarray, shape (n, 3), float64
        Unit vectors.
    """
    found = [np.empty((0, 3))]
    for table in objects:
        is_star = (column(table, "refExtendedness") == 0) & column(table, "detect_isIsolated")
        chosen = is_star & ~column(table, "xy_flag")
        found.append(unit_vectors(column(table, "coord_ra")[chosen], column(table, "coord_dec")[chosen]))
    return np.concatenate(found)


class SightingCollector:
    """Gathers the sightings of a survey's isolated stars from one source table after the other.

    Parameters
    ----------
    stars : ndarray, shape (n, 3)
        Unit vectors of the stars, from `isolated_stars`.
    """

    def __init__(self, stars):
        from scipy.spatial import cKDTree

        self._tree = cKDTree(stars) if len(stars) else None
        self._parts = defaultdict(list)

    def add(self, src, visit, band):
        """Match a source table with the stars.

        Parameters
        ----------
        src : pyarrow.Table
            Schema SOURCE.
        visit : int
            Its visit.
        band : str
            Its band.
        """
        flux, error = column(src, "psfFlux"), column(src, "psfFluxErr")
        with np.errstate(invalid="ignore", divide="ignore"):
            snr = flux / error
        is_bright = (snr > ASTROMETRY_SNR) & ~column(src, "pixelFlags_saturatedCenter")
        chosen = np.flatnonzero(is_bright & ~column(src, "centroid_flag"))
        if self._tree is None or len(chosen) == 0:
            return
        ra, dec = column(src, "ra")[chosen], column(src, "dec")[chosen]
        radius = np.radians(MATCH_ARCSEC / 3600)
        distance, star = self._tree.query(unit_vectors(ra, dec), distance_upper_bound=radius)
        near = np.isfinite(distance)
        rows = chosen[near]
        magnitude = AB_ZERO_POINT - 2.5 * np.log10(flux[rows])
        visits = np.full(len(rows), visit)
        self._parts[band].append((star[near], visits, ra[near], dec[near], magnitude, snr[rows]))

    def sightings(self, band):
        """Return all sightings in a band (Sightings).

        Parameters
        ----------
        band : str
            Band.
        """
        parts = self._parts[band]
        if not parts:
            none = np.empty(0, dtype=np.int64)
            return Sightings(none, none, *(np.empty(0) for _ in range(4)))
        return Sightings(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def scaled_residuals(group, values):
    """Residuals from the mean of each group that scatter as the values themselves do.

    Parameters
    ----------
    group : ndarray, shape (n,), int
        Group of each value.
    values : ndarray, shape (n,)
        Values.

    Returns
    -------
    ndarray, shape (m,), float64
        (value - mean) (k / (k - 1))^0.5 of the groups with k > 1 values.
    """
    _, number, k = np.unique(group, return_inverse=True, return_counts=True)
    mean = np.bincount(number, values) / k
    repeated = k[number] > 1
    factor = np.sqrt(k / np.maximum(k - 1, 1))
    return ((values - mean[number]) * factor[number])[repeated]


def photometric_repeatability(sightings, band):
    """Metrics PA1 and PF1 of one band.

    Parameters
    ----------
    sightings : Sightings
        Of the band; those of S/N above 200 count.
    band : str
        Band.

    Returns
    -------
    list of Measurement
        Both; NaN where no star was seen twice.
    """
    bright = sightings.brighter_than(PHOTOMETRY_SNR)
    residuals = 1000 * scaled_residuals(bright.star, bright.magnitude)
    limit = OUTLIER_MMAG * (UZY_FACTOR if band in UZY else 1)
    n_far = int(np.sum(np.abs(residuals) > limit))
    return [scatter_of("PA1", band, residuals), fraction_of("PF1", band, n_far, len(residuals), scale=100)]


def astrometric_repeatability(sightings, band):
    """Metrics AM1 and AF1 of one band.

    Parameters
    ----------
    sightings : Sightings
        Of the band.
    band : str
        Band.

    Returns
    -------
    list of Measurement
        Both; NaN where no pair of stars 4 to 6 arcmin apart was seen in two visits.
    """
    residuals = separation_residuals(sightings)
    n_far = int(np.sum(np.abs(residuals) > OUTLIER_MAS))
    return [scatter_of("AM1", band, residuals), fraction_of("AF1", band, n_far, len(residuals), scale=100)]


def separation_residuals(sightings):
    """Residuals of the separations of pairs of stars from each pair's mean.

    Parameters
    ----------
    sightings : Sightings
        Of one band.

    Returns
    -------
    ndarray, shape (n,), float64
        [mas], scaled as in `scaled_residuals`.
    """
    if len(sightings.star) == 0:
        return np.empty(0)
    _, star = np.unique(sightings.star, return_inverse=True)
    _, visit = np.unique(sightings.visit, return_inverse=True)
    vectors = unit_vectors(sightings.ra, sightings.dec)
    row = np.full((star.max() + 1, visit.max() + 1), -1)
    row[star, visit] = np.arange(len(star))
    first, second = _pairs(vectors[row.max(axis=1)])
    one, other = row[first], row[second]
    both = (one >= 0) & (other >= 0)
    pair = np.nonzero(both)[0]
    chord = np.linalg.norm(vectors[one[both]] - vectors[other[both]], axis=1)
    return scaled_residuals(pair, 2 * np.arcsin(chord / 2) * MAS_PER_RADIAN)


def _pairs(vectors):
    """Pairs of stars (two ndarrays of int) that are 5 arcmin apart, thinned when there are many."""
    from scipy.spatial import cKDTree

    low, high = (
        2 * np.sin(ARCMIN * (PAIR_ARCMIN + side) / 2) for side in (-PAIR_HALF_WIDTH, PAIR_HALF_WIDTH)
    )
    pairs = cKDTree(vectors).query_pairs(high, output_type="ndarray")
    chord = np.linalg.norm(vectors[pairs[:, 0]] - vectors[pairs[:, 1]], axis=1)
    pairs = pairs[chord >= low]
    pairs = pairs[np.lexsort(pairs.T)]
    step = -(-len(pairs) // MOST_PAIRS) or 1
    return pairs[::step, 0], pairs[::step, 1]
