"""The PSF of a detector at places without stars against the true one: size and ellipticity, by GalSim's HSM.

Fields with pairs, galaxies and cosmic rays go through the passes of the single-visit calibration from pixels with sky
to the final PSF; nobody tells the fit which detections are stars.
"""

import galsim
import numpy as np
import pytest
from bars import Bars
from psf_fields import Field, draw_field

from skyloom.calibrate.detection_passes import first_pass, second_pass
from skyloom.calibrate.psf_stars import fit_psf_to_stars, refine_psf_of_stars
from skyloom.workflow.config import fill_defaults, load_schema

MARGIN = 20
N_PLACE = 500
MOMENTS = galsim.hsm.HSMParams(max_mom2_iter=2000, convergence_threshold=1e-8)
FULL = [
    ("optics", 0.6), ("kolmogorov", 0.7), ("moffat", 0.8), ("optics", 0.8), ("kolmogorov", 0.9), ("optics", 1.0),
    ("moffat", 0.65), ("kolmogorov", 1.1),
]  # fmt: skip


def settings(schema):
    """Section ``calibrate`` with the schema's defaults."""
    return fill_defaults(load_schema(schema), {})["calibrate"]


def fitted(observed, calibrate):
    """PSF and its stars after both passes, as `calibrate_image` makes them."""
    first = first_pass(observed.pixels, calibrate)
    stars = fit_psf_to_stars(first.pixels, first.detections, calibrate["psf"], np.random.default_rng(1))
    second, points = second_pass(observed.pixels, first.background, stars.fit.psf, calibrate)
    return refine_psf_of_stars(stars, second.pixels, second.detections, points, calibrate["psf"])


def moments(images):
    """T = 2 sigma^2 and two ellipticities of PSF images, shape (n, 3)."""
    found = [galsim.hsm.FindAdaptiveMom(galsim.ImageD(image), hsmparams=MOMENTS) for image in images]
    return np.array([[2 * m.moments_sigma**2, m.observed_shape.e1, m.observed_shape.e2] for m in found])


def errors(psf, observed, places):
    """Relative error of T and errors of e1 and e2 at places, shape (n, 3), and the spread of the true T."""
    model, true = moments(psf.kernels_at(*places)), moments(observed.psf.images_at(*places))
    difference = model - true
    difference[:, 0] /= true[:, 0]
    return difference, np.ptp(true[:, 0]) / np.mean(true[:, 0])


def measured(cases, seed, calibrate, bars):
    """Errors on all fields together; each field's own are printed."""
    found = []
    for number, (profile, seeing) in enumerate(cases):
        field = Field(profile=profile, seeing=seeing)
        observed = draw_field(field, seed + number)
        stars = fitted(observed, calibrate)
        places = np.random.default_rng(number).uniform(MARGIN, field.side - MARGIN, (2, N_PLACE))
        difference, spread = errors(stars.fit.psf, observed, places)
        name = f"{profile} {seeing} arcsec, {stars.fit.used.sum()} stars, T spread {spread:.2f}"
        bars.note(f"{name}: mean dT/T [%]", 100 * difference[:, 0].mean())
        assert spread > 0.1
        found.append(difference)
    return np.concatenate(found)


def check(difference, bars, allowance=1.0):
    """Bars on the errors, each times an allowance."""
    bars.check("mean dT/T [%]", 100 * abs(difference[:, 0].mean()), high=0.05 * allowance)
    bars.check("rms dT/T [%]", 100 * np.sqrt(np.mean(difference[:, 0] ** 2)), high=0.15 * allowance)
    for k in (1, 2):
        bars.check(f"mean de{k}", abs(difference[:, k].mean()), high=2e-4 * allowance)
        bars.check(f"rms de{k}", np.sqrt(np.mean(difference[:, k] ** 2)), high=1e-3 * allowance)


def test_psf_between_the_stars_of_one_field(pytestconfig):
    bars = Bars("PSF between the stars of one field")
    difference = measured(
        [("kolmogorov", 0.8)], 21, settings(pytestconfig.rootpath / "config" / "schema"), bars
    )
    # One field's means are what the noise of its few bright stars makes them.
    check(difference, bars, allowance=2.0)
    bars.judge()


@pytest.mark.bars
def test_psf_between_the_stars_reaches_the_bars(pytestconfig):
    bars = Bars(f"PSF between the stars of {len(FULL)} fields")
    check(measured(FULL, 100, settings(pytestconfig.rootpath / "config" / "schema"), bars), bars)
    bars.judge()
