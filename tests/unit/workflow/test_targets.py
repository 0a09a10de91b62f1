"""The survey's tables and the questions of the rules, on the tiny survey, without Snakemake."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from skyloom.core.images import VISIT_FIELDS
from skyloom.workflow.config import InvalidConfigurationError, load_schema
from skyloom.workflow.needs import CLUSTER_MB
from skyloom.workflow.raw_targets import FRAME_COLUMNS, PLANNING_COLUMNS, UnknownDataIdError
from skyloom.workflow.start import Skyloom
from skyloom.workflow.survey import load_survey, locate, template_exists

HOME = Path(__file__).resolve().parents[3]
TINY = HOME / "tests" / "workflow" / "tiny"
MOTION = ("pmra", "pmdec", "pmra_error", "pmdec_error", "parallax", "parallax_error")
CATALOGUE = ",".join(("id", "ra", "dec", "ra_error", "dec_error", *MOTION, "flux_r", "flux_r_error")) + "\n"


@pytest.fixture
def given(tmp_path, monkeypatch):
    """The tiny survey's configuration, to change, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "skyloom.workflow.start.Fingerprints", lambda scripts: SimpleNamespace(kernels=lambda: "abc")
    )
    configuration = yaml.safe_load((TINY / "survey.yaml").read_text(encoding="utf-8"))
    for key in ("camera", "visits", "calibration_frames"):
        configuration[key] = str(TINY / Path(configuration[key]).name)
    return configuration


def load(given, **changes):
    """What the rules would see of the survey."""
    merged = {**given, **changes}
    return Skyloom(load_survey(merged, [("tiny.yaml", merged)], HOME), HOME)


def wildcards(**values):
    """Wildcards of a job, text as Snakemake gives it."""
    return SimpleNamespace(**{name: str(value) for name, value in values.items()})


def problems(given, **changes):
    """Text of all problems of a changed configuration."""
    with pytest.raises(InvalidConfigurationError) as caught:
        load(given, **changes)
    return str(caught.value)


def test_inputs_of_a_detector(given):
    targets = load(given).targets
    job = wildcards(visit=21, detector=1)
    assert targets.raw_of(job) == "results/raw/21/1.fits"
    assert targets.calib_of("flat")(job) == "results/calib/e1/flat/r/1.fits"
    assert targets.calib_of("defects")(job) == "results/calib/e1/defects/none/1.fits"
    assert targets.calib_of("fringe")(job) == []
    assert targets.visit_calib_of(job) == []
    assert targets.visit_sky_of(job) == []
    assert targets.visit_row(job)["use"] == "science"
    kept = {name: value for name, value in targets.visit_row(job).items() if name not in PLANNING_COLUMNS}
    assert targets.observation_of(job) == kept
    assert {"visit", "band", "mjd", "airmass"} < kept.keys() < targets.visit_row(job).keys()
    assert targets.reference == "results/refcat/reference.parquet"


def test_the_sky_of_a_visit_is_an_input_where_it_is_asked_for(given):
    targets = load(given, visit_sky={"enabled": True}).targets
    assert targets.visit_sky_of(wildcards(visit=21, detector=1)) == "results/visit_sky/21.fits"
    with pytest.raises(UnknownDataIdError, match="visit 99"):
        targets.visit_sky_of(wildcards(visit=99))


def test_an_illumination_is_made_from_the_visits_that_take_the_flat(given):
    targets = load(given, calibs={"illumination": True}).targets
    assert (
        targets.calib_of("illumination")(wildcards(visit=21, detector=1))
        == "results/calib/e1/illumination/r/1.fits"
    )
    job = wildcards(epoch="e1", band="r", detector=1)
    rows = targets.illumination_frames(job)
    assert targets.illumination_raws(job) == [f"results/raw/{visit}/1.fits" for visit in (11, 12, 21)]
    assert [row["visit"]["visit"] for row in rows] == [11, 12, 21]
    assert all(row["visit"].keys() == set(VISIT_FIELDS) for row in rows)
    calibs = {kind: f"results/calib/e1/{kind}/none/1.fits" for kind in ("bias", "dark", "defects")}
    calibs |= {"flat": "results/calib/e1/flat/r/1.fits"}
    assert [row["calibs"] for row in rows] == [calibs] * 3
    assert targets.illumination_calibs(job) == sorted(calibs.values())
    assert "results/calib/e1/illumination/r/0.fits" in targets.all_calibs()
    with pytest.raises(UnknownDataIdError, match="illumination of epoch e1, band g"):
        targets.illumination_raws(wildcards(epoch="e1", band="g", detector=1))


def test_the_frames_of_an_illumination_are_spread_over_many_visits(given, monkeypatch):
    monkeypatch.setattr("skyloom.workflow.raw_targets.MOST_SKIES", 2)
    targets = load(given, calibs={"illumination": True}).targets
    raws = targets.illumination_raws(wildcards(epoch="e1", band="r", detector=0))
    assert raws == ["results/raw/11/0.fits", "results/raw/21/0.fits"]


def test_nobody_makes_an_illumination_that_is_not_asked_for(given):
    targets = load(given).targets
    assert targets.calib_of("illumination")(wildcards(visit=21, detector=1)) == []
    assert not any("illumination" in path for path in targets.all_calibs())


def test_a_template_is_made_of_template_visits_and_a_deep_coadd_of_all(given):
    targets = load(given).targets
    patch = {"band": "r", "tract": 1, "patch": "0_0"}
    deep = targets.warps_of_coadd(wildcards(kind="deep", **patch))
    template = targets.warps_of_coadd(wildcards(kind="good_seeing", **patch))
    assert [Path(path).stem for path in deep] == ["11", "12", "21"]
    assert [Path(path).stem for path in template] == ["11", "12"]


def test_differences_are_of_science_visits_against_templates_that_exist(given):
    targets = load(given).targets
    assert targets.science_pairs() == [(21, 0), (21, 1)]
    found = targets.templates_of(wildcards(visit=21, detector=0))
    assert all(path.startswith("results/coadd/good_seeing/r/") for path in found)
    assert found


def test_a_band_without_template_visits_has_no_differences(given, tmp_path):
    table = (TINY / "visits.csv").read_text(encoding="utf-8").replace(",template", ",science")
    (tmp_path / "visits.csv").write_text(table, encoding="utf-8")
    targets = load(given, visits="visits.csv").targets
    assert targets.science_pairs() == []
    assert targets.dia_sources() == []
    assert targets.dia_objects() == []
    assert len(targets.visit_summaries()) == 3


def test_a_detector_off_the_sky_map_has_no_difference(given, tmp_path):
    table = (TINY / "visits.csv").read_text(encoding="utf-8").replace("150.0004,2.2004", "150.0004,9.2004")
    (tmp_path / "visits.csv").write_text(table, encoding="utf-8")
    targets = load(given, visits="visits.csv").targets
    assert targets.science_pairs() == []
    assert targets.tract_sources == {}


def test_flats_take_the_bias_that_is_valid_when_they_were_taken(given, tmp_path):
    table = (TINY / "calibration_frames.csv").read_text(encoding="utf-8")
    lines = [line.replace(",e1,", ",month,") if ",bias," in line else line for line in table.splitlines()]
    (tmp_path / "frames.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    targets = load(given, calibration_frames="frames.csv").targets
    job = wildcards(epoch="e1", band="r", detector=1)
    assert targets.epoch_calib("bias", of="flat")(job) == "results/calib/month/bias/none/1.fits"
    assert targets.epoch_calib("dark", of="flat")(job) == "results/calib/e1/dark/none/1.fits"


def test_missing_calibration_frames_of_a_real_survey_are_told(given, tmp_path):
    given.pop("simulate")
    (tmp_path / "ref.csv").write_text(CATALOGUE, encoding="utf-8")
    for visit in (11, 12, 21):
        path = tmp_path / "raws" / "raw" / str(visit) / "0.fits"
        path.parent.mkdir(parents=True)
        path.touch()
    real = {"reference": {"path": "ref.csv"}, "missing_raw": "skip", "raw_root": "raws"}
    text = problems(given, **real)
    assert "frame 1, detector 0: there is no raw file raws/raw_calib/1/0.fits" in text
    assert "detector 1" not in text
    for frame in range(1, 10):
        path = tmp_path / "raws" / "raw_calib" / str(frame) / "0.fits"
        path.parent.mkdir(parents=True)
        path.touch()
    assert len(load(given, **real).targets.all_calibs()) == 4


def test_the_prompt_flow_takes_only_templates_that_are_there(given, tmp_path):
    path = tmp_path / "release" / "coadd" / "good_seeing" / "r" / "1" / "0_0.fits"
    path.parent.mkdir(parents=True)
    path.touch()
    assert template_exists("release", "r", 1, "0_0")
    skyloom = load(given, template={"root": "release"}, visit=21)
    found = {
        p for d in (0, 1) for p in skyloom.targets.finished_templates_of(wildcards(visit=21, detector=d))
    }
    assert found == {"release/coadd/good_seeing/r/1/0_0.fits"}
    assert skyloom.ap_products(wildcards())[-1] == "results/report/failures_ap_21.parquet"


@pytest.mark.parametrize(
    ("ask", "values"),
    [
        ("raw_of", {"visit": 99, "detector": 0}),
        ("raw_of", {"visit": 11, "detector": 7}),
        ("calexps_of_warp", {"visit": 11, "band": "g", "tract": 1, "patch": "0_0"}),
        ("calexps_of_warp", {"visit": 11, "band": "r", "tract": 1, "patch": "5_5"}),
        ("warps_of_coadd", {"kind": "dcr1", "band": "r", "tract": 1, "patch": "0_0"}),
        ("warps_of_coadd", {"kind": "deep", "band": "r", "tract": 9, "patch": "0_0"}),
        ("coadds_of_objects", {"tract": 9, "patch": "0_0"}),
        ("dia_sources_of_tract", {"tract": 9}),
    ],
)
def test_what_the_survey_does_not_have_is_refused_with_what_it_has(given, ask, values):
    with pytest.raises(UnknownDataIdError, match="is not part of the survey, which has"):
        getattr(load(given).targets, ask)(wildcards(**values))


def test_frames_of_an_unknown_epoch_are_refused(given):
    targets = load(given).targets
    job = wildcards(epoch="e1", detector=0)
    assert targets.calib_frames_of("dark")(job) == [f"results/raw_calib/{n}/0.fits" for n in (4, 5, 6)]
    rows = targets.frame_rows_of("dark")(job)
    assert [row["exposure_time"] for row in rows] == [300.0] * 3
    assert all(set(row) == set(FRAME_COLUMNS) for row in rows)
    assert targets.epoch_calib("bias", of="dark")(job) == "results/calib/e1/bias/none/0.fits"
    assert targets.epoch_camera(0)(job) == str(TINY / "camera.yaml")
    with pytest.raises(UnknownDataIdError, match="dark of epoch e7"):
        targets.calib_frames_of("dark")(wildcards(epoch="e7", detector=0))


def test_a_camera_without_darks_finds_its_defects_in_science_frames_when_it_is_told_to(given):
    assert load(given, calibration_frames=None).targets.all_calibs() == []
    targets = load(given, calibration_frames=None, calibs={"defects_from_science": True}).targets
    assert targets.calib_of("bias")(wildcards(visit=11, detector=0)) == []
    path = targets.calib_of("defects")(wildcards(visit=11, detector=0))
    assert path == "results/calib/science-tinycam/defects/none/0.fits"
    frames = targets.science_raws_of(wildcards(epoch="science-tinycam", detector=0))
    assert frames == [f"results/raw/{visit}/0.fits" for visit in (11, 12, 21)]
    assert targets.epoch_calib("bias", of="dark")(wildcards(epoch="science-tinycam", detector=0)) == []
    assert len(targets.all_calibs()) == 2


def test_lists_of_whole_targets(given):
    skyloom = load(given)
    targets = skyloom.targets
    assert targets.objects() == ["results/object/1/0_0.parquet", "results/object/2/0_0.parquet"]
    assert targets.dia_objects() == ["results/dia_object/1.parquet", "results/dia_object/2.parquet"]
    assert len(targets.deep_coadds()) == 2
    assert targets.diffs() == ["results/diff/21/0.fits", "results/diff/21/1.fits"]
    assert targets.template_visits() == {"r": [11, 12]}
    assert len(targets.catalogues("src")) == 6
    assert targets.bands_of_patch(wildcards(tract=1, patch="0_0")) == ["r"]
    assert list(skyloom.simulated_nights()) == ["n1", "n2"]
    assert skyloom.raws_of([21]) == ["results/raw/21/0.fits", "results/raw/21/1.fits"]
    assert len(skyloom.all_frame_raws()) == 18
    assert skyloom.truth_object() == ["results/truth/object.parquet"]


@pytest.mark.parametrize("resource", ["memory_of", "runtime_of"])
def test_memory_and_time_grow_with_inputs_and_attempts(given, resource):
    need = getattr(load(given), resource)("coadd")
    many = [f"{number}.fits" for number in range(60)]
    assert need(None, {"warps": many}, attempt=2) == 2 * need(None, {"warps": many}, attempt=1)
    assert need(None, {"warps": many}, attempt=1) > need(None, {"warps": "one.fits"}, attempt=1)
    assert need(None, {"warps": "one.fits"}, attempt=1) == need(None, {"warps": ["one.fits"]}, attempt=1)


def test_a_clusters_jobs_have_memory_for_the_snakemake_around_the_script(given):
    skyloom = load(given)
    memory = skyloom.memory_of("calibrate")
    alone = memory(None, {}, attempt=2)
    skyloom.on_cluster = lambda: True
    assert memory(None, {}, attempt=2) == alone + CLUSTER_MB


def test_simulated_frames_count_where_no_input_does(given):
    skyloom = load(given)
    few, many = skyloom.runtime_of("simulate", n_frame=2), skyloom.runtime_of("simulate", n_frame=2000)
    assert few(None, {}, attempt=1) < many(None, {}, attempt=1)


def test_a_real_survey_has_no_truth_and_no_nights_to_simulate(given, tmp_path):
    given.pop("simulate")
    (tmp_path / "ref.csv").write_text(CATALOGUE, encoding="utf-8")
    skyloom = load(given, reference={"path": "ref.csv"}, missing_raw="skip")
    assert skyloom.simulated_nights() == {}
    assert skyloom.truth_object() == []
    assert skyloom.truth_sources_of([11]) == []
    assert skyloom.targets.catalogues("src") == []


def test_overlaps_are_kept_by_content(given, tmp_path):
    first = load(given).survey.patches
    (cache,) = (tmp_path / ".snakemake" / "skyloom" / "overlaps").iterdir()
    lists = json.loads(cache.read_text(encoding="utf-8"))
    cache.write_text(json.dumps([[] for _ in lists]), encoding="utf-8")
    assert set(load(given).survey.patches.values()) == {()}
    moved = {**given["sky_map"], "patch_border": 30}
    assert load(given, sky_map=moved).survey.patches.keys() == first.keys()
    assert any(load(given, sky_map=moved).survey.patches.values())


def test_problems_between_sections_are_told_together(given):
    text = problems(
        given,
        visit=99,
        template={"root": "results"},
        exclude=[{"visit": 5, "reason": "a test"}],
        bands=["r", "q"],
        sky_map={**given["sky_map"], "tracts": []},
    )
    for part in (
        "visit: is 99",
        "template.root: is the output root",
        "exclude.0: visit 5 is not in the table",
        "bands: 'q' has no filter",
        "sky_map.tracts: is empty with kind grid",
    ):
        assert part in text


def test_a_template_root_that_is_not_there_is_told(given):
    assert "template.root: nowhere holds no folder coadd" in problems(given, template={"root": "nowhere"})


def test_a_real_survey_needs_a_reference_catalogue(given):
    given.pop("simulate")
    assert "reference.path: is not given" in problems(given)


def test_a_simulated_survey_has_one_camera(given):
    cameras = {"a": given["camera"], "b": given["camera"]}
    assert "cameras: are 2 in a simulated survey" in problems(given, cameras=cameras)


def test_files_that_come_with_the_project_are_found_from_any_folder(given):
    assert locate("config/cameras/simcam.yaml", HOME) == str(HOME / "config" / "cameras" / "simcam.yaml")
    assert locate("nowhere.yaml", HOME) == "nowhere.yaml"


def test_columns_that_the_reference_catalogue_lacks_are_told_before_any_job(given, tmp_path):
    given.pop("simulate")
    (tmp_path / "ref.csv").write_text(
        "# a comment\n" + CATALOGUE.replace("pmra,", "pm_ra,"), encoding="utf-8"
    )
    reference = {"path": "ref.csv", "flux_unit": "mag_vega", "fluxes": {"r": "mag_r"}}
    text = problems(given, reference=reference, missing_raw="skip")
    assert "reference.columns.pmra: there is no column 'pmra' in ref.csv; allowed: id, ra" in text
    assert "nearest: pm_ra" in text
    assert "reference.fluxes.r: there is no column 'mag_r'" in text
    assert "reference.vega_ab_magnitudes: names no band 'r'" in text


def test_a_reference_catalogue_that_is_no_parquet_file_is_told_before_any_job(given, tmp_path):
    given.pop("simulate")
    (tmp_path / "ref.parquet").touch()
    text = problems(given, reference={"path": "ref.parquet"}, missing_raw="skip")
    assert "ref.parquet: the reference catalogue cannot be read" in text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[1, 2]", "line 1, column 1: a list at the top of the file"),
        ("a: [", "line 2, column 1: a bracket that is not closed"),
        ("a: 1", "camera: camera ?: unknown key 'a'"),
    ],
)
def test_a_camera_file_that_cannot_be_used_is_told(given, tmp_path, content, told):
    (tmp_path / "camera.yaml").write_text(content, encoding="utf-8")
    assert f"camera.yaml: {told}" in problems(given, camera="camera.yaml")


def test_the_prompt_flow_asks_for_the_files_of_its_visit_alone(given, tmp_path):
    given.pop("simulate")
    (tmp_path / "ref.csv").write_text(CATALOGUE, encoding="utf-8")
    (tmp_path / "release" / "coadd").mkdir(parents=True)
    for detector in (0, 1):
        for name in ("raw/21", *(f"raw_calib/{frame}" for frame in range(1, 10))):
            path = tmp_path / "raws" / name / f"{detector}.fits"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    real = {"reference": {"path": "ref.csv"}, "raw_root": "raws", "template": {"root": "release"}}
    survey = load(given, **real, visit=21).survey
    assert survey.detectors == {21: (0, 1)}
    assert {visit for visit, _ in survey.patches} == {21}
    text = problems(given, **real)
    assert "visit 11, detector 0: there is no raw file raws/raw/11/0.fits" in text
    (tmp_path / "raws" / "raw" / "21" / "1.fits").unlink()
    (tmp_path / "raws" / "raw_calib" / "3" / "0.fits").unlink()
    text = problems(given, **real, visit=21)
    assert text.startswith("2 problems")
    assert "visit 21, detector 1: there is no raw file" in text
    assert "frame 3, detector 0: there is no raw file" in text


def keys_of(schema, path=()):
    """Paths of all keys of a schema."""
    for name, part in schema.get("properties", {}).items():
        yield (*path, name)
        yield from keys_of(part, (*path, name))


@pytest.mark.slow
@pytest.mark.parametrize("value", [5, [1], {"x": 1}], ids=repr)
def test_no_value_of_the_wrong_kind_ends_in_a_traceback(given, value):
    schema = load_schema(HOME / "config" / "schema")
    n_refused = 0
    for path in keys_of(schema):
        changed = copy.deepcopy(given)
        part = changed
        for key in path[:-1]:
            part[key] = part[key] if isinstance(part.get(key), dict) else {}
            part = part[key]
        part[path[-1]] = value
        try:
            load_survey(changed, [("tiny.yaml", changed)], HOME)
        except InvalidConfigurationError:
            n_refused += 1
    assert n_refused > 100


def test_a_calibration_is_as_old_as_its_latest_visit_takes_it(given):
    ages = load(given).targets.calib_ages()
    # Visit 21 is at 61375.20; the biases' mean is 61353.91, the darks' 61353.94, the flats' 61353.97.
    assert ages == {
        "e1/bias/none": pytest.approx(21.29),
        "e1/dark/none": pytest.approx(21.26),
        "e1/defects/none": pytest.approx(21.26),
        "e1/flat/r": pytest.approx(21.23),
    }


def test_calibrations_without_frames_have_no_age(given):
    given["calibration_frames"] = None
    assert load(given, calibs={"defects_from_science": True}).targets.calib_ages() == {}


def test_benchmarks_are_found_by_rule_and_nights_are_one(given):
    rules = [
        SimpleNamespace(name=name, benchmark=benchmark)
        for name, benchmark in (
            ("simulate_night_n1", "results/benchmarks/simulate_night/n1.tsv"),
            ("simulate_night_n2", "results/benchmarks/simulate_night/n2.tsv"),
            ("warp_visit", r"results/benchmarks/warp/{band,[a-z]}/{visit,\d{1,10}}.tsv"),
            ("ap_subtract_template", "results/benchmarks/ap/diff/{visit}.tsv"),
            ("drp", None),
        )
    ]
    assert load(given).benchmarks_of(rules) == {
        "simulate_night": ["benchmarks/simulate_night/n1.tsv", "benchmarks/simulate_night/n2.tsv"],
        "warp_visit": ["benchmarks/warp/*/*.tsv"],
    }
