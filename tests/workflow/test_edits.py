"""An edit reruns exactly the rules that use what was edited, by what Snakemake says it would run."""

import os
import shutil

import pytest
from workflow_support import Snakemake, copy_project, copy_run, job_table

ALWAYS = {"drp"}
NIGHTS = {"simulate_night_n1", "simulate_night_n2"}
CALIBS = {"combine_bias", "combine_dark", "combine_flat"}
AFTER_CALEXP = {
    "summarize_visit", "warp_visit", "assemble_coadd", "measure_objects", "subtract_template", "associate_dia_sources",
    "check_survival",
}  # fmt: skip
AFTER_WARP = AFTER_CALEXP - {"summarize_visit"}
AFTER_DIFF = {"subtract_template", "associate_dia_sources", "check_survival"}
EDITS = {
    "a comment": ("scripts/skyloom/algorithms/photometry.py", None, "\n# A comment.\n", set()),
    "a docstring": ("scripts/skyloom/diff/pipeline.py", '"""', '"""Changed. ', set()),
    "photometry": (
        "scripts/skyloom/algorithms/photometry.py",
        None,
        "\nEDITED = 1\n",
        {"calibrate_image"} | AFTER_CALEXP,
    ),
    "a file of diff": ("scripts/skyloom/diff/pipeline.py", None, "\nEDITED = 1\n", AFTER_DIFF),
    "a script": ("scripts/warp_visit.py", "def main(job):\n", "def main(job):\n    edited = 1\n", AFTER_WARP),
}
EDITS_OF_A_SIMULATED_SURVEY = {
    "skyloom/algorithms/photometry.py": {"calibrate_image"} | AFTER_CALEXP,
    "skyloom/simulate/pipeline.py": {"simulate_sky"} | NIGHTS | CALIBS | {"calibrate_image"} | AFTER_CALEXP,
    "simulate_sky.py": {"simulate_sky"} | NIGHTS | CALIBS | {"calibrate_image"} | AFTER_CALEXP,
    "simulate_night.py": NIGHTS | {"calibrate_image"} | AFTER_CALEXP,
}


@pytest.fixture(scope="module")
def real_run(real_survey, tmp_path_factory):
    """The finished tiny survey as one of real frames, run by a copy of the project that edits may touch."""
    folder = tmp_path_factory.mktemp("edits")
    copy_run(real_survey, folder)
    return Snakemake(folder, copy_project(tmp_path_factory.mktemp("project") / "skyloom"))


@pytest.fixture
def simulated_run_of_a_copy(finished, tmp_path):
    """The finished tiny survey, simulated, run by a copy of the project that edits may touch."""
    copy_run(finished, tmp_path / "run")
    return Snakemake(tmp_path / "run", copy_project(tmp_path / "skyloom"))


def rules_that_rerun(run, *arguments):
    """Rules of the jobs that would run again."""
    return set(job_table(run.run("drp", "-n", *arguments))) - ALWAYS


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_code_reruns_exactly_what_uses_it(real_run, name):
    file, old, new, expected = EDITS[name]
    path = real_run.home / file
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace(old, new, 1) if old else before + new, encoding="utf-8")
    try:
        assert rules_that_rerun(real_run) == expected
    finally:
        path.write_text(before, encoding="utf-8")


@pytest.mark.slow
def test_an_edit_of_the_simulator_reruns_what_it_makes_and_what_that_enters(simulated_run_of_a_copy):
    run, found = simulated_run_of_a_copy, {}
    for file in EDITS_OF_A_SIMULATED_SURVEY:
        path = run.home / "scripts" / file
        before = path.read_text(encoding="utf-8")
        path.write_text(before + "\nEDITED = 1\n", encoding="utf-8")
        found[file] = rules_that_rerun(run)
        path.write_text(before, encoding="utf-8")
    assert found == EDITS_OF_A_SIMULATED_SURVEY
    assert rules_that_rerun(run) == set()


@pytest.mark.slow
def test_nothing_reruns_without_an_edit_nor_when_files_are_touched(real_run):
    assert rules_that_rerun(real_run) == set()
    for path in real_run.home.rglob("*.py"):
        path.touch()
    assert rules_that_rerun(real_run) == set()


@pytest.mark.slow
def test_one_more_visit_makes_its_products_and_what_they_enter(real_run):
    data, table = real_run.folder / "results" / "raw", real_run.folder / "tiny" / "visits.csv"
    before = table.read_text(encoding="utf-8")
    shutil.copytree(data / "21", data / "22", copy_function=os.link)
    line = before.splitlines()[-1].replace("21,TN-0003,n2,61375.20", "22,TN-0004,n3,61376.20")
    table.write_text(before + line + "\n", encoding="utf-8")
    try:
        jobs = job_table(real_run.run("drp", "-n"))
    finally:
        table.write_text(before, encoding="utf-8")
        shutil.rmtree(data / "22")
    assert jobs == {
        "calibrate_image": 2, "summarize_visit": 1, "warp_visit": 2, "assemble_coadd": 2, "measure_objects": 2,
        "subtract_template": 2, "associate_dia_sources": 2, "check_survival": 1, "drp": 1,
    }  # fmt: skip


@pytest.mark.slow
def test_changed_kernels_hide_no_other_job(real_run):
    products = real_run.folder / "results" / "object" / "1"
    kernels = real_run.home / "scripts" / "skyloom" / "algorithms" / "photometry.py"
    before = kernels.read_text(encoding="utf-8")
    (products / "0_0.parquet").rename(products / "kept")
    kernels.write_text(before + "\nEDITED = 1\n", encoding="utf-8")
    try:
        rules = rules_that_rerun(real_run)
    finally:
        kernels.write_text(before, encoding="utf-8")
        (products / "kept").rename(products / "0_0.parquet")
    assert {"calibrate_image", "measure_objects", "check_survival"} <= rules
    assert "compile_kernels" not in rules
