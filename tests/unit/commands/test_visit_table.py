"""The command visit-table: headers become tables, edits stay, and what cannot be used is said."""

import csv
import sys
import types

import numpy as np
import pytest
import yaml

from skyloom.commands.frame_cards import UnclearCardError, to_tai
from skyloom.commands.frame_facts import airmass_at, night_of
from skyloom.commands.main import main
from skyloom.core.camera import Site
from skyloom.io.cameras import read_camera
from skyloom.io.raws import write_raw
from skyloom.simulate.headers import calibration_headers, sky_headers
from skyloom.workflow.survey import load_survey
from skyloom.workflow.visits import FRAME_COLUMNS, VISIT_COLUMNS, raw_path, read_table_of

from .conftest import ROOT

KITT_PEAK = Site(31.96, -111.6, 2100)


def run(night, camera, *arguments, code=0):
    command = ["visit-table", str(night.frames), "--camera", camera, "--output", str(night.folder)]
    assert main([*command, *arguments]) == code


def table(night, name="visits.csv"):
    with open(night.folder / name, newline="") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def rewrite(night, rows, name="visits.csv"):
    with open(night.folder / name, "w", newline="") as stream:
        stream.write("# my notes\n")
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_the_demo_tables_come_back_from_the_headers_of_its_frames(night):
    camera = read_camera(ROOT / "config/cameras/simcam.yaml")
    visits, _ = read_table_of(ROOT / "config/demo/visits.csv", VISIT_COLUMNS, "visit")
    frames, _ = read_table_of(ROOT / "config/demo/calibration_frames.csv", FRAME_COLUMNS, "frame")
    plane = {"A": np.ones((2, 2), np.uint16)}
    for row in [*list(visits.values())[:5], *frames.values()]:
        for number, detector in camera.detectors.items():
            headers = (sky_headers if "visit" in row else calibration_headers)(row, detector, camera)
            cards = {"PRIMARY": headers["PRIMARY"]}
            (night.frames / raw_path(row, number)).parent.mkdir(parents=True, exist_ok=True)
            write_raw(night.frames / raw_path(row, number), plane, cards)
    run(night, str(ROOT / "config/cameras/simcam.yaml"), "--utc-offset", "9")
    made, problems = read_table_of(night.folder / "visits.csv", VISIT_COLUMNS, "visit")
    assert problems == []
    for row, expected in zip(made.values(), visits.values(), strict=False):
        assert row["raw"] == expected["raw"].replace("{visit}", str(expected["visit"]))
        assert row["mjd"] == pytest.approx(expected["mjd"], abs=1e-6)
        for name in ("exposure_name", "night", "band", "exposure_time", "ra", "dec", "rotation", "camera"):
            assert row[name] == expected[name], name
    made, problems = read_table_of(night.folder / "calibration_frames.csv", FRAME_COLUMNS, "frame")
    assert problems == []
    counts = [
        sorted((r["kind"], r["band"], r["exposure_time"]) for r in rows.values()) for rows in (made, frames)
    ]
    assert counts[0] == counts[1]
    assert len({row["epoch"] for row in made.values()}) == 1


def test_a_file_with_all_detectors_is_one_visit(night, tiny):
    for number in (1, 2):
        night.science(f"exposure{number}.fits", number, planes=("N1", "N2"))
    run(night, night.camera(tiny(2)))
    assert [row["raw"] for row in table(night)] == ["exposure1.fits", "exposure2.fits"]


def test_numbers_with_zeros_in_front_make_a_pattern_that_the_workflow_fills(night, tiny):
    content = tiny(2)
    for entry in content["detectors"].values():
        entry["amplifiers"][0]["extension"] = "CHIP"
    for detector in (1, 2):
        night.science(f"n1/e7_c{detector:02}.fits", OBSID="e7", CCDNUM=detector, planes=("CHIP",))
    run(night, night.camera(content))
    (row,) = table(night)
    assert row["raw"] == "n1/e7_c{detector:02}.fits"
    assert [raw_path(row, detector) for detector in (1, 2)] == ["n1/e7_c01.fits", "n1/e7_c02.fits"]
    night.science("n1/west.fits", OBSID="e8", CCDNUM=1, planes=("CHIP",))
    night.science("n1/east.fits", OBSID="e8", CCDNUM=2, planes=("CHIP",))
    run(night, night.camera(content))
    assert len(table(night)) == 1


def files_a_detector(tiny):
    """Description of a camera of two detectors with a file each."""
    content = tiny(2)
    for entry in content["detectors"].values():
        entry["amplifiers"][0]["extension"] = "CHIP"
    return content


def mosaic(tiny):
    """Description of a camera whose two detectors are the odd and even columns of one plane, each of a band."""
    content = tiny(2)
    content["raw"] = {"format": "single"}
    for number, band in ((1, "g"), (2, "r")):
        entry = content["detectors"][number]
        entry |= {"band": band, "shape": [8, 4], "pixel_step": [2, 1], "pixel_start": [number - 1, 0]}
        section = [0, 4, 0, 8]
        entry["amplifiers"][0] |= {"extension": 0, "data_section": section, "detector_section": section}
    return content


def test_a_colour_mosaic_has_a_visit_of_each_band_and_edits_of_one_stay_with_it(night, tiny):
    camera = night.camera(mosaic(tiny))
    night.science("s1.fits", FILTER=None)
    night.frame("f1.fits", IMAGETYP="flat", EXPTIME=3.0, DATE_OBS="2026-11-24T02:00:00")
    run(night, camera)
    rows = table(night)
    assert [(row["visit"], row["band"], row["raw"]) for row in rows] == [
        ("1", "g", "s1.fits"),
        ("2", "r", "s1.fits"),
    ]
    assert [row["band"] for row in table(night, "calibration_frames.csv")] == ["g", "r"]
    rows[1]["use"] = "template"
    rewrite(night, rows)
    night.science("s2.fits", 5, FILTER=None)
    run(night, camera)
    assert [(row["visit"], row["band"], row["use"]) for row in table(night)] == [
        ("1", "g", "both"),
        ("2", "r", "template"),
        ("3", "g", "both"),
        ("4", "r", "both"),
    ]
    content = yaml.safe_load((night.folder / "survey.yaml").read_text())
    survey = load_survey(content, [("survey.yaml", content)], ROOT, check_files=False)
    assert survey.detectors == {1: (1,), 2: (2,), 3: (1,), 4: (2,)}


def test_files_of_an_exposure_without_a_name_are_joined_by_their_time(night, tiny):
    for minute in (1, 2):
        for detector in (1, 2):
            night.science(f"raw{minute}_c{detector}.fits", minute, CCDNUM=detector, planes=("CHIP",))
    run(night, night.camera(files_a_detector(tiny)))
    assert [(row["raw"], row["exposure_name"]) for row in table(night)] == [
        ("raw1_c{detector}.fits", "raw1_c1"),
        ("raw2_c{detector}.fits", "raw2_c1"),
    ]


def test_two_exposures_never_have_one_pattern(night, tiny, capsys):
    for detector in (1, 2):
        night.science(f"c{detector}.fits", 10 * detector, CCDNUM=detector, planes=("CHIP",))
    run(night, night.camera(files_a_detector(tiny)))
    assert len(table(night)) == 1
    assert "c{detector}.fits stands for files of two exposures: map exposure_name" in capsys.readouterr().out


def test_names_of_exposures_may_begin_anew_each_night(night, tiny):
    for day in (23, 24):
        for detector in (1, 2):
            cards = {"OBSID": "1", "CCDNUM": detector, "DATE_OBS": f"2026-11-{day}T03:00:00"}
            night.science(f"n{day}/c{detector}.fits", planes=("CHIP",), **cards)
    run(night, night.camera(files_a_detector(tiny)))
    assert [row["raw"] for row in table(night)] == ["n23/c{detector}.fits", "n24/c{detector}.fits"]


def test_a_number_of_more_digits_than_a_pattern_can_have_is_refused(night, tiny, capsys):
    for detector in (1, 2):
        night.science(f"{detector:012}.fits", CCDNUM=detector, planes=("CHIP",))
    run(night, night.camera(files_a_detector(tiny)), code=1)
    assert "do not differ by the detector's number alone" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cards", "kind"),
    [
        ({"IMAGETYP": "Bias Frame", "EXPTIME": 0.0}, "bias"),
        ({"IMAGETYP": "zero", "EXPTIME": 0.0, "FILTER": None}, "bias"),
        ({"IMAGETYP": "Dark Frame"}, "dark"),
        ({"IMAGETYP": "dome flat"}, "flat r"),
        ({"IMAGETYP": "FLAT FIELD"}, "flat r"),
        ({"IMAGETYP": None, "OBJECT": "skyflat r"}, "flat r"),
        ({"IMAGETYP": None, "OBSTYPE": "OBJECT"}, "science r"),
        ({"IMAGETYP": None, "OBJECT": "NGC 1275"}, "science r"),
        ({"IMAGETYP": "Light Frame"}, "science r"),
        ({"IMAGETYP": "focus"}, "other"),
        ({"IMAGETYP": "own word"}, "dark"),
        ({"IMAGETYP": None, "OBJECT": None}, "other"),
    ],
)
def test_each_file_gets_a_class_and_names_the_card(night, tiny, capsys, cards, kind):
    night.science("x.fits", **cards)
    raw = {"format": "single", "image_types": {"Own Word": "dark"}}
    run(night, night.camera(tiny(raw=raw)), code=0 if kind != "other" else 1)
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith(f"x.fits: {kind} (")
    decided = [f"{key} = {value}" for key, value in cards.items() if value is not None and key != "EXPTIME"]
    assert not decided or decided[0] in line


@pytest.mark.parametrize(
    ("cards", "seconds"),
    [
        ({"DATE_OBS": "2026-11-24T03:00:00"}, 37),
        ({"DATE_OBS": "2026-11-24T03:00:00", "TIMESYS": "TAI"}, 0),
        ({"DATE_OBS": "2026-11-24T03:00:00", "TIMESYS": "TT"}, -32.184),
        ({"DATE_OBS": "2026-11-23T20:00:00-0700", "TIMESYS": "TAI"}, 37),
        ({"DATE_OBS": "2026-11-24", "UT": "03:00:00.0"}, 37),
        ({"MJD_OBS": 61368.125, "DATE_OBS": "2020-01-01T00:00:00"}, 37),
    ],
)
def test_times_become_the_middle_of_the_exposure_in_tai(night, tiny, cards, seconds):
    night.science("x.fits", **cards)
    run(night, night.camera(tiny()))
    assert float(table(night)[0]["mjd"]) == pytest.approx(61368.125 + (seconds + 30) / 86400, abs=1e-7)


def test_the_camera_files_time_counts_before_the_usual_cards(night, tiny):
    night.science("x.fits", MJD_OBS=60000.0, UT_MID="2026-11-24T03:00:00")
    raw = {"format": "single", "header": {"date_mid": "UT-MID"}}
    run(night, night.camera(tiny(raw=raw)))
    assert float(table(night)[0]["mjd"]) == pytest.approx(61368.125 + 37 / 86400, abs=1e-7)


def test_a_julian_date_is_taken_where_the_camera_file_says_that_it_is_one(night, tiny):
    night.science("x.fits", MJD_OBS=None, DATE_OBS=None, JD=2461368.625)
    raw = {"format": "single", "header": {"jd_mid": "JD"}}
    run(night, night.camera(tiny(raw=raw)))
    assert float(table(night)[0]["mjd"]) == pytest.approx(61368.125 + 37 / 86400, abs=1e-7)


def test_leap_seconds_are_those_of_the_date():
    assert (to_tai(57753.5, "UTC") - 57753.5) * 86400 == pytest.approx(36, abs=1e-4)
    assert (to_tai(57754.5, "UTC") - 57754.5) * 86400 == pytest.approx(37, abs=1e-4)
    with pytest.raises(UnclearCardError, match="TIMESYS is LOCAL"):
        to_tai(57754.5, "LOCAL")


@pytest.mark.parametrize(
    ("cards", "ra", "dec"),
    [
        ({}, 132.825, -11.8),
        ({"RA": 132.825, "DEC": -11.8}, 132.825, -11.8),
        ({"RA": "132.825", "DEC": "-00:30:00"}, 132.825, -0.5),
        ({"RA": "8 51 18", "DEC": "+11 48 00"}, 132.825, 11.8),
        ({"RA": "8h51m18.0s", "DEC": "+11d48m00s"}, 132.825, 11.8),
        ({"RA": None, "DEC": None, "CTYPE1": "RA---TAN", "CRVAL1": 10.0, "CRVAL2": 5.0}, 10, 5),
    ],
)
def test_pointings_are_degrees_or_sexagesimal(night, tiny, cards, ra, dec):
    night.science("x.fits", **cards)
    run(night, night.camera(tiny()))
    (row,) = table(night)
    assert (float(row["ra"]), float(row["dec"])) == pytest.approx((ra, dec), abs=1e-6)


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ({"RA": None}, "no card holds RA and DEC"),
        ({"RA": "no"}, "RA is 'no', needs a number"),
        ({"FILTER": "H-alpha"}, "FILTER = H-alpha is none of the bands g, r"),
        ({"FILTER": None}, "no filter card"),
        ({"DATE_OBS": None}, "no time"),
        ({"MJD_OBS": 2461368.625}, "needs 15000 to 100000: is it a Julian date"),
        ({"MJD_OBS": 1e12, "TIMESYS": "TAI"}, "MJD 1e+12, needs 15000 to 100000"),
        ({"DATE_OBS": "0001-01-01T00:00:00"}, "is it a Julian date"),
        ({"DATE_OBS": "24/11/26", "UT": "3:00"}, "is no date like"),
        ({"DATE_OBS": "2026-11-24"}, "has no time of day"),
        ({"EXPTIME": None}, "no exposure time"),
        ({"EXPTIME": 0.0}, "a science of 0 s"),
        ({"EXPTIME": 1e300}, "EXPTIME = 1e+300 is no exposure time from 0 to 100000 s"),
        ({"EXPTIME": -1.0, "IMAGETYP": "bias"}, "EXPTIME = -1.0 is no exposure time"),
        ({"IMAGETYP": "focus"}, "class other"),
    ],
)
def test_what_cannot_be_used_is_listed_with_its_reason(night, tiny, capsys, cards, reason):
    night.science("bad.fits", **cards)
    night.science("good.fits", 1)
    run(night, night.camera(tiny()))
    shown = capsys.readouterr().out
    assert "1 files are in no table" in shown
    assert reason in shown
    assert [row["raw"] for row in table(night)] == ["good.fits"]


def test_a_damaged_file_and_an_empty_folder_are_named(night, tiny, capsys):
    camera = night.camera(tiny())
    night.frames.mkdir()
    run(night, camera, code=2)
    assert "holds no file *.fits" in capsys.readouterr().err
    (night.frames / "cut.fits").write_bytes(b"SIMPLE  =")
    night.science("good.fits")
    run(night, camera)
    assert "was the transfer cut short?" in capsys.readouterr().out


def test_edited_cells_stay_and_new_files_come_in(night, tiny, capsys):
    camera = night.camera(tiny())
    for minute in range(4):
        night.science(f"{minute}.fits", minute)
    run(night, camera)
    rows = table(night)
    rows[0]["pointing_uncertainty"] = "900"
    rows[1]["visit"] = "77"
    rows[3]["raw"] = "moved/3.fits"
    rewrite(night, [rows[0], rows[1], rows[3], {**rows[0], "visit": "500", "raw": "own.fits"}])
    night.science("0a.fits", 0)
    night.science("1.fits", 1, FILTER="g")
    capsys.readouterr()
    run(night, camera)
    shown = capsys.readouterr().out
    found = {row["raw"]: row for row in table(night)}
    assert sorted(found) == ["0.fits", "0a.fits", "1.fits", "moved/3.fits", "own.fits"]
    assert found["0.fits"]["pointing_uncertainty"] == "900"
    assert (found["1.fits"]["visit"], found["1.fits"]["band"]) == ("77", "g")
    assert found["0a.fits"]["visit"] == "501"
    assert (night.folder / "visits.csv").read_text().startswith("# my notes\n")
    for note in (
        "kept your visit 1: pointing_uncertainty = 900",
        "kept your visit 2: visit = 77",
        "left out visit 3 (2.fits): you removed its row",
        "kept your visit 4: raw = moved/3.fits",
        "kept your row visit 500",
        "1 new, 4 kept",
    ):
        assert note in shown
    before = (night.folder / "visits.csv").read_bytes()
    run(night, camera)
    assert (night.folder / "visits.csv").read_bytes() == before


def test_a_table_of_other_origin_is_not_touched(night, tiny, capsys):
    night.science("0.fits")
    (night.folder / "visits.csv").write_text("visit\n1\n")
    run(night, night.camera(tiny()), code=2)
    assert "nobody can tell what was edited" in capsys.readouterr().err
    assert (night.folder / "visits.csv").read_text() == "visit\n1\n"


def test_a_table_that_a_spreadsheet_saved_is_read_or_named(night, tiny, capsys):
    night.science("0.fits")
    camera = night.camera(tiny())
    run(night, camera)
    path, before = night.folder / "visits.csv", (night.folder / "visits.csv").read_bytes()
    path.write_bytes(b"\xef\xbb\xbf" + before)
    run(night, camera)
    assert path.read_bytes() == before
    for content, found in (
        (before.replace(b",", b";"), "has no column visit and raw"),
        (before.replace(b"visit", b"number", 1), "has no column visit"),
        (before + b"2,M\xfcnchen\n", "cannot be read ('utf-8'"),
        (b"", "has no column visit and raw"),
    ):
        path.write_bytes(content)
        run(night, camera, code=2)
        assert f"visits.csv {found}" in capsys.readouterr().err
        assert path.read_bytes() == content


@pytest.mark.parametrize("name", ["2024", "null", "1e3", "my field"])
def test_the_survey_file_keeps_names_and_paths_as_text(night, tiny, name):
    night.frames = night.folder / "raw: all #1"
    night.science("0.fits")
    run(night, night.camera(tiny()), "--survey", name)
    content = yaml.safe_load((night.folder / "survey.yaml").read_text())
    assert content["survey"] == name.replace(" ", "-")
    assert content["raw_root"] == str(night.frames)


def test_validity_ends_between_two_nights_to_a_hundredth_of_a_day(night, tiny):
    for day, hour in ((23, 16), (23, 22)):
        for n in range(3):
            night.frame(f"b{hour}_{n}.fits", IMAGETYP="bias", DATE_OBS=f"2026-11-{day}T{hour}:0{n}:00")
    run(night, night.camera(tiny()), "--utc-offset", "-7")
    rows = table(night, "calibration_frames.csv")
    assert [row["valid_until"] for row in rows] == ["61367.79"] * 3 + ["200000"] * 3
    assert [row["valid_from"] for row in rows] == ["0"] * 3 + ["61367.79"] * 3


def test_the_survey_file_passes_the_workflows_checks_once_the_stars_are_there(night, tiny, monkeypatch):
    for day in (22, 24):
        for n in range(3):
            night.frame(f"b{day}_{n}.fits", IMAGETYP="bias", DATE_OBS=f"2026-11-{day}T01:0{n}:00")
    night.frame("b23.fits", IMAGETYP="bias", DATE_OBS="2026-11-23T06:00:00")
    for band in "gr":
        for n in range(3):
            cards = {"EXPTIME": 5.0, "FILTER": band, "DATE_OBS": f"2026-11-24T01:1{n}:00"}
            night.frame(f"f{band}{n}.fits", IMAGETYP="flat", **cards)
    for n, band in enumerate("ggrr"):
        night.science(f"s{n}.fits", n, FILTER=band)
    run(night, night.camera(tiny()), "--survey", "My survey!")
    monkeypatch.chdir(night.folder)
    (night.folder / "stars.csv").write_text("ra,dec,flux_g,flux_r\n132.8,-11.8,15,14.5\n")
    content = yaml.safe_load((night.folder / "survey.yaml").read_text())
    survey = load_survey(content, [("survey.yaml", content)], ROOT)
    assert survey.settings["survey"] == "My-survey"
    assert len(survey.raws) == 4
    assert survey.patches[1, 1]
    calibs = survey.epochs.of_visit(survey.visits[1])
    assert calibs["bias"] == ("tiny-20261123", "none")
    assert calibs["flat"] == ("tiny-20261123", "g")
    epochs = {row["epoch"] for row in survey.frames.values() if row["kind"] == "bias"}
    assert epochs == {"tiny-20261121", "tiny-20261123"}


def test_gaps_that_the_workflow_will_stumble_over_are_said(night, tiny, capsys):
    night.science("s.fits")
    night.frame("f.fits", IMAGETYP="flat", EXPTIME=5.0, FILTER="g", DATE_OBS="2026-11-24T01:10:00")
    run(night, night.camera(tiny()))
    shown = capsys.readouterr().out
    assert "no flat in band r, but in g" in shown
    assert "fewer than 3 frames of flat g" in shown
    assert "1 visits without airmass" in shown
    assert "nights change at noon UTC" in shown


def test_copies_of_an_exposure_are_said(night, tiny, capsys):
    for name in ("image.fits", "weight.fits"):
        night.science(name, OBSID="e1")
    run(night, night.camera(tiny()))
    assert "exposure e1 and 0 more have several rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("mjd", "site", "offset", "expected"),
    [
        (61368.125, KITT_PEAK, None, "20261123"),
        (61368.125 + 0.7, KITT_PEAK, None, "20261124"),
        (61368.125, None, None, "20261123"),
        (61368.45, None, 10, "20261124"),
        (61368.05, None, 10, "20261123"),
        (61368.125, Site(31.96, 360 - 111.6, 2100), None, "20261123"),
        (61368.9, Site(31.96, 360 - 111.6, 2100), None, "20261124"),
    ],
)
def test_nights_change_at_local_noon(mjd, site, offset, expected):
    assert night_of(mjd, site, offset) == expected


@pytest.mark.parametrize("hours", [0, 2, 4, 5])
def test_the_airmass_from_the_site_is_that_of_astropys_altitude(hours):
    from astropy import units as u
    from astropy.coordinates import AltAz, EarthLocation, SkyCoord
    from astropy.time import Time

    mjd = 61367.1 + hours / 24
    place = EarthLocation(KITT_PEAK.longitude * u.deg, KITT_PEAK.latitude * u.deg, KITT_PEAK.elevation * u.m)
    with pytest.MonkeyPatch.context() as patch:
        from astropy.utils import iers

        patch.setattr(iers.conf, "auto_download", False)
        patch.setattr(iers.conf, "auto_max_age", None)
        patch.setattr(iers.conf, "iers_degraded_accuracy", "ignore")
        frame = AltAz(obstime=Time(mjd, format="mjd", scale="tai"), location=place)
        altitude = SkyCoord(20 * u.deg, 30 * u.deg).transform_to(frame).alt.deg
    # Both formulae of the airmass agree to 0.1 % above 15 degrees.
    assert altitude > 15
    expected = 1 / np.sin(np.radians(altitude + 244 / (165 + 47 * altitude**1.1)))
    assert airmass_at(20.0, 30.0, mjd, KITT_PEAK) == pytest.approx(expected, rel=1e-3)
    assert airmass_at(20.0, -85.0, mjd, KITT_PEAK) is None


@pytest.mark.parametrize("card", [None, -1.0, 0.0, 999.0])
def test_an_airmass_that_is_none_is_that_of_the_site(night, tiny, card):
    night.science("0.fits", AIRMASS=1.25)
    night.science("1.fits", AIRMASS=card)
    run(night, night.camera(tiny(site={"latitude": -30.2, "longitude": 0.0})))
    known, taken = (float(row["airmass"]) for row in table(night))
    assert known == 1.25
    # At the site's sidereal time of 7.2 h the target is 24.5 degrees East of the meridian.
    hour_angle, dec, latitude = np.radians([24.5, -11.8, -30.2])
    sine = np.sin(latitude) * np.sin(dec) + np.cos(latitude) * np.cos(dec) * np.cos(hour_angle)
    assert taken == pytest.approx(1 / sine, rel=0.01)


def test_without_the_translator_package_the_option_says_how_to_get_it(night, tiny, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "astro_metadata_translator", None)
    night.science("s.fits")
    run(night, night.camera(tiny()), "--translate", code=2)
    assert "uv pip install -e '.[headers]' in the clone" in capsys.readouterr().err


def test_the_translator_fills_what_the_camera_file_does_not_map(night, tiny, monkeypatch):
    class Seen:
        def __init__(self, cards, pedantic):
            self.observation_type, self.object, self.physical_filter = "science", "X", "g"
            self.boresight_airmass, self.detector_num = 1.3, 1
            self.exposure_time = self.datetime_begin = self.tracking_radec = None

    module = types.ModuleType("astro_metadata_translator")
    module.ObservationInfo = Seen
    module.__spec__ = object()
    monkeypatch.setitem(sys.modules, "astro_metadata_translator", module)
    night.science("s.fits", IMAGETYP="unknown word", FILTER="strange")
    run(night, night.camera(tiny()), "--translate")
    (row,) = table(night)
    assert (row["band"], row["airmass"]) == ("g", "1.300")


@pytest.mark.realdata
def test_the_real_frames_give_the_committed_table(night, realdata):
    folder = realdata / "hatp32-raw-frames"
    camera = ROOT / "config/cameras/microobservatory.yaml"
    command = ["visit-table", str(folder), "--camera", str(camera), "--output", str(night.folder)]
    assert main([*command, "--rotation", "179.5", "--pointing-uncertainty", "1800"]) == 0
    made, problems = read_table_of(night.folder / "visits.csv", VISIT_COLUMNS, "visit")
    known, _ = read_table_of(ROOT / "config/surveys/hatp32_visits.csv", VISIT_COLUMNS, "visit")
    assert problems == []
    assert list(made) == list(known)
    for number, row in known.items():
        assert made[number]["mjd"] == pytest.approx(row["mjd"], abs=1e-6)
        # The table's airmass is the secant of the mount's zenith distance, 0.5 degree off.
        assert made[number]["airmass"] == pytest.approx(row["airmass"], rel=0.03)
        for name in ("night", "band", "exposure_time", "ra", "dec", "rotation", "pointing_uncertainty"):
            assert made[number][name] == row[name], name
