"""Frames whose headers lie, through the job: a clear message each, nothing outside the output root."""

import hashlib
import io

import pytest
from astropy.io import fits
from mutated_raw_jobs import PINNED, Jobs, settings_of, simulate
from pyarrow import parquet

MJD, EXPTIME = 61354.2 - 15 / 86400, 30.0
# What is changed in the primary header (None takes a card away), the reason of the summary's row, and what is said
# in its message or, for a good frame, in the job's log.
LIES = {
    "nothing": ({}, "", None),
    "NaN": ({"EXPTIME": "NaN"}, "", "exposure_time is 'NaN', must be a number"),
    "number in quotes": ({"EXPTIME": "30.0"}, "", None),
    "text for a number": ({"RA": "somewhere"}, "", "ra is 'somewhere', must be a number"),
    "negative time": ({"EXPTIME": -30.0}, "WrongExposureTime", "header says -30 s, the table 30 s"),
    "other filter": ({"FILTER": "g"}, "WrongBand", "header's filter is g, the table's r"),
    "wrong scale": ({"TIMESYS": "UTC"}, "", "37.0 s from the table's"),
    "local time": (
        {"MJD-OBS": None, "DATE-OBS": "2026-11-09T21:47:45"},
        "WrongTime",
        "header's or the table's time local, 7 h from TAI",
    ),
    "Julian date": ({"MJD-OBS": 2400000.5 + MJD, "DATE-OBS": None}, "WrongTime", "is it a Julian date"),
    "hours": ({"RA": 10.0}, "", "is the header's right ascension in hours?"),
    "hours as text": ({"RA": "10:00:00.0", "DEC": "+02:12:00"}, "", None),
    "missing extension": ({"B": "C"}, "MissingPlane", "no image plane B among ['A', 'C']"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Settings, and a folder with a good frame."""
    folder = tmp_path_factory.mktemp("good")
    settings = settings_of()
    return settings, folder, simulate(folder, settings)


def changed(content, changes):
    """Frame with other cards, or an extension of another name."""
    sink = io.BytesIO()
    with fits.open(io.BytesIO(content), do_not_scale_image_data=True) as hdus:
        for keyword, value in changes.items():
            if keyword == "B":
                hdus["B"].header["EXTNAME"] = value
            elif value is None:
                del hdus[0].header[keyword]
            else:
                hdus[0].header[keyword] = value
        hdus.writeto(sink)
    return sink.getvalue()


def contents(folder, besides):
    """Hashes of all files below a folder, some parts of it left out."""
    files = (path for path in folder.rglob("*") if path.is_file())
    files = (path for path in files if not {*path.relative_to(folder).parts} & set(besides))
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies_is_told_in_one_message(good, tmp_path, monkeypatch, lie):
    settings, folder, content = good
    changes, reason, told = LIES[lie]
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for variable, value in PINNED.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("skyloom.workflow.job.die_with_parent", lambda: None)
    for path in (*folder.glob("*.yaml"), folder / "reference.parquet"):
        (work / path.name).write_bytes(path.read_bytes())
    before = contents(tmp_path, ("results", "raw"))

    Jobs(work, settings).run(11, "extensions", changed(content, changes))

    (row,) = parquet.read_table(work / "results" / "visit_summary" / "11.parquet").to_pylist()
    log = (work / "results" / "logs" / "calibrate_image" / "11.log").read_text(encoding="utf-8")
    assert (row["status"], row["reason"]) == ("FAILED" if reason else "OK", reason)
    if reason:
        assert told in row["message"]
    warnings = [line for line in log.splitlines() if "WARNING skyloom.isr" in line]
    assert bool(warnings) == (told is not None and not reason)
    assert all(told in line for line in warnings)
    assert contents(tmp_path, ("results", "raw")) == before
