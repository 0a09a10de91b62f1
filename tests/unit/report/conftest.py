"""A made-up run of known quality: what the report says of it can be counted by hand."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from report_parts import filled

from skyloom.core import mask_planes
from skyloom.core.calib_images import CalibImage
from skyloom.core.images import DifferenceImage, Exposure, ExposureInfo, MaskedImage
from skyloom.core.psf import CellPsf, PixelPsf, gaussian_kernel
from skyloom.core.schemas import DIA_SOURCE, SOURCE, VISIT_SUMMARY
from skyloom.core.sky_map import Tract
from skyloom.core.tables import Column, TableSchema, column

SHAPE = (200, 200)
TRUTH = TableSchema(
    "truth",
    (
        Column("kind", "string", "", "Kind."),
        Column("id", "int64", "", "Identifier."),
        *(Column(name, "float64", "", name) for name in ("x", "y", "ra", "dec", "flux")),
    ),
)


def make_truth(rng, n_star=40, n_transient=3):
    """Return stars of S/N 8 to 800 (noise 1 nJy) on a grid, and a few transients of S/N 30."""
    n = n_star + n_transient
    place = np.arange(n)
    x, y = 20.0 + 24 * (place % 7) + rng.uniform(0, 1, n), 20.0 + 24 * (place // 7) + rng.uniform(0, 1, n)
    flux = np.concatenate([np.geomspace(8, 800, n_star), np.full(n_transient, 30.0)])
    kind = ["star"] * n_star + ["transient"] * n_transient
    return TRUTH.table(
        {"id": place, "kind": kind, "x": x, "y": y, "ra": 10 + x * 5e-5, "dec": 20 + y * 5e-5, "flux": flux}
    )


def make_sources(truth, offset_mas=2.0, ratio=1.004):
    """Return the sources of all true objects, a little off in position and flux."""
    n = truth.num_rows
    x, y, ra, dec, flux = (column(truth, name) for name in ("x", "y", "ra", "dec", "flux"))
    offset = offset_mas / 3.6e6
    return filled(
        SOURCE,
        n,
        x=x,
        y=y,
        ra=ra + offset / np.cos(np.radians(dec)),
        dec=dec - offset,
        psfFlux=flux * ratio,
        psfFluxErr=np.ones(n),
    )


def blank_pixels(rng, sigma, stated=None):
    """Return blank sky of noise `sigma` whose variance says `stated`."""
    variance = np.full(SHAPE, (stated or sigma) ** 2, np.float32)
    image = rng.normal(0, sigma, SHAPE).astype(np.float32)
    return MaskedImage(image, np.zeros(SHAPE, np.uint32), variance)


@dataclass
class MadeUpRun:
    """What a `RunReader` would read."""

    has_truth: bool = True
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(4))
    bands: tuple = ("g", "r", "i")
    read: list = field(default_factory=list)
    false_at: dict = field(default_factory=lambda: {1: (100.0, 190.0), 2: (100.0, 190.0)})

    def __post_init__(self):
        """Make the truth of each visit."""
        self.truths = {visit: make_truth(self.rng) for visit in (1, 2, 3)}

    def find_a_brighter_star(self, visit, number):
        """Make a star twice as bright in one visit, and a DIA source of what was a false one."""
        truth = self.truths[visit]
        values = {name: column(truth, name) for name in truth.column_names}
        self.truths[visit] = TRUTH.table(
            values | {"flux": values["flux"] * np.where(values["id"] == number, 2.0, 1.0)}
        )
        self.false_at[visit] = values["x"][number], values["y"][number]

    def detectors(self, kind):
        """Return three detectors, one of them a tombstone."""
        return [(1, 0), (2, 0), (3, 0)] if kind == "srcs" else [(1, 0), (2, 0)]

    def visit_summary(self):
        """Return a summary with one failure."""
        status = ["OK", "OK", "FAILED"]
        return filled(
            VISIT_SUMMARY,
            3,
            visit=np.array([1, 2, 3]),
            band=["r", "i", "r"],
            status=status,
            reason=["", "", "TooFewStars"],
            message=["", "", "2 stars, needs 10"],
            xSize=np.array([200, 200, 0]),
            ySize=np.array([200, 200, 0]),
            seeing=np.array([0.8, 0.7, np.nan]),
            magLim=np.array([24.0, 23.5, np.nan]),
        )

    def table(self, kind, visit, detector):
        """Return sources; visit 3 is a tombstone."""
        self.read.append((kind, visit, detector))
        if visit == 3:
            return None
        if kind == "srcs":
            return make_sources(self.truths[visit])
        truth = self.truths[visit]
        chosen = np.flatnonzero(column(truth, "kind") == "transient")[:-1]
        x = np.append(column(truth, "x")[chosen], self.false_at[visit][0])
        y = np.append(column(truth, "y")[chosen], self.false_at[visit][1])
        return filled(DIA_SOURCE, 3, x=x, y=y, snr=np.array([30.0, 25.0, 6.0]))

    def truth(self, visit, detector=None):
        """Return the truth."""
        return self.truths[visit]

    def difference(self, visit, detector):
        """Return blank sky whose noise is right."""
        self.read.append((visit, detector))
        psf = PixelPsf(gaussian_kernel(1.5, 15)[None].astype(np.float32), 0, (0, 200, 0, 200))
        pixels = blank_pixels(self.rng, 0.2)
        exposure = Exposure(pixels, ExposureInfo(visit=visit, band="r"), psf=psf)
        return DifferenceImage(exposure, np.zeros(SHAPE, np.float32), None)

    def calexp(self, visit, detector):
        """Return blank sky."""
        return Exposure(blank_pixels(self.rng, 0.2), ExposureInfo(visit=visit))

    def objects(self, columns):
        """Yield no object."""
        return iter(())

    def calibs(self):
        """Yield a bias of 12 frames around 2 electrons with one bad pixel of 100."""
        image = np.full((10, 10), 2.0, np.float32)
        is_bad = np.zeros((10, 10), bool)
        image[0, 0], is_bad[0, 0] = 1e6, True
        yield "e1/bias/none/0", CalibImage("bias", image, np.ones_like(image), is_bad, {"n_frame": 12})

    def coadds(self):
        """Return two patches in three bands."""
        return [(band, 1, patch) for band in sorted(self.bands) for patch in ("0_0", "1_0")]

    def coadd(self, band, tract, patch):
        """Return a coadd; the variance of g is wrong by 20 % in sigma."""
        self.read.append((band, tract, patch))
        pixels = blank_pixels(self.rng, 1.2 if band == "g" else 1.0, 1.0)
        pixels.mask[:5] |= mask_planes.NO_DATA
        images = np.broadcast_to(gaussian_kernel(1.5, 15), (1, 1, 15, 15)).astype(np.float32)
        wcs = Tract(tract, 10.0, 20.0, (2, 1), 0.2, 180, 10).patch("1_0" if patch == "1_0" else "0_0").wcs
        return Exposure(
            pixels, ExposureInfo(band=band, tract=tract, patch=patch), wcs=wcs, psf=CellPsf(images, 200)
        )


@pytest.fixture
def run():
    """Return a simulated run."""
    return MadeUpRun()


@pytest.fixture
def real_run():
    """Return a run without truth."""
    return MadeUpRun(has_truth=False)
