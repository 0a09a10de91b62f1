"""The graph of jobs: what each target asks for, and what a wrong target is told."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from workflow_support import HOME, TINY, Snakemake, copy_run

from skyloom.io.calibs import read_calib
from skyloom.io.fits_files import read_fits_status, read_provenance
from skyloom.io.tables import read_table, read_table_status
from skyloom.io.visit_sky import read_visit_sky

TINY_JOBS = {
    "compile_kernels": 1,
    "simulate_sky": 1,
    "simulate_night_n1": 1,
    "simulate_night_n2": 1,
    "combine_bias": 2,
    "combine_dark": 2,
    "combine_flat": 2,
    "calibrate_image": 6,
    "summarize_visit": 3,
    "warp_visit": 6,
    "assemble_coadd": 4,
    "measure_objects": 2,
    "subtract_template": 2,
    "associate_dia_sources": 2,
    "check_survival": 1,
    "drp": 1,
}


def test_the_data_release_of_the_tiny_survey_has_these_jobs(tiny):
    assert tiny.jobs("drp") == TINY_JOBS


def test_the_release_is_the_default_target(tiny):
    assert tiny.jobs() == TINY_JOBS


def test_the_demo_survey_has_at_most_130_jobs(tmp_path):
    jobs = Snakemake(tmp_path).jobs("report", config=str(HOME / "config" / "config.yaml"))
    assert jobs["measure_objects"] == 4
    assert jobs["write_report"] == jobs["write_page"] == 1
    assert sum(jobs.values()) <= 130


def test_calibs_stop_at_the_combined_calibrations(tiny):
    assert set(tiny.jobs("calibs")) == {
        "compile_kernels", "simulate_sky", "combine_bias", "combine_dark", "combine_flat", "calibs",
    }  # fmt: skip


@pytest.mark.slow
def test_an_illumination_is_made_from_the_visits_and_taken_by_all_of_them(simulated, tmp_path):
    copy_run(simulated, tmp_path)
    run, survey = Snakemake(tmp_path), tmp_path / "tiny" / "survey.yaml"
    assert "combine_illumination" not in run.jobs("drp")
    survey.write_text(survey.read_text(encoding="utf-8") + "calibs: {illumination: true}\n", encoding="utf-8")
    assert run.jobs("drp")["combine_illumination"] == 2
    run.run("results/calexp/11/0.fits", "--cores", "2")
    made = read_calib(tmp_path / "results" / "calib" / "e1" / "illumination" / "r" / "0.fits", "illumination")
    assert made.info["n_frame"] == 3
    assert np.abs(made.image - 1).max() < 0.05
    assert run.jobs("results/calexp/11/0.fits") == {}


def test_the_sky_of_each_visit_is_fitted_once_where_it_is_asked_for(tiny):
    survey = tiny.folder / "tiny" / "survey.yaml"
    text = survey.read_text(encoding="utf-8")
    survey.write_text(f"{text}visit_sky: {{enabled: true}}\n", encoding="utf-8")
    assert tiny.jobs("drp") == TINY_JOBS | {"fit_visit_sky": 3}


@pytest.mark.slow
def test_warps_and_differences_take_the_sky_of_their_visit(finished, tmp_path):
    copy_run(finished, tmp_path)
    run, survey = Snakemake(tmp_path), tmp_path / "tiny" / "survey.yaml"
    assert run.jobs("drp") == {}
    survey.write_text(
        survey.read_text(encoding="utf-8") + "visit_sky: {enabled: true, bin_size: 32}\n", encoding="utf-8"
    )
    jobs = run.jobs("drp")
    assert {name: jobs[name] for name in ("fit_visit_sky", "warp_visit", "subtract_template")} == {
        "fit_visit_sky": 3, "warp_visit": 6, "subtract_template": 2,
    }  # fmt: skip
    assert "calibrate_image" not in jobs
    run.run("results/diff/21/0.fits", "--cores", "2")
    sky = read_visit_sky(tmp_path / "results" / "visit_sky" / "21.fits")
    assert list(sky.detectors) == [0, 1]
    inputs = read_provenance(tmp_path / "results" / "diff" / "21" / "0.fits").inputs
    assert "visit_sky/21.fits" in inputs
    assert run.jobs("results/diff/21/0.fits") == {}


def test_a_file_is_a_target(tiny):
    jobs = tiny.jobs("results/coadd/good_seeing/r/1/0_0.fits")
    assert jobs["warp_visit"] == 2
    assert jobs["assemble_coadd"] == 1
    assert "subtract_template" not in jobs


def test_an_excluded_detector_is_in_no_job(tiny):
    tweak = tiny.folder / "tiny" / "survey.yaml"
    text = tweak.read_text(encoding="utf-8")
    tweak.write_text(f"{text}exclude: [{{visit: 21, detector: 0, reason: clouds}}]\n", encoding="utf-8")
    jobs = tiny.jobs("drp")
    assert jobs["calibrate_image"] == 5
    assert jobs["subtract_template"] == 1


def test_a_file_without_a_survey_key_is_merged_over_the_demo(tmp_path):
    (tmp_path / "tweak.yaml").write_text("exclude: [{visit: 101, reason: a test}]\n", encoding="utf-8")
    jobs = Snakemake(tmp_path).jobs("drp", config="tweak.yaml")
    assert jobs["calibrate_image"] == 22
    assert jobs["combine_bias"] == 2


def test_the_prompt_flow_takes_a_finished_root_as_source_files(tiny):
    finished = tiny.folder / "release" / "coadd" / "good_seeing" / "r" / "1"
    finished.mkdir(parents=True)
    (finished / "0_0.fits").touch()
    jobs = tiny.jobs("ap", "--config", "visit=21", "template={root: release}")
    assert jobs["ap_subtract_template"] == 2
    assert jobs["calibrate_image"] == 2
    assert jobs["ap_check_survival"] == 1
    assert "assemble_coadd" not in jobs
    assert "warp_visit" not in jobs


@pytest.mark.slow
def test_the_prompt_flow_finds_the_sources_of_the_data_release(finished, tmp_path):
    shutil.copytree(TINY, tmp_path / "tiny")
    survey = tmp_path / "tiny" / "survey.yaml"
    text = survey.read_text(encoding="utf-8").split("simulate:")[0]
    release = finished / "results"
    reference = f"reference: {{path: {release}/refcat/reference.parquet}}"
    survey.write_text(f"{text}raw_root: {release}\n{reference}\n", encoding="utf-8")
    Snakemake(tmp_path).run("ap", "--cores", "2", "--config", "visit=21", f"template={{root: {release}}}")
    for detector in (0, 1):
        tonight = read_table(tmp_path / "results" / "ap" / "dia_source" / "21" / f"{detector}.parquet")
        of_release = read_table(release / "dia_source" / "21" / f"{detector}.parquet")
        assert tonight.num_rows > 0
        assert_frame_equal(tonight.to_pandas(), of_release.to_pandas(), check_exact=True)
    assert not (tmp_path / "results" / "coadd").exists()


@pytest.mark.slow
def test_a_good_visit_where_no_template_is_has_nothing_bad(finished, tmp_path):
    copy_run(finished, tmp_path)
    (tmp_path / "release" / "coadd").mkdir(parents=True)
    text = Snakemake(tmp_path).run("ap", "--cores", "2", "--config", "visit=21", "template={root: release}")
    assert (
        "2 of 2 detectors survived, 2 of them where there is no template to subtract; no bad exposure" in text
    )
    assert "skyloom: tombstone" not in text
    ap = tmp_path / "results" / "ap"
    for detector in (0, 1):
        told = (
            f"skyloom: empty results/ap/dia_source/21/{detector}.parquet: NoTemplateCoverage: 0 coadds cover"
        )
        assert told in text
        status = read_table_status(ap / "dia_source" / "21" / f"{detector}.parquet")[:2]
        assert status == read_fits_status(ap / "diff" / "21" / f"{detector}.fits")[:2]
        assert status == ("EMPTY", "NoTemplateCoverage")


def test_the_prompt_flow_says_what_it_lacks(tiny):
    assert "snakemake ap --config visit=N" in tiny.run("ap", "-n", succeeds=False)
    assert "needs template.root" in tiny.run("ap", "-n", "--config", "visit=21", succeeds=False)
    assert "visit: is 99" in tiny.run("ap", "-n", "--config", "visit=99", succeeds=False)
    own = tiny.run("ap", "-n", "--config", "visit=21", "template={root: results}", succeeds=False)
    assert "template.root: is the output root" in own


def test_a_target_beyond_the_survey_is_told_what_there_is(tiny):
    text = tiny.run("results/calexp/99/0.fits", "-n", succeeds=False)
    assert "visit 99 is not part of the survey, which has 3 visits, 11 to 21" in text
    text = tiny.run("results/coadd/deep/r/7/0_0.fits", "-n", succeeds=False)
    assert "tract 7, patch 0_0 is not part of the survey" in text


def test_missing_raw_files_of_a_real_survey_are_named_or_skipped(tiny):
    survey = tiny.folder / "tiny" / "survey.yaml"
    text = survey.read_text(encoding="utf-8").split("simulate:")[0]
    columns = "id,ra,dec,ra_error,dec_error,pmra,pmdec,pmra_error,pmdec_error,parallax,parallax_error"
    (tiny.folder / "catalogue.csv").write_text(f"{columns},flux_r,flux_r_error\n", encoding="utf-8")
    survey.write_text(f"{text}reference: {{path: catalogue.csv}}\nraw_root: data\n", encoding="utf-8")
    told = tiny.run("drp", "-n", succeeds=False)
    assert "visit 11, detector 0: there is no raw file data/raw/11/0.fits" in told
    for frame in range(1, 10):
        for detector in (0, 1):
            path = tiny.folder / "data" / "raw_calib" / str(frame) / f"{detector}.fits"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    for visit in (11, 12):
        path = tiny.folder / "data" / "raw" / str(visit) / "0.fits"
        path.parent.mkdir(parents=True)
        path.touch()
    jobs = tiny.jobs("drp", "--config", "missing_raw=skip")
    assert jobs["calibrate_image"] == 2
    assert not any(name.startswith("simulate") for name in jobs)


def test_nothing_heavy_is_imported_to_build_the_graph():
    program = (
        "import sys; from skyloom.workflow import start, survey, targets; "
        "print([m for m in ('astropy', 'numba', 'pandas', 'scipy', 'matplotlib', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=HOME / "scripts", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_lint_finds_nothing(tiny):
    text = tiny.run("--lint")
    assert "Congratulations, your workflow is in a good condition!" in text


def test_a_folder_named_like_a_target_does_not_disturb(tiny):
    shutil.copytree(tiny.folder / "tiny", tiny.folder / "other")
    assert tiny.jobs("results/kernels.done") == {"compile_kernels": 1}
