"""Whiskers lie on the sky as the PSF does, and TE1 and TE2 are the correlations that one can sum by hand."""

import numpy as np
import pytest
from report_parts import filled, summary_of

from skyloom.core.schemas import SOURCE
from skyloom.core.tables import column
from skyloom.report.ellipticity import (
    ShapeCollector,
    cells_of,
    ellipticity,
    residual_correlations,
    sky_shapes,
)

SCALE = 0.2 / 3600


def sources(n=40, seed=1, *, parity=1, rotation=0.0, moments=(5.0, 3.0, 0.0), **values):
    """Sources of a detector of 0.2 arcsec pixels around (10, 0) that is turned and, with parity -1, flipped."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, 1000, (2, n))
    cosine, sine = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    east, north = parity * (x - 500) * SCALE, (y - 500) * SCALE
    ixx, iyy, ixy = moments
    given = {
        "x": x, "y": y, "ra": 10 + cosine * east + sine * north, "dec": -sine * east + cosine * north,
        "ixxPSF": np.full(n, ixx), "iyyPSF": np.full(n, iyy), "ixyPSF": np.full(n, ixy),
        "ixx": np.full(n, ixx), "iyy": np.full(n, iyy), "ixy": np.full(n, ixy),
    }  # fmt: skip
    return filled(SOURCE, n, **(given | values))


def test_ellipticity_is_that_of_the_second_moments():
    assert ellipticity(5.0, 3.0, 0.0, np.eye(2)) == pytest.approx(0.25)
    assert ellipticity(4.0, 4.0, 1.0, np.eye(2)) == pytest.approx(0.25j)


@pytest.mark.parametrize("parity", [1, -1])
def test_a_psf_along_x_lies_along_the_axis_of_the_sky_that_x_points_to(parity):
    for rotation, expected in ((0, 0.25), (90, -0.25), (180, 0.25)):
        shapes = sky_shapes(sources(parity=parity, rotation=rotation), (10.0, 0.0))
        assert shapes.psf.real == pytest.approx(expected, abs=1e-4)
        assert shapes.psf.imag == pytest.approx(0, abs=1e-4)


def test_a_flip_turns_a_diagonal():
    diagonal = {"moments": (4.0, 4.0, 1.0)}
    assert sky_shapes(sources(**diagonal), (10.0, 0.0)).psf.imag == pytest.approx(0.25, abs=1e-4)
    assert sky_shapes(sources(parity=-1, **diagonal), (10.0, 0.0)).psf.imag == pytest.approx(-0.25, abs=1e-4)


def test_few_sources_do_not_tell_how_the_pixels_lie():
    assert sky_shapes(sources(n=9), (10.0, 0.0)) is None


def test_each_quarter_of_a_detector_has_a_whisker():
    shapes = sky_shapes(sources(n=400), (10.0, 0.0))
    cells = np.array(cells_of(shapes))
    assert cells.shape == (4, 4)
    # Quarters of a detector of 200 arcsec, whose middles are 50 arcsec from its own; the median of 100 sources that are
    # spread over 100 arcsec is uncertain by 5, of which four are allowed.
    assert np.abs(cells[:, :2]) == pytest.approx(50 / 60, abs=20 / 60)
    assert cells[:, 2] == pytest.approx(0.25, abs=1e-4)
    assert cells_of(sky_shapes(sources(ixxPSF=np.full(40, np.nan)), (10.0, 0.0))) == []


def test_correlations_are_means_over_close_and_distant_pairs():
    xi, eta = np.array([0.0, 0.5, 6.0]), np.zeros(3)
    residual = np.array([0.1 + 0.1j, 0.2, 0.3j])
    # Close: 0.1 x 0.2. Distant (6 and 5.5 arcmin): 0.1 x 0.3 and 0.
    assert residual_correlations(xi, eta, residual) == pytest.approx((0.02, 0.015))
    assert np.isnan(residual_correlations(xi[:1], eta[:1], residual[:1])).all()


def test_te1_is_the_absolute_median_over_the_visits():
    summary = summary_of(visit=[1, 2, 3], ra=[10.0, 10.0, np.nan], dec=[0.0, 0.0, np.nan])
    collector = ShapeCollector(summary)
    stars = np.zeros(40, dtype=bool)
    stars[:2] = True
    place = {"x": np.linspace(0, 390, 40), "y": np.tile([0.0, 5.0], 20)}
    place |= {"ra": 10 + place["x"] * SCALE, "dec": place["y"] * SCALE}
    for visit, excess in ((1, (0.1, -0.1)), (2, (0.1, -0.3))):
        ixx, iyy = np.full(40, 4.0), np.full(40, 4.0)
        for k, e in enumerate(excess):
            ixx[k], iyy[k] = 4 * (1 + e), 4 * (1 - e)
        shape = {"ixx": ixx, "iyy": iyy, "moments": (4.0, 4.0, 0.0), "calib_psf_candidate": stars}
        collector.add(sources(**place, **shape), visit, 0, "r")
    te1, te2 = collector.measurements("r")
    assert te1.value == pytest.approx((0.01 + 0.03) / 2, rel=1e-3)
    assert te1.n == 2
    assert np.isnan(te2.value)
    assert np.isnan(collector.measurements("g")[0].value)
    assert set(column(collector.whiskers(), "visit")) == {1, 2}


def test_without_sources_there_is_no_whisker():
    collector = ShapeCollector(summary_of(visit=[1], ra=[10.0], dec=[0.0]))
    collector.add(sources(n=3), 1, 0, "r")
    assert collector.whiskers().num_rows == 0
