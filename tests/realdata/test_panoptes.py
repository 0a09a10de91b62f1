"""Frames of a DSLR camera with a mosaic of filters: solved from nothing, calibrated colour by colour.

No star list comes with the frames. Their stars' places are those that the published solution of one of them gives to
detections by SEP: good to 0.9 raw pixels (Tycho-2), for the other frame a list like any other.
"""

import csv
import warnings

import numpy as np
import pytest
import sep
import yaml
from astropy.io import fits
from astropy.wcs import WCS

from skyloom.algorithms.matching import match_nearest
from skyloom.calibrate.pipeline import calibrate_image, reference_region
from skyloom.commands.main import main
from skyloom.core.geometry import predicted_wcs
from skyloom.core.images import ExposureInfo
from skyloom.core.wcs import tan_project
from skyloom.io.calibs import read_calibs
from skyloom.io.raws import read_raw
from skyloom.io.reference import read_reference_catalog
from skyloom.isr.pipeline import remove_instrument_signature
from skyloom.workflow.survey import load_survey

RAW_SCALE = 10.31
INFO = (
    "visit",
    "band",
    "mjd",
    "exposure_time",
    "airmass",
    "ra",
    "dec",
    "rotation",
    "pointing_uncertainty",
    "camera",
)
pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def folder(realdata, tmp_path_factory):
    """Folder of both frames and a list of the stars of the solved one."""
    folder = tmp_path_factory.mktemp("panoptes")
    for name in ("solved.fits.fz", "unsolved.fits"):
        (folder / name).symlink_to(realdata / "panoptes-solved-unsolved" / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(folder / "solved.fits.fz") as hdus:
            image, wcs = hdus[1].data.astype(np.float32), WCS(hdus[1].header)
    # The four colours of a cell together: no step between neighbouring pixels.
    cells = np.ascontiguousarray(image.reshape(350, 2, 350, 2).sum(axis=(1, 3)))
    background = sep.Background(cells, bw=32, bh=32)
    found = sep.extract(cells - background.back(), 10.0, err=background.globalrms)
    ra, dec = wcs.all_pix2world(2 * found["x"] + 0.5, 2 * found["y"] + 0.5, 0)
    rows = enumerate(zip(ra, dec, 20 - 2.5 * np.log10(found["flux"]), strict=True), start=1)
    lines = [f"{n},{a:.6f},{d:.6f},{m:.3f},0,0" for n, (a, d, m) in rows]
    (folder / "stars.csv").write_text("id,ra,dec,mag,pmra,pmdec\n" + "\n".join(lines) + "\n")
    return folder


def test_both_frames_are_solved_without_a_pointing_and_become_a_visit_a_colour(
    folder, tmp_path, pytestconfig
):
    camera = pytestconfig.rootpath / "config" / "cameras" / "panoptes.yaml"
    command = ["visit-table", str(folder), "--camera", str(camera), "--output", str(tmp_path)]
    assert main([*command, "--solve", str(folder / "stars.csv")]) == 0
    with open(tmp_path / "visits.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["band"] for row in rows] == ["red", "green", "blue"] * 2
    solved = rows[3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wcs = WCS(fits.getheader(folder / "solved.fits.fz", 1))
    ra, dec = wcs.all_pix2world(349.5, 349.5, 0)
    xi, eta = tan_project(np.array([float(solved["ra"])]), np.array([float(solved["dec"])]), ra, dec)
    # A similarity cannot follow the distortion of the published solution, 2 raw pixels at the edges.
    assert np.hypot(xi, eta)[0] * 3600 < 1.5 * RAW_SCALE
    # +y is up in the published matrix: d(ra, dec)/dy = (0.00286, 0.00001).
    assert float(solved["rotation"]) == pytest.approx(np.degrees(np.arctan2(0.0028630, 0.0000141)), abs=0.3)
    assert float(rows[0]["rotation"]) == pytest.approx(float(solved["rotation"]), abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("visit", "detector"), [(1, 2), (6, 1)])
def test_a_colour_is_calibrated_with_its_own_pixels(folder, pytestconfig, monkeypatch, visit, detector):
    home = pytestconfig.rootpath
    monkeypatch.chdir(home)
    content = yaml.safe_load((home / "config" / "surveys" / "panoptes.yaml").read_text()) | {
        "raw_root": str(folder)
    }
    survey = load_survey(content, [("panoptes.yaml", content)], home)
    assert survey.detectors == {1: (2,), 2: (0, 3), 3: (1,), 4: (2,), 5: (0, 3), 6: (1,)}
    camera, settings = survey.cameras["panoptes"].camera, survey.settings
    info = ExposureInfo(detector=detector, **{name: survey.visits[visit][name] for name in INFO})
    raw = read_raw(survey.raws[visit, detector], camera.detectors[detector], camera.raw)
    exposure = remove_instrument_signature(raw, read_calibs({}), info, settings["isr"])
    predicted = predicted_wcs(camera, detector, info.ra, info.dec, info.rotation)
    region = reference_region(predicted, info, settings["calibrate"]["astrometry"])
    stars = read_reference_catalog(folder / "stars.csv", settings["reference"], info.band, region, info.mjd)

    calexp, sources = calibrate_image(
        exposure, stars, predicted, settings["calibrate"], np.random.default_rng(1)
    )

    assert calexp.wcs_fit.n_matched > 30
    assert max(calexp.wcs_fit.rms_x_arcsec, calexp.wcs_fit.rms_y_arcsec) < 0.5 * RAW_SCALE
    used = sources["calib_astrometry_used"].to_numpy()
    ra, dec = (sources[name].to_numpy()[used] for name in ("ra", "dec"))
    centre = (info.ra, info.dec)
    here, there = tan_project(ra, dec, *centre), tan_project(stars.ra, stars.dec, *centre)
    index, _, distance = match_nearest(*here, *there, 2 * RAW_SCALE / 3600)
    assert len(index) > 0.9 * used.sum()
    assert np.median(distance) * 3600 < 0.5 * RAW_SCALE
