"""Scripts warp_visit, assemble_coadd and measure_objects: files in, files out, tombstones passed over."""

import numpy as np
import pytest
from stage_jobs import WHERE, run, write_calexp, write_tombstone

from skyloom.core.errors import UpstreamFailure
from skyloom.core.tables import column
from skyloom.io.exposures import read_exposure
from skyloom.io.fits_files import read_fits, read_fits_status
from skyloom.io.tables import read_table
from skyloom.isr.assembly import AllPixelsBadError


def test_a_star_goes_from_calexps_to_the_object_table(tmp_path):
    rng = np.random.default_rng(1)
    warps = []
    for visit in (1, 2, 3):
        calexp, warp = str(tmp_path / f"calexp{visit}.fits"), str(tmp_path / f"warp{visit}.fits")
        write_calexp(calexp, visit, rng)
        calexps = [calexp, write_tombstone(tmp_path / "bad.fits")]
        run("warp_visit", {"calexps": calexps, "visit_sky": []}, {"warp": warp})
        warps.append(warp)
    assert read_exposure(warps[0]).info.kind == "warp"

    coadd = str(tmp_path / "coadd.fits")
    warps.insert(1, write_tombstone(tmp_path / "nowhere.fits"))
    run("assemble_coadd", {"warps": warps}, {"coadd": coadd}, wildcards=WHERE | {"kind": "deep"})
    assert column(read_exposure(coadd).inputs, "visit").tolist() == [1, 2, 3]
    assert read_fits(coadd)[0].header["NSKIPPED"] == 1

    objects = str(tmp_path / "object.parquet")
    coadds = [write_tombstone(tmp_path / "no_g.fits"), coadd]
    run("measure_objects", {"coadds": coadds}, {"object": objects}, bands=["g", "r"], coadd_bands=["g", "r"])
    table = read_table(objects)
    assert table.num_rows == 1
    assert column(table, "coord_ra")[0] == pytest.approx(150.0, abs=0.02 / 3600)
    assert column(table, "r_psfFlux")[0] == pytest.approx(1e4, rel=0.01)
    assert np.isnan(column(table, "g_psfFlux")[0])


def test_a_warp_without_any_calexp_fails_as_its_first_calexp_did(tmp_path):
    calexps = [write_tombstone(tmp_path / "bad.fits")]
    with pytest.raises(UpstreamFailure) as caught:
        run("warp_visit", {"calexps": calexps, "visit_sky": []}, {"warp": str(tmp_path / "warp.fits")})
    assert caught.value.reason == "NoOverlap"


@pytest.mark.parametrize(("second", "status"), [("nowhere", "EMPTY"), ("spoilt", "FAILED")])
def test_a_patch_that_nothing_reaches_is_empty_and_one_whose_visits_are_bad_has_failed(
    tmp_path, second, status
):
    nowhere, spoilt = write_tombstone(tmp_path / "nowhere.fits"), str(tmp_path / "spoilt.fits")
    write_tombstone(spoilt, AllPixelsBadError(100))
    inputs = [nowhere, {"nowhere": nowhere, "spoilt": spoilt}[second]]
    for name, given in (("assemble_coadd", {"warps": inputs}), ("measure_objects", {"coadds": inputs})):
        with pytest.raises(UpstreamFailure) as caught:
            run(
                name, given, {"coadd": "none.fits", "object": "none.parquet"}, wildcards=WHERE | {"kind": "deep"},
                bands=["g", "r"], coadd_bands=["g", "r"],
            )  # fmt: skip
        assert caught.value.status == status
        write_tombstone(tmp_path / "next.fits", caught.value)
        assert read_fits_status(tmp_path / "next.fits")[:2] == (status, caught.value.reason)
    assert not list(tmp_path.glob("none*"))
