"""Which PSF the stars of a detector get: one sample a pixel, or more where the pixels do not sample them."""

from copy import deepcopy

import numpy as np
import pytest

from skyloom.algorithms.psf_model import TooFewPsfStarsError
from skyloom.calibrate.detection_passes import first_pass, second_pass
from skyloom.calibrate.psf_stars import fit_psf_to_stars, refine_psf_of_stars
from skyloom.core import mask_planes

SIDE = 300


def passes(stars, settings, fwhm, seed=1):
    """PSF of both passes of a field of 64 stars of one FWHM before the pixels, their true places, and the sources."""
    rng = np.random.default_rng(seed)
    nodes = (np.arange(8) + 0.5) * SIDE / 8
    x, y = (grid.ravel() + rng.uniform(-2, 2, 64) for grid in np.meshgrid(nodes, nodes))
    raw = stars.observed(stars.light((SIDE, SIDE), x, y, np.full(64, 5e4), fwhm, half=15), rng)
    first = first_pass(raw, settings)
    rough = fit_psf_to_stars(first.pixels, first.detections, settings["psf"], rng)
    second, points = second_pass(first, rough.fit.psf, settings)
    refined = refine_psf_of_stars(rough, second.pixels, second.detections, points, settings["psf"])
    return rough.fit, refined.fit, np.stack([x, y])


def of_sampling(settings, sampling):
    """Settings for stars as sharp as a pixel."""
    changed = deepcopy(settings)
    changed["psf"] |= {"min_fwhm": 1.1, "initial_fwhm": 1.8, "min_size": 15, "sampling": sampling}
    return changed


@pytest.mark.parametrize(("fwhm", "sampling", "expected"), [(1.5, "auto", 2), (2.8, "auto", 1), (1.5, 1, 1)])
def test_the_size_of_the_stars_or_the_setting_decides_the_sampling(fwhm, sampling, expected, stars, settings):
    rough, refined, places = passes(stars, of_sampling(settings, sampling), fwhm)

    assert rough.psf.sampling == refined.psf.sampling == expected
    used = refined.used
    nearest = np.hypot(*(refined.x - places[0][:, None], refined.y - places[1][:, None])).min(axis=0)[used]
    assert used.sum() > 30
    # S/N 200: a Moffat's limit is 0.6 FWHM / 200 along each axis, 0.0045 FWHM in all, and 60 stars know it to a tenth.
    # One sample a pixel errs by its phase.
    error = np.sqrt(np.mean(nearest**2)) / fwhm
    assert error > 0.0065 if (fwhm, expected) == (1.5, 1) else error < 0.006


@pytest.mark.parametrize("min_stars", [4, 60])
def test_the_mask_of_the_pixels_is_afterwards_what_it_was(min_stars, stars, settings):
    changed = deepcopy(settings)
    changed["psf"]["min_stars"] = min_stars
    rng = np.random.default_rng(2)
    x, y = rng.uniform(20, SIDE - 20, (2, 60))
    flux = np.where(np.arange(60) < 40, 5e4, 2e3)
    first = first_pass(stars.observed(stars.light((SIDE, SIDE), x, y, flux, 3.0, half=15), rng), changed)
    first.pixels.mask[:, 140:150] |= mask_planes.SUSPECT
    before = first.pixels.mask.copy()

    if min_stars == 4:
        fit = fit_psf_to_stars(first.pixels, first.detections, changed["psf"], rng)
        assert len(fit.others[0]) > 0
    else:
        with pytest.raises(TooFewPsfStarsError):
            fit_psf_to_stars(first.pixels, first.detections, changed["psf"], rng)

    np.testing.assert_array_equal(first.pixels.mask, before)
