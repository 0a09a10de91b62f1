"""The report counts what is there and draws what it counted."""

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib import image as matplotlib_image
from report_parts import summary_of

from skyloom.core.psf import CellPsf
from skyloom.core.tables import column
from skyloom.report.coadds import gather_coadds
from skyloom.report.definitions import DEFINITIONS
from skyloom.report.differences import gather_differences
from skyloom.report.metrics import SURVEY, Measurement, metrics_table, scatter_of
from skyloom.report.noise import noise_ratio
from skyloom.report.pictures import cell_medians, colour_picture, cutout, empty_picture, residual_picture
from skyloom.report.pipeline import SurveyFacts, failure_lines, report
from skyloom.report.truth_comparison import compare_sources, faint_flux_error, magnitude_residuals, nearest
from skyloom.workflow.paths import PICTURES
from skyloom.workflow.survival import FAILURES

SETTINGS = {"n_image": 10, "n_triplet": 3}
BANDS = ["g", "r", "i"]
PNG_HEAD = b"\x89PNG"
LOSSES = FAILURES.empty(), {"survived": 2}


def made(run, template_visits=None, bands=BANDS):
    """Return the report of a made-up run."""
    return report(run, LOSSES, SurveyFacts(bands, template_visits or {}, {"e1/bias/none": 3.5}), SETTINGS)


def values_of(table, key="value"):
    """Return values of the whole survey by (name, band)."""
    rows = [row for row in table.to_pylist() if row["subject"] == SURVEY]
    return {(row["name"], row["band"]): row[key] for row in rows}


def false_dia_sources(run, template_visits):
    """Return the false DIA sources that the report counts."""
    return values_of(made(run, template_visits).metrics)["false_dia_sources", "all"]


@pytest.fixture
def metrics(run):
    """Return the values of the simulated run."""
    return values_of(made(run).metrics)


def test_detectors_and_failures_are_counted(metrics):
    assert metrics["n_detector", "all"] == 3
    assert metrics["n_failed", "all"] == 1
    assert metrics["seeing", "r"] == 0.8
    assert metrics["depth", "i"] == 23.5
    assert np.isnan(metrics["seeing", "g"])


def test_sources_are_compared_with_truth(metrics):
    assert metrics["star_completeness", "r"] == 1
    assert metrics["source_purity", "i"] == 1
    assert metrics["astrometric_residual_ra", "r"] == pytest.approx(2.0, rel=1e-3)
    assert metrics["astrometric_residual_dec", "r"] == pytest.approx(2.0, rel=1e-3)
    assert metrics["zero_point_error", "r"] == pytest.approx(0.004, rel=1e-6)
    assert metrics["photometric_scatter", "r"] == pytest.approx(0, abs=1e-6)


def test_transients_and_false_detections_are_pooled(metrics):
    assert metrics["transient_completeness", "all"] == pytest.approx(2 / 3)
    assert metrics["false_dia_sources", "all"] == pytest.approx(2048**2 / 200**2)


def test_a_source_on_a_star_that_differs_from_its_template_is_no_false_detection(run):
    for visit in (1, 2):
        run.find_a_brighter_star(visit, number=39)
    before = false_dia_sources(run, {})
    after = false_dia_sources(run, {band: [3] for band in BANDS})

    assert before == pytest.approx(2048**2 / 200**2)
    assert after == 0


def test_a_wrong_variance_shows_in_the_noise_ratio(metrics):
    assert metrics["coadd_noise_ratio", "r"] == pytest.approx(1.0, abs=0.02)
    assert metrics["coadd_noise_ratio", "g"] == pytest.approx(1.2, abs=0.02)
    assert metrics["diff_noise_ratio", "r"] == pytest.approx(1.0, abs=0.02)


def test_every_metric_says_whether_it_is_within_its_bounds(run):
    done = made(run)
    ok, pictures = values_of(done.metrics, "ok"), done.pictures
    assert ok["coadd_noise_ratio", "r"]
    assert not ok["coadd_noise_ratio", "g"]
    assert not ok["seeing", "g"]
    assert set(pictures) == set(PICTURES)
    assert all(data.startswith(PNG_HEAD) for data in pictures.values())


def test_the_same_run_gives_the_same_pictures(run):
    first, second = (made(type(run)()).pictures for _ in range(2))
    assert first == second


def test_a_run_without_truth_has_only_what_its_products_tell(real_run):
    done = made(real_run)
    assert {DEFINITIONS[name].basis for name in column(done.metrics, "name")} == {"products"}
    assert done.pictures["astrometric_residuals"].startswith(PNG_HEAD)


@pytest.mark.parametrize("has_truth", [True, False])
def test_each_source_table_is_read_once(run, has_truth):
    run.has_truth = has_truth
    made(run)
    assert [key for key in run.read if key[0] == "srcs"] == [("srcs", 1, 0), ("srcs", 2, 0), ("srcs", 3, 0)]


def test_failures_are_named(run):
    assert failure_lines(run.visit_summary()) == ["visit 3 detector 0: TooFewStars: 2 stars, needs 10"]


def test_a_mosaic_puts_patches_where_they_belong(run):
    part = gather_coadds(run, BANDS, 10)
    mosaic = part.mosaics["r"].image
    assert mosaic.shape == (200, 380)
    assert np.isnan(mosaic[:5]).all()
    assert np.isfinite(mosaic[5:]).all()


def test_the_error_of_a_coadds_noise_is_that_of_its_pixels(run):
    run.coadds = lambda: [("r", tract, "0_0") for tract in range(40)]
    part = gather_coadds(run, ["r"], 40)
    for name, exact in (("coadd_noise_ratio", False), ("coadd_depth", True), ("coadd_coverage", True)):
        one_by_one = [m for m in part.measurements if m.name == name and m.subject != SURVEY]
        scatter = np.std([m.value for m in one_by_one])
        assert len(one_by_one) == 40
        if exact:
            assert one_by_one[0].error == 0
            assert scatter == pytest.approx(0, abs=1e-12)
        else:
            assert scatter == pytest.approx(one_by_one[0].error, rel=0.45)


def test_a_coadd_without_a_psf_in_its_middle_has_no_depth_and_no_error(run):
    whole = run.coadd("r", 1, "0_0")
    lost = replace(whole, psf=CellPsf(np.full_like(whole.psf.images, np.nan), 200))
    run.coadds, run.coadd = lambda: [("r", 1, "0_0")], lambda *key: lost
    found = {m.name: m for m in gather_coadds(run, ["r"], 3).measurements if m.subject != SURVEY}
    assert np.isnan([found["coadd_depth"].value, found["coadd_depth"].error]).all()
    assert found["coadd_noise_ratio"].error > 0


def test_of_many_coadds_a_few_from_end_to_end_are_read(run):
    run.coadds = lambda: [("r", tract, f"{k}_0") for tract in (1, 2, 3) for k in range(1000)]
    part = gather_coadds(run, ["r"], 3)

    assert run.read == [
        ("r", 1, "0_0"),
        ("r", 1, "1_0"),
        ("r", 1, "2_0"),
        ("r", 2, "499_0"),
        ("r", 3, "999_0"),
    ]
    measured = [m.subject for m in part.measurements if m.name == "coadd_depth" and m.subject != SURVEY]
    assert measured == ["coadd r/1/0_0", "coadd r/2/499_0", "coadd r/3/999_0"]
    assert np.isfinite([m.value for m in part.measurements]).sum() >= 12


def test_of_many_differences_a_few_are_read_and_all_sources_are_candidates(run):
    detectors = [(visit, detector) for visit in (1, 2) for detector in range(50)]
    run.detectors = lambda kind: detectors
    summary = summary_of(
        visit=[v for v, _ in detectors],
        detector=[d for _, d in detectors],
        band=["r"] * 100,
        status=["OK"] * 100,
    )
    part = gather_differences(run, summary, ["r"], {"n_image": 3, "n_triplet": 5}, {})

    differences = [key for key in run.read if len(key) == 2]
    assert differences[:3] == [(1, 0), (1, 49), (2, 49)]
    found = {(m.name, m.band): m for m in part.measurements}
    assert found["n_difference", "r"].value == 100
    assert found["n_dia_source", "r"].value == 300
    assert found["diff_noise_ratio", "r"].n == 3
    assert {triplet.title.split(",")[0] for triplet in part.triplets["random"]} > {"visit 1 detector 0"}
    assert len(set(differences[3:])) > 8


def test_a_star_that_was_missed_and_a_false_source_are_counted(run):
    truth = run.truth(1, 0)
    sources = run.table("srcs", 1, 0)
    comparison = compare_sources(sources.slice(1), truth, (200, 200))
    whole = compare_sources(sources, truth, (200, 200))
    assert whole.n_star == whole.n_star_found
    assert comparison.n_star_found >= whole.n_star_found - 1
    without = compare_sources(sources, truth.slice(30), (200, 200))
    assert without.n_source_true < without.n_source


def test_nearest_leaves_out_what_is_too_far():
    origin = np.array([0.0, 10.0])
    assert nearest(origin, origin, np.array([0.5]), np.array([0.0]), 1.0).tolist() == [0, -1]
    assert nearest(origin, origin, np.empty(0), np.empty(0), 1.0).tolist() == [-1, -1]


def test_nothing_to_measure_is_nan_and_never_ok():
    assert np.isnan(scatter_of("photometric_scatter", "r", magnitude_residuals(np.array([1.0]))).value)
    assert np.isnan(faint_flux_error(np.empty(0), np.empty(0)))
    table = metrics_table([Measurement("seeing", "r", np.nan, 0)])
    assert not column(table, "ok")[0]


def test_an_image_without_blank_sky_has_no_noise(run):
    pixels = run.calexp(1, 0).pixels
    pixels.variance[:] = 0
    ratio, n = noise_ratio(pixels)
    assert np.isnan(ratio)
    assert n == 0


def test_a_corner_that_lacks_a_band_is_grey_and_one_without_any_black():
    red, green, blue = (np.full((40, 60), level, np.float32) for level in (40.0, 20.0, 10.0))
    green[:10, :20] = np.nan
    for plane in (red, green, blue):
        plane[30:, 40:] = np.nan
    picture = matplotlib_image.imread(io.BytesIO(colour_picture([red, green, blue], [2.0, 1.0, 1.0])))[::-1]
    lacking, nothing, whole = picture[:10, :20, :3], picture[30:, 40:, :3], picture[10:30, :, :3]
    assert (np.ptp(lacking, axis=2) == 0).all()
    assert (lacking > 0.1).all()
    assert (nothing == 0).all()
    # Red and green are alike in units of their noise, blue is half as bright.
    assert (whole[..., 0] == whole[..., 1]).all()
    assert (whole[..., 0] > 1.3 * whole[..., 2]).all()


def test_only_a_cell_of_three_stars_has_an_arrow():
    x = np.array([5.0, 6.0, 7.0, 25.0, 26.0, 45.0])
    y = np.array([1.0, 2.0, 3.0, 1.0, 1.0, 1.0])
    east = np.array([1.0, 2.0, 30.0, 7.0, 7.0, 99.0])
    assert cell_medians(x, y, east, -east, side=20.0).T.tolist() == [[6.0, 2.0, 2.0, -2.0]]
    assert cell_medians(x[:2], y[:2], east[:2], east[:2], side=20.0).shape == (4, 0)


@pytest.mark.parametrize("n", [1, 2, 3, 500])
def test_residuals_of_any_number_of_stars_are_drawn(n):
    x, y, east, north = np.random.default_rng(n).uniform(0, 100, (4, n))
    assert residual_picture(x, y, east, north, "truth").startswith(PNG_HEAD)


def test_a_cutout_beyond_the_edge_is_nan_there():
    square = cutout(np.ones((30, 30), np.float32), 0, 29, half=5)
    assert square.shape == (11, 11)
    assert np.nansum(square) == 36
    assert np.isnan(cutout(np.ones((30, 30), np.float32), 500, 500, half=5)).all()


def test_a_run_without_any_product_says_so_in_its_pictures(run, tmp_path):
    run.coadds = list
    run.detectors = lambda kind: []
    for has_truth in (True, False):
        run.has_truth = has_truth
        done = made(run)
        assert np.isnan(values_of(done.metrics)["coadd_depth", "r"])
        assert all(data.startswith(PNG_HEAD) for data in done.pictures.values())
    (tmp_path / "a.png").write_bytes(empty_picture("nothing"))
    assert matplotlib_image.imread(tmp_path / "a.png").shape[0] > 10


def test_one_band_is_drawn_in_grey(run):
    run.bands = ("r",)
    assert made(run, bands=["r"]).pictures["colour_coadd"].startswith(PNG_HEAD)
