"""Calibration of an image that brings its own PSF, WCS or zero point."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from skyloom.calibrate.photometry import NoGivenZeroPointError
from skyloom.calibrate.pipeline import calibrate_image
from skyloom.calibrate.visit_summary import summarize_detector
from skyloom.core.photo_calib import constant_field
from skyloom.core.tables import column

GIVEN_ZERO_POINT = 5.5


@pytest.fixture(scope="module")
def fitted(scene_of, settings):
    """A scene and what comes out of it when everything is fitted."""
    scene = scene_of(7)
    return scene, *calibrate_image(scene.exposure, scene.references, scene.predicted, settings, scene.rng)


@pytest.fixture
def given(settings):
    """Settings that keep WCS and zero point as they are."""
    changed = copy.deepcopy(settings)
    changed["astrometry"]["wcs"] = changed["photometry"]["zero_point"] = "given"
    return changed


def with_own(scene, psf=None):
    zero_point = constant_field(GIVEN_ZERO_POINT, scene.wcs.shape)
    return replace(scene.exposure, wcs=scene.wcs, psf=psf, photo_calib=zero_point)


def matched(scene, sources):
    """Rows of the sources within a pixel of bright true stars that are alone, and those stars."""
    alone = (
        cKDTree(np.column_stack([scene.x, scene.y])).query(np.column_stack([scene.x, scene.y]), k=2)[0][:, 1]
        > 15
    )
    tree = cKDTree(np.column_stack([column(sources, "x"), column(sources, "y")]))
    distance, row = tree.query(np.column_stack([scene.x, scene.y]))
    star = (distance < 1) & alone & (scene.flux > 5000) & (scene.flux < 1e5)
    return row[star], star


def test_given_wcs_and_zero_point_are_kept_without_any_reference_star(scene_of, given):
    scene = scene_of(7)
    calexp, sources = calibrate_image(with_own(scene), None, scene.wcs, given, scene.rng)
    row, star = matched(scene, sources)
    assert star.sum() > 10
    assert calexp.wcs is scene.wcs
    ra, dec = scene.wcs.pixel_to_sky(column(sources, "x"), column(sources, "y"))
    np.testing.assert_array_equal(column(sources, "ra"), ra)
    np.testing.assert_array_equal(column(sources, "dec"), dec)
    ratio = column(sources, "psfFlux")[row] / (GIVEN_ZERO_POINT * scene.flux[star])
    # The aperture of the correction holds 99.7 % of a star's light, its noise is half a per cent.
    assert np.median(ratio) == pytest.approx(1, abs=0.02)
    assert calexp.wcs_fit is None
    for name in ("calib_astrometry_used", "calib_photometry_used"):
        assert not column(sources, name).any()
    summary = summarize_detector(calexp, sources)
    assert (summary["nAstrometryStar"], summary["nPhotometryStar"]) == (0, 0)
    assert np.isnan(summary["astromRmsRa"])
    assert summary["zeroPoint"] == pytest.approx(31.4 - 2.5 * np.log10(GIVEN_ZERO_POINT))


def test_a_zero_point_is_fitted_to_the_stars_that_a_given_wcs_matches(scene_of, given, fitted):
    scene = scene_of(7)
    given["photometry"]["zero_point"] = "fitted"
    calexp, sources = calibrate_image(with_own(scene), scene.references, scene.wcs, given, scene.rng)
    assert calexp.photo_calib.evaluate(9, 9) == pytest.approx(fitted[1].photo_calib.evaluate(9, 9), rel=2e-3)
    assert column(sources, "calib_photometry_used").sum() > 15
    assert not column(sources, "calib_astrometry_used").any()


def test_a_given_psf_is_used_and_measures_what_the_fitted_one_does(scene_of, settings, fitted):
    _, first, table = fitted
    scene = scene_of(7)
    calexp, sources = calibrate_image(
        with_own(scene, first.psf), scene.references, scene.predicted, settings, scene.rng
    )
    assert calexp.psf is first.psf
    assert not column(sources, "calib_psf_used").any()
    assert column(sources, "calib_psf_candidate").sum() > 15
    row, star = matched(scene, sources)
    other, again = matched(scene, table)
    assert (star == again).all()
    np.testing.assert_allclose(column(sources, "psfFlux")[row], column(table, "psfFlux")[other], rtol=2e-3)


def test_a_zero_point_that_nobody_gives_is_named(scene_of, given):
    scene = scene_of(7)
    exposure = replace(scene.exposure, wcs=scene.wcs)
    with pytest.raises(
        NoGivenZeroPointError, match="column zero_point, as calibrated.zero_point of the camera file"
    ):
        calibrate_image(exposure, None, scene.wcs, given, scene.rng)
