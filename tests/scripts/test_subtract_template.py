"""Script subtract_template: a calexp and a coadd on disk become a difference and its sources."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stage_jobs import PROVENANCE, TRANSIENT, Pair, inputs_of, write_tombstone

from skyloom.core.errors import DataError
from skyloom.core.tables import column
from skyloom.io.exposures import read_difference, write_exposure
from skyloom.io.tables import read_table


def test_the_difference_and_its_sources_are_written_and_a_tombstone_is_skipped(tmp_path):
    pair = Pair(tmp_path)
    pair.subtract(["tombstone", "coadd"])

    sources = read_table(tmp_path / "dia.parquet")
    x, y, flux = TRANSIENT
    assert sources.num_rows == 1
    assert column(sources, "x")[0] == pytest.approx(x, abs=0.2)
    assert column(sources, "y")[0] == pytest.approx(y, abs=0.2)
    assert column(sources, "psfFlux")[0] == pytest.approx(flux, rel=0.05)
    difference = read_difference(pair.path("difference"))
    assert difference.kernel.convolved == "template"
    assert np.isfinite(difference.exposure.pixels.image[20:-20, 20:-20]).all()


@pytest.mark.parametrize(("visits", "expected"), [([3, 4], False), ([3, 5], True)])
def test_a_difference_says_whether_its_visit_is_in_the_template(tmp_path, visits, expected):
    from astropy.io import fits

    pair = Pair(tmp_path)
    # As deep as two visits: of one alone there would be nothing left to subtract.
    pixels = replace(pair.coadd.pixels, variance=pair.coadd.pixels.variance / 2)
    coadd = replace(pair.coadd, pixels=pixels, inputs=inputs_of(visits))
    write_exposure(pair.path("coadd"), coadd, PROVENANCE)
    pair.subtract(["coadd"])
    assert fits.getheader(pair.path("difference"))["INTEMPL"] is expected


class NowhereError(DataError):
    """Nothing bad for the tests: no visit reaches the patch."""

    status = "EMPTY"


@pytest.mark.parametrize(
    ("upstream", "status", "reason"),
    [
        (None, "EMPTY", "NoTemplateCoverage"),
        (NowhereError("no visit"), "EMPTY", "NoTemplateCoverage"),
        (DataError("truncated"), "FAILED", "Data"),
    ],
    ids=["no template", "empty template", "failed template"],
)
def test_without_a_template_nothing_is_wrong_unless_the_template_failed(tmp_path, upstream, status, reason):
    pair = Pair(tmp_path)
    if upstream:
        write_tombstone(pair.path("tombstone"), upstream)
    with pytest.raises(DataError) as caught:
        pair.subtract(["tombstone"] if upstream else [])
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert not Path(pair.path("difference")).exists()
