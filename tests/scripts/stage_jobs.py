"""Calexps, coadds and tables of sources on disk, and jobs of the scripts of the later stages on them."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from skyloom.core import mask_planes
from skyloom.core.errors import DataError
from skyloom.core.ids import source_ids
from skyloom.core.images import Background, Exposure, ExposureInfo, MaskedImage
from skyloom.core.photo_calib import constant_field
from skyloom.core.psf import CellPsf, PixelPsf, gaussian_kernel
from skyloom.core.schemas import COADD_INPUT, DIA_SOURCE
from skyloom.core.wcs import Wcs
from skyloom.io.exposures import read_exposure, write_exposure
from skyloom.io.fits_files import write_fits_tombstone
from skyloom.io.provenance import Provenance
from skyloom.warp.pipeline import NoOverlapError
from skyloom.workflow import make_job

ROOT = Path(__file__).parents[2]
SIDE = 200
BIN_SIZE = 20
"""Of the cells of a sky [pixel]."""
SCALE = 0.2 / 3600
SKY_MAP = {
    "kind": "grid",
    "pixel_scale": 0.2,
    "patch_inner": 160,
    "patch_border": 20,
    "tracts": [{"tract": 1, "ra": 150.0, "dec": 2.2, "patches": [1, 1]}],
}
WHERE = {"tract": "1", "patch": "0_0"}
TRANSIENT = (101.0, 96.0, 6e4)
PROVENANCE = Provenance(rule="test")


def script(name):
    """Module of a script."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def defaults_of(name):
    """Return the default settings of a section."""

    def walk(node):
        if "default" in node:
            return node["default"]
        return {key: walk(child) for key, child in node["properties"].items()}

    return walk(yaml.safe_load((ROOT / "config" / "schema" / f"{name}.yaml").read_text(encoding="utf-8")))


def run(name, inputs, outputs, *, wildcards=WHERE, **params):
    """Run a script with the default settings of the stages after the visits'."""
    stages = ("visit_sky", "warp", "coadd", "objects", "diff", "dia", "association")
    settings = {stage: defaults_of(stage) for stage in stages}
    # The detectors are small.
    settings["visit_sky"]["bin_size"] = BIN_SIZE
    params = {"settings": settings, "sky_map": SKY_MAP} | params
    script(name).main(make_job(name, input=inputs, output=outputs, wildcards=wildcards, params=params))


def write_tombstone(path, error=None):
    """Write a tombstone, of a visit that does not meet its patch unless another error is given; return its path."""
    write_fits_tombstone(path, error or NoOverlapError(9, 1, "0_0", 2), PROVENANCE)
    return str(path)


def flat_wcs(centre, place=(150.0, 2.2)):
    """North up, East to the left, a sky position at a pixel."""
    return Wcs(np.array(place), np.array(centre), SCALE * np.diag([-1.0, 1.0]), shape=(SIDE, SIDE))


def gaussian_field(rng, stars, sigma, noise=20.0):
    """Return an image of Gaussian stars (x, y, flux) with noise, as float32."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    image = rng.normal(0, noise, (SIDE, SIDE))
    for px, py, flux in stars:
        image += flux * np.exp(-0.5 * ((x - px) ** 2 + (y - py) ** 2) / sigma**2) / (2 * np.pi * sigma**2)
    mask, variance = np.zeros((SIDE, SIDE), np.uint32), np.full((SIDE, SIDE), noise**2, np.float32)
    return MaskedImage(image.astype(np.float32), mask, variance)


def gaussian_psf(sigma):
    """PSF of a Gaussian that is the same everywhere."""
    domain = (-0.5, SIDE - 0.5, -0.5, SIDE - 0.5)
    return PixelPsf(gaussian_kernel(sigma, 25)[None].astype(np.float32), 0, domain)


def write_calexp(path, visit, rng, place=(150.0, 2.2)):
    """One detector with a star of 1e4 nJy at a place of the sky, the tract's centre."""
    centre = np.array([(SIDE - 1) / 2, (SIDE - 1) / 2]) + rng.uniform(-2, 2, 2)
    pixels = gaussian_field(rng, [(*centre, 1e4)], 1.6, noise=2.0)
    info = ExposureInfo(visit=visit, detector=0, band="r", mjd=60000.0 + visit, exposure_time=30.0)
    exposure = Exposure(pixels, info, wcs=flat_wcs(centre, place), psf=gaussian_psf(1.6))
    write_exposure(path, exposure, PROVENANCE)
    return str(path)


def write_sky_calexp(path, visit, detector, *, level, own_error=0.0, is_masked=False):
    """One detector of a row of them, with a sky that its own background has too high on one side; return its path."""
    rng = np.random.default_rng([visit, detector])
    centre = ((SIDE - 1) / 2 - (SIDE + 4) * detector, (SIDE - 1) / 2)
    n = SIDE // BIN_SIZE
    own = Background(np.full((n, n), level, np.float32), BIN_SIZE, (SIDE, SIDE))
    own.mesh[:, : n // 3] += own_error
    pixels = gaussian_field(rng, [], 1.6, noise=5.0)
    mask = np.full(pixels.shape, mask_planes.DETECTED if is_masked else 0, np.uint32)
    image = pixels.image + np.float32(level) - own.image()
    exposure = Exposure(
        replace(pixels, image=image, mask=mask),
        ExposureInfo(visit=visit, detector=detector, band="r", mjd=60000.0, exposure_time=30.0),
        wcs=flat_wcs(centre),
        psf=gaussian_psf(1.6),
        photo_calib=constant_field(1.0, (SIDE, SIDE), 0.001),
        background=own,
    )
    write_exposure(path, exposure, PROVENANCE)
    return str(path)


def inputs_of(visits):
    """Return a coadd's table of inputs."""
    kinds = {"bool": True, "string": "0", "int64": 0, "float64": 1.0}
    values = {c.name: [kinds[c.type]] * len(visits) for c in COADD_INPUT.columns}
    return COADD_INPUT.table(values | {"visit": visits})


class Pair:
    """A calexp and a template of the same stars on disk, and jobs on them.

    Parameters
    ----------
    folder : Path
        For all files.
    n_star : int
        Stars beside the transient that the calexp alone shows.
    """

    def __init__(self, folder, n_star=40):
        self.folder = folder
        rng = np.random.default_rng(1)
        places, fluxes = rng.uniform(25, SIDE - 25, (2, n_star)), 10 ** rng.uniform(4, 5, n_star)
        stars = list(zip(*places, fluxes, strict=True))
        wcs = flat_wcs((100.0, 100.0), (150.0, 2.0))
        info = ExposureInfo(visit=5, detector=2, band="r", mjd=60000.0, exposure_time=30.0)
        science = gaussian_field(rng, [*stars, TRANSIENT], 2.1)
        write_exposure(self.path("calexp"), Exposure(science, info, wcs, gaussian_psf(2.1)), PROVENANCE)
        cells = CellPsf(np.tile(gaussian_kernel(1.7, 25), (2, 2, 1, 1)).astype(np.float32), 100)
        info = ExposureInfo(band="r", tract=1, patch="0_0", kind="good_seeing")
        self.coadd = Exposure(gaussian_field(rng, stars, 1.7), info, wcs, cells, inputs=inputs_of([3, 4]))
        write_exposure(self.path("coadd"), self.coadd, PROVENANCE)
        write_tombstone(self.path("tombstone"), DataError("nothing there"))

    def path(self, name):
        """Path of one of the files (str)."""
        return str(self.folder / f"{name}.fits")

    def give_background(self, level, bin_size=BIN_SIZE):
        """Write the calexp with a zero point and a background that was subtracted."""
        mesh = np.full((SIDE // bin_size,) * 2, level, np.float32)
        background = Background(mesh, bin_size, (SIDE, SIDE))
        field = constant_field(1.0, (SIDE, SIDE), 0.001)
        calexp = replace(read_exposure(self.path("calexp")), photo_calib=field, background=background)
        write_exposure(self.path("calexp"), calexp, PROVENANCE)

    def subtract(self, template, visit_sky=()):
        """Run the script with the files of some names as template, and the sky of the visit on demand."""
        inputs = {"calexp": self.path("calexp"), "template": [self.path(name) for name in template]}
        inputs["visit_sky"] = visit_sky
        outputs = {"difference": self.path("difference"), "dia_source": str(self.folder / "dia.parquet")}
        run("subtract_template", inputs, outputs)


def dia_sources_of(visit, band="r"):
    """Return one DIA source of a visit."""
    kinds = {
        "bool": [False],
        "string": [band],
        "int32": [0],
        "int64": [0],
        "float32": [1.0],
        "float64": [1.0],
    }
    values = {c.name: kinds[c.type] for c in DIA_SOURCE.columns}
    values |= {"ra": [150.0], "dec": [2.2], "raErr": [1e-5], "decErr": [1e-5], "visit": [visit]}
    return DIA_SOURCE.table(values | {"diaSourceId": source_ids(visit, 0, 1)})
