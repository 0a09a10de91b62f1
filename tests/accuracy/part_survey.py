"""A part of the demo survey taken through the real Snakemake, and what its truth says of it.

The expected noise comes from the simulator's truth alone: electrons of the sky at each object, read noise of the true
amplifiers, electrons per nJy. Nothing of the pipeline's variance planes enters it.
"""

import csv
import shutil
from functools import cached_property
from pathlib import Path

import numpy as np
import yaml
from pipeline_settings import settings_of
from single_visit import area_function
from workflow_support import HOME, Snakemake

from skyloom.core.tables import column
from skyloom.io.cameras import read_camera
from skyloom.io.tables import read_table, read_table_status
from skyloom.simulate.electronics import draw_detector
from skyloom.simulate.simulation import Simulation
from skyloom.workflow.paths import product_path

DEMO = HOME / "config" / "demo"
SETTINGS = {"survey": "part", "camera": "camera.yaml", "visits": "visits.csv"}
TRUTH_COLUMNS = (
    "id",
    "kind",
    "x",
    "y",
    "ra",
    "dec",
    "flux",
    "electrons_per_njy",
    "response",
    "sky",
    "psf_fwhm",
)
N_BIAS = 8


def write_survey(folder, seed, bands=("r",)):
    """Write the tables and the configuration of the demo's visits in some bands, without its bad frame.

    Parameters
    ----------
    folder : Path
        Existing folder.
    seed : int
        Of the simulation.
    bands : sequence of str
        Bands to take.
    """
    _copy_rows("visits.csv", folder, set(bands))
    _copy_rows("calibration_frames.csv", folder, {"none", *bands})
    shutil.copy(HOME / "config" / "cameras" / "simcam.yaml", folder / "camera.yaml")
    survey = yaml.safe_load((HOME / "config" / "config.yaml").read_text(encoding="utf-8"))
    survey |= SETTINGS | {"seed": seed, "bands": list(bands), "simulate": {"bad_frames": []}}
    survey["calibration_frames"] = "calibration_frames.csv"
    (folder / "survey.yaml").write_text(yaml.safe_dump(survey), encoding="utf-8")


def _copy_rows(name, folder, bands):
    """Copy the rows of one of the demo's tables whose band is wanted."""
    with open(DEMO / name, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["band"] in bands]
    with open(folder / name, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def run_survey(folder):
    """Make objects, differences and DIA sources of the survey in a folder.

    Parameters
    ----------
    folder : Path
        Where `write_survey` wrote.
    """
    survey = PartSurvey(folder)
    targets = [survey.path("object", tract=t, patch=p) for t, p in survey.patches]
    targets += [survey.path("diff", visit=v, detector=d) for v, d in survey.science]
    Snakemake(folder).run(*targets, "--cores", "2", config="survey.yaml")


class PartSurvey:
    """Products and truth of a survey that `write_survey` described.

    Parameters
    ----------
    folder : Path
        Working folder of the run.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.settings = yaml.safe_load((self.folder / "survey.yaml").read_text(encoding="utf-8"))
        self.camera = read_camera(self.folder / self.settings["camera"])
        with open(self.folder / self.settings["visits"], encoding="utf-8", newline="") as file:
            self.visits = {int(row["visit"]): row for row in csv.DictReader(file)}
        self._truth = {}

    @property
    def bands(self):
        """Bands of the survey."""
        return self.settings["bands"]

    @property
    def patches(self):
        """(tract, patch) of all patches."""
        tracts = self.settings["sky_map"]["tracts"]
        return [
            (t["tract"], f"{x}_{y}")
            for t in tracts
            for x in range(t["patches"][0])
            for y in range(t["patches"][1])
        ]

    @property
    def covered_patches(self):
        """(tract, patch) of the patches that an exposure reached; the pointing errors decide on those at the edge."""
        return [
            (tract, patch)
            for tract, patch in self.patches
            if read_table_status(self.product("object", tract=tract, patch=patch))[0] == "OK"
        ]

    @property
    def science(self):
        """(visit, detector) of all differences."""
        return [
            (v, d)
            for v, row in self.visits.items()
            if row["use"] == "science"
            for d in sorted(self.camera.detectors)
        ]

    def visits_of(self, band, use=None):
        """Visits of a band, those of one use or all."""
        return [v for v, row in self.visits.items() if row["band"] == band and use in (None, row["use"])]

    def path(self, name, **data_id):
        """Path of a product below the working folder (str)."""
        return product_path(self.settings["output_root"], name, **data_id)

    def product(self, name, **data_id):
        """Path of a product (Path)."""
        return self.folder / self.path(name, **data_id)

    def truth(self, visit, detector):
        """Truth of one detector (dict of str to ndarray), with `variance`: noise of a blank pixel there [nJy^2]."""
        if visit not in self._truth:
            table = read_table(self.product("truth_source", visit=visit))
            rows = {name: column(table, name) for name in (*TRUTH_COLUMNS, "detector")}
            read = np.array([self.read_noise[d] for d in rows["detector"]])
            scale = rows["electrons_per_njy"] * rows["response"]
            rows["variance"] = (rows["sky"] + read**2 * (1 + 1 / N_BIAS)) / scale**2
            self._truth[visit] = rows
        rows = self._truth[visit]
        return {name: values[rows["detector"] == detector] for name, values in rows.items()}

    @cached_property
    def read_noise(self):
        """True read noise of each detector, root mean square over its amplifiers [electron]."""
        settings = settings_of("simulate", simulate={})
        simulation = Simulation(settings, tuple(self.bands), self.settings["seed"], self.camera)
        noises = {
            d: draw_detector(detector, simulation).read_noise for d, detector in self.camera.detectors.items()
        }
        return {d: float(np.sqrt(np.mean(np.square(list(noise.values()))))) for d, noise in noises.items()}

    @cached_property
    def area_of_fwhm(self):
        """Noise-equivalent area [pixel^2] of the simulator's star by its FWHM [arcsec] (callable)."""
        settings = settings_of("simulate", simulate={})
        return area_function(settings, self.camera.pixel_scale)

    def static_power(self, visits):
        """Noise power of the best mean of some visits at each static object of theirs.

        Parameters
        ----------
        visits : sequence of int
            Visits of one band.

        Returns
        -------
        dict of int to (float, frozenset)
            By identifier: power [nJy^2] and the (visit, detector) that hold the object.
        """
        information, holders = {}, {}
        for visit in visits:
            for detector in self.camera.detectors:
                rows = self.truth(visit, detector)
                is_static = np.isin(rows["kind"], ("star", "galaxy"))
                for key, variance in zip(
                    rows["id"][is_static].tolist(), rows["variance"][is_static].tolist(), strict=True
                ):
                    information[key] = information.get(key, 0.0) + 1 / variance
                    holders.setdefault(key, set()).add((visit, detector))
        return {key: (1 / value, frozenset(holders[key])) for key, value in information.items()}
