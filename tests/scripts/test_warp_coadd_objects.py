"""Scripts warp_visit, assemble_coadd and measure_objects: files in, files out, tombstones passed over."""

import importlib

import numpy as np
import pytest

from skyloom.core.errors import UpstreamFailure
from skyloom.core.images import Exposure, ExposureInfo, MaskedImage
from skyloom.core.psf import PixelPsf, gaussian_kernel
from skyloom.core.tables import column
from skyloom.core.wcs import Wcs
from skyloom.io.exposures import read_exposure, write_exposure
from skyloom.io.fits_files import read_fits, read_fits_status, write_fits_tombstone
from skyloom.io.provenance import Provenance
from skyloom.io.tables import read_table
from skyloom.isr.assembly import AllPixelsBadError
from skyloom.warp.pipeline import NoOverlapError
from skyloom.workflow import make_job

SIDE = 200
SCALE = 0.2 / 3600
SKY_MAP = {
    "kind": "grid",
    "pixel_scale": 0.2,
    "patch_inner": 160,
    "patch_border": 20,
    "tracts": [{"tract": 1, "ra": 150.0, "dec": 2.2, "patches": [1, 1]}],
}
SETTINGS = {
    "warp": {"node_step": 32, "cell_size": 50},
    "coadd": {
        "rejected_planes": ["BAD", "SAT", "CR"],
        "saturated_fraction": 0.1,
        "sensor_edge_width": 8,
        "good_seeing": {"fraction": 1.0, "minimum": 3},
        "artifacts": {"minimum_inputs": 3, "n_sigma": 6.0, "gradient_fraction": 0.5, "grow": 4.0},
    },
    "objects": {
        "band_priority": ["i", "r"],
        "reference_snr": 10.0,
        "detection": {"threshold": 5.0, "min_prominence": 4.0, "relative_prominence": 0.05},
        "merging": {"new_radius_arcsec": 1.0, "same_radius_arcsec": 0.3},
        "measurement": {"min_usable_fraction": 0.5, "extended_size_excess": 0.05, "extended_sigma": 3.0},
    },
}
WHERE = {"tract": "1", "patch": "0_0"}
PROVENANCE = Provenance(rule="test")


def write_calexp(path, visit, rng):
    """One detector with a star of 1e4 nJy on the tract's centre."""
    centre = np.array([(SIDE - 1) / 2, (SIDE - 1) / 2]) + rng.uniform(-2, 2, 2)
    wcs = Wcs(np.array([150.0, 2.2]), centre, SCALE * np.array([[-1.0, 0.0], [0.0, 1.0]]), shape=(SIDE, SIDE))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    squared = (columns - centre[0]) ** 2 + (rows - centre[1]) ** 2
    image = 1e4 / (2 * np.pi * 2.56) * np.exp(-squared / 5.12) + rng.normal(0, 2.0, (SIDE, SIDE))
    pixels = MaskedImage(
        image.astype(np.float32), np.zeros(image.shape, np.uint32), np.full(image.shape, 4.0, np.float32)
    )
    psf = PixelPsf(gaussian_kernel(1.6, 25)[None].astype(np.float32), 0, (0.0, SIDE, 0.0, SIDE))
    info = ExposureInfo(visit=visit, detector=0, band="r", mjd=60000.0 + visit, exposure_time=30.0)
    write_exposure(path, Exposure(pixels, info, wcs=wcs, psf=psf), PROVENANCE)


def run(script, inputs, outputs, **params):
    wildcards = WHERE | params.pop("wildcards", {})
    params = {"settings": SETTINGS, "sky_map": SKY_MAP} | params
    job = make_job(rule=script, input=inputs, output=outputs, wildcards=wildcards, params=params)
    importlib.import_module(script).main(job)


def write_tombstone(path):
    write_fits_tombstone(path, NoOverlapError(9, 1, "0_0", 2), PROVENANCE)
    return str(path)


def test_a_star_goes_from_calexps_to_the_object_table(tmp_path):
    rng = np.random.default_rng(1)
    warps = []
    for visit in (1, 2, 3):
        calexp, warp = str(tmp_path / f"calexp{visit}.fits"), str(tmp_path / f"warp{visit}.fits")
        write_calexp(calexp, visit, rng)
        calexps = [calexp, write_tombstone(tmp_path / "bad.fits")]
        run("warp_visit", {"calexps": calexps, "visit_calib": []}, {"warp": warp})
        warps.append(warp)
    assert read_exposure(warps[0]).info.kind == "warp"

    coadd = str(tmp_path / "coadd.fits")
    warps.insert(1, write_tombstone(tmp_path / "nowhere.fits"))
    run("assemble_coadd", {"warps": warps}, {"coadd": coadd}, wildcards={"kind": "deep"})
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
        run("warp_visit", {"calexps": calexps, "visit_calib": []}, {"warp": str(tmp_path / "warp.fits")})
    assert caught.value.reason == "NoOverlap"


@pytest.mark.parametrize(("second", "status"), [("nowhere", "EMPTY"), ("spoilt", "FAILED")])
def test_a_patch_that_nothing_reaches_is_empty_and_one_whose_visits_are_bad_has_failed(
    tmp_path, second, status
):
    nowhere, spoilt = write_tombstone(tmp_path / "nowhere.fits"), str(tmp_path / "spoilt.fits")
    write_fits_tombstone(spoilt, AllPixelsBadError(100), PROVENANCE)
    inputs = [nowhere, {"nowhere": nowhere, "spoilt": spoilt}[second]]
    for name, given in (("assemble_coadd", {"warps": inputs}), ("measure_objects", {"coadds": inputs})):
        with pytest.raises(UpstreamFailure) as caught:
            run(
                name, given, {"coadd": "none.fits", "object": "none.parquet"}, wildcards={"kind": "deep"},
                bands=["g", "r"], coadd_bands=["g", "r"],
            )  # fmt: skip
        assert caught.value.status == status
        write_fits_tombstone(tmp_path / "next.fits", caught.value, PROVENANCE)
        assert read_fits_status(tmp_path / "next.fits")[:2] == (status, caught.value.reason)
    assert not list(tmp_path.glob("none*"))
