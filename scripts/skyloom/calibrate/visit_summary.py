"""Summary of a visit: one row a detector with its status, PSF, sky, depth, zero point and WCS fit."""

import numpy as np

from skyloom.algorithms.psf_colour import size_slope
from skyloom.algorithms.robust import mad_sigma
from skyloom.core.mask_planes import bits
from skyloom.core.photo_calib import AB_ZERO_POINT
from skyloom.core.psf import FWHM_PER_SIGMA, effective_area, psf_moments
from skyloom.core.schemas import VISIT_SUMMARY
from skyloom.core.tables import column
from skyloom.core.wcs import tan_project

MAGNITUDES_PER_LOG = 2.5 / np.log(10)
DEPTH_SIGNAL_TO_NOISE = 5.0
LOST = ("BAD", "SAT", "CR", "NO_DATA")
LOST_PLANES = bits(*LOST)
LOSS_WORTH_A_REMARK = 0.05
"""Part of a detector without use: more than stars, rays and columns mask, less than the smallest amplifier."""
# Mean and standard deviation of a Rayleigh distribution over its sigma: a distance on two equal axes.
RAYLEIGH_MEAN, RAYLEIGH_STD = np.sqrt(np.pi / 2), np.sqrt(2 - np.pi / 2)
# Pixels apart in the maps that medians are taken of.
SAMPLE_STEP = 4


def summarize_detector(exposure, sources):
    """Row of a calibrated detector.

    Parameters
    ----------
    exposure : Exposure
        The calexp, with WCS, its fit, PSF, zero point, background and aperture correction.
    sources : pyarrow.Table
        Its src table.

    Returns
    -------
    dict
        One value for each column of VISIT_SUMMARY that depends on the detector.
    """
    ny, nx = exposure.pixels.shape
    x, y = (nx - 1) / 2, (ny - 1) / 2
    kernel = exposure.psf.kernel_at(x, y)
    sigma, _, _ = psf_moments(kernel)
    scale = exposure.wcs.pixel_scale()
    zero_point = float(exposure.photo_calib.evaluate(x, y))
    return {
        "detector": exposure.info.detector,
        "status": "OK",
        "reason": "",
        "message": "",
        "xSize": nx,
        "ySize": ny,
        **_sky_columns(exposure.wcs, x, y),
        "pixelScale": scale,
        "psfSigma": sigma,
        "seeing": sigma * scale * FWHM_PER_SIGMA,
        "psfArea": float(effective_area(kernel)),
        **_psf_star_columns(sources),
        "psfColour": _colour_of_psf(exposure.psf.colour),
        "psfSizeColourSlope": size_slope(exposure.psf, x, y),
        **_noise_columns(exposure, kernel, zero_point),
        "detectionThreshold": exposure.detection_threshold,
        "zeroPoint": AB_ZERO_POINT - 2.5 * np.log10(zero_point),
        "zeroPointErr": float(exposure.photo_calib.error(x, y)[0]) / zero_point * MAGNITUDES_PER_LOG,
        **_zero_point_columns(exposure.zero_point_fit),
        "remark": _remark(exposure),
        **_fit_columns(exposure.wcs_fit),
        "nPhotometryStar": int(column(sources, "calib_photometry_used").sum()),
        "nSource": int(np.count_nonzero(~column(sources, "sky_source"))),
        "maskedFraction": float(exposure.pixels.is_masked(LOST_PLANES).mean()),
    }


def failed_detector(detector, reason, message):
    """Row of a detector that could not be calibrated.

    Parameters
    ----------
    detector : int
        Which one.
    reason, message : str
        From its tombstone.

    Returns
    -------
    dict
        Like that of `summarize_detector`, with NaN and 0 for what was not measured.
    """
    blank = {c.name: _blank(c.type) for c in VISIT_SUMMARY.columns}
    return blank | {"detector": detector, "status": "FAILED", "reason": reason, "message": message}


def _blank(kind):
    """Value of a column of a type that was not measured."""
    return {"string": "", "bool": False}.get(kind, 0 if kind.startswith("int") else np.nan)


def visit_summary(rows, visit):
    """Table of a visit from the rows of its detectors.

    Parameters
    ----------
    rows : list of dict
        From `summarize_detector` and `failed_detector`.
    visit : dict
        The visit table's row: visit, band, mjd, exposure_time, airmass.

    Returns
    -------
    pyarrow.Table
        Schema VISIT_SUMMARY, by detector.
    """
    common = {
        "visit": visit["visit"],
        "band": visit["band"],
        "expMidptMJD": visit["mjd"],
        "expTime": visit["exposure_time"],
        "airmass": visit["airmass"],
    }
    full = [row | common for row in sorted(rows, key=lambda row: row["detector"])]
    return VISIT_SUMMARY.table({c.name: [row[c.name] for row in full] for c in VISIT_SUMMARY.columns})


def limiting_magnitude(pixel_variance, area, nano_jansky_per_electron, correction=1.0):
    """AB magnitude of a point source at a signal-to-noise ratio of 5.

    Parameters
    ----------
    pixel_variance : float
        Variance of a pixel without source [nJy^2].
    area : float
        Effective area of the PSF [pixel^2].
    nano_jansky_per_electron : float
        Zero point: sets the photon noise of the source itself.
    correction : float
        Aperture correction of PSF fluxes.

    Returns
    -------
    float
        Magnitude.

    Notes
    -----
    The quadratic of SMTN-002: signal/noise = F / sqrt(F z + N^2), with z the zero point and N^2 the noise
    of the sky in the effective area.
    """
    sky = pixel_variance * area * correction**2
    half = DEPTH_SIGNAL_TO_NOISE**2 * nano_jansky_per_electron * correction / 2
    flux = half + np.sqrt(half**2 + DEPTH_SIGNAL_TO_NOISE**2 * sky)
    return float(AB_ZERO_POINT - 2.5 * np.log10(flux))


def _sky_columns(wcs, x, y):
    """Centre, corners and rotation of the detector on the sky."""
    ra, dec = (float(c) for c in wcs.pixel_to_sky(x, y))
    corner_ra, corner_dec = wcs.corners()
    columns = {"ra": ra, "dec": dec}
    for k, corner in enumerate(("llc", "lrc", "urc", "ulc")):
        columns[f"{corner}ra"], columns[f"{corner}dec"] = float(corner_ra[k]), float(corner_dec[k])
    up = tan_project(*wcs.pixel_to_sky(x, y + 1), ra, dec)
    return columns | {"skyRotation": float(np.degrees(np.arctan2(up[0], up[1]))) % 360.0}


def _psf_star_columns(sources):
    """Residuals of the stars' moments from those of the PSF, over the stars that it was fitted to."""
    used = column(sources, "calib_psf_used")
    star, model = (
        _shape(*(column(sources, f"{name}{suffix}")[used] for name in ("ixx", "iyy", "ixy")))
        for suffix in ("", "PSF")
    )
    columns = {"nPsfStar": int(used.sum())}
    for k, name in enumerate(("E1", "E2", "Size")):
        difference = star[k] - model[k]
        difference = difference[np.isfinite(difference)]
        columns[f"psfStarDelta{name}Median"] = float(np.median(difference)) if len(difference) else np.nan
        columns[f"psfStarDelta{name}Scatter"] = mad_sigma(difference)
    return columns


def _colour_of_psf(colour):
    """Colour of a PSF's colour term, or why there is none; empty when none was asked for (str)."""
    if colour is None:
        return ""
    return colour.name if colour.image is not None else f"none: {colour.remark}"


def _shape(ixx, iyy, ixy):
    """Ellipticities e1, e2 and determinant radius of second moments; NaN where they are no ellipse."""
    determinant = ixx * iyy - ixy**2
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.where(determinant > 0, np.abs(determinant) ** 0.25, np.nan)
        return (ixx - iyy) / (ixx + iyy), 2 * ixy / (ixx + iyy), size


def _noise_columns(exposure, kernel, zero_point):
    """Sky, noise of a pixel, and depth; the variance is taken off the sources, whose photons count."""
    sample = (slice(None, None, SAMPLE_STEP), slice(None, None, SAMPLE_STEP))
    mask = exposure.pixels.mask[sample]
    variance = exposure.pixels.variance[sample]
    blank = (mask & (LOST_PLANES | bits("DETECTED", "EDGE"))) == 0
    if not blank.any():
        blank = np.ones_like(blank)
    pixel_variance = float(np.median(variance[blank]))
    ny, nx = exposure.pixels.shape
    correction = float(exposure.ap_corr.evaluate((nx - 1) / 2, (ny - 1) / 2))
    area = float(effective_area(kernel))
    return {
        "skyBg": float(np.median(exposure.background.image()[sample])),
        "skyNoise": float(np.sqrt(pixel_variance)),
        "magLim": limiting_magnitude(pixel_variance, area, zero_point, correction),
    }


def _zero_point_columns(fit):
    """Quality of the zero point; None was not fitted."""
    if fit is None:
        scatter, variation, varies = np.nan, np.nan, False
    else:
        scatter, variation, varies = fit.scatter_mag, fit.variation_mag, bool(fit.remark)
    return {"zeroPointScatter": scatter, "zeroPointVariation": variation, "zeroPointVaries": varies}


def _remark(exposure):
    """What a person should look at: a large part without use, a zero point that varies; empty when there is nothing."""
    pixels, fit = exposure.pixels, exposure.zero_point_fit
    remarks = [] if fit is None or not fit.remark else [fit.remark]
    lost = float(pixels.is_masked(LOST_PLANES).mean())
    if lost > LOSS_WORTH_A_REMARK:
        parts = ", ".join(f"{plane} {pixels.is_masked(bits(plane)).mean():.1%}" for plane in LOST)
        remarks.append(
            f"{lost:.1%} of the pixels are of no use ({parts}): a dead amplifier, or a very bright star?"
        )
    return "; ".join(remarks)


def _fit_columns(fit):
    """Quality of the WCS; the distance's mean and deviation follow from the scatter per axis. None was not fitted."""
    if fit is None:
        names = (
            *("astromOffsetMean", "astromOffsetStd", "astromRmsRa", "astromRmsDec"),
            *("wcsCornerError", "wcsHeaderError", "astromLogFalseAlarm"),
        )
        return {"nAstrometryStar": 0, **dict.fromkeys(names, np.nan)}
    sigma = np.hypot(fit.rms_x_arcsec, fit.rms_y_arcsec) / np.sqrt(2)
    return {
        "nAstrometryStar": int(fit.n_matched),
        "astromOffsetMean": float(sigma * RAYLEIGH_MEAN),
        "astromOffsetStd": float(sigma * RAYLEIGH_STD),
        "astromRmsRa": fit.rms_x_arcsec,
        "astromRmsDec": fit.rms_y_arcsec,
        "wcsCornerError": fit.corner_error_arcsec,
        "wcsHeaderError": fit.header_error_arcsec,
        "astromLogFalseAlarm": fit.log10_false_alarm,
    }
