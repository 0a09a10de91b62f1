"""Measure the sources of one detector: positions, fluxes, shapes and flags, and make their table."""

import numpy as np

from skyloom.algorithms.alone import measure_alone
from skyloom.algorithms.apertures import APERTURE_FLUXES, aperture_photometry
from skyloom.algorithms.extendedness import classify_by_size
from skyloom.algorithms.mask_flags import box_flags
from skyloom.algorithms.moments import adaptive_moments, star_moments
from skyloom.algorithms.photometry import (
    UNUSABLE,
    FitSettings,
    SourceSplines,
    position_error_factor,
    psf_photometry,
    without_position_bias,
)
from skyloom.core import mask_planes
from skyloom.core.errors import DataError
from skyloom.core.ids import source_ids
from skyloom.core.images import pixels_at
from skyloom.core.psf import FWHM_PER_SIGMA, equivalent_sigma
from skyloom.core.schemas import SOURCE

# The half-width of the box whose pixels make a source's flags, in sigma of the PSF.
FLAG_BOX_SIGMA = 2.0
FLAG_PLANES = {
    "bad": mask_planes.BAD,
    "cr": mask_planes.CR,
    "edge": mask_planes.bits("EDGE", "SENSOR_EDGE"),
    "interpolated": mask_planes.INTRP,
    "nodata": mask_planes.NO_DATA,
    "saturated": mask_planes.SAT,
    "streak": mask_planes.STREAK,
    "suspect": mask_planes.SUSPECT,
}
CENTRE_FLAGS = ("cr", "interpolated", "saturated", "suspect")
# Of pixels in electrons; what a satellite left is no source's light.
IN_ELECTRONS = FitSettings(photon_variance=1.0, unusable=int(UNUSABLE | mask_planes.STREAK))


class PsfWithoutSizeError(DataError):
    """The PSF has no adaptive moments at any source: it looks like no star.

    Parameters
    ----------
    n_source : int
        Sources at which it was tried.
    """

    def __init__(self, n_source):
        super().__init__(
            f"the PSF has no size at any of {n_source} sources, must look like a star: look at the stars that it was "
            "fitted to (calib_psf_used of a good detector) and at calibrate.psf"
        )
        self.n_source = n_source


def measure_sources(masked_image, psf, detections, settings, start=None, fit_settings=IN_ELECTRONS):  # noqa: PLR0913
    """Measurements of all detections of one image.

    Parameters
    ----------
    masked_image : MaskedImage
        Background-subtracted pixels [electron].
    psf : PixelPsf or ColouredPsf
        The image's PSF; one with colours is that of these detections, in their order.
    detections : Detections
        What was found, brightest first.
    settings : dict
        Section ``calibrate.measurement``.
    start : tuple of ndarray, shape (n,), optional
        x, y [pixel] and flux [electron] of fits before; NaN where unknown.
    fit_settings : FitSettings
        How the PSF is fitted.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        Columns of the schema SOURCE that need no calibration; fluxes in electron and without aperture
        correction.

    Raises
    ------
    PsfWithoutSizeError
        If the PSF looks like no star anywhere.
    """
    # Over the pixel or two that a fit goes from its peak the PSF is the same.
    splines = psf.splines_at(detections.x, detections.y)
    peaks = (detections.x, detections.y)
    fit = psf_photometry(masked_image, SourceSplines(splines), *peaks, fit_settings, start)
    failed = ~(np.isfinite(fit.flux) & np.isfinite(fit.x_err) & np.isfinite(fit.y_err))
    x, y = np.where(failed, detections.x, fit.x), np.where(failed, detections.y, fit.y)
    ny, nx = masked_image.shape
    kernel = psf.kernel_at((nx - 1) / 2, (ny - 1) / 2)
    psf_shape = star_moments(splines, x, y, equivalent_sigma(kernel))
    if len(x) and not np.isfinite(psf_shape.sigma).any():
        raise PsfWithoutSizeError(len(x))
    sigma = float(np.nanmedian(psf_shape.sigma)) if len(x) else 1.0
    shape = adaptive_moments(masked_image.image, x, y, sigma)
    widening = position_error_factor(kernel, fit.flux, fit.flux_err)
    columns = _psf_columns(fit, np.where(failed, np.nan, widening), settings)
    columns |= {"x": x, "y": y, "psfFlux_area": psf.areas_at(x, y)}
    columns["detectionSignificance"] = detections.significance
    columns |= _edge_flags(masked_image.shape, x, y, psf.size // 2)
    columns |= {name: getattr(shape, name) for name in ("ixx", "iyy", "ixy")}
    columns |= {f"{name}PSF": getattr(psf_shape, name) for name in ("ixx", "iyy", "ixy")}
    columns |= {"i_flag": np.isnan(shape.ixx), "invalidPsfFlag": np.isnan(psf_shape.ixx)}
    with np.errstate(invalid="ignore"):
        signal_to_noise = fit.flux / fit.flux_err
    classes = classify_by_size(
        *(shape, psf_shape, signal_to_noise),
        *(settings["extended_size_excess"], settings["extended_sigma"]),
    )
    columns |= {
        "extendedness": classes.extended,
        "extendedness_flag": np.isnan(classes.extended),
        "sizeExtendedness": classes.size,
        "sizeExtendedness_flag": np.isnan(classes.size),
    }
    columns |= _alone_columns(
        *(masked_image, splines, fit, columns),
        settings["calibration_aperture_fwhm"] * FWHM_PER_SIGMA * sigma,
    )
    columns |= _gaussian_columns(masked_image, shape, psf_shape, columns)
    columns |= _aperture_columns(masked_image, x, y)
    columns |= pixel_flags(masked_image.mask, x, y, FLAG_BOX_SIGMA * sigma)
    return columns


def _unbiased(flux, flux_err, is_free):
    """Fluxes and errors without what a free position adds, where the position was free."""
    corrected, corrected_err = without_position_bias(flux, flux_err)
    return np.where(is_free, corrected, flux), np.where(is_free, corrected_err, flux_err)


def _psf_columns(fit, widening, settings):
    """Fluxes and errors of the PSF fit under their schema names; `widening` is NaN for positions that failed."""
    flux, flux_err = _unbiased(fit.flux, fit.flux_err, np.isfinite(fit.x_err))
    return {
        "xErr": fit.x_err * widening,
        "yErr": fit.y_err * widening,
        "xyCov": fit.xy_covariance * widening**2,
        "centroid_flag": np.isnan(widening),
        "psfFlux": flux,
        "psfFluxErr": flux_err,
        "psfFlux_chi2": fit.chi2,
        "psfFlux_npix": fit.n_pixel,
        "psfFlux_flag": ~np.isfinite(fit.flux) | (fit.usable_fraction < settings["min_usable_fraction"]),
        "psfFlux_flag_noGoodPixels": ~np.isfinite(fit.flux),
    }


def _edge_flags(shape, x, y, half):
    """Flag of the sources whose PSF image reaches over the edge."""
    ny, nx = shape
    distance = np.minimum(np.minimum(x, nx - 1 - x), np.minimum(y, ny - 1 - y))
    return {"psfFlux_flag_edge": np.rint(distance) < half}


def _alone_columns(masked_image, splines, fit, columns, radius):
    """What is measured with the other sources subtracted, under its schema names; `radius`: of calibFlux [pixel]."""
    names = ("ixx", "iyy", "ixy")
    of_psf = [np.nan_to_num(columns[f"{name}PSF"]) for name in names]
    of_source = [np.where(columns["i_flag"], psf, columns[n]) for n, psf in zip(names, of_psf, strict=True)]
    psf_sigma = np.maximum(of_psf[0] * of_psf[1] - of_psf[2] ** 2, 0.0) ** 0.25
    places = (columns["x"], columns["y"], np.where(columns["centroid_flag"], np.nan, fit.flux))
    options = (IN_ELECTRONS.unusable, radius)
    alone = measure_alone(masked_image, splines, places, (*of_source, psf_sigma), options)
    is_free = np.isfinite(fit.x_err)
    uniform_flux, uniform_flux_err = _unbiased(alone.uniform_flux, alone.uniform_flux_err, is_free)
    return {
        "uniformPsfFlux": uniform_flux,
        "uniformPsfFluxErr": uniform_flux_err,
        "uniformPsfFlux_flag": columns["psfFlux_flag"] | np.isnan(uniform_flux),
        "blendedness_abs": alone.blendedness,
        "blendedness_flag": np.isnan(alone.blendedness),
        "localBackground": alone.sky,
        "skyErr": alone.sky_err,
        "localBackground_flag": np.isnan(alone.sky),
        "xWin": alone.x,
        "yWin": alone.y,
        "xWinErr": alone.x_err,
        "yWinErr": alone.y_err,
        "xyWinCov": alone.xy_covariance,
        "centroidWin_flag": np.isnan(alone.x),
        "calibFlux": alone.aperture_flux,
        "calibFluxErr": alone.aperture_flux_err,
        "kronFlux": alone.kron_flux,
        "kronFluxErr": alone.kron_flux_err,
        "kronRad": alone.kron_radius,
        "kronFlux_flag": ~np.isfinite(alone.kron_flux) | ~(alone.kron_limited == 0),
    }


def _gaussian_columns(masked_image, shape, psf_shape, columns):
    """Flux of the Gaussian that has the source's adaptive moments, such that a star has the flux of its PSF."""
    variance = _sky_variance(masked_image, columns["x"], columns["y"])
    area = np.pi * np.sqrt(np.maximum(shape.ixx * shape.iyy - shape.ixy**2, 0.0))
    # The weighted sum is half of a Gaussian's flux, and holds noise of sum(w^2 V), its own photons' part flux / 3.
    flux = 2 * shape.amplitude
    error = 2 * np.sqrt(variance * area + np.maximum(flux, 0.0) / 3)
    of_psf = 2 * psf_shape.amplitude
    return {
        "gaussianFlux": flux / of_psf,
        "gaussianFluxErr": error / of_psf,
        "gaussianFlux_flag": ~np.isfinite(flux / of_psf),
        "variance_value": variance,
    }


def _sky_variance(masked_image, x, y):
    """Variance of the pixel that holds each source, without the photons in it [electron^2].

    Both planes hold the same photons, and their noise goes; where a wrong gain leaves nothing, it is the variance.
    """
    place = pixels_at(x, y, masked_image.shape)
    variance = masked_image.variance[place].astype(np.float64)
    without = variance - masked_image.image[place]
    return np.where(without > 0, without, variance)


def is_centred_on(columns, shape):
    """Sources whose centre lies on the image: the others are the wings of something beyond its edge.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        Measured columns.
    shape : tuple of int
        Shape (ny, nx) of the image.

    Returns
    -------
    ndarray, shape (n,), bool
        True where the fitted position is at least half a pixel inside the outermost pixels' centres.
    """
    ny, nx = shape
    x, y = columns["x"], columns["y"]
    return (x > 0.5) & (y > 0.5) & (x < nx - 1.5) & (y < ny - 1.5)


def is_good_star(columns):
    """Sources that may calibrate positions and fluxes.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        Measured columns.

    Returns
    -------
    ndarray, shape (n,), bool
        Point-like, fitted, and without a saturated, bad, missing or cut pixel or a trail.
    """
    spoilt = np.logical_or.reduce(
        [
            columns[f"pixelFlags_{name}"]
            for name in ("bad", "edge", "nodata", "saturated", "streak", "suspectCenter", "crCenter")
        ]
    )
    fitted = ~columns["centroid_flag"] & ~columns["psfFlux_flag"] & (columns["psfFlux"] > 0)
    return fitted & ~spoilt & ~(columns["extendedness"] > 0.5)


def source_table(columns, detections, info):
    """Table of sources from calibrated columns.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        Measured and calibrated columns.
    detections : Detections
        The detections in the same order: they tell which sources share a footprint.
    info : ExposureInfo
        Visit, detector and band.

    Returns
    -------
    pyarrow.Table
        Schema SOURCE.
    """
    n = len(detections)
    identifiers = source_ids(info.visit, info.detector, n)
    _, first, member, count = np.unique(
        detections.footprint, return_index=True, return_inverse=True, return_counts=True
    )
    brightest = first[member]
    is_brightest = brightest == np.arange(n)
    light = np.maximum(np.nan_to_num(columns["psfFlux"]), 0.0)
    with np.errstate(invalid="ignore"):
        share = light / np.bincount(member, weights=light, minlength=1)[member]
    n_label = 2 + int(detections.footprint.max(initial=0))
    area = np.bincount(detections.labels[detections.labels > 0], minlength=n_label)[1 + detections.footprint]
    return SOURCE.table(
        columns
        | {
            "sourceId": identifiers,
            "visit": np.full(n, info.visit, dtype=np.int64),
            "detector": np.full(n, info.detector, dtype=np.int32),
            "band": np.full(n, info.band, dtype=object),
            "parentSourceId": np.where(is_brightest, 0, identifiers[brightest]),
            "deblend_nChild": np.where(is_brightest, count[member] - 1, 0).astype(np.int32),
            "deblend_nPeaks": count[member].astype(np.int32),
            "deblend_fluxFraction": share,
            "footprintArea_value": area.astype(np.int32),
        }
    )


def pixel_flags(mask, x, y, radius):
    """Flags that tell which mask bits lie below the sources.

    Parameters
    ----------
    mask : ndarray, shape (ny, nx), uint32
        Mask planes.
    x, y : ndarray, shape (n,), float64
        Positions [pixel].
    radius : float
        Half-width of the box that a source covers [pixel].

    Returns
    -------
    dict of str to ndarray of bool, shape (n,)
        ``pixelFlags_{bad,cr,edge,interpolated,nodata,saturated,streak,suspect}`` and the ``...Center`` ones of
        3x3 pixels.
    """
    return box_flags(mask, (x, y), radius, FLAG_PLANES, CENTRE_FLAGS)


def halo_flags(columns, mask):
    """Flag of the sources in the stray light of bright stars, which is masked after they were measured.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        Measured columns.
    mask : ndarray, shape (ny, nx), uint32
        Mask planes, HALO among them.

    Returns
    -------
    dict of str to ndarray of bool, shape (n,)
        ``pixelFlags_halo``.
    """
    area = columns["ixxPSF"] * columns["iyyPSF"] - columns["ixyPSF"] ** 2
    sigma = float(np.nanmedian(np.maximum(area, 0.0) ** 0.25)) if len(area) else 1.0
    places = (columns["x"], columns["y"])
    return box_flags(mask, places, FLAG_BOX_SIGMA * sigma, {"halo": mask_planes.HALO}, ())


def _aperture_columns(masked_image, x, y):
    """Aperture fluxes under their schema names."""
    flux, flux_err = aperture_photometry(masked_image, x, y)
    columns = {}
    for i, name in enumerate(APERTURE_FLUXES):
        columns |= {name: flux[:, i], f"{name}Err": flux_err[:, i], f"{name}_flag": ~np.isfinite(flux[:, i])}
    return columns
