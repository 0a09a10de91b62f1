import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import yaml

from skyloom.io.cameras import read_camera
from skyloom.io.fits_layout import TruncatedRawError
from skyloom.io.raws import WrongShapeRawError, read_raw
from skyloom.io.reference import read_reference_catalog
from skyloom.io.tables import read_table
from skyloom.simulate.catalog import from_tables, select
from skyloom.simulate.orbits import ephemeris
from skyloom.workflow import make_job
from skyloom.workflow.config import fill_defaults, load_yaml

ROOT = Path(__file__).parents[2]
NX, NY = 128, 96


def script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def camera_file(folder):
    amplifier = {
        "name": "A",
        "extension": "A",
        "data_section": [0, NX, 0, NY],
        "overscan_section": [NX, NX + 16, 0, NY],
        "detector_section": [0, NX, 0, NY],
        "flip_y": True,
        "gain": 1.5,
        "read_noise": 5.0,
        "saturation": 50000,
    }
    detector = {"shape": [NY, NX], "amplifiers": [amplifier]}
    camera = {
        "name": "small",
        "pixel_scale": 0.2,
        "parity": 1,
        "bands": ["r"],
        "raw": {"format": "extensions", "header": {"ra": "RA", "exposure_time": "EXPTIME"}},
        "detectors": {
            0: {**detector, "centre": [-70, 0]},
            1: {**detector, "centre": [70, 0], "orientation": 180},
        },
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(camera), encoding="utf-8")
    return str(path)


def visit_row(visit):
    return {
        "visit": visit,
        "exposure_name": f"X{visit}",
        "night": "n1",
        "mjd": 61354.2 + 0.01 * visit,
        "band": "r",
        "exposure_time": 30.0,
        "ra": 150.0,
        "dec": 2.2,
        "rotation": 5.0,
        "airmass": 1.1,
        "use": "science",
    }


class Survey:
    """A simulated survey of two visits and three calibration frames in a folder."""

    def __init__(self, folder, seed=1, bad_frames=(), **changes):
        self.folder = folder
        settings = fill_defaults(load_yaml(ROOT / "config" / "schema" / "simulate.yaml"), {})
        settings["bad_frames"] = list(bad_frames)
        for name, values in changes.items():
            settings[name] |= values
        self.visits = [visit_row(1), visit_row(2)]
        self.frames = [
            {
                "frame": 11,
                "kind": "bias",
                "band": "none",
                "exposure_time": 0.0,
                "mjd": 61353.9,
                "epoch": "e1",
            },
            {
                "frame": 12,
                "kind": "dark",
                "band": "none",
                "exposure_time": 60.0,
                "mjd": 61353.9,
                "epoch": "e1",
            },
            {"frame": 13, "kind": "flat", "band": "r", "exposure_time": 5.0, "mjd": 61353.9, "epoch": "e1"},
        ]
        self.params = {
            "settings": {"simulate": settings},
            "seed": seed,
            "bands": ["r"],
            "camera": camera_file(folder),
            "visits": self.visits,
            "calibration_frames": self.frames,
        }
        self.truth_object = str(folder / "object.parquet")
        self.truth_orbit = str(folder / "orbit.parquet")
        self.reference = str(folder / "reference.parquet")
        self.raw_calib = [str(folder / f"calib_{f['frame']}_{d}.fits") for f in self.frames for d in (0, 1)]
        self.raw = [str(folder / f"raw_{v['visit']}_{d}.fits") for v in self.visits for d in (0, 1)]
        self.truth_source = [str(folder / f"source_{v['visit']}.parquet") for v in self.visits]
        self.camera = read_camera(self.params["camera"])

    def make(self):
        output = {
            "truth_object": self.truth_object,
            "truth_orbit": self.truth_orbit,
            "reference": self.reference,
            "raw_calib": self.raw_calib,
        }
        script("simulate_sky").main(make_job("simulate_sky", output=output, params=self.params))
        script("simulate_night").main(
            make_job(
                "simulate_night",
                input={"truth_object": self.truth_object, "truth_orbit": self.truth_orbit},
                output={"raw": self.raw, "truth_source": self.truth_source},
                params=self.params,
            )
        )
        return self

    def read(self, index):
        return read_raw(self.raw[index], self.camera.detectors[index % 2], self.camera.raw)

    def hashes(self):
        files = [
            self.truth_object,
            self.reference,
            *self.raw_calib,
            *self.raw,
            *self.truth_source,
        ]
        return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in files]


def test_a_survey_is_readable_by_the_pipeline_s_own_readers(tmp_path):
    survey = Survey(tmp_path).make()
    for index in range(4):
        frame = survey.read(index)
        assert frame.planes["A"].shape == (NY, NX + 16)
        assert frame.header["ra"] == 150.0
        assert frame.header["exposure_time"] == 30.0
        assert 900 < np.median(frame.planes["A"]) < 3000
    for path in survey.raw_calib:
        assert read_raw(path, survey.camera.detectors[0], survey.camera.raw).planes["A"].mean() > 800
    sources = read_table(survey.truth_source[1])
    assert set(sources["visit"].to_pylist()) == {2}
    assert set(sources["detector"].to_pylist()) == {0, 1}
    objects = read_table(survey.truth_object)
    assert set(sources["id"].to_pylist()) <= set(objects["id"].to_pylist())
    reference = fill_defaults(load_yaml(ROOT / "config" / "schema" / "reference.yaml"), {})
    stars = read_reference_catalog(survey.reference, reference, "r", (150.0, 2.2, 0.05), 61354.2)
    assert len(stars) > 50


def test_reference_stars_at_the_epoch_are_where_the_truth_has_them(tmp_path):
    survey = Survey(tmp_path).make()
    settings = fill_defaults(load_yaml(ROOT / "config" / "schema" / "reference.yaml"), {})
    sources = read_table(survey.truth_source[0])
    true = {row["id"]: row for row in sources.select(["id", "ra", "dec", "flux"]).to_pylist()}
    stars = read_reference_catalog(
        survey.reference, settings, "r", (150.0, 2.2, 0.1), survey.visits[0]["mjd"]
    )
    pulls = []
    for k, identifier in enumerate(stars.id):
        if int(identifier) in true:
            row = true[int(identifier)]
            east = (stars.ra[k] - row["ra"]) * np.cos(np.radians(row["dec"])) * 3600
            pulls += [east / stars.ra_err[k], (stars.dec[k] - row["dec"]) * 3600 / stars.dec_err[k]]
            pulls.append((stars.flux[k] - row["flux"]) / stars.flux_err[k])
    # Parallaxes carry errors of their own that the reader does not add: pulls are a little wider than 1.
    assert len(pulls) >= 9
    assert np.sqrt(np.mean(np.square(pulls))) < 1.5 + 4 / np.sqrt(2 * len(pulls))


def test_the_same_seed_gives_the_same_bytes_and_another_changes_every_file(tmp_path):
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    first, second, third = (
        Survey(folder, seed).make().hashes() for folder, seed in zip(folders, (1, 1, 2), strict=True)
    )
    assert first == second
    assert not set(first) & set(third)


def test_bad_frames_are_bad_as_asked_and_the_rest_is_good(tmp_path):
    bad = [
        {"visit": 1, "detector": 0, "kind": "truncated"},
        {"visit": 1, "detector": 1, "kind": "nan"},
        {"visit": 2, "detector": 0, "kind": "shape"},
    ]
    survey = Survey(tmp_path, bad_frames=bad).make()
    with pytest.raises(TruncatedRawError):
        survey.read(0)
    assert np.isnan(survey.read(1).planes["A"]).all()
    with pytest.raises(WrongShapeRawError):
        survey.read(2)
    assert np.isfinite(survey.read(3).planes["A"]).all()


def test_frames_of_an_empty_and_of_a_wrong_sky_say_so_in_the_truth(tmp_path):
    bad = [{"visit": 1, "detector": 0, "kind": "empty"}, {"visit": 2, "detector": 1, "kind": "wrong_sky"}]
    survey = Survey(tmp_path, bad_frames=bad).make()
    first, second = (read_table(path) for path in survey.truth_source)
    assert set(first["detector"].to_pylist()) == {1}
    dec = second["dec"].to_numpy()[second["detector"].to_numpy() == 1]
    assert np.all(dec < 1.5)


def test_moving_objects_on_orbits_are_seen_at_their_ephemerides(tmp_path):
    moving = {"model": "keplerian", "per_night": 30, "spread": 10.0}
    survey = Survey(tmp_path, moving_objects=moving).make()
    orbits = from_tables(read_table(survey.truth_object), read_table(survey.truth_orbit))
    orbits = select(orbits, orbits["semimajor_axis"] > 0)
    assert sorted(orbits["id"]) == sorted(read_table(survey.truth_orbit)["id"].to_pylist())
    place = {identifier: k for k, identifier in enumerate(orbits["id"])}
    n_seen = 0
    for visit, path in zip(survey.visits, survey.truth_source, strict=True):
        ra, dec, _ = ephemeris(orbits, visit["mjd"])
        rows = [row for row in read_table(path).to_pylist() if row["kind"] == "mover"]
        for row in rows:
            k = place[row["id"]]
            assert (row["ra"], row["dec"]) == pytest.approx((ra[k], dec[k]), abs=1e-9)
        n_seen += len(rows)
    assert n_seen > 5


def test_without_orbits_their_table_is_empty(tmp_path):
    assert read_table(Survey(tmp_path).make().truth_orbit).num_rows == 0
