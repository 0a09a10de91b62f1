"""Raw frame to calexp and src beside SExtractor, PSFEx, SExtractor with the PSF and SCAMP: CPU seconds, file to file.

A detector of 4096 x 4096 pixels with 16 amplifiers and 20,000 objects is simulated and its calibrations are combined by
the workflow; then our job and the peers (Debian packages `source-extractor`, `psfex`, `scamp`) run by turns, each a
process of one thread, and the median of three counts. CPU seconds, which other work on the machine raises for both.

The peers do their part at the settings that their manuals give and people use, and no more: SExtractor at its default
of 1.5 sigma behind a filter as wide as the PSF, with the PSF fit that a photometric catalogue asks for; PSFEx and SCAMP
as in `peers`. Two things that would make theirs dearer are left out: a threshold of 0.85, which gives a catalogue as
deep as ours for 1.6 times the time of that step, and SPREAD_MODEL, which fits each source a second time and has a
cheaper stand-in in CLASS_STAR. They start from the frame that our instrument signature removal left, and find no rays,
trails or halos.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME / "scripts"))

import numpy as np  # noqa: E402 (needs the path)
import yaml  # noqa: E402
from peers import (  # noqa: E402
    NOT_MEASURED,
    PSFEX,
    PSFEX_COLUMNS,
    SCAMP,
    SEXTRACTOR,
    command_of,
    measured,
    missing,
    verdict,
)
from snakemake_runs import run_snakemake  # noqa: E402

SIDE, N_AMPLIFIER_SIDE = 4096, 4
RUNS = 3
RATIO_BAR, MEMORY_BAR_MB = 0.6, 1500.0
PEERS = ("SExtractor", "PSFEx", "SCAMP")
VISIT = {
    "visit": 1, "exposure_name": "B1", "night": "n1", "mjd": 61354.2, "band": "r", "exposure_time": 30.0,
    "ra": 150.0, "dec": 2.2, "rotation": 0.0, "pointing_uncertainty": 5.0, "airmass": 1.1, "camera": "large",
}  # fmt: skip
SURVEY = {
    "survey": "benchmark",
    "output_root": "results",
    "seed": 7,
    "camera": "camera.yaml",
    "visits": "visits.csv",
    "calibration_frames": "frames.csv",
    "bands": ["r"],
    "sky_map": {
        "kind": "grid",
        "pixel_scale": 0.2,
        "patch_inner": 4200,
        "patch_border": 50,
        "tracts": [{"tract": 1, "ra": 150.0, "dec": 2.2, "patches": [1, 1]}],
    },
    "simulate": {"stars": {"density": 53.0}, "galaxies": {"density": 54.0}},
}
CALIBS = {"bias": "none", "dark": "none", "flat": "r", "defects": "none"}
DETECTION = SEXTRACTOR | {"GAIN_KEY": "GAIN", "SATUR_KEY": "SATURATE"}
PSF_STARS = ("NUMBER", *PSFEX_COLUMNS, "VIGNET(35,35)")
SOURCES = ("NUMBER", "XWIN_IMAGE", "YWIN_IMAGE", "ERRAWIN_IMAGE", "ERRBWIN_IMAGE", "ERRTHETAWIN_IMAGE", "FLUX_AUTO",
           "FLUXERR_AUTO", "FLUX_RADIUS", "ELONGATION", "FLAGS", "CLASS_STAR", "FLUX_PSF(1)", "FLUXERR_PSF(1)",
           "XPSF_IMAGE", "YPSF_IMAGE", "FLUX_APER(9)", "FLUXERR_APER(9)", "X2WIN_IMAGE", "Y2WIN_IMAGE",
           "XYWIN_IMAGE")  # fmt: skip
APERTURES = "6,12,18,24,34,50,70,100,140"


def write_survey(folder):
    """Write the survey's configuration, camera and tables.

    Parameters
    ----------
    folder : Path
        Where they go.
    """
    side = SIDE // N_AMPLIFIER_SIDE
    amplifiers = []
    for j in range(N_AMPLIFIER_SIDE):
        for i in range(N_AMPLIFIER_SIDE):
            name = f"C{j}{i}"
            sections = {
                "data_section": [8, 8 + side, 0, side],
                "overscan_section": [8 + side, 48 + side, 0, side],
                "detector_section": [i * side, (i + 1) * side, j * side, (j + 1) * side],
            }
            values = {
                "gain": 1.6,
                "read_noise": 6.0,
                "saturation": 52000,
                "flip_x": bool(i % 2),
                "flip_y": j > 1,
            }
            amplifiers.append({"name": name, "extension": name, **sections, **values})
    detector = {"shape": [SIDE, SIDE], "centre": [0, 0], "orientation": 0, "amplifiers": amplifiers}
    raw = {
        "format": "extensions",
        "header": {"exposure_time": "EXPTIME", "band": "FILTER", "mjd_begin": "MJD-OBS"},
    }
    camera = {"name": "large", "pixel_scale": 0.2, "bands": ["r"], "raw": raw, "detectors": {0: detector}}
    (folder / "camera.yaml").write_text(yaml.safe_dump(camera), encoding="utf-8")
    (folder / "survey.yaml").write_text(yaml.safe_dump(SURVEY), encoding="utf-8")
    row = VISIT | {"raw": "raw/{visit}/{detector}.fits", "use": "both"}
    lines = [",".join(row), ",".join(str(value) for value in row.values())]
    (folder / "visits.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    lines = ["frame,kind,band,exposure_time,mjd,epoch,valid_from,valid_until,camera,raw"]
    kinds = 3 * ["bias,none,0"] + 3 * ["dark,none,300"] + 3 * ["flat,r,5"]
    for number, kind in enumerate(kinds, start=1):
        raw = "raw_calib/{frame}/{detector}.fits"
        lines.append(f"{number},{kind},{61353.9 + number / 100:.2f},e1,61350,61400,large,{raw}")
    (folder / "frames.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_inputs(folder):
    """Simulate the frame, combine its calibrations and calibrate it once, by the workflow.

    Parameters
    ----------
    folder : Path
        With the survey.
    """
    options = ("--configfile", "survey.yaml", "--cores", "2")
    run_snakemake(folder, "results/calexp/1/0.fits", *options)


def run_job(folder):
    """Calibrate the frame in this process, as the workflow's job does.

    Parameters
    ----------
    folder : Path
        The survey; the products come into its subfolder ``out``.
    """
    import importlib.util

    from skyloom.workflow.config import fill_defaults, load_schema
    from skyloom.workflow.job import make_job
    from skyloom.workflow.process_memory import keep_freed_memory, spare_the_collector

    os.chdir(folder)
    spec = importlib.util.spec_from_file_location("calibrate_image", HOME / "scripts" / "calibrate_image.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    keep_freed_memory()
    spare_the_collector()
    inputs = {kind: f"results/calib/e1/{kind}/{band}/0.fits" for kind, band in CALIBS.items()}
    inputs |= {"raw": "results/raw/1/0.fits", "reference": "results/refcat/reference.parquet"}
    settings = fill_defaults(load_schema(HOME / "config" / "schema"), SURVEY)
    job = make_job(
        "calibrate_image",
        input=inputs | {"mask": "", "variance": "", "psf": ""},
        output={"calexp": "out/calexp.fits", "src": "out/src.parquet"},
        params={
            "visit": VISIT | {"zero_point": None},
            "settings": settings,
            "camera": "camera.yaml",
            "seed": 7,
        },
        wildcards={"visit": "1", "detector": "0"},
    )
    script.main(job)


def write_peers_frame(folder):
    """Write what the peers start from: image with its sky, variance, header of the pointing, reference catalogue.

    Parameters
    ----------
    folder : Path
        The survey; the files come into its subfolder ``peers``.
    """
    from astropy.io import fits
    from ldac import reference_columns, write_ldac

    from skyloom.calibrate.pipeline import reference_region
    from skyloom.core.geometry import predicted_wcs
    from skyloom.core.mask_planes import bits
    from skyloom.io.cameras import read_camera
    from skyloom.io.exposures import header_from_wcs, read_exposure
    from skyloom.io.reference import read_reference_catalog
    from skyloom.workflow.config import fill_defaults, load_schema

    calexp = read_exposure(folder / "results" / "calexp" / "1" / "0.fits")
    settings = fill_defaults(load_schema(HOME / "config" / "schema"), SURVEY)
    wcs = predicted_wcs(read_camera(folder / "camera.yaml"), 0, VISIT["ra"], VISIT["dec"], VISIT["rotation"])
    gain = 1 / float(calexp.photo_calib.evaluate(SIDE / 2, SIDE / 2))
    header = fits.Header([("EXPTIME", 30.0), ("FILTER", "r"), ("MJD-OBS", VISIT["mjd"]), ("GAIN", gain)])
    header["SATURATE"] = 52000 * 1.6 / gain
    header.update(header_from_wcs(wcs))
    unusable = (calexp.pixels.mask & bits("BAD", "CR", "NO_DATA")) != 0
    variance = np.where(unusable, np.float32(1e30), calexp.pixels.variance)
    peers = folder / "peers"
    fits.writeto(
        peers / "image.fits", calexp.pixels.image + calexp.background.image(), header, overwrite=True
    )
    fits.writeto(peers / "variance.fits", variance, header, overwrite=True)
    region = reference_region(wcs, calexp.info, settings["calibrate"]["astrometry"])
    stars = read_reference_catalog(
        folder / "results" / "refcat" / "reference.parquet", settings["reference"], "r", region, VISIT["mjd"]
    )
    stars = stars.select(np.isfinite(stars.flux) & (stars.flux > 0))
    write_ldac(peers / "reference.cat", fits.Header(), reference_columns(stars, 0.005, 2026.8))


def peer_commands(folder):
    """Commands of the peers, in their order, and the parameter files that they need.

    Parameters
    ----------
    folder : Path
        The survey.

    Returns
    -------
    list of list of str
    """
    peers = folder / "peers"
    for name, parameters in (("stars.param", PSF_STARS), ("sources.param", SOURCES)):
        (peers / name).write_text("\n".join(parameters) + "\n", encoding="utf-8")
    first = {"DETECT_THRESH": "2", "PHOT_APERTURES": "20"}
    first |= {"PARAMETERS_NAME": "stars.param", "CATALOG_NAME": "stars.cat"}
    second = {"PHOT_APERTURES": APERTURES, "PSF_NAME": "stars.psf"}
    second |= {"PARAMETERS_NAME": "sources.param", "CATALOG_NAME": "sources.cat"}
    return [
        command_of("SExtractor", "image.fits", DETECTION | first, peers),
        command_of("PSFEx", "stars.cat", PSFEX | {"PSF_SIZE": "25,25"}, peers),
        command_of("SExtractor", "image.fits", DETECTION | second, peers),
        command_of("SCAMP", "sources.cat", SCAMP | {"POSANGLE_MAXERR": "5.0"}, peers),
    ]


def main():
    """Measure and print; return 1 when a bar is missed, 2 without the peers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder", type=Path, help="keep the frame here, and take it from here when it is there"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        for name in ("", "out", "peers"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        write_survey(folder)
        make_inputs(folder)
        return compare(folder)


def compare(folder):
    """Run ours and the peers by turns; print medians, ratio and bars, and return the exit code."""
    ours = [sys.executable, str(Path(__file__).resolve()), "--job", str(folder)]
    commands = []
    if not missing(*PEERS):
        write_peers_frame(folder)
        commands = peer_commands(folder)
    measured(ours, folder)
    rows = [[measured(ours, folder), *(measured(c, folder / "peers") for c in commands)] for _ in range(RUNS)]
    seconds, memory = np.median(rows, axis=0).T
    for name, cpu, peak in zip(
        ["skyloom", *(command[0] for command in commands)], seconds, memory, strict=True
    ):
        sys.stdout.write(f"{name:20s} {cpu:7.2f} CPU s {peak:7.0f} MB\n")
    passed = bool(memory[0] <= MEMORY_BAR_MB)
    sys.stdout.write(f"memory <= {MEMORY_BAR_MB:g} MB: {verdict(passed)}\n")
    if not commands:
        return NOT_MEASURED
    theirs = seconds[1:].sum()
    is_fast = bool(seconds[0] <= RATIO_BAR * theirs)
    sys.stdout.write(
        f"ours {seconds[0]:.1f}, theirs together {theirs:.1f} CPU s: {seconds[0] / theirs:.2f} <= {RATIO_BAR}: "
        f"{verdict(is_fast)}; {count_sources(folder)}\n"
    )
    return 0 if passed and is_fast else 1


def count_sources(folder):
    """Tell how many sources ours and SExtractor's catalogue hold (str)."""
    from astropy.io import fits

    from skyloom.core.tables import without_sky_objects
    from skyloom.io.tables import read_table

    ours = without_sky_objects(read_table(folder / "out" / "src.parquet")).num_rows
    theirs = fits.getheader(folder / "peers" / "sources.cat", "LDAC_OBJECTS")["NAXIS2"]
    return f"{ours} and {theirs} sources"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        run_job(Path(sys.argv[2]))
    else:
        sys.exit(main())
