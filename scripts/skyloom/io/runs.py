"""Products of a finished run, read one at a time when they are asked for; tombstones count as missing."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.errors import UpstreamFailure
from skyloom.io.exposures import read_difference, read_exposure
from skyloom.io.tables import read_table


class RunReader:
    """Reader of a run's products by data id.

    Parameters
    ----------
    **paths : list of str
        Files of each kind of product: visit_summaries, srcs, calexps, coadds, objects, diffs, dia_sources,
        truth_sources. Kinds that the run lacks may be left out.
    """

    def __init__(self, **paths):
        self._paths = {kind: [str(path) for path in files] for kind, files in paths.items()}
        per_detector = ("srcs", "calexps", "diffs", "dia_sources")
        self._by_id = {kind: {_detector_id(p): p for p in self._paths.get(kind, [])} for kind in per_detector}
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
        """Yield the deep coadds that are not tombstones (Exposure)."""
        for path in self._paths["coadds"]:
            coadd = _or_none(read_exposure, path)
            if coadd is not None:
                yield coadd


def _detector_id(path):
    """Return (visit, detector) of a path that ends in {visit}/{detector}.suffix."""
    path = Path(path)
    return int(path.parent.name), int(path.stem)


def _or_none(read, path):
    """Read a product; None where it is a tombstone or not there by design."""
    if path is None:
        return None
    try:
        return read(path)
    except UpstreamFailure:
        return None
