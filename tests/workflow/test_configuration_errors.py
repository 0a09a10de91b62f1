"""Five errors in one configuration: all told at once, before any job, quickly."""

import resource

import pytest
from workflow_support import HOME, Snakemake

FIVE = """
survey: wrong
output_root: results
camera: tiny/camera.yaml
visits: tiny/visits.csv
bands: [r, q]
min_good_fraction: 1.5
missing_rew: skip
reference: {path: nowhere/catalogue.parquet}
"""
CPU_BAR_S = 5.0


def with_five_errors(tiny):
    """Write a configuration with five errors; return its name."""
    visits = tiny.folder / "tiny" / "visits.csv"
    lines = visits.read_text(encoding="utf-8").splitlines()
    visits.write_text("\n".join([*lines, lines[1]]) + "\n", encoding="utf-8")
    (tiny.folder / "five.yaml").write_text(FIVE, encoding="utf-8")
    return "five.yaml"


def test_five_errors_are_told_at_once_before_any_job(tiny):
    text = tiny.run("drp", "--cores", "1", config=with_five_errors(tiny), succeeds=False)
    expected = [
        "five.yaml: missing_rew: is no key of the schema",
        "nearest: missing_raw",
        "five.yaml: min_good_fraction: is 1.5; allowed: number >= 0 <= 1",
        "five.yaml: bands: 'q' has no filter in any camera; allowed: g, i, r",
        "five.yaml: reference.path: there is no file or folder nowhere/catalogue.parquet",
        "tiny/visits.csv: line 5: visit 11 stands already in line 2; allowed: each visit once",
    ]
    assert [part for part in expected if part not in text] == []
    assert "5 problems in the configuration, no job was started:" in text
    assert "Traceback" not in text
    assert not (tiny.folder / "results").exists()


@pytest.mark.bars
def test_five_errors_are_told_in_five_seconds_of_cpu(tiny):
    config = with_five_errors(tiny)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    tiny.run("drp", "--cores", "1", config=config, succeeds=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < CPU_BAR_S


class WithoutPiff(Snakemake):
    """Snakemake of an environment that has no piff."""

    def environment(self):
        """Return the environment of the user's shell (dict), whose Python finds no piff."""
        folder = self.folder / "without"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text("import sys\nsys.modules['piff'] = None\n", encoding="utf-8")
        return super().environment() | {"PYTHONPATH": str(folder)}


def test_a_psf_model_that_is_not_installed_is_told_before_any_job(tiny):
    asked = ("--config", "calibrate={psf: {model: piff}}")
    text = WithoutPiff(tiny.folder).run("drp", "--cores", "1", *asked, succeeds=False)
    assert "calibrate.psf.model: is piff, a package that is not installed" in text
    assert "uv pip install -e '.[piff]'" in text
    assert "Traceback" not in text
    assert not (tiny.folder / "results").exists()


def test_a_missing_camera_and_a_missing_table_are_named(tiny):
    text = tiny.run(
        "drp", "-n", "--config", "camera=config/cameras/simcamm.yaml", "visits=tiny/vists.csv", succeeds=False
    )
    assert "camera: there is no file config/cameras/simcamm.yaml" in text
    assert "nearest: config/cameras/simcam.yaml" in text
    assert "tiny/vists.csv: visits: there is no such file" in text


def test_a_camera_file_that_contradicts_itself_is_named(tiny):
    camera = tiny.folder / "tiny" / "camera.yaml"
    text = camera.read_text(encoding="utf-8").replace(
        "detector_section: [0, 200, 0, 400]", "detector_section: [0, 199, 0, 400]"
    )
    camera.write_text(text, encoding="utf-8")
    assert "tiny/camera.yaml: camera: camera tinycam: detector 0" in tiny.run("drp", "-n", succeeds=False)


def test_an_overlap_of_calibration_epochs_is_refused(tiny):
    frames = tiny.folder / "tiny" / "calibration_frames.csv"
    line = "10,bias,none,0,61353.99,e2,61360,61400,tinycam,raw_calib/{frame}/{detector}.fits\n"
    frames.write_text(frames.read_text(encoding="utf-8") + line, encoding="utf-8")
    text = tiny.run("drp", "-n", succeeds=False)
    assert "epochs e1 and e2 of bias (band none) are both valid from 61360" in text


BROKEN = {
    "empty": (b"", "line 1, column 1: the file is empty"),
    "list": (b"- a\n", "line 1, column 1: a list at the top of the file"),
    "tab": (b"survey: x\nreference:\n\tpath: x\n", "line 3, column 1: indentation by a tab; allowed: spaces"),
    "latin": ("survey: Größe\n".encode("latin-1"), "line 1, column 11: the byte 0xf6, which is no UTF-8"),
    "syntax": (b"survey: x\nbands: [r\nseed: 2\n", "line 2, column 8: a bracket that is not closed"),
}


@pytest.mark.parametrize(("content", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_default_configuration_and_a_broken_camera_are_told_with_line_and_column(
    tiny, content, told
):
    (tiny.folder / "config").mkdir()
    (tiny.folder / "config" / "config.yaml").write_bytes(content)
    (tiny.folder / "tiny" / "camera.yaml").write_bytes(content)
    for config, file in ((None, "config/config.yaml"), ("tiny/survey.yaml", "tiny/camera.yaml")):
        text = tiny.run("drp", "-n", config=config, succeeds=False)
        assert "1 problem in the configuration, no job was started:" in text
        assert f"  1. {file}: {told}" in text
        assert "Traceback" not in text


def test_a_key_given_twice_is_told_with_the_other_problems(tiny):
    (tiny.folder / "five.yaml").write_text(f"{FIVE}survey: again\n", encoding="utf-8")
    text = tiny.run("drp", "-n", config="five.yaml", succeeds=False)
    assert "five.yaml: line 10, column 1: key survey stands already in line 2; allowed: each key once" in text
    assert "five.yaml: missing_rew: is no key of the schema" in text


def test_a_broken_file_that_snakemake_reads_first_is_explained_by_the_command_that_the_readme_names(tiny):
    (tiny.folder / "bad.yaml").write_bytes(BROKEN["tab"][0])
    said = tiny.run("drp", "-n", config="bad.yaml", succeeds=False)
    line = "Config file is not valid JSON or YAML"
    assert line in said
    readme = (HOME / "README.md").read_text(encoding="utf-8")
    assert line in readme
    assert "`skyloom check-config FILE`" in readme
