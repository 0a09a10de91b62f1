"""The option --solve of the command visit-table: frames without a usable pointing get one from their stars."""

import csv

import numpy as np
import pytest

from skyloom.commands.main import main
from skyloom.commands.star_list import (
    EmptyStarListError,
    StarColumnError,
    StarColumnTextError,
    read_star_list,
)
from skyloom.core.geometry import focal_plane_position, focal_plane_to_sky_matrix
from skyloom.core.wcs import tan_deproject
from skyloom.io.cameras import read_camera
from skyloom.io.raws import write_raw

SHAPE = (300, 400)
SCALE = 2.0
POINTING = (150.0, 2.2)
TURN = 25.0


def camera_content(n_detector=1, **keys):
    """Content of a camera file with detectors side by side, each in an extension of its own."""
    amplifier = {"name": "A", "data_section": [0, SHAPE[1], 0, SHAPE[0]]}
    detectors = {
        n: {
            "name": f"N{n}",
            "shape": list(SHAPE),
            "centre": [(n - 1) * 450, 0],
            "amplifiers": [amplifier | {"extension": f"N{n}", "detector_section": amplifier["data_section"]}],
        }
        for n in range(1, n_detector + 1)
    }
    raw = {"format": "extensions"}
    return {"name": "c", "pixel_scale": SCALE, "bands": ["r"], "raw": raw, "detectors": detectors} | keys


@pytest.fixture
def sky(night, stars):
    """Makes frames of a star field, and the list of its stars."""
    rng = np.random.default_rng(11)
    n_star = 3000
    xi, eta = rng.uniform(-0.7, 0.7, (2, n_star))
    flux = np.sort(3000 * rng.pareto(1.2, n_star))[::-1] + 1500
    ra, dec = tan_deproject(xi, eta, *POINTING)
    path = night.folder / "stars.csv"
    rows = zip(ra, dec, 25 - 2.5 * np.log10(flux) + rng.normal(0, 0.2, n_star), strict=True)
    path.write_text("ra,dec,mag\n" + "".join(f"{a:.7f},{d:.7f},{m:.3f}\n" for a, d, m in rows))

    def frame(name, camera, minute=0, *, is_empty=False, **cards):
        planes = {}
        for number, detector in camera.detectors.items():
            to_sky = np.linalg.inv(focal_plane_to_sky_matrix(camera, TURN)) @ np.array([xi, eta])
            fx, fy = focal_plane_position(detector, 0.0, 0.0)
            x, y = to_sky[0] - fx, to_sky[1] - fy
            on = (x > 0) & (x < SHAPE[1] - 1) & (y > 0) & (y < SHAPE[0] - 1)
            light = 0 if is_empty else stars.light(SHAPE, x[on], y[on], flux[on], 3.0)
            planes[f"N{number}"] = rng.poisson(200 + light * np.ones(SHAPE)).astype(np.uint16)
        usual = {
            "IMAGETYP": "object",
            "EXPTIME": 60.0,
            "FILTER": "r",
            "DATE-OBS": f"2026-11-24T03:{minute:02}:00",
        }
        night.frames.mkdir(exist_ok=True)
        write_raw(night.frames / name, planes, {"PRIMARY": usual | cards})

    return frame


def solve(night, camera, *arguments, code=0):
    """Rows of the visit table."""
    command = ["visit-table", str(night.frames), "--camera", camera, "--output", str(night.folder)]
    assert main([*command, "--solve", str(night.folder / "stars.csv"), *arguments]) == code
    path = night.folder / "visits.csv"
    if not path.exists():
        return []
    with open(path, newline="") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def check(row):
    """The boresight is right to half a pixel, the rotation to a tenth of a degree (half a pixel at the edge)."""
    assert float(row["ra"]) == pytest.approx(POINTING[0], abs=0.5 * SCALE / 3600)
    assert float(row["dec"]) == pytest.approx(POINTING[1], abs=0.5 * SCALE / 3600)
    assert float(row["rotation"]) == pytest.approx(TURN, abs=0.1)


@pytest.mark.parametrize("n_detector", [1, 2])
def test_frames_without_pointing_get_one_from_the_stars(night, sky, capsys, n_detector):
    camera = night.camera(camera_content(n_detector, site={"latitude": 20.0, "longitude": -155.0}))
    sky("s1.fits", read_camera(camera))
    (row,) = solve(night, camera)
    check(row)
    # At 03:00 UTC the sun is up in Hawaii, the field below the horizon or not: the airmass is the site's.
    assert row["airmass"] == "" or float(row["airmass"]) >= 1
    out = capsys.readouterr().out
    assert "3000 stars, ra from ra, dec from dec, mag from mag" in out
    assert "s1.fits: solved at ra 150.00" in out


def test_a_detector_far_from_the_boresight_tells_the_boresight(night, sky):
    content = camera_content(2)
    content["detectors"].pop(1)
    camera = night.camera(content)
    sky("s1.fits", read_camera(camera))
    check(*solve(night, camera))


def test_a_wrong_pointing_of_the_header_is_replaced_within_the_radius_alone(night, sky, capsys):
    camera = night.camera(camera_content())
    sky("s1.fits", read_camera(camera), RA=150.9, DEC=2.9)
    check(*solve(night, camera))
    assert "1.14 degrees from its header" in capsys.readouterr().out
    (night.folder / "visits.csv").unlink()
    (night.folder / ".visits.generated.csv").unlink()
    (row,) = solve(night, camera, "--search-radius", "0.3")
    assert (row["ra"], row["dec"]) == ("150.900000", "2.900000")
    assert "LOOK: s1.fits: not solved, the header's pointing stays" in capsys.readouterr().out


def test_a_frame_without_stars_is_in_no_table_and_says_why(night, sky, capsys):
    camera = night.camera(camera_content())
    sky("s1.fits", read_camera(camera))
    sky("s2.fits", read_camera(camera), 5, is_empty=True)
    (row,) = solve(night, camera)
    assert row["raw"] == "s1.fits"
    out = capsys.readouterr().out
    assert "1 files are in no table" in out
    assert "no pointing: the best of 0 places matches 0 of" in out


def test_a_camera_file_of_the_wrong_parity_is_told(night, sky, capsys):
    sky("s1.fits", read_camera(night.camera(camera_content())))
    wrong = night.camera(camera_content(parity=-1))
    assert solve(night, wrong, code=1) == []
    assert "but mirrored: parity is -1 in the camera file, make it 1" in capsys.readouterr().out


def test_a_scale_that_is_off_is_said(night, sky, capsys):
    sky("s1.fits", read_camera(night.camera(camera_content())))
    check(*solve(night, night.camera(camera_content(pixel_scale=SCALE * 1.05))))
    assert "pixel_scale is 2 arcsec by the stars" in capsys.readouterr().out


def check_camera(night, sky, capsys, content, *arguments, changed):
    """Exit code and the lines after the table of check-camera with a camera file of the same geometry, but changed."""
    sky("s1.fits", read_camera(night.camera(content)))
    changed(content)
    command = ["check-camera", night.camera(content), str(night.frames / "s1.fits"), "--level", "0"]
    command += ["--references", str(night.folder / "stars.csv"), "--output", str(night.folder), *arguments]
    capsys.readouterr()
    code = main(command)
    return code, capsys.readouterr().out


def change(number, **keys):
    """Change keys of one detector."""
    return lambda content: content["detectors"][number].update(keys)


def test_check_camera_finds_nothing_in_the_right_file_and_tells_the_rotation(night, sky, capsys):
    code, out = check_camera(night, sky, capsys, camera_content(3), changed=lambda content: None)
    assert code == 0
    assert "stars: 3 of 3 detectors solved; boresight at ra 150.0" in out
    assert "2 arcsec a pixel, parity 1" in out
    assert "no card holds the rotation, which is 25.0" in out
    assert "write the visit table with --rotation 25.0 or --solve" in out


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        (
            lambda content: content.update(parity=-1),
            "parity is -1 in the file, but the stars are mirrored: make it 1",
        ),
        (
            lambda content: content.update(pixel_scale=1.0),
            "pixel_scale is 1 in the file, 2 arcsec by the stars",
        ),
        (
            lambda content: content.update(pixel_scale=1.8),
            "pixel_scale is 1.8 in the file, 2 arcsec by the stars",
        ),
        (
            change(2, orientation=90),
            "detector 2: orientation is 90 in the file, 0 degrees by the stars, if the other detectors are right",
        ),
        (
            change(3, centre=[900, 300]),
            "detector 3: centre is [900.0, 300.0] in the file, about [900, 0] by the stars",
        ),
    ],
)
def test_check_camera_names_the_key_that_the_stars_contradict(night, sky, capsys, changed, text):
    code, out = check_camera(night, sky, capsys, camera_content(3), changed=changed)
    assert code == 1
    assert text in out
    assert out.count("odd: ") == 1


def test_a_detector_that_is_mirrored_against_the_others_is_named(night, sky, capsys):
    def flip(content):
        content["detectors"][2]["amplifiers"][0]["flip_x"] = True

    code, out = check_camera(night, sky, capsys, camera_content(3), changed=flip)
    assert code == 1
    assert "odd: detector 2: its stars are mirrored against those of the other detectors: turn flip_x" in out


def test_stars_of_another_field_are_a_hint_alone(night, sky, capsys):
    def move(content):
        path = night.folder / "stars.csv"
        path.write_text(
            "ra,dec,mag\n"
            + "".join(f"{10 + k % 97 / 97},{k % 89 / 89},{10 + k / 500}\n" for k in range(2000))
        )

    code, out = check_camera(night, sky, capsys, camera_content(), changed=move)
    assert code == 0
    assert "hint: detector 1: its stars are not found in the star list" in out


def test_a_headers_pointing_and_rotation_are_compared(night, sky, capsys):
    content = camera_content(raw={"format": "extensions", "header": {"rotation": "ROTANG"}})
    sky("s1.fits", read_camera(night.camera(content)), RA=150.5, DEC=2.2, ROTANG=115.0)
    command = ["check-camera", night.camera(content), str(night.frames / "s1.fits"), "--level", "0"]
    assert (
        main([*command, "--references", str(night.folder / "stars.csv"), "--output", str(night.folder)]) == 1
    )
    out = capsys.readouterr().out
    assert "the header points 0.50 degrees from where the stars are" in out
    assert "--pointing-uncertainty 1800" in out
    assert "the header's rotation is 115 degrees, by the stars 25.0" in out
    assert "the orientation of every detector is off by 90 degrees" in out


def write(path, text):
    path.write_text(text)
    return path


FIVE = "".join(f"{150 + k / 10},{2 + k / 10},{10 + k}\n" for k in range(5))


def test_columns_are_known_by_usual_names_or_as_told(tmp_path):
    usual = write(tmp_path / "a.csv", "RAJ2000,DEJ2000,Gmag\n" + FIVE)
    sky, names = read_star_list(usual, ())
    assert names == {"ra": "RAJ2000", "dec": "DEJ2000", "mag": "Gmag"}
    assert sky.ra[0] == 150.0
    sky, names = read_star_list(
        write(tmp_path / "b.csv", "a,d,brightness\n" + FIVE), ("ra=a", "dec=d", "flux=brightness")
    )
    assert sky.ra[0] == 150.4


def test_radians_of_rubins_shards_become_degrees(tmp_path):
    lines = "".join(f"{np.radians(150 + k)},{np.radians(2 + k)},{k + 1}\n" for k in range(5))
    sky, _ = read_star_list(write(tmp_path / "a.csv", "coord_ra,coord_dec,phot_g_mean_flux\n" + lines), ())
    assert (sky.ra[0], sky.dec[0]) == pytest.approx((154.0, 6.0))


@pytest.mark.parametrize(
    ("text", "told", "error", "message"),
    [
        (
            "x,y,mag\n" + FIVE,
            (),
            StarColumnError,
            r"hold ra \(degree\); the file has x, y, mag: name it with",
        ),
        ("ra,dec,colour\n" + FIVE, (), StarColumnError, "hold mag or flux; .* --star-columns mag=COLUMN"),
        ("ra,dec,mag\n" + FIVE, ("mag=V",), StarColumnError, r"hold mag \(V is not there\)"),
        ("ra,dec,mag\n" + FIVE, ("V",), StarColumnTextError, "another form than QUANTITY=COLUMN"),
        ("ra,dec,mag\n" + FIVE.partition("\n")[0] + "\n", (), EmptyStarListError, "needs five at least"),
        ("ra,dec,mag\n" + FIVE.replace(",2", ",200"), (), EmptyStarListError, "0 of 5 rows"),
    ],
)
def test_a_list_that_cannot_be_used_is_named(tmp_path, text, told, error, message):
    with pytest.raises(error, match=message):
        read_star_list(write(tmp_path / "a.csv", text), told)


@pytest.mark.realdata
def test_real_frames_are_found_in_a_list_of_their_field_without_a_pointing(realdata, tmp_path, capsys):
    folder = realdata / "hatp32-raw-frames"
    (tmp_path / "frames").mkdir()
    for path in sorted((folder / "frames").iterdir())[::24]:
        (tmp_path / "frames" / path.name).symlink_to(path)
    camera = __file__.rsplit("/tests/", 1)[0] + "/config/cameras/microobservatory.yaml"
    command = ["visit-table", str(tmp_path / "frames"), "--camera", camera, "--output", str(tmp_path)]
    assert main([*command, "--solve", str(folder / "tycho2_field.csv")]) == 0
    with open(tmp_path / "visits.csv", newline="") as stream:
        rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    assert len(rows) == 3
    assert capsys.readouterr().out.count("solved at ra 3") == 3
    # The mount's rotation is 179.5 within half a degree through the night.
    assert [float(row["rotation"]) for row in rows] == pytest.approx([179.5] * 3, abs=0.5)
