"""One position for each object: the PSF fit in its reference band."""

from dataclasses import dataclass

import numpy as np

from skyloom.algorithms.photometry import FitSettings, psf_photometry


@dataclass(frozen=True, slots=True)
class ReferencePositions:
    """Positions of n objects.

    Attributes
    ----------
    band : ndarray, shape (n,), object
        Reference band of each object.
    x, y : ndarray, shape (n,), float64
        Position [patch pixel].
    x_err, y_err, xy_covariance : ndarray, shape (n,), float64
        Errors [pixel] and covariance [pixel^2]; NaN where the fit failed.
    failed : ndarray, shape (n,), bool
        The position is that of the peak, since the fit gave none.
    """

    band: np.ndarray
    x: np.ndarray
    y: np.ndarray
    x_err: np.ndarray
    y_err: np.ndarray
    xy_covariance: np.ndarray
    failed: np.ndarray


def has_psf(coadd, x, y):
    """Whether a coadd has a PSF, hence data in the cell, at positions (ndarray, shape (n,), bool).

    Parameters
    ----------
    coadd : Exposure
        A coadd with a cell PSF.
    x, y : ndarray, shape (n,), float64
        Positions [pixel].
    """
    return np.isfinite(coadd.psf.kernels_at(x, y)[:, 0, 0])


def psf_fit(coadd, x, y, fit_position):
    """PSF photometry of a coadd at positions; NaN where the coadd has no PSF.

    Parameters
    ----------
    coadd : Exposure
        The coadd.
    x, y : ndarray, shape (n,), float64
        Positions [pixel].
    fit_position : bool
        Whether positions are free.

    Returns
    -------
    dict of str to ndarray, shape (n,), float64
        flux, flux_err, x, y, x_err, y_err, xy_covariance, usable_fraction; not aperture-corrected. Errors
        know the correlation of the noise.
    """
    known = has_psf(coadd, x, y)
    settings = FitSettings(fit_position=fit_position, noise_correlation=coadd.noise_correlation)
    fit = psf_photometry(coadd.pixels, coadd.psf, x[known], y[known], settings) if known.any() else None
    names = ("flux", "flux_err", "x", "y", "x_err", "y_err", "xy_covariance", "usable_fraction")
    columns = {name: np.full(len(x), np.nan) for name in names}
    if fit is not None:
        for name in names:
            columns[name][known] = getattr(fit, name)
    return columns


def reference_bands(fits, priority, minimum_snr):
    """Reference band of each object.

    Parameters
    ----------
    fits : dict of str to dict
        Forced PSF photometry of each band (see `psf_fit`).
    priority : sequence of str
        Bands in order of preference.
    minimum_snr : float
        The first band of that order that reaches this signal to noise is taken.

    Returns
    -------
    ndarray, shape (n,), object
        The band; where none reaches it, the one with the largest signal to noise.
    """
    bands = [band for band in priority if band in fits]
    with np.errstate(invalid="ignore", divide="ignore"):
        snr = np.array(
            [np.nan_to_num(fits[band]["flux"] / fits[band]["flux_err"], nan=-np.inf) for band in bands]
        )
    enough = snr >= minimum_snr
    chosen = np.where(enough.any(axis=0), enough.argmax(axis=0), snr.argmax(axis=0))
    return np.array(bands, dtype=object)[chosen]


def fit_positions(coadds, peaks, priority, minimum_snr):
    """Fit the position of each object in its reference band.

    Parameters
    ----------
    coadds : dict of str to Exposure
        Coadds by band.
    peaks : MergedPeaks
        Where the objects are.
    priority : sequence of str
        Bands in order of preference.
    minimum_snr : float
        See `reference_bands`.

    Returns
    -------
    ReferencePositions
        One entry an object.
    """
    forced = {band: psf_fit(coadd, peaks.x, peaks.y, fit_position=False) for band, coadd in coadds.items()}
    band = reference_bands(forced, priority, minimum_snr)
    columns = {name: np.full(len(band), np.nan) for name in ("x", "y", "x_err", "y_err", "xy_covariance")}
    for name in np.unique(band.astype(str)):
        own = band == name
        fit = psf_fit(coadds[name], peaks.x, peaks.y, fit_position=True)
        for column, values in columns.items():
            values[own] = fit[column][own]
    failed = ~(np.isfinite(columns["x_err"]) & np.isfinite(columns["y_err"]))
    columns["x"] = np.where(failed, peaks.x, columns["x"])
    columns["y"] = np.where(failed, peaks.y, columns["y"])
    return ReferencePositions(band=band, failed=failed, **columns)
