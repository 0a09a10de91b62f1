"""Raw frame to calexp and src beside SExtractor, PSFEx, SExtractor with the PSF and SCAMP: CPU seconds, file to file.

A detector of 4096 x 4096 pixels with 16 amplifiers and 20,000 objects is simulated and its calibrations are combined by
the workflow; then our job and the peers (Debian packages `source-extractor`, `psfex`, `scamp`) run by turns, each a
process of one thread. The peers start from the frame that our instrument signature removal left, and find no rays.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HOME / "scripts"))

import numpy as np  # noqa: E402 (needs the path)
import yaml  # noqa: E402

SIDE, N_AMPLIFIER_SIDE = 4096, 4
RUNS = 3
RATIO_BAR, MEMORY_BAR_MB = 0.6, 1500.0
PEERS = ("source-extractor", "psfex", "scamp")
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
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
DETECTION = {
    "FILTER": "Y",
    "WEIGHT_TYPE": "MAP_VAR",
    "WEIGHT_IMAGE": "variance.fits",
    "VERBOSE_TYPE": "QUIET",
}
# What makes a catalogue for PSFEx, and one as deep as ours: 0.85 times the noise after the filter is 5 sigma of a star.
PSF_STARS = ("NUMBER", "X_IMAGE", "Y_IMAGE", "FLUX_RADIUS", "FLUX_APER(1)", "FLUXERR_APER(1)", "ELONGATION", "FLAGS",
             "SNR_WIN", "VIGNET(35,35)")  # fmt: skip
SOURCES = ("NUMBER", "XWIN_IMAGE", "YWIN_IMAGE", "ERRAWIN_IMAGE", "ERRBWIN_IMAGE", "ERRTHETAWIN_IMAGE", "FLUX_AUTO",
           "FLUXERR_AUTO", "FLUX_RADIUS", "ELONGATION", "FLAGS", "FLUX_PSF(1)", "FLUXERR_PSF(1)", "XPSF_IMAGE",
           "YPSF_IMAGE", "FLUX_APER(9)", "FLUXERR_APER(9)", "X2WIN_IMAGE", "Y2WIN_IMAGE", "XYWIN_IMAGE",
           "SPREAD_MODEL")  # fmt: skip
APERTURES = "6,12,18,24,34,50,70,100,140"
SCAMP = {
    "ASTREF_CATALOG": "FILE", "ASTREFCAT_NAME": "reference.cat", "ASTREFMAG_KEY": "MAG", "ASTREFMAGERR_KEY": "MAGERR",
    "ASTREFERR_KEYS": "ERRA_WORLD,ERRB_WORLD,ERRTHETA_WORLD", "ASTREFOBSDATE_KEY": "OBSDATE",
    "DISTORT_DEGREES": "3", "POSITION_MAXERR": "1.0", "POSANGLE_MAXERR": "5.0", "CROSSID_RADIUS": "2.0",
    "STABILITY_TYPE": "EXPOSURE", "CHECKPLOT_TYPE": "NONE", "WRITE_XML": "N", "VERBOSE_TYPE": "QUIET", "NTHREADS": "1",
}  # fmt: skip


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
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        str(HOME / "Snakefile"),
        "--configfile",
        "survey.yaml",
    ]
    command += ["--cores", "2", "results/calexp/1/0.fits"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])


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

    os.chdir(folder)
    spec = importlib.util.spec_from_file_location("calibrate_image", HOME / "scripts" / "calibrate_image.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
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
    """Commands of the peers at their recommended settings, and the parameter files that they need.

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
    share = Path("/usr/share/source-extractor")
    detection = DETECTION | {
        "FILTER_NAME": str(share / "gauss_3.0_5x5.conv"),
        "STARNNW_NAME": str(share / "default.nnw"),
        "CATALOG_TYPE": "FITS_LDAC",
        "GAIN_KEY": "GAIN",
        "SATUR_KEY": "SATURATE",
    }
    first = detection | {"DETECT_THRESH": "2", "PARAMETERS_NAME": "stars.param", "CATALOG_NAME": "stars.cat"}
    first |= {"PHOT_APERTURES": "20"}
    second = detection | {
        "DETECT_THRESH": "0.85",
        "PARAMETERS_NAME": "sources.param",
        "CATALOG_NAME": "sources.cat",
    }
    second |= {"PHOT_APERTURES": APERTURES, "PSF_NAME": "stars.psf"}
    psfex = {
        "PSF_SIZE": "25,25", "PSFVAR_DEGREES": "2", "SAMPLE_MINSN": "20", "SAMPLE_FWHMRANGE": "2.0,10.0",
        "CHECKPLOT_TYPE": "NONE", "CHECKIMAGE_TYPE": "NONE", "WRITE_XML": "N", "VERBOSE_TYPE": "QUIET", "NTHREADS": "1",
    }  # fmt: skip
    return [
        ["source-extractor", "image.fits", "-c", str(share / "default.sex"), *options_of(first)],
        ["psfex", "stars.cat", "-c", "/usr/share/psfex/default.psfex", *options_of(psfex)],
        ["source-extractor", "image.fits", "-c", str(share / "default.sex"), *options_of(second)],
        ["scamp", "sources.cat", *options_of(SCAMP)],
    ]


def options_of(settings):
    """Settings as options of a command (list of str)."""
    return [part for key, value in settings.items() for part in (f"-{key}", value)]


def measured(command, folder):
    """CPU seconds and peak memory [MB] of a command; what it says when it fails ends the benchmark."""
    timed = [sys.executable, str(Path(__file__).resolve()), "--measure", *command]
    done = subprocess.run(
        timed, cwd=folder, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:2])}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return tuple(float(value) for value in done.stdout.split()[-2:])


def measure(command):
    """Run a command and print CPU seconds and peak memory of it alone."""
    import resource

    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    sys.stdout.write(f"{used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss / 1024:.1f}\n")
    return done.returncode


def main():
    """Measure and print; return 1 when a bar is missed."""
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
    """Run ours and the peers by turns; print medians, ratio and bars."""
    ours = [sys.executable, str(Path(__file__).resolve()), "--job", str(folder)]
    missing = [peer for peer in PEERS if shutil.which(peer) is None]
    if missing:
        sys.stdout.write(
            f"not installed: {', '.join(missing)} (apt install {' '.join(missing)}): ours alone\n"
        )
        commands = []
    else:
        write_peers_frame(folder)
        commands = peer_commands(folder)
    measured(ours, folder)
    rows = [[measured(ours, folder), *(measured(c, folder / "peers") for c in commands)] for _ in range(RUNS)]
    seconds, memory = np.median(rows, axis=0).T
    for name, cpu, peak in zip(
        ["skyloom", *(command[0] for command in commands)], seconds, memory, strict=True
    ):
        sys.stdout.write(f"{name:20s} {cpu:7.2f} CPU s {peak:7.0f} MB\n")
    passed = memory[0] <= MEMORY_BAR_MB
    sys.stdout.write(f"memory <= {MEMORY_BAR_MB:g} MB: {'pass' if passed else 'FAIL'}\n")
    if commands:
        ratio = seconds[0] / seconds[1:].sum()
        sys.stdout.write(
            f"ours over theirs {ratio:.2f} <= {RATIO_BAR}: {'pass' if ratio <= RATIO_BAR else 'FAIL'}\n"
        )
        passed &= ratio <= RATIO_BAR
    return 0 if passed else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--job"]:
        run_job(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["--measure"]:
        sys.exit(measure(sys.argv[2:]))
    else:
        sys.exit(main())
