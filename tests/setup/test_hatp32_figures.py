"""The picture of the page on the real frames."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

import hatp32_figures
from skyloom.core.wcs import Wcs

SHIFT = (0.1, -0.05)


def visit():
    """Return a calexp, its sources and the catalogue: each star but a saturated and a faint one is off by SHIFT."""
    wcs = Wcs(np.array([31.0, 46.8]), np.array([99.5, 99.5]), np.diag([-1.4e-3, 1.4e-3]), shape=(200, 200))
    x, y = (values.ravel() for values in np.meshgrid(np.arange(20.0, 190, 40), np.arange(20.0, 190, 40)))
    stars = wcs.pixel_to_sky(x, y)
    saturated = np.arange(x.size) == 3
    flux = np.where(np.arange(x.size) == 5, 50.0, 1e4)
    columns = {"x": x + SHIFT[0], "y": y + SHIFT[1], "psfFlux": flux, "psfFluxErr": np.ones(x.size)}
    src = pa.table(columns | {"pixelFlags_saturated": saturated})
    return SimpleNamespace(wcs=wcs, pixels=SimpleNamespace(shape=(200, 200))), src, stars


def test_residuals_are_those_of_bright_unsaturated_sources():
    found = hatp32_figures.residuals_of(*visit())

    assert found.shape == (4, 23)
    assert found[2] == pytest.approx(np.full(23, SHIFT[0]), abs=1e-6)
    assert found[3] == pytest.approx(np.full(23, SHIFT[1]), abs=1e-6)


def test_a_night_is_drawn_and_told(tmp_path):
    rng = np.random.default_rng(1)
    residuals = np.concatenate([rng.uniform(0, 600, (2, 500)), rng.normal(0, 0.1, (2, 500))])
    hours = np.linspace(0, 7, 71)
    night = hatp32_figures.Night(hours, 0.1 + 0 * hours, 20 + 0 * hours, residuals, ["72 (TooFewPsfStars)"])

    hatp32_figures.draw(night).savefig(tmp_path / "a.png")

    assert 5_000 < (tmp_path / "a.png").stat().st_size < 150_000
    assert hatp32_figures.describe(night).startswith("71 visits solved; not solved: 72 (TooFewPsfStars)\n")
