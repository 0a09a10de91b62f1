"""Which patches each detector of each visit may touch, found once and kept by content."""

import hashlib
import json
from pathlib import Path

import numpy as np

from skyloom.core.geometry import detector_corners
from skyloom.core.sky_map import sky_map_from_settings

CACHE_FOLDER = Path(".snakemake") / "skyloom" / "overlaps"


def find_overlaps(sky_map_settings, cameras, visits, detectors):
    """Find the patches of every detector of every visit.

    Parameters
    ----------
    sky_map_settings : dict
        Section `sky_map`.
    cameras : dict of str to CameraFile
        Cameras by name.
    visits : dict of int to dict
        Visit rows.
    detectors : dict of int to tuple of int
        Detectors of each visit.

    Returns
    -------
    dict of (int, int) to tuple of (int, str)
        (tract, patch) pairs by (visit, detector), sorted; none for a detector off the map.

    Notes
    -----
    A detector may lie anywhere within its visit's pointing uncertainty, so its outline is padded by it: a job
    may find out that it does not overlap after all. The answer is a function of the arguments alone and is
    kept under their hash below ``.snakemake``.
    """
    pointings = {
        visit: [visits[visit][key] for key in ("camera", "ra", "dec", "rotation", "pointing_uncertainty")]
        for visit in detectors
    }
    hashes = {name: known.content for name, known in cameras.items()}
    text = json.dumps([sky_map_settings, hashes, pointings, detectors], sort_keys=True)
    cache = CACHE_FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"
    if cache.is_file():
        lists = json.loads(cache.read_text(encoding="utf-8"))
    else:
        lists = _compute(sky_map_settings, cameras, visits, detectors)
        _store(cache, lists)
    pairs = ((visit, detector) for visit, members in detectors.items() for detector in members)
    interned = {}
    return {
        pair: tuple(interned.setdefault((tract, patch), (tract, patch)) for tract, patch in found)
        for pair, found in zip(pairs, lists, strict=True)
    }


def _compute(sky_map_settings, cameras, visits, detectors):
    """Overlaps in the order of visits and detectors, from one call for the whole survey."""
    groups = {}
    order = [(visit, detector) for visit, members in detectors.items() for detector in members]
    if not order:
        return []
    for index, (visit, detector) in enumerate(order):
        groups.setdefault((visits[visit]["camera"], detector), []).append(index)
    ra, dec = np.empty((len(order), 4)), np.empty((len(order), 4))
    for (camera, detector), members in groups.items():
        rows = [visits[order[index][0]] for index in members]
        pointing = [np.array([row[key] for row in rows]) for key in ("ra", "dec", "rotation")]
        ra[members], dec[members] = detector_corners(cameras[camera].camera, detector, *pointing)
    padding = np.array([visits[visit]["pointing_uncertainty"] for visit, _ in order])
    return sky_map_from_settings(sky_map_settings).overlaps(ra, dec, padding)


def _store(cache, lists):
    """Write the cache whole or not at all; two processes write the same content."""
    from tempfile import NamedTemporaryFile

    cache.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile("w", dir=cache.parent, delete=False, encoding="utf-8") as stream:
        json.dump(lists, stream)
    Path(stream.name).replace(cache)
