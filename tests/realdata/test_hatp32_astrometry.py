"""The astrometric match on real frames of unknown rotation and parity, their pointing half a degree off."""

import warnings

import numpy as np
import pytest
import sep
from astropy.io import fits

from skyloom.calibrate.astrometry import AstrometryMatchError, SourcePositions, fit_astrometry
from skyloom.core.wcs import Wcs
from skyloom.io.reference import read_reference_catalog
from skyloom.workflow.config import fill_defaults, load_schema

SHAPE = (500, 650)
SCALE = 5.21
MJD = 58107.2
POINTING_UNCERTAINTY = 3600.0


@pytest.fixture(scope="module")
def settings(pytestconfig):
    """Defaults, with a search of every rotation and parity, and the columns of the catalogue."""
    defaults = fill_defaults(load_schema(pytestconfig.rootpath / "config" / "schema"), {})
    search = {"rotation_deg": 180.0, "parity": "any", "scale_tolerance": 0.03}
    defaults["calibrate"]["astrometry"]["search"] |= search
    columns = dict.fromkeys(defaults["reference"]["columns"]) | {"ra": "ra_deg", "dec": "dec_deg"}
    defaults["reference"] |= {"columns": columns, "fluxes": {"clear": "mag_vt"}, "flux_unit": "mag_ab"}
    defaults["reference"] |= {"epoch": 2000.0, "default_position_error": 60.0}
    return defaults


def references(folder, settings, ra):
    catalogue = folder / "hatp32-raw-frames" / "tycho2_field.csv"
    return read_reference_catalog(catalogue, settings["reference"], "clear", (ra, 46.77, 3.0), MJD)


def sources(path):
    """Detections of a frame, hot pixels and all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path, ignore_missing_end=True) as hdus:
            image = hdus[0].data.astype(np.float32)
    background = sep.Background(image, bw=64, bh=64)
    found = sep.extract(image - background, 5.0, err=background.globalrms, minarea=5)
    error = np.full(len(found), 0.1)
    return SourcePositions(found["x"], found["y"], error, error, found["flux"])


def predicted():
    centre = np.array([(SHAPE[1] - 1) / 2, (SHAPE[0] - 1) / 2])
    return Wcs(np.array([31.312, 46.769]), centre, np.diag([-SCALE, SCALE]) / 3600, shape=SHAPE)


def solve(path, folder, settings):
    stars = references(folder, settings, 31.3)
    section = settings["calibrate"]["astrometry"]
    return fit_astrometry(sources(path), stars, predicted(), POINTING_UNCERTAINTY, section)


def check(results):
    rms = [np.hypot(r.fit.rms_x_arcsec, r.fit.rms_y_arcsec) / np.sqrt(2) / SCALE for r in results]
    assert max(rms) <= 0.30
    scales = [r.wcs.pixel_scale() for r in results]
    assert np.ptp(scales) < 0.02
    for result in results:
        matrix = result.wcs.cd
        assert np.linalg.det(matrix) > 0  # mirrored: +x is West when +y is South
        turn = np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))
        assert abs(abs(turn) - 180) < 2


@pytest.mark.realdata
def test_six_frames_are_solved_without_knowing_rotation_and_parity(realdata, settings):
    frames = sorted((realdata / "hatp32-raw-frames" / "frames").iterdir())[::12][:6]

    results = [solve(frame, realdata, settings) for frame in frames]

    check(results)


@pytest.mark.realdata
def test_a_frame_against_stars_of_another_field_is_refused(realdata, settings):
    frame = sorted((realdata / "hatp32-raw-frames" / "frames").iterdir())[0]
    stars = references(realdata, settings, 31.3)
    flipped = stars.select(np.arange(len(stars)))
    rng = np.random.default_rng(1)
    flipped.ra[:], flipped.dec[:] = rng.permutation(flipped.ra), rng.permutation(flipped.dec)

    with pytest.raises(AstrometryMatchError, match="where chance gives"):
        fit_astrometry(
            sources(frame), flipped, predicted(), POINTING_UNCERTAINTY, settings["calibrate"]["astrometry"]
        )


@pytest.mark.bars
@pytest.mark.realdata
def test_all_frames_are_solved(realdata, settings):
    frames = sorted((realdata / "hatp32-raw-frames" / "frames").iterdir())
    assert len(frames) == 71

    check([solve(frame, realdata, settings) for frame in frames])
