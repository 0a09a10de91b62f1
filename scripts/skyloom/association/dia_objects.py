"""Summary of the DIA sources of each DIA object."""

import numpy as np

from skyloom.association.clustering import ARCSEC_TO_RADIAN
from skyloom.core.directions import unit_vectors

DEGREE_TO_ARCSEC = 3600.0


def mean_positions(sources, cluster, n_object):
    """Weighted mean positions.

    Parameters
    ----------
    sources : dict of str to ndarray, shape (n,)
        ``ra``, ``dec``, ``raErr``, ``decErr`` [degree].
    cluster : ndarray, shape (n,), int64
        Object of each source.
    n_object : int
        Number of objects.

    Returns
    -------
    dict of str to ndarray, shape (n_object,), float64
        ``ra``, ``dec`` and ``raErr`` (times cos(dec)), ``decErr`` [degree].

    Notes
    -----
    Each axis is weighted by its own inverse variance. Offsets from one source of the object are averaged, so
    that nothing happens at right ascension 0.
    """
    first = np.empty(n_object, dtype=np.int64)
    first[cluster[::-1]] = np.arange(len(cluster))[::-1]
    ra0, dec0 = sources["ra"][first], sources["dec"][first]
    delta_ra = (sources["ra"] - ra0[cluster] + 180.0) % 360.0 - 180.0
    ra_weight = _inverse_variance(sources["raErr"])
    dec_weight = _inverse_variance(sources["decErr"])
    ra_sum, dec_sum = (np.bincount(cluster, weights=w, minlength=n_object) for w in (ra_weight, dec_weight))
    ra = ra0 + np.bincount(cluster, weights=ra_weight * delta_ra, minlength=n_object) / ra_sum
    delta_dec = sources["dec"] - dec0[cluster]
    dec = dec0 + np.bincount(cluster, weights=dec_weight * delta_dec, minlength=n_object) / dec_sum
    return {
        "ra": ra % 360.0,
        "dec": dec,
        "raErr": np.cos(np.radians(dec)) / np.sqrt(ra_sum),
        "decErr": 1 / np.sqrt(dec_sum),
    }


def _inverse_variance(error):
    """Weights; a source without a usable error counts as the worst one with."""
    error = np.asarray(error, dtype=np.float64)
    known = np.isfinite(error) & (error > 0)
    worst = error[known].max() if known.any() else 1.0 / DEGREE_TO_ARCSEC
    return 1 / np.where(known, error, worst) ** 2


def separations(ra, dec, mean_ra, mean_dec):
    """Angular distances.

    Parameters
    ----------
    ra, dec, mean_ra, mean_dec : ndarray, shape (n,), float64
        Positions [degree].

    Returns
    -------
    ndarray, shape (n,), float64
        Distances [arcsec].
    """
    chord = np.linalg.norm(unit_vectors(ra, dec) - unit_vectors(mean_ra, mean_dec), axis=1)
    return 2 * np.arcsin(np.minimum(0.5 * chord, 1.0)) / ARCSEC_TO_RADIAN


def band_columns(sources, cluster, n_object, band):
    """Flux columns of one band.

    Parameters
    ----------
    sources : dict of str to ndarray, shape (n,)
        ``band``, ``psfFlux``, ``psfFluxErr``, ``scienceFlux``, ``scienceFluxErr`` [nJy].
    cluster : ndarray, shape (n,), int64
        Object of each source.
    n_object : int
        Number of objects.
    band : str
        The band.

    Returns
    -------
    dict of str to ndarray, shape (n_object,)
        Columns with the band's prefix; NaN where the object has no source in the band.
    """
    rows = np.flatnonzero(sources["band"] == band)
    flux, error = sources["psfFlux"][rows], sources["psfFluxErr"][rows]
    index = cluster[rows]
    count = np.bincount(index, minlength=n_object)
    mean, mean_error = _weighted_mean(flux, error, index, n_object)
    science, science_error = _weighted_mean(
        sources["scienceFlux"][rows], sources["scienceFluxErr"][rows], index, n_object
    )
    least, largest = np.full(n_object, np.inf), np.full(n_object, -np.inf)
    np.minimum.at(least, index, flux)
    np.maximum.at(largest, index, flux)
    plain = np.bincount(index, weights=flux, minlength=n_object) / np.maximum(count, 1)
    squares = np.bincount(index, weights=(flux - plain[index]) ** 2, minlength=n_object)
    error_mean = np.bincount(index, weights=error, minlength=n_object) / np.maximum(count, 1)
    has, several = count > 0, count > 1
    return {
        f"{band}_psfFluxMean": mean,
        f"{band}_psfFluxMeanErr": mean_error,
        f"{band}_psfFluxSigma": np.where(several, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan),
        f"{band}_psfFluxNdata": count,
        f"{band}_psfFluxMin": np.where(has, least, np.nan),
        f"{band}_psfFluxMax": np.where(has, largest, np.nan),
        f"{band}_psfFluxErrMean": np.where(has, error_mean, np.nan),
        f"{band}_scienceFluxMean": science,
        f"{band}_scienceFluxMeanErr": science_error,
    }


def _weighted_mean(flux, error, index, n_object):
    """Inverse-variance mean and its error of each object; NaN without a value."""
    known = np.isfinite(flux) & np.isfinite(error) & (error > 0)
    weight = 1 / error[known] ** 2
    total = np.bincount(index[known], weights=weight, minlength=n_object)
    value = np.bincount(index[known], weights=weight * flux[known], minlength=n_object)
    has = total > 0
    safe = np.where(has, total, 1.0)
    return np.where(has, value / safe, np.nan), np.where(has, 1 / np.sqrt(safe), np.nan)
