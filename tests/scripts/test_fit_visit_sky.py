"""Script fit_visit_sky, and warp_visit and subtract_template with what it makes."""

import numpy as np
import pytest
from stage_jobs import BIN_SIZE, SIDE, Pair, run, write_sky_calexp, write_tombstone

from skyloom.core.errors import CorruptProductError, UpstreamFailure
from skyloom.core.visit_sky import ForeignVisitSkyError
from skyloom.io.exposures import read_difference, read_exposure
from skyloom.io.products import open_product
from skyloom.io.visit_sky import read_visit_sky

LEVEL = 500.0


def fit(folder, calexps):
    """Sky of some calexps; returns its path."""
    path = str(folder / "visit_sky.fits")
    run("fit_visit_sky", {"calexps": calexps}, {"visit_sky": path})
    return path


def calexps_of(folder, **levels):
    """Calexps of two detectors of visit 1 side by side, and of a third that failed."""
    paths = [
        write_sky_calexp(folder / f"calexp{d}.fits", 1, d, level=LEVEL * (1 + 0.004 * d), **levels)
        for d in (0, 1)
    ]
    return [paths[0], write_tombstone(folder / "bad.fits"), paths[1]]


def test_the_sky_of_a_visit_takes_the_place_of_the_detectors_own(tmp_path):
    calexps = calexps_of(tmp_path, own_error=30.0)

    path = fit(tmp_path, calexps)

    sky = read_visit_sky(path)
    assert list(sky.detectors) == [0, 1]
    assert sky.detectors[1].factor / sky.detectors[0].factor == pytest.approx(1.004, abs=0.002)
    assert open_product(path).visit == 1
    for number, calexp in enumerate(calexps[::2]):
        before, after = read_exposure(calexp), read_exposure(calexp, sky)
        expected = LEVEL * (1 + 0.004 * number)
        assert after.background.image() == pytest.approx(expected, abs=0.3)
        together = [exposure.pixels.image + exposure.background.image() for exposure in (before, after)]
        assert np.allclose(*together, atol=1e-3)
        # The calexp's own background was wrong on a third of the image.
        assert np.ptp(before.background.image()) > 20


def test_a_warp_and_a_difference_have_the_sky_of_the_visit(tmp_path):
    calexps = calexps_of(tmp_path, own_error=30.0)
    sky = fit(tmp_path, calexps)
    medians = {}
    for name, given in {"own": [], "visit": sky}.items():
        warp = str(tmp_path / f"{name}.fits")
        run("warp_visit", {"calexps": calexps[:1], "visit_sky": given}, {"warp": warp})
        image = read_exposure(warp).pixels.image
        medians[name] = [np.nanmedian(image[:40, :40]), np.nanmedian(image[60:100, 60:100])]
    assert abs(np.diff(medians["visit"])[0]) < 1.0
    assert abs(np.diff(medians["own"])[0]) > 10.0


def test_a_difference_is_made_with_the_sky_of_the_visit(tmp_path):
    pair = Pair(tmp_path)
    calexp = write_sky_calexp(tmp_path / "sky.fits", 5, 2, level=LEVEL)
    pair.give_background(LEVEL, 2 * BIN_SIZE)
    with pytest.raises(ForeignVisitSkyError, match=r"a mesh of \(5, 5\) cells of 40 pixels"):
        pair.subtract(["coadd"], visit_sky=fit(tmp_path, [calexp]))
    pair.give_background(LEVEL)
    pair.subtract(["coadd"], visit_sky=fit(tmp_path, [pair.path("calexp")]))
    assert read_difference(pair.path("difference")).exposure.pixels.shape == (SIDE, SIDE)


def test_a_sky_of_another_visit_or_other_detectors_is_refused(tmp_path):
    one, other = (write_sky_calexp(tmp_path / f"{v}.fits", v, 0, level=LEVEL) for v in (1, 2))
    sky = read_visit_sky(fit(tmp_path, [one]))
    told = r"calexp of visit 2, detector 0, needs to be one .*: visit 1, detectors \[0\]"
    with pytest.raises(ForeignVisitSkyError, match=told):
        read_exposure(other, sky)
    third = write_sky_calexp(tmp_path / "3.fits", 1, 3, level=LEVEL)
    with pytest.raises(ForeignVisitSkyError, match="visit 1, detector 3"):
        read_exposure(third, sky)


def test_a_visit_of_tombstones_fails_as_its_first_detector_did(tmp_path):
    with pytest.raises(UpstreamFailure) as caught:
        fit(tmp_path, [write_tombstone(tmp_path / "bad.fits")])
    assert caught.value.reason == "NoOverlap"


def test_another_product_is_no_sky(tmp_path):
    calexp = write_sky_calexp(tmp_path / "calexp.fits", 1, 0, level=LEVEL)
    with pytest.raises(CorruptProductError, match="is no sky of a visit"):
        read_visit_sky(calexp)
