"""Five errors in one configuration: all told at once, before any job, quickly."""

import resource

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


def test_five_errors_are_told_at_once_before_any_job(tiny):
    visits = tiny.folder / "tiny" / "visits.csv"
    lines = visits.read_text(encoding="utf-8").splitlines()
    visits.write_text("\n".join([*lines, lines[1]]) + "\n", encoding="utf-8")
    (tiny.folder / "five.yaml").write_text(FIVE, encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = tiny.run("drp", "--cores", "1", config="five.yaml", succeeds=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
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
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert cpu < CPU_BAR_S


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
