"""An edit of any setting, or of a row of a table, reruns exactly the rules that read it, as Snakemake says."""

import shutil
from importlib.util import find_spec

import pytest
import yaml
from settings_read import SCHEMA, leaves, leaves_of, parameters_read, settings_read, value_at
from workflow_support import HOME, Snakemake, copy_run

from skyloom.workflow.calibrated import SOLUTIONS
from skyloom.workflow.config import fill_defaults
from skyloom.workflow.extras import PSF_MODEL

CALIBS = {"combine_bias", "combine_dark", "combine_flat"}
PIXELS_OF_TRACTS = {"warp_visit", "assemble_coadd", "measure_objects", "associate_dia_sources"}
SKY, NIGHTS = {"simulate_sky"}, {"simulate_night_n1", "simulate_night_n2"}
EVERYTHING = {"compile_kernels", *CALIBS, "calibrate_image"}
FOLLOWERS = {
    "simulate_sky": NIGHTS | CALIBS | {"calibrate_image"},
    **{night: {"calibrate_image"} for night in NIGHTS},
    "combine_bias": {"combine_dark", "combine_flat", "calibrate_image", "write_report"},
    "combine_dark": {"combine_flat", "calibrate_image", "write_report"},
    "combine_flat": {"calibrate_image", "write_report"},
    "combine_illumination": {"calibrate_image", "write_report"},
    "calibrate_image": {"summarize_visit", "warp_visit", "subtract_template", "write_report"},
    "summarize_visit": {"check_survival", "write_report"},
    "fit_visit_sky": {"warp_visit", "subtract_template"},
    "warp_visit": {"assemble_coadd"},
    "assemble_coadd": {"measure_objects", "subtract_template", "write_report"},
    "measure_objects": {"check_survival", "write_report"},
    "subtract_template": {"associate_dia_sources", "check_survival", "write_report"},
    "associate_dia_sources": {"check_survival", "write_report"},
    "check_survival": {"write_report", "write_page"},
    "write_report": {"write_page"},
}
"""Rules that take what a rule makes."""

# The rules that read a setting, or a section but for those of its settings that are named themselves.
READERS = {
    "survey": {"write_page"},
    "output_root": EVERYTHING,
    "raw_root": CALIBS | {"calibrate_image"},
    "seed": {"calibrate_image"},
    "camera": CALIBS | {"calibrate_image"},
    "cameras": set(),
    "visits": set(),
    "calibration_frames": set(),
    "bands": {"measure_objects", "associate_dia_sources", "write_report"},
    "exclude": {"assemble_coadd", "check_survival", "write_report"},
    "missing_raw": set(),
    "min_good_fraction": {"check_survival"},
    "template": set(),
    "sky_map": PIXELS_OF_TRACTS,
    "sky_map.n_ring": set(),
    "sky_map.overlap_degree": set(),
    "sky_map.tracts": {"measure_objects", "associate_dia_sources"},
    "reference": {"calibrate_image"},
    "reference.path": {"calibrate_image"},
    "isr": {"calibrate_image"},
    "isr.overscan": CALIBS | {"calibrate_image"},
    "isr.measure_read_noise": CALIBS | {"calibrate_image"},
    "isr.max_noise_ratio": CALIBS | {"calibrate_image"},
    "isr.suspect_fraction": CALIBS | {"calibrate_image"},
    "isr.exposure_time_tolerance": {"combine_dark", "combine_flat", "calibrate_image"},
    "isr.time_tolerance": {"combine_dark", "combine_flat", "calibrate_image"},
    "calibs": CALIBS,
    "calibs.hot_rate": {"combine_dark"},
    "calibs.hot_sigma": {"combine_dark"},
    "calibs.flat_min_level": {"combine_flat"},
    "calibs.low_response": {"combine_flat"},
    "calibs.illumination": {"combine_illumination"},
    # Of cameras without dark frames.
    "calibs.defects_from_science": set(),
    "calibs.drift_sigma": set(),
    "calibs.drift_fraction": set(),
    "calibs.drift_max_frames": set(),
    "calibrate.background": {"calibrate_image"},
    "calibrate.detection": {"calibrate_image"},
    "calibrate.cosmic_rays": {"calibrate_image"},
    "calibrate.streaks": {"calibrate_image"},
    "calibrate.halos": {"calibrate_image"},
    "calibrate.psf": {"calibrate_image"},
    "calibrate.measurement": {"calibrate_image"},
    "calibrate.sky_objects": {"calibrate_image"},
    "calibrate.astrometry": {"calibrate_image"},
    "calibrate.photometry": {"calibrate_image"},
    # Without the option there is no rule that reads the others.
    "visit_sky": set(),
    "visit_sky.enabled": {"fit_visit_sky", "warp_visit", "subtract_template"},
    "warp": {"warp_visit"},
    "coadd": {"assemble_coadd"},
    "objects": {"measure_objects"},
    "diff": {"subtract_template"},
    "dia": {"subtract_template"},
    "association": {"associate_dia_sources"},
    "report": {"write_report"},
}
READERS_OF_A_SIMULATED_SURVEY = {
    "seed": SKY | NIGHTS | {"calibrate_image"},
    "bands": SKY | NIGHTS | READERS["bands"],
    "simulate.stars": SKY | NIGHTS,
    "simulate.galaxies": SKY | NIGHTS,
    "simulate.transients": SKY | NIGHTS,
    "simulate.moving_objects": SKY,
    "simulate.dust": SKY | NIGHTS,
    "simulate.reference": SKY,
    "simulate.atmosphere": SKY | NIGHTS,
    "simulate.telescope": SKY | NIGHTS,
    "simulate.telescope.flat_illumination_error": SKY,
    "simulate.telescope.twilight_epochs": SKY,
    "simulate.telescope.twilight_gradient": SKY,
    **{f"simulate.telescope.aureole_{name}": NIGHTS for name in ("fraction", "radius")},
    **{f"simulate.telescope.spike_{name}": NIGHTS for name in ("fraction", "length", "angle")},
    **{f"simulate.telescope.ghost_{name}": NIGHTS for name in ("fraction", "radius")},
    "simulate.satellites": NIGHTS,
    "simulate.detector": SKY | NIGHTS,
    "simulate.detector.fringing": NIGHTS,
    "simulate.detector.flat_level": SKY,
    "simulate.detector.flat_reference_time": SKY,
    "simulate.bad_frames": NIGHTS,
}
# The one setting of the prompt flow alone.
PROMPT = "visit"
# New values that the schema alone cannot tell; the files are made by the fixture.
VALUES = {
    "survey": "renamed",
    "output_root": "elsewhere",
    "raw_root": "moved",
    "camera": "tiny/other_camera.yaml",
    "cameras": {"tinycam": "tiny/camera.yaml"},
    "visits": "tiny/other_visits.csv",
    "calibration_frames": "tiny/other_frames.csv",
    "bands": ["r", "g"],
    "visit": 21,
    "exclude": [{"visit": 12, "reason": "a test"}],
    "template.root": "release",
    "sky_map.tracts": lambda tracts: [*tracts, {"tract": 3, "ra": 90.0, "dec": 2.2, "patches": [1, 1]}],
    "reference.path": "tiny/reference.parquet",
    **{name: "pmra_error" for name in leaves() if name.startswith("reference.columns.")},
    "reference.columns.pmra_error": "pmdec_error",
    "reference.fluxes": {"r": "flux_r"},
    "reference.flux_errors": {"r": "flux_r_error"},
    "reference.vega_ab_magnitudes": {"r": 0.1},
    "reference.colour_terms": {
        "r": {"magnitude": "flux_r", "colour": ["flux_r", "flux_r"], "coefficients": [0.1]}
    },
    "reference.colour": ["flux_r", "flux_r"],
    "coadd.rejected_planes": ["BAD"],
    "objects.band_priority": ["r"],
    "simulate.telescope.twilight_epochs": ["e1"],
    "simulate.detector.dead_amplifiers": [{"detector": 0, "amplifier": "A"}],
    "simulate.bad_frames": [{"visit": 12, "detector": 1, "kind": "nan"}],
}
# Table, what stands in a row of it and what instead, and the rules that read it.
ROWS = {
    "the use of a visit": (
        "visits",
        "1.12,tinycam,{raw},template",
        "1.12,tinycam,{raw},both",
        {"subtract_template"},
    ),
    "the airmass of a visit": ("visits", "1.12,", "1.13,", {"calibrate_image"}),
    "the validity of an epoch": ("calibration_frames", "61400", "61410", set()),
}
# Strings of a script's code that are no settings there: kinds of calibrations, columns, keys of the camera file.
NO_SETTINGS = {*(f"isr.{kind}" for kind in ("bias", "dark", "flat", "defects")), "calibs.illumination"}
OTHER_MEANING = {
    **dict.fromkeys([*CALIBS, "find_defects"], NO_SETTINGS),
    "combine_illumination": {"calibs.illumination", "camera", "visit"},
    "calibrate_image": {"camera", "visit", "reference.path"},
    "simulate_night": {"visit"},
    "check_survival": {"visit"},
    "write_report": {"calibs.illumination"},
}


def row_of(name, table):
    """Row of a table that stands for a setting: the longest name that begins it."""
    return max((row for row in table if f"{name}.".startswith(f"{row}.")), key=len, default=None)


def rules_after(rules):
    """Some rules and all that take what they make, directly or not."""
    found, waiting = set(), list(rules)
    while waiting:
        rule = waiting.pop()
        if rule not in found:
            found.add(rule)
            waiting += FOLLOWERS.get(rule, ())
    return found


def other_value(name, value):
    """Another value of a setting that the schema allows."""
    if name in VALUES:
        return VALUES[name](value) if callable(VALUES[name]) else VALUES[name]
    schema = SCHEMA
    for key in name.split("."):
        schema = schema["properties"][key]
    return _other_value(schema, value)


def _other_value(schema, value):
    """Another value that fits one key's schema."""
    if "enum" in schema:
        return next(other for other in schema["enum"] if other != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return [_other_value(schema["items"], item) for item in value]
    if isinstance(value, str) or value is None:
        return "other"
    steps = (1, -1) if schema["type"] == "integer" else (0.01 * value, -0.01 * value, 1e-5, 1.0)
    return next(value + step for step in steps if step and _is_allowed(schema, value + step))


def _is_allowed(schema, value):
    """Whether a number lies within its schema's limits."""
    low = schema.get("minimum", float("-inf")) <= value <= schema.get("maximum", float("inf"))
    return low and value > schema.get("exclusiveMinimum", float("-inf"))


class Edits:
    """Dry runs of a finished survey after edits of its configuration."""

    def __init__(self, run, target):
        self.run, self.target = run, target
        text = (run.folder / "tiny" / "survey.yaml").read_text(encoding="utf-8")
        self.settings = fill_defaults(SCHEMA, yaml.safe_load(text))

    def rules(self, edits):
        """Rules that would run after each of some edits, lists of names of settings (dict of str to set)."""
        contents = {edit: self._edited(names) for edit, names in edits.items()}
        return self.rules_with(contents)

    def rules_with(self, contents):
        """Rules that would run with each of some contents of a further configuration file (dict of str to set)."""
        commands = []
        for number, content in enumerate(contents.values()):
            path = self.run.folder / f"edit{number}.yaml"
            path.write_text(yaml.safe_dump(content), encoding="utf-8")
            given = ["--configfile", "tiny/survey.yaml", path.name]
            commands.append([self.target, "-n", *given])
        results = self.run.dry_runs(commands)
        return {edit: set(done["jobs"]) - {self.target} for edit, done in zip(contents, results, strict=True)}

    def _edited(self, names):
        """Content of a configuration file that changes some settings."""
        content = {}
        for name in names:
            *sections, key = name.split(".")
            part = content
            for section in sections:
                part = part.setdefault(section, {})
            value = value_at(self.settings, name)
            part[key] = other_value(name, value)
            assert part[key] != value
        return content


@pytest.fixture
def edits_of_a_real_survey(real_survey, tmp_path):
    """The finished survey of real frames, and the files that edits name."""
    copy_run(real_survey, tmp_path)
    tiny = tmp_path / "tiny"
    for name, other in (
        ("camera.yaml", "other_camera.yaml"),
        ("visits.csv", "other_visits.csv"),
        ("calibration_frames.csv", "other_frames.csv"),
    ):
        shutil.copy(tiny / name, tiny / other)
    shutil.copy(tmp_path / "results" / "refcat" / "reference.parquet", tiny)
    (tmp_path / "moved").symlink_to("results")
    (tmp_path / "release" / "coadd").mkdir(parents=True)
    return Edits(Snakemake(tmp_path), "report")


@pytest.fixture
def edits_of_a_simulated_survey(finished, tmp_path):
    """The finished simulated survey."""
    copy_run(finished, tmp_path)
    return Edits(Snakemake(tmp_path), "drp")


def settings_by_row(table):
    """Settings that each row stands for, without the `SOLUTIONS` (of raw frames) and what needs a missing extra."""
    rows, missing = {}, {PSF_MODEL} if find_spec("piff") is None else set()
    for name in [name for name in leaves() if name not in {*SOLUTIONS, *missing}]:
        row = row_of(name, table)
        if row is not None:
            rows.setdefault(row, []).append(name)
    assert rows.keys() == table.keys()
    return rows


def expected_rules(table, left_out=frozenset()):
    """Rules that run again by row of a table."""
    return {row: rules_after(readers) - left_out for row, readers in table.items()}


def test_every_setting_stands_in_a_table_of_edits():
    tables = READERS | READERS_OF_A_SIMULATED_SURVEY
    assert [name for name in leaves() if row_of(name, tables) is None] == [PROMPT]


@pytest.mark.slow
def test_settings_rerun_the_rules_that_read_them(edits_of_a_real_survey):
    edits = {"nothing": [], **settings_by_row(READERS)}
    assert edits_of_a_real_survey.rules(edits) == {"nothing": set(), **expected_rules(READERS)}


@pytest.mark.slow
def test_settings_of_the_simulator_rerun_the_rules_that_read_them(edits_of_a_simulated_survey):
    edits = {"nothing": [], **settings_by_row(READERS_OF_A_SIMULATED_SURVEY)}
    expected = expected_rules(READERS_OF_A_SIMULATED_SURVEY, {"write_report", "write_page"})
    assert edits_of_a_simulated_survey.rules(edits) == {"nothing": set(), **expected}


@pytest.mark.slow
def test_rows_of_the_tables_rerun_the_rules_that_read_them(edits_of_a_real_survey):
    tiny, contents = edits_of_a_real_survey.run.folder / "tiny", {}
    for edit, (table, old, new, _) in ROWS.items():
        text = (tiny / f"{table}.csv").read_text(encoding="utf-8")
        edited = text.replace(*(part.replace("{raw}", "raw/{visit}/{detector}.fits") for part in (old, new)))
        assert edited != text
        path = tiny / f"{edit.replace(' ', '_')}.csv"
        path.write_text(edited, encoding="utf-8")
        contents[edit] = {table: str(path)}
    expected = {edit: rules_after(readers) for edit, (*_, readers) in ROWS.items()}
    assert edits_of_a_real_survey.rules_with(contents) == expected


@pytest.mark.slow
def test_the_prompt_flow_of_a_visit_reruns_nothing_of_the_release(edits_of_a_real_survey):
    prompt = Edits(edits_of_a_real_survey.run, "ap")
    rules = prompt.rules({PROMPT: [PROMPT, "template.root"]})
    assert rules == {PROMPT: {"ap_subtract_template", "ap_check_survival"}}


@pytest.mark.bars
def test_each_setting_alone_reruns_the_rules_that_read_it(edits_of_a_real_survey):
    rows = settings_by_row(READERS)
    edits = {name: [name] for names in rows.values() for name in names}
    expected = {name: rules_after(READERS[row_of(name, READERS)]) for name in edits}
    assert edits_of_a_real_survey.rules(edits) == expected


@pytest.mark.slow
def test_rules_are_handed_the_settings_and_params_that_their_scripts_read_and_no_others(tiny):
    (tiny.folder / "release" / "coadd").mkdir(parents=True)
    without_calibs = {"calibration_frames": None, "calibs": {"defects_from_science": True}}
    prompt = {"visit": 21, "template": {"root": "release"}}
    commands = []
    for target, changes in (
        ("report", {"calibs": {"illumination": True}, "visit_sky": {"enabled": True}}),
        ("drp", without_calibs),
        ("ap", prompt),
    ):
        name = f"{target}.yaml"
        (tiny.folder / name).write_text(yaml.safe_dump(changes), encoding="utf-8")
        commands.append([target, "-n", "--configfile", "tiny/survey.yaml", name])
    handed = {}
    for done in tiny.dry_runs(commands):
        handed |= done["rules"]
    scripts = {rule: given["script"] for rule, given in handed.items()}
    read = {rule: settings_read(name) - OTHER_MEANING.get(name, set()) for rule, name in scripts.items()}
    assert {rule: leaves_of(given["settings"]) for rule, given in handed.items()} == read
    # A job's provenance takes the fingerprint; the content of a camera stands for the file at its path.
    implied = {"code", "camera_content"}
    asked = {rule: parameters_read(name) for rule, name in scripts.items()}
    assert {rule: set(given["params"]) - implied for rule, given in handed.items()} == asked
    assert set(scripts.values()) == {path.stem for path in (HOME / "scripts").glob("*.py")}
