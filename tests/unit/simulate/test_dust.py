from dataclasses import replace

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from skyloom.simulate.catalog import GALAXY, STAR, empty_objects, flux_name
from skyloom.simulate.dust import galactic, redden_in_place, reddening
from skyloom.simulate.pipeline import simulate_sky

POLE = (192.85948, 27.12825)


def dusty(simulation, **values):
    dust = simulation.settings["dust"] | {"reddening": 0.03, "structure": 0.0} | values
    return replace(simulation, settings=simulation.settings | {"dust": dust})


def random_places(n, seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))


def test_galactic_coordinates_are_those_of_astropy():
    ra, dec = random_places(100, 1)
    # The two definitions of the galactic frame, by Hipparcos and by FK5's pole, differ by 0.1 arcsec at most.
    theirs = SkyCoord(ra, dec, unit="deg").galactic
    longitude, latitude = galactic(ra, dec)
    assert latitude == pytest.approx(theirs.b.deg, abs=1e-4)
    assert np.cos(np.radians(longitude - theirs.l.deg)) == pytest.approx(np.ones(100), abs=1e-9)


def test_far_away_the_reddening_follows_the_cosecant_of_the_latitude(simulation):
    places = SkyCoord(l=[10.0, 200.0, 80.0], b=[90.0, 30.0, -10.0], frame="galactic", unit="deg").icrs
    found = reddening(places.ra.deg, places.dec.deg, np.inf, dusty(simulation))
    # Beyond 10 kpc there is no dust: exp(-10 kpc sin 10 deg / 0.1 kpc) is nothing.
    assert found == pytest.approx(0.03 / np.sin(np.radians([90.0, 30.0, 10.0])), rel=1e-6)


def test_a_star_within_the_layer_sees_its_part_of_the_dust(simulation):
    found = reddening(np.full(2, POLE[0]), np.full(2, POLE[1]), np.array([0.01, 0.1]), dusty(simulation))
    assert found == pytest.approx(0.03 * (1 - np.exp([-0.1, -1.0])), rel=1e-6)


def test_in_the_plane_the_reddening_grows_with_distance_and_stays_finite(simulation):
    centre = np.array([266.40499]), np.array([-28.93617])
    near, far = (reddening(*centre, d, dusty(simulation))[0] for d in (1.0, np.inf))
    assert near == pytest.approx(0.03 * 1.0 / 0.1, rel=1e-3)
    assert far == pytest.approx(0.03 * 10.0 / 0.1, rel=1e-2)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clouds_scatter_about_the_smooth_layer_and_differ_by_seed(simulation, seed):
    ra, dec = random_places(20000, seed)
    smooth = reddening(ra, dec, np.inf, dusty(simulation))
    clouds = dusty(replace(simulation, seed=seed), structure=0.3)
    factor = reddening(ra, dec, np.inf, clouds) / smooth
    # The largest waves see a few tens of independent places on the sphere: their mean scatters by 5 %.
    assert np.log(factor).std() == pytest.approx(0.3, rel=0.1)
    assert factor.mean() == pytest.approx(1.0, abs=0.06)
    other = reddening(ra, dec, np.inf, replace(clouds, seed=seed + 100)) / smooth
    assert abs(np.corrcoef(np.log(factor), np.log(other))[0, 1]) < 0.3


def test_fluxes_are_dimmed_by_the_coefficients_of_schlafly_and_finkbeiner(simulation):
    objects = empty_objects(2, ("g", "r"))
    objects["kind"][:] = [GALAXY, STAR]
    objects["ra"][:], objects["dec"][:] = POLE
    for band in "gr":
        objects[flux_name(band)][:] = 100.0
    redden_in_place(objects, dusty(simulation, reddening=0.1))
    assert objects["ebv"] == pytest.approx([0.1, 0.1], rel=1e-6)
    assert -2.5 * np.log10(objects[flux_name("g")] / 100) == pytest.approx([0.3237] * 2, rel=1e-6)
    assert -2.5 * np.log10(objects[flux_name("r")] / 100) == pytest.approx([0.2273] * 2, rel=1e-6)
    assert objects["colour_gr"] == pytest.approx([0.0964] * 2, rel=1e-6)


def test_without_reddening_the_sky_is_what_it_was(simulation, visit):
    clear, dim = simulate_sky([visit], simulation), simulate_sky([visit], dusty(simulation))
    assert not clear["ebv"].any()
    assert np.array_equal(clear["id"], dim["id"])
    bright = 10 ** (0.4 * 2.273 * dim["ebv"]) * dim[flux_name("r")]
    assert bright == pytest.approx(clear[flux_name("r")], rel=1e-12)
    assert not dim["ebv"][dim["kind"] == "mover"].any()
