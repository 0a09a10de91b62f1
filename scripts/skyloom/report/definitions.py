"""What each number of the report means: unit, bounds, requirement, and against what it was measured."""

from dataclasses import dataclass

import numpy as np

UZY = ("u", "z", "y")
"""Bands for which LPM-17 relaxes the photometric repeatability."""
UZY_FACTOR = 1.5
PAIR_ARCMIN = 5.0
OUTLIER_MMAG = 15.0
"""PA2 of LPM-17, design specification, in g, r and i."""
OUTLIER_MAS = 20.0
"""AD1 of LPM-17, design specification."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a metric means, whatever its value.

    Attributes
    ----------
    unit : str
        Unit of the value and its bounds.
    description : str
        One sentence.
    low, high : float
        Acceptable range of a simulated survey.
    basis : str
        ``truth`` or ``products``.
    design, minimum : float
        Specifications of the LSST Science Requirements Document (LPM-17) that the value must not exceed; NaN for none.
    is_relaxed_in_uzy : bool
        Whether the specifications are 1.5 times as large in u, z and y.
    """

    unit: str
    description: str
    low: float = -np.inf
    high: float = np.inf
    basis: str = "products"
    design: float = np.nan
    minimum: float = np.nan
    is_relaxed_in_uzy: bool = False

    def specification(self, name, band):
        """Return one specification in a band (float; NaN for none).

        Parameters
        ----------
        name : str
            design or minimum.
        band : str
            Band.
        """
        value = getattr(self, name)
        return value * UZY_FACTOR if self.is_relaxed_in_uzy and band in UZY else value


def _truth(unit, description, low=-np.inf, high=np.inf):
    """Definition of a metric that the simulator's truth gives."""
    return Definition(unit, description, low, high, "truth")


RUN = {
    "n_visit": Definition("", "Visits that were to be processed."),
    "n_detector": Definition("", "Detectors that were to be calibrated."),
    "n_failed": Definition("", "Detectors that could not be calibrated."),
    "n_survived": Definition("", "Detectors that nothing bad happened to, differences included."),
    "n_lost": Definition("", "Detectors that were lost for one reason."),
    "gap_median": Definition("s", "Median time between the exposures of a night, end to begin."),
    "gap_longest": Definition("s", "Longest time between the exposures of a night."),
}
VISITS = {
    "mjd": Definition("d", "Middle of the exposure (MJD TAI)."),
    "airmass": Definition("", "Airmass in the middle of the exposure."),
    "seeing": Definition("arcsec", "Median FWHM of the PSF."),
    "depth": Definition("mag", "Median 5-sigma AB depth of a point source in one visit."),
    "zero_point": Definition("mag", "Median AB magnitude of one electron."),
    "sky": Definition("mag/arcsec2", "Median AB surface brightness of the sky."),
    "sky_flux": Definition(
        "", "Mean PSF flux of the sky objects, where nothing was found, in its standard errors.", -3.0, 3.0
    ),
    "sky_chi2": Definition("", "Mean square of their PSF fluxes over the stated errors.", high=1.5),
    "wcs_scatter": Definition("mas", "Median scatter per axis of the stars that the WCS was fitted to."),
    "psf_ellipticity": Definition("", "Median ellipticity |e| of the PSF over the focal plane."),
    "psf_residual": Definition(
        "",
        "Median over the detectors of the length of the vector of the medians of e1 and e2, star minus PSF.",
    ),
}
CALIBRATIONS = {
    "calib_age": Definition("d", "Longest time between the calibration's frames and a visit that takes it."),
    "calib_n_frame": Definition("", "Frames that were combined."),
    "calib_level": Definition("", "Median pixel: electrons, electrons a second, or response."),
    "calib_scatter": Definition("", "Robust scatter of the pixels, in the unit of the level."),
    "calib_bad_fraction": Definition("", "Fraction of pixels that are not to be used."),
}
COADDS = {
    "coadd_depth": Definition("mag", "Median 5-sigma AB depth of a point source in the deep coadds."),
    "coadd_coverage": Definition("", "Fraction of the patches' pixels that hold data."),
    "coadd_n_visit": Definition("", "Median number of visits in a deep coadd."),
    "coadd_noise_ratio": Definition(
        "", "Pixel noise of blank sky in the deep coadds over the propagated one.", 0.95, 1.05
    ),
}
DIFFERENCES = {
    "diff_noise_ratio": Definition(
        "", "Pixel noise of blank sky in the differences over the propagated one.", 0.9, 1.1
    ),
    "n_difference": Definition("", "Differences that were made."),
    "n_dia_source": Definition("", "DIA sources on all differences."),
    "negative_fraction": Definition("", "Fraction of the DIA sources that are fainter than in the template."),
    "dipole_fraction": Definition("", "Fraction of the DIA sources that are dipoles."),
}
TRUTH = {
    "star_completeness": _truth("", "Fraction of the stars of S/N above 10 that are in src.", 0.95),
    "source_purity": _truth(
        "", "Fraction of the sources of S/N above 10 whose light is that of true objects.", 0.98
    ),
    "astrometric_residual_ra": _truth(
        "mas", "Median distance in right ascension of stars of S/N above 50 from truth.", high=10.0
    ),
    "astrometric_residual_dec": _truth(
        "mas", "Median distance in declination of stars of S/N above 50 from truth.", high=10.0
    ),
    "photometric_scatter": _truth(
        "mmag", "Robust scatter of the PSF fluxes of stars of S/N above 100 about truth.", high=20.0
    ),
    "zero_point_error": _truth(
        "", "Largest relative error of a detector's zero point (its stars of S/N above 50).", high=0.01
    ),
    "transient_completeness": _truth(
        "", "Fraction of the transients of S/N above 10 that are in dia_source.", 0.9
    ),
    "false_dia_sources": _truth(
        "", "DIA sources without a true transient or mover per 2048 x 2048 pixels.", high=15.0
    ),
}
REQUIREMENTS = {
    "PA1": Definition(
        "mmag",
        "Repeatability of bright stars: rms of their magnitudes about each star's mean over the visits.",
        design=5.0,
        minimum=8.0,
        is_relaxed_in_uzy=True,
    ),
    "PF1": Definition(
        "%",
        "Measurements of bright stars that lie more than PA2 from the star's mean: 15 mmag, 22.5 mmag in u, z, y.",
        design=10.0,
        minimum=20.0,
    ),
    "AM1": Definition(
        "mas",
        "Repeatability of the separation of pairs of stars 5 arcmin apart: rms about each pair's mean over the visits.",
        design=10.0,
        minimum=20.0,
    ),
    "AF1": Definition(
        "%",
        "Separations of such pairs that lie more than AD1 from the pair's mean: 20 mas.",
        design=10.0,
        minimum=20.0,
    ),
    "TE1": Definition(
        "",
        "Correlation of the residual PSF ellipticities of stars at most 1 arcmin apart: median over the visits.",
        design=2e-5,
        minimum=3e-5,
    ),
    "TE2": Definition(
        "",
        "Correlation of the residual PSF ellipticities of stars at least 5 arcmin apart: median over the visits.",
        design=1e-7,
        minimum=3e-7,
    ),
}
DEFINITIONS = RUN | VISITS | CALIBRATIONS | COADDS | DIFFERENCES | TRUTH | REQUIREMENTS
