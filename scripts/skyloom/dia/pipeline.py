"""DIA sources of one difference image: detect, measure, cut."""

import logging

import numpy as np

from skyloom.algorithms.footprints import grow_mask
from skyloom.core import mask_planes
from skyloom.core.ids import source_ids
from skyloom.core.images import MaskedImage, pixels_at
from skyloom.core.psf import psf_moments
from skyloom.core.schemas import DIA_SOURCE
from skyloom.dia.detection import (
    find_candidates,
    matched_template,
    score_images,
    static_errors,
)
from skyloom.dia.measurement import (
    apertures,
    core_residuals,
    dipoles,
    fit_points,
    forced_fluxes,
    pixel_flags,
    shapes,
    static_pixel_variance,
)
from skyloom.dia.quality import passes_cuts

log = logging.getLogger(__name__)

UNASSOCIATED = 0
# A source within this many PSF sizes of pixels with another PSF has part of its light there.
INEXACT_REACH_SIGMA = 3.0


def detect_dia_sources(difference, science, settings):
    """Table of the sources on a difference image.

    Parameters
    ----------
    difference : DifferenceImage
        Difference with template, kernel, WCS and PSF.
    science : Exposure
        The exposure that it was made from.
    settings : dict
        Section ``dia``.

    Returns
    -------
    pyarrow.Table
        Schema `DIA_SOURCE`, strongest first; possibly empty.
    """
    pixels = difference.exposure.pixels
    ny, nx = pixels.shape
    psf = difference.exposure.psf
    central = psf.kernel_at((nx - 1) / 2, (ny - 1) / 2)
    sigma = psf_moments(central)[0]
    static = matched_template(difference)
    inexact = grow_mask(
        pixels.is_masked(mask_planes.bits("INEXACT_PSF", "SENSOR_EDGE")), INEXACT_REACH_SIGMA * sigma
    )
    errors = static_errors(static, central, inexact, settings["static_errors"])
    score, significance = score_images(pixels, central, errors)
    candidates = find_candidates(score, significance, settings["threshold"], sigma)
    fits = fit_points(pixels, psf, candidates)
    values = _measure(difference, science, (candidates, fits, static, errors), settings, sigma)
    keep = passes_cuts(values, candidates.score, fits.usable_fraction, settings["cuts"])
    log.info("%d of %d candidates are DIA sources", np.count_nonzero(keep), len(keep))
    values = {name: value[keep] for name, value in values.items()}
    return DIA_SOURCE.table(values | _identity(difference.exposure.info, int(np.count_nonzero(keep))))


def _measure(difference, science, found, settings, sigma):
    """All measured columns of the candidates."""
    candidates, fits, static, errors = found
    exposure = difference.exposure
    pixels, wcs = exposure.pixels, exposure.wcs
    static_error = errors.variance[pixels_at(fits.x, fits.y, pixels.shape)]
    extra = static_pixel_variance(static, fits, settings["static_errors"])
    chi2, n_pixel = core_residuals(pixels, fits, extra, sigma)
    values = {
        "x": fits.x,
        "y": fits.y,
        "xErr": fits.x_err,
        "yErr": fits.y_err,
        "centroid_flag": ~np.isfinite(fits.x_err),
        "snr": np.abs(candidates.score),
        "isNegative": candidates.score < 0,
        "psfFlux": fits.flux,
        "psfFluxErr": np.sqrt(fits.flux_err**2 + static_error),
        "psfChi2": chi2,
        "psfNdata": n_pixel,
        "psfFlux_flag": ~np.isfinite(fits.flux),
        "reliability": np.full(len(fits.x), np.nan),
    }
    values |= _sky_columns(wcs, fits)
    values |= _forced_columns(difference, science, fits, static)
    values |= shapes(pixels, fits, wcs.pixel_scale())
    values |= apertures(pixels, fits)
    values |= pixel_flags(pixels.mask, fits.x, fits.y, sigma)
    return values | _dipole_columns(
        wcs, dipoles(pixels, candidates, fits, sigma, settings["threshold"]), fits
    )


def _sky_columns(wcs, fits):
    """Sky positions and errors; raErr is the error of right ascension itself, as in Rubin's DiaSource."""
    x, y = np.nan_to_num(fits.x), np.nan_to_num(fits.y)
    ra, dec = wcs.pixel_to_sky(x, y)
    jacobian = wcs.jacobian(x, y)
    covariance = np.empty((2, 2, len(x)))
    covariance[0, 0], covariance[1, 1] = fits.x_err**2, fits.y_err**2
    covariance[0, 1] = covariance[1, 0] = fits.xy_covariance
    on_sky = np.einsum("ijn,jkn,lkn->iln", jacobian, covariance, jacobian)
    bad = ~np.isfinite(fits.x)
    return {
        "ra": np.where(bad, np.nan, ra),
        "dec": np.where(bad, np.nan, dec),
        "raErr": np.sqrt(on_sky[0, 0]) / np.cos(np.radians(dec)),
        "decErr": np.sqrt(on_sky[1, 1]),
        "ra_dec_Cov": on_sky[0, 1],
    }


def _forced_columns(difference, science, fits, static):
    """PSF fluxes on the science image and on the matched template, at the sources' positions."""
    science_kernels = science.psf.kernels_at(fits.x, fits.y)
    science_flux, science_error = forced_fluxes(science.pixels, science_kernels, fits.x, fits.y)
    kernels = science_kernels
    if difference.kernel.convolved == "science":
        kernels = _convolved_kernels(science_kernels, difference.kernel, fits)
    mask = difference.exposure.pixels.mask
    pixels = MaskedImage(static, mask, np.ones_like(static))
    template_flux, _ = forced_fluxes(pixels, kernels, fits.x, fits.y)
    # The template's share of the noise: what the difference has beyond the science image.
    template_error = np.sqrt(np.maximum(fits.flux_err**2 - science_error**2, 0.0))
    return {
        "scienceFlux": science_flux,
        "scienceFluxErr": science_error,
        "templateFlux": template_flux,
        "templateFluxErr": template_error,
    }


def _convolved_kernels(kernels, matching, fits):
    """Science PSFs convolved with the matching kernel at each source, sum 1."""
    size = kernels.shape[-1]
    full = size + matching.size - 1
    weights = matching.weights_at(fits.x, fits.y)
    factors = np.tensordot(weights, matching.basis, axes=1)
    product = np.fft.rfft2(kernels, s=(full, full)) * np.fft.rfft2(factors, s=(full, full))
    cut = (full - size) // 2
    images = np.fft.irfft2(product, s=(full, full))[:, cut : cut + size, cut : cut + size]
    return images / images.sum(axis=(1, 2), keepdims=True)


def _dipole_columns(wcs, values, fits):
    """Dipole columns with length and position angle on the sky, from the negative to the positive lobe."""
    dx, dy = values.pop("dipole_dx"), values.pop("dipole_dy")
    jacobian = wcs.jacobian(np.nan_to_num(fits.x), np.nan_to_num(fits.y))
    east = jacobian[0, 0] * dx + jacobian[0, 1] * dy
    north = jacobian[1, 0] * dx + jacobian[1, 1] * dy
    values["dipoleLength"] = 3600.0 * np.hypot(east, north)
    values["dipoleAngle"] = np.degrees(np.arctan2(east, north)) % 360.0
    return values


def _identity(info, n_source):
    """Columns that are the same for all sources of a difference, and their identifiers."""
    return {
        "diaSourceId": source_ids(info.visit, info.detector, n_source),
        "visit": np.full(n_source, info.visit, dtype=np.int64),
        "detector": np.full(n_source, info.detector, dtype=np.int32),
        "diaObjectId": np.full(n_source, UNASSOCIATED, dtype=np.int64),
        "band": [info.band] * n_source,
        "midpointMjdTai": np.full(n_source, info.mjd),
        "exposureTime": np.full(n_source, info.exposure_time),
    }
