"""What the pictures of the calibration show: residuals that were put in are measured, and drawn as what they are."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

import calibration_figures
import stacked_visits
from skyloom.algorithms.photometry import point_source_image
from skyloom.core.photo_calib import AB_ZERO_POINT
from skyloom.core.psf import PixelPsf, gaussian_kernel
from skyloom.core.wcs import Wcs

SHAPE, SIGMA, SCALE = (200, 200), 1.7, 0.2 / 3600
AP_CORR, FLUX = 1.02, 5e4


def detector(true_sigma=SIGMA):
    """Calexp whose stars may be wider than its PSF, and its 16 sources: a galaxy, a saturated star, stars."""
    psf, truth = (
        PixelPsf(gaussian_kernel(sigma, 31)[None].astype(np.float32), 0, (0, 199, 0, 199))
        for sigma in (SIGMA, true_sigma)
    )
    x, y = (c.ravel() + 0.3 for c in np.meshgrid(np.arange(30.0, 180, 40), np.arange(30.0, 180, 40)))
    n = len(x)
    image = point_source_image(SHAPE, truth, x, y, np.full(n, FLUX))
    wcs = Wcs(np.array([31.0, 2.0]), np.array([99.5, 99.5]), np.diag([-SCALE, SCALE]), shape=SHAPE)
    ra, dec = wcs.pixel_to_sky(x, y)
    one, no = np.ones(n), np.zeros(n, dtype=bool)
    columns = {
        **{"x": x, "y": y, "ra": ra, "dec": dec, "psfFlux": AP_CORR * FLUX * one, "psfFluxErr": 100 * one},
        **{
            "psfFlux_apCorr": AP_CORR * one,
            "ixx": true_sigma**2 * one,
            "iyy": true_sigma**2 * one,
            "ixy": 0 * one,
        },
        **{"ixxPSF": SIGMA**2 * one, "iyyPSF": 0.9 * SIGMA**2 * one, "ixyPSF": 0.1 * one},
        **{"extendedness": 1.0 * (np.arange(n) == 3), "pixelFlags_saturated": np.arange(n) == 5},
        **{"psfFlux_flag": no, "centroid_flag": no, "i_flag": no, "calib_psf_candidate": ~no},
    }
    calexp = SimpleNamespace(
        pixels=SimpleNamespace(image=image, shape=SHAPE), psf=psf, wcs=wcs, info=SimpleNamespace(detector=1)
    )
    return calexp, pa.table(columns)


def test_stars_that_the_psf_made_leave_nothing():
    stars = stacked_visits.psf_stars_of(*detector())

    assert len(stars.x) == 14
    assert np.abs(stars.residuals).max() < 1e-4 * stars.stamps.max()
    assert stars.stamps.sum(axis=(1, 2)) == pytest.approx(1, abs=1e-3)


def test_stars_that_are_wider_than_the_psf_leave_a_ring():
    stars = stacked_visits.psf_stars_of(*detector(true_sigma=1.01 * SIGMA))
    middle = stacked_visits.HALF
    excess = gaussian_kernel(1.01 * SIGMA, 21) - gaussian_kernel(SIGMA, 21)

    assert stars.size == pytest.approx(1.01**2 * 2 / 1.9 - 1)
    assert stars.residuals[:, middle, middle] == pytest.approx(excess[middle, middle], rel=0.02)
    assert stars.psf == pytest.approx((0.1 * SIGMA**2 + 0.2j) / (1.9 * SIGMA**2))


def test_pairs_have_the_offsets_that_were_put_in():
    calexp, src = detector()
    x, y = np.asarray(src["x"]), np.asarray(src["y"])
    ra, dec = calexp.wcs.pixel_to_sky(x - 0.1, y + 0.05)
    flux = AP_CORR * FLUX * 10 ** (-0.4 * 0.003) * np.ones(len(x))
    flux[0] = np.nan
    pairs = stacked_visits.reference_pairs_of(calexp, src, SimpleNamespace(ra=ra, dec=dec, flux=flux))

    assert len(pairs.x) == 13
    assert pairs.along_x == pytest.approx(20, abs=0.01)
    assert pairs.along_y == pytest.approx(-10, abs=0.01)
    assert pairs.flux == pytest.approx(3, abs=1e-6)
    assert pairs.magnitude == pytest.approx(AB_ZERO_POINT - 2.5 * np.log10(AP_CORR * FLUX) + 0.003)


def test_cells_with_few_values_are_empty_and_the_others_have_their_median():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 100, (2, 2000))
    x[0] = y[0] = 100
    is_corner = (x < 20) & (y > 80)
    kept = ~is_corner | (np.cumsum(is_corner) < calibration_figures.FEWEST_IN_CELL)
    medians = calibration_figures.cell_medians(x[kept], y[kept], np.floor(x[kept] / 20))

    assert np.isnan(medians[4, 0])
    assert np.isfinite(medians).sum() == 24
    assert np.array_equal(medians[0], [0, 1, 2, 3, 4])


def test_an_error_along_one_detector_is_drawn_on_it_alone(monkeypatch):
    rng = np.random.default_rng(1)
    n = 1000
    x, y = rng.uniform(0, 1000, (2, n))
    number = rng.integers(0, 2, n)
    residual = np.where(number == 1, 5.0, 0.0) + rng.normal(0, 0.1, n)
    pairs = stacked_visits.ReferencePairs(number, x, y, rng.uniform(16, 21, n), residual, x, y)
    monkeypatch.setattr(calibration_figures, "reference_pairs", lambda _: pairs)

    _, good, off = calibration_figures.photometric_residuals(None).axes

    assert np.asarray(good.images[0].get_array()) == pytest.approx(np.zeros((5, 5)), abs=0.15)
    assert np.asarray(off.images[0].get_array()) == pytest.approx(np.full((5, 5), 5.0), abs=0.15)
    assert "detector 1" in off.get_title(loc="left")
