import galsim
import numpy as np
import pytest

from skyloom.simulate.drawing import (
    PointSpreads,
    Sources,
    add_galaxies_in_place,
    add_point_sources_in_place,
)


def spreads(fwhm=3.0, e1=0.0, e2=0.0, beta=3.5):
    return PointSpreads(np.array([fwhm]), np.array([e1]), np.array([e2]), beta)


def one_source(x, y, electrons, spread):
    return Sources(np.array([x]), np.array([y]), np.array([electrons]), spread)


@pytest.mark.parametrize("beta", [2.5, 3.5])
@pytest.mark.parametrize(("fwhm", "e1", "e2"), [(3.0, 0.0, 0.0), (4.5, 0.1, -0.05)])
def test_a_star_is_drawn_as_galsim_draws_it(beta, fwhm, e1, e2):
    image = np.zeros((101, 101), np.float32)
    add_point_sources_in_place(image, one_source(49.3, 50.4, 1e5, spreads(fwhm, e1, e2, beta)), faintest=1e-3)
    norm = np.sqrt(1 - e1**2 - e2**2)
    profile = galsim.Moffat(beta=beta, fwhm=fwhm).transform(
        (1 + e1) / norm, e2 / norm, e2 / norm, (1 - e1) / norm
    )
    expected = galsim.ImageF(101, 101)
    profile = profile.withFlux(1e5).withGSParams(folding_threshold=1e-4, maxk_threshold=1e-5)
    profile.drawImage(expected, scale=1.0, offset=(49.3 - 50, 50.4 - 50))
    # Quadrature, and GalSim's own accuracy: 2e-4 of the peak.
    assert np.abs(image - expected.array).max() < 2e-4 * expected.array.max()


@pytest.mark.parametrize("electrons", [100.0, 1e4, 1e6])
def test_a_star_keeps_its_flux_within_what_the_wings_hide(electrons):
    image = np.zeros((401, 401), np.float32)
    add_point_sources_in_place(image, one_source(200.2, 199.6, electrons, spreads(4.0)), faintest=0.3)
    # (1 + 6^2)^(1 - beta) of a Moffat profile is beyond 6 scale radii.
    assert image.sum() / electrons == pytest.approx(1.0, abs=37**-2.5 + 2e-5)


@pytest.mark.parametrize("bulge_fraction", [0.0, 0.4, 1.0])
def test_a_galaxy_keeps_its_flux_and_lies_at_its_centre(bulge_fraction):
    image = np.zeros((161, 161), np.float32)
    matrix = np.array([[[3.0, 0.5], [0.2, 2.0]]])
    source = one_source(80.3, 79.6, 1e4, spreads(4.0))
    add_galaxies_in_place(image, source, (matrix, np.array([bulge_fraction])))
    rows, columns = np.mgrid[:161, :161]
    # An exponential disc has 2e-3 of its light beyond 5 half-light radii, and GalSim folds as much.
    assert image.sum() == pytest.approx(1e4, rel=5e-3)
    assert (image * columns).sum() / image.sum() == pytest.approx(80.3, abs=0.01)
    assert (image * rows).sum() / image.sum() == pytest.approx(79.6, abs=0.01)


def test_a_galaxy_without_extent_looks_like_a_star():
    star, galaxy = np.zeros((81, 81), np.float32), np.zeros((81, 81), np.float32)
    source = one_source(40.2, 39.7, 1e4, spreads(4.0, 0.05, 0.1))
    add_point_sources_in_place(star, source, faintest=0.01)
    tiny = np.array([[[0.02, 0.0], [0.0, 0.02]]])
    add_galaxies_in_place(galaxy, source, (tiny, np.array([0.0])))
    assert np.abs(star - galaxy).max() < 3e-3 * star.max()


def test_the_long_axis_of_a_galaxy_is_the_first_column_of_its_matrix():
    image = np.zeros((161, 161), np.float32)
    angle = np.radians(30.0)
    matrix = np.array([[[5 * np.cos(angle), -1.5 * np.sin(angle)], [5 * np.sin(angle), 1.5 * np.cos(angle)]]])
    add_galaxies_in_place(image, one_source(80.0, 80.0, 1e4, spreads(3.0)), (matrix, np.array([0.0])))
    rows, columns = np.mgrid[:161, :161] - 80.0
    xx, yy, xy = ((image * m).sum() for m in (columns**2, rows**2, columns * rows))
    assert np.degrees(0.5 * np.arctan2(2 * xy, xx - yy)) == pytest.approx(30.0, abs=0.3)


@pytest.mark.parametrize(("x", "y"), [(-0.5, 30.0), (79.5, 30.0), (40.0, -0.5), (40.0, 59.5)])
def test_half_of_a_star_on_the_edge_is_on_the_detector(x, y):
    image = np.zeros((60, 80), np.float32)
    add_point_sources_in_place(image, one_source(x, y, 1e4, spreads(4.0)), faintest=0.01)
    assert image.sum() == pytest.approx(5000.0, rel=2e-3)


def test_sources_far_outside_leave_the_image_alone():
    image = np.zeros((60, 80), np.float32)
    far = one_source(900.0, -900.0, 1e6, spreads(4.0))
    add_point_sources_in_place(image, far, faintest=0.01)
    add_galaxies_in_place(image, far, (np.array([np.eye(2)]), np.array([0.5])))
    assert not image.any()


def test_no_source_leaves_the_image_alone():
    image = np.zeros((60, 80), np.float32)
    nothing = one_source(0.0, 0.0, 1.0, spreads()).select(np.array([False]))
    add_point_sources_in_place(image, nothing, faintest=0.01)
    add_galaxies_in_place(image, nothing, (np.zeros((0, 2, 2)), np.zeros(0)))
    assert not image.any()
