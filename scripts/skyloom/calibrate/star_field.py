"""What an astrometric fit starts from: usable sources, references within reach, the detector's geometry."""

from dataclasses import dataclass

import numpy as np

from skyloom.core.errors import DataError, ImageShapeError
from skyloom.core.reference import ReferenceStars
from skyloom.core.wcs import tan_project

ARCSEC = 3600.0


class TooFewAstrometricSourcesError(DataError):
    """The detector shows too few sources to be matched with anything.

    Parameters
    ----------
    n_source, n_needed : int
        Sources with finite position and positive flux, and how many are needed.
    """

    def __init__(self, n_source, n_needed):
        super().__init__(
            f"{n_source} sources with finite position and positive flux, need {n_needed}: "
            "look at the image (shutter, clouds, twilight) and at calibrate.detection"
        )
        self.n_source, self.n_needed = n_source, n_needed


class TooFewReferenceStarsError(DataError):
    """The reference catalogue has too few stars where the detector should be.

    Parameters
    ----------
    n_reference, n_needed : int
        References within reach, and how many are needed.
    region : tuple of float
        (ra, dec, radius) of the circle that was searched [degree].
    """

    def __init__(self, n_reference, n_needed, region):
        ra, dec, radius = region
        super().__init__(
            f"{n_reference} reference stars within {radius * ARCSEC:.0f} arcsec of ra {ra:.5f}, "
            f"dec {dec:.5f}, need {n_needed}: look at the catalogue's area and the visit table's pointing"
        )
        self.n_reference, self.n_needed, self.region = n_reference, n_needed, region


@dataclass(frozen=True, slots=True)
class SourcePositions:
    """Measured sources of one detector.

    Attributes
    ----------
    x, y : ndarray, shape (n,), float64
        Positions [pixel, centres at integers from 0]; NaN is left out.
    x_err, y_err : ndarray, shape (n,), float64
        Standard errors of the positions [pixel]; NaN is left out.
    flux : ndarray, shape (n,), float64
        Flux in any unit; orders the sources. Not positive or NaN is left out.
    """

    x: np.ndarray
    y: np.ndarray
    x_err: np.ndarray
    y_err: np.ndarray
    flux: np.ndarray

    def __post_init__(self):
        """Refuse columns of different lengths."""
        shapes = {name: getattr(self, name).shape for name in self.__slots__}
        if len(set(shapes.values())) != 1:
            raise ImageShapeError(shapes)


@dataclass(frozen=True, slots=True)
class StarField:
    """Sources and references of one detector, ready to be matched.

    Attributes
    ----------
    dx, dy : ndarray, shape (n,), float64
        Offsets of the usable sources from the detector's centre [pixel], brightest first.
    error : ndarray, shape (n,), float64
        Standard error of a coordinate [pixel].
    flux : ndarray, shape (n,), float64
        Their fluxes.
    predicted : tuple of ndarray, shape (n,), float64
        Their predicted (xi, eta) about `centre` [arcsec].
    source_row : ndarray, shape (n,), int64
        Their rows in the sources that were given.
    references : ReferenceStars
        References within reach.
    reference_row : ndarray, shape (m,), int64
        Their rows in the references that were given.
    centre : tuple of float
        Predicted (ra, dec) of the detector's centre [degree].
    shape : tuple of int
        (ny, nx) of the detector.
    scale : float
        Predicted pixel scale [arcsec/pixel].
    reach : float
        Largest shift of the centre [arcsec].
    """

    dx: np.ndarray
    dy: np.ndarray
    error: np.ndarray
    flux: np.ndarray
    predicted: tuple
    source_row: np.ndarray
    references: ReferenceStars
    reference_row: np.ndarray
    centre: tuple
    shape: tuple
    scale: float
    reach: float

    @property
    def crpix(self):
        """Pixel (x, y) of the detector's centre (ndarray, shape (2,))."""
        return centre_pixel(self.shape)

    @property
    def half_size(self):
        """Half the longer side [pixel] (float)."""
        return max(self.shape) / 2


def centre_pixel(shape):
    """Pixel (x, y) at the middle of an array (ndarray, shape (2,), float64).

    Parameters
    ----------
    shape : tuple of int
        Shape (ny, nx) of the array.
    """
    return np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])


def search_region(predicted_wcs, pointing_uncertainty_arcsec, settings):
    """Circle on the sky whose reference stars a detector may need.

    Parameters
    ----------
    predicted_wcs : Wcs
        From camera and pointing.
    pointing_uncertainty_arcsec : float
        Largest error of the declared pointing.
    settings : dict
        Section ``calibrate.astrometry``.

    Returns
    -------
    tuple of float
        (ra, dec, radius) [degree]: the detector's circumscribed circle and the reach of the search around it.
    """
    ny, nx = predicted_wcs.shape
    ra, dec = predicted_wcs.pixel_to_sky(*centre_pixel((ny, nx)))
    half_diagonal = np.hypot(nx, ny) / 2 * predicted_wcs.pixel_scale()
    reach = _reach(predicted_wcs, pointing_uncertainty_arcsec, settings["search"])
    radius = half_diagonal * (1 + settings["search"]["scale_tolerance"]) + reach
    return float(ra), float(dec), float(radius) / ARCSEC


def _reach(predicted_wcs, pointing_uncertainty_arcsec, search):
    """Largest shift of the detector's centre [arcsec]."""
    # A rotation about the boresight moves a detector that is far from it.
    lever = np.hypot(*(predicted_wcs.crpix - centre_pixel(predicted_wcs.shape))) * predicted_wcs.pixel_scale()
    turn = 2 * np.sin(np.radians(search["rotation_deg"]) / 2)
    return float(max(pointing_uncertainty_arcsec, search["min_offset_arcsec"]) + turn * lever)


def prepare_field(sources, references, predicted_wcs, pointing_uncertainty_arcsec, settings):
    """Choose the usable sources and the references within reach.

    Parameters
    ----------
    sources, references, predicted_wcs, pointing_uncertainty_arcsec, settings
        As in `astrometry.fit_astrometry`.

    Returns
    -------
    StarField
        Sources by falling flux.

    Raises
    ------
    TooFewAstrometricSourcesError, TooFewReferenceStarsError
        If either has fewer than ``min_matched``.
    """
    needed = settings["min_matched"]
    error = np.sqrt((sources.x_err**2 + sources.y_err**2) / 2)
    good = np.isfinite(sources.x) & np.isfinite(sources.y) & (sources.flux > 0) & np.isfinite(error)
    if good.sum() < needed:
        raise TooFewAstrometricSourcesError(int(good.sum()), needed)
    row = np.flatnonzero(good)
    row = row[np.argsort(-sources.flux[row], kind="stable")]
    region = search_region(predicted_wcs, pointing_uncertainty_arcsec, settings)
    centre = region[:2]
    xi, eta = tan_project(references.ra, references.dec, *centre)
    near = np.flatnonzero(np.hypot(xi, eta) <= region[2])
    if len(near) < needed:
        raise TooFewReferenceStarsError(len(near), needed, region)
    crpix = centre_pixel(predicted_wcs.shape)
    xi, eta = tan_project(*predicted_wcs.pixel_to_sky(sources.x[row], sources.y[row]), *centre)
    return StarField(
        dx=sources.x[row] - crpix[0],
        dy=sources.y[row] - crpix[1],
        error=error[row],
        flux=sources.flux[row],
        predicted=(xi * ARCSEC, eta * ARCSEC),
        source_row=row,
        references=references.select(near),
        reference_row=near,
        centre=centre,
        shape=tuple(predicted_wcs.shape),
        scale=predicted_wcs.pixel_scale(),
        reach=_reach(predicted_wcs, pointing_uncertainty_arcsec, settings["search"]),
    )
