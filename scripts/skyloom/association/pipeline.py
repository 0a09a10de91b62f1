"""Association of DIA sources of all visits to the DIA objects of one tract."""

import logging

import numpy as np

from skyloom.association.clustering import cluster_detections
from skyloom.association.dia_objects import band_columns, mean_positions, separations
from skyloom.core.errors import DataError
from skyloom.core.ids import PATCH_BITS, object_ids
from skyloom.core.schemas import DIA_MATCH, dia_object_schema
from skyloom.core.tables import column

log = logging.getLogger(__name__)

# No tract has so many patches: identifiers of DIA objects never equal those of objects.
DIA_PATCH_INDEX = (1 << PATCH_BITS) - 1
SOURCE_COLUMNS = (
    "diaSourceId",
    "visit",
    "detector",
    "band",
    "midpointMjdTai",
    "ra",
    "dec",
    "raErr",
    "decErr",
    "psfFlux",
    "psfFluxErr",
    "scienceFlux",
    "scienceFluxErr",
)


class UnknownBandError(DataError):
    """DIA sources have a band that the survey does not have.

    Parameters
    ----------
    unknown, known : list of str
        The bands.
    """

    def __init__(self, unknown, known):
        super().__init__(
            f"DIA sources in bands {unknown}, the survey has {known}: look at `bands` of the configuration"
        )
        self.unknown, self.known = unknown, known


def associate_dia_sources(tables, tract, sky_map, bands, settings):
    """DIA objects of a tract and the sources that belong to them.

    Parameters
    ----------
    tables : list of pyarrow.Table
        DIA sources (schema `DIA_SOURCE`) of every detector that may touch the tract.
    tract : int
        The tract.
    sky_map : SkyMap
        Tells which tract holds an object.
    bands : list of str
        Bands of the survey, in order.
    settings : dict
        Section ``association``.

    Returns
    -------
    objects, matches : pyarrow.Table
        Schemas of `dia_object_schema` and `DIA_MATCH`, sorted by object and time; possibly empty.

    Raises
    ------
    UnknownBandError
        If a source's band is none of the survey's.

    Notes
    -----
    A pure function of the set of sources. Objects are made of all of them and belong to the tract whose inner
    region holds their mean position, so that two tracts agree on what they share.
    """
    sources = _joined(tables)
    unknown = sorted(set(sources["band"]) - set(bands))
    if unknown:
        raise UnknownBandError(unknown, list(bands))
    cluster = cluster_detections(sources["ra"], sources["dec"], sources["visit"], settings["radius_arcsec"])
    n_object = int(cluster.max(initial=-1)) + 1
    positions = mean_positions(sources, cluster, n_object)
    is_inner = (
        sky_map.inner_tract(positions["ra"], positions["dec"]) == tract if n_object else np.empty(0, bool)
    )
    sources, cluster, positions = _only(sources, cluster, positions, is_inner)
    n_object = int(np.count_nonzero(is_inner))
    ids = object_ids(tract, DIA_PATCH_INDEX, n_object)
    log.info("%d DIA sources make %d DIA objects in tract %d", len(cluster), n_object, tract)
    objects = _object_table(sources, cluster, positions, ids, (tract, bands))
    return objects, _match_table(sources, cluster, positions, ids)


def _joined(tables):
    """Columns of all tables with a finite position, in an order that depends on their contents alone."""
    sources = {}
    for name in SOURCE_COLUMNS:
        parts = [column(table, name) for table in tables]
        sources[name] = (
            np.concatenate(parts) if parts else np.empty(0, dtype=object if name == "band" else float)
        )
    for name in ("raErr", "decErr", "psfFlux", "psfFluxErr", "scienceFlux", "scienceFluxErr"):
        sources[name] = sources[name].astype(np.float64)
    for name in ("diaSourceId", "visit", "detector"):
        sources[name] = sources[name].astype(np.int64)
    good = np.isfinite(sources["ra"]) & np.isfinite(sources["dec"])
    order = np.flatnonzero(good)
    order = order[np.argsort(sources["diaSourceId"][order], kind="stable")]
    return {name: values[order] for name, values in sources.items()}


def _only(sources, cluster, positions, is_inner):
    """Sources and objects of the tract alone, objects numbered anew in the same order."""
    number = np.cumsum(is_inner) - 1
    rows = np.flatnonzero(is_inner[cluster]) if len(cluster) else np.empty(0, dtype=np.int64)
    sources = {name: values[rows] for name, values in sources.items()}
    positions = {name: values[is_inner] for name, values in positions.items()}
    return sources, number[cluster[rows]].astype(np.int64), positions


def _object_table(sources, cluster, positions, ids, where):
    """Table of objects."""
    tract, bands = where
    n_object = len(ids)
    first, last = np.full(n_object, np.inf), np.full(n_object, -np.inf)
    np.minimum.at(first, cluster, sources["midpointMjdTai"])
    np.maximum.at(last, cluster, sources["midpointMjdTai"])
    values = {
        "diaObjectId": ids,
        "tract": np.full(n_object, tract, dtype=np.int64),
        "nDiaSources": np.bincount(cluster, minlength=n_object),
        "firstDiaSourceMjdTai": first,
        "lastDiaSourceMjdTai": last,
        **positions,
    }
    for band in bands:
        values |= band_columns(sources, cluster, n_object, band)
    return dia_object_schema(bands).table(values)


def _match_table(sources, cluster, positions, ids):
    """Table that says which object each source belongs to."""
    order = np.lexsort((sources["diaSourceId"], sources["midpointMjdTai"], cluster))
    values = {name: sources[name][order] for name in ("diaSourceId", "visit", "detector", "midpointMjdTai")}
    index = cluster[order]
    values["band"] = list(sources["band"][order])
    values["diaObjectId"] = ids[index]
    values["separation"] = separations(
        sources["ra"][order], sources["dec"][order], positions["ra"][index], positions["dec"][index]
    )
    return DIA_MATCH.table(values)
