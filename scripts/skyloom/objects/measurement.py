"""Fluxes, shapes and flags of all objects in one band, at given positions."""

import numpy as np

from skyloom.algorithms.apertures import APERTURE_FLUXES, aperture_photometry
from skyloom.algorithms.extendedness import classify_by_size
from skyloom.algorithms.mask_flags import box_flags
from skyloom.algorithms.moments import AdaptiveMoments, adaptive_moments, kernel_moments, star_moments
from skyloom.core import mask_planes
from skyloom.objects.positions import psf_fit

# Half-width of the box whose pixels make an object's flags [sigma of PSF].
FLAG_BOX_SIGMA = 2.0
FLAG_PLANES = {
    "bad": mask_planes.BAD,
    "clipped": mask_planes.CLIPPED,
    "cr": mask_planes.CR,
    "edge": mask_planes.EDGE,
    "inexact_psf": mask_planes.INEXACT_PSF,
    "interpolated": mask_planes.INTRP,
    "nodata": mask_planes.NO_DATA,
    "saturated": mask_planes.SAT,
    "sensor_edge": mask_planes.SENSOR_EDGE,
    "suspect": mask_planes.SUSPECT,
}
CENTRE_FLAGS = ("clipped", "cr", "inexact_psf", "interpolated", "saturated", "sensor_edge", "suspect")


def measure_band(coadd, x, y, settings):
    """Measure objects on the coadd of one band.

    Parameters
    ----------
    coadd : Exposure
        Coadd with cell PSF and noise correlation.
    x, y : ndarray, shape (n,), float64
        Positions [patch pixel].
    settings : dict
        Section ``objects.measurement``.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns without the band's prefix. PSF fluxes are forced and aperture-corrected; NaN and flags where
        the coadd has no data. Errors of sums over many pixels carry the root of the noise correlation.
    """
    n = len(x)
    fit = psf_fit(coadd, x, y, fit_position=False)
    ap_corr = np.ones(n) if coadd.ap_corr is None else coadd.ap_corr.evaluate(x, y)
    kernels = coadd.psf.kernels_at(x, y)
    known = np.isfinite(kernels[:, 0, 0])
    psf_shape = _scatter(kernel_moments(kernels[known]), known)
    sigma = float(np.nanmedian(psf_shape.sigma)) if known.any() else 1.0
    shape = _scatter(adaptive_moments(coadd.pixels.image, x[known], y[known], sigma), known)
    with np.errstate(invalid="ignore", divide="ignore"):
        snr = fit["flux"] / fit["flux_err"]
        area = 1 / np.sum(kernels**2, axis=(1, 2))
    star_shape = _scatter(star_moments(coadd.psf.splines_at(x[known], y[known]), x[known], y[known]), known)
    classes = classify_by_size(
        shape, star_shape, snr, settings["extended_size_excess"], settings["extended_sigma"]
    )
    columns = {
        "psfFlux": fit["flux"] * ap_corr,
        "psfFluxErr": fit["flux_err"] * ap_corr,
        "psfFlux_area": area,
        "psfFlux_flag": ~np.isfinite(fit["flux"])
        | ~(fit["usable_fraction"] >= settings["min_usable_fraction"]),
        "extendedness": classes.extended,
        "sizeExtendedness": classes.size,
        "i_flag": ~np.isfinite(shape.ixx),
        "epoch": np.full(n, coadd.info.mjd),
    }
    columns |= {name: getattr(shape, name) for name in ("ixx", "iyy", "ixy")}
    columns |= {f"{name}PSF": getattr(psf_shape, name) for name in ("ixx", "iyy", "ixy")}
    columns |= _aperture_columns(coadd, x, y)
    columns |= box_flags(coadd.pixels.mask, (x, y), FLAG_BOX_SIGMA * sigma, FLAG_PLANES, CENTRE_FLAGS)
    return columns


def missing_band(n):
    """Columns of a band without a coadd: NaN, and the flags that say so.

    Parameters
    ----------
    n : int
        Number of objects.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        The columns of `measure_band`.
    """
    nan, false, true = np.full(n, np.nan), np.zeros(n, dtype=bool), np.ones(n, dtype=bool)
    columns = {
        name: nan for name in ("psfFlux", "psfFluxErr", "psfFlux_area", "extendedness", "sizeExtendedness")
    }
    columns |= {name: nan for name in ("epoch", "ixx", "iyy", "ixy", "ixxPSF", "iyyPSF", "ixyPSF")}
    columns |= {"psfFlux_flag": true, "i_flag": true}
    for name in APERTURE_FLUXES:
        columns |= {name: nan, f"{name}Err": nan, f"{name}_flag": true}
    columns |= {f"pixelFlags_{name}": false for name in FLAG_PLANES}
    columns |= {f"pixelFlags_{name}Center": false for name in CENTRE_FLAGS}
    columns["pixelFlags_nodata"] = true
    return columns


def _scatter(moments, known):
    """Moments of the known objects spread over all, NaN for the others."""
    spread = []
    for values in moments:
        full = np.full(len(known), np.nan)
        full[known] = values
        spread.append(full)
    return AdaptiveMoments(*spread)


def _aperture_columns(coadd, x, y):
    """Aperture fluxes; errors carry the noise correlation."""
    flux, flux_err = aperture_photometry(coadd.pixels, x, y)
    flux_err = flux_err * np.sqrt(coadd.noise_correlation)
    columns = {}
    for index, name in enumerate(APERTURE_FLUXES):
        failed = ~np.isfinite(flux[:, index])
        columns |= {name: flux[:, index], f"{name}Err": np.where(failed, np.nan, flux_err[:, index])}
        columns[f"{name}_flag"] = failed
    return columns
