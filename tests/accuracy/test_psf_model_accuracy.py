"""The PSF of a detector at places without stars against the true one: size and ellipticity, by GalSim's HSM.

Fields with pairs, galaxies and cosmic rays go through the passes of the single-visit calibration from pixels with sky
to the final PSF; nobody tells the fit which detections are stars.
"""

import galsim
import numpy as np
import pytest
from bars import Bars
from pipeline_settings import run_passes, settings_of
from psf_fields import Field, draw_field

MARGIN = 20
N_PLACE = 500
MOMENTS = galsim.hsm.HSMParams(max_mom2_iter=2000, convergence_threshold=1e-8)
PROFILES, SEEINGS = ("kolmogorov", "moffat", "optics"), (0.6, 0.9, 1.2)
# At a wider seeing fewer stars are alone: so many have to be there for some more than the least number of the fit.
N_STAR = {0.6: 2200, 0.9: 2400, 1.2: 3800}
LEAST_STARS, N_FIELD = 350, 2
LIMITS = {
    **{"mean dT/T [%]": 0.05, "rms dT/T [%]": 0.15},
    **{"mean de1": 2e-4, "mean de2": 2e-4, "rms de1": 1e-3, "rms de2": 1e-3},
}

# What the photons of 370 stars above S/N 50 leave unknown of a mean ellipticity or of a mean T, relative.
PHOTON_LIMIT = 2.7e-4
FIELD_NOISE = {name: PHOTON_LIMIT * (100 if "%" in name else 1) for name in LIMITS}


def moments(images):
    """T = 2 sigma^2 and two ellipticities of PSF images, shape (n, 3)."""
    found = [galsim.hsm.FindAdaptiveMom(galsim.ImageD(image), hsmparams=MOMENTS) for image in images]
    return np.array([[2 * m.moments_sigma**2, m.observed_shape.e1, m.observed_shape.e2] for m in found])


def errors(psf, observed, places):
    """Relative error of T and errors of e1 and e2 at places, shape (n, 3), and the spreads of the true ones."""
    model, true = moments(psf.kernels_at(*places)), moments(observed.psf.images_at(*places))
    difference = model - true
    difference[:, 0] /= true[:, 0]
    spread = np.ptp(true, axis=0)
    return difference, spread / [np.mean(true[:, 0]), 1, 1]


def measured(case, seed, calibrate, bars):
    """Errors on a field of a case: profile, seeing, number."""
    profile, seeing, number = case
    field = Field(profile=profile, seeing=seeing, n_star=N_STAR[seeing])
    observed = draw_field(field, seed + number)
    stars = run_passes(observed.pixels, calibrate, 1).stars
    places = np.random.default_rng(number).uniform(MARGIN, field.side - MARGIN, (2, N_PLACE))
    difference, spread = errors(stars.fit.psf, observed, places)
    mean, scatter = 100 * difference[:, 0].mean(), 100 * np.sqrt(np.mean(difference[:, 0] ** 2))
    n_star = np.count_nonzero(~stars.reserved)
    name = f"{profile} {seeing} arcsec, {n_star} stars, T spread {spread[0]:.2f}"
    bars.note(f"{name}: mean dT/T [%]", mean)
    bars.note(f"{name}: rms dT/T [%]", scatter)
    bars.check(f"{name}: stars", n_star, low=LEAST_STARS)
    # A size that changes by 8 per cent changes T by 16, less what pixel and optics add; an ellipticity is twice the
    # shear.
    assert spread[0] > (0.1 if profile == "optics" else 0.12)
    assert spread[1:].max() > 0.04
    return difference


def figures(difference):
    """Means and root mean squares of the errors, by what `LIMITS` calls them."""
    means, rms = np.abs(difference.mean(axis=0)), np.sqrt(np.mean(difference**2, axis=0))
    values = (100 * means[0], 100 * rms[0], *means[1:], *rms[1:])
    return dict(zip(LIMITS, values, strict=True))


def check(title, difference, bars, n_sigma=0.0):
    """Bars on the errors, each of which gets some of the standard errors of one field."""
    for name, value in figures(difference).items():
        bars.check(f"{title}: {name}", value, high=LIMITS[name] + n_sigma * FIELD_NOISE[name])


def test_psf_between_the_stars_of_one_field():
    bars = Bars("PSF between the stars of one field")
    calibrate = settings_of("calibrate")
    check("one field", measured(("kolmogorov", 0.9, 0), 21, calibrate, bars), bars, n_sigma=3.0)
    bars.judge()


@pytest.mark.bars
@pytest.mark.timeout(7200)
def test_psf_between_the_stars_reaches_the_bars():
    calibrate, found = settings_of("calibrate"), []
    bars = Bars(f"PSF between the stars of {N_FIELD} fields of each profile and seeing")
    for seeing in SEEINGS:
        cases = [(profile, seeing, number) for profile in PROFILES for number in range(N_FIELD)]
        found += [measured(case, 100, calibrate, bars) for case in cases]
        for name, value in figures(np.concatenate(found[-len(cases) :])).items():
            bars.note(f"all at {seeing} arcsec: {name}", value)
    check("all", np.concatenate(found), bars)
    bars.judge()
