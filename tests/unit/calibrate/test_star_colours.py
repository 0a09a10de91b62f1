"""Tests of skyloom.calibrate.star_colours, and of a calibration with a colour term of the PSF."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from coloured_stars import MEAN_COLOUR, coloured_scene, true_moments
from scipy.spatial import cKDTree

from skyloom.calibrate.pipeline import calibrate_image
from skyloom.calibrate.star_colours import StarColours, star_colours
from skyloom.core.tables import column


@pytest.fixture(scope="module")
def with_term(settings):
    """Settings with the colour term, and some more reserved stars."""
    changed = copy.deepcopy(settings)
    changed["psf"] |= {"colour_term": True, "reserved_fraction": 0.3}
    return changed


def calibrated(scene, settings, references="own", psf=None):
    """Calibrate a copy of a scene, whose pixels are worked on in place."""
    exposure = copy.deepcopy(replace(scene.exposure, psf=psf))
    references = scene.references if references == "own" else references
    return calibrate_image(exposure, references, scene.predicted, settings, np.random.default_rng(3))


def slopes(scene, sources, stars):
    """Slopes with colour of the flux over the true one, its error, and that of T of the PSF of the reserved stars."""
    tree = cKDTree(np.column_stack([column(sources, "x"), column(sources, "y")]))
    distance, row = tree.query(np.column_stack([scene.x, scene.y]))
    found = distance < 1
    row, colour = row[found], scene.colour[found] - MEAN_COLOUR
    flux, error = (column(sources, name)[row] for name in ("psfFlux", "psfFluxErr"))
    ratio, weight = flux / scene.flux[found], flux / error
    fit, covariance = np.polyfit(colour, ratio / np.median(ratio), 1, w=weight, cov="unscaled")
    size = (column(sources, "ixxPSF") + column(sources, "iyyPSF"))[row]
    true = true_moments(stars, *(values[found] for values in (scene.x, scene.y, scene.colour)), scene.change)[
        0
    ]
    reserved = column(sources, "calib_psf_reserved")[row]
    return fit[0], np.sqrt(covariance[0, 0]), np.polyfit(colour[reserved], (size / true - 1)[reserved], 1)[0]


def test_fluxes_and_psfs_of_blue_and_red_stars_are_right(with_term, settings, stars):
    grey, coloured = [], []
    for seed in (1, 2):
        scene = coloured_scene(stars, seed)
        calexp, sources = calibrated(scene, with_term)
        assert calexp.psf.colour.name == "flux_g - flux_i"
        assert calexp.psf.has_colour
        coloured.append(slopes(scene, sources, stars))
        without = copy.deepcopy(with_term)
        without["psf"]["colour_term"] = False
        grey.append(slopes(scene, calibrated(scene, without)[1], stars))
    flux, error, size = np.array(coloured).T
    limit = np.sqrt(np.mean(error**2) / 2)
    assert abs(flux.mean()) < 3.5 * limit
    assert np.mean([slope for slope, _, _ in grey]) > 4 * limit
    # A slope of T errs by some 0.2 % a magnitude (test_colour_term), that of its mean colour beyond the limits by less.
    assert abs(size.mean()) < 3.5 * 0.0025 / np.sqrt(2)
    assert np.mean([slope for _, _, slope in grey]) > 0.015


def test_where_no_term_is_found_nothing_changes(with_term, settings, stars):
    scene = coloured_scene(stars, 4, change=0.0, n=100)
    off = copy.deepcopy(with_term)
    off["psf"]["colour_term"] = False

    expected, table = calibrated(scene, off)
    assert expected.psf.colour is None
    for references, remark in (
        (scene.references, "no change with colour"),
        (replace(scene.references, colour=None), "no colours in a reference catalogue"),
        (
            replace(scene.references, colour=np.full(len(scene.references), np.nan)),
            "0 stars with a colour, needs 20",
        ),
    ):
        found, sources = calibrated(scene, with_term, references)
        assert found.psf.colour.remark.startswith(remark)
        assert np.array_equal(found.psf.coefficients, expected.psf.coefficients)
        assert np.array_equal(found.pixels.image, expected.pixels.image)
        for name in table.column_names:
            values = column(sources, name), column(table, name)
            assert np.array_equal(*values, equal_nan=values[0].dtype.kind == "f"), name


def test_a_given_psf_keeps_its_images_and_says_why_it_has_no_term(with_term, stars):
    scene = coloured_scene(stars, 5, n=100)
    plain, _ = calibrated(scene, with_term)

    found, _ = calibrated(scene, with_term, psf=replace(plain.psf, colour=None))

    assert found.psf.colour.remark == "the PSF is given"
    assert np.array_equal(found.psf.coefficients, plain.psf.coefficients)


def hindered(scene, settings, references=None):
    """Colours for a scene, none of whose points is needed."""
    return star_colours(None, scene.exposure, references, scene.predicted, settings)


def test_what_hinders_a_colour_term_is_said(with_term, stars):
    scene = coloured_scene(stars, 6, n=4)
    piff = copy.deepcopy(with_term)
    piff["psf"]["model"] = "piff"

    assert hindered(scene, piff, scene.references).remark == "the PSF is that of piff"
    assert hindered(scene, with_term).remark.startswith("no colours in a reference catalogue")
    assert np.isnan(hindered(scene, with_term).at(np.array([1.0]), np.array([2.0]))).all()


def test_stars_of_another_field_have_no_colours_and_the_wcs_says_why(with_term, stars):
    scene = coloured_scene(stars, 7, n=100)
    rng = np.random.default_rng(1)
    n = len(scene.references)
    ra, dec = scene.wcs.pixel_to_sky(*rng.uniform(0, 700, (2, n)))
    given = copy.deepcopy(with_term)
    given["astrometry"]["wcs"] = "given"
    given["photometry"]["zero_point"] = "given"
    lost = replace(scene.references, ra=ra, dec=dec)

    _, points = passes(scene, with_term)

    assert star_colours(points, scene.exposure, lost, scene.wcs, with_term).remark.startswith("no WCS for")
    assert star_colours(points, scene.exposure, scene.references, scene.wcs, given).radius == 6.0


def passes(scene, settings):
    """Pixels and point sources of the passes before the final PSF."""
    from skyloom.calibrate.detection_passes import first_pass, second_pass
    from skyloom.calibrate.psf_stars import fit_psf_to_stars

    first = first_pass(copy.deepcopy(scene.exposure.pixels), settings)
    rng = np.random.default_rng(1)
    known = fit_psf_to_stars(first.pixels, first.detections, settings["psf"], rng)
    return second_pass(first, known.fit.psf, settings)


def test_colours_are_of_the_nearest_star_and_of_nothing_else():
    colours = StarColours(
        "g - i", np.array([10.0, 20.0]), np.array([10.0, 20.0]), np.array([0.5, np.nan]), 1.0
    )

    found = colours.at(np.array([10.5, 10.9, 20.0, 30.0, np.nan]), np.array([10.0, 10.0, 20.0, 30.0, 1.0]))

    assert found == pytest.approx([0.5, *4 * [np.nan]], nan_ok=True)
