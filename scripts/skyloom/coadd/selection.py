"""Which warps go into a coadd."""

import numpy as np
import pyarrow as pa

from skyloom.core.errors import DataError
from skyloom.core.schemas import COADD_INPUT
from skyloom.core.tables import column

GOOD_SEEING = "good_seeing"


class NoInputsError(DataError):
    """No warp is left for a coadd.

    Parameters
    ----------
    tract : int
        Tract.
    patch, kind : str
        Patch and kind of coadd.
    """

    status = "EMPTY"

    def __init__(self, tract, patch, kind):
        super().__init__(
            f"{kind} coadd of tract {tract} patch {patch}: 0 warps with data, at least 1 is needed; look at "
            "the reasons of its warps (no overlap is normal at the survey's edge) and its visits' summaries"
        )
        self.tract, self.patch, self.kind = tract, patch, kind


def input_table(warps):
    """Rows of all warps, in order of visit.

    Parameters
    ----------
    warps : list of Exposure
        Warps, each with its own row in `inputs`.

    Returns
    -------
    pyarrow.Table
        Schema COADD_INPUT.
    """
    tables = [warp.inputs.cast(COADD_INPUT.arrow_schema()) for warp in warps]
    return pa.concat_tables(tables).combine_chunks()


def select_inputs(inputs, kind, settings):
    """Choose the warps of a coadd by their seeing.

    Parameters
    ----------
    inputs : pyarrow.Table, n rows
        Schema COADD_INPUT.
    kind : str
        ``deep`` takes all; ``good_seeing`` the sharpest ones.
    settings : dict
        Section ``coadd.good_seeing``: fraction of the warps, minimum number of warps.

    Returns
    -------
    used : ndarray, shape (n,), bool
        Warps to take.
    reasons : list of str
        Empty for those taken.
    """
    n = inputs.num_rows
    if kind != GOOD_SEEING:
        return np.ones(n, dtype=bool), [""] * n
    sigma = column(inputs, "psfSigma")
    n_wanted = min(n, max(int(settings["minimum"]), int(np.ceil(settings["fraction"] * n))))
    used = np.zeros(n, dtype=bool)
    order = np.lexsort((column(inputs, "visit"), sigma))
    used[order[:n_wanted]] = True
    limit = sigma[order[n_wanted - 1]]
    reason = [f"PSF sigma {value:.3f} pixel above {limit:.3f}" for value in sigma]
    return used, np.where(used, "", reason).tolist()
