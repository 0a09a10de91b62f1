"""Products of a finished run, read one at a time when they are asked for; tombstones count as missing."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.errors import UpstreamFailure
from skyloom.io.calibs import read_calib
from skyloom.io.exposures import read_difference, read_exposure
from skyloom.io.fits_files import read_fits_status, read_provenance
from skyloom.io.provenance import provenance_from_json
from skyloom.io.tables import PROVENANCE_KEY, read_table, read_table_metadata


class RunReader:
    """Reader of a run's products by data id.

    Parameters
    ----------
    **paths : list of str
        Files of each kind of product: visit_summaries, calibs, srcs, calexps, coadds, objects, diffs, dia_sources,
        dia_objects, truth_sources. Kinds that the run lacks may be left out.
    """

    def __init__(self, **paths):
        self._paths = {kind: [str(path) for path in files] for kind, files in paths.items()}
        per_detector = ("srcs", "calexps", "diffs", "dia_sources")
        self._by_id = {kind: {_detector_id(p): p for p in self._paths.get(kind, [])} for kind in per_detector}
        self._coadds = {_coadd_id(path): path for path in self._paths.get("coadds", [])}
        self._truth = {int(Path(path).stem): path for path in self._paths.get("truth_sources", [])}

    @property
    def has_truth(self):
        """Whether the run is of a simulated survey."""
        return bool(self._truth)

    def detectors(self, kind):
        """Data ids that a kind of product has files for.

        Parameters
        ----------
        kind : str
            srcs, calexps, diffs or dia_sources.

        Returns
        -------
        list of (int, int)
            (visit, detector), sorted; some may be tombstones.
        """
        return sorted(self._by_id[kind])

    def visit_summary(self):
        """Read the summaries of all visits as one table (pyarrow.Table)."""
        tables = [read_table(path) for path in self._paths["visit_summaries"]]
        return pa.concat_tables([table.replace_schema_metadata(None) for table in tables])

    def table(self, kind, visit, detector):
        """Read a table of a detector.

        Parameters
        ----------
        kind : str
            srcs or dia_sources.
        visit, detector : int
            Which one.

        Returns
        -------
        pyarrow.Table or None
            None when it is a tombstone or was never to be made.
        """
        return _or_none(read_table, self._by_id[kind].get((visit, detector)))

    def truth(self, visit, detector=None):
        """Read the truth of a visit's sources (pyarrow.Table).

        Parameters
        ----------
        visit : int
            Which one.
        detector : int, optional
            One detector instead of all.
        """
        table = read_table(self._truth[visit])
        return table if detector is None else table.filter(pc.equal(table["detector"], detector))

    def calexp(self, visit, detector):
        """Read a calexp (Exposure, or None for a tombstone).

        Parameters
        ----------
        visit, detector : int
            Which one.
        """
        return _or_none(read_exposure, self._by_id["calexps"].get((visit, detector)))

    def difference(self, visit, detector):
        """Read a difference image (DifferenceImage, or None for a tombstone).

        Parameters
        ----------
        visit, detector : int
            Which one.
        """
        return _or_none(read_difference, self._by_id["diffs"].get((visit, detector)))

    def coadds(self):
        """Data ids of the deep coadds that are not tombstones (sorted list of (str, int, str): band, tract, patch)."""
        return sorted(key for key, path in self._coadds.items() if read_fits_status(path)[0] == "OK")

    def coadd(self, band, tract, patch):
        """Read a deep coadd (Exposure).

        Parameters
        ----------
        band : str
            Its band.
        tract : int
            Its tract.
        patch : str
            Its patch.
        """
        return read_exposure(self._coadds[band, tract, patch])

    def calibs(self):
        """Yield the combined calibrations as ``epoch/kind/band/detector`` and CalibImage."""
        for path in self._paths.get("calibs", []):
            epoch, kind, band = Path(path).parts[-4:-1]
            yield f"{epoch}/{kind}/{band}/{Path(path).stem}", read_calib(path, kind)

    def objects(self, columns):
        """Yield the object tables that are not tombstones (pyarrow.Table).

        Parameters
        ----------
        columns : list of str
            Columns that are wanted.
        """
        for path in self._paths.get("objects", []):
            table = _or_none(lambda file: read_table(file, columns), path)
            if table is not None:
                yield table

    def provenances(self):
        """Read where products of each rule come from.

        Returns
        -------
        list of Provenance
            That of the first product of each rule that is no tombstone, by rule.
        """
        found = {}
        for kind, paths in self._paths.items():
            groups = _by_kind(paths) if kind == "calibs" else [paths]
            for group in groups:
                provenance = next(filter(None, map(_provenance_of, group)), None)
                if provenance is not None:
                    found.setdefault(provenance.rule, provenance)
        return [found[rule] for rule in sorted(found)]


def _by_kind(paths):
    """Files of each kind of calibration, the third part of a path from its end (list of list of str)."""
    kinds = {}
    for path in paths:
        kinds.setdefault(Path(path).parts[-3], []).append(path)
    return list(kinds.values())


def _provenance_of(path):
    """Provenance of a product; None for a tombstone."""
    if path.endswith(".parquet"):
        metadata = read_table_metadata(path)[2]
        is_whole = metadata[b"skyloom.status"] == b"OK"
        return provenance_from_json(metadata[PROVENANCE_KEY].decode()) if is_whole else None
    return read_provenance(path) if read_fits_status(path)[0] == "OK" else None


def _detector_id(path):
    """Return (visit, detector) of a path that ends in {visit}/{detector}.suffix."""
    path = Path(path)
    return int(path.parent.name), int(path.stem)


def _coadd_id(path):
    """Return (band, tract, patch) of a path that ends in {band}/{tract}/{patch}.fits."""
    path = Path(path)
    return path.parts[-3], int(path.parent.name), path.stem


def _or_none(read, path):
    """Read a product; None where it is a tombstone or not there by design."""
    if path is None:
        return None
    try:
        return read(path)
    except UpstreamFailure:
        return None
