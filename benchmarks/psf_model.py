"""Our PSF beside those of PSFEx and Piff from the same stars of the same pixels: CPU seconds, error against truth.

PSFEx (Debian packages `psfex`, `source-extractor`) at degree 2 and its recommended cuts, files in and out; Piff (PyPI)
with PixelGrid and BasisPolynomial, its call alone. One that is not there is left out, and the benchmark says so. Three
detectors, each by all in turn after a warm call; the median of the times.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HOME = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(HOME / "scripts"), str(HOME / "tests" / "accuracy")]

from drawn_detectors import SCALE  # noqa: E402 (needs the path)
from pipeline_settings import settings_of  # noqa: E402 (needs the path)
from psf_fields import Field, draw_field  # noqa: E402 (needs the path)
from test_psf_model_accuracy import errors  # noqa: E402 (needs the path)

from skyloom.calibrate.detection_passes import first_pass, second_pass  # noqa: E402 (needs the path)
from skyloom.calibrate.psf_stars import fit_psf_to_stars, refine_psf_of_stars  # noqa: E402 (needs the path)
from skyloom.io.psf_models import read_psfex  # noqa: E402 (needs the path)

CASES = (("optics", 0.8), ("kolmogorov", 0.7), ("moffat", 0.9))
LEAST_RATIO = {"PSFEx": 6.0, "Piff": 60.0}
STAMP = 45
PIFF = {
    "type": "Simple",
    "model": {"type": "PixelGrid", "scale": SCALE, "size": 25},
    "interp": {"type": "BasisPolynomial", "order": 2},
    "outliers": {"type": "Chisq", "nsigma": 4, "max_remove": 0.05},
}
PSFEX = {
    "PSF_SIZE": f"{STAMP},{STAMP}", "PSFVAR_DEGREES": "2", "SAMPLE_MINSN": "20", "SAMPLE_MAXELLIP": "0.3",
    "SAMPLE_FWHMRANGE": "2.0,10.0", "CHECKPLOT_TYPE": "NONE", "CHECKIMAGE_TYPE": "NONE", "WRITE_XML": "N",
    "VERBOSE_TYPE": "QUIET", "NTHREADS": "1",
}  # fmt: skip
EXTRACTION = {
    "DETECT_THRESH": "2", "BACK_TYPE": "MANUAL", "BACK_VALUE": "0", "CATALOG_TYPE": "FITS_LDAC", "GAIN": "1",
    "CATALOG_NAME": "all.cat", "PARAMETERS_NAME": "stars.param", "PHOT_APERTURES": "20", "VERBOSE_TYPE": "QUIET",
    "FILTER_NAME": "/usr/share/source-extractor/gauss_3.0_5x5.conv", "WEIGHT_TYPE": "MAP_VAR",
    "WEIGHT_IMAGE": "variance.fits", "STARNNW_NAME": "/usr/share/source-extractor/default.nnw",
}  # fmt: skip
COLUMNS = ("X_IMAGE", "Y_IMAGE", "FLUX_RADIUS", "FLUX_APER(1)", "FLUXERR_APER(1)", "ELONGATION", "FLAGS", "SNR_WIN",
           f"VIGNET({STAMP},{STAMP})")  # fmt: skip


class Detector:
    """Pixels before the fit of a PSF, and the stars that ours takes: what all are given.

    Parameters
    ----------
    case : tuple
        Profile and seeing [arcsec].
    seed : int
        Of the field.
    calibrate : dict
        Section ``calibrate``.
    """

    def __init__(self, case, seed, calibrate):
        self.settings = calibrate["psf"]
        self.observed = draw_field(Field(profile=case[0], seeing=case[1]), seed)
        self.first = first_pass(self.observed.pixels, calibrate)
        stars = self._first_fit()
        self.second, self.points = second_pass(
            self.observed.pixels, self.first.background, stars.fit.psf, calibrate
        )
        final = refine_psf_of_stars(
            stars, self.second.pixels, self.second.detections, self.points, self.settings
        )
        chosen = ~final.reserved
        self.x, self.y = final.fit.x[chosen], final.fit.y[chosen]
        self.places = np.random.default_rng(seed).uniform(
            20, self.observed.pixels.image.shape[0] - 20, (2, 500)
        )

    def _first_fit(self):
        rng = np.random.default_rng(1)
        return fit_psf_to_stars(self.first.pixels, self.first.detections, self.settings, rng)

    def ours(self):
        """PSF and CPU seconds of both of our fits, the choice of stars included."""
        start = time.process_time()
        stars = refine_psf_of_stars(
            self._first_fit(), self.second.pixels, self.second.detections, self.points, self.settings
        )
        return stars.fit.psf, time.process_time() - start

    def psfex(self):
        """PSF and CPU seconds of PSFEx; the catalogue with its vignettes is there before."""
        from astropy.io import fits
        from scipy.spatial import cKDTree

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "stars.param").write_text("\n".join(COLUMNS) + "\n", encoding="utf-8")
            unusable = self.second.pixels.mask != 0
            fits.writeto(folder / "image.fits", self.second.pixels.image)
            fits.writeto(
                folder / "variance.fits", np.where(unusable, np.float32(1e30), self.second.pixels.variance)
            )
            run("source-extractor", "image.fits", EXTRACTION, folder)
            with fits.open(folder / "all.cat") as catalogue:
                table = catalogue["LDAC_OBJECTS"].data
                found = np.column_stack([table["X_IMAGE"] - 1, table["Y_IMAGE"] - 1])
                distance, index = cKDTree(found).query(np.column_stack([self.x, self.y]))
                catalogue["LDAC_OBJECTS"].data = table[np.unique(index[distance < 1])]
                catalogue.writeto(folder / "stars.cat")
            seconds = run("psfex", "stars.cat", PSFEX, folder)
            return read_psfex(folder / "stars.psf"), seconds

    def piff(self):
        """PSF and CPU seconds of Piff's fit; its stars are made before."""
        import galsim
        import piff

        pixels = self.second.pixels
        wcs = galsim.PixelScale(SCALE)
        image = galsim.Image(pixels.image, xmin=0, ymin=0, wcs=wcs)
        weight = galsim.Image(np.where(pixels.mask == 0, 1 / pixels.variance, 0), xmin=0, ymin=0, wcs=wcs)
        stars = []
        for x, y in zip(self.x, self.y, strict=True):
            column, row = int(np.rint(x)), int(np.rint(y))
            box = galsim.BoundsI(column - 15, column + 15, row - 15, row + 15)
            if image.bounds.includes(box):
                place = galsim.PositionD(x, y)
                stars.append(piff.Star(piff.StarData(image[box], place, weight=weight[box]), None))
        psf = piff.PSF.process(PIFF)
        start = time.process_time()
        psf.fit(stars, {0: wcs}, None)
        return PiffPsf(psf), time.process_time() - start


class PiffPsf:
    """A PSF of Piff with the method that the comparison asks for.

    Parameters
    ----------
    psf : piff.PSF
        The fitted one.
    """

    def __init__(self, psf):
        self.psf = psf

    def kernels_at(self, x, y):
        """PSF images at positions, shape (n, 25, 25), the star in the middle of the middle pixel."""
        stamps = [self.psf.draw(x=round(a), y=round(b), stamp_size=25) for a, b in zip(x, y, strict=True)]
        return np.stack([stamp.array for stamp in stamps])


def run(command, argument, options, folder):
    """Run a command in a folder; return its CPU seconds."""
    flags = [part for key, value in options.items() for part in (f"-{key}", value)]
    (folder / f"{command}.conf").write_bytes(
        subprocess.run([command, "-d"], check=True, capture_output=True).stdout
    )
    before = os.times()
    subprocess.run(
        [command, argument, "-c", f"{command}.conf", *flags], cwd=folder, check=True, capture_output=True
    )
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main():
    """Run all by turns and print medians; return 1 when ours is not fast or not accurate enough."""
    fits = {"skyloom": Detector.ours, "PSFEx": Detector.psfex, "Piff": Detector.piff}
    if shutil.which("psfex") is None or shutil.which("source-extractor") is None:
        del fits["PSFEx"]
        print("PSFEx is not installed (apt install psfex source-extractor): left out")
    if importlib.util.find_spec("piff") is None:
        del fits["Piff"]
        print("Piff is not installed (pip install piff): left out")
    calibrate = settings_of("calibrate")
    rows = {name: [] for name in fits}
    for seed, case in enumerate(CASES, start=700):
        detector = Detector(case, seed, calibrate)
        for name, fit in fits.items():
            psf, seconds = fit(detector)
            difference, _ = errors(psf, detector.observed, detector.places)
            rms = np.sqrt(np.mean(difference**2, axis=0))
            rows[name].append([seconds, 100 * difference[:, 0].mean(), 100 * rms[0], *(1e3 * rms[1:])])
            print(
                f"  {case[0]} {case[1]} arcsec, {len(detector.x)} stars, {name}: " + describe(rows[name][-1])
            )
    medians = {name: np.median(np.abs(values), axis=0) for name, values in rows.items()}
    passed = True
    for name, median in medians.items():
        print(f"{name:8s} {describe(median)}")
        if name in LEAST_RATIO:
            ratio = median[0] / medians["skyloom"][0]
            better = bool(np.all(medians["skyloom"][1:] < median[1:]))
            is_fast = ratio >= LEAST_RATIO[name]
            print(
                f"  ours faster by {ratio:.1f}   >= {LEAST_RATIO[name]:g}   {'pass' if is_fast else 'FAIL'}"
            )
            print(f"  ours better in all   {'pass' if better else 'FAIL'}")
            passed &= is_fast and better
    return 0 if passed else 1


def describe(row):
    """One line of a fit's figures."""
    return "{:7.3f} CPU s   dT/T mean {:6.3f} % rms {:6.3f} %   de rms {:5.2f} {:5.2f} e-3".format(*row)


if __name__ == "__main__":
    sys.exit(main())
