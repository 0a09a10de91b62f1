"""Tables that lie: one message with file, row, column and value before any job; nothing is written anywhere."""

from pathlib import Path

import pytest

VISITS, FRAMES = "tiny/visits.csv", "tiny/calibration_frames.csv"
# Table, what is replaced in its second line, and what the message says.
LIES = {
    "traversal": (
        *(VISITS, "raw/{visit}/{detector}.fits", "../../escaped/{visit}/{detector}.fits"),
        "visit 11, raw: is '../../escaped/{visit}/{detector}.fits', filled in '../../escaped/11/0.fits'",
    ),
    "absolute": (VISITS, "raw/{visit}", "{folder}/escaped/{visit}", "visit 11, raw: is '/"),
    "by name": (
        *(VISITS, "TN-0001", "../../../escaped"),
        "visit 11, raw: is 'raw/{exposure_name}/{detector}.fits', filled in 'raw/../../../escaped/0.fits'",
    ),
    "frame": (
        *(FRAMES, "raw_calib/{frame}", "../escaped/{frame}"),
        "frame 1, raw: is '../escaped/{frame}/{detector}.fits', filled in '../escaped/1/0.fits'",
    ),
    "epoch": (FRAMES, ",e1,", ",../../escaped,", "line 2, epoch: is '../../escaped'; allowed: letters"),
    "nan": (VISITS, "61354.20", "NaN", "line 2, mjd: is 'NaN'; allowed: a date [MJD TAI"),
    "hours": (
        VISITS,
        "150.0000",
        "10:00:00",
        "line 2, ra: is '10:00:00'; allowed: an angle [degree, not hours]",
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_table_that_lies_stops_the_run_before_any_job(tiny, tmp_path, lie):
    table, old, new, told = LIES[lie]
    path = tiny.folder / table
    lines = path.read_text(encoding="utf-8").splitlines()
    if lie == "by name":
        lines[1] = lines[1].replace("raw/{visit}", "raw/{exposure_name}")
    assert old in lines[1]
    lines[1] = lines[1].replace(old, new.replace("{folder}", str(tmp_path)), 1)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    text = tiny.run("drp", "--cores", "1", succeeds=False)

    assert "1 problem in the configuration, no job was started:" in text
    assert f"{table}: {told}" in text
    assert "Traceback" not in text
    made = {part.name for part in Path(tiny.folder).iterdir()} - {"tiny", "run.log", ".snakemake"}
    assert made == set()
    assert not [place for place in (tmp_path.parent, tmp_path) if (place / "escaped").exists()]
