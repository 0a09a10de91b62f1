"""Products as Astropy and DS9 see them: WCS, mask, PSF and zero point from the file alone (issue 2, bar 9)."""

import os
import shutil
import subprocess
import time
import uuid

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from numpy.polynomial import chebyshev

from skyloom.core import mask_planes
from skyloom.io.exposures import read_exposure

DS9_START_S = 60


def exposure_products(survey):
    """Paths of all exposure products of a survey by kind, tombstones left out (dict of str to list of Path)."""
    root = survey.folder / survey.settings["output_root"]
    kinds = {"calexp": "calexp/*/*", "warp": "warp/*/*/*/*", "coadd": "coadd/*/*/*/*", "diff": "diff/*/*"}
    return {
        kind: [path for path in sorted(root.glob(f"{pattern}.fits")) if fits.getval(path, "STATUS") == "OK"]
        for kind, pattern in kinds.items()
    }


def grid_of(shape):
    """Pixels spread over an image, edges included."""
    x, y = np.meshgrid(np.linspace(0, shape[1] - 1, 7), np.linspace(0, shape[0] - 1, 7))
    return x.ravel(), y.ravel()


def psf_from_file(hdu, x, y):
    """PSF image at a point from the extension's header and data alone."""
    header, data = hdu.header, hdu.data.astype(float)
    if header["PSFTYPE"] == "CELL":
        row = int((y + 0.5 - header["CELLY0"]) // header["CELLSIZE"])
        column = int((x + 0.5 - header["CELLX0"]) // header["CELLSIZE"])
        return data[min(row, data.shape[0] - 1), min(column, data.shape[1] - 1)]
    u = (2 * x - header["DOMX0"] - header["DOMX1"]) / (header["DOMX1"] - header["DOMX0"])
    v = (2 * y - header["DOMY0"] - header["DOMY1"]) / (header["DOMY1"] - header["DOMY0"])
    terms = [u ** (n - k) * v**k for n in range(header["PSFORDER"] + 1) for k in range(n + 1)]
    return np.tensordot(terms, data, axes=1)


def check_wcs(exposure, header):
    """Astropy's celestial WCS of a header is Skyloom's."""
    wcs = WCS(header)
    x, y = grid_of(exposure.pixels.shape)
    ours = SkyCoord(*exposure.wcs.pixel_to_sky(x, y), unit="deg")
    theirs = SkyCoord(*wcs.all_pix2world(x, y, 0), unit="deg")
    assert wcs.has_celestial
    assert wcs.wcs.radesys == "ICRS"
    assert ours.separation(theirs).arcsec.max() < 1e-5


def check_mask(exposure, header, data):
    """The planes that the mask's header names are those of the pixels."""
    bits = {key.removeprefix("MP_"): header[key] for key in header if key.startswith("MP_")}
    assert set(bits) == set(mask_planes.PLANES)
    for name in ("BAD", "SAT", "NO_DATA", "DETECTED"):
        ours = exposure.pixels.is_masked(mask_planes.bits(name))
        assert np.array_equal(((data.astype(np.int64) >> bits[name]) & 1).astype(bool), ours)


def check_psf(exposure, hdu):
    """The PSF at a pixel that has one is the file's, divided by its sum."""
    x, y = grid_of(exposure.pixels.shape)
    ours = exposure.psf.kernels_at(x, y)
    known = np.flatnonzero(np.isfinite(ours).all(axis=(1, 2)))
    assert known.size
    for i in known[[0, known.size // 2]]:
        image = psf_from_file(hdu, x[i], y[i])
        assert image.sum() == pytest.approx(1, abs=0.1)
        np.testing.assert_allclose(image / image.sum(), ours[i], atol=1e-5)


def check_zero_point(exposure, hdus):
    """Pixels are in nJy, and the factor that made them so is in the file of a single exposure."""
    assert hdus["IMAGE"].header["BUNIT"] == "nJy"
    if exposure.photo_calib is None:
        return
    header = hdus["ZEROPOINT"].header
    x, y = grid_of(exposure.pixels.shape)
    u = (2 * x - header["DOMX0"] - header["DOMX1"]) / (header["DOMX1"] - header["DOMX0"])
    v = (2 * y - header["DOMY0"] - header["DOMY1"]) / (header["DOMY1"] - header["DOMY0"])
    value = chebyshev.chebval2d(v, u, hdus["ZEROPOINT"].data)
    np.testing.assert_allclose(value, exposure.photo_calib.evaluate(x, y), rtol=1e-12)


@pytest.mark.slow
def test_every_exposure_product_tells_astropy_all_about_itself(part_survey):
    products = exposure_products(part_survey)
    assert {kind: bool(paths) for kind, paths in products.items()} == dict.fromkeys(products, True)
    for path in (path for paths in products.values() for path in paths):
        exposure = read_exposure(path)
        with fits.open(path) as hdus:
            for name in ("IMAGE", "MASK", "VARIANCE"):
                check_wcs(exposure, hdus[name].header)
            check_mask(exposure, hdus["MASK"].header, hdus["MASK"].data)
            check_psf(exposure, hdus["PSF"])
            check_zero_point(exposure, hdus)
            np.testing.assert_array_equal(hdus["IMAGE"].data, exposure.pixels.image)


@pytest.mark.slow
def test_astropy_finds_the_true_stars_on_calexps_and_differences(part_survey):
    for visit, detector in part_survey.science:
        truth = part_survey.truth(visit, detector)
        stars = truth["kind"] == "star"
        for kind in ("calexp", "diff"):
            header = fits.getheader(part_survey.product(kind, visit=visit, detector=detector), "IMAGE")
            x, y = WCS(header).all_world2pix(truth["ra"][stars], truth["dec"][stars], 0)
            assert np.median(np.hypot(x - truth["x"][stars], y - truth["y"][stars])) < 0.1


@pytest.mark.slow
def test_astropy_finds_the_true_stars_on_warps_and_coadds(part_survey):
    visit, detector = part_survey.science[0]
    truth = part_survey.truth(visit, detector)
    bright = (truth["kind"] == "star") & (truth["flux"] > 2e4) & (truth["flux"] < 2e5)
    n_star = 0
    products = exposure_products(part_survey)
    warps = [path for path in products["warp"] if path.stem == str(visit)]
    for path in warps + [path for path in products["coadd"] if "deep" in path.parts]:
        with fits.open(path) as hdus:
            image, mask = hdus["IMAGE"].data, hdus["MASK"].data
            x, y = WCS(hdus["IMAGE"].header).all_world2pix(truth["ra"][bright], truth["dec"][bright], 0)
        offsets = centroid_offsets(np.where(mask & int(mask_planes.NO_DATA), np.nan, image), x, y)
        if len(offsets):
            n_star += len(offsets)
            assert np.hypot(*np.median(offsets, axis=0)) < 0.15
    assert n_star > 20


def centroid_offsets(image, x, y):
    """Offsets (n, 2) of the light's centre in 9x9 pixels around predicted positions, those off the data left out."""
    r = np.arange(-4, 5)
    offsets = []
    for px, py in zip(x, y, strict=True):
        column, row = round(float(px)), round(float(py))
        if not (5 < column < image.shape[1] - 6 and 5 < row < image.shape[0] - 6):
            continue
        window = image[row + r[:, None], column + r]
        if not np.isfinite(window).all():
            continue
        light = window - np.median(window[[0, -1]])
        centre = np.array([np.sum(light * r), np.sum(light * r[:, None])]) / light.sum()
        offsets.append(centre + (column - px, row - py))
    return np.array(offsets)


class Ds9:
    """DS9 on a virtual screen, asked through XPA.

    Parameters
    ----------
    folder : Path
        For its socket.
    """

    def __init__(self, folder):
        self._title = f"skyloom{uuid.uuid4().hex[:8]}"
        self._environment = os.environ | {
            "XPA_METHOD": "local",
            "XPA_TMPDIR": str(folder),
            "HOME": str(folder),
        }
        self._process = subprocess.Popen(
            ["xvfb-run", "-a", "ds9", "-title", self._title],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + DS9_START_S
        while self._call("xpaget", self._title, "version").returncode:
            assert time.monotonic() < end, "DS9 did not start"
            time.sleep(0.5)

    def _call(self, *words):
        return subprocess.run(words, env=self._environment, capture_output=True, text=True, check=False)

    def set(self, *words):
        """Tell it to do something."""
        done = self._call("xpaset", "-p", self._title, *words)
        assert done.returncode == 0, done.stdout + done.stderr

    def get(self, *words):
        """Ask it (str)."""
        done = self._call("xpaget", self._title, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def close(self):
        """End it and its screen."""
        self.set("exit")
        self._process.wait(timeout=DS9_START_S)


@pytest.fixture
def ds9(tmp_path):
    """DS9, or a skip where it is not installed."""
    missing = [name for name in ("ds9", "xvfb-run", "xpaget", "xpaset") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian: saods9, xvfb, xauth, xpa-tools)")
    program = Ds9(tmp_path)
    yield program
    program.close()


@pytest.mark.bars
def test_ds9_shows_every_kind_of_exposure_product_at_the_right_place(part_survey, ds9):
    for paths in exposure_products(part_survey).values():
        exposure = read_exposure(paths[0])
        ny, nx = exposure.pixels.shape
        for name in ("IMAGE", "MASK", "VARIANCE"):
            ds9.set("file", f"{paths[0]}[{name}]")
            assert ds9.get("fits", "size").split() == [str(nx), str(ny)]
            for x, y in ((0.0, 0.0), (nx - 1.0, 0.3 * ny), (0.5 * nx, ny - 1.0)):
                ds9.set("crosshair", str(x + 1), str(y + 1), "image")
                ra, dec = map(float, ds9.get("crosshair", "wcs", "icrs", "degrees").split()[:2])
                ours = SkyCoord(*exposure.wcs.pixel_to_sky(x, y), unit="deg")
                assert ours.separation(SkyCoord(ra, dec, unit="deg")).arcsec < 0.02
