"""For each named error of data one real input, that is files, and the script that meets them.

`REAL_INPUTS` holds, by the error's reason, a function of a `Bench` that runs a script on the input.
"""

import copy
import io
from dataclasses import replace

import numpy as np
import yaml
from astropy.io import fits
from mutated_raw_jobs import SIDE, VISIT, camera_of, settings_of, simulate
from pyarrow import parquet
from stage_jobs import (
    PROVENANCE,
    WHERE,
    Pair,
    dia_sources_of,
    inputs_of,
    run,
    script,
    write_calexp,
    write_sky_calexp,
    write_tombstone,
)

from skyloom.commands.frame_facts import card_values
from skyloom.core.wcs import tan_project
from skyloom.io.exposures import write_exposure
from skyloom.io.fits_layout import read_hdus
from skyloom.io.tables import write_table
from skyloom.workflow import make_job

BIAS_ADU, GAIN, READ_NOISE, SKY = 1000.0, 1.6, 6.0, 800.0
STAR_SIGMA, TRAIL = 1.6, 24
REAL_INPUTS = {}


def real_input(reason):
    """Enter a function as the input of the error of some reason."""

    def enter(function):
        REAL_INPUTS[reason] = function
        return function

    return enter


class Bench:
    """A good simulated frame, its catalogue and camera, and jobs on other files.

    Parameters
    ----------
    folder : Path
        For the good files.
    """

    def __init__(self, folder):
        self.good, self.settings = folder, settings_of()
        # The frame is small: over 2 arcmin of sky its stars would hardly be more than a match by chance.
        self.settings["calibrate"]["astrometry"]["search"]["min_offset_arcsec"] = 20.0
        self.raw = simulate(folder, self.settings)
        self.references = parquet.read_table(folder / "reference.parquet")
        self.work = None

    def at(self, folder):
        """Return the same bench that writes into another folder (Bench)."""
        bench = copy.copy(self)
        bench.work = folder
        return bench

    def camera(self, **section):
        """Write the good frame's camera with other keys; return its path (str)."""
        path = self.work / "camera.yaml"
        path.write_text(yaml.safe_dump(camera_of("extensions") | section), encoding="utf-8")
        return str(path)

    def changed(self, planes=lambda plane: plane, **cards):
        """The good frame with other planes and cards (bytes)."""
        sink = io.BytesIO()
        with fits.open(io.BytesIO(self.raw), do_not_scale_image_data=False) as hdus:
            for hdu in hdus:
                if hdu.data is not None:
                    hdu.data = planes(hdu.data)
            for keyword, value in cards.items():
                hdus[0].header[keyword.replace("_", "-")] = value
            hdus.writeto(sink)
        return sink.getvalue()

    def light(self):
        """Electrons of the good frame, sky included, shape (SIDE, SIDE)."""
        with fits.open(io.BytesIO(self.raw)) as hdus:
            halves = [hdus[name].data.astype(float) for name in "AB"]
        level = [np.median(half[:, SIDE // 2 :]) for half in halves]
        return GAIN * np.hstack(
            [half[:, : SIDE // 2] - bias for half, bias in zip(halves, level, strict=True)]
        )

    def frame_of(self, electrons):
        """Raw frame of some light, with the good one's header (bytes)."""
        rng = np.random.default_rng(3)
        counts = BIAS_ADU + rng.normal(0, READ_NOISE / GAIN, (2, SIDE, SIDE // 2 + 16))
        counts[:, :, : SIDE // 2] += np.stack(np.hsplit(rng.poisson(electrons) / GAIN, 2))
        planes = iter(np.clip(np.round(counts), 0, 65535).astype(np.uint16))
        return self.changed(lambda plane: next(planes))

    def calibrate(self, content, *, references=None, visit=(), settings=None, camera=None, **companions):
        """Run the script of the visits' images on a frame of some bytes."""
        (self.work / "frame.fits").write_bytes(content)
        parquet.write_table(
            self.references if references is None else references, self.work / "reference.parquet"
        )
        inputs = {"raw": str(self.work / "frame.fits"), "reference": str(self.work / "reference.parquet")}
        params = {
            **{"visit": VISIT | {"visit": 11} | dict(visit), "seed": 1, "camera": camera or self.camera()},
            "settings": settings or self.settings,
        }
        outputs = {"calexp": str(self.work / "calexp.fits"), "src": str(self.work / "src.parquet")}
        inputs = {"mask": "", "psf": "", **inputs, **companions}
        job = make_job(
            "calibrate_image", input=inputs, output=outputs, params=params, wildcards={"detector": "0"}
        )
        script("calibrate_image").main(job)

    def reduce(self, cards=(), section=(), **options):
        """Run it on the good frame as an image that an observatory has calibrated, with a mask and a PSF on demand."""
        header = fits.Header(dict(EXPTIME=30.0, **wcs_cards()) | dict(cards))
        header = fits.Header({key: value for key, value in header.items() if value is not None})
        sink = io.BytesIO()
        fits.PrimaryHDU((self.light() / GAIN).astype(np.float32), header).writeto(sink)
        described = {"unit": "ADU", "gain": GAIN, "read_noise": READ_NOISE, "variance": {"form": "gain"}}
        keys = {"raw": {"format": "single", "header": {"exposure_time": "EXPTIME"}}}
        keys["calibrated"] = described | dict(section)
        keys["detectors"] = {0: {"shape": [SIDE, SIDE], "extension": 0}}
        camera = self.work / "camera.yaml"
        content = {key: value for key, value in camera_of("single").items() if key not in keys} | keys
        camera.write_text(yaml.safe_dump(content), encoding="utf-8")
        options["visit"] = {"zero_point": float("nan")} | options.pop("visit", {})
        self.calibrate(sink.getvalue(), camera=str(camera), **options)

    def file_of(self, name, *hdus):
        """Write a FITS file; return its path (str)."""
        fits.HDUList(list(hdus)).writeto(self.work / name)
        return str(self.work / name)


def wcs_cards():
    """Cards of the WCS of the visit's table, turned by its rotation."""
    cards = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.2}
    turn, scale = np.radians(VISIT["rotation"]), 0.2 / 3600
    matrix = scale * np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    cards |= {f"CD{i + 1}_{j + 1}": float(matrix[i, j]) for i in range(2) for j in range(2)}
    return cards | {"CRPIX1": SIDE / 2 + 0.5, "CRPIX2": SIDE / 2 + 0.5}


def light_of(stars):
    """Sky and Gaussian stars (x, y, electrons)."""
    pixel = np.arange(SIDE)
    light = np.full((SIDE, SIDE), SKY)
    for x, y, electrons in stars:
        along_x, along_y = (np.exp(-0.5 * ((pixel - c) / STAR_SIGMA) ** 2) for c in (x, y))
        light += electrons / (2 * np.pi * STAR_SIGMA**2) * np.outer(along_y, along_x)
    return light


def with_column(table, name, values):
    """Table with other values of a column, of the same type and description."""
    index = table.column_names.index(name)
    array = np.asarray(values).astype(table[name].to_numpy().dtype)
    return table.set_column(index, table.field(index), [array])


@real_input("TruncatedRaw")
def transfer_broken_off(bench):
    bench.calibrate(bench.raw[: len(bench.raw) // 2])


@real_input("CorruptRaw")
def no_fits_file(bench):
    bench.calibrate(b"<html>404 Not Found</html>" * 1000)


@real_input("MissingPlane")
def amplifier_lost(bench):
    bench.calibrate(bench.raw.replace(b"'B       '", b"'C       '"))


@real_input("WrongShapeRaw")
def window_read_out(bench):
    bench.calibrate(bench.changed(lambda plane: plane[:-7]))


@real_input("AllPixelsBad")
def frame_of_nan(bench):
    bench.calibrate(bench.changed(lambda plane: np.full(plane.shape, np.nan, np.float32)))


@real_input("ConstantImage")
def frame_of_zeros(bench):
    bench.calibrate(bench.changed(np.zeros_like))


@real_input("AllAmplifiersBad")
def noisy_electronics(bench):
    rng = np.random.default_rng(1)
    bench.calibrate(
        bench.changed(lambda p: np.clip(p + rng.normal(0, 300, p.shape), 0, 65535).astype(np.uint16))
    )


@real_input("AmplifierCard")
def frame_without_its_gain(bench):
    camera = camera_of("extensions")
    for amplifier in camera["detectors"][0]["amplifiers"]:
        amplifier["gain_keyword"] = "EGAIN"
    bench.calibrate(bench.raw, camera=bench.camera(**camera))


@real_input("WrongExposureTime")
def longer_exposure(bench):
    bench.calibrate(bench.changed(EXPTIME=300.0))


@real_input("WrongBand")
def other_filter(bench):
    bench.calibrate(bench.changed(FILTER="g"))


@real_input("WrongTime")
def other_night(bench):
    bench.calibrate(bench.changed(MJD_OBS=VISIT["mjd"] - 1, DATE_OBS="2026-11-09T04:47:45"))


@real_input("WrongPointing")
def table_in_hours(bench):
    bench.calibrate(bench.raw, visit={"ra": 10.0})


@real_input("TooFewGoodPixels")
def all_saturated(bench):
    bench.calibrate(bench.frame_of(np.full((SIDE, SIDE), 1e5)))


@real_input("NoSources")
def closed_dome(bench):
    bench.calibrate(bench.frame_of(light_of([])))


@real_input("TooFewPsfStars")
def two_stars(bench):
    bench.calibrate(bench.frame_of(light_of([(60, 80, 1e5), (180, 150, 1e5)])))


@real_input("PsfFitFailed")
def mount_that_stood_still(bench):
    x, y = np.meshgrid(np.arange(34, 240, 48), np.arange(30, 240, 24))
    trail = np.arange(-TRAIL / 2, TRAIL / 2, 0.5)
    steps = [
        (px + step, py, 3e5 / len(trail))
        for px, py in zip(x.ravel(), y.ravel(), strict=True)
        for step in trail
    ]
    bench.calibrate(bench.frame_of(light_of(steps)))


@real_input("TooFewAstrometricSources")
def four_stars(bench):
    stars = [(60, 80, 1e5), (180, 150, 1e5), (40.3, 200, 8e4), (200.6, 60, 9e4)]
    bench.calibrate(bench.frame_of(light_of(stars)))


@real_input("TooFewReferenceStars")
def catalogue_of_elsewhere(bench):
    ra = bench.references["ra"].to_numpy() + 20
    bench.calibrate(bench.raw, references=with_column(bench.references, "ra", ra))


@real_input("AstrometryMatch")
def wrong_stars(bench):
    rng = np.random.default_rng(1)
    other = rng.permutation(bench.references["dec"].to_numpy())
    bench.calibrate(bench.raw, references=with_column(bench.references, "dec", other))


@real_input("OutsideSearch")
def rotator_off_by_a_right_angle(bench):
    xi, eta = tan_project(*(bench.references[name].to_numpy() for name in ("ra", "dec")), 150.0, 2.2)
    x, y = (np.asarray(c) * 3600 / 0.2 + SIDE / 2 for c in (eta, xi))
    inside = (np.minimum(x, y) > 5) & (np.maximum(x, y) < SIDE - 5)
    electrons = np.clip(bench.references["flux_r"].to_numpy(), 1e3, 2e5)
    bench.calibrate(bench.frame_of(light_of(zip(x[inside], y[inside], electrons[inside], strict=True))))


@real_input("AstrometryFit")
def catalogue_of_a_photographic_plate(bench):
    rng, references = np.random.default_rng(1), bench.references
    for name in ("ra", "dec"):
        noisy = references[name].to_numpy() + rng.normal(0, 0.3 / 3600, len(references))
        references = with_column(references, name, noisy)
    bench.calibrate(bench.raw, references=references)


@real_input("ZeroPointScatter")
def catalogue_of_other_fluxes(bench):
    noise = np.exp(np.random.default_rng(1).normal(0, 1.0, len(bench.references)))
    flux = bench.references["flux_r"].to_numpy() * noise
    bench.calibrate(bench.raw, references=with_column(bench.references, "flux_r", flux))


@real_input("IdRange")
def visit_of_too_many_digits(bench):
    bench.calibrate(bench.raw, visit={"visit": 2**31})


@real_input("NoSkyPixels")
def mask_of_rays_everywhere(bench):
    mask = bench.file_of("mask.fits", fits.PrimaryHDU(np.ones((SIDE, SIDE), np.int16)))
    bench.reduce(section={"mask": {"form": "bits", "planes": {0: "CR"}}}, mask=mask)


@real_input("MissingCompanion")
def mask_without_its_plane(bench):
    mask = bench.file_of("mask.fits", fits.PrimaryHDU())
    bench.reduce(section={"mask": {"form": "bits", "planes": {0: "BAD"}}}, mask=mask)


@real_input("CalibratedShape")
def mask_of_another_size(bench):
    mask = bench.file_of("mask.fits", fits.PrimaryHDU(np.zeros((SIDE, SIDE - 1), np.int16)))
    bench.reduce(section={"mask": {"form": "bits", "planes": {0: "BAD"}}}, mask=mask)


@real_input("UnknownMaskValue")
def mask_of_another_release(bench):
    mask = bench.file_of("mask.fits", fits.PrimaryHDU(np.full((SIDE, SIDE), 8, np.int16)))
    bench.reduce(section={"mask": {"form": "bits", "planes": {0: "BAD"}}}, mask=mask)


@real_input("WrongUnit")
def image_in_electrons(bench):
    bench.reduce({"BUNIT": "electron"})


@real_input("StatedQuantity")
def image_without_its_gain(bench):
    bench.reduce(section={"gain": "EGAIN"})


def kept(bench, part):
    """Settings that keep the WCS, and another part, as they are given."""
    settings = copy.deepcopy(bench.settings)
    settings["calibrate"]["astrometry"]["wcs"] = "given"
    settings["calibrate"]["photometry"]["zero_point"] = part
    return settings


@real_input("MissingWcs")
def image_that_nobody_solved(bench):
    bench.reduce(dict.fromkeys(wcs_cards()), settings=kept(bench, "fitted"))


@real_input("UnsupportedWcs")
def image_in_another_projection(bench):
    bench.reduce({"CTYPE1": "RA---ZPN", "CTYPE2": "DEC--ZPN"}, settings=kept(bench, "fitted"))


@real_input("TooFewPhotometricStars")
def catalogue_without_fluxes(bench):
    nothing = np.full(len(bench.references), np.nan)
    references = with_column(bench.references, "flux_r", nothing)
    bench.reduce(references=references, settings=kept(bench, "fitted"))


@real_input("NoGivenZeroPoint")
def image_that_nobody_calibrated(bench):
    bench.reduce(settings=kept(bench, "given"))


def psfex(bench, image):
    """File of PSFEx of one image; returns its path (str)."""
    column = fits.Column("PSF_MASK", f"{image.size}E", dim=str((*image.shape, 1)), array=image[None, None])
    table = fits.BinTableHDU.from_columns([column])
    table.header["POLNAXIS"], table.header["PSF_SAMP"] = 0, 1.0
    return bench.file_of("model.psf", fits.PrimaryHDU(), table)


@real_input("PsfModel")
def model_of_even_size(bench):
    bench.reduce(psf=psfex(bench, np.ones((24, 24), np.float32)))


@real_input("PsfWithoutSize")
def model_of_a_hole(bench):
    image = np.full((25, 25), 1e-3, np.float32)
    image[11:14, 11:14] = -0.05
    bench.reduce(psf=psfex(bench, image))


@real_input("UnclearCard")
def file_without_an_image(bench):
    card_values(read_hdus(bench.file_of("table.fits", fits.PrimaryHDU(), fits.BinTableHDU())))


@real_input("UpstreamFailure")
def failed_calexp(bench):
    calexps = [write_tombstone(bench.work / "calexp.fits")]
    run("warp_visit", {"calexps": calexps, "visit_sky": []}, {"warp": str(bench.work / "warp.fits")})


@real_input("NoOverlap")
def calexp_of_elsewhere(bench):
    calexp = write_calexp(bench.work / "calexp.fits", 1, np.random.default_rng(1), place=(150.0, 2.4))
    run("warp_visit", {"calexps": [calexp], "visit_sky": []}, {"warp": str(bench.work / "warp.fits")})


def sky_of(bench, *calexps):
    """Fit the sky of some calexps; return its path (str)."""
    path = str(bench.work / "visit_sky.fits")
    run("fit_visit_sky", {"calexps": list(calexps)}, {"visit_sky": path})
    return path


@real_input("MixedVisits")
def calexp_of_another_visit(bench):
    visits = (1, 2)
    sky_of(bench, *(write_sky_calexp(bench.work / f"{v}.fits", v, v, level=500.0) for v in visits))


@real_input("NoVisitSky")
def visit_covered_by_one_galaxy(bench):
    sky_of(bench, write_sky_calexp(bench.work / "calexp.fits", 1, 0, level=500.0, is_masked=True))


@real_input("ForeignVisitSky")
def sky_of_another_visit(bench):
    one, other = (write_sky_calexp(bench.work / f"{v}.fits", v, 0, level=500.0) for v in (1, 2))
    inputs = {"calexps": [other], "visit_sky": sky_of(bench, one)}
    run("warp_visit", inputs, {"warp": str(bench.work / "warp.fits")})


@real_input("NoInputs")
def patch_without_visits(bench):
    wildcards = WHERE | {"kind": "deep"}
    run("assemble_coadd", {"warps": []}, {"coadd": str(bench.work / "coadd.fits")}, wildcards=wildcards)


@real_input("NoCoadds")
def patch_without_coadds(bench):
    outputs = {"object": str(bench.work / "object.parquet")}
    run("measure_objects", {"coadds": []}, outputs, bands=["r"], coadd_bands=[])


@real_input("NoTemplateCoverage")
def night_before_the_template(bench):
    Pair(bench.work).subtract([])


@real_input("InsufficientKernelStamps")
def field_of_one_star(bench):
    Pair(bench.work, n_star=1).subtract(["coadd"])


@real_input("PoorSubtraction")
def template_of_other_fluxes(bench):
    pair = Pair(bench.work)
    pixels, rng = pair.coadd.pixels, np.random.default_rng(0)
    blocks = np.kron(rng.uniform(0.3, 3.0, (10, 10)), np.ones((20, 20)))
    other = replace(pixels, image=(pixels.image * blocks).astype(np.float32))
    write_exposure(pair.path("coadd"), replace(pair.coadd, pixels=other), PROVENANCE)
    pair.subtract(["coadd"])


@real_input("TemplateIsScience")
def template_of_the_visit_alone(bench):
    pair = Pair(bench.work)
    write_exposure(pair.path("coadd"), replace(pair.coadd, inputs=inputs_of([5])), PROVENANCE)
    pair.subtract(["coadd"])


@real_input("UnknownBand")
def sources_of_a_band_that_the_survey_lacks(bench):
    path = str(bench.work / "dia.parquet")
    write_table(path, dia_sources_of(1, "z"), PROVENANCE)
    outputs = {name: str(bench.work / f"{name}.parquet") for name in ("dia_object", "dia_match")}
    run("associate_dia_sources", {"dia_sources": [path]}, outputs, wildcards={"tract": "1"}, bands=["r"])
