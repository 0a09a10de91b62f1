"""The script summarize_visit, called with a stand-in job."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from skyloom.core.errors import DataError
from skyloom.core.images import Background, Exposure, ExposureInfo, MaskedImage
from skyloom.core.photo_calib import constant_field
from skyloom.core.psf import PixelPsf, gaussian_kernel
from skyloom.core.schemas import SOURCE
from skyloom.core.tables import column
from skyloom.core.wcs import Wcs, WcsFit
from skyloom.io.exposures import write_exposure
from skyloom.io.fits_files import write_fits_tombstone
from skyloom.io.tables import read_table, write_table, write_table_tombstone
from skyloom.workflow import make_job

SCRIPT = Path(__file__).parents[2] / "scripts" / "summarize_visit.py"
SHAPE = (60, 60)
VISIT = {"visit": 7, "band": "g", "mjd": 61000.0, "exposure_time": 30.0, "airmass": 1.0}


class NoSkyError(DataError):
    """A named error for the test."""


@pytest.fixture(scope="module")
def main():
    spec = importlib.util.spec_from_file_location("summarize_visit", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def write_detector(folder, detector, provenance):
    exposure = Exposure(
        MaskedImage(np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.uint32), np.ones(SHAPE, np.float32)),
        ExposureInfo(visit=7, detector=detector, band="g"),
        Wcs(np.array([150.0, 2.0]), np.array([29.5, 29.5]), np.diag([-5e-5, 5e-5]), shape=SHAPE),
        PixelPsf(gaussian_kernel(2.0, 25)[None].astype(np.float32), 0, (0, 60, 0, 60)),
        constant_field(2.0, SHAPE, 0.01),
        Background(np.ones((1, 1), np.float32), 60, SHAPE),
        constant_field(1.0, SHAPE),
        WcsFit(np.zeros((2, 3)), np.eye(3), 10, 0.01, 0.01, 0.01, 1e-7, -30.0),
    )
    write_exposure(folder / f"{detector}.fits", exposure, provenance)
    write_table(folder / f"{detector}.parquet", SOURCE.empty(), provenance)


def test_a_visit_with_one_bad_detector_names_it_and_keeps_the_other(tmp_path, main):
    output = tmp_path / "7.parquet"
    parts = {
        "input": {
            "calexps": [str(tmp_path / f"{d}.fits") for d in (0, 1)],
            "srcs": [str(tmp_path / f"{d}.parquet") for d in (0, 1)],
        },
        "output": {"visit_summary": str(output)},
        "params": {"visit": VISIT},
    }
    job = make_job("summarize_visit", **parts)
    write_detector(tmp_path, 1, job.provenance)
    error = NoSkyError("no sky in sight")
    write_fits_tombstone(tmp_path / "0.fits", error, job.provenance)
    write_table_tombstone(tmp_path / "0.parquet", SOURCE, error, job.provenance)

    main(job)

    table = read_table(output)
    assert column(table, "detector").tolist() == [0, 1]
    assert column(table, "status").tolist() == ["FAILED", "OK"]
    assert column(table, "reason").tolist() == ["NoSky", ""]
    assert column(table, "message").tolist() == ["no sky in sight", ""]
    assert column(table, "nAstrometryStar").tolist() == [0, 10]
