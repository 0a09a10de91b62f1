"""Objects of a patch: detect in every band, merge, place once, measure in every band, keep its own."""

import logging

import numpy as np

from skyloom.algorithms.detection import DetectionSettings, detect
from skyloom.core.errors import DataError
from skyloom.core.ids import object_ids
from skyloom.core.schemas import object_schema
from skyloom.objects.measurement import measure_band, missing_band
from skyloom.objects.merging import merge_peaks
from skyloom.objects.positions import fit_positions

log = logging.getLogger(__name__)


class NoCoaddsError(DataError):
    """No band of a patch has a coadd.

    Parameters
    ----------
    tract : int
        Tract.
    patch : str
        Patch.
    """

    status = "EMPTY"

    def __init__(self, tract, patch):
        super().__init__(
            f"tract {tract} patch {patch}: 0 deep coadds, at least 1 is needed to measure objects; look at "
            "the reasons of the coadds of this patch"
        )
        self.tract, self.patch = tract, patch


def measure_objects(coadds, patch, sky_map, bands, settings):
    """Table of the objects of a patch.

    Parameters
    ----------
    coadds : dict of str to Exposure
        Deep coadds by band, on all pixels of the patch.
    patch : Patch
        The patch.
    sky_map : SkyMap
        Decides which patch an object belongs to.
    bands : sequence of str
        Bands of the table; those without a coadd are NaN and flagged.
    settings : dict
        Section `objects`.

    Returns
    -------
    pyarrow.Table
        Schema `object_schema(bands)`. Only objects whose position lies in the patch's inner region and in the
        inner region of its tract, so that tables of all patches can be joined without duplicates.

    Raises
    ------
    NoCoaddsError
        If there is no coadd.

    Notes
    -----
    Detections of the whole patch, border included, are measured together, so that an object at the inner
    region's edge is measured with its neighbours beyond; the others are dropped only then.
    """
    if not coadds:
        raise NoCoaddsError(patch.tract, patch.name)
    priority = _priority(coadds, settings["band_priority"])
    detections = {band: _detect(coadds[band], settings["detection"]) for band in priority}
    scale = patch.wcs.pixel_scale()
    peaks = merge_peaks(
        detections,
        priority,
        settings["merging"]["new_radius_arcsec"] / scale,
        settings["merging"]["same_radius_arcsec"] / scale,
    )
    if len(peaks.x) == 0:
        log.warning("no object in patch %s of tract %d", patch.name, patch.tract)
        return object_schema(bands).empty()
    positions = fit_positions(coadds, peaks, priority, settings["reference_snr"])
    columns = {}
    for band in bands:
        coadd = coadds.get(band)
        measured = missing_band(len(peaks.x)) if coadd is None else _measure(coadd, positions, settings)
        columns |= {f"{band}_{name}": values for name, values in measured.items()}
    columns |= _reference_columns(columns, positions, patch)
    columns |= _blend_columns(peaks, detections)
    primary = is_primary(columns["coord_ra"], columns["coord_dec"], patch, sky_map)
    log.info(
        "%d objects, %d of them in the inner region of patch %s", len(primary), primary.sum(), patch.name
    )
    kept = {name: values[primary] for name, values in columns.items()}
    n = int(primary.sum())
    kept |= {
        "objectId": object_ids(patch.tract, patch.index, n),
        "tract": np.full(n, patch.tract, dtype=np.int64),
        "patch": np.full(n, patch.index, dtype=np.int64),
        "patchName": np.full(n, patch.name, dtype=object),
        "detect_isPrimary": np.ones(n, dtype=bool),
    }
    return object_schema(bands).table(kept)


def is_primary(ra, dec, patch, sky_map):
    """Whether positions belong to a patch.

    Parameters
    ----------
    ra, dec : ndarray, shape (n,), float64
        Positions [degree].
    patch : Patch
        The patch.
    sky_map : SkyMap
        The sky map.

    Returns
    -------
    ndarray, shape (n,), bool
        True in the patch's inner region, where it lies in the inner region of its tract. One position is in
        exactly one inner region of the survey.
    """
    return (sky_map.inner_tract(ra, dec) == patch.tract) & (
        sky_map.inner_patch(patch.tract, ra, dec) == patch.name
    )


def _priority(coadds, order):
    """Bands with a coadd, those of the configured order first, the others by name."""
    return [band for band in order if band in coadds] + sorted(set(coadds) - set(order))


def _detect(coadd, settings):
    """Peaks of one coadd, with its mean PSF as the filter."""
    images = coadd.psf.images
    kernel = images[np.isfinite(images[:, :, 0, 0])].mean(axis=0, dtype=np.float64)
    options = DetectionSettings(
        min_prominence=settings["min_prominence"],
        relative_prominence=settings["relative_prominence"],
        noise_correlation=coadd.noise_correlation,
    )
    return detect(coadd.pixels, kernel, settings["threshold"], settings=options)


def _measure(coadd, positions, settings):
    """Columns of one band."""
    return measure_band(coadd, positions.x, positions.y, settings["measurement"])


def _reference_columns(columns, positions, patch):
    """Position, and what the reference band says of each object."""
    ra, dec = patch.wcs.pixel_to_sky(positions.x, positions.y)
    ra_err, dec_err, covariance = _sky_errors(positions, patch)
    reference = {
        "coord_ra": ra,
        "coord_dec": dec,
        "coord_raErr": ra_err,
        "coord_decErr": dec_err,
        "coord_ra_dec_Cov": covariance,
        "x": positions.x,
        "y": positions.y,
        "xErr": positions.x_err,
        "yErr": positions.y_err,
        "xy_flag": positions.failed,
        "refBand": positions.band,
    }
    for name, source in (
        ("refExtendedness", "extendedness"),
        ("refSizeExtendedness", "sizeExtendedness"),
        ("shape_xx", "ixx"),
        ("shape_yy", "iyy"),
        ("shape_xy", "ixy"),
    ):
        values = np.full(len(ra), np.nan)
        for band in np.unique(positions.band.astype(str)):
            own = positions.band == band
            values[own] = columns[f"{band}_{source}"][own]
        reference[name] = values
    return reference


def _sky_errors(positions, patch):
    """Errors on the sky, East and North [degree], and their covariance [degree^2]."""
    jacobian = np.moveaxis(patch.wcs.jacobian(positions.x, positions.y), -1, 0)
    matrix = np.empty((len(positions.x), 2, 2))
    matrix[:, 0, 0], matrix[:, 1, 1] = positions.x_err**2, positions.y_err**2
    matrix[:, 0, 1] = matrix[:, 1, 0] = positions.xy_covariance
    sky = jacobian @ matrix @ np.swapaxes(jacobian, 1, 2)
    return np.sqrt(sky[:, 0, 0]), np.sqrt(sky[:, 1, 1]), sky[:, 0, 1]


def _blend_columns(peaks, detections):
    """Footprint and number of peaks of each object in the band that found it first."""
    area, n_peak = np.zeros(len(peaks.x), dtype=np.int32), np.zeros(len(peaks.x), dtype=np.int32)
    for band, found in detections.items():
        own = peaks.band == band
        n_pixel = np.bincount(found.labels.ravel())
        area[own] = n_pixel[1 + found.footprint[peaks.index[own]]]
        n_peak[own] = found.n_peak[peaks.index[own]]
    return {
        "footprintArea": area,
        "deblend_nPeaks": n_peak,
        "detect_fromBlend": n_peak > 1,
        "detect_isIsolated": n_peak == 1,
    }
