"""One detector as it looks after instrument signature removal, with its reference stars."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from skyloom.core import mask_planes
from skyloom.core.images import Exposure, ExposureInfo
from skyloom.core.reference import ReferenceStars
from skyloom.core.wcs import Wcs
from skyloom.workflow.config import fill_defaults, load_schema

SIZE = 512
ZERO_POINT = 7.3
REFERENCE_ERROR_ARCSEC = 0.003
POINTING_ERROR_DEGREE = 20 / 3600
FULL_WELL = 60_000.0


@pytest.fixture(scope="session")
def settings():
    """Section ``calibrate`` with all defaults."""
    schema = load_schema(Path(__file__).parents[3] / "config" / "schema")
    return fill_defaults(schema, {})["calibrate"]


def make_scene(stars, seed, n=90, faintest=600.0, brightest=3e5):
    """Exposure, references, predicted WCS and truth of one small detector."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, SIZE - 1, (2, n))
    flux = np.exp(rng.uniform(np.log(faintest), np.log(brightest), n))
    fwhm = 3.5 * (1 + 0.1 * (x / SIZE - 0.5))
    light = stars.light((SIZE, SIZE), x, y, flux, fwhm, half=30)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    sky = 300 * (1 + 0.05 * (columns / SIZE - 0.5) - 0.03 * (rows / SIZE - 0.5))
    pixels = stars.observed(light + sky, rng, sky=0.0)
    is_saturated = pixels.image > FULL_WELL
    pixels.image[is_saturated] = FULL_WELL
    pixels.mask[is_saturated] = mask_planes.SAT
    pixels.image[100, 200:206] += 2000
    wcs = Wcs(
        np.array([150.0, 2.2]),
        np.array([(SIZE - 1) / 2, (SIZE - 1) / 2]),
        np.array([[-0.2, 0.0], [0.0, 0.2]]) / 3600,
        shape=(SIZE, SIZE),
    )
    predicted = Wcs(wcs.crval + POINTING_ERROR_DEGREE, wcs.crpix, wcs.cd, shape=wcs.shape)
    ra, dec = wcs.pixel_to_sky(x, y)
    known = flux > 3000
    m = int(known.sum())
    noise = rng.normal(0, REFERENCE_ERROR_ARCSEC / 3600, (2, m))
    errors = np.full(m, REFERENCE_ERROR_ARCSEC)
    references = ReferenceStars(
        np.arange(m),
        ra[known] + noise[0],
        dec[known] + noise[1],
        errors,
        errors,
        ZERO_POINT * flux[known] * (1 + rng.normal(0, 0.005, m)),
        ZERO_POINT * flux[known] * 0.005,
    )
    info = ExposureInfo(visit=12, detector=3, band="r", pointing_uncertainty=30.0)
    return SimpleNamespace(
        exposure=Exposure(pixels, info),
        references=references,
        predicted=predicted,
        wcs=wcs,
        x=x,
        y=y,
        flux=flux,
        sky=sky,
        rng=np.random.default_rng(seed),
    )


@pytest.fixture(scope="session")
def scene_of(stars):
    """Function that makes the scene of a seed."""
    return lambda seed, **options: make_scene(stars, seed, **options)
