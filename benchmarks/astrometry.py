"""Our match and WCS fit beside SCAMP's on the same detections: CPU seconds and error against truth.

SCAMP (Debian package `scamp`) runs at the settings that are recommended for one exposure: a local reference catalogue,
distortion of degree 3, one thread. Without it the benchmark says so and measures ours alone.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HOME / "scripts"), str(HOME / "tests" / "accuracy")]

import numpy as np  # noqa: E402 (needs the path)
from astropy.io import fits  # noqa: E402
from astropy.wcs import WCS  # noqa: E402
from blind_fields import CENTRE, REFERENCE_ERROR, SIDE, Kind, astrometry_settings, make_field  # noqa: E402
from ldac import reference_columns, write_ldac  # noqa: E402

from skyloom.calibrate.astrometry import fit_astrometry  # noqa: E402
from skyloom.core.wcs import Wcs, tan_deproject, tan_project  # noqa: E402
from skyloom.io.exposures import header_from_wcs  # noqa: E402

KINDS = {"400 stars": Kind(400, false=0.1), "3,000 stars": Kind(3000, false=0.1)}
RUNS = 3
OFFSET_ARCSEC = 20.0
SETTINGS = {
    "ASTREF_CATALOG": "FILE",
    "ASTREFCAT_NAME": "reference.cat",
    "ASTREFERR_KEYS": "ERRA_WORLD,ERRB_WORLD,ERRTHETA_WORLD",
    "ASTREFMAG_KEY": "MAG",
    "ASTREFMAGERR_KEY": "MAGERR",
    "ASTREFOBSDATE_KEY": "OBSDATE",
    "DISTORT_DEGREES": "3",
    "POSITION_MAXERR": "1.0",
    "POSANGLE_MAXERR": "2.0",
    "PROJECTION_TYPE": "TPV",
    "STABILITY_TYPE": "EXPOSURE",
    "SOLVE_PHOTOM": "N",
    "CHECKPLOT_TYPE": "NONE",
    "WRITE_XML": "N",
    "VERBOSE_TYPE": "QUIET",
    "NTHREADS": "1",
}


def known_field(seed, kind):
    """A field whose pointing is off by some arcsec: camera and rotation are known but for the distortion."""
    field = make_field(seed, kind)
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    shift = OFFSET_ARCSEC / 3600 * np.array([np.cos(angle), np.sin(angle)])
    crval = np.array([float(c) for c in tan_deproject(*shift, *field.truth.crval)])
    return replace(field, predicted=Wcs(crval, CENTRE, field.truth.cd, shape=(SIDE, SIDE)))


def ours(field, _):
    """WCS, stars and CPU seconds of our fit."""
    settings = astrometry_settings(parity="camera")
    start = time.process_time()
    result = fit_astrometry(field.sources, field.references, field.predicted, 60.0, settings)
    return result.wcs, result.fit.n_matched, time.process_time() - start


def scamp(field, folder):
    """WCS, stars and CPU seconds of SCAMP; the stars are those that its cross-identification may use."""
    write_ldac(folder / "sources.cat", header_of(field.predicted), source_columns(field.sources))
    columns = reference_columns(field.references, REFERENCE_ERROR, 2016.0)
    write_ldac(folder / "reference.cat", fits.Header(), columns)
    defaults = subprocess.run(["scamp", "-d"], check=True, capture_output=True).stdout
    (folder / "scamp.conf").write_bytes(defaults)
    command = ["scamp", "sources.cat", "-c", "scamp.conf"]
    for key, value in SETTINGS.items():
        command += [f"-{key}", value]
    before = os.times()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    text = (folder / "sources.head").read_text(encoding="utf-8", errors="replace")
    cards = [line for line in text.splitlines() if not line.startswith(("COMMENT", "HISTORY", "END"))]
    return head_wcs(fits.Header.fromstring("\n".join(cards), sep="\n")), None, seconds


def head_wcs(header):
    """WCS of SCAMP's header, by our reader when it has the terms of a full polynomial, else by astropy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return WCS(header)


def header_of(wcs):
    """FITS header of an image of a WCS."""
    header = fits.Header(
        [("SIMPLE", True), ("BITPIX", -32), ("NAXIS", 2), ("NAXIS1", SIDE), ("NAXIS2", SIDE)]
    )
    header["FILTER"], header["EXPTIME"], header["MJD-OBS"], header["EQUINOX"] = "r", 30.0, 57388.0, 2000.0
    for key, (value, comment) in header_from_wcs(wcs).items():
        header[key] = (value, comment)
    return header


def source_columns(sources):
    """Columns of SExtractor's catalogue that SCAMP reads."""
    n = len(sources.x)
    signal_to_noise = 1.7 / sources.x_err
    return {
        "XWIN_IMAGE": (sources.x + 1, "D", "pixel"),
        "YWIN_IMAGE": (sources.y + 1, "D", "pixel"),
        "ERRAWIN_IMAGE": (sources.x_err, "E", "pixel"),
        "ERRBWIN_IMAGE": (sources.y_err, "E", "pixel"),
        "ERRTHETAWIN_IMAGE": (np.zeros(n), "E", "deg"),
        "FLUX_AUTO": (1e3 * sources.flux, "E", "count"),
        "FLUXERR_AUTO": (1e3 * sources.flux / signal_to_noise, "E", "count"),
        "FLUX_RADIUS": (np.full(n, 2.0), "E", "pixel"),
        "ELONGATION": (np.full(n, 1.05), "E", ""),
        "FLAGS": (np.zeros(n), "I", ""),
    }


def error(field, wcs):
    """Error of each axis over the detector, rms [mas]."""
    places = (np.arange(20) + 0.5) * SIDE / 20 - 0.5
    x, y = (c.ravel() for c in np.meshgrid(places, places))
    sky = wcs.pixel_to_sky(x, y) if isinstance(wcs, Wcs) else wcs.all_pix2world(x, y, 0)
    there = np.array(tan_project(*sky, *field.truth.crval))
    true = np.array(tan_project(*field.truth.pixel_to_sky(x, y), *field.truth.crval))
    return 3.6e6 * np.sqrt(np.mean((there - true) ** 2, axis=1))


def main():
    """Run both by turns and print medians."""
    solvers = {"skyloom": ours, "SCAMP": scamp}
    if shutil.which("scamp") is None:
        del solvers["SCAMP"]
        sys.stdout.write("SCAMP is not installed (apt install scamp): ours alone\n")
    ours(known_field(0, KINDS["400 stars"]), None)
    for name, kind in KINDS.items():
        results = {solver: [] for solver in solvers}
        for seed in range(RUNS):
            field = known_field(seed, kind)
            for solver, solve in solvers.items():
                with tempfile.TemporaryDirectory() as folder:
                    wcs, _, seconds = solve(field, Path(folder))
                results[solver].append([seconds, *error(field, wcs)])
        for solver, rows in results.items():
            seconds, east, north = np.median(rows, axis=0)
            line = f"{name:12s} {solver:8s} {seconds:7.3f} CPU s   WCS error {east:6.2f} East {north:6.2f} North mas"
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
