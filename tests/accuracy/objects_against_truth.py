"""The object table of all patches against the stars that were drawn."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from expected_noise import objects_on_coadd
from scipy.spatial import cKDTree

from skyloom.core import mask_planes
from skyloom.core.tables import column
from skyloom.io.exposures import read_exposure
from skyloom.io.tables import read_table

MATCH_RADIUS_ARCSEC = 0.4
# Two rows nearer than this are one object twice.
DUPLICATE_RADIUS_ARCSEC = 0.1
ISOLATION_ARCSEC = 3.0
EDGE_PIXEL = 10


@dataclass(frozen=True, slots=True)
class ObjectComparison:
    """Objects against true stars.

    Attributes
    ----------
    found : ndarray of bool
        For each star of S/N > 10 on good pixels of a coadd, whether it is in the table.
    n_duplicate : int
        Rows that have another row on the same place.
    flux_ratio, pull : ndarray
        Of isolated stars of S/N > 50: PSF flux over the true one; of isolated stars of S/N > 10: its error over the
        stated one.
    """

    found: np.ndarray
    n_duplicate: int
    flux_ratio: np.ndarray
    pull: np.ndarray


def all_objects(survey):
    """The object tables of all patches as one (pyarrow.Table)."""
    tables = [read_table(survey.product("object", tract=t, patch=p)) for t, p in survey.covered_patches]
    return pa.concat_tables([table.replace_schema_metadata(None) for table in tables])


def compare_objects(survey, band):
    """Compare the object table with truth in one band.

    Parameters
    ----------
    survey : PartSurvey
        The survey.
    band : str
        Band.

    Returns
    -------
    ObjectComparison
        A star's signal to noise is that of sky and read noise in the best mean of its exposures.
    """
    objects, stars = all_objects(survey), true_stars(survey, band)
    place = _plane(column(objects, "coord_ra"), column(objects, "coord_dec"))
    true_place = _plane(stars["ra"], stars["dec"])
    distance, match = cKDTree(place).query(true_place)
    found = distance < MATCH_RADIUS_ARCSEC
    wanted = stars["snr"] > 10
    used = found & wanted & stars["is_isolated"]
    flux, error = (
        column(objects, f"{band}_{name}")[match].astype(float) for name in ("psfFlux", "psfFluxErr")
    )
    bright = used & (stars["snr"] > 50) & np.isfinite(flux)
    pull = ((flux - stars["flux"]) / error)[used]
    return ObjectComparison(
        found=found[wanted],
        n_duplicate=len(cKDTree(place).query_pairs(DUPLICATE_RADIUS_ARCSEC)),
        flux_ratio=flux[bright] / stars["flux"][bright],
        pull=pull[np.isfinite(pull)],
    )


def true_stars(survey, band):
    """Stars on pixels of a deep coadd with data, each once.

    Parameters
    ----------
    survey : PartSurvey
        The survey.
    band : str
        Band.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        id, ra, dec, flux, snr, is_isolated.
    """
    visits = survey.visits_of(band)
    parts = [survey.truth(v, d) for v in visits for d in survey.camera.detectors]
    rows = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    widest = np.max(rows["psf_fwhm"])
    _, first = np.unique(rows["id"], return_index=True)
    rows = {name: values[first] for name, values in rows.items()}
    power = survey.static_power(visits)
    static = np.isin(rows["kind"], ("star", "galaxy"))
    place = _plane(rows["ra"], rows["dec"])
    neighbours = cKDTree(place).query_ball_point(place, ISOLATION_ARCSEC)
    brightest = [
        max((rows["flux"][j] for j in near if j != i), default=0) for i, near in enumerate(neighbours)
    ]
    chosen = static & (rows["kind"] == "star") & np.isin(rows["id"], list(_on_good_pixels(survey, band)))
    variance = np.array([power[key][0] for key in rows["id"][chosen].tolist()])
    photons = rows["flux"][chosen] / (rows["electrons_per_njy"] * rows["response"])[chosen] / len(visits)
    stars = {name: rows[name][chosen] for name in ("id", "ra", "dec", "flux")}
    snr = stars["flux"] / np.sqrt(variance * survey.area_of_fwhm(widest) + photons)
    isolated = np.array(brightest)[chosen] < 0.01 * stars["flux"]
    return stars | {"snr": snr, "is_isolated": isolated}


def _on_good_pixels(survey, band):
    """Identifiers of the static objects that lie on a coadd's pixels with data, away from its border."""
    good = set()
    for tract, patch in survey.covered_patches:
        path = survey.product("coadd", kind="deep", band=band, tract=tract, patch=patch)
        pixels = read_exposure(path).pixels
        x, y, _, _, keys = objects_on_coadd(survey, band, path)
        column_of, row_of = np.rint(x).astype(int), np.rint(y).astype(int)
        has_data = ~pixels.is_masked(mask_planes.bits("NO_DATA", "SAT"))[row_of, column_of]
        inside = np.minimum(x, pixels.shape[1] - 1 - x) > EDGE_PIXEL
        inside &= np.minimum(y, pixels.shape[0] - 1 - y) > EDGE_PIXEL
        good.update(np.array(keys)[has_data & inside].tolist())
    return good


def _plane(ra, dec):
    """Positions on a plane [arcsec], flat enough for a field of a few arcminutes."""
    cosine = np.cos(np.radians(np.median(dec)))
    return np.column_stack([(ra - 150.0) * cosine, dec]) * 3600
