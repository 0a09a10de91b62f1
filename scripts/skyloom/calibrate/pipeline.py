"""Calibrate one detector of one visit: electrons in, a calibrated exposure and its table of sources out."""

from dataclasses import replace

import numpy as np

from skyloom.calibrate.aperture_correction import fit_aperture_correction
from skyloom.calibrate.astrometry import SourcePositions, search_region, solve_astrometry
from skyloom.calibrate.detection_passes import final_pass, first_pass, second_pass
from skyloom.calibrate.flux_scale import (
    apply_aperture_correction,
    calibrate_fluxes,
    scale_background,
    scale_in_place,
    sky_columns,
)
from skyloom.calibrate.halos import mask_halos_in_place
from skyloom.calibrate.photometry import (
    NoGivenZeroPointError,
    PhotometricStars,
    ZeroPointResult,
    fit_zero_point,
)
from skyloom.calibrate.psf_stars import fit_psf_to_stars, refine_psf_of_stars, stars_of_given_psf
from skyloom.calibrate.sky_objects import append_sky_objects, measure_sky_objects
from skyloom.calibrate.sources import halo_flags, is_centred_on, is_good_star, measure_sources, source_table
from skyloom.calibrate.star_colours import star_colours
from skyloom.core import mask_planes
from skyloom.core.images import MaskedImage
from skyloom.core.psf_colour import in_colours, no_colour


def calibrate_image(exposure, references, predicted_wcs, settings, rng):
    """Calibrated exposure and sources of one detector.

    Parameters
    ----------
    exposure : Exposure
        After instrument signature removal [electron], sky included; its pixels are worked on in place. A PSF that it
        carries is used instead of one from its stars; its WCS and zero point are kept where the settings say ``given``.
    references : ReferenceStars or None
        Reference stars around the predicted place, in the exposure's band and at its epoch; None where WCS and zero
        point are given and there is no catalogue.
    predicted_wcs : Wcs
        From the camera and the commanded pointing, or the exposure's own.
    settings : dict
        Section ``calibrate`` of the configuration.
    rng : numpy.random.Generator
        Chooses the reserved PSF stars and the places of sky objects.

    Returns
    -------
    calexp : Exposure
        Background-subtracted image [nJy] with PSF, WCS, zero point, aperture correction and background.
    sources : pyarrow.Table
        Schema SOURCE, by falling significance; sky objects at the end.

    Raises
    ------
    NoSkyPixelsError, NoSourcesError, TooFewPsfStarsError, PsfFitFailedError
        If the pixels cannot be calibrated; see also `fit_astrometry` and `fit_zero_point`.
    NoGivenZeroPointError
        If the zero point is to be kept and the exposure has none.

    Notes
    -----
    Rubin's order of work (calibrateImage): background, cosmic rays, bright detections, PSF from stars, cosmic
    rays with that PSF, background below a mask of objects, detection at the final threshold, measurement,
    aperture correction, astrometry, photometry. We differ in that the second background is that of the image
    without its point sources, and that the PSF is fitted again above it, with a colour term if one is wanted.
    """
    shape = exposure.pixels.shape
    catalog = (references, predicted_wcs)
    pixels, (background, is_sky), stars, (known, colours) = _pixels_and_psf(exposure, catalog, settings, rng)
    detections, start, threshold = final_pass(pixels, stars.fit.psf, known, settings)
    psf = _psf_of_sources(stars.fit.psf, colours, detections)
    columns = measure_sources(pixels, psf, detections, settings["measurement"], start)
    inside = is_centred_on(columns, shape)
    detections, columns = detections.select(inside), {name: columns[name][inside] for name in columns}
    columns |= stars.flags(columns["x"], columns["y"])
    places = (is_sky, (known.x, known.y), detections)
    sky = measure_sky_objects(pixels, places, stars.fit.psf, settings, rng)
    detections, columns = append_sky_objects((detections, columns), sky)
    ap_corr = _aperture_correction(columns, shape, settings["measurement"])
    columns |= apply_aperture_correction(columns, ap_corr)
    astrometry = _astrometry(columns, references, predicted_wcs, exposure.info, settings)
    columns |= sky_columns(columns, astrometry.wcs)
    zero_point = _zero_point(columns, references, astrometry, exposure, settings)
    columns |= calibrate_fluxes(columns, background, zero_point.photo_calib)
    columns |= _calibration_flags(len(columns["x"]), astrometry, zero_point)
    scale_in_place(pixels, zero_point.photo_calib)
    if references is not None and settings["halos"]["enabled"]:
        places = astrometry.wcs.sky_to_pixel(references.ra, references.dec)
        mask_halos_in_place(pixels, (*places, references.flux), stars.fit.psf, settings["halos"])
    columns |= halo_flags(columns, pixels.mask)
    calexp = replace(
        exposure,
        pixels=pixels,
        background=scale_background(background, zero_point.photo_calib),
        psf=stars.fit.psf,
        wcs=astrometry.wcs,
        wcs_fit=astrometry.fit,
        zero_point_fit=zero_point.fit,
        photo_calib=zero_point.photo_calib,
        ap_corr=ap_corr,
        detection_threshold=threshold,
    )
    return calexp, source_table(columns, detections, exposure.info)


def reference_region(predicted_wcs, info, settings):
    """Circle on the sky that holds every reference star the detector may show.

    Parameters
    ----------
    predicted_wcs : Wcs
        From the camera and the commanded pointing.
    info : ExposureInfo
        Its pointing uncertainty counts.
    settings : dict
        Section ``calibrate.astrometry``: the limits of the search.

    Returns
    -------
    ra, dec, radius : float
        Centre of the detector and radius [degree].
    """
    return search_region(predicted_wcs, info.pointing_uncertainty, settings)


def mask_invalid_pixels(pixels):
    """Pixels with NaN, infinities and variances that are not positive masked NO_DATA.

    Parameters
    ----------
    pixels : MaskedImage
        Any image.

    Returns
    -------
    MaskedImage
        The same object when all is finite, else a copy with the median value and variance in those pixels.
    """
    valid = np.isfinite(pixels.image) & np.isfinite(pixels.variance) & (pixels.variance > 0)
    if valid.all():
        return pixels
    level, noise = (
        np.median(plane[valid]) if valid.any() else 1.0 for plane in (pixels.image, pixels.variance)
    )
    return MaskedImage(
        image=np.where(valid, pixels.image, level).astype(np.float32),
        mask=np.where(valid, pixels.mask, pixels.mask | mask_planes.NO_DATA).astype(np.uint32),
        variance=np.where(valid, pixels.variance, noise).astype(np.float32),
    )


def _pixels_and_psf(exposure, catalog, settings, rng):
    """Pixels without sky and rays, the sky and where it was measured, stars of the PSF, fitted peaks, and colours.

    What the first pass found is dropped before the PSF is fitted again: it holds planes as large as the detector.
    """
    first = first_pass(mask_invalid_pixels(exposure.pixels), settings)
    stars = _psf_stars(first, exposure.psf, settings["psf"], rng)
    second, points = second_pass(first, stars.fit.psf, settings)
    del first
    colours = star_colours(points, exposure, *catalog, settings) if settings["psf"]["colour_term"] else None
    if exposure.psf is None:
        stars = refine_psf_of_stars(stars, second.pixels, second.detections, points, settings["psf"], colours)
    if colours is not None and colours.remark:
        psf = replace(stars.fit.psf, colour=no_colour(colours.remark))
        stars = replace(stars, fit=replace(stars.fit, psf=psf))
    return second.pixels, (second.background, second.is_sky), stars, (points.peaks, colours)


def _psf_of_sources(psf, colours, detections):
    """PSF of the detections, each of its colour where it is a reference star of known colour."""
    return psf if colours is None else in_colours(psf, colours.at(detections.x, detections.y))


def _aperture_correction(columns, shape, settings):
    """Aperture correction from the PSF stars that are bright enough."""
    bright = columns["psfFlux"] > settings["aperture_correction_signal_to_noise"] * columns["psfFluxErr"]
    used = columns["calib_psf_candidate"] & bright & is_good_star(columns)
    flux = columns["psfFlux"][used]
    ratio, ratio_err = (columns[name][used] / flux for name in ("calibFlux", "calibFluxErr"))
    positions = (columns["x"][used], columns["y"][used])
    return fit_aperture_correction(positions, ratio, ratio_err, shape, settings)


def _psf_stars(first, given_psf, settings, rng):
    """PSF from the stars of the first pass, or the given one with the stars that would do for it."""
    if given_psf is None:
        return fit_psf_to_stars(first.pixels, first.detections, settings, rng)
    return stars_of_given_psf(first.pixels, first.detections, given_psf, settings)


def _astrometry(columns, references, predicted_wcs, info, settings):
    """WCS from the good stars, or the given one; its source indices are rows of the columns."""
    good = is_good_star(columns)
    good &= (
        columns["psfFlux"] > settings["measurement"]["calibration_signal_to_noise"] * columns["psfFluxErr"]
    )
    rows = np.flatnonzero(good)
    sources = SourcePositions(*(columns[name][rows] for name in ("x", "y", "xErr", "yErr", "psfFlux")))
    result = solve_astrometry(
        sources, references, predicted_wcs, info.pointing_uncertainty, settings["astrometry"]
    )
    return replace(result, source_index=rows[result.source_index])


def _zero_point(columns, references, astrometry, exposure, settings):
    """Zero point from the stars that the astrometry matched, or the exposure's own."""
    if settings["photometry"]["zero_point"] == "given":
        if exposure.photo_calib is None:
            raise NoGivenZeroPointError
        return ZeroPointResult(exposure.photo_calib, np.zeros(len(astrometry.source_index), dtype=bool), None)
    rows, reference_rows = astrometry.source_index, astrometry.reference_index
    measured = (columns[name][rows] for name in ("x", "y", "psfFlux", "psfFluxErr"))
    stars = PhotometricStars(*measured, references.flux[reference_rows], references.flux_err[reference_rows])
    return fit_zero_point(stars, exposure.pixels.shape, settings["photometry"])


def _calibration_flags(n_source, astrometry, zero_point):
    """Flags of the sources that calibrated position and flux."""
    flags = {
        name: np.zeros(n_source, dtype=bool) for name in ("calib_astrometry_used", "calib_photometry_used")
    }
    if astrometry.fit is not None:
        flags["calib_astrometry_used"][astrometry.source_index] = True
    flags["calib_photometry_used"][astrometry.source_index[zero_point.used]] = True
    return flags
