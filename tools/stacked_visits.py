"""What the calibration of single visits leaves, all visits of a run together: in PSF, fluxes and positions."""

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skyloom.algorithms.matching import match_nearest
from skyloom.algorithms.photometry import point_source_image
from skyloom.core.errors import UpstreamFailure
from skyloom.core.photo_calib import AB_ZERO_POINT
from skyloom.core.splines import shift_stamps
from skyloom.core.tables import column, without_sky_objects
from skyloom.core.wcs import tan_project
from skyloom.io.exposures import read_exposure
from skyloom.io.reference import read_reference_catalog
from skyloom.io.tables import read_table
from skyloom.io.yaml_files import load_yaml
from skyloom.workflow.config import fill_defaults, load_schema
from skyloom.workflow.paths import product_path

ROOT = Path(__file__).parents[1]
HALF = 10
"""Half of a stamp's side [pixel]."""
MATCH_ARCSEC = 0.5
MIN_SIGNAL_TO_NOISE = 10.0
MIN_SIGNAL_TO_NOISE_PSF = 100.0


class PsfStars(NamedTuple):
    """Bright stars that the PSFs of all visits were made from, or tested by.

    Attributes
    ----------
    detector : ndarray, shape (n,), int
        Where they are.
    x, y : ndarray, shape (n,), float64
        Position [pixel].
    star, psf : ndarray, shape (n,), complex128
        Ellipticity (Ixx - Iyy + 2 i Ixy) / (Ixx + Iyy) of the star and of the model at it.
    size : ndarray, shape (n,), float64
        Trace of the star's second moments over that of the model, minus 1.
    stamps, residuals : ndarray, shape (n, k, k), float64
        Pixels, and pixels minus model, over the star's flux, the star moved into the middle pixel.
    """

    detector: np.ndarray
    x: np.ndarray
    y: np.ndarray
    star: np.ndarray
    psf: np.ndarray
    size: np.ndarray
    stamps: np.ndarray
    residuals: np.ndarray


class ReferencePairs(NamedTuple):
    """Point sources of all visits beside their reference stars.

    Attributes
    ----------
    detector : ndarray, shape (n,), int
        Where they are.
    x, y : ndarray, shape (n,), float64
        Position [pixel].
    magnitude : ndarray, shape (n,), float64
        Of the reference star [mag AB].
    flux : ndarray, shape (n,), float64
        Magnitude of the reference star minus that of the source [mmag].
    along_x, along_y : ndarray, shape (n,), float64
        Source minus reference star along the detector's axes [mas].
    """

    detector: np.ndarray
    x: np.ndarray
    y: np.ndarray
    magnitude: np.ndarray
    flux: np.ndarray
    along_x: np.ndarray
    along_y: np.ndarray


@functools.cache
def psf_stars(results):
    """Stars of the PSFs of all visits of a run.

    Parameters
    ----------
    results : Path
        Output root.

    Returns
    -------
    PsfStars
        One visit after the other.
    """
    return _joined([psf_stars_of(*visit) for visit in _visits(results)])


@functools.cache
def reference_pairs(results):
    """Point sources of all visits of a run beside their reference stars.

    Parameters
    ----------
    results : Path
        Output root of the demo survey.

    Returns
    -------
    ReferencePairs
        One visit after the other.
    """
    schema, survey = load_schema(ROOT / "config" / "schema"), load_yaml(ROOT / "config" / "config.yaml")
    settings = fill_defaults(schema, survey)["reference"]
    pairs = []
    for calexp, src in _visits(results):
        info = calexp.info
        path = product_path(results, "reference")
        stars = read_reference_catalog(path, settings, info.band, _circle(calexp), info.mjd)
        pairs.append(reference_pairs_of(calexp, src, stars))
    return _joined(pairs)


def psf_stars_of(calexp, src):
    """Stars of the PSF of one detector.

    Parameters
    ----------
    calexp : Exposure
        The detector.
    src : pyarrow.Table
        Its sources.

    Returns
    -------
    PsfStars
        Those above S/N 100 with a shape whose stamps lie on the detector; other point sources are subtracted from the
        stamps.
    """
    ny, nx = calexp.pixels.shape
    x, y = column(src, "x"), column(src, "y")
    flux = np.where(_is_point(src), column(src, "psfFlux") / column(src, "psfFlux_apCorr"), np.nan)
    rest = calexp.pixels.image - point_source_image((ny, nx), calexp.psf, x, y, flux)
    chosen = column(src, "calib_psf_candidate") & ~column(src, "i_flag") & np.isfinite(flux)
    chosen &= column(src, "psfFlux") > MIN_SIGNAL_TO_NOISE_PSF * column(src, "psfFluxErr")
    chosen &= (np.minimum(x, nx - 1 - x) > HALF + 1) & (np.minimum(y, ny - 1 - y) > HALF + 1)
    x, y, flux = x[chosen], y[chosen], flux[chosen]
    row, column_ = np.rint(y).astype(int), np.rint(x).astype(int)
    offset = np.arange(-HALF, HALF + 1)
    stamps = rest[(row[:, None] + offset)[:, :, None], (column_[:, None] + offset)[:, None, :]]
    residuals = shift_stamps(stamps / flux[:, None, None], column_ - x, row - y)
    middle = calexp.psf.size // 2
    model = calexp.psf.kernels_at(x, y)[
        :, middle - HALF : middle + HALF + 1, middle - HALF : middle + HALF + 1
    ]
    moments = [[column(src, f"{name}{of}")[chosen] for name in ("ixx", "iyy", "ixy")] for of in ("", "PSF")]
    star, psf = ((ixx - iyy + 2j * ixy) / (ixx + iyy) for ixx, iyy, ixy in moments)
    size = (moments[0][0] + moments[0][1]) / (moments[1][0] + moments[1][1]) - 1
    detector = np.full(len(x), calexp.info.detector)
    return PsfStars(detector, x, y, star, psf, size, residuals + model, residuals)


def reference_pairs_of(calexp, src, stars):
    """Point sources of one detector beside their reference stars.

    Parameters
    ----------
    calexp : Exposure
        The detector.
    src : pyarrow.Table
        Its sources.
    stars : ReferenceStars
        At the visit's epoch and in its band.

    Returns
    -------
    ReferencePairs
        Point sources above S/N 10 that have a reference star within half an arcsec.
    """
    good = _is_point(src) & (column(src, "psfFlux") > MIN_SIGNAL_TO_NOISE * column(src, "psfFluxErr"))
    x, y, flux = (column(src, name)[good] for name in ("x", "y", "psfFlux"))
    star_x, star_y = calexp.wcs.sky_to_pixel(stars.ra, stars.dec)
    scale = 3.6e6 * np.sqrt(abs(np.linalg.det(calexp.wcs.jacobian(x, y).mean(axis=-1))))
    own, other, _ = match_nearest(x, y, star_x, star_y, 1e3 * MATCH_ARCSEC / scale)
    own, other = (index[stars.flux[other] > 0] for index in (own, other))
    detector = np.full(len(own), calexp.info.detector)
    return ReferencePairs(
        *(detector, x[own], y[own]),
        magnitude=AB_ZERO_POINT - 2.5 * np.log10(stars.flux[other]),
        flux=2500 * np.log10(flux[own] / stars.flux[other]),
        along_x=scale * (x[own] - star_x[other]),
        along_y=scale * (y[own] - star_y[other]),
    )


def _is_point(src):
    """Sources that are points and were fitted without a spoilt pixel."""
    flagged = np.logical_or.reduce(
        [column(src, name) for name in ("psfFlux_flag", "centroid_flag", "pixelFlags_saturated")]
    )
    return (column(src, "extendedness") == 0) & ~flagged & (column(src, "psfFlux") > 0)


def _visits(results):
    """Calexp and sources of every detector that was calibrated."""
    for path in sorted(results.glob("calexp/*/*.fits")):
        try:
            calexp = read_exposure(path)
        except UpstreamFailure:
            continue
        place = {"visit": calexp.info.visit, "detector": calexp.info.detector}
        yield calexp, without_sky_objects(read_table(product_path(results, "src", **place)))


def _circle(calexp):
    """Right ascension, declination and radius of the detector on the sky [degree]."""
    ny, nx = calexp.pixels.shape
    centre = tuple(float(c) for c in calexp.wcs.pixel_to_sky((nx - 1) / 2, (ny - 1) / 2))
    return *centre, float(np.hypot(*tan_project(*calexp.wcs.pixel_to_sky(0.0, 0.0), *centre)))


def _joined(parts):
    """All parts of one kind in one."""
    return type(parts[0])(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
