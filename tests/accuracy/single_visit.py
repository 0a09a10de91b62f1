"""A simulated visit of two detectors, taken through the scripts from raw frames to sources, and its truth."""

import copy
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import galsim
import numpy as np
import pyarrow.compute as pc
import yaml
from pipeline_settings import ROOT, settings_of
from scipy.spatial import cKDTree

from skyloom.core.tables import column, without_sky_objects
from skyloom.core.wcs import order_of, polynomial_terms
from skyloom.io.cameras import read_camera
from skyloom.io.exposures import read_exposure
from skyloom.io.reference import read_reference_catalog
from skyloom.io.tables import read_table
from skyloom.workflow import make_job
from skyloom.workflow.config import load_yaml

SECTIONS = ("isr", "calibs", "calibrate", "reference", "simulate")
FRAMES = (("bias", 0.0, 8), ("dark", 300.0, 4), ("flat", 5.0, 5))
MATCH_RADIUS_PIXEL = 2.0
# A match must hold this part of the source's flux: a faint object behind a false source proves nothing.
LEAST_FLUX_PART = 0.3
EDGE_PIXEL = 3.0


def script(name):
    """Main function of a script."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def write_camera(path, side):
    """The demo's camera with detectors of another size."""
    camera = load_yaml(ROOT / "config" / "cameras" / "simcam.yaml")
    half, factor = side // 2, side / 1024
    for amplifier in camera["amplifier_sets"]["quadrants"]:
        for key, section in amplifier.items():
            if key.endswith("_section"):
                amplifier[key] = [_resized(edge, half) for edge in section]
    for detector in camera["detectors"].values():
        detector["shape"] = [side, side]
        detector["centre"] = [c * factor for c in detector["centre"]]
    Path(path).write_text(yaml.safe_dump(camera), encoding="utf-8")


def _resized(edge, half):
    """Edge of a section of an amplifier of 512 pixels for one of `half` pixels; overscans keep their width."""
    blocks, rest = divmod(edge, 512)
    return blocks * half + rest


@dataclass(frozen=True)
class SimulatedVisit:
    """Products and truth of one visit.

    Attributes
    ----------
    calexps, sources, truths : dict of int to Exposure, pyarrow.Table, pyarrow.Table
        By detector.
    summary : pyarrow.Table
        Schema VISIT_SUMMARY.
    run : VisitRun
        What made it, to calibrate once more with other settings.
    area_of_fwhm : callable
        Noise-equivalent area of a star [pixel^2] by the FWHM of the true profile [arcsec].
    read_noise : float
        What the amplifiers are believed to have [electron].
    reference_errors : callable
        Errors (ra, dec) [mas] of the catalogue's stars at positions (ra, dec) [degree], at the visit's time.
    """

    calexps: dict
    sources: dict
    truths: dict
    summary: object
    run: object
    area_of_fwhm: object
    read_noise: float
    reference_errors: object


def run_visit(folder, seed, side, *, rotation=3.0, band="r", simulate=None):
    """Simulate a visit with its calibration frames and process it.

    Parameters
    ----------
    folder : Path
        For all files.
    seed : int
        Of the simulation and the processing.
    side : int
        Side of the two detectors [pixel].
    rotation : float
        Rotator angle [degree].
    band : str
        Band.
    simulate : dict, optional
        Settings of section ``simulate`` that differ from the defaults.

    Returns
    -------
    SimulatedVisit
        With truth.
    """
    write_camera(folder / "camera.yaml", side)
    camera = read_camera(folder / "camera.yaml")
    defaults = settings_of(simulate=simulate or {})
    visit = {
        **{"visit": 301, "exposure_name": "A1", "night": "n1", "mjd": 61384.2, "band": band},
        **{"exposure_time": 30.0, "ra": 150.0, "dec": 2.2, "rotation": rotation, "airmass": 1.2},
        **{"pointing_uncertainty": 32.0, "camera": camera.name, "raw": "", "use": "science"},
    }
    run = VisitRun(folder, camera, visit, defaults, seed)
    run.simulate()
    for detector in run.detectors:
        run.combine(detector)
    return run.calibrate()


class VisitRun:
    """Calls the scripts one after the other in this process."""

    def __init__(self, folder, camera, visit, defaults, seed):
        self.folder, self.camera, self.visit, self.defaults = folder, camera, visit, defaults
        self.detectors = sorted(camera.detectors)
        kinds = [(kind, time) for kind, time, n in FRAMES for _ in range(n)]
        self.frames = [
            {
                "frame": k, "kind": kind, "band": visit["band"] if kind == "flat" else "none",
                "exposure_time": time, "mjd": visit["mjd"] - 0.3 + 1e-3 * k, "epoch": "e1",
            }
            for k, (kind, time) in enumerate(kinds)
        ]  # fmt: skip
        self.params = {
            "settings": {name: defaults[name] for name in SECTIONS},
            "seed": seed,
            "bands": [visit["band"]],
            "camera": str(folder / "camera.yaml"),
            "visits": [visit],
            "visit": visit,
            "calibration_frames": self.frames,
        }

    def path(self, *parts):
        return str(self.folder.joinpath("-".join(str(part) for part in parts)))

    def call(self, name, inputs, outputs, **extra):
        job = make_job(
            name,
            input=inputs,
            output=outputs,
            params=self.params | extra.pop("params", {}),
            wildcards={key: str(value) for key, value in extra.items()},
        )
        script(name)(job)

    def simulate(self):
        raw_calib = [self.path("frame", f["frame"], d) for f in self.frames for d in self.detectors]
        tables = {name: self.path(f"{name}.parquet") for name in ("truth_object", "truth_orbit", "reference")}
        self.call("simulate_sky", {}, tables | {"raw_calib": raw_calib})
        outputs = {
            "raw": [self.path("raw", d) for d in self.detectors],
            "truth_source": [self.path("truth_source.parquet")],
        }
        truth = {name: tables[name] for name in ("truth_object", "truth_orbit")}
        self.call("simulate_night", truth, outputs)

    def combine(self, detector):
        made = {}
        for kind, outputs in (("bias", ("bias",)), ("dark", ("dark", "defects")), ("flat", ("flat",))):
            rows = [f for f in self.frames if f["kind"] == kind]
            frames = [self.path("frame", f["frame"], detector) for f in rows]
            new = {name: self.path(name, detector) for name in outputs}
            self.call(
                f"combine_{kind}", {"frames": frames} | made, new, params={"frames": rows}, detector=detector
            )
            made |= new

    def calibrate(self, **changes):
        """Calibrate the visit, some settings of ``calibrate.astrometry`` changed, and read its products."""
        settings = copy.deepcopy(self.params["settings"])
        settings["calibrate"]["astrometry"] |= changes
        kinds = ("bias", "dark", "flat", "defects", "raw")
        for detector in self.detectors:
            inputs = {kind: self.path(kind, detector) for kind in kinds}
            inputs["reference"] = self.path("reference.parquet")
            outputs = {name: self.path(name, detector) for name in ("calexp", "src")}
            self.call("calibrate_image", inputs, outputs, params={"settings": settings}, detector=detector)
        return self.read()

    def read(self):
        calexps = [self.path("calexp", d) for d in self.detectors]
        srcs = [self.path("src", d) for d in self.detectors]
        self.call(
            "summarize_visit", {"calexps": calexps, "srcs": srcs}, {"visit_summary": self.path("summary")}
        )
        truth = read_table(self.path("truth_source.parquet"))
        return SimulatedVisit(
            calexps={d: read_exposure(self.path("calexp", d)) for d in self.detectors},
            sources={d: without_sky_objects(read_table(self.path("src", d))) for d in self.detectors},
            truths={d: truth.filter(pc.equal(truth["detector"], d)) for d in self.detectors},
            summary=read_table(self.path("summary")),
            run=self,
            area_of_fwhm=area_function(self.defaults["simulate"], self.camera.pixel_scale),
            read_noise=float(
                np.mean([a.read_noise for a in self.camera.detectors[self.detectors[0]].amplifiers])
            ),
            reference_errors=self.reference_errors,
        )

    def reference_errors(self, ra, dec):
        """Errors (ra, dec) [mas] of the catalogue's stars at positions [degree], proper motions applied."""
        region = self.visit["ra"], self.visit["dec"], 1.0
        settings = self.defaults["reference"]
        stars = read_reference_catalog(
            self.path("reference.parquet"), settings, self.visit["band"], region, self.visit["mjd"]
        )
        cos_dec = np.cos(np.radians(self.visit["dec"]))
        tree = cKDTree(np.column_stack([stars.ra * cos_dec, stars.dec]))
        _, nearest = tree.query(np.column_stack([ra * cos_dec, dec]))
        return stars.ra_err[nearest] * 1e3, stars.dec_err[nearest] * 1e3


def area_function(settings, pixel_scale):
    """Noise-equivalent area by FWHM, from the profile that the simulator is told to draw."""
    widths = np.linspace(0.3, 2.5, 12)
    areas = []
    for fwhm in widths:
        profile = galsim.Moffat(beta=settings["atmosphere"]["moffat_beta"], fwhm=fwhm)
        image = profile.drawImage(nx=101, ny=101, scale=pixel_scale).array.astype(float)
        areas.append(1 / np.sum((image / image.sum()) ** 2))
    return lambda fwhm: np.interp(fwhm, widths, areas)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Sources of one detector against truth.

    Attributes
    ----------
    found : ndarray of bool
        For each true star of S/N > 10 away from the edge, whether it is in the table.
    pure : ndarray of bool
        For each source of S/N > 10, whether it is a true object.
    residual_ra, residual_dec : ndarray
        Of found stars of S/N > 50 [mas].
    pull_ra, pull_dec : ndarray
        Their residuals over the stated error of the centroid.
    flux_ratio : ndarray
        Measured over true flux of these stars.
    wcs_error_ra, wcs_error_dec : ndarray
        Of the WCS alone, at the true pixels of all true stars [mas].
    wcs_limit_ra, wcs_limit_dec : float
        Its expected rms there, from the known errors of the stars of the fit alone [mas].
    wcs_stated : ndarray
        What the fit states it to be there, on each axis [mas].
    """

    found: np.ndarray
    pure: np.ndarray
    residual_ra: np.ndarray
    residual_dec: np.ndarray
    pull_ra: np.ndarray
    pull_dec: np.ndarray
    flux_ratio: np.ndarray
    wcs_error_ra: np.ndarray
    wcs_error_dec: np.ndarray
    wcs_limit_ra: float
    wcs_limit_dec: float
    wcs_stated: np.ndarray


def true_signal_to_noise(truth, visit):
    """S/N of each true object as a point source, from photons, sky and read noise alone."""
    electrons = column(truth, "flux") * column(truth, "electrons_per_njy") * column(truth, "response")
    area = visit.area_of_fwhm(column(truth, "psf_fwhm"))
    return electrons / np.sqrt(electrons + area * (column(truth, "sky") + visit.read_noise**2))


def compare(visit, detector):
    """Compare a detector's sources with truth.

    Parameters
    ----------
    visit : SimulatedVisit
        The visit.
    detector : int
        The detector.

    Returns
    -------
    Comparison
        The numbers that the bars are about.
    """
    truth, src = visit.truths[detector], visit.sources[detector]
    ny, nx = visit.calexps[detector].pixels.shape
    x, y, flux = (column(truth, name) for name in ("x", "y", "flux"))
    snr = true_signal_to_noise(truth, visit)
    is_star = column(truth, "kind") == "star"
    inside = (np.minimum(x, nx - 1 - x) > EDGE_PIXEL) & (np.minimum(y, ny - 1 - y) > EDGE_PIXEL)
    measured = np.column_stack([column(src, "x"), column(src, "y")])
    psf_flux = column(src, "psfFlux")
    distance, nearest = cKDTree(measured).query(
        np.column_stack([x, y]), distance_upper_bound=MATCH_RADIUS_PIXEL
    )
    matched = np.isfinite(distance)
    wanted = is_star & inside & (snr > 10)
    bright = is_star & inside & matched & (snr > 50)
    source = nearest[bright]
    true_sky = column(truth, "ra"), column(truth, "dec")
    residual_ra, residual_dec = _offsets(
        (column(src, "ra")[source], column(src, "dec")[source]), true_sky, bright
    )
    wcs_sky = visit.calexps[detector].wcs.pixel_to_sky(x[is_star], y[is_star])
    wcs_error_ra, wcs_error_dec = _offsets(wcs_sky, true_sky, is_star)
    wcs_limit_ra, wcs_limit_dec = _wcs_limit(visit, detector, x[is_star], y[is_star])
    return Comparison(
        found=matched[wanted],
        pure=_is_true(src, measured, psf_flux, np.column_stack([x, y]), flux),
        residual_ra=residual_ra,
        residual_dec=residual_dec,
        pull_ra=residual_ra / column(src, "raErr")[source] / 3.6e6,
        pull_dec=residual_dec / column(src, "decErr")[source] / 3.6e6,
        flux_ratio=psf_flux[source] / flux[bright],
        wcs_error_ra=wcs_error_ra,
        wcs_error_dec=wcs_error_dec,
        wcs_limit_ra=wcs_limit_ra,
        wcs_limit_dec=wcs_limit_dec,
        wcs_stated=_stated_wcs_error(visit.calexps[detector], x[is_star], y[is_star]),
    )


def _stated_wcs_error(calexp, x, y):
    """Error of the WCS on each axis at pixels, from the covariance of its fit [mas]."""
    fit = calexp.wcs_fit
    terms = polynomial_terms(x - calexp.wcs.crpix[0], y - calexp.wcs.crpix[1], order_of(len(fit.covariance)))
    return np.sqrt(np.einsum("in,ij,jn->n", terms, fit.covariance, terms)) * 3.6e6


def _wcs_limit(visit, detector, x, y):
    """Expected rms error (ra, dec) [mas] at pixels of a WCS fitted to the stars that were used, by known errors alone.

    The covariance of a weighted fit whose weights are 1 / (sigma_ref^2 + sigma_centroid^2): sqrt(p / N) sigma for
    equal errors and even coverage. Nothing of it is what the fit says of itself.
    """
    src, calexp = visit.sources[detector], visit.calexps[detector]
    used = column(src, "calib_astrometry_used")
    references = visit.reference_errors(*(column(src, name)[used] for name in ("ra", "dec")))
    # The centroid's errors on the detector's axes, as if on the sky's: they differ by some per cent.
    scale = calexp.wcs.pixel_scale() * 1e3
    design, places = (
        _terms(calexp, *place) for place in ((column(src, "x")[used], column(src, "y")[used]), (x, y))
    )
    limits = []
    for reference, name in zip(references, ("xErr", "yErr"), strict=True):
        weight = 1 / (reference**2 + (scale * column(src, name)[used]) ** 2)
        covariance = np.linalg.inv((design * weight) @ design.T)
        limits.append(np.sqrt(np.mean(np.einsum("in,ij,jn->n", places, covariance, places))))
    return limits


def typical_wcs_limit(visit, detector):
    """Error (ra, dec) [mas] of a WCS by those of its typical star: sqrt(p / N) sqrt(sigma_ref^2 + sigma_centroid^2).

    Larger than that of a weighted fit, to which the brightest stars give most: in a rich field what is hidden behind
    them, not the noise, sets how well they are known.
    """
    src, calexp = visit.sources[detector], visit.calexps[detector]
    used = column(src, "calib_astrometry_used")
    references = visit.reference_errors(*(column(src, name)[used] for name in ("ra", "dec")))
    scale = calexp.wcs.pixel_scale() * 1e3
    return [
        np.sqrt(len(calexp.wcs_fit.covariance) / used.sum() * np.median(reference**2 + (scale * error) ** 2))
        for reference, error in zip(
            references, (column(src, name)[used] for name in ("xErr", "yErr")), strict=True
        )
    ]


def _terms(calexp, x, y):
    """Terms of the WCS's polynomial at pixels, in units of half the detector."""
    half = calexp.pixels.shape[1] / 2
    centre_x, centre_y = calexp.wcs.crpix
    return polynomial_terms(
        (x - centre_x) / half, (y - centre_y) / half, order_of(len(calexp.wcs_fit.covariance))
    )


def _offsets(sky, true_sky, chosen):
    """Offsets (East, North) [mas] of positions from the chosen true ones."""
    ra, dec = (c[chosen] for c in true_sky)
    return (sky[0] - ra) * np.cos(np.radians(dec)) * 3.6e6, (sky[1] - dec) * 3.6e6


def _is_true(src, measured, psf_flux, true_positions, true_flux):
    """For each source of S/N > 10: whether a true object with a fair part of its flux is near."""
    significant = psf_flux > 10 * column(src, "psfFluxErr")
    tree = cKDTree(true_positions)
    near = tree.query_ball_point(measured[significant], MATCH_RADIUS_PIXEL)
    return np.array(
        [
            any(true_flux[k] > LEAST_FLUX_PART * f for k in indices)
            for indices, f in zip(near, psf_flux[significant], strict=True)
        ]
    )
