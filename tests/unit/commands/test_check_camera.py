"""The command check-camera: it finds what is put wrong into a camera file, and nothing in the right one."""

import copy

import numpy as np
import pytest
import yaml

from skyloom.commands.camera_checks import pair_gain, section_problems, single_gain
from skyloom.commands.camera_flips import arrange, turned
from skyloom.commands.main import main
from skyloom.core.camera import Amplifier, camera_from_dict
from skyloom.io.raws import write_raw
from skyloom.simulate.headers import calibration_headers, named_planes, sky_headers
from skyloom.simulate.pipeline import simulate_calibration_frame, simulate_exposure, simulate_sky
from skyloom.simulate.simulation import Simulation
from skyloom.workflow.config import fill_defaults, load_yaml

from .conftest import ROOT

SIMCAM = ROOT / "config/cameras/simcam.yaml"
VISIT = {
    "visit": 7,
    "exposure_name": "X7",
    "mjd": 61354.2,
    "band": "r",
    "exposure_time": 30.0,
    "ra": 150.0,
    "dec": 2.2,
    "rotation": 20.0,
    "airmass": 1.2,
    "night": "n1",
    "use": "science",
}
SHIFTED_DATA = {
    "data_section": [28, 540, 0, 512],
    "overscan_section": [540, 560, 0, 512],
    "prescan_section": None,
    "parallel_overscan_section": [28, 540, 512, 528],
}
OVERSCAN_ON_THE_LEFT = {
    "data_section": [48, 560, 0, 512],
    "overscan_section": [8, 48, 0, 512],
    "prescan_section": None,
    "parallel_overscan_section": [48, 560, 512, 528],
}


@pytest.fixture(scope="module", params=[1, 2, 3])
def frames(request, tmp_path_factory):
    """Folder of a sky frame, two flats and two biases of both detectors of the demo's camera."""
    folder = tmp_path_factory.mktemp(f"seed{request.param}")
    camera = camera_from_dict(load_yaml(SIMCAM))
    settings = fill_defaults(load_yaml(ROOT / "config/schema/simulate.yaml"), {})
    simulation = Simulation(settings, ("g", "r", "i"), request.param, camera)
    objects = simulate_sky([VISIT], simulation)
    for number, detector in camera.detectors.items():
        planes, _ = simulate_exposure(VISIT, detector, objects, simulation)
        path = folder / f"raw_{number}.fits"
        write_raw(path, named_planes(planes, camera), sky_headers(VISIT, detector, camera))
        for frame, kind in ((1, "flat"), (2, "flat"), (3, "bias"), (4, "bias")):
            row = {"frame": frame, "kind": kind, "band": "r", "mjd": 61353.9, "epoch": "e1"}
            row["exposure_time"] = 5.0 if kind == "flat" else 0.0
            planes = simulate_calibration_frame(row, detector, simulation)
            headers = calibration_headers(row, detector, camera)
            write_raw(folder / f"{kind}{frame}_{number}.fits", named_planes(planes, camera), headers)
    return folder


def check(frames, tmp_path, capsys, changes=None, *, amplifier="B", with_pairs=True):
    """Exit code and printed lines of the command with one amplifier's entries changed in the camera file."""
    content = copy.deepcopy(yaml.safe_load(SIMCAM.read_text()))
    entry = next(a for a in content["amplifier_sets"]["quadrants"] if a["name"] == amplifier)
    entry |= changes(entry) if callable(changes) else changes or {}
    camera = tmp_path / "camera.yaml"
    camera.write_text(yaml.safe_dump(content))
    command = ["check-camera", str(camera), f"{frames}/raw_{{detector}}.fits", "--output", str(tmp_path)]
    if with_pairs:
        command += ["--flat", *(f"{frames}/flat{n}_{{detector}}.fits" for n in (1, 2))]
        command += ["--bias", *(f"{frames}/bias{n}_{{detector}}.fits" for n in (3, 4))]
    capsys.readouterr()
    code = main(command)
    return code, capsys.readouterr().out.splitlines()


def blamed(lines):
    """(detector, amplifier) of all odd findings, and their texts."""
    odd = [line for line in lines if line.startswith("odd: ")]
    return {line.split(": ")[1] for line in odd}, "\n".join(odd)


BOTH_B = {"detector 0, amplifier B", "detector 1, amplifier B"}


@pytest.mark.parametrize("with_pairs", [True, False])
def test_the_right_camera_file_is_not_blamed(frames, tmp_path, capsys, with_pairs):
    code, lines = check(frames, tmp_path, capsys, with_pairs=with_pairs)
    assert lines[-1].startswith("0 odd, 0 hints")
    assert code == 0
    assert sum(line.endswith("ok") for line in lines) == 8
    for name in ("focal_plane.png", "mosaic.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("flips", [("flip_x",), ("flip_y",), ("flip_x", "flip_y")])
def test_a_wrong_flip_is_found_in_the_flats(frames, tmp_path, capsys, flips):
    code, lines = check(frames, tmp_path, capsys, lambda entry: {key: not entry[key] for key in flips})
    where, text = blamed(lines)
    assert code == 1
    assert where == BOTH_B
    assert text.count(f"{' and '.join(flips)} seems to be the other way round") == 2


@pytest.mark.parametrize("factor", [1.2])
def test_a_gain_wrong_by_20_percent_is_found_with_both_numbers(frames, tmp_path, capsys, factor):
    code, lines = check(frames, tmp_path, capsys, {"gain": 1.64 * factor})
    where, text = blamed(lines)
    assert (code, where) == (1, BOTH_B)
    assert f"gain is {1.64 * factor:.3f} in the file, 1." in text


@pytest.mark.parametrize("factor", [0.8])
def test_without_flats_the_step_at_its_edges_tells_a_wrong_gain(frames, tmp_path, capsys, factor):
    code, lines = check(frames, tmp_path, capsys, {"gain": 1.64 * factor}, with_pairs=False)
    where, text = blamed(lines)
    assert (code, where) == (1, BOTH_B)
    assert text.count("% fainter than the others beside it") == 2
    fitting = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines()]
    # The true gains scatter by 1 %, the sky's structure makes steps of up to 3 %.
    assert fitting == pytest.approx([1.64, 1.64], rel=0.06)


@pytest.mark.parametrize("frames", [1], indirect=True)
@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        (
            OVERSCAN_ON_THE_LEFT,
            ["overscan_section [8, 48, 0, 512] holds light in 8 to 47", "last columns 520 to 559"],
        ),
        (SHIFTED_DATA, ["data_section holds no light in its last columns 520 to 539"]),
        (
            {
                "data_section": [0, 512, 0, 512],
                "overscan_section": [512, 560, 0, 512],
                "prescan_section": None,
            }
            | {"parallel_overscan_section": [0, 512, 512, 528]},
            ["holds light in 512 to 519", "first columns 0 to 7"],
        ),
        (
            {"data_section": [8, 520, 16, 528], "parallel_overscan_section": [8, 520, 0, 16]}
            | {"overscan_section": [520, 560, 16, 528], "prescan_section": [0, 8, 16, 528]},
            ["parallel_overscan_section [8, 520, 0, 16] holds light in 0 to 15", "last rows 512 to 527"],
        ),
    ],
)
def test_a_wrong_overscan_section_is_found_with_its_columns(frames, tmp_path, capsys, changes, texts):
    code, lines = check(frames, tmp_path, capsys, changes, with_pairs=False)
    where, text = blamed(lines)
    assert (code, where) == (1, BOTH_B)
    for expected in texts:
        assert text.count(expected) == 2


@pytest.mark.parametrize("overscan", [None, (200, 220, 0, 200)])
@pytest.mark.parametrize("dark_rows", [0, 5])
def test_vignetting_is_not_taken_for_overscan_but_dark_rows_are(overscan, dark_rows):
    rng = np.random.default_rng(2)
    plane = 1000 + rng.normal(0, 4, (200, 220))
    slope = 1 - 0.1 * (np.arange(200) / 200)[:, None] ** 2
    plane[dark_rows:, :200] += 2000 * slope[dark_rows:]
    whole = (0, 200, 0, 200)
    amplifier = Amplifier("A", 0, data_section=whole, detector_section=whole, overscan_section=overscan)
    problems = section_problems({0: plane}, amplifier)
    expected = ["data_section holds no light in its first rows 0 to 4: they look like overscan"]
    assert problems == (expected if dark_rows else [])


@pytest.mark.parametrize("frames", [1], indirect=True)
def test_sections_that_do_not_fit_the_file_are_named_with_both_shapes(frames, tmp_path, capsys):
    code, lines = check(frames, tmp_path, capsys, {"parallel_overscan_section": [8, 520, 512, 520]})
    assert code == 1
    assert "plane B has shape (528, 560), the camera's sections span (520, 560)" in blamed(lines)[1]


@pytest.mark.parametrize("frames", [1], indirect=True)
def test_wrong_read_noise_is_said(frames, tmp_path, capsys):
    code, lines = check(frames, tmp_path, capsys, {"read_noise": 12.0})
    where, text = blamed(lines)
    assert (code, where) == (1, BOTH_B)
    assert "read noise is 12.0 electron in the file, 5." in text


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_gain_of_two_flats_does_not_feel_lamp_gradient_or_response(seed):
    rng = np.random.default_rng(seed)
    response = 1 + 0.02 * rng.standard_normal((300, 300))
    light = 20000 * np.linspace(0.9, 1.1, 300) * response
    first, second = ((rng.poisson(f * light) + rng.normal(0, 6, light.shape)) / 2.5 for f in (1, 1.1))
    # A variance of n differences of normal values of which neighbours share one: relative error sqrt(3 / n).
    assert pair_gain(first, second, 6 / 2.5) == pytest.approx(2.5, rel=4.5 * np.sqrt(3 / light.size))
    assert np.isnan(pair_gain(first - first.mean() - 1, second, 1.0))
    assert np.isnan(single_gain(np.zeros((20, 20)), 1.0))


def two_amplifiers(ny, nx, **entries):
    """Content of a camera file of detector 1 with the amplifiers A and B of (ny, nx) pixels side by side."""
    amplifiers = [
        {
            "name": name,
            "extension": name,
            "data_section": [0, nx, 0, ny],
            "detector_section": [x, x + nx, 0, ny],
            **entries,
        }
        for name, x in (("A", 0), ("B", nx))
    ]
    return {
        "name": "two",
        "pixel_scale": 1,
        "bands": ["r"],
        "raw": {"format": "extensions"},
        "detectors": {1: {"shape": [ny, 2 * nx], "amplifiers": amplifiers}},
    }


def halves(rng, light):
    """Two amplifiers side by side with their part of a light."""
    image = rng.poisson(light).astype(float)
    detector = camera_from_dict(two_amplifiers(200, 100)).detectors[1]
    return detector, {"A": image[:, :100], "B": image[:, 100:]}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_stars_on_the_edge_tell_a_flip_under_a_flat_sky(seed, stars):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(90, 110, 25), rng.uniform(5, 195, 25)
    light = 300 + stars.light((200, 200), x, y, rng.uniform(3000, 10000, 25), 4.0)
    detector, parts = halves(rng, light)
    assert arrange(detector, parts, parts).turns == {}
    wrong = {"A": parts["A"], "B": turned(parts["B"], (False, True))}
    found = arrange(detector, wrong, wrong)
    # With two amplifiers nobody can tell which of them is the wrong one.
    assert list(found.turns.values()) == [(False, True)]
    assert "stars go on" in next(iter(found.because.values()))


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_nothing_is_made_of_noise_alone(seed):
    detector, parts = halves(np.random.default_rng(seed), np.full((200, 200), 500.0))
    found = arrange(detector, parts, parts)
    assert found.turns == {}
    # The mean of 20,000 pixels of Poisson noise each side.
    assert list(found.factors.values()) == pytest.approx([1, 1], abs=0.02)


IS_DATA = np.arange(50) < 40


def check_two(tmp_path, capsys, planes):
    """Exit code, blamed amplifiers and texts of a frame of two amplifiers with 40 columns of data, 10 of overscan."""
    content = two_amplifiers(60, 40, overscan_section=[40, 50, 0, 60], gain=1.0, read_noise=5.0)
    camera, frame = tmp_path / "two.yaml", tmp_path / "x.fits"
    camera.write_text(yaml.safe_dump(content))
    write_raw(frame, planes, {})
    code = main(["check-camera", str(camera), str(frame), "--output", str(tmp_path)])
    return code, *blamed(capsys.readouterr().out.splitlines())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("plane", "text"),
    [
        (lambda good: np.zeros_like(good), "all pixels of a raw frame are 0 ADU: is it dead, or saturated?"),
        (lambda good: np.full_like(good, 65535), "all pixels of a raw frame are 65535 ADU"),
        (
            lambda good: np.full_like(good, np.nan),
            "data_section [0, 40, 0, 60] of a raw frame holds no number",
        ),
        (
            lambda good: np.where(IS_DATA, good, np.nan),
            "overscan_section [40, 50, 0, 60] of a raw frame holds no",
        ),
        (lambda good: np.where(IS_DATA, np.nan, good), "data_section [0, 40, 0, 60] of a raw frame holds no"),
    ],
)
@pytest.mark.parametrize("is_other_good", [True, False])
def test_an_amplifier_with_nothing_to_measure_is_odd(tmp_path, capsys, plane, text, is_other_good):
    rng = np.random.default_rng(1)
    good = (1000 + rng.normal(0, 5, (60, 50)) + np.where(IS_DATA, 25 + rng.normal(0, 5, (60, 50)), 0)).astype(
        "f4"
    )
    bad = plane(good).astype("f4")
    code, where, odd = check_two(tmp_path, capsys, {"A": bad, "B": good if is_other_good else bad})
    assert code == 1
    assert where == {f"detector 1, amplifier {name}" for name in ("A" if is_other_good else "AB")}
    assert text in odd


@pytest.mark.filterwarnings("error")
def test_data_darker_than_the_overscan_are_odd(tmp_path, capsys):
    plane = (1000 + np.random.default_rng(1).normal(0, 5, (60, 50)) - 500 * IS_DATA).astype("f4")
    code, where, odd = check_two(tmp_path, capsys, {"A": plane, "B": plane})
    assert code == 1
    assert where == {"detector 1, amplifier A", "detector 1, amplifier B"}
    assert odd.count(" ADU below the overscan: are these the right sections?") == 2


def test_a_path_with_another_field_than_the_detector_is_named(tmp_path, capsys):
    assert main(["check-camera", str(SIMCAM), "{visit}/{detector}.fits", "--output", str(tmp_path)]) == 2
    assert "has the field {visit}, may have {detector} alone" in capsys.readouterr().err


def test_a_camera_without_overscan_is_told_what_it_needs(night, tiny, capsys):
    night.science("s.fits")
    camera = night.camera(tiny())
    write_raw(
        night.frames / "s.fits",
        {"PRIMARY": np.random.default_rng(1).poisson(900, (8, 8)).astype(np.uint16)},
        {},
    )
    assert main(["check-camera", camera, str(night.frames / "s.fits"), "--output", str(night.folder)]) == 0
    assert "give --bias or --level" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["lsst", "decam", "quad", "microobservatory"])
def test_every_camera_is_drawn(name):
    from skyloom.commands.camera_pictures import draw_focal_plane

    camera = camera_from_dict(load_yaml(ROOT / f"config/cameras/{name}.yaml"))
    assert draw_focal_plane(camera).startswith(b"\x89PNG")


def test_a_camera_of_calibrated_images_is_not_checked(tmp_path, capsys):
    camera = str(ROOT / "config/cameras/sdss.yaml")
    assert main(["check-camera", camera, "x.fits", "--output", str(tmp_path / "out")]) == 2
    assert "camera sdss: its images are calibrated, check-camera needs one of raw" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.realdata
def test_the_real_camera_without_overscan_is_checked(realdata, tmp_path, capsys):
    frames = sorted((realdata / "hatp32-raw-frames" / "frames").iterdir())
    camera = str(ROOT / "config/cameras/microobservatory.yaml")
    arguments = ["check-camera", camera, str(frames[0]), "--level", "320", "--output", str(tmp_path)]
    assert main(arguments) == 0
    assert "0 odd" in capsys.readouterr().out
