"""Tables of visits and calibration frames: what is taken, and each thing that is refused."""

from types import SimpleNamespace

import pyarrow as pa
import pytest
from pyarrow import parquet

from skyloom.workflow.survey import CameraFile
from skyloom.workflow.visits import (
    FRAME_COLUMNS,
    VISIT_COLUMNS,
    raw_path,
    read_table_of,
    reference_problems,
)

HEADER = "visit,exposure_name,night,mjd,band,exposure_time,ra,dec,rotation,pointing_uncertainty,airmass,camera,raw,use"
GOOD = "11,e1,n1,61354.2,r,30,150.0,2.2,0,5,1.1,cam,raw/{visit}/{detector}.fits,science"
CAMERA = CameraFile(
    "cam.yaml",
    SimpleNamespace(
        name="cam",
        bands=("q", "r"),
        detectors={0: None, 1: None},
        raw=SimpleNamespace(format="single"),
        calibrated=None,
        has_all_detectors_in_a_file=False,
    ),
    "abc",
)


def read(tmp_path, *lines, header=HEADER):
    """Rows and problems of a CSV table."""
    path = tmp_path / "visits.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    rows, problems = read_table_of(path, VISIT_COLUMNS, "visit")
    return rows, [str(problem) for problem in problems]


def test_a_good_row_is_converted(tmp_path):
    rows, problems = read(tmp_path, GOOD)
    assert problems == []
    assert rows[11]["mjd"] == 61354.2
    assert rows[11]["night"] == "n1"
    assert raw_path(rows[11], 3) == "raw/11/3.fits"


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("c{detector:02}.fits", "c03.fits"), ("{visit:05}/{detector}.fits", "00011/3.fits")],
)
def test_a_number_in_a_path_may_have_zeros_in_front(pattern, path):
    assert raw_path({"visit": 11, "raw": pattern}, 3) == path


def test_empty_cells_and_missing_columns_take_defaults_where_there_are_any(tmp_path):
    header = HEADER.replace(",airmass", "").replace(",use", "")
    rows, problems = read(tmp_path, "11,,n1,61354.2,r,30,150,2.2,,,cam,raw/{detector}.fits", header=header)
    assert problems == []
    assert rows[11]["use"] == "both"
    assert rows[11]["rotation"] == 0.0
    assert rows[11]["pointing_uncertainty"] == 60.0


def test_a_parquet_table_reads_like_the_csv(tmp_path):
    values = dict(zip(HEADER.split(","), GOOD.split(","), strict=True))
    typed = {k: [VISIT_COLUMNS[k].type(v)] for k, v in values.items()}
    parquet.write_table(pa.table(typed), tmp_path / "visits.parquet")
    from_parquet, problems = read_table_of(tmp_path / "visits.parquet", VISIT_COLUMNS, "visit")
    assert problems == []
    assert from_parquet == read(tmp_path, GOOD)[0]


def test_a_duplicate_visit_is_named_with_both_lines(tmp_path):
    rows, problems = read(tmp_path, GOOD, GOOD)
    assert list(rows) == [11]
    assert "line 3: visit 11 stands already in line 2" in problems[0]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("visit", "-1"),
        ("visit", "2147483648"),
        ("visit", "1.5"),
        ("night", "../n"),
        ("mjd", "nan"),
        ("mjd", "61354x"),
        ("exposure_time", "0"),
        ("ra", "361"),
        ("dec", "-91"),
        ("airmass", "0.5"),
        ("use", "sometimes"),
        ("camera", "a/b"),
        ("raw", ""),
        ("mjd", "inf"),
        ("mjd", "6_1354.2"),
        ("visit", "1_1"),
        ("ra", "NaN"),
        ("ra", "10:00:00"),
        ("ra", "10h"),
        ("dec", "two"),
        ("exposure_time", "-30"),
        ("exposure_time", "1e400"),
        ("band", "r/../g"),
        ("night", ".."),
    ],
)
def test_a_bad_cell_is_named_with_line_and_column(tmp_path, column, value):
    cells = dict(zip(HEADER.split(","), GOOD.split(","), strict=True)) | {column: value}
    rows, problems = read(tmp_path, ",".join(cells.values()))
    assert rows == {}
    assert len(problems) == 1
    assert f"line 2, {column}" in problems[0]
    assert "allowed:" in problems[0]


def test_missing_and_unknown_columns_are_named(tmp_path):
    header = HEADER.replace("band", "bnd")
    _, problems = read(tmp_path, GOOD, header=header)
    assert any("band: column is missing" in problem for problem in problems)
    assert any("bnd: is no column" in problem and problem.endswith("nearest: band") for problem in problems)


def test_an_empty_table_is_refused(tmp_path):
    _, problems = read(tmp_path)
    assert any("has no row" in problem for problem in problems)


def test_unknown_bands_cameras_and_raw_fields_are_named(tmp_path):
    rows, _ = read(tmp_path, GOOD.replace(",r,", ",q,").replace("{visit}", "{vist}"))
    problems = [str(p) for p in reference_problems("visits.csv", rows, {"cam2": CAMERA}, ["g", "r"])]
    assert "visit 11, band: is 'q'; allowed: g, r" in problems[0]
    assert "visit 11, camera: is 'cam'; allowed: cam2; nearest: cam2" in problems[1]
    assert "visit 11, raw: names 'vist'" in problems[2]


def test_a_raw_pattern_cannot_reach_into_objects(tmp_path):
    rows, _ = read(tmp_path, GOOD.replace("{visit}", "{visit.__class__}"))
    assert reference_problems("visits.csv", rows, {"cam": CAMERA}, ["r"])


def test_calibration_frames_need_a_band_for_flats_only(tmp_path):
    path = tmp_path / "frames.csv"
    header = ",".join(FRAME_COLUMNS)
    lines = [
        "1,bias,,0,61353,e1,61350,61400,cam,raw_calib/{frame}/{detector}.fits",
        "2,flat,q,5,61353,e1,61350,61400,cam,raw_calib/{frame}/{detector}.fits",
        "3,fringe,r,5,61353,e1,61350,61400,cam,raw_calib/{frame}/{detector}.fits",
    ]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    rows, problems = read_table_of(path, FRAME_COLUMNS, "frame")
    assert list(rows) == [1, 2]
    assert "line 4, kind: is 'fringe'; allowed: bias, dark, flat" in str(problems[0])
    found = [str(p) for p in reference_problems("frames.csv", rows, {"cam": CAMERA}, ["r"])]
    assert len(found) == 1
    assert "frame 2, band: is 'q'" in found[0]


def test_darks_and_flats_have_an_exposure_time():
    rows = {
        number: {"frame": number, "kind": kind, "band": "r", "exposure_time": 0.0, "camera": "cam"}
        | {"raw": "raw_calib/{frame}/{detector}.fits"}
        for number, kind in enumerate(("bias", "dark", "flat"))
    }
    found = [str(p) for p in reference_problems("frames.csv", rows, {"cam": CAMERA}, ["r"])]
    assert len(found) == 2
    assert "frame 1, exposure_time: is 0 for a dark; allowed: a time [s] above 0" in found[0]


def test_a_visit_is_in_a_band_of_its_own_camera(tmp_path):
    rows, _ = read(tmp_path, GOOD.replace(",r,", ",g,"))
    (found,) = reference_problems("visits.csv", rows, {"cam": CAMERA}, ["g", "r"])
    assert "visit 11, band: is 'g', for which camera cam has no filter; allowed: q, r" in str(found)


def test_one_primary_hdu_is_not_several_detectors(tmp_path):
    rows, _ = read(tmp_path, GOOD.replace("/{detector}", ""))
    (found,) = reference_problems("visits.csv", rows, {"cam": CAMERA}, ["r"])
    assert "visit 11, raw: is 'raw/{visit}.fits', one file for the 2 detectors" in str(found)


def test_a_broken_number_of_a_visit_is_not_cut_to_an_integer(tmp_path):
    values = dict(zip(HEADER.split(","), GOOD.split(","), strict=True))
    typed = {k: [VISIT_COLUMNS[k].type(v)] * 2 for k, v in values.items()} | {"visit": [11.7, 12.0]}
    parquet.write_table(pa.table(typed), tmp_path / "visits.parquet")
    rows, problems = read_table_of(tmp_path / "visits.parquet", VISIT_COLUMNS, "visit")
    assert list(rows) == [12]
    assert "row 1, visit: is 11.7; allowed: an integer" in str(problems[0])


def test_lines_are_counted_with_comments_and_blank_ones(tmp_path):
    _, problems = read(tmp_path, "# first night", "", GOOD, "# again", GOOD, header=f"# visits\n{HEADER}")
    assert "line 7: visit 11 stands already in line 5" in problems[0]


@pytest.mark.parametrize(
    ("raw", "exposure_name", "filled"),
    [
        ("../../etc/{visit}/{detector}", "e1", "../../etc/11/0"),
        ("/etc/{visit}/{detector}", "e1", "/etc/11/0"),
        ("~/raw/{visit}/{detector}", "e1", "~/raw/11/0"),
        ("raw/{visit}/../../../{detector}", "e1", "raw/11/../../../0"),
        ("raw/{exposure_name}/{detector}", "../../e1", "raw/../../e1/0"),
        ("{exposure_name}/{detector}", "/etc", "/etc/0"),
        ("raw/{exposure_name}/{detector}", "{night}", "raw/{night}/0"),
        ("raw/{visit/{detector}", "e1", None),
        ("raw/{visit}/{detector}\\..\\x", "e1", "raw/11/0\\..\\x"),
        ("raw/{visit}/{detector}\x07", "e1", "raw/11/0\x07"),
    ],
)
def test_a_raw_file_outside_the_raw_root_is_refused_with_what_its_row_makes_of_it(
    tmp_path, raw, exposure_name, filled
):
    line = GOOD.replace("raw/{visit}/{detector}.fits", raw).replace("e1", exposure_name, 1)
    rows, problems = read(tmp_path, line)
    assert problems == []
    (found,) = [str(problem) for problem in reference_problems("v.csv", rows, {"cam": CAMERA}, ["r"])]
    assert found.startswith("v.csv: visit 11, raw: ")
    if filled is not None:
        assert repr(filled) in found
        assert "allowed: a path below raw_root: not absolute, no .. in it" in found


COLUMNS = "mask,variance,psf,zero_point"


def reduced(form="weight", mask=True):
    """Camera of calibrated images, as far as the table asks."""
    layout = SimpleNamespace(variance=SimpleNamespace(form=form), mask=mask or None)
    return CameraFile("cam.yaml", SimpleNamespace(**{**vars(CAMERA.camera), "calibrated": layout}), "abc")


def test_calibrated_images_name_their_mask_variance_psf_and_zero_point(tmp_path):
    header = f"{HEADER},{COLUMNS}"
    rows, problems = read(tmp_path, f"{GOOD},m{{visit}}.fits,w{{detector}}.fits,,25.5", header=header)
    assert problems == []
    assert reference_problems("v.csv", rows, {"cam": reduced()}, ["r"]) == []
    assert (raw_path(rows[11], 3, "mask"), raw_path(rows[11], 3, "variance")) == ("m11.fits", "w3.fits")
    assert (rows[11]["psf"], rows[11]["zero_point"]) == ("", 25.5)


def test_raw_frames_have_no_mask_and_no_zero_point(tmp_path):
    rows, _ = read(tmp_path, f"{GOOD},m.fits,,p.psf,25.5", header=f"{HEADER},{COLUMNS}")
    found = [str(problem) for problem in reference_problems("v.csv", rows, {"cam": CAMERA}, ["r"])]
    assert [line.split(": ")[1] for line in found] == [
        f"visit 11, {n}" for n in ("mask", "psf", "zero_point")
    ]
    assert (
        "is given, but camera cam takes raw frames; allowed: an empty cell, or a section calibrated"
        in found[0]
    )


def test_a_mask_or_variance_without_a_meaning_is_refused(tmp_path):
    rows, _ = read(tmp_path, f"{GOOD},m.fits,w.fits,,", header=f"{HEADER},{COLUMNS}")
    camera = reduced(form="gain", mask=False)
    mask, variance = (str(problem) for problem in reference_problems("v.csv", rows, {"cam": camera}, ["r"]))
    assert "the file of camera cam does not say what it means; allowed: a section calibrated.mask" in mask
    assert (
        "calibrated.variance.form of camera cam is gain; allowed: one of variance, weight, error" in variance
    )


@pytest.mark.parametrize("column", ["mask", "variance", "psf"])
def test_a_mask_or_psf_outside_the_raw_root_is_refused(tmp_path, column):
    cells = ",".join("../x.fits" if name == column else "" for name in COLUMNS.split(","))
    rows, _ = read(tmp_path, f"{GOOD},{cells}", header=f"{HEADER},{COLUMNS}")
    (found,) = reference_problems("v.csv", rows, {"cam": reduced()}, ["r"])
    assert f"visit 11, {column}: is '../x.fits'; allowed: a path below raw_root" in str(found)


def test_a_zero_point_is_a_magnitude(tmp_path):
    _, problems = read(tmp_path, f"{GOOD},,,,1e5", header=f"{HEADER},{COLUMNS}")
    assert "zero_point: is '1e5'; allowed: an AB magnitude of one unit" in problems[0]


def test_a_camera_of_calibrated_images_has_no_calibration_frames():
    row = {"frame": 1, "kind": "bias", "band": "none", "exposure_time": 0.0, "camera": "cam"}
    rows = {1: row | {"raw": "{frame}/{detector}.fits"}}
    (found,) = reference_problems("f.csv", rows, {"cam": reduced()}, ["r"])
    assert "frame 1, camera: is 'cam', a camera of calibrated images; allowed: a camera of raw frames" in str(
        found
    )


def test_names_with_dots_in_them_lead_nowhere(tmp_path):
    rows, _ = read(tmp_path, GOOD.replace("e1", "a..b.c").replace("{visit}", "..{exposure_name}"))
    assert reference_problems("v.csv", rows, {"cam": CAMERA}, ["r"]) == []


def test_a_row_with_more_cells_than_columns_is_refused(tmp_path):
    rows, problems = read(tmp_path, GOOD.replace("e1", "M31, first"))
    assert rows == {}
    assert any("line 2: has 1 cells more than the table has columns" in problem for problem in problems)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"visit,night\n1,\xff\xfe\n", "codec can't decode"),
        (HEADER.encode() + b",ra\n", "column ra stands there twice"),
        (b"visit\n" + b"1" * 200_000 + b"\n", "field larger than field limit"),
    ],
)
def test_a_file_that_is_no_table_is_one_problem(tmp_path, content, found):
    path = tmp_path / "visits.csv"
    path.write_bytes(content)
    rows, (problem,) = read_table_of(path, VISIT_COLUMNS, "visit")
    assert rows == {}
    assert found in str(problem)
    assert "allowed: a CSV table in UTF-8, or a Parquet table" in str(problem)


@pytest.mark.parametrize("length", [0, 7, 200, -9])
def test_a_parquet_table_that_is_cut_off_is_one_problem(tmp_path, length):
    path = tmp_path / "visits.parquet"
    parquet.write_table(pa.table({"visit": [1]}), path)
    path.write_bytes(path.read_bytes()[:length])
    _, (problem,) = read_table_of(path, VISIT_COLUMNS, "visit")
    assert "visits.parquet: table: cannot be read (" in str(problem)


@pytest.mark.parametrize(
    ("column", "value"), [("visit", True), ("ra", False), ("night", b"n1"), ("mjd", b"61354.2")]
)
def test_a_parquet_cell_of_another_type_is_refused(tmp_path, column, value):
    values = dict(zip(HEADER.split(","), GOOD.split(","), strict=True))
    typed = {k: [VISIT_COLUMNS[k].type(v)] for k, v in values.items()} | {column: [value]}
    parquet.write_table(pa.table(typed), tmp_path / "visits.parquet")
    rows, (problem,) = read_table_of(tmp_path / "visits.parquet", VISIT_COLUMNS, "visit")
    assert rows == {}
    assert f"row 1, {column}: is {value!r}" in str(problem)


def test_a_table_as_spreadsheets_write_it_is_read(tmp_path):
    path = tmp_path / "visits.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{GOOD}\r\n".encode())
    rows, problems = read_table_of(path, VISIT_COLUMNS, "visit")
    assert (list(rows), problems) == ([11], [])


def test_two_rows_with_bad_numbers_are_not_duplicates(tmp_path):
    _, problems = read(tmp_path, GOOD.replace("11", "x", 1), GOOD.replace("11", "y", 1))
    assert len(problems) == 2
    assert not any("stands already" in problem for problem in problems)
