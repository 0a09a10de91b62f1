"""Columns of every table that Skyloom writes; names, units and types are Rubin's wherever published."""

from skyloom.core.tables import Column, TableSchema

COADD_INPUT = TableSchema(
    "coadd_input",
    (
        Column("visit", "int64", "", "Visit of the warp."),
        Column("detectors", "string", "", "Its detectors on the patch, separated by blanks."),
        Column("mjd", "float64", "d", "Mid-exposure (MJD TAI)."),
        Column("exposureTime", "float64", "s", "Open-shutter time."),
        Column(
            "weight",
            "float64",
            "nJy-2",
            "Weight of the warp in the mean: inverse of its clipped mean variance.",
        ),
        Column("psfSigma", "float64", "pixel", "PSF size (determinant radius), median over the cells."),
        Column("skyNoise", "float64", "nJy", "Root of the warp's clipped mean variance."),
        Column(
            "zeroOffset",
            "float64",
            "nJy",
            "Median of warp minus coadd on shared blank sky; told, not subtracted.",
        ),
        Column(
            "noiseCorrelation", "float64", "", "Noise power at zero frequency over the mean pixel variance."
        ),
        Column("coveredFraction", "float64", "", "Fraction of the patch that the warp covers."),
        Column("used", "bool", "", "False when a selection left it out."),
        Column("reason", "string", "", "Why it was left out."),
    ),
)


_APERTURES = ("03", "06", "09", "12", "17", "25", "35", "50", "70")


def _flux_columns(name, dtype, flux, error, flag):
    """Columns of a flux, its error and its flag, of which the last three arguments are the descriptions."""
    return (
        Column(name, dtype, "nJy", flux),
        Column(f"{name}Err", dtype, "nJy", error),
        Column(f"{name}_flag", "bool", "", flag),
    )


def _aperture_columns(prefix, dtype, remark, flag):
    """Columns of all apertures; `flag` is the description of a flag, with {} for the flux's name."""
    columns = []
    for radius in _APERTURES:
        name = f"{prefix}ap{radius}Flux"
        flux = f"Flux within {int(radius)} pixels{remark}."
        columns += _flux_columns(name, dtype, flux, f"Error of {name}.", flag.format(name))
    return columns


_SOURCE_FLAGS = {
    "bad": "a bad pixel lies in the source's core",
    "cr": "a cosmic ray lies in the source's core",
    "crCenter": "a cosmic ray lies in the central 3x3 pixels",
    "edge": "the source's core reaches over the edge",
    "halo": "stray light of a bright star lies in the source's core",
    "interpolated": "an interpolated pixel lies in the source's core",
    "interpolatedCenter": "an interpolated pixel lies in the central 3x3 pixels",
    "nodata": "a pixel without data lies in the source's core",
    "saturated": "a saturated pixel lies in the source's core",
    "saturatedCenter": "a saturated pixel lies in the central 3x3 pixels",
    "streak": "a trail lies in the source's core",
    "suspect": "a pixel of doubtful linearity lies in the source's core",
    "suspectCenter": "a pixel of doubtful linearity lies in the central 3x3 pixels",
}

SOURCE = TableSchema(
    "source",
    (
        Column("sourceId", "int64", "", "Identity: 31 bits visit, 9 detector, 23 running number."),
        Column("visit", "int64", "", "Visit."),
        Column("detector", "int32", "", "Detector."),
        Column("band", "string", "", "Band."),
        Column(
            "parentSourceId", "int64", "", "Brightest source of the same footprint; 0 for that one itself."
        ),
        Column("deblend_nChild", "int32", "", "Other sources in the footprint; 0 for all but the brightest."),
        Column("deblend_nPeaks", "int32", "", "Sources in the footprint, this one included."),
        Column("deblend_fluxFraction", "float32", "", "psfFlux over the sum of those in the footprint."),
        Column("footprintArea_value", "int32", "pixel", "Pixels of the footprint."),
        Column("blendedness_abs", "float64", "", "Part of the light below its PSF that is its neighbours'."),
        Column("blendedness_flag", "bool", "", "True where that is not known."),
        Column("ra", "float64", "deg", "Right ascension (ICRS)."),
        Column("dec", "float64", "deg", "Declination (ICRS)."),
        Column("raErr", "float32", "deg", "Error of ra times cos(dec), from the centroid alone."),
        Column("decErr", "float32", "deg", "Error of dec, from the centroid alone."),
        Column("ra_dec_Cov", "float32", "deg**2", "Covariance of ra times cos(dec) with dec."),
        Column("x", "float64", "pixel", "Column from the PSF fit, pixel centres at integers from 0."),
        Column("y", "float64", "pixel", "Row from the PSF fit, pixel centres at integers from 0."),
        Column("xErr", "float32", "pixel", "Error of x; NaN where the fit failed."),
        Column("yErr", "float32", "pixel", "Error of y; NaN where the fit failed."),
        Column("xyCov", "float32", "pixel**2", "Covariance of x and y."),
        Column("centroid_flag", "bool", "", "True where the fit failed and x, y are those of the peak."),
        Column("xWin", "float64", "pixel", "Column of the windowed centroid, other sources subtracted."),
        Column("yWin", "float64", "pixel", "Row of the windowed centroid."),
        Column("xWinErr", "float32", "pixel", "Error of xWin."),
        Column("yWinErr", "float32", "pixel", "Error of yWin."),
        Column("xyWinCov", "float32", "pixel**2", "Covariance of xWin and yWin."),
        Column(
            "centroidWin_flag", "bool", "", "True where it moved away or its window reaches over the edge."
        ),
        *_flux_columns(
            "psfFlux",
            "float64",
            "Flux of the fitted PSF, aperture-corrected, without what the free position adds.",
            "Error of psfFlux from photons and read noise.",
            "True where too few pixels below the PSF are usable.",
        ),
        Column("psfFlux_flag_edge", "bool", "", "True where the PSF's image reaches over the edge."),
        Column("psfFlux_flag_noGoodPixels", "bool", "", "True where no pixel below the PSF is usable."),
        Column("invalidPsfFlag", "bool", "", "True where the PSF has no moments."),
        Column("psfFlux_area", "float32", "pixel", "Noise-equivalent area of the PSF, 1 / sum(p^2)."),
        Column("psfFlux_apCorr", "float64", "", "Aperture correction that was applied to psfFlux."),
        Column("psfFlux_apCorrErr", "float64", "", "Error of the aperture correction, not in psfFluxErr."),
        Column("psfFlux_chi2", "float32", "", "Chi squared of the PSF fit in the PSF's stamp."),
        Column("psfFlux_npix", "float32", "", "Usable pixels of the PSF fit."),
        *_flux_columns(
            "uniformPsfFlux",
            "float64",
            "PSF flux with one weight for all pixels, as Rubin's psfFlux; corrected as psfFlux.",
            "Error of uniformPsfFlux.",
            "True where psfFlux is flagged or there is none.",
        ),
        *_flux_columns(
            "gaussianFlux",
            "float64",
            "Flux of the Gaussian with the source's moments, corrected such that a star's is psfFlux.",
            "Error of gaussianFlux.",
            "True where the moments failed.",
        ),
        *_flux_columns(
            "kronFlux",
            "float64",
            "Flux within an ellipse of 2.5 kronRad, other sources subtracted; NaN over an edge.",
            "Error of kronFlux.",
            "True where there is none or kronRad had to be set to a limit.",
        ),
        Column("kronRad", "float32", "pixel", "Kron radius, sqrt(a b) of its ellipse."),
        Column(
            "calibFlux",
            "float64",
            "nJy",
            "Flux within the aperture that psfFlux is corrected to, less its neighbours'.",
        ),
        Column("calibFluxErr", "float64", "nJy", "Error of calibFlux."),
        *_aperture_columns("", "float64", "; NaN over an edge", "True where {} could not be measured."),
        *(
            Column(f"{name}{suffix}", "float64", "pixel**2", f"Adaptive second moment {axes} of {of}.")
            for suffix, of in (("", "the source"), ("PSF", "the PSF at the source"))
            for name, axes in (("ixx", "x x"), ("iyy", "y y"), ("ixy", "x y"))
        ),
        Column("i_flag", "bool", "", "True where the moments failed."),
        Column("extendedness", "float64", "", "1 for a source larger than the PSF, 0 for the others."),
        Column("extendedness_flag", "bool", "", "True where there is no shape to tell."),
        Column("sizeExtendedness", "float64", "", "((T - T_psf) / T_psf^0.5)^2 with T = ixx + iyy."),
        Column("sizeExtendedness_flag", "bool", "", "True where there is none."),
        Column("sky", "float64", "nJy", "Background that was subtracted, per pixel."),
        Column(
            "skyErr", "float64", "nJy", "Standard error of the sky in a ring of 7 to 15 sigma of the PSF."
        ),
        Column("localBackground", "float64", "nJy", "Mean of that ring after the subtraction, per pixel."),
        Column("localBackground_flag", "bool", "", "True where the ring has no usable pixels."),
        Column(
            "variance_value", "float64", "nJy**2", "Variance of a pixel there without the source's photons."
        ),
        Column("detectionSignificance", "float32", "", "Matched-filter signal to noise of the peak."),
        *(
            Column(f"pixelFlags_{name}", "bool", "", f"True where {what}.")
            for name, what in _SOURCE_FLAGS.items()
        ),
        Column("calib_psf_candidate", "bool", "", "Chosen as a PSF star."),
        Column("calib_psf_used", "bool", "", "The PSF was fitted to it."),
        Column("calib_psf_reserved", "bool", "", "Kept out of the PSF fit to test it."),
        Column("calib_astrometry_used", "bool", "", "The WCS was fitted to it."),
        Column("calib_photometry_used", "bool", "", "The zero point was fitted to it."),
        Column("sky_source", "bool", "", "No source: a place without any, measured to test the background."),
    ),
)

_OBJECT_COLUMNS = (
    Column("objectId", "int64", "", "Identity: 20 bits tract, 14 patch, 29 running number."),
    Column("tract", "int64", "", "Tract."),
    Column("patch", "int64", "", "Number of the patch in its tract."),
    Column("patchName", "string", "", "The patch as x_y, the form of file names."),
    Column("coord_ra", "float64", "deg", "Right ascension (ICRS)."),
    Column("coord_dec", "float64", "deg", "Declination (ICRS)."),
    Column("coord_raErr", "float32", "deg", "Error of coord_ra times cos(dec), from the centroid alone."),
    Column("coord_decErr", "float32", "deg", "Error of coord_dec, from the centroid alone."),
    Column("coord_ra_dec_Cov", "float32", "deg**2", "Covariance of both."),
    Column("x", "float64", "pixel", "Column in the patch, PSF fit in refBand."),
    Column("y", "float64", "pixel", "Row in the patch, PSF fit in refBand."),
    Column("xErr", "float32", "pixel", "Error of x; NaN where the fit failed."),
    Column("yErr", "float32", "pixel", "Error of y; NaN where the fit failed."),
    Column("xy_flag", "bool", "", "True where the fit failed and x, y are those of the peak."),
    Column("refBand", "string", "", "Band whose coadd gave the position."),
    Column("refExtendedness", "float32", "", "Extendedness in refBand."),
    Column("refSizeExtendedness", "float32", "", "sizeExtendedness in refBand."),
    Column("shape_xx", "float32", "pixel**2", "Adaptive moment xx in refBand."),
    Column("shape_yy", "float32", "pixel**2", "Adaptive moment yy in refBand."),
    Column("shape_xy", "float32", "pixel**2", "Adaptive moment xy in refBand."),
    Column("footprintArea", "int32", "pixel", "Pixels of the footprint in the band that found it first."),
    Column("deblend_nPeaks", "int32", "", "Peaks in that footprint."),
    Column("detect_fromBlend", "bool", "", "The footprint has more than one peak."),
    Column("detect_isIsolated", "bool", "", "The footprint has one peak."),
    Column("detect_isPrimary", "bool", "", "In the inner region of patch and tract: true in this table."),
)

_OBJECT_PLANES = {
    "bad": "A defect was used for want of better",
    "clipped": "An artifact was clipped",
    "cr": "A cosmic ray was used for want of better",
    "edge": "The image ends",
    "inexact_psf": "The PSF changes",
    "interpolated": "An interpolated pixel was used",
    "nodata": "Data are missing",
    "saturated": "More than a tenth of the weight is saturated",
    "sensor_edge": "A detector ends",
    "suspect": "A nearly saturated pixel was used",
}
_OBJECT_PLANES_OF_CENTRE = (
    "clipped",
    "cr",
    "inexact_psf",
    "interpolated",
    "saturated",
    "sensor_edge",
    "suspect",
)


def _object_flag_columns(band):
    """Columns of one band's flags: every plane around the object, and some of them in its middle."""
    columns = []
    for plane, text in _OBJECT_PLANES.items():
        name = f"{band}_pixelFlags_{plane}"
        columns.append(Column(name, "bool", "", f"{text} within 2 sigma of the PSF, {band} band."))
        if plane in _OBJECT_PLANES_OF_CENTRE:
            text = f"{text} in the central 3x3 pixels, {band} band."
            columns.append(Column(f"{name}Center", "bool", "", text))
    return columns


def _object_band_columns(band):
    """Columns of one band of the object table."""
    return (
        *_flux_columns(
            f"{band}_psfFlux",
            "float32",
            f"PSF flux at the object's position, corrected, {band} band.",
            f"Error of {band}_psfFlux with the noise's correlation.",
            "True where too few pixels below the PSF are usable.",
        ),
        Column(f"{band}_psfFlux_area", "float32", "pixel", "Noise-equivalent area of the PSF, 1 / sum(p^2)."),
        *_aperture_columns(
            f"{band}_", "float32", f", {band} band", "True where the aperture is not all on data."
        ),
        *(
            Column(
                f"{band}_{name}{suffix}",
                "float32",
                "pixel**2",
                f"Adaptive moment {name[1:]}{of}, {band} band.",
            )
            for suffix, of in (("", ""), ("PSF", " of the PSF"))
            for name in ("ixx", "iyy", "ixy")
        ),
        Column(f"{band}_i_flag", "bool", "", f"True where the moments failed, {band} band."),
        Column(f"{band}_extendedness", "float32", "", f"1 when larger than the PSF, else 0, {band} band."),
        Column(f"{band}_sizeExtendedness", "float32", "", "((T - T_psf) / T_psf^0.5)^2 with T = ixx + iyy."),
        Column(f"{band}_epoch", "float64", "d", f"Mean epoch of the coadd (MJD TAI), {band} band."),
        *_object_flag_columns(band),
    )


def object_schema(bands):
    """Schema of the object table.

    Parameters
    ----------
    bands : sequence of str
        Bands of the survey; each has the same columns, prefixed by its name.

    Returns
    -------
    TableSchema
        The schema.
    """
    by_band = [column for band in bands for column in _object_band_columns(band)]
    return TableSchema("object", (*_OBJECT_COLUMNS, *by_band))


VISIT_SUMMARY = TableSchema(
    "visit_summary",
    (
        Column("visit", "int64", "", "Visit (Rubin's visitId)."),
        Column("detector", "int32", "", "Detector."),
        Column("band", "string", "", "Band."),
        Column("status", "string", "", "OK, or FAILED when the detector could not be calibrated."),
        Column("reason", "string", "", "Class of the error that stopped it; empty when OK."),
        Column("message", "string", "", "The error's message; empty when OK."),
        Column(
            "remark", "string", "", "What a person should look at although the detector is OK; else empty."
        ),
        Column("expMidptMJD", "float64", "d", "Mid-exposure (MJD TAI)."),
        Column("expTime", "float64", "s", "Exposure time."),
        Column("airmass", "float64", "", "Airmass at mid-exposure."),
        Column("xSize", "int64", "pixel", "Columns of the image; 0 when FAILED."),
        Column("ySize", "int64", "pixel", "Rows of the image; 0 when FAILED."),
        Column("ra", "float64", "deg", "Right ascension of the detector's centre (ICRS)."),
        Column("dec", "float64", "deg", "Declination of the detector's centre (ICRS)."),
        *(
            Column(f"{corner}{axis}", "float64", "deg", f"{name} of the {where} corner (ICRS).")
            for corner, where in (
                ("llc", "lower left"),
                ("ulc", "upper left"),
                ("urc", "upper right"),
                ("lrc", "lower right"),
            )
            for axis, name in (("ra", "Right ascension"), ("dec", "Declination"))
        ),
        Column("pixelScale", "float32", "arcsec/pixel", "Side of a pixel at the detector's centre."),
        Column("skyRotation", "float64", "deg", "Position angle of the detector's +y axis, East of North."),
        Column("psfSigma", "float32", "pixel", "Determinant radius of the PSF at the detector's centre."),
        Column("seeing", "float64", "arcsec", "FWHM of the Gaussian of that size at the detector's centre."),
        Column("psfArea", "float64", "pixel**2", "Effective area of the PSF at the centre, 1 / sum(p^2)."),
        Column("nPsfStar", "int32", "", "Stars that the PSF was fitted to."),
        Column("psfStarDeltaE1Median", "float64", "", "Median of star - PSF in e1 over the PSF stars."),
        Column("psfStarDeltaE2Median", "float64", "", "Median of star - PSF in e2 over the PSF stars."),
        Column("psfStarDeltaE1Scatter", "float64", "", "Robust scatter of star - PSF in e1."),
        Column("psfStarDeltaE2Scatter", "float64", "", "Robust scatter of star - PSF in e2."),
        Column("psfStarDeltaSizeMedian", "float64", "pixel", "Median of star - PSF in determinant radius."),
        Column("psfStarDeltaSizeScatter", "float64", "pixel", "Robust scatter of star - PSF in that radius."),
        Column(
            "psfColour",
            "string",
            "",
            "Colour that the PSF depends on, or why none; empty when not asked for.",
        ),
        Column(
            "psfSizeColourSlope", "float64", "1/mag", "Relative change of the PSF's T with it; NaN without."
        ),
        Column("skyBg", "float32", "nJy", "Median background of a pixel (Rubin: adu)."),
        Column("skyNoise", "float32", "nJy", "Root of the median variance of a pixel (Rubin: adu)."),
        Column("zeroPoint", "float32", "mag", "AB magnitude of 1 electron in the exposure, at the centre."),
        Column("zeroPointErr", "float32", "mag", "Standard error of zeroPoint."),
        Column("zeroPointScatter", "float64", "mag", "Scatter of the stars about the zero point."),
        Column(
            "zeroPointVariation", "float64", "mag", "Range of the zero point over the detector beyond chance."
        ),
        Column(
            "zeroPointVaries",
            "bool",
            "",
            "The zero point varies more than expected: clouds, or a wrong flat.",
        ),
        Column("magLim", "float64", "mag", "5-sigma AB magnitude of a point source at the centre."),
        Column(
            "detectionThreshold",
            "float64",
            "sigma",
            "Significance by the variance plane that a source needed, mean over the detector.",
        ),
        Column("nPhotometryStar", "int32", "", "Stars that the zero point was fitted to."),
        Column("nAstrometryStar", "int32", "", "Stars that the WCS was fitted to."),
        Column("astromOffsetMean", "float64", "arcsec", "Mean distance of those stars from the reference."),
        Column("astromOffsetStd", "float64", "arcsec", "Standard deviation of that distance."),
        Column("astromRmsRa", "float64", "arcsec", "Scatter of those stars from the reference, East."),
        Column("astromRmsDec", "float64", "arcsec", "Scatter of those stars from the reference, North."),
        Column("wcsCornerError", "float64", "arcsec", "Predicted WCS error at the worst corner, per axis."),
        Column("wcsHeaderError", "float64", "arcsec", "Largest distance of the TPV header from the fit."),
        Column("astromLogFalseAlarm", "float64", "", "log10 of the probability of a chance match."),
        Column("nSource", "int32", "", "Sources in the source table, sky objects left out."),
        Column("maskedFraction", "float64", "", "Fraction of pixels that are BAD, SAT, CR or without data."),
    ),
)

_DIA_FLAGS = {
    "bad": "a defect",
    "cr": "a cosmic ray",
    "crCenter": "a cosmic ray in the central 3x3 pixels",
    "edge": "the image's edge",
    "nodata": "a pixel without data",
    "nodataCenter": "a pixel without data in the central 3x3 pixels",
    "interpolated": "an interpolated pixel",
    "interpolatedCenter": "an interpolated pixel in the central 3x3 pixels",
    "saturated": "a saturated pixel",
    "saturatedCenter": "a saturated pixel in the central 3x3 pixels",
    "suspect": "a pixel near full well",
    "suspectCenter": "a pixel near full well in the central 3x3 pixels",
    "streak": "a trail",
    "streakCenter": "a trail in the central 3x3 pixels",
    "halo": "stray light of a bright star",
    "injected": "an injected source",
    "injectedCenter": "an injected source in the central 3x3 pixels",
    "sat_template": "a pixel saturated in the template",
    "sat_templateCenter": "a pixel saturated in the template in the central 3x3 pixels",
    "high_variance": "a pixel where the template is noisy",
    "inexact_psf": "a pixel where the template's PSF changes abruptly",
}

DIA_SOURCE = TableSchema(
    "dia_source",
    (
        Column("diaSourceId", "int64", "", "Identity: 31 bits visit, 9 detector, 23 running number."),
        Column("visit", "int64", "", "Visit."),
        Column("detector", "int32", "", "Detector."),
        Column("diaObjectId", "int64", "", "DIA object it belongs to; 0: see the table dia_match."),
        Column("band", "string", "", "Band."),
        Column("midpointMjdTai", "float64", "d", "Mid-exposure (MJD TAI)."),
        Column("exposureTime", "float32", "s", "Open-shutter time."),
        Column("ra", "float64", "deg", "Right ascension (ICRS)."),
        Column("raErr", "float32", "deg", "Error of ra itself, not times cos(dec)."),
        Column("dec", "float64", "deg", "Declination (ICRS)."),
        Column("decErr", "float32", "deg", "Error of dec."),
        Column("ra_dec_Cov", "float32", "deg**2", "Covariance of ra cos(dec) and dec."),
        Column("x", "float32", "pixel", "Column, PSF fit, pixel centres at integers from 0."),
        Column("xErr", "float32", "pixel", "Error of x; NaN where the fit failed."),
        Column("y", "float32", "pixel", "Row, PSF fit, pixel centres at integers from 0."),
        Column("yErr", "float32", "pixel", "Error of y; NaN where the fit failed."),
        Column("centroid_flag", "bool", "", "True where the position is that of the peak."),
        Column("isNegative", "bool", "", "The source is fainter than in the template."),
        Column(
            "snr", "float32", "", "Signal to noise of the detection, static sources counted in the noise."
        ),
        Column("psfFlux", "float32", "nJy", "PSF flux on the difference."),
        Column(
            "psfFluxErr",
            "float32",
            "nJy",
            "Its error, that of imperfect matching of static sources included.",
        ),
        Column("psfChi2", "float32", "", "Chi-squared of the PSF fit within three PSF sizes."),
        Column("psfNdata", "int32", "", "Pixels in psfChi2."),
        Column("psfFlux_flag", "bool", "", "The fit failed."),
        Column("apFlux", "float32", "nJy", "Flux within 12 pixels; NaN at edges."),
        Column("apFluxErr", "float32", "nJy", "Its error."),
        Column("apFlux_flag", "bool", "", "The aperture reaches over an edge."),
        Column("scienceFlux", "float32", "nJy", "Forced PSF flux on the science image."),
        Column("scienceFluxErr", "float32", "nJy", "Its error."),
        Column("templateFlux", "float32", "nJy", "Forced PSF flux on the matched template."),
        Column(
            "templateFluxErr", "float32", "nJy", "Its error: the template's part of the difference's noise."
        ),
        Column("ixx", "float32", "arcsec**2", "Adaptive moment along x; NaN where the iteration failed."),
        Column("iyy", "float32", "arcsec**2", "Adaptive moment along y."),
        Column("ixy", "float32", "arcsec**2", "Mixed adaptive moment."),
        Column("ixxPSF", "float32", "arcsec**2", "The PSF's moment along x."),
        Column("iyyPSF", "float32", "arcsec**2", "The PSF's moment along y."),
        Column("ixyPSF", "float32", "arcsec**2", "The PSF's mixed moment."),
        Column("shape_flag", "bool", "", "The moments failed."),
        Column("extendedness", "float32", "", "1 when larger than the PSF, else 0; NaN unknown."),
        Column("isDipole", "bool", "", "Two lobes of opposite sign and nearly the same flux."),
        Column("dipoleFitAttempted", "bool", "", "A lobe of opposite sign is near."),
        Column("dipoleMeanFlux", "float32", "nJy", "Mean absolute flux of the lobes; NaN without a fit."),
        Column("dipoleMeanFluxErr", "float32", "nJy", "Its error."),
        Column("dipoleFluxDiff", "float32", "nJy", "Difference of the lobes' absolute fluxes."),
        Column("dipoleFluxDiffErr", "float32", "nJy", "Its error."),
        Column("dipoleLength", "float32", "arcsec", "Separation of the lobes."),
        Column(
            "dipoleAngle", "float32", "deg", "Position angle, East of North, from negative to positive lobe."
        ),
        Column("dipoleChi2", "float32", "", "Chi-squared of the dipole fit."),
        Column("dipoleNdata", "int32", "", "Pixels in dipoleChi2."),
        Column("reliability", "float32", "", "Probability of being astrophysical; NaN: no model was run."),
        *(
            Column(f"pixelFlags_{name}", "bool", "", f"Below the source is {what}.")
            for name, what in _DIA_FLAGS.items()
        ),
    ),
)

DIA_MATCH = TableSchema(
    "dia_match",
    (
        Column("diaSourceId", "int64", "", "DIA source."),
        Column("diaObjectId", "int64", "", "DIA object that it belongs to."),
        Column("visit", "int64", "", "Visit of the source."),
        Column("detector", "int32", "", "Detector of the source."),
        Column("band", "string", "", "Band of the source."),
        Column("midpointMjdTai", "float64", "d", "Mid-exposure of the source (MJD TAI)."),
        Column("separation", "float32", "arcsec", "Distance of the source from the object's mean position."),
    ),
)


_DIA_OBJECT_COLUMNS = (
    Column("diaObjectId", "int64", "", "Identity: 20 bits tract, 14 of ones, 29 running number."),
    Column("tract", "int64", "", "Tract whose inner region holds the object."),
    Column("ra", "float64", "deg", "Weighted mean right ascension (ICRS)."),
    Column("raErr", "float32", "deg", "Error of ra times cos(dec)."),
    Column("dec", "float64", "deg", "Weighted mean declination (ICRS)."),
    Column("decErr", "float32", "deg", "Error of dec."),
    Column("nDiaSources", "int32", "", "Number of its DIA sources."),
    Column("firstDiaSourceMjdTai", "float64", "d", "Time of the first one (MJD TAI)."),
    Column("lastDiaSourceMjdTai", "float64", "d", "Time of the last one (MJD TAI)."),
)


def _dia_object_band_columns(band):
    """Columns of one band of a DIA object."""
    return (
        Column(
            f"{band}_psfFluxMean",
            "float32",
            "nJy",
            f"Weighted mean of psfFlux; NaN without a source in {band}.",
        ),
        Column(f"{band}_psfFluxMeanErr", "float32", "nJy", f"Error of {band}_psfFluxMean."),
        Column(
            f"{band}_psfFluxSigma", "float32", "nJy", "Standard deviation of psfFlux; NaN below two sources."
        ),
        Column(f"{band}_psfFluxNdata", "int32", "", f"Number of sources in {band}."),
        Column(f"{band}_psfFluxMin", "float32", "nJy", "Least psfFlux."),
        Column(f"{band}_psfFluxMax", "float32", "nJy", "Largest psfFlux."),
        Column(f"{band}_psfFluxErrMean", "float32", "nJy", "Mean of psfFluxErr."),
        Column(
            f"{band}_scienceFluxMean",
            "float32",
            "nJy",
            "Weighted mean of scienceFlux; NaN without one.",
        ),
        Column(f"{band}_scienceFluxMeanErr", "float32", "nJy", f"Error of {band}_scienceFluxMean."),
    )


def dia_object_schema(bands):
    """Schema of the DIA object table.

    Parameters
    ----------
    bands : sequence of str
        Bands of the survey; each has the same columns, prefixed by its name.

    Returns
    -------
    TableSchema
        The schema.
    """
    by_band = [column for band in bands for column in _dia_object_band_columns(band)]
    return TableSchema("dia_object", (*_DIA_OBJECT_COLUMNS, *by_band))
