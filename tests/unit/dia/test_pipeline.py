"""DIA sources are found, measured without bias, and told from artefacts."""

import numpy as np
import pytest

from skyloom.core import mask_planes
from skyloom.core.ids import source_ids
from skyloom.core.schemas import DIA_SOURCE
from skyloom.core.tables import column
from skyloom.dia.pipeline import detect_dia_sources

SIGMA = 1.9
# Error of the flux of a Gaussian PSF in white noise of 50 nJy a pixel.
FLUX_ERROR = 50.0 * np.sqrt(4 * np.pi) * SIGMA


def values(table, *names):
    """Return columns as float arrays."""
    return [column(table, name).astype(float) for name in names]


def test_noise_gives_no_more_sources_than_gauss_allows(make_pair, settings):
    tables = [
        detect_dia_sources(p.difference, p.science, settings) for p in (make_pair(s) for s in range(10))
    ]
    # Kaiser (2004): 0.14 peaks beyond 5 sigma in ten images of 200 x 200; four would be a chance of 1e-5.
    assert sum(table.num_rows for table in tables) <= 3
    assert all(table.schema.equals(DIA_SOURCE.arrow_schema()) for table in tables)


@pytest.mark.parametrize("convolved", ["template", "science"])
@pytest.mark.parametrize("sign", [1, -1])
def test_fluxes_positions_and_errors_of_sources_of_both_signs(make_pair, settings, sign, convolved):
    flux_pulls, position_pulls = [], []
    rng = np.random.default_rng(5)
    for seed in range(4):
        pair = make_pair(seed, convolved=convolved)
        grid = [
            (x + rng.uniform(-0.5, 0.5), y + rng.uniform(-0.5, 0.5))
            for x in (40, 90, 150)
            for y in (45, 100, 155)
        ]
        for x, y in grid:
            pair = pair.with_source(x, y, sign * 20 * FLUX_ERROR)
        table = detect_dia_sources(pair.difference, pair.science, settings)
        x, y, flux, error, x_error = values(table, "x", "y", "psfFlux", "psfFluxErr", "xErr")
        assert len(x) == len(grid)
        assert (column(table, "isNegative") == (sign < 0)).all()
        for true_x, true_y in grid:
            i = np.hypot(x - true_x, y - true_y).argmin()
            flux_pulls.append((flux[i] - sign * 20 * FLUX_ERROR) / error[i])
            position_pulls += [(x[i] - true_x) / x_error[i], (y[i] - true_y) / x_error[i]]
        assert error == pytest.approx(FLUX_ERROR, rel=0.03)
        assert x_error == pytest.approx(np.sqrt(2) * SIGMA / 20, rel=0.25)
    n = len(flux_pulls)
    assert abs(np.mean(flux_pulls)) < 4 / np.sqrt(n)
    assert np.std(flux_pulls) == pytest.approx(1, abs=4 / np.sqrt(2 * n))
    assert np.std(position_pulls) == pytest.approx(1, abs=4 / np.sqrt(4 * n) + 0.05)


def test_columns_of_a_source_on_a_static_star(make_pair, settings):
    pair = make_pair(3).with_source(100.3, 90.6, 30 * FLUX_ERROR, in_template=10 * FLUX_ERROR)

    table = detect_dia_sources(pair.difference, pair.science, settings)

    row = table.to_pylist()[0]
    assert table.num_rows == 1
    assert row["diaSourceId"] == source_ids(12, 3, 1)[0]
    assert (row["visit"], row["detector"], row["band"], row["diaObjectId"]) == (12, 3, "r", 0)
    assert (row["midpointMjdTai"], row["exposureTime"]) == (60001.25, 30.0)
    ra, dec = pair.science.wcs.pixel_to_sky(np.array([100.3]), np.array([90.6]))
    # raErr is that of right ascension itself: twice the angle at declination -60.
    assert row["raErr"] == pytest.approx(2 * row["decErr"], rel=0.1)
    assert abs(row["ra"] - ra[0]) < 5 * row["raErr"]
    assert abs(row["dec"] - dec[0]) < 5 * row["decErr"]
    assert row["scienceFlux"] == pytest.approx(40 * FLUX_ERROR, abs=5 * FLUX_ERROR)
    assert row["templateFlux"] == pytest.approx(10 * FLUX_ERROR, rel=0.05)
    assert row["apFlux"] == pytest.approx(row["psfFlux"], abs=5 * row["apFluxErr"])
    assert row["ixxPSF"] == pytest.approx((0.2 * SIGMA) ** 2, rel=0.02)
    assert row["ixx"] == pytest.approx(row["ixxPSF"], rel=0.3)
    assert row["extendedness"] == 0.0
    assert row["psfChi2"] == pytest.approx(row["psfNdata"], rel=0.5)
    assert row["psfFluxErr"] > FLUX_ERROR
    assert np.isnan(row["reliability"])
    assert not row["isDipole"]


def test_static_stars_that_are_slightly_misplaced_are_no_sources(make_pair, settings):
    # A star of S/N 3000 displaced by 0.02 pixel leaves lobes of S/N 20.
    pair = make_pair(4)
    flux = 3000 * FLUX_ERROR
    moved = pair.with_source(100.02, 100.0, flux).with_source(100.0, 100.0, -flux, in_template=flux)
    assert detect_dia_sources(moved.difference, moved.science, settings).num_rows == 0
    settings["static_errors"] = {name: 0.0 for name in settings["static_errors"]}
    settings["cuts"]["reject_dipoles"] = False
    settings["cuts"]["maximum_chi2"] = 1e9
    assert detect_dia_sources(moved.difference, moved.science, settings).num_rows > 0


def test_a_dipole_is_fitted_and_left_out_unless_wanted(make_pair, settings):
    flux = 30 * FLUX_ERROR
    pair = make_pair(5).with_source(102.0, 100.0, flux).with_source(98.0, 100.0, -flux)
    assert detect_dia_sources(pair.difference, pair.science, settings).num_rows == 0

    settings["cuts"]["reject_dipoles"] = False
    settings["cuts"]["maximum_chi2"] = 1e9
    table = detect_dia_sources(pair.difference, pair.science, settings)

    row = table.to_pylist()[0]
    assert table.num_rows == 1
    assert row["isDipole"]
    assert row["dipoleFitAttempted"]
    assert row["dipoleMeanFlux"] == pytest.approx(flux, rel=0.15)
    assert abs(row["dipoleFluxDiff"]) < 5 * row["dipoleFluxDiffErr"]
    assert row["dipoleLength"] == pytest.approx(0.8, abs=0.1)
    # The positive lobe is at larger x, which is West in this WCS.
    assert row["dipoleAngle"] == pytest.approx(270, abs=5)
    assert row["dipoleChi2"] == pytest.approx(row["dipoleNdata"], rel=0.4)


def test_a_transient_beside_a_fainter_negative_one_is_no_dipole(make_pair, settings):
    pair = make_pair(6).with_source(103.0, 100.0, 40 * FLUX_ERROR).with_source(97.5, 100.0, -8 * FLUX_ERROR)
    table = detect_dia_sources(pair.difference, pair.science, settings)
    assert table.num_rows == 1
    assert not column(table, "isDipole")[0]
    assert column(table, "dipoleFitAttempted")[0]


@pytest.mark.parametrize("plane", ["SAT", "SAT_TEMPLATE", "CR", "BAD", "NO_DATA"])
def test_sources_on_unusable_pixels_are_left_out(make_pair, settings, plane):
    pair = make_pair(7).with_source(100.0, 100.0, 50 * FLUX_ERROR)
    assert detect_dia_sources(pair.difference, pair.science, settings).num_rows == 1
    masked = pair.with_mask(slice(98, 102), slice(97, 104), mask_planes.bits(plane))
    assert detect_dia_sources(masked.difference, masked.science, settings).num_rows == 0


def test_one_masked_pixel_is_flagged_and_costs_little(make_pair, settings):
    pair = make_pair(8).with_source(100.0, 100.0, 50 * FLUX_ERROR)
    masked = pair.with_mask(103, 102, mask_planes.bits("CR", "INTRP"))
    row = detect_dia_sources(masked.difference, masked.science, settings).to_pylist()[0]
    assert row["pixelFlags_cr"]
    assert not row["pixelFlags_crCenter"]
    assert not row["pixelFlags_saturated"]
    assert row["psfFlux"] == pytest.approx(50 * FLUX_ERROR, abs=5 * FLUX_ERROR)


def test_near_a_saturated_star_only_what_outshines_its_wing_is_kept(make_pair, settings):
    static = 30 * FLUX_ERROR
    for flux, n_expected in ((15 * FLUX_ERROR, 0), (60 * FLUX_ERROR, 1)):
        pair = make_pair(9).with_source(100.0, 100.0, flux, in_template=static)
        pair = pair.with_mask(slice(103, 106), slice(103, 106), mask_planes.SAT)
        assert detect_dia_sources(pair.difference, pair.science, settings).num_rows == n_expected


def test_what_is_no_point_source_is_left_out(make_pair, settings):
    ring = make_pair(10).with_source(100.0, 100.0, 200 * FLUX_ERROR, sigma=4.0)
    ring = ring.with_source(100.0, 100.0, -60 * FLUX_ERROR)
    assert detect_dia_sources(ring.difference, ring.science, settings).num_rows == 0


def test_sources_at_the_edge_and_missing_data_do_no_harm(make_pair, settings):
    pair = make_pair(11).with_source(1.0, 100.0, 80 * FLUX_ERROR).with_source(100.0, 198.5, 80 * FLUX_ERROR)
    image = pair.difference.exposure.pixels.image
    image[:, 150:] = np.nan
    pair = pair.with_mask(slice(None), slice(150, None), mask_planes.NO_DATA)
    table = detect_dia_sources(pair.difference, pair.science, settings)
    assert (column(table, "x") < 150).all()
    assert column(table, "apFlux_flag").all()


def test_the_strongest_source_comes_first(make_pair, settings):
    pair = make_pair(12).with_source(50.0, 50.0, 10 * FLUX_ERROR).with_source(150.0, 150.0, -40 * FLUX_ERROR)
    table = detect_dia_sources(pair.difference, pair.science, settings)
    assert column(table, "isNegative").tolist() == [True, False]
    assert (np.diff(column(table, "snr")) < 0).all()
    assert (np.diff(column(table, "diaSourceId")) == 1).all()


def test_an_image_without_any_good_pixel_gives_an_empty_table(make_pair, settings):
    pair = make_pair(13).with_mask(slice(None), slice(None), mask_planes.NO_DATA)
    assert detect_dia_sources(pair.difference, pair.science, settings).num_rows == 0
