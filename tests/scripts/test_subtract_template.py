"""Script subtract_template: a calexp and a coadd on disk become a difference and its sources."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from skyloom.core.errors import DataError
from skyloom.core.images import Exposure, ExposureInfo, MaskedImage
from skyloom.core.psf import CellPsf, PixelPsf, gaussian_kernel
from skyloom.core.schemas import COADD_INPUT
from skyloom.core.tables import column
from skyloom.core.wcs import Wcs
from skyloom.io.exposures import read_difference, write_exposure
from skyloom.io.fits_files import write_fits_tombstone
from skyloom.io.provenance import Provenance
from skyloom.io.tables import read_table
from skyloom.workflow.job import make_job

ROOT = Path(__file__).parents[2]
SIZE = 200
TRANSIENT = (101.0, 96.0, 6e4)


def defaults_of(name):
    """Return the default settings of a section."""

    def walk(node):
        if "default" in node:
            return node["default"]
        return {key: walk(child) for key, child in node["properties"].items()}

    return walk(yaml.safe_load((ROOT / "config" / "schema" / f"{name}.yaml").read_text(encoding="utf-8")))


def load(name):
    """Import a script as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def inputs_of(visits):
    """Return a coadd's table of inputs."""
    kinds = {"bool": True, "string": "0", "int64": 0, "float64": 1.0}
    values = {c.name: [kinds[c.type]] * len(visits) for c in COADD_INPUT.columns}
    return COADD_INPUT.table(values | {"visit": visits})


def gaussian_field(rng, stars, sigma, noise=20.0):
    """Return an image of Gaussian stars (x, y, flux) with noise, as float32."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    image = rng.normal(0, noise, (SIZE, SIZE))
    for px, py, flux in stars:
        image += flux * np.exp(-0.5 * ((x - px) ** 2 + (y - py) ** 2) / sigma**2) / (2 * np.pi * sigma**2)
    mask, variance = np.zeros((SIZE, SIZE), np.uint32), np.full((SIZE, SIZE), noise**2, np.float32)
    return MaskedImage(image.astype(np.float32), mask, variance)


@pytest.fixture
def files(tmp_path):
    """Write a calexp and a coadd of the same stars, and return a job on them."""
    rng = np.random.default_rng(1)
    stars = list(zip(*rng.uniform(25, SIZE - 25, (2, 40)), 10 ** rng.uniform(4, 5, 40), strict=True))
    cd = np.array([[-0.2, 0.0], [0.0, 0.2]]) / 3600
    wcs = Wcs(np.array([150.0, 2.0]), np.array([100.0, 100.0]), cd, shape=(SIZE, SIZE))
    domain = (-0.5, SIZE - 0.5, -0.5, SIZE - 0.5)
    psf = PixelPsf(gaussian_kernel(2.1, 25)[None].astype(np.float32), 0, domain)
    info = ExposureInfo(visit=5, detector=2, band="r", mjd=60000.0, exposure_time=30.0)
    science = Exposure(gaussian_field(rng, [*stars, TRANSIENT], 2.1), info, wcs, psf)
    cells = CellPsf(np.tile(gaussian_kernel(1.7, 25), (2, 2, 1, 1)).astype(np.float32), 100)
    coadd_info = ExposureInfo(band="r", tract=1, patch="0_0", kind="good_seeing")
    coadd = Exposure(gaussian_field(rng, stars, 1.7), coadd_info, wcs, cells, inputs=inputs_of([3, 4]))
    paths = {name: str(tmp_path / f"{name}.fits") for name in ("calexp", "coadd", "tombstone", "difference")}
    write_exposure(paths["calexp"], science, Provenance("test"))
    write_exposure(paths["coadd"], coadd, Provenance("test"))
    write_fits_tombstone(paths["tombstone"], DataError("nothing there"), Provenance("test"))
    return paths, coadd, tmp_path


def job_of(paths, folder, template):
    """Return a job of the script."""
    return make_job(
        "subtract_template",
        input={"calexp": paths["calexp"], "template": template},
        output={"difference": paths["difference"], "dia_source": str(folder / "dia.parquet")},
        params={"settings": {"diff": defaults_of("diff"), "dia": defaults_of("dia")}},
    )


def test_the_difference_and_its_sources_are_written_and_a_tombstone_is_skipped(files):
    paths, _, folder = files
    load("subtract_template").main(job_of(paths, folder, [paths["tombstone"], paths["coadd"]]))

    sources = read_table(folder / "dia.parquet")
    x, y, flux = TRANSIENT
    assert sources.num_rows == 1
    assert column(sources, "x")[0] == pytest.approx(x, abs=0.2)
    assert column(sources, "y")[0] == pytest.approx(y, abs=0.2)
    assert column(sources, "psfFlux")[0] == pytest.approx(flux, rel=0.05)
    difference = read_difference(paths["difference"])
    assert difference.kernel.convolved == "template"
    assert np.isfinite(difference.exposure.pixels.image[20:-20, 20:-20]).all()


@pytest.mark.parametrize(("visits", "expected"), [([3, 4], False), ([3, 5], True)])
def test_a_difference_says_whether_its_visit_is_in_the_template(files, visits, expected):
    from astropy.io import fits

    paths, coadd, folder = files
    # As deep as two visits: of one alone there would be nothing left to subtract.
    pixels = replace(coadd.pixels, variance=coadd.pixels.variance / 2)
    write_exposure(
        paths["coadd"], replace(coadd, pixels=pixels, inputs=inputs_of(visits)), Provenance("test")
    )
    load("subtract_template").main(job_of(paths, folder, [paths["coadd"]]))
    assert fits.getheader(paths["difference"])["INTEMPL"] is expected


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
def test_without_a_template_nothing_is_wrong_unless_the_template_failed(files, upstream, status, reason):
    paths, _, folder = files
    if upstream:
        write_fits_tombstone(paths["tombstone"], upstream, Provenance("test"))
    with pytest.raises(DataError) as caught:
        load("subtract_template").main(job_of(paths, folder, [paths["tombstone"]] if upstream else []))
    assert (caught.value.status, caught.value.reason) == (status, reason)
    assert not Path(paths["difference"]).exists()
