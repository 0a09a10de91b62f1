"""Frames that SDSS and DECam's Community Pipeline calibrated, from their files to sources, against what is known."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table, vstack

from skyloom.algorithms.matching import match_nearest
from skyloom.algorithms.robust import mad_sigma
from skyloom.calibrate.pipeline import calibrate_image
from skyloom.core import mask_planes
from skyloom.core.images import ExposureInfo
from skyloom.core.photo_calib import AB_ZERO_POINT
from skyloom.core.psf import psf_moments
from skyloom.core.tables import column
from skyloom.io.calibrated import read_calibrated
from skyloom.io.cameras import read_camera
from skyloom.io.psf_models import read_psfex
from skyloom.isr.calibrated import exposure_of_calibrated
from skyloom.isr.circumstances import check_circumstances
from skyloom.workflow.config import fill_defaults, load_schema
from skyloom.workflow.visits import VISIT_COLUMNS, raw_path, read_table_of

GAIA_EPOCH_MJD = 57204.0
R_BAND = 2
"""Among the five of an SDSS table."""
PULL_WIDTH = 0.03
"""The gain is known to a few per cent, and a width of 1e5 pulls to 0.3 %."""


@pytest.fixture(scope="module")
def settings(pytestconfig):
    """Defaults, with WCS and zero point given."""
    found = fill_defaults(load_schema(pytestconfig.rootpath / "config" / "schema"), {})
    found["calibrate"]["astrometry"]["wcs"] = found["calibrate"]["photometry"]["zero_point"] = "given"
    return found


def calibrated(folder, home, names, settings, visit):
    """Calexp and sources of a visit of a survey that comes with Skyloom, as its job makes them."""
    camera_name, table = names
    camera = read_camera(home / "config" / "cameras" / camera_name)
    rows, problems = read_table_of(home / "config" / "surveys" / table, VISIT_COLUMNS, "visit")
    assert problems == []
    row, (detector,) = rows[visit], camera.detectors.values()
    shared = (
        "visit",
        "band",
        "mjd",
        "exposure_time",
        "airmass",
        "ra",
        "dec",
        "rotation",
        "pointing_uncertainty",
    )
    info = ExposureInfo(detector=detector.id, camera=camera.name, **{name: row[name] for name in shared})
    companions = {
        kind: folder / raw_path(row, detector.id, kind) for kind in ("mask", "variance", "psf") if row[kind]
    }
    frame = read_calibrated(folder / raw_path(row, detector.id), companions, detector, camera)
    check_circumstances(frame.header, info, camera, settings["isr"])
    exposure = exposure_of_calibrated(frame, info, row["zero_point"], settings["isr"], needs_wcs=True)
    psf = read_psfex(companions["psf"]) if "psf" in companions else None
    exposure = type(exposure)(exposure.pixels, exposure.info, exposure.wcs, psf, exposure.photo_calib)
    rng = np.random.default_rng(1)
    calexp, sources = calibrate_image(exposure, None, exposure.wcs, settings["calibrate"], rng)
    return SimpleNamespace(calexp=calexp, sources=sources, row=row)


def pull_width(calexp):
    """Width of the distribution of pixels without objects over their standard error."""
    blank = calexp.pixels.mask == 0
    return mad_sigma((calexp.pixels.image / np.sqrt(calexp.pixels.variance))[blank])


def star_sizes(sources, chosen):
    """Size of stars over that of the PSF at their places."""
    shapes = [
        [column(sources, f"i{axis}{suffix}")[chosen] for axis in ("xx", "yy", "xy")] for suffix in ("", "PSF")
    ]
    star, model = ((xx * yy - xy**2) ** 0.25 for xx, yy, xy in shapes)
    return star / model


@pytest.fixture(scope="module")
def sdss(realdata, pytestconfig, settings):
    names = ("sdss.yaml", "sdss_stripe82_visits.csv")
    return calibrated(realdata / "sdss-stripe82-frame", pytestconfig.rootpath, names, settings, 5754280)


@pytest.mark.realdata
def test_an_sdss_frame_has_the_noise_that_its_gain_says(sdss):
    assert pull_width(sdss.calexp) == pytest.approx(1, abs=PULL_WIDTH)


@pytest.mark.realdata
def test_an_sdss_frame_s_psf_is_that_of_its_stars_and_of_psfield(sdss, realdata):
    chosen = column(sdss.sources, "calib_psf_candidate")
    assert chosen.sum() > 40
    assert np.median(star_sizes(sdss.sources, chosen)) == pytest.approx(1, abs=0.01)
    x, y = column(sdss.sources, "x")[chosen], column(sdss.sources, "y")[chosen]
    with fits.open(realdata / "sdss-stripe82-frame" / "psField-005754-3-0280.fit") as hdus:
        theirs = np.array(
            [psf_moments(psfield_kernel(hdus[3].data, *place))[0] for place in zip(x, y, strict=True)]
        )
    ours = np.array([psf_moments(kernel)[0] for kernel in sdss.calexp.psf.kernels_at(x, y)])
    # psField was fitted to this field and its neighbours along the scan; the seeing changes by 4 % over the field.
    assert np.median(ours / theirs) == pytest.approx(1, abs=0.02)


def psfield_kernel(table, x, y):
    """PSF of SDSS's Karhunen-Loeve expansion at a pixel (Lupton et al. 2001, ASP 238, 269)."""
    image = 0.0
    for row in table:
        coefficients = row["c"].reshape(5, 5)
        powers = [(i, j) for i in range(row["nrow_b"]) for j in range(row["ncol_b"])]
        weight = sum(coefficients[i, j] * (1e-3 * y) ** i * (1e-3 * x) ** j for i, j in powers)
        image = image + weight * row["rrows"].reshape(row["rnrow"], row["rncol"])
    return image / image.sum()


@pytest.mark.realdata
def test_an_sdss_frame_s_saturated_star_and_rays_are_masked(sdss):
    pixels = sdss.calexp.pixels
    assert pixels.is_masked(mask_planes.SAT).sum() > 1000
    assert pixels.is_masked(mask_planes.CR).sum() > 300
    # Five bad columns from top to bottom at least.
    assert (pixels.is_masked(mask_planes.INTRP).all(axis=0)).sum() >= 5


@pytest.mark.realdata
def test_an_sdss_frame_s_zero_point_by_its_sky_is_that_of_tsfield(sdss, realdata):
    with fits.open(realdata / "sdss-stripe82-frame" / "tsField-005754-3-40-0280.fit") as hdus:
        names = ("aa", "kk", "airmass", "sky_frames")
        aa, kk, airmass, sky = (float(hdus[1].data[name][0][R_BAND]) for name in names)
    theirs = -(aa + kk * airmass) + 2.5 * np.log10(sdss.row["exposure_time"])
    # The frame comes without a catalogue of stars: what the survey measured on it, in magnitudes, is its sky.
    sky_mag = -2.5 * np.log10(sky)
    calexp = sdss.calexp
    level = np.median(calexp.background.image()) / calexp.wcs.pixel_scale() ** 2
    assert AB_ZERO_POINT - 2.5 * np.log10(level) == pytest.approx(sky_mag, abs=0.03)
    y, x = (np.array(calexp.pixels.shape) - 1) / 2
    counts = level / float(calexp.photo_calib.evaluate(x, y)) / calexp.info.gain
    assert sky_mag + 2.5 * np.log10(counts) == pytest.approx(theirs, abs=0.03)


CUTOUTS = {630780: ("testcase4", 3), 695765: ("testcase8", 6), 372546: ("testcase9", 1)}


def gaia(folder, mjd):
    """Positions (ra, dec) of Gaia's stars at a time [degree]."""
    table = vstack([Table.read(path) for path in sorted(folder.glob("*.fits"))], metadata_conflicts="silent")
    years = (mjd - GAIA_EPOCH_MJD) / 365.25
    motion = [np.nan_to_num(np.asarray(table[name])) * years / 3.6e6 for name in ("pmra", "pmdec")]
    return np.asarray(table["ra"]) + motion[0] / np.cos(np.radians(table["dec"])), table["dec"] + motion[1]


@pytest.mark.realdata
@pytest.mark.parametrize("visit", CUTOUTS)
def test_a_cut_out_of_decam_lies_on_gaia_s_stars_with_the_noise_of_its_weights(
    visit, realdata, pytestconfig, settings
):
    folder, names = realdata / "decam-cutouts", ("decam-cutout.yaml", "decam_cutouts_visits.csv")
    found = calibrated(folder, pytestconfig.rootpath, names, settings, visit)
    case, n_star = CUTOUTS[visit]
    # 10,000 pixels in the smallest, and a third of them in a galaxy.
    assert pull_width(found.calexp) == pytest.approx(1, abs=PULL_WIDTH + 0.02)
    x, y = found.calexp.wcs.sky_to_pixel(*gaia(folder / case / "gaia", found.row["mjd"]))
    own, other = match_nearest(column(found.sources, "x"), column(found.sources, "y"), x, y, 2.0)[:2]
    assert len(own) >= n_star
    offset = np.hypot(column(found.sources, "x")[own] - x[other], column(found.sources, "y")[own] - y[other])
    # Half a pixel, 0.13 arcsec: galaxies and stars of 21 mag are among them.
    assert np.median(offset) < 0.5
    assert found.calexp.psf.size == 63


@pytest.mark.realdata
def test_the_stars_of_a_cut_out_have_the_size_of_its_psfex_model(realdata, pytestconfig, settings):
    folder, names = realdata / "decam-cutouts", ("decam-cutout.yaml", "decam_cutouts_visits.csv")
    found = calibrated(folder, pytestconfig.rootpath, names, settings, 630780)
    bright = column(found.sources, "psfFlux") > 50 * column(found.sources, "psfFluxErr")
    is_star = bright & (column(found.sources, "extendedness") < 0.5)
    assert is_star.sum() >= 3
    assert np.median(star_sizes(found.sources, is_star)) == pytest.approx(1, abs=0.03)


def test_the_committed_tables_are_read(pytestconfig):
    for table in ("sdss_stripe82_visits.csv", "decam_cutouts_visits.csv"):
        path = pytestconfig.rootpath / "config" / "surveys" / table
        rows, problems = read_table_of(path, VISIT_COLUMNS, "visit")
        with open(path, encoding="utf-8") as stream:
            assert (len(rows), problems) == (sum(1 for _ in csv.DictReader(stream)), [])
